# SPDX-License-Identifier: Apache-2.0
"""What a shipped program or library must be: program(path), library(path, map) and archive(path) give a
list of findings, one line each, empty when there is none. By mk/harden.mk; the reasons for each are
in the OpenSSF's guide. Reads ELF (scripts/elf.py) and, through readelf, what the debug information
says of each compilation."""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
import elf  # noqa: E402

TOP = os.path.realpath(os.path.join(HERE, "../.."))
ENDBR64 = b"\xf3\x0f\x1e\xfa"
# In each compilation; one of what stands together.
SWITCHES = ["-O2", "-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection=full|-fcf-protection",
            "-fno-strict-aliasing", "-fno-strict-overflow|-fwrapv", "-fno-delete-null-pointer-checks",
            "-fPIE|-fPIC"]
# The same, where the compiler has them.
NEWER = ["-ftrivial-auto-var-init=zero", "-fzero-init-padding-bits=all", "-fstrict-flex-arrays=3"]
# Copy or format without knowing the room; a shell; a name that somebody else may take.
NOT_TO_BE_CALLED = {"gets", "strcpy", "strcat", "sprintf", "vsprintf", "mktemp", "tmpnam", "tempnam", "system",
                    "popen", "__strcpy_chk", "__strcat_chk", "__sprintf_chk", "__vsprintf_chk"}


def compiler_has(flag, compiler=os.environ.get("CC", "gcc")):
    return subprocess.run([*compiler.split(), "-Werror", flag, "-c", "-x", "c", "-o", "/dev/null", "/dev/null"],
                          capture_output=True).returncode == 0


SWITCHES += [flag for flag in NEWER if compiler_has(flag)]


def in_force(producer):
    """The switches of a compilation; of those that have a value the last."""
    return set({"-O" if s.startswith("-O") else s.split("=")[0]: s for s in producer.split()}.values())


class Compiled:
    """The debug information's say: the switches of each C compilation, the functions compiled."""

    def __init__(self, path):
        text = subprocess.run(["readelf", "-W", "--debug-dump=info", "--dwarf-depth=2", path],
                              capture_output=True, text=True, errors="replace").stdout
        self.switches = [in_force(line) for line in re.findall(r"DW_AT_producer *: (?:\(.*?\): )?(.*)", text)
                         if not line.startswith("GNU AS")]
        self.functions = []  # (name, address) of those that other files can call
        for entry in re.split(r"\n <\d+>", text):
            name = re.search(r"DW_AT_name *: (?:\(.*?\): )?(.*)", entry)
            at = re.search(r"DW_AT_low_pc *: (?:\(.*?\) *)?(0x[0-9a-f]+)", entry)
            if "(DW_TAG_subprogram)" in entry and name and at and "DW_AT_external" in entry:
                self.functions.append((name.group(1).strip(), int(at.group(1), 16)))


def compilations(file, compiled):
    """Findings about how each object of ours was compiled."""
    if not compiled.switches:
        yield "no debug information: how it was compiled cannot be seen"
    for switch in SWITCHES:
        without = sum(not set(switch.split("|")) & said for said in compiled.switches)
        if without:
            yield f"{without} of {len(compiled.switches)} objects are compiled without {switch}"
    levels = file.content(".bawn.fortify").decode(errors="replace")
    if len(levels) != len(compiled.switches):
        yield f"{len(compiled.switches)} objects, but {len(levels)} say their level of FORTIFY"
    lower = len(levels) - levels.count("3")
    if lower:
        yield f"{lower} of {len(levels)} objects are compiled with FORTIFY below 3"


def branch_targets(file, compiled):
    """Every function of ours that another file may call begins with ENDBR64. The C runtime of Debian 12 has
    no CET notes, so the linker's -z cet-report cannot say it."""
    code = [s for s in file.sections if s.flags & elf.SHF_EXECINSTR]
    bare = []
    for name, at in compiled.functions:
        section = next((s for s in code if s.address <= at < s.address + s.size), None)
        if section and section.data[at - section.address:at - section.address + 4] != ENDBR64:
            bare.append(name)
    if bare:
        yield f"{len(bare)} of {len(compiled.functions)} functions begin without endbr64: {' '.join(bare[:4])}"


