#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of fuzz/syzkaller/dev_bawn.txt: a small checker of the part of syzlang that it is written
in, against the headers and the module's table of ioctls."""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
from points import run_all, test  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TEXT = os.path.join(ROOT, "fuzz/syzkaller/dev_bawn.txt")
TABLE = os.path.join(ROOT, "kernel/core/ioctl.h")
OBJECTS = {"DEV": "fd_bawn", "VM": "fd_bawnvm", "VCPU": "fd_bawncpu"}
INTS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8}
BUILTIN = {"fd", "fd_event", "vma", "vma64", "string", "array", "ptr", "ptr64", "const", "flags",
           "len", *INTS}
# Names of syzkaller that no header has.
OWN = {"PROT_READ_WRITE": "(PROT_READ | PROT_WRITE)"}


def split(text):
    """What commas separate, those in brackets left alone."""
    out, depth = [""], 0
    for c in text:
        depth += (c in "[(") - (c in "])")
        assert depth >= 0, f"brackets do not match in {text!r}"
        if c == "," and not depth:
            out.append("")
        else:
            out[-1] += c
    assert not depth, f"brackets do not match in {text!r}"
    return [part.strip() for part in out if part.strip()]


def read_type(text):
    """A name and what is in its brackets, each read alike."""
    match = re.fullmatch(r'([A-Za-z_0-9:.x-]+|"[^"]*")(?:\[(.*)\])?', text.strip())
    assert match, f"{text!r} is no type"
    return match.group(1), [read_type(a) for a in split(match.group(2) or "")]


