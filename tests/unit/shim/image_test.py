#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shim's image itself. Prints TAP. Installed as build/unit/shim/image_test, or given build/.

What the file must be: small, without relocations or writable data, without instructions that
an SNP guest's first stage has no use for, and the same bytes wherever it is built.

What it does: it runs in QEMU from its first byte to Linux's entry. QEMU has no SNP, so the
C-bit is an address bit at which the same memory appears a second time, and this program is the
host: it stops the guest at PVALIDATE, RMPADJUST, RDMSR, WRMSR and VMGEXIT through QEMU's
debugger port, and does what they would do. Then it lies, or breaks the shim's state, and
reads the reason that the shim gives.
"""
import hashlib
import mmap
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

PAGE = 4096
RAM = 64 << 20
HIGH_AT, HIGH = 4 << 30, (1 << 30) + (6 << 20)
IMAGE, PARAMS, CPUID, WORK, WORK_END = 0x10000, 0x20000, 0x22000, 0x23000, 0x40000
VARS, GHCB, STACK, KEEP, ZERO_PAGE, SETUP_DATA = 0x23000, 0x24000, 0x26000, 0x38000, 0x3e000, 0x3f000
CMDLINE, ACPI, LOAD, INITRD = 0x40000, 0x50000, 0x1000000, 0x3000000
SETUP = 10 * 512
INIT_SIZE = 0x800000
STOPS_MAX = 10000
MSR_GHCB, MSR_STATUS = 0xC0010130, 0xC0010131
RIP, EFLAGS, CS, CR0, CR3, CR4, EFER = 16, 17, 18, 27, 29, 30, 32
RAX, RBX, RCX, RDX, RSI, RDI, RSP = 0, 1, 2, 3, 4, 5, 7


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


def reasons(header="include/bawn/shim.h"):
    with open(header, encoding="ascii") as file:
        found = re.findall(r"X\((\w+), (0x[0-9a-f]+),", file.read())
    return {name: int(code, 16) for name, code in found}


REASON = reasons()


class Image:
    """The image, and where in it the instructions are that the host must serve."""

    def __init__(self, build):
        self.elf = f"{build}/guest/shim.elf"
        with open(f"{build}/guest/shim.bin", "rb") as file:
            self.bytes = file.read()
        self.code = run("objdump", "-d", "-M", "suffix", self.elf, text=True)
        # The first instructions are 32-bit ones, which this reading of them does not matter for.
        self.stops = {}
        for address, text in re.findall(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t(.*)$", self.code, re.M):
            name = re.search(r"\b(pvalidate|rmpadjust|rdmsr|wrmsr|vmgexit)\b", text)
            if name:
                self.stops[int(address, 16)] = name.group(1)
        self.symbols = {}
        for line in run("nm", self.elf, text=True).splitlines():
            value, _, name = line.split()
            self.symbols[name] = int(value, 16)
        # fail32 begins MOV, XOR, WRMSR, VMGEXIT; objdump reads it as 64-bit code.
        fail32 = self.symbols["fail32"] - IMAGE
        early = self.bytes[fail32:fail32 + 16]
        self.early = {IMAGE + fail32 + early.index(b"\x0f\x30"): "wrmsr",
                      IMAGE + fail32 + early.index(b"\xf3\x0f\x01\xd9"): "vmgexit"}
        start = self.symbols["start64"]
        self.stops = {a: n for a, n in self.stops.items() if a >= start} | self.early


def kernel():
    image = bytearray(SETUP) + bytes((i * 7 + 1) & 0xff for i in range(SETUP, SETUP + 100001))
    image[0x1f1] = SETUP // 512 - 1
    image[0x200:0x202] = b"\xeb\x6a"
    image[0x202:0x206] = b"HdrS"
    image[0x211] = image[0x234] = 1
    for at, form, value in ((0x206, "<H", 0x20f), (0x22c, "<I", 0x7fffffff), (0x230, "<I", 0x200000),
                            (0x236, "<H", 0x7f), (0x238, "<I", 2047), (0x258, "<Q", LOAD),
                            (0x260, "<I", INIT_SIZE)):
        struct.pack_into(form, image, at, value)
    return bytes(image)


def cpuid_page(cbit, sev_eax=0x1a, rdrand=1 << 30):
    entry = struct.Struct("<IIQQIIIIQ")
    entries = [entry.pack(1, 0, 0, 0, 0xa00f11, 0, rdrand, 0, 0),
               entry.pack(0x8000001f, 0, 0, 0, sev_eax, cbit | 1 << 6, 0, 0, 0)]
    return (struct.pack("<IIQ", len(entries), 0, 0) + b"".join(entries)).ljust(PAGE, b"\0")


def blob(gpa, data):
    return struct.pack("<QQ", gpa, len(data)) + hashlib.sha256(data).digest()


class Launch:
    """What is in guest memory at launch: (gpa, bytes), changed by tests before the run."""

    def __init__(self, image, cbit):
        self.image, self.cbit = image, cbit
        self.kernel, self.initrd = kernel(), bytes(i & 0xff for i in range(70000))
        self.cmdline = b"console=ttyS0 quiet\0"
        self.ram = [(0, 0xa0000), (0x100000, RAM - 0x100000), (HIGH_AT, HIGH)]
        self.cpuid = cpuid_page(cbit)

    def params(self):
        page = struct.pack("<8sIIIIQQQ", b"BAWNSHIM", 1, PAGE, 0, 1, ACPI, ACPI, 0x2000)
        page += blob(LOAD - SETUP, self.kernel) + blob(INITRD, self.initrd)
        page += blob(CMDLINE, self.cmdline) + struct.pack("<II", len(self.ram), 0)
        return page + b"".join(struct.pack("<QQ", *r) for r in self.ram)

    def pages(self):
        return [(IMAGE, self.image.bytes), (PARAMS, self.params().ljust(PAGE, b"\0")),
                (ACPI, b"RSD PTR ".ljust(0x2000, b"\0")), (0x21000, bytes(PAGE)),
                (CPUID, self.cpuid), (WORK, bytes(WORK_END - WORK)),
                (LOAD - SETUP, self.kernel), (INITRD, self.initrd), (CMDLINE, self.cmdline)]


def firmware():
    """64 KiB before 4 GiB: to flat 32-bit protected mode, and to the shim's entry."""
    rom = bytearray(b"\xf4" * 0x10000)
    gdt = 0xff80
    rom[0xfff0:0xfff3] = b"\xe9" + struct.pack("<h", 0xff00 - 0xfff3)
    code = b"\xfa\x66\x2e\x0f\x01\x16" + struct.pack("<H", gdt - 8)    # cli; lgdt
    code += b"\x0f\x20\xc0\x0c\x01\x0f\x22\xc0"                        # cr0 |= 1
    code += b"\x66\xea" + struct.pack("<IH", 0xffffff40, 8)            # ljmp
    rom[0xff00:0xff00 + len(code)] = code
    code = b"\x66\xb8\x10\x00\x8e\xd8\x8e\xc0\x8e\xd0\xb8" + struct.pack("<I", IMAGE) + b"\xff\xe0"
    rom[0xff40:0xff40 + len(code)] = code
    rom[gdt - 8:gdt] = struct.pack("<HIH", 0x17, 0xffff0000 + gdt, 0)
    rom[gdt:gdt + 24] = struct.pack("<QQQ", 0, 0x00cf9b000000ffff, 0x00cf93000000ffff)
    return bytes(rom)


