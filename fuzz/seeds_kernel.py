# SPDX-License-Identifier: Apache-2.0
"""Seeds for kernel-ioctl: lives of VMs, in the steps that fuzz/kernel/ioctl.c describes. Numbers
of calls and steps come from its tables."""
import os
import re
import struct

HERE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "kernel")
IRQCHIP, LONG, PROTECTED, PRIVATE, X2APIC, MEASURED = 4, 8, 16, 32, 64, 128
VM, ONE, TWO = 1, 2, 3  # what is made beforehand
FIRST_STEP = 0xb0
DEV, VMS, VCPUS, GMEM, EVENTFD, STATS = range(6)


def tables():
    """The calls by object and name, and the other steps, each with its number."""
    with open(os.path.join(HERE, "ioctl_table.h"), encoding="ascii") as f:
        text = f.read().split("struct call calls[] = {")[1].split("\n};")[0]
    pattern = re.compile(r"\b[NSPGL]\((DEV|VM|VCPU),\s*(\w+)|"
                         r"\{\s*(VM|VCPU),\s*(?:FIELDS|CPUID),.*?\b((?:KVM|BAWN)_\w+),\s*0,",
                         re.DOTALL)
    calls = {(a or c, (b or d).split("_", 1)[1]): i
             for i, (a, b, c, d) in enumerate(pattern.findall(text))}
    with open(os.path.join(HERE, "ioctl.c"), encoding="ascii") as f:
        text = f.read().split("other_steps[])")[1].split("\n};")[0]
    steps = {name: i for i, name in enumerate(re.findall(r"\bstep_(\w+)", text))}
    return calls, steps


CALLS, STEPS = tables()


def raw(fmt, value):
    """Of a kind with a pool: not from it."""
    return b"\xff" + struct.pack("<" + fmt, value)


def call(where, name, *argument, index=0, flags=0):
    """Each part of the argument is an index into its kind's pool, or bytes as they are."""
    return bytes([CALLS[where, name], index | flags]) + \
        b"".join(a if isinstance(a, bytes) else bytes([a]) for a in argument)


def step(name, *argument):
    return bytes([FIRST_STEP + STEPS[name]]) + \
        b"".join(a if isinstance(a, bytes) else bytes([a]) for a in argument)


def fix(*parts):
    """A field of KVM_SET_*: where it stands in its table, its value."""
    return bytes([len(parts)]) + b"".join(bytes([i]) + (v if isinstance(v, bytes) else bytes([v]))
                                          for i, v in parts)


def run(*script, index=0):
    text = b"".join(script)
    return call("VCPU", "RUN", 0, bytes([len(text)]) + text, index=index)


def spawn(*steps):
    text = b"".join(steps)
    return step("spawn", bytes([len(text)]) + text)


def seed(machine, *steps, schedule=b""):
    return bytes([machine, len(schedule)]) + schedule + b"".join(steps)


# ---- A guest's script ----

def cpuid(leaf, subleaf=0):
    return bytes([3, leaf & 0x3f | (leaf >> 24 & 0), leaf >> 24 & 0xc0, subleaf])


def rdmsr(index):
    return bytes([4]) + raw("I", index) + b"\0"


def wrmsr(index, value):
    return bytes([4]) + raw("I", index) + b"\1" + raw("Q", value)


def io(port, size=0, flags=0, count=None):
    return bytes([5]) + raw("H", port) + \
        (bytes([size, flags]) if count is None else bytes([size | 0x80, flags, count]))


def npf(gpa, write=0, insn=None):
    flags = write | (0x40 | 0x80 if insn is not None else 0)
    return bytes([9]) + raw("Q", gpa) + bytes([flags]) + \
        (b"" if insn is None else bytes([insn]))


def cr(number, value, write=1):
    return bytes([13, number, write | 0 << 1]) + raw("Q", value)


def dr(number, value):
    """By RBX."""
    return bytes([OP_GPR, 3]) + raw("Q", value) + bytes([14, number, 1 | 3 << 1])


HLT, VMMCALL, PAUSE, WBINVD, UD, GP, SHUTDOWN = (bytes([k]) for k in (6, 7, 8, 16, 17, 18, 20))
OP_GPR, OP_RIP, OP_FLAGS, OP_WRITE, OP_TIME, OP_SIGNAL = range(23, 29)
INTERRUPTS_ON = bytes([OP_FLAGS, 1, 0])