def memory(file):
    """What the loader makes of it."""
    kinds = {s[0]: s for s in file.segments}
    if elf.PT_GNU_RELRO not in kinds:
        yield "no RELRO"
    if elf.PT_GNU_STACK not in kinds or kinds[elf.PT_GNU_STACK][1] & elf.PF_X:
        yield "an executable stack"
    if any(s[0] == elf.PT_LOAD and s[1] & elf.PF_W and s[1] & elf.PF_X for s in file.segments):
        yield "a segment that is writable and executable"
    for segment in file.segments:
        if segment[0] == elf.PT_LOAD and segment[1] & elf.PF_X and segment[2] == 0:
            yield "code and headers in one segment (no separate-code)"


def linked(file):
    """What the dynamic section says."""
    tags = file.dynamic()
    flags, flags_1 = tags.get(elf.DT_FLAGS, [0])[0], tags.get(elf.DT_FLAGS_1, [0])[0]
    if not flags & elf.DF_BIND_NOW and not flags_1 & elf.DF_1_NOW:
        yield "symbols are bound late (no BIND_NOW)"
    if elf.DT_RPATH in tags:
        yield "an RPATH"
    if elf.DT_RUNPATH in tags:
        yield "a RUNPATH"
    if elf.DT_TEXTREL in tags or flags & elf.DF_TEXTREL:
        yield "text relocations"


def names(file):
    """What it calls and what it remembers."""
    wanted = {s.name.split("@")[0] for s in file.symbols(elf.SHT_DYNSYM) if not s.section}
    for name in sorted(wanted & NOT_TO_BE_CALLED):
        yield f"calls {name}"
    every = wanted | {s.name for s in file.symbols()}
    if "__stack_chk_fail" not in every:
        yield "nothing checks a stack protector"
    if not any(re.fullmatch(r"__(?!stack_).*_chk", name) for name in every):
        yield "no call is fortified"
    if TOP.encode() in file.data:
        yield f"has the path of its build in it ({TOP})"


def common(file, path):
    compiled = Compiled(path)
    return [*memory(file), *linked(file), *names(file), *compilations(file, compiled),
            *branch_targets(file, compiled)]


def exported(file):
    """Names that others can link with, without those of versions."""
    return {s.name for s in file.symbols(elf.SHT_DYNSYM)
            if s.section and s.bind != elf.STB_LOCAL and s.section != 0xFFF1}


def program(path):
    file = elf.Elf(path)
    found = common(file, path)
    if file.type != elf.ET_DYN or not file.dynamic().get(elf.DT_FLAGS_1, [0])[0] & elf.DF_1_PIE:
        found.append("not a position-independent executable")
    own = {name for name, _ in Compiled(path).functions} & exported(file)
    if own:
        found.append(f"exports functions: {' '.join(sorted(own)[:4])}")
    return found


def library(path, map_path):
    with open(map_path, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    wanted = set(re.findall(r"^\s*(\w+);", text.split("local:")[0], re.M))
    file = elf.Elf(path)
    found = common(file, path)
    more, fewer = exported(file) - wanted, wanted - exported(file)
    if more:
        found.append(f"exports what {os.path.basename(map_path)} does not name: {' '.join(sorted(more)[:4])}")
    if fewer:
        found.append(f"lacks what {os.path.basename(map_path)} names: {' '.join(sorted(fewer)[:4])}")
    return found


def archive(path):
    """A static library: how its objects are compiled."""
    path = os.path.realpath(path)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["ar", "x", path], cwd=folder, check=True)
        for name in sorted(os.listdir(folder)):
            member = os.path.join(folder, name)
            found += compilations(elf.Elf(member), Compiled(member))
    with open(path, "rb") as f:
        if TOP.encode() in f.read():
            found.append(f"has the path of its build in it ({TOP})")
    return found
