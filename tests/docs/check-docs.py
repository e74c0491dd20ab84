#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/check-docs: what it finds in pages, and what it must not let pass."""
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import time
import types

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

PATH = os.path.join(HERE, "../../scripts/check-docs")
LOADER = importlib.machinery.SourceFileLoader("check_docs", os.path.realpath(PATH))
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_docs", LOADER))
LOADER.exec_module(tool)


def block(mark, *lines):
    return "\n".join([f"<!-- {mark} -->", "```", *lines, "```", ""])


def says(*parts, lab=False, seconds=60):
    """What is wrong with such a page; "" if nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "page.md"), "w", encoding="utf-8") as f:
            f.write("\n".join(parts))
        try:
            tool.check("page.md", folder, types.SimpleNamespace(lab=lab, seconds=seconds))
            return ""
        except tool.Error as error:
            return str(error)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().split()[2] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@test
def right():
    """blocks in one shell, what they print, text between them"""
    assert says("Text.", block("run", "x=one", "cd /"), "More.", block("run", "echo $x $PWD"),
                block("prints", "one /"), block("run", "echo two three"), block("prints", "two ...")) == ""


@test
def failing_command():
    """a command that fails, also in a pipe, and what comes behind is not run"""
    assert "line 3: the block failed" in says(block("run", "false"))
    assert "line 3: the block failed" in says(block("run", "false | cat"))
    said = says(block("run", "echo before"), block("run", "exit 3"), block("run", "echo behind"))
    assert "line 8: the block failed" in said and "before" in said and "behind" not in said, said


@test
def other_output():
    """a line that is not printed, or not in this order, or by a block before"""
    assert "this was not printed: two" in says(block("run", "echo one"), block("prints", "one", "two"))
    assert "this was not printed: one" in says(block("run", "echo one; echo two"), block("prints", "two", "one"))
    assert "this was not printed: one" in says(block("run", "echo one"), block("prints", "one"),
                                               block("run", "echo two"), block("prints", "one"))
    assert says(block("run", "echo 'a+b (c)'"), block("prints", "a+b (c)")) == ""


@test
def the_lab():
    """what needs the lab, and what it prints, only when asked"""
    parts = block("run", "true"), block("run lab", "echo lab"), block("prints", "nothing")
    assert says(*parts) == ""
    assert "not printed: nothing" in says(*parts, lab=True)


@test
def surroundings():
    """a page sees nothing of the test run that it is part of"""
    os.environ["BAWN_RESULTS"] = os.environ["MAKELEVEL"] = os.environ["MAKEFLAGS"] = "x"
    assert says(block("run", 'echo "${BAWN_RESULTS-none} ${MAKELEVEL-none} $MAKEFLAGS"'), block("prints", "none none -j")) == ""


@test
def marks():
    """marks that are none, and such without a block"""
    assert "is none of" in says(block("run twice", "true"))
    assert "is none of" in says(block("print", "true"))
    assert "no fenced block" in says("<!-- run -->", "", "```", "true", "```")
    assert "does not end" in says("<!-- run -->", "```", "true")
    assert says("<!-- made by hand -->", block("run", "true")) == ""


@test
def time_and_processes():
    """a page that does not end; what it leaves running is ended"""
    assert "took more than 1 seconds" in says(block("run", "sleep 60"), seconds=1)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pid")
        assert says(block("run", f"sleep 600 & echo $! > {path}")) == ""
        with open(path, encoding="ascii") as f:
            pid = int(f.read())
        end = time.monotonic() + 30
        while alive(pid):
            assert time.monotonic() < end, f"process {pid} goes on"
            time.sleep(0.05)


@test
def the_pages():
    """the tree's own pages: their marks are right, and each guide has something to run"""
    for name in tool.pages():
        with open(os.path.join(tool.TOP, name), encoding="utf-8") as f:
            found = tool.blocks(f.read())
        assert name == "README.md" or any(kind == "run" for kind, _, _ in found), name


sys.exit(run_all())