def flags(index, shadow=0):
    return bytes([OP_FLAGS, index, shadow])


# ---- Lives ----

def region(slot, region_flags, gpa, size, user):
    return call("VM", "SET_USER_MEMORY_REGION", slot, region_flags, raw("Q", gpa),
                raw("Q", size), user)


def plain():
    yield seed(0, call("DEV", "CREATE_VM", 0), call("VM", "CREATE_VCPU", 0),
               step("mmap", 0, 1), region(0, 0, 0, 0x200000, 0), run(HLT), step("close", VCPUS, 0),
               step("close", VMS, 0), step("close", DEV, 0))
    yield seed(ONE | LONG, run(cpuid(0), cpuid(1), cpuid(7), rdmsr(0x10), wrmsr(0x277, 0), HLT))
    yield seed(ONE | PROTECTED, run(io(0x3f8), io(0x60, 0, 1), io(0x60, 2, 2 | 1 | 4, 9)),
               step("run_page", 0, fix((18, 0))), run(), run())
    for insn in range(21):
        yield seed(ONE | LONG, run(npf(0x80000000, insn & 1, insn)),
                   step("run_page", 0, fix((7, 9))), run(), run(npf(0x1000), HLT))
    yield seed(ONE | LONG, run(*(npf(i * 0x1000, 1) for i in range(12))),
               step("unmap", 2, 1), step("migrate", 3), run(npf(0x3000, 1), npf(0x2000)),
               step("protect", 0, 4, 0), run(npf(0x4000, 1)), region(0, 0, 0, 0, 0))
    yield seed(ONE | LONG | IRQCHIP, run(cr(0, 0x80000031), cr(3, 0x180000), cr(4, 0x40620),
                                        cr(8, 3), UD, GP, VMMCALL, PAUSE, WBINVD, SHUTDOWN))
    yield seed(ONE, call("VM", "ENABLE_CAP", 3, 0, 5), call("VM", "X86_SET_MSR_FILTER", 0, 3,
               raw("I", 0x20), raw("I", 0x10), 0, 0, 0, 0, 0), run(rdmsr(0x10)), run(rdmsr(9)),
               step("run_page", 0, fix((5, b"\1"))), run(), run(wrmsr(0x1234, 5)), run())
    yield seed(TWO | LONG, spawn(run(PAUSE * 9, npf(0x5000, 1), HLT)),
               *(step("migrate", i) for i in range(5)), region(1, 0, 0x400000, 0x1000, 1),
               step("signal", 1), step("join"), schedule=b"\1\0\1\1" * 12)


    yield seed(ONE | LONG, step("memory", b"\0\0", b"\2\1\1"), step("collapse", 0),
               run(npf(0x3000, 1), npf(0x200000)), step("age", 0, 5, 1), step("migrate", 3),
               run(npf(0x3000, 1)), step("age", 0, 5, 2), step("collapse", 0), run(npf(0x9000)))


def private():
    def attribute(gpa, size, on):
        return call("VM", "SET_MEMORY_ATTRIBUTES", raw("Q", gpa), raw("Q", size), on << 3, 0)

    def make(slot, gpa, size):
        return call("VM", "CREATE_GUEST_MEMFD", raw("Q", size), 0) + \
            call("VM", "SET_USER_MEMORY_REGION2", slot, 3, raw("Q", gpa), raw("Q", size), 1,
                 raw("Q", 0), 0)

    yield seed(ONE | PRIVATE | LONG, make(1, 0x400000, 0x100000), attribute(0x400000, 0x8000, 1),
               run(npf(0x400000, 1), npf(0x402000, 1), npf(0x40a000, 1), npf(0x401000)),
               step("fallocate", 0, 3, raw("Q", 0), raw("Q", 0x4000)), run(npf(0x400000, 1)),
               attribute(0x400000, 0x2000, 0), run(npf(0x400000, 1)), step("close", GMEM, 0))
    yield seed(TWO | PRIVATE, make(1, 0x400000, 0x100000), attribute(0x400000, 0x100000, 1),
               spawn(run(*(npf(0x400000 + i * 0x1000, 1) for i in range(16)))),
               step("fallocate", 0, 3, raw("Q", 0), raw("Q", 0x100000)), step("yield"),
               attribute(0x400000, 0x8000, 0), step("join"), step("close", VMS, 0),
               schedule=b"\1\0\0\1" * 16)
    # Files that are made while the answer finds no place, or does.
    for place in range(8):
        yield seed(ONE | PRIVATE, call("VM", "CREATE_GUEST_MEMFD", raw("Q", 0x10000), 0,
                                       flags=place << 4), step("close", VMS, 0))


