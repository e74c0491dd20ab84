# SPDX-License-Identifier: Apache-2.0
"""Seeds for fuzz/kernel's targets of exits, the GHCB and launches, in the steps that stand at the
top of each: what a guest of each kind does, and what a VMM and a firmware answer."""
import struct

VMM = 0x80  # whose step it is: exit_svm and ghcb

# ---- exit_svm ----

IRQCHIP, LONG, PROTECTED, FILTER, READ_ONLY, SECOND = 1, 2, 4, 8, 16, 32
INFO1, INFO2, EVENT, RETURNED, GPRS, RIP, INSN, NRIP = (1 << i for i in range(8))
MODES = (PROTECTED, PROTECTED | IRQCHIP, LONG | IRQCHIP, 0, LONG | FILTER | READ_ONLY)

MSRS = (0x10, 0x1b, 0x3a, 0x3b, 0x48, 0x49, 0x8b, 0xc1, 0xe7, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x17a,
        0x17b, 0x1a0, 0x1d9, 0x200, 0x20f, 0x250, 0x258, 0x26f, 0x277, 0x2ff, 0x400, 0x403, 0x6e0,
        0x802, 0x803, 0x808, 0x80b, 0x80d, 0x80f, 0x828, 0x830, 0x832, 0x835, 0x838, 0x839, 0x83e,
        0x83f, 0xda0, 0x4b564d00, 0x4b564d01, 0x4b564d03, 0xc0000080, 0xc0000081, 0xc0000082,
        0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0010015, 0xc001001f,
        0xc0010111, 0xc0010114, 0xc0010117, 0xc0011029, 0xc0010140, 0xc0010141)

INSNS = (b"\x0f\xa2", b"\xf4", b"\x0f\x01\xd9", b"\x0f\x01\xd1", b"\x0f\x20\xc0", b"\x0f\x22\xc0",
         b"\x0f\x20\xd8", b"\x0f\x22\xd8", b"\x0f\x20\xe0", b"\x0f\x22\xe0", b"\x44\x0f\x22\xc0",
         b"\x0f\x06", b"\x0f\x01\xf0", b"\x0f\x01\xe0", b"\x0f\x21\xc8", b"\x0f\x23\xc8",
         b"\x0f\x21\xf0", b"\x0f\x23\xf8", b"\x88\x03", b"\x89\x03", b"\x8b\x03", b"\xc7\x03\1\0\0\0",
         b"\xf3\xab", b"\xf3\xa5", b"\xa4", b"\x0f\xb6\x03", b"\x0f\xbe\x03", b"\x87\x03",
         b"\xf0\x01\x03", b"\x83\x03\x01", b"\xff\x03", b"\x84\x03", b"\x39\x03", b"\xa1\0\0\xe0\xfe",
         b"\xe6\x80", b"\xec", b"\xf3\x6e", b"\xf3\x6c", b"\x65\x6e", b"\x66\xf3\x6f")


def leave(code, info1=None, info2=0, flags=0, gprs=None, insn=b"", event=None, rip=None):
    out = bytes([0, code])
    if event is not None:
        flags |= EVENT
    flags |= (INFO1 if info1 is not None else 0) | (GPRS if gprs else 0) | (INSN if insn else 0)
    flags |= RIP if rip is not None else 0
    out += bytes([flags])
    out += struct.pack("<Q", info1) if info1 is not None else b"\0"
    if flags & INFO2:
        out += struct.pack("<Q", info2)
    else:
        out += bytes([info2]) + (b"\0\0" if code >= 0xb0 else b"")
    if event is not None:
        out += struct.pack("<II", *event)
    if gprs:
        out += struct.pack("<QIQ", *gprs)
    if rip is not None:
        out += struct.pack("<I", rip)
    return out + (bytes([len(insn)]) + insn if insn else b"")


def call(index, *changes, vcpu=0, number=None):
    """VMM_CALL: a changed byte each, or the number that is the argument."""
    if number is not None:
        return bytes([VMM, index, vcpu]) + struct.pack("<I", number)
    return bytes([VMM, index, vcpu, len(changes)]) + b"".join(
        struct.pack("<HB", at, value) for at, value in changes)


def run(vcpu=0):
    return bytes([VMM | 1, vcpu])


def time(ns):
    return bytes([VMM | 3]) + struct.pack("<I", ns)


def msi(vector, mode=0):
    return call(17, (2, 0xe0), (3, 0xfe), (8, vector), (9, mode))


APIC_ON = call(10, (0xf1, 1))