class Description:
    """The file: calls, structures and unions, templates, flags, resources."""

    def __init__(self, text):
        self.calls, self.structs, self.flags, self.resources = {}, {}, {}, {}
        self.unions, self.templates = set(), {}
        block = None
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].rstrip()
            try:
                block = self.line(line, block)
            except AssertionError as e:
                raise AssertionError(f"line {number}: {e}") from None
        assert block is None, f"{block} does not end"

    def new(self, where, name, value):
        assert name not in where, f"{name} is there twice"
        where[name] = value

    def line(self, line, block):
        if not line:
            return block
        if block:
            if line in "}]":
                assert (line == "]") == (block in self.unions), f"{block} ends with {line}"
                return None
            name, kind = line.split(None, 1)
            assert line[0] == "\t" and name not in [f[0] for f in self.structs[block]], line
            self.structs[block].append((name, read_type(kind)))
            return block
        if line.startswith("include <"):
            return None
        resource = re.fullmatch(r"resource (\w+)\[(\w+)\]", line)
        if resource:
            self.new(self.resources, *resource.groups())
            return None
        struct = re.fullmatch(r"(?:type )?(\w+)(?:\[([A-Z, ]+)\])? ([{[])", line)
        if struct:
            name, arguments, kind = struct.groups()
            self.new(self.structs, name, [])
            self.templates.update({name: split(arguments)} if arguments else {})
            self.unions.update({name} if kind == "[" else {})
            return name
        flags = re.fullmatch(r"(\w+) = (.+)", line)
        if flags:
            self.new(self.flags, flags.group(1), split(flags.group(2)))
            return None
        call = re.fullmatch(r"(\w+\$\w+)\((.*)\)(?: (\w+))?", line)
        assert call, f"{line!r} is nothing that is known here"
        arguments = [part.split(None, 1) for part in split(call.group(2))]
        self.new(self.calls, call.group(1),
                 ([(n, read_type(k)) for n, k in arguments], call.group(3)))
        return None

    def types(self):
        """Every type that is used, with where and the names that mean something there."""
        for name, (arguments, _) in self.calls.items():
            for _, kind in arguments:
                yield name, kind, [a[0] for a in arguments]
        for name, fields in self.structs.items():
            for _, kind in fields:
                yield name, kind, [f[0] for f in fields] + self.templates.get(name, [])

    def size(self, kind, bound=None):
        """Bytes and alignment of a type as C has it; none where it is of any length."""
        name, arguments = (bound or {}).get(kind[0], kind)
        if name in INTS:
            return INTS[name], INTS[name]
        if name in ("const", "flags", "len"):
            return self.size(arguments[1])
        if name in ("ptr64", "vma64"):
            return 8, 8
        if name in self.resources or name in ("fd", "fd_event"):
            return 4, 4
        if name == "array":
            if ":" in arguments[1][0]:
                return None
            size, align = self.size(arguments[0], bound)
            return size * int(arguments[1][0]), align
        fields = self.structs[name]
        bound = dict(zip(self.templates.get(name, []), arguments))
        end = most = 0
        for _, field in fields:
            known = self.size(field, bound)
            if known is None:
                return None
            size, align = known
            most = max(most, align)
            end = max(end, size) if name in self.unions else -(-end // align) * align + size
        return -(-end // most) * most, most


def described():
    with open(TEXT, encoding="ascii") as f:
        return Description(f.read())


def compile_c(body):
    """What a C program prints, with the headers that the description names."""
    text = "#define _GNU_SOURCE 1\n#include <fcntl.h>\n#include <stdio.h>\n" \
        "#include <sys/mman.h>\n#include <linux/kvm.h>\n#include <bawn/uapi.h>\n" \
        "int main(void)\n{\n" + body + "return 0;\n}\n"
    out = os.path.join(ROOT, os.environ.get("BAWN_BUILD", "build"), "syzkaller-check")
    done = subprocess.run(["gcc", "-I", os.path.join(ROOT, "include"), "-x", "c", "-", "-o", out],
                          input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    try:
        return subprocess.run([out], capture_output=True, text=True, check=True).stdout
    finally:
        os.unlink(out)


def nested(kind):
    yield kind
    for argument in kind[1]:
        yield from nested(argument)


@test
def parses():
    """it is read as a whole: calls, structures, flags, resources"""
    d = described()
    assert len(d.calls) > 60 and len(d.structs) > 30 and len(d.resources) == 4


@test
def refers():
    """every structure, set of flags, resource and length that is named is there"""
    d = described()
    for where, kind, names in d.types():
        for name, arguments in nested(kind):
            if name == "flags":
                assert arguments[0][0] in d.flags, f"{where}: no flags {arguments[0][0]}"
            if name == "len":
                assert arguments[0][0] in names, f"{where}: nothing {arguments[0][0]} to measure"
        for name in container_types(kind):
            assert name in BUILTIN or name in d.structs or name in d.resources or name in names, \
                f"{where}: {name} is not there"
    used = {n for _, kind, _ in d.types() for n, _ in nested(kind)} | \
        {r for _, r in d.calls.values() if r}
    lost = (set(d.structs) | set(d.flags) | set(d.resources)) - used
    assert not lost, f"nothing uses {lost}"


def container_types(kind):
    """The names in a type that are types themselves."""
    name, arguments = kind
    yield name
    if name in ("ptr", "ptr64"):
        yield from container_types(arguments[1])
    elif name == "array":
        yield from container_types(arguments[0])
    elif name in ("const", "flags", "len") and len(arguments) > 1:
        assert arguments[1][0] in INTS, f"{arguments[1][0]} is no integer"


@test
def numbers():
    """every constant is in the headers"""
    d = described()
    names = {v for values in d.flags.values() for v in values}
    for _, kind, bound in d.types():
        for name, arguments in nested(kind):
            if name == "const":
                names.add(arguments[0][0])
            if name in d.templates:
                names.add(arguments[0][0])
        names -= set(bound)
    names = {n for n in names if not re.fullmatch(r"0x[0-9a-f]+|\d+", n)}
    compile_c("".join(f"printf(\"%lld\\n\", (long long)({OWN.get(n, n)}));\n"
                      for n in sorted(names)))


@test
def serves():
    """it has the calls of the module's table, each on its object, and no others"""
    with open(TABLE, encoding="ascii") as f:
        table = set(re.findall(r"X\((\w+), (\w+), \w+,", f.read()))
    assert len(table) > 60
    wanted = {(OBJECTS[o], n) for o, n in table}
    have = {(a[0][1][0], a[1][1][1][0][0]) for name, (a, _) in described().calls.items()
            if name.startswith("ioctl$")}
    assert have == wanted, f"lacks {sorted(wanted - have)}, has {sorted(have - wanted)} too much"


@test
def sizes():
    """every structure of a fixed size has that of its C structure"""
    d = described()
    sized = {}
    for name in d.structs:
        known = None if name in d.templates or name in d.unions else d.size((name, []))
        if known:
            sized[name] = known[0]
    call = ("bawn_sev_call", [("KVM_SEV_INIT2", []), ("bawn_kvm_sev_init", [])])
    sized["bawn_kvm_sev_cmd"] = d.size(call)[0]  # a template there
    c = {n: "struct " + (n.removeprefix("bawn_") if n.startswith("bawn_kvm_") else n)
         for n in sized}
    out = compile_c("".join(f"printf(\"%zu\\n\", sizeof({c[n]}));\n" for n in sized))
    for (name, size), real in zip(sized.items(), map(int, out.split())):
        assert size == real, f"{name} has {size} bytes, {c[name]} has {real}"
    assert len(sized) > 25


@test
def refuses():
    """the checker itself sees what is wrong"""
    for text in ("nonsense", "resource a[fd]\nresource a[fd]", "s {\n\tx\tint32",
                 "ioctl$X(fd fd_bawn, cmd const[KVM_RUN)", "s {\n\tx\tint32\n]"):
        try:
            Description(text)
        except AssertionError:
            continue
        raise RuntimeError(f"{text!r} was taken")
    assert Description("s {\n\tx\tint8\n\ty\tint64\n}").size(("s", []))[0] == 16


def main():
    return run_all()


if __name__ == "__main__":
    sys.exit(main())
