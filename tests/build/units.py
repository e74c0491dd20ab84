#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd units: no line that systemd does not know, and an exposure (systemd-analyze security, by the
file alone) that is no more than docs/builds.md says."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "../.."))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

# The file, its name as a unit that runs, its exposure in tenths.
UNITS = [("attest/service/bawn-attestd.service", "bawn-attestd.service", 13), ("vmm/bawn@.service", "bawn@x.service", 9)]


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout + done.stderr


def exposed(path, limit):
    """Whether it is above, and what systemd says."""
    status, said = analyze("security", "--offline=true", f"--threshold={limit}", path)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found, said
    return status != 0, f"exposure {found[1]}\n" + "\n".join(line for line in said.splitlines() if "✗" in line)


def copy(work, unit, name, drop=None):
    path = os.path.join(work, name)
    with open(os.path.join(TOP, unit), encoding="utf-8") as f, open(path, "w", encoding="utf-8") as out:
        lines = [line for line in f if not (drop and line.startswith(drop))]
        # That the program is installed is the packages' test.
        out.writelines(re.sub(r"/usr/local/bin/\S+", "/bin/true", line) for line in lines)
    return path


@test
def known(work):
    """systemd knows every line"""
    for unit, name, _ in UNITS:
        said = analyze("verify", "--man=no", "--recursive-errors=no", copy(work, unit, name))[1]
        assert "Unknown" not in said and "Failed to parse" not in said, said
    path = copy(work, *UNITS[0][:2])
    with open(path, "a", encoding="utf-8") as f:
        f.write("[Service]\nProtectEverything=yes\n")
    assert "Unknown" in analyze("verify", "--man=no", "--recursive-errors=no", path)[1], "a wrong line is not seen"


@test
def exposure(work):
    """no more is open than we say, and docs/builds.md says it so"""
    for unit, name, limit in UNITS:
        above, said = exposed(copy(work, unit, name), limit)
        assert not above, f"{unit}: {said}"
    with open(TOP + "/docs/builds.md", encoding="utf-8") as f:
        assert "of {} and {}".format(*(limit / 10 for _, _, limit in UNITS)) in f.read()


@test
def every_line_counts(work):
    """without one of the lines that lock it in, it is above"""
    both = ("CapabilityBoundingSet=", "SystemCallFilter=", "ProtectKernelTunables=", "PrivateUsers=")
    own = {"bawn-attestd.service": ("ProtectSystem=", "PrivateDevices=", "NoNewPrivileges=", "User="),
           "bawn@x.service": ("DynamicUser=", "PrivateNetwork=", "IPAddressDeny=")}  # the user brings the others
    for unit, name, limit in UNITS:
        for line in both + own[name]:
            assert exposed(copy(work, unit, name, line), limit)[0], f"{unit} without {line}"


if not shutil.which("systemd-analyze"):
    print("ok 1 - units # SKIP there is no systemd-analyze; 'scripts/deps tests' installs it\n1..1")
    sys.exit(0)
with tempfile.TemporaryDirectory(prefix="bawn-units-") as folder:
    STATUS = run_all(folder)
sys.exit(STATUS)