def exits():
    """Exits of each code, with and without the instruction's length; each instruction at each."""
    for mode in MODES:
        for first in range(0, 0xa6, 4):
            yield bytes([mode]) + b"".join(leave(code, flags=NRIP) + leave(code, insn=b"\x0f\xa2")
                                           for code in range(first, min(first + 4, 0xa6)))
        for insn in INSNS:
            yield bytes([mode]) + b"".join(
                leave(code, info1=6, info2=base, insn=insn, gprs=(0x80000011, 0x10, 0)) + run()
                for code, base in ((0, 0), (0x10, 0), (0x65, 0), (0x20, 0), (0x30, 0), (0xff, 2)))
    for mode in MODES:
        yield bytes([mode]) + b"".join(leave(0x7c, info1=i & 1, flags=NRIP, gprs=(0x1000, m, 0))
                                       for m in MSRS for i in (0, 1))


def registers():
    """What takes two exits: a register that changes what the next exit does."""
    def cr4(value):
        return leave(0x14, flags=0, gprs=(value, 0, 0), insn=b"\x0f\x22\xe0")

    def dr(insn, value=0, write=True):
        return leave(0x30 if write else 0x20, gprs=(value, 0, 0), insn=insn)
    for mode, base in ((PROTECTED, 0x600), (LONG | IRQCHIP, 0x620)):
        m = bytes([mode])
        for xcr0 in (7, 1, 2, 0x1ff, 0xe7):
            yield m + cr4(base | 0x40000) + leave(0x8d, gprs=(xcr0, 0, 0), insn=b"\x0f\x01\xd1") + run()
        yield m + cr4(base | 0x40000) + leave(0x8d, gprs=(7, 5, 0), insn=b"\x0f\x01\xd1") + run()
        yield m + cr4(base | 8) + dr(b"\x0f\x21\xe0", write=False) + dr(b"\x0f\x23\xe8") + run()
        yield m + dr(b"\x0f\x23\xe8", 0x400) + dr(b"\x0f\x21\xe0", write=False) + run()
        yield m + dr(b"\x0f\x23\xf8", 0x2400) + dr(b"\x0f\x21\xc0", write=False) + run()
        yield m + dr(b"\x0f\x23\xf8", 1 << 40) + dr(b"\x0f\x23\xf0", 1 << 40) + run()
        for insn in (b"\x44\x0f\x20\xc0", b"\x0f\x20\xd0", b"\x0f\x22\xd0", b"\x66\x0f\x01\xe0",
                     b"\x44\x0f\x22\xc0", b"\x0f\x01\x33", b"\x0f\x01\x23", b"\x0f\x20\xc8"):
            yield m + leave(0x00, gprs=(9, 0, 0), insn=insn) + run()


def ports():
    for info in (0x10, 0x11, 0x20, 0x41, 0x9c, 0x9d, 0x14c, 0x14d, 0x294, 0x295):
        yield (bytes([PROTECTED]) + leave(0x7b, info1=0x3f80000 | info, gprs=(5, 3, 0)) +
               bytes([VMM | 2, 0, 0, 0]) + bytes(16) + run() + run())
    # Strings, answered by userspace as it pleases.
    for mode in MODES:
        for info in (0x94, 0x95, 0x9c, 0x9d, 0x14d, 0x295):
            for at in (37, 38):  # of the count
                yield (bytes([mode]) + leave(0x7b, info1=0x3f80000 | info, gprs=(5, 0x300, 0)) +
                       bytes([VMM | 2, 0, at, 3]) + bytes(16) + run())


def events():
    pf, intr, nmi = (0x80000b0e, 2), (0x80000041, 0), (0x80000202, 0)
    on = leave(0x60) + bytes([6]) + struct.pack("<I", 0x202) + b"\0"
    for mode in (PROTECTED | IRQCHIP, LONG | IRQCHIP):
        for event in (pf, intr, nmi, (0x80000303, 0), (0x80000308, 0)):
            yield bytes([mode]) + leave(0xff, info1=4, event=event) + leave(0xff, flags=RETURNED) + leave(0x60)
        yield bytes([mode]) + APIC_ON + on + msi(0x41) + leave(0x60) + msi(0x51) + leave(0x78, flags=NRIP)
        yield bytes([mode]) + call(0, number=0) + leave(0x60) + call(0, number=0) + leave(0x74) + leave(0x41)
        yield bytes([mode | SECOND]) + msi(0, 5) + msi(1, 6) + run(1) + leave(0x78, flags=NRIP)
        for kind in range(8):
            yield bytes([mode]) + APIC_ON + on + msi(0x41, kind) + leave(0x60) + time(1000000)
        # The timer, one shot and periodic and by deadline; the mask by CR8; guest debugging.
        for lvt in (0x40, 0x20040, 0x40040):
            yield (bytes([mode]) + APIC_ON + on + call(10, (0x320, lvt & 0xff), (0x322, lvt >> 16)) +
                   leave(0x7c, info1=1, flags=NRIP, gprs=(0x100, 0x838, 0)) +
                   leave(0x7c, info1=1, flags=NRIP, gprs=(0x100000, 0x6e0, 0)) + time(100000000) +
                   leave(0x78, flags=NRIP) + run())
        yield (bytes([mode]) + APIC_ON + on + call(10, (0x320, 0x40), (0x322, 2), (0x381, 0x10)) +
               time(4000000000) + leave(0x78, flags=NRIP) + run())
        for control in (1, 2 | 1, 0x10001, 0x20001, 0x30001):
            yield (bytes([mode]) + call(7, (0, control & 0xff), (2, control >> 16)) + leave(0x41) +
                   leave(0x43) + leave(0x72, flags=NRIP))