class Debugger:
    """The few packets of GDB's remote protocol that are needed."""

    def __init__(self, connection):
        self.connection, self.buffer = connection, b""

    def byte(self):
        while not self.buffer:
            self.buffer = self.connection.recv(4096)
            if not self.buffer:
                raise EOFError("QEMU has gone")
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    def ask(self, packet):
        data = packet.encode()
        self.connection.sendall(b"$" + data + b"#%02x" % (sum(data) & 0xff))
        while self.byte() != b"$":
            pass
        answer = b""
        while (c := self.byte()) != b"#":
            answer += c
        self.byte(), self.byte()
        self.connection.sendall(b"+")
        return answer.decode()

    def get(self, register):
        return int.from_bytes(bytes.fromhex(self.ask(f"p{register:x}")), "little")

    def set(self, register, value):
        size = 4 if register in (EFLAGS,) else 8
        answer = self.ask(f"P{register:x}={value.to_bytes(size, 'little').hex()}")
        assert answer == "OK", answer

    def stop_at(self, address):
        assert self.ask(f"Z1,{address:x},1") == "OK"

    def run(self):
        answer = self.ask("c")
        assert answer.startswith(("T05", "S05")), answer
        return self.get(RIP)


class Host:
    """QEMU with the guest, and an SNP host's answers. Ends with a reason or at Linux's entry."""

    def __init__(self, launch):
        self.launch, self.cbit = launch, launch.cbit
        self.stops = dict(launch.image.stops)
        self.directory = tempfile.TemporaryDirectory(prefix="bawn-shim-")
        self.ghcb, self.status, self.reason = 0, 7, None
        self.state, self.order = {}, []
        self.at = {}    # name of instruction: what is done instead, once
        self.done = False
        path = self.directory.name + "/ram"
        with open(path, "wb") as file:
            file.truncate(RAM)
        with open(path, "r+b") as file:
            self.ram = mmap.mmap(file.fileno(), RAM)
        for gpa, data in launch.pages():
            self.ram[gpa:gpa + len(data)] = data
            for page in range(gpa & -PAGE, gpa + len(data), PAGE):
                self.state[page] = "validated"
        with open(self.directory.name + "/rom", "wb") as file:
            file.write(firmware())

    def boot(self):
        top = 1 << self.cbit
        memory = f"memory-backend-file,share=on,mem-path={self.directory.name}/ram,size={RAM}"
        port = self.directory.name + "/gdb"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(port)
        listener.listen()
        listener.settimeout(30)
        qemu = subprocess.Popen([
            "qemu-system-x86_64", "-accel", "tcg", "-machine", "pc,memory-backend=low",
            "-cpu", f"max,phys-bits={self.cbit + 1}", "-m",
            f"{RAM >> 20}M,slots=1,maxmem={(top + (4 << 30)) >> 20}M",
            "-object", memory + ",id=low", "-object", memory + ",id=high",
            "-device", f"pc-dimm,memdev=high,addr={top:#x}", "-bios", self.directory.name + "/rom",
            "-nodefaults", "-display", "none", "-no-reboot", "-S",
            "-chardev", f"socket,id=gdb,path={port}", "-gdb", "chardev:gdb"])
        try:
            connection = listener.accept()[0]
            connection.settimeout(60)
            self.debugger = Debugger(connection)
            self.serve()
        finally:
            qemu.kill()
            qemu.wait()
            listener.close()
        return self

    def serve(self):
        for address in self.stops:
            self.debugger.stop_at(address)
        self.debugger.stop_at(LOAD + 0x200)
        for _ in range(STOPS_MAX):
            if self.reason is not None:
                return
            rip = self.debugger.run()
            if rip == LOAD + 0x200:
                self.registers = [self.debugger.get(r) for r in range(33)]
                self.done = True
                return
            name = self.stops[rip]
            if name in self.at:
                self.at.pop(name)(self.debugger)
                continue
            length = getattr(self, name)()
            self.debugger.set(RIP, rip + length)
        raise AssertionError(f"no end after {STOPS_MAX} stops")

    def wrmsr(self):
        d = self.debugger
        assert d.get(RCX) & 0xffffffff == MSR_GHCB
        self.ghcb = (d.get(RDX) & 0xffffffff) << 32 | d.get(RAX) & 0xffffffff
        return 2

    def rdmsr(self):
        d = self.debugger
        msr = d.get(RCX) & 0xffffffff
        assert msr in (MSR_GHCB, MSR_STATUS), hex(msr)
        value = self.ghcb if msr == MSR_GHCB else self.status
        d.set(RAX, value & 0xffffffff)
        d.set(RDX, value >> 32)
        return 2

    def vmgexit(self):
        request, code = self.ghcb, self.ghcb & 0xfff
        gpa = request & 0x000ffffffffff000
        if code == 0x100:
            assert request >> 12 & 0xf == 1 and request >> 24 == 0
            self.reason = request >> 16 & 0xff
        elif code == 0x014:
            want = {1: "private", 2: "shared"}[request >> 52]
            assert self.state.get(gpa, "private") != "validated"
            self.state[gpa] = want
            self.ram[gpa:gpa + PAGE] = b"\xdd" * PAGE
            self.order.append((want, gpa))
            self.ghcb = 0x015
        else:
            self.ghcb = {0x002: 2 << 48 | 1 << 32 | self.cbit << 24 | 1, 0x080: 3 << 12 | 0x081,
                         0x012: gpa | 0x013}[code]
        return 4

    def pvalidate(self):
        d = self.debugger
        gpa, size, validate = d.get(RAX), d.get(RCX), d.get(RDX)
        if gpa >= HIGH_AT:
            # Through the window: which GiB is what its first table entry says.
            table = struct.unpack_from("<Q", self.ram, 0x36000)[0]
            assert table >> self.cbit & 1
            gpa = gpa - HIGH_AT + (table & 0xfffffffffffff000 & ~(1 << self.cbit | 1 << 63))
            gpa &= ~0x1ff
        pages = range(gpa, gpa + (2 << 20 if size else PAGE), PAGE)
        states = {self.state.get(page, "private") for page in pages}
        carry, result = 0, 0
        if len(states) > 1:
            result = 6
        else:
            want = "validated" if validate else "private"
            carry = states == {want}
            for page in pages:
                self.state[page] = want
        flags = d.get(EFLAGS) & ~1
        d.set(RAX, result)
        d.set(EFLAGS, flags | int(carry))
        return 4

    def rmpadjust(self):
        assert self.debugger.get(RDX) == 1
        self.debugger.set(RAX, 0)
        return 4