def interrupts():
    routes = call("VM", "SET_GSI_ROUTING", 1, 0, raw("I", 2), 0, 0, 0, 0, 0)
    irqfd = call("VM", "IRQFD", 0, 0, 0, 0)
    on = b"".join((wrmsr(0x80f, 0x1ff), INTERRUPTS_ON))
    yield seed(ONE | LONG | IRQCHIP, step("eventfd", 0), routes, irqfd,
               call("VCPU", "SET_LAPIC", fix((4, struct.pack("<I", 0x1ff)))),
               step("write", 0, 1), run(INTERRUPTS_ON, PAUSE, PAUSE, HLT), step("close", EVENTFD, 0),
               run(HLT))
    yield seed(TWO | LONG | IRQCHIP, call("VM", "SIGNAL_MSI", 0, 0, 0, 0), step("eventfd", 1),
               routes, irqfd, call("VM", "IRQFD", 0, 0, 1, 0), call("VM", "IRQ_LINE", 0, 1),
               call("VM", "SIGNAL_MSI", 0, 0, 6, 0), call("VM", "SIGNAL_MSI", 1, 0, 7, 0),
               run(index=1), run(on, HLT))
    yield seed(ONE | LONG | IRQCHIP | X2APIC,
               call("VCPU", "SET_SREGS", fix((4, 2))),
               run(wrmsr(0x80f, 0x1ff), wrmsr(0x83f, 0x31), wrmsr(0x830, 0x40032), INTERRUPTS_ON,
                   PAUSE, wrmsr(0x80b, 0), wrmsr(0x832, 0x40033), wrmsr(0x6e0, 1 << 32), HLT),
               step("time", 4), run(PAUSE, HLT))
    yield seed(ONE | LONG, step("eventfd", 0),
               call("VM", "IOEVENTFD", 0, raw("Q", 0x3f8), 1, 0, 2 | 1),
               call("VM", "IOEVENTFD", 1, raw("Q", 0x80000000), 4, 0, 0),
               run(io(0x3f8), npf(0x80000000, 1, 1), npf(0x80000000, 1, 3), HLT),
               step("poll", EVENTFD), step("read", EVENTFD, b"\x08\0"),
               call("VM", "IOEVENTFD", 1, raw("Q", 0x80000000), 4, 0, 4), step("close", EVENTFD, 0))
    # Level-triggered: the end of the interrupt is userspace's to hear.
    yield seed(ONE | LONG | IRQCHIP | X2APIC, call("VCPU", "SET_SREGS", fix((4, 2))),
               call("VM", "SET_GSI_ROUTING", 1, 1, 2, 0, 0, 0, 4, 0),
               run(wrmsr(0x80f, 0x1ff)), call("VM", "IRQ_LINE", 1, 1),
               run(INTERRUPTS_ON, PAUSE, PAUSE, wrmsr(0x80b, 0), PAUSE, HLT), run(HLT))
    # An exception in the double fault's delivery.
    yield seed(ONE | PROTECTED, call("VCPU", "SET_VCPU_EVENTS", fix((0, b"\1"), (1, b"\x08"))),
               call("VCPU", "SET_GUEST_DEBUG", 6, 0, 0), run(HLT), step("snapshot", 0))
    yield seed(ONE | IRQCHIP | PROTECTED, call("VCPU", "NMI", 0), call("VCPU", "NMI", 0),
               run(PAUSE, flags(0, 1), PAUSE, HLT), call("VCPU", "SET_GUEST_DEBUG", 2, 0, 0),
               run(PAUSE))


