#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/reproduce's comparison: what differs in a build is told, with its place."""
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

TOOL = os.path.join(HERE, "../../scripts/reproduce")
LOADER = importlib.machinery.SourceFileLoader("reproduce", os.path.realpath(TOOL))


def compare(one, two):
    done = subprocess.run([TOOL, "--compare", one, two], capture_output=True, text=True)
    return done.returncode, done.stdout


def build(folder, *flags):
    """Something like a build folder, with a program that is compiled in it, and a flat image."""
    os.makedirs(folder + "/bin")
    os.makedirs(folder + "/guest")
    with open(folder + "/x.c", "w", encoding="ascii") as f:
        f.write('const char *where = __FILE__;\nint main(void) { return where[0]; }\n')
    subprocess.run(["gcc", "-g", *flags, "-o", folder + "/bin/x", folder + "/x.c"], check=True)
    with open(folder + "/guest/shim.bin", "wb") as f:
        f.write(b"the same" * 10)
    return folder


@test
def same(work):
    """two builds with mapped paths are the same"""
    folders = [build(f"{work}/{name}", f"-ffile-prefix-map={work}/{name}=.") for name in ("a", "longer")]
    status, said = compare(*folders)
    assert status == 0 and "2 files built twice, byte for byte the same" in said, said


@test
def path_in_it(work):
    """a path of the build is shown, with its section"""
    status, said = compare(build(work + "/b"), build(work + "/other"))
    assert status == 1 and "bin/x: differs" in said, said
    assert ".rodata, byte" in said and work + "/other/x.c" in said, said


@test
def one_byte(work):
    """one byte of a flat image is shown"""
    folders = [build(f"{work}/{name}", f"-ffile-prefix-map={work}/{name}=.") for name in ("c", "d")]
    with open(folders[1] + "/guest/shim.bin", "r+b") as f:
        f.seek(21)
        f.write(b"X")
    status, said = compare(*folders)
    assert status == 1 and "guest/shim.bin: differs\n    at byte 21:" in said, said


@test
def missing(work):
    """a file that only one build has is told; nothing to compare is a failure"""
    folders = [build(f"{work}/{name}", f"-ffile-prefix-map={work}/{name}=.") for name in ("e", "f")]
    os.remove(folders[0] + "/guest/shim.bin")
    status, said = compare(*folders)
    assert status == 1 and "guest/shim.bin: only in one of them" in said, said
    shutil.rmtree(work + "/e/bin")
    shutil.rmtree(work + "/f")
    assert compare(work + "/e", work + "/f")[0] == 1


@test
def against(work):
    """one build against another that may have more: a file that it lacks, and one that differs, are told"""
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("reproduce", LOADER))
    LOADER.exec_module(tool)
    flag = f"-ffile-prefix-map={work}/"
    one, two = (build(f"{work}/{name}", f"{flag}{name}=.") for name in ("g", "h"))
    shutil.copy(one + "/bin/x", one + "/bin/more")
    assert tool.compare(one, two, True) == (2, []), tool.compare(one, two, True)
    assert tool.compare(two, one, True) == (2, ["bin/more: only in one of them"])
    with open(one + "/guest/shim.bin", "ab") as f:
        f.write(b"X")
    assert tool.compare(one, two, True)[1][0] == "guest/shim.bin: differs"


with tempfile.TemporaryDirectory(prefix="bawn-reproduce-") as folder:
    STATUS = run_all(os.path.realpath(folder))
sys.exit(STATUS)
