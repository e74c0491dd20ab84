#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Inspects every program, library and kernel module that is shipped (tests/build/hardening.py, module.py),
and shows that the inspection sees each thing it looks for: one bad specimen of each kind is made with
this machine's compiler and has to be found out."""
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import hardening  # noqa: E402
import module  # noqa: E402
from points import run_all, test  # noqa: E402

BUILD = os.environ.get("BAWN_BUILD", "build")
CC = os.environ.get("CC", "gcc").split()
CODE = """
#include <stdio.h>
#include <string.h>
extern int good_name(const char *text);
__attribute__((visibility("default"))) int good_name(const char *text)
{
    char copy[32];
    strncpy(copy, text, sizeof copy - 1);
    copy[31] = 0;
    return snprintf(copy, sizeof copy, "%s %d", text, copy[0]) + copy[1];
}
int main(int count, char **words)
{
    (void)count;
    return good_name(words[0]) == 0;
}
"""


# ---- What is shipped ----

def nothing(findings):
    assert not findings, "\n".join(findings)


def each(paths, inspect):
    found = [f"{path}: {said}" for path in paths for said in inspect(path)]
    assert paths, "there is none: run `make programs module platform-module`"
    nothing(found)


@test
def programs(_):
    """every program in build/bin"""
    each(sorted(glob.glob(BUILD + "/bin/*")), hardening.program)


@test
def libraries(_):
    """every shared library in build/lib, with the names of its map only"""
    each([p for p in sorted(glob.glob(BUILD + "/lib/*.so*")) if not os.path.islink(p)], lambda path:
         hardening.library(path, re.sub(r".*/libbawn-(\w+).so.*", r"\1/lib/libbawn-\1.map", path)))


@test
def archives(_):
    """every static library that is shipped"""
    each(sorted(glob.glob(BUILD + "/lib/libbawn-*.a")), hardening.archive)


def modules():
    """(bawn.ko, bawn_platform.ko or none, headers) of each flavour that is built"""
    for path in sorted(glob.glob(BUILD + "/kernel/*/bawn.ko")):
        flavour = path.split("/")[-2]
        release = module.information(module.elf.Elf(path))["vermagic"].split()[0]
        headers = "/usr/src/linux-headers-" + release
        user = f"{BUILD}/platform/{flavour}/bawn_platform.ko"
        if flavour in ("cloud", "standard", "host") and os.path.exists(headers + "/.config"):
            yield path, [user] if os.path.exists(user) else [], headers


@test
def kernel_modules(_):
    """every bawn.ko and bawn_platform.ko, as the kernel's configuration asks"""
    found = []
    assert list(modules()), "there is none: run `make module platform-module`"
    for path, users, headers in modules():
        found += [f"{path}: {said}" for said in module.module(path, headers, users)
                  if users or "nobody of ours takes" not in said]
        found += [f"{user}: {said}" for user in users for said in module.module(user, headers)]
    nothing(found)


# ---- Specimens ----