def memory():
    log = call("VM", "GET_DIRTY_LOG", 0, 0)
    clear = call("VM", "CLEAR_DIRTY_LOG", 0, b"\0\2\0\0", 0, 0)
    dirty = run(*(npf(i * 0x3000, 1) for i in range(8)))
    logged = call("VM", "SET_USER_MEMORY_REGION", 0, 1, 0, 5, 0)
    yield seed(ONE | LONG, dirty, logged, dirty, log, dirty, log,
               call("VM", "SET_USER_MEMORY_REGION", 0, 0, 0, 5, 0), dirty)
    yield seed(ONE | LONG, call("VM", "ENABLE_CAP", 2, 0, 2), logged, dirty, log, clear, dirty)
    yield seed(TWO | LONG, logged, spawn(dirty, dirty), log, step("yield"), log, step("join"),
               schedule=b"\1\0\1" * 20)
    # Pages go while others fault them in.
    for pattern in (b"\1\0\1", b"\0\1", b"\0\0\1"):
        yield seed(TWO | LONG, spawn(run(*(npf(0x1000, 1),) * 8)), step("unmap", 2, 1),
                   step("yield"), step("migrate", 1), step("yield"), step("unmap", 2, 1),
                   step("join"), schedule=pattern * 20)
    yield seed(ONE | LONG, call("VM", "SET_USER_MEMORY_REGION", 1, 2, 7, 1, 5),
               run(npf(0x400000), npf(0x400000, 1, 1)), step("protect", 5, 1, 1),
               call("VM", "SET_USER_MEMORY_REGION", 1, 2, 7, 0, 5))


def measured():
    read = call("VM", "GET_MEASUREMENT", b"\0\4\0\0", 0)
    declare = call("VM", "MEASURE_REGION", 0, 2, 1, 0, 0) + \
        call("VM", "MEASURE_REGION", 4, 1, 0, 0, 0) + call("VM", "MEASURE_REGION", 3, 1, 2, 0, 0)
    yield seed(ONE | LONG | MEASURED, step("memory", b"\x80\0", b"\2\xf4\x90"), declare, read,
               call("VM", "MEASURE_SEAL", 0), read, call("VCPU", "SET_REGS", fix((2, 1))),
               run(HLT), call("VM", "SET_USER_MEMORY_REGION", 1, 0, 7, 1, 1), read)
    yield seed(TWO | MEASURED, declare, spawn(run(HLT)), call("VM", "MEASURE_SEAL", 0),
               call("VCPU", "SET_REGS", fix((2, 1)), index=1), read, step("join"),
               schedule=b"\1\0\1\1" * 8)


def state():
    pairs = {
        "REGS": fix((0, 1), (2, 8), (17, 16)),
        "SREGS": fix((5, 3), (6, 8), (7, 3)),
        "SREGS2": fix((6, 8), (16, 3)),
        "FPU": fix((0, raw("I", 0x1fa0)), (1, b"\x7f\x02")),
        "XSAVE": fix((1, 2), (4, 5), (5, 6)),
        "XCRS": fix((0, 2)),
        "DEBUGREGS": fix((0, 2), (2, 5), (3, 8)),
        "VCPU_EVENTS": fix((0, b"\1"), (1, b"\x0d"), (2, b"\1"), (3, b"\7\0\0\0"), (9, b"\1")),
        "LAPIC": fix((1, b"\x20\0\0\0"), (4, b"\xff\1\0\0"), (12, b"\0\0\4\0"),
                     (16, b"\x31\0\1\0")),
    }
    for name, patches in pairs.items():
        yield seed(ONE | LONG | IRQCHIP, call("VCPU", "GET_" + name),
                   call("VCPU", "SET_" + name, patches), step("snapshot", 0), run(PAUSE),
                   step("snapshot", 0))
    yield seed(ONE | LONG | IRQCHIP, call("VCPU", "SET_MP_STATE", 3), call("VCPU", "GET_MP_STATE"),
               step("snapshot", 0))
    yield seed(ONE, call("VCPU", "SET_MSRS", 2, 25, 3, 55, 2, 0), call("VCPU", "GET_MSRS", 2, 25, 0,
               55, 0, 0), step("snapshot", 0))
    yield seed(ONE, call("VCPU", "SET_CPUID2", 0), call("VCPU", "X86_SETUP_MCE", 0),
               call("VCPU", "SET_TSC_KHZ", 1), step("snapshot", 0))
    yield seed(ONE | LONG | IRQCHIP, run(cpuid(0), wrmsr(0xc0000103, 7), wrmsr(0x802, 1),
                                        cr(4, 0x40620), bytes([15, 2, 0]), dr(0, 0x1234),
                                        dr(7, 0x401), UD, HLT),
               step("snapshot", 0))
    yield seed(ONE | PROTECTED, call("VCPU", "SET_VCPU_EVENTS",
               fix((0, b"\1"), (1, b"\x0d"), (2, b"\1"))), step("snapshot", 0),
               call("VM", "SET_CLOCK", 4, 0, 0, 0), call("VM", "GET_CLOCK"), step("snapshot", 0))
    yield seed(TWO | LONG | IRQCHIP, wrong_hands())
    yield seed(TWO | LONG, call("VM", "GET_STATS_FD", 0), call("VCPU", "GET_STATS_FD", 0),
               run(HLT), step("read", STATS, b"\0\x10"), step("read", STATS | 1 << 3, b"\0\x1f"),
               step("close", VMS, 0), step("close", VCPUS, 0), step("read", STATS, b"\0\2"))


