#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of fuzz/record2seeds: recorded exits become seeds, whatever stands between them."""
import base64
import gzip
import os
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
COMMAND = os.path.join(ROOT, "fuzz/record2seeds")
LINE = ("bawn-42 [000] ..... 12.5: bawn_exit_record: vcpu 0 kind {kind} code 0x{code:x} "
        "info 0x{info1:x} 0x{info2:x} event 0x0 rip 0xffffffff81000123 rflags 0x202 cr0 0x80050033 "
        "mode {mode} cpl 0 gpr {{{gpr}}} insn {insn}")
GPR = ",".join(f"0x{0x1000 + i:x}" for i in range(16))
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def line(kind=3, code=0x72, info1=0, info2=0, mode=8, gpr=GPR, insn="0fa2"):
    return LINE.format(kind=kind, code=code, info1=info1, info2=info2, mode=mode, gpr=gpr,
                       insn=insn)


def run(out, text, *options):
    """Status, output and the seeds."""
    path, seeds = os.path.join(out, "record"), os.path.join(out, "seeds")
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([COMMAND, *(options or ("-o", seeds)), path], capture_output=True,
                          text=True, timeout=30, check=False)
    made = []
    for name in sorted(os.listdir(seeds)) if os.path.isdir(seeds) else []:
        with open(os.path.join(seeds, name), "rb") as f:
            made.append(f.read())
    return done, made


@test
def exits(out):
    """an exit's numbers stand in its seed where fuzz/kernel/exit_svm.c reads them"""
    done, made = run(out, line(insn="0fa290"))
    assert done.returncode == 0 and len(made) == 1, done.stderr
    # The machine: long mode with local APIC. The exit: CPUID, info of a byte, RAX, RCX, RDX, RIP.
    assert made[0][0] == 3, made[0]
    want = bytes([0, 0x72, 0x10 | 0x20 | 0x40 | 0x80, 0, 0]) + \
        struct.pack("<QIQI", 0x1000, 0x1001, 0x1002, 0x1123) + b"\x03\x0f\xa2\x90"
    assert made[0].endswith(want), made[0].hex()


@test
def nested_fault(out):
    """a nested fault keeps what it wanted, in the target's memory"""
    done, made = run(out, line(kind=9, code=0x400, info1=0x100000006, info2=0x7654321))
    assert done.returncode == 0 and len(made) == 1, done.stderr
    assert struct.pack("<QQ", 0x100000006, 0x7654321 % 0x200000) in made[0], made[0].hex()


@test
def parts(out):
    """a new seed begins where the code's size changes, and after 24 exits"""
    _, made = run(out, "\n".join([line(mode=2)] * 3 + [line()] * 30))
    assert sorted(m[0] for m in made) == [1, 3, 3], [m[0] for m in made]


@test
def between(out):
    """lines that are cut, or another's, are left out"""
    good = line()
    done, made = run(out, "\n".join(["# ok", good[:-30], "x" * 5000, line(gpr="0x1"), good]))
    assert done.returncode == 0 and done.stdout.startswith("1 exits") and len(made) == 1, done


@test
def channel(out):
    """a recording in the lab's channel is found; a damaged one is an error that says so"""
    packed = base64.encodebytes(gzip.compress((line() + "\n").encode())).decode().split()
    text = "@begin record\n1..4\n" + "".join(f"# file record.gz: {p}\n" for p in packed)
    done, _ = run(out, text, "--")
    assert done.returncode == 0 and done.stdout == "kind  3: 1\n", done
    done, _ = run(out, text[:-20] + "\n", "--")
    assert done.returncode == 1 and "damaged" in done.stderr, done


@test
def nothing(out):
    """a file without any recording, and one that is not there, are errors"""
    done, made = run(out, b"\xff\0nothing\n" * 10)
    assert done.returncode == 1 and "no exit is recorded" in done.stderr and not made, done
    done = subprocess.run([COMMAND, os.path.join(out, "absent")], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and "absent: No such file" in done.stderr, done


def main():
    for number, function in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as out:
            try:
                function(out)
                print(f"ok {number} - {function.__doc__}", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                print(f"not ok {number} - {function.__doc__}", flush=True)
                for text in f"{type(error).__name__}: {error}".splitlines()[:40]:
                    print(f"# {text}", flush=True)
    print(f"1..{len(TESTS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