def ends(host, name):
    """Runs the guest, which must end with this reason."""
    host.boot()
    assert host.reason == REASON[name], f"reason {host.reason}, want {name}"


# ---- Tests ----

def test_file(image):
    assert len(image.bytes) <= 0x10000, len(image.bytes)
    sections = re.findall(r"\] (\.\w+) +(\w+) +\w+ \w+ (\w+) \w+ +(\w*) ",
                          run("readelf", "-SW", image.elf, text=True))
    loaded = {name: flags for name, kind, size, flags in sections if "A" in flags}
    assert loaded == {".text": "AX", ".rodata": "A"}, loaded
    assert "no relocations" in run("readelf", "-rW", image.elf, text=True)
    assert run("nm", "-u", image.elf) == b""
    assert image.symbols["shim_image"] == IMAGE


def test_instructions(image):
    bad = re.findall(r"\t((?:cpuid|in[bwlsq]?|out[bwlsq]?|ins[bwl]|rdtscp?|xgetbv|fninit)\b.*"
                     r"|.*%[xyz]?mm\d.*)$", image.code, re.M)
    assert not bad, bad
    counts = sorted(image.stops.values())
    assert counts.count("pvalidate") == counts.count("rmpadjust") == counts.count("rdmsr") == 1


def test_reproducible(image):
    built = []
    for name in ("a", "another/place/with a longer name".replace(" ", "-")):
        with tempfile.TemporaryDirectory(prefix="bawn-build-") as top:
            tree = os.path.join(top, name)
            os.makedirs(tree)
            shutil.copy("Makefile", tree)
            for part in ("mk", "guest", "include"):
                shutil.copytree(part, os.path.join(tree, part))
            environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
            run("make", "-s", "-C", tree, "build/guest/shim.bin", env=environment,
                stderr=subprocess.STDOUT)
            with open(tree + "/build/guest/shim.bin", "rb") as file:
                built.append(file.read())
    assert built[0] == built[1] == image.bytes


