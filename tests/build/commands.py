#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every command has its manual, and says of itself what it should: --version, --help, unknown options."""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "../.."))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(TOP, "scripts")]
import tree  # noqa: E402
from points import run_all, test  # noqa: E402

BUILD = os.environ.get("BAWN_BUILD", "build")
PROGRAMS = sorted(glob.glob(BUILD + "/bin/*"))
COMMANDS = PROGRAMS + [os.path.join(TOP, "fuzz/bawn-fuzz")]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)


def manual(command):
    found = glob.glob(f"{TOP}/docs/man/{os.path.basename(command)}.[18]")
    assert len(found) == 1, f"{os.path.basename(command)}: {len(found)} manuals"
    return found[0]


def text(page):
    with open(page, encoding="utf-8") as f:
        return f.read().replace("\\-", "-")


@test
def manuals():
    """each command has one manual, with a name, a synopsis and the project's mark"""
    assert PROGRAMS, "no program is built"
    for command in COMMANDS:
        name, said = os.path.basename(command), text(manual(command))
        assert re.search(rf'^\.TH {name.upper()} [18] "" "Bawn" ', said, re.M), f"{name}: .TH"
        assert re.search(rf"^\.SH NAME\n{name} - \S", said, re.M), f"{name}: NAME"
        assert "\n.SH SYNOPSIS" in said and "\n.SH DESCRIPTION" in said, f"{name}: sections"


@test
def manuals_of_something():
    """no manual is of a command that has gone"""
    names = {os.path.basename(command) for command in COMMANDS}
    pages = {os.path.basename(p).rsplit(".", 1)[0] for p in glob.glob(TOP + "/docs/man/*.[18]")}
    assert pages <= names, pages - names


@test
def well_formed():
    """groff has nothing to say about them"""
    for page in sorted(glob.glob(TOP + "/docs/man/*.[1-8]")) if shutil.which("groff") else []:
        said = "\n".join(line for line in run("groff", "-man", "-ww", "-Tutf8", page).stderr.splitlines()
                         if "cannot adjust line" not in line)
        assert not said, said


@test
def versions():
    """--version of each is the packages' and the headers'"""
    with open(TOP + "/include/bawn/version.h", encoding="utf-8") as f:
        version = re.search(r'BAWN_VERSION "(.*)"', f.read()).group(1)
    assert version == tree.version(), f"version.h has {version}, debian/changelog {tree.version()}"
    for program in PROGRAMS:
        done, name = run(program, "--version"), os.path.basename(program)
        assert done.returncode == 0 and not done.stderr, f"{name}: {done}"
        assert re.match(rf"{name} {re.escape(version)}[,\n]", done.stdout), f"{name}: {done.stdout}"


@test
def help_and_manual():
    """--help of each ends well, and each option that it shows is in the manual"""
    missing = []
    for command in COMMANDS:
        done = run(command, "--help")
        assert done.returncode == 0 and done.stdout, f"{command}: {done}"
        known = set(re.findall(r"--[a-z][a-z0-9-]+", text(manual(command))))
        missing += [f"{os.path.basename(command)}: {option}" for option in
                    sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", done.stdout)) - known)]
    assert not missing, "not in the manual: " + ", ".join(missing)


@test
def wrong_usage():
    """an option that there is not is refused, by name or with the way to the help, with a status of its own"""
    for command in COMMANDS:
        done = run(command, "--no-such-option")
        assert done.returncode not in (0, 1) and re.search("--no-such-option|--help|usage:", done.stderr), \
            f"{os.path.basename(command)}: {done.returncode} {done.stderr}"


sys.exit(run_all())