# ---- ghcb ----

REGISTERED, CERTS, OBEYS, LOST = 8, 4, 16, 32
MSG_TYPE = 0x34  # in a guest message's header
RAX, RCX, RDX, RBX, CPL, SCRATCH, FAR, LARGE = (1 << i for i in range(8))
XCR0 = CPL  # with the CPL, XCR0


def page(code, info1=0, info2=0, fields=0, regs=(), scratch=0, buffer=b"", cpl=0):
    code = code & 0x7fff | (0x8000 if code >> 31 else 0)
    out = bytes([2]) + struct.pack("<HB", code, fields | LARGE)
    out += b"".join(struct.pack("<Q", r) for r in regs)
    if fields & CPL:
        out += bytes([cpl])
    if fields & FAR:
        out += struct.pack("<Q", scratch)
    elif fields & SCRATCH:
        out += bytes([scratch])
    return out + struct.pack("<QQ", info1, info2) + bytes([len(buffer)]) + buffer


def request(value):
    return bytes([0]) + struct.pack("<Q", value & (1 << 64) - 1)


def map_(how=0):
    return bytes([VMM | 1, how])


def psc(*entries, last=None):
    head = struct.pack("<HHI", 0, len(entries) - 1 if last is None else last, 0)
    return page(0x80000010, fields=SCRATCH,
                buffer=head + b"".join(struct.pack("<Q", gfn << 12 | op << 52 | big << 56)
                                       for gfn, op, big in entries))