def boots(image, cbit):
    host = Host(Launch(image, cbit))
    low = b"\xee" * PAGE
    host.ram[0:PAGE] = low
    host.ram[0x1000:0x2000] = low
    host.boot()
    assert host.done, f"reason {host.reason}"
    r = host.registers
    assert r[RSI] == ZERO_PAGE
    assert all(r[n] == 0 for n in range(16) if n not in (RAX, RSI)), r
    assert r[CS:CS + 4] == [0x10, 0x18, 0x18, 0x18], r[CS:CS + 6]
    assert not r[EFLAGS] & 0x600, "interrupts and direction"
    assert r[CR3] == 1 << cbit | KEEP
    assert r[CR0] & 0x80010001 == 0x80010001 and r[CR4] == 0x20 and r[EFER] & 0xd00 == 0xd00
    # All RAM once, the GHCB there and back.
    for start, size in host.launch.ram:
        for page in range(start, start + size, PAGE):
            assert host.state.get(page) == "validated", hex(page)
    assert len(host.state) == sum(size for _, size in host.launch.ram) // PAGE
    assert host.order == [("shared", GHCB), ("private", GHCB)]
    assert host.ghcb == 0
    # Nothing of the shim's is left but what Linux reads.
    assert not any(host.ram[WORK:KEEP])
    assert not any(host.ram[0:PAGE]) and host.ram[0x1000:0x2000] == low
    zero = host.ram[ZERO_PAGE:ZERO_PAGE + PAGE]
    fields = [struct.unpack_from("<I", zero, at)[0] for at in (0x214, 0x218, 0x21c, 0x228, 0x250, 0x70)]
    assert fields == [LOAD, INITRD, 70000, CMDLINE, SETUP_DATA, ACPI], fields
    assert zero[0x1e8] == 7
    node = struct.unpack_from("<QIII", host.ram, SETUP_DATA)
    assert struct.unpack_from("<I", host.ram, node[3])[0] == 0x45444d41


def test_boots_47(image):
    boots(image, 47)


def test_boots_51(image):
    boots(image, 51)


