# SPDX-License-Identifier: Apache-2.0
"""What a shipped kernel module must be: module(path, headers) gives a list of findings, one line each.
Most is as the configuration of the kernel asks that it is built for, which lies with its headers."""
import os
import re
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
import elf  # noqa: E402

TOP = os.path.realpath(os.path.join(HERE, "../.."))
ENDBR64 = b"\xf3\x0f\x1e\xfa"
SIGNED = b"~Module signature appended~\n"  # include/linux/module_signature.h
# With this option of the kernel a module has these sections, which are not empty.
SECTIONS = {"MITIGATION_RETPOLINE": [".retpoline_sites"], "MITIGATION_RETHUNK": [".return_sites"],
            "X86_KERNEL_IBT": [".ibt_endbr_seal"], "DYNAMIC_FTRACE": ["__mcount_loc"],
            "UNWINDER_ORC": [".orc_unwind"], "MODVERSIONS": ["__versions"]}
VERMAGIC = [("SMP", "SMP"), ("PREEMPT_BUILD", "preempt"), ("MODULE_UNLOAD", "mod_unload"),
            ("MODVERSIONS", "modversions")]
# Through a register, which is what a retpoline replaces. Calls through memory are the kernel's own
# (paravirt), and patched when the module is loaded.
BARE_BRANCH = re.compile(r"\s(?:call|jmp)\s+\*%")


def options(headers):
    with open(os.path.join(headers, ".config"), encoding="utf-8") as f:
        return set(re.findall(r"^CONFIG_(\w+)=[ym]$", f.read(), re.M))


def release(headers):
    with open(os.path.join(headers, "include/generated/utsrelease.h"), encoding="utf-8") as f:
        return re.search(r'UTS_RELEASE "(.*?)"', f.read()).group(1)


def information(file):
    return dict(entry.decode(errors="replace").split("=", 1)
                for entry in file.content(".modinfo").split(b"\0") if b"=" in entry)


def built_for(file, have, headers):
    said = information(file)
    magic = " ".join([release(headers), *(word for option, word in VERMAGIC if option in have)])
    if said.get("vermagic", "").strip() != magic:
        yield f"vermagic is '{said.get('vermagic', '')}', the kernel's is '{magic}'"
    if said.get("license") != "GPL":
        yield f"its licence is '{said.get('license')}', not GPL"
    if "intree" in said:
        yield "says that it comes with the kernel (intree)"
    for option, names in SECTIONS.items():
        for name in names if option in have else []:
            if not file.content(name):
                yield f"the kernel has CONFIG_{option}, the module no {name}"
    if "MITIGATION_RETPOLINE" in have and said.get("retpoline") != "Y":
        yield "does not say that it is built with retpolines"


def code(file, path, have):
    symbols = [s for s in file.symbols() if 0 < s.section < 0xFF00]
    wanted = {s.name for s in file.symbols() if s.name and not s.section}
    if "STACKPROTECTOR_STRONG" in have and "__stack_chk_fail" not in wanted:
        yield "nothing checks a stack protector"
    if "X86_KERNEL_IBT" in have:
        bare = [s.name for s in symbols if s.type == elf.STT_FUNC and s.bind and s.size and
                not s.name.startswith("__pfx_") and file.sections[s.section].name == ".text" and
                file.code(s, 4) != ENDBR64]
        if bare:
            yield f"{len(bare)} functions begin without endbr64: {' '.join(bare[:4])}"
    if "MITIGATION_RETPOLINE" in have:
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True,
                              check=True).stdout
        bare = BARE_BRANCH.findall(text)
        if bare:
            yield f"{len(bare)} branches through a register without a retpoline"
    for section in file.sections:
        if section.flags & elf.SHF_ALLOC and section.flags & elf.SHF_WRITE and \
                section.flags & elf.SHF_EXECINSTR:
            yield f"{section.name} is writable and executable"


def exports(file, users):
    """Names that other modules may take: those that a module of ours takes, for GPL modules, by a
    namespace of our own. users: their files."""
    taken = {s.name for path in users for s in elf.Elf(path).symbols() if not s.section}
    symbols = {s.name: s for s in file.symbols()}
    given = {name[len("__ksymtab_"):] for name in symbols if name.startswith("__ksymtab_")}
    if given - taken:
        yield f"exports what nobody of ours takes: {' '.join(sorted(given - taken)[:4])}"
    if file.content("__ksymtab"):
        yield "exports to modules that are not GPL"
    strings = file.content("__ksymtab_strings")
    elsewhere = [name for name in given if "__kstrtabns_" + name in symbols and
                 elf.string(strings, symbols["__kstrtabns_" + name].value) != "BAWN"]
    if elsewhere:
        yield f"exports outside the namespace BAWN: {' '.join(sorted(elsewhere)[:4])}"


def signature(file, certificate):
    """Signed by the certificate's key: CMS without content or certificates, struct module_signature, a mark."""
    if not file.data.endswith(SIGNED):
        yield "is not signed"
        return
    end = len(file.data) - len(SIGNED) - 12
    size, = struct.unpack_from(">I", file.data, end + 8)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("body", file.data[:end - size]), ("cms", file.data[end - size:end])):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)
        done = subprocess.run(["openssl", "cms", "-verify", "-binary", "-noverify", "-nointern", "-inform", "DER",
                               "-in", folder + "/cms", "-content", folder + "/body", "-certfile", certificate,
                               "-out", "/dev/null"], capture_output=True)
    if done.returncode:
        yield "its signature is not over these bytes, or by another key"


def module(path, headers, users=(), certificate=None):
    """users: modules that take its exports. certificate: whose key must have signed it."""
    file = elf.Elf(path)
    have = options(headers)
    found = [*built_for(file, have, headers), *code(file, path, have), *exports(file, users)]
    if certificate:
        found += signature(file, certificate)
    if TOP.encode() in file.data:
        found.append(f"has the path of its build in it ({TOP})")
    return found