def ghcb():
    go = bytes([VMM])
    for machine in (REGISTERED, REGISTERED | 1, REGISTERED | CERTS | 2):
        m = bytes([machine])
        for code in (0x7b, 0x7c, 0x72, 0x6e, 0x87, 0x6f, 0x81, 0x78, 0x76, 0x89, 0x8a, 0x8b, 0x27, 0x37,
                     0x80000001, 0x80000002, 0x80000003, 0x80000004, 0x80000006, 0x80000010,
                     0x80000011, 0x80000012, 0x80000013, 0x8000fffd, 0x8000fffe, 0x8000ffff):
            yield m + page(code, 4, 4, RAX | RCX | RDX | RBX | CPL | SCRATCH, (1, 0xd, 0, 1)) + go
        yield m + page(0x7b, 0x0ff80010, 0, RAX, (0x41,)) + go + page(0x7b, 0x0ff80011) + go + go
        yield m + page(0x7b, 0x0ff8001c, 3, SCRATCH, buffer=b"abc") + go + go
        yield m + page(0x7b, 0x0ff8001d, 3, SCRATCH) + go + bytes([VMM | 2]) + bytes(11) + go
        # As much as goes at once, of each size.
        for size in (1, 2, 4):
            for into in (0, 1):
                yield m + page(0x7b, 0x0ff80004 | size << 4 | into, 0x1000 // size, SCRATCH | FAR,
                               scratch=0x105000) + go + go
        yield m + page(0x80000001, 0xd0000000, 4, SCRATCH) + go + go
        yield m + page(0x80000002, 0xd0000000, 8, SCRATCH, buffer=b"12345678") + go + go
        yield m + page(0x80000002, 0xfee00300, 4, SCRATCH, buffer=b"\x41\0\0\0") + go
        for msr in (0x10, 0x1b, 0x277, 0xc0000080, 0x808, 0x830, 0x6e0, 0x4b564d01, 0x12345):
            yield m + page(0x7c, 1, 0, RAX | RCX | RDX, (0x100, msr, 0)) + go + page(0x7c, 0, 0, RCX, (msr,)) + go + go
        yield m + psc((0x10, 2, 0), (0x11, 2, 0), (0x110, 1, 0)) + go + map_() + go + map_() + go + map_() + go
        yield m + psc((0x10, 2, 0)) + go + map_(2) + go
        yield m + psc((0, 2, 1)) + go + map_() + go + psc((0x10, 1, 0), last=300) + go
        yield m + page(0x80000011, 0x102000, 0x103000) + go
        yield m + page(0x80000012, 0x102000, 0x103000, RAX | RBX, (0x104000, 1)) + go
        yield m + page(0x80000012, 0x102000, 0x103000, RAX | RBX, (0x104000, 8)) + go
        for obeys in (OBEYS, OBEYS | LOST):
            for pages in (0, 1, 8):
                for code in (0x80000011, 0x80000012):
                    yield (bytes([machine | obeys]) + bytes([3]) + struct.pack("<HB", 0x1000 | MSG_TYPE, 5) +
                           page(code, 0x102000, 0x103000, RAX | RBX, (0x104000, pages)) + go)
        yield m + page(0x72, fields=RAX | RCX, regs=(0xd, 0)) + go
        yield m + page(0x72, fields=RAX | RCX | XCR0, regs=(0xd, 0)) + go
        yield m + page(0x80000001, 0xd0000000, 4, SCRATCH | FAR, scratch=0x105000) + go + go
        yield m + page(0x80000002, 0xd0000000, 4, SCRATCH | FAR, scratch=0x105000) + go + go
        yield m + page(0x7b, 0x0ff8001c, 3, SCRATCH | FAR, scratch=0x105000) + go + go
        for how in range(4):
            yield m + bytes([6, 0x20, how | 0x10]) * 4 + go + bytes([VMM | 8]) + bytes([7])
        yield m + page(0x80000013, 1 << 32 | 2) + go + bytes([VMM | 8])
        yield m + page(0x80000004) + go + bytes([VMM | 4, 2, VMM | 4, 10]) + go
        for race in range(0, 256, 5):
            yield m + bytes([0x40, race, 0xff]) + page(0x72, fields=RAX | RCX, regs=(1, 0)) + go
        for step in range(4):
            yield m + bytes([5, 0x20, step | 4]) * 4 + bytes([VMM | 3, 0x20]) + bytes([5, 0x20, step])
        for which in range(14):
            yield m + bytes([7, which]) + struct.pack("<Q", 0x80050033) + go
        yield m + bytes([4]) + struct.pack("<HB", 0x20, 0x42) + bytes([4]) + struct.pack("<HB", 0x101, 2)
    for code in (0x001, 0x002, 0x004, 0x006, 0x00a, 0x010, 0x012, 0x014, 0x080, 0x100, 0xfff):
        for data in (0, 0x100, 0x101, 0x10000000000010, 0x4000000000004):
            yield b"\0" + request(data << 12 | code) + go + map_() + go


# ---- launch ----

GO_ON = bytes([1])


def launch():
    steps = GO_ON * 6
    tail = (bytes([3, 0x80 | 4, 3, 0x05]), bytes([0x16, 0x10, 4]), bytes([5, 0x10, 4]), bytes([12, 0, 16, 0, 0, 0]),
            bytes([8, 0x18]), bytes([9]) + steps, bytes([7, 0]), bytes([0x37]), bytes([14]) + GO_ON)
    yield b"\0" + steps
    for t in tail:
        for n in range(7):
            yield b"\0" + GO_ON * n + t + GO_ON * (6 - n)
    for n in range(10):
        for answer in (0x40 | 0x16, 0x80, 0xc0, 0xff, 0x3f, 0x40):
            yield bytes([n + 1]) + bytes(n) + bytes([answer]) + steps
    # With an ID block, of which the copy may fail.
    for fail in (b"", bytes([11, 40, 0]), bytes([11, 0, 1]), bytes([11, 0, 16])):
        yield b"\0" + GO_ON * 5 + fail + bytes([0x10, 0x83, 16, 1]) + GO_ON
    for kind in range(8):
        yield b"\0" + GO_ON * 3 + bytes([15, 4, 3, kind]) + steps
    for fail in range(0, 60, 3):
        yield b"\0" + bytes([10, fail]) + steps
    for command in range(4):
        for at in range(0, 64, 4):
            yield b"\0" + GO_ON * (command + 1) + bytes([0x10, 0x80 | command, at, 1]) + steps


SEEDS = {
    "kernel-exit_svm": lambda: (s for part in (exits, registers, ports, events) for s in part()),
    "kernel-ghcb": ghcb,
    "kernel-launch": launch,
}