def test_early_failures(image):
    for page, reason in ((cpuid_page(47, rdrand=0), "RDRAND"), (cpuid_page(47, sev_eax=2), "NO_SNP"),
                         (cpuid_page(31), "CBIT"), (cpuid_page(52), "CBIT"),
                         (bytes(PAGE), "CPUID_PAGE"),
                         (b"\x41" + cpuid_page(47)[1:], "CPUID_PAGE")):
        launch = Launch(image, 47)
        launch.cpuid = page
        ends(Host(launch), reason)


def test_cbit_is_checked(image):
    """Another memory than the one that was written before paging was on shows at the C-bit."""
    host = Host(Launch(image, 47))
    start = image.symbols["start64"]

    def change(debugger):
        host.ram[VARS + 8] ^= 0xff
        assert debugger.ask(f"z1,{start:x},1") == "OK"
    host.at["start64"] = change
    host.stops[start] = "start64"
    ends(host, "CBIT")


def test_replay(image):
    host = Host(Launch(image, 47))
    host.state[0x2345000] = "validated"
    ends(host, "REPLAY")
    host = Host(Launch(image, 47))
    for page in range(HIGH_AT + HIGH - (2 << 20), HIGH_AT + HIGH, PAGE):
        host.state[page] = "validated"
    ends(host, "REPLAY")


def test_hashes(image):
    for gpa, reason in ((LOAD + 0x1234, "KERNEL_HASH"), (INITRD + 69999, "INITRD_HASH"),
                        (CMDLINE, "CMDLINE_HASH")):
        host = Host(Launch(image, 47))
        host.ram[gpa] ^= 1
        ends(host, reason)


def test_exceptions(image):
    """What the exception stubs, the guard pages, the page rights and the canary end with."""
    symbols = image.symbols

    def jump(to, **registers):
        def change(debugger):
            for name, value in registers.items():
                debugger.set({"rsp": RSP, "rdi": RDI, "rdx": RDX, "rsi": RSI}[name], value)
            debugger.set(RIP, to)
        return change

    def native(debugger):
        """QEMU does not know RMPADJUST."""
        for address in image.stops:
            if image.stops[address] == "rmpadjust":
                assert debugger.ask(f"z1,{address:x},1") == "OK"

    cases = (("an invalid opcode", native, "EXCEPTION"),
             ("the stack's end", jump(symbols["shim_main"], rsp=STACK), "PAGE_FAULT"),
             ("writing code", jump(symbols["memset"], rdi=IMAGE, rdx=8), "PAGE_FAULT"),
             ("writing read-only data", jump(symbols["memset"], rdi=symbols["gdt"], rdx=8),
              "PAGE_FAULT"),
             ("reading the secrets", jump(symbols["memcpy"], rsi=0x21000, rdi=STACK, rdx=8),
              "PAGE_FAULT"),
             ("running data", jump(STACK), "PAGE_FAULT"))
    for what, change, reason in cases:
        host = Host(Launch(image, 47))
        host.at["rmpadjust"] = change
        try:
            ends(host, reason)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from error

    host = Host(Launch(image, 47))
    host.at["rmpadjust"] = lambda debugger: (
        host.ram.__setitem__(slice(VARS, VARS + 8), b"overrun!"),
        debugger.set(RAX, 0), debugger.set(RIP, debugger.get(RIP) + 4))
    ends(host, "CANARY")


def test_forged_vc(image):
    """Runs the #VC stub as an injection would: with a frame that the host chose."""
    for error, reason in ((0x72, "VC_FORGED"), (0x404, "VC_PAGE"), (0x7c, "VC_INTERCEPT")):
        host = Host(Launch(image, 47))
        where = next(a for a, n in image.stops.items() if n == "rdmsr")

        def inject(debugger, error=error, host=host, where=where):
            struct.pack_into("<QQ", host.ram, 0x2dfc0, error, where)
            debugger.set(RSP, 0x2dfc0)
            debugger.set(RIP, image.symbols["shim_stubs"] + 29 * 16)
        host.at["rmpadjust"] = inject
        ends(host, reason)


def main(build):
    image = Image(build)
    tests = [value for name, value in globals().items() if name.startswith("test_")]
    in_file = (test_file, test_instructions, test_reproducible)
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_")
        if test not in in_file and not shutil.which("qemu-system-x86_64"):
            print(f"ok {number} - {name} # SKIP no qemu-system-x86_64", flush=True)
            continue
        try:
            test(image)
            print(f"ok {number} - {name}", flush=True)
        except (AssertionError, EOFError, OSError, KeyError, subprocess.CalledProcessError) as error:
            failed += 1
            print(f"# {type(error).__name__}: {error}")
            print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else
                  os.path.relpath(os.path.join(os.path.dirname(__file__), "../.."))))