def wrong_hands():
    """Descriptors of other objects, another process, copies that outlive, allocations that fail."""
    return call("VCPU", "GET_REGS", flags=8) + call("VM", "CREATE_VCPU", 5, flags=0x80) + \
        run(HLT) + step("dup", VCPUS) + step("close", VMS, 1) + step("close", VCPUS, 1) + \
        call("VCPU", "GET_SREGS", index=2) + step("fail_alloc", 3) + \
        call("VM", "CREATE_VCPU", 7) + step("fail_copy", b"\x20\0") + call("VCPU", "GET_REGS") + \
        call("VCPU", "GET_LAPIC", flags=0x30) + call("VCPU", "GET_REGS", flags=0x60)


def lists():
    yield seed(VM, call("DEV", "GET_SUPPORTED_CPUID", b"\0", raw("I", 100)),
               call("DEV", "GET_MSR_INDEX_LIST", b"\0", raw("I", 200)),
               call("DEV", "GET_MSR_FEATURE_INDEX_LIST", b"\0", raw("I", 20)),
               call("DEV", "GET_MSRS", 1, 18, 0, 0), call("DEV", "X86_GET_MCE_CAP_SUPPORTED"),
               call("DEV", "GET_API_VERSION", 0), call("DEV", "GET_VCPU_MMAP_SIZE", 0),
               *(call("DEV", "CHECK_EXTENSION", i) for i in range(19)),
               *(call("VM", "CHECK_EXTENSION", i) for i in range(19)),
               call("VM", "SET_TSC_KHZ", 1), call("VM", "GET_TSC_KHZ", 0),
               call("VM", "SET_BOOT_CPU_ID", 1), call("VM", "SET_TSS_ADDR", struct.pack("<Q", 0)),
               call("VM", "SET_IDENTITY_MAP_ADDR", struct.pack("<Q", 0)),
               call("VM", "CREATE_VCPU", 1), call("VCPU", "SET_VAPIC_ADDR", 0),
               call("VCPU", "KVMCLOCK_CTRL", 0), call("VCPU", "GET_TSC_KHZ", 0))


def ioctl():
    for lives in (plain, private, interrupts, memory, measured, state, lists):
        yield from lives()


def mmio_decode():
    for size, insn in ((2, "8908 4c898801020304 8a26 408a26 0fb607 480fbf07 486307 a10102030405060708 "
                        "c70504000000ffffffff 48c704cb01000000 f0830880 3910 3b10 f60080 48f710 66ff00 "
                        "448700 65f3a5 26a4 f348ab 66f3ab 480fc308 0f22d8 450f20c2 0f233b 0f017008"),
                       (1, "6307 a201020304 26ac 89482090 f00f22c1 0f21f0 0f06 0f01f1 66c7058000000012"),
                       (0, "c7063412cd0b 668902 67668b442404 f3ab a4 0f22c0")):
        for text in insn.split():
            yield bytes([size]) + bytes.fromhex(text)


SEEDS = {
    "kernel-mmio_decode": mmio_decode,
    "kernel-ioctl": ioctl,
}