class Bench:
    """Makes specimens in a folder, as mk/harden.mk would, but for what is asked to be wrong."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        lines = subprocess.run(["make", "-s", "--no-print-directory", "harden-flags"], check=True,
                               capture_output=True, text=True).stdout.splitlines()
        self.compile, self.program, self.shared = (line.split() for line in lines[-3:])
        self.map = self.write("good.map", "GOOD_0 {\nglobal:\n\tgood_name;\nlocal:\n\t*;\n};\n")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def make(self, less=(), more=(), link=(), code=CODE, base=None, pic="-fPIE"):
        """A program; or what `base` links, of objects compiled with `pic`. `less` is left out of all flags."""
        self.count += 1
        source, path = self.write(f"{self.count}.c", code), os.path.join(self.folder, str(self.count))
        flags = [f for f in self.compile + [pic] if f not in less] + list(more)
        last = [f for f in base or self.program if f not in less] + list(link)
        subprocess.run([*CC, "-std=c11", "-D_GNU_SOURCE", "-I.", *flags, "-c", "-o", path + ".o", source], check=True)
        subprocess.run([*CC, *last, "-Wl,--no-warnings", "-o", path, path + ".o"], check=True,
                       stderr=subprocess.DEVNULL)
        return path

    def library(self, map_path=None, **wrong):
        path = self.make(base=[*self.shared, f"-Wl,--version-script={map_path or self.map}"], pic="-fPIC", **wrong)
        return hardening.library(path, self.map)


BAD = [  # what is done to a good program, and what must be said of it
    ("not a position-independent executable", {"link": ["-no-pie"]}),
    ("without -fPIE|-fPIC", {"less": ["-fPIE"], "more": ["-fno-pie"], "link": ["-no-pie"]}),
    ("no RELRO", {"link": ["-Wl,-z,norelro"]}),
    ("symbols are bound late", {"link": ["-Wl,-z,lazy"]}),
    ("an executable stack", {"link": ["-Wl,-z,execstack"]}),
    ("a segment that is writable and executable",
     {"code": CODE + '__asm__(".section .bad,\\"awx\\"\\n.long 1\\n.text");\n'}),
    ("no separate-code", {"link": ["-Wl,-z,noseparate-code"]}),
    ("an RPATH", {"link": ["-Wl,-rpath,/tmp", "-Wl,--disable-new-dtags"]}),
    ("a RUNPATH", {"link": ["-Wl,-rpath,/tmp", "-Wl,--enable-new-dtags"]}),
    ("text relocations", {"code": CODE + '__asm__(".text\\n.quad main");\n', "link": ["-Wl,-z,notext"]}),
    ("without -fstack-protector-strong", {"less": ["-fstack-protector-strong"]}),
    ("nothing checks a stack protector", {"more": ["-fno-stack-protector"]}),
    ("without -fstack-clash-protection", {"more": ["-fno-stack-clash-protection"]}),
    ("without -fcf-protection", {"more": ["-fcf-protection=none"]}),
    ("2 of 2 functions begin without endbr64", {"more": ["-fcf-protection=none"]}),
    ("without -ftrivial-auto-var-init=zero", {"less": ["-ftrivial-auto-var-init=zero"]}),
    ("without -fno-strict-aliasing", {"more": ["-fstrict-aliasing"]}),
    ("without -O2", {"more": ["-O1"]}),
    ("FORTIFY below 3", {"more": ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]}),
    ("no call is fortified", {"more": ["-U_FORTIFY_SOURCE"]}),
    ("say their level of FORTIFY", {"less": ["-include", "common/hardened.h"]}),
    ("no debug information", {"more": ["-g0"]}),
    ("calls system", {"code": CODE.replace("return good_name", "return system(words[0]) + good_name")
                      .replace("#include <stdio.h>", "#include <stdio.h>\n#include <stdlib.h>")}),
    ("exports functions: good_name", {"link": ["-rdynamic"]}),
    ("has the path of its build", {"code": CODE.replace('"%s %d"', f'"{hardening.TOP}%s %d"')}),
]


@test
def good_program(bench):
    """a program that is made as ours has no finding"""
    nothing(hardening.program(bench.make()))


@test
def bad_programs(bench):
    """each kind of bad program is found out"""
    missed = []
    for want, wrong in BAD:
        found = hardening.program(bench.make(**wrong))
        if not any(want in said for said in found):
            missed.append(f"not said: {want}; said: {found}")
    nothing(missed)


@test
def bad_libraries(bench):
    """a library that exports too much, or too little, is found out"""
    nothing(bench.library())
    everything = bench.write("all.map", "GOOD_0 {\nglobal:\n\t*;\n};\n")
    none = bench.write("none.map", "GOOD_0 {\nglobal:\n\tother;\nlocal:\n\t*;\n};\n")
    assert any("does not name: main" in s for s in bench.library(map_path=everything))
    assert any("lacks what good.map names: good_name" in s for s in bench.library(map_path=none))


@test
def bad_archives(bench):
    """a static library with one object that was compiled otherwise is found out"""
    objects = [bench.make() + ".o", bench.make(more=["-fcf-protection=none", "-O1"]) + ".o"]
    path = os.path.join(bench.folder, "libx.a")
    subprocess.run(["ar", "rcs", path, *objects], check=True)
    assert any("1 of 1 objects are compiled without -O2" in s for s in hardening.archive(path))


def altered(bench, path, *options):
    """A copy of a module, changed by objcopy."""
    bench.count += 1
    copy = os.path.join(bench.folder, f"{bench.count}.ko")
    subprocess.run(["objcopy", *options, path, copy], check=True, stderr=subprocess.DEVNULL)
    return copy


@test
def bad_modules(bench):
    """each kind of bad module is found out"""
    path, users, headers = next(modules())
    with open(bench.folder + "/info", "wb") as f:
        f.write(module.elf.Elf(path).content(".modinfo").replace(b"vermagic=6", b"vermagic=5")
                .replace(b"license=GPL", b"license=BSD").replace(b"retpoline=Y", b"retpoline=N"))
    info = ["--update-section", f".modinfo={bench.folder}/info"]
    bad = [("vermagic is", info), ("not GPL", info), ("does not say that it is built with retpolines", info),
           (".text is writable and executable", ["--set-section-flags", ".text=alloc,load,code,contents"]),
           ("outside the namespace", ["--update-section", f"__ksymtab_strings={bench.folder}/zero"]),
           ("exports what nobody of ours takes: evil", ["--add-symbol", "__ksymtab_evil=__ksymtab_gpl:0,local"]),
           ("to modules that are not GPL", ["--rename-section", "__ksymtab_gpl=__ksymtab"]),
           ("nothing checks a stack protector", ["--redefine-sym", "__stack_chk_fail=nobody"]),
           ("begin without endbr64", ["--update-section", f".text={bench.folder}/zero_text"]),
           ("through a register", ["--update-section", f".exit.text={bench.folder}/branches"])]
    bad += [(name, ["--rename-section", name + "=.other"])
            for names in module.SECTIONS.values() for name in names]
    file = module.elf.Elf(path)
    for name, data in (("zero", bytes(file.section("__ksymtab_strings").size)),
                       ("zero_text", b"\x90" * file.section(".text").size),
                       ("branches", (b"\xff\xd0" * 1000)[:file.section(".exit.text").size])):
        with open(f"{bench.folder}/{name}", "wb") as f:
            f.write(data)
    missed = []
    for want, options in bad:
        found = module.module(altered(bench, path, *options), headers, users)
        if not any(want in said for said in found):
            missed.append(f"not said: {want}; said: {found}")
    nothing(missed)


@test
def signatures(bench):
    """a module that should be signed and is not is found out; a signed one is not"""
    path, users, headers = next(modules())
    key, certificate = bench.folder + "/key.pem", bench.folder + "/certificate.pem"
    subprocess.run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=test",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    assert module.module(path, headers, users, certificate) == ["is not signed"]
    signed = os.path.join(bench.folder, "signed.ko")
    tools = sorted(glob.glob("/usr/lib/linux-kbuild-*/scripts/sign-file"))
    assert tools, "there is no sign-file of the kernel's"
    subprocess.run([tools[-1], "sha256", key, certificate, path, signed], check=True)
    nothing(module.module(signed, headers, users, certificate))
    with open(signed, "r+b") as f:
        f.seek(module.elf.Elf(path).section(".rodata").offset)
        f.write(b"\xff\xff")
    assert any("not over these bytes" in s for s in module.module(signed, headers, users, certificate))


with tempfile.TemporaryDirectory(prefix="bawn-binaries-") as work:
    STATUS = run_all(Bench(work))
sys.exit(STATUS)
