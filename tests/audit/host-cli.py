#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of bawn-audit host as an operator runs it: on a tree of files, and on this machine."""
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

PROGRAM = os.path.join(HERE, "../..", os.environ.get("BAWN_BUILD", "build"), "bin/bawn-audit")
# A host as it should be.
GOOD = {"proc/sys/kernel/osrelease": "6.12.41\n", "sys/kernel/security/lockdown": "none [integrity] x\n",
        "proc/cmdline": "ro\n", "proc/sys/kernel/tainted": "4096\n", "sys/module/module/parameters/sig_enforce": "Y\n",
        "sys/devices/system/cpu/vulnerabilities/spectre_v2": "Mitigation: Retpolines\n",
        "sys/devices/system/cpu/smt/active": "0\n", "sys/class/iommu/ivhd0": "",
        "proc/cpuinfo": "microcode\t: 0xa1\nflags\t\t: svm npt\n", "sys/class/tpm/tpm0/tpm_version_major": "2\n",
        "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": "\6\0\0\0\1",
        "proc/swaps": "Filename\n", "proc/sys/kernel/core_pattern": "|/bin/false\n"}


def host(files, *args, status=0):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        done = subprocess.run([PROGRAM, "host", "--root", root, *args], capture_output=True, text=True,
                              timeout=60, check=False)
    assert done.returncode == status, f"{done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def checks(text):
    answer = json.loads(text)
    assert answer["bawn_host"] == 1
    for state in ("ok", "warn", "fail", "not applicable"):
        assert answer[state.replace(" ", "_")] == sum(c["state"] == state for c in answer["checks"])
    return answer, {c["id"]: c for c in answer["checks"]}


@test
def good():
    """a host as it should be: status 0, also when warnings count"""
    text = host(GOOD, "--strict")
    assert text.endswith("not applicable\n") and "\nGOOD: " in text, text
    assert "WARN" not in text and "FAIL" not in text, text


@test
def warnings():
    """a warning counts with --strict alone"""
    files = {**GOOD, "sys/devices/system/cpu/smt/active": "1\n"}
    assert "WARN  cpu.smt" in host(files)
    assert "NOT GOOD" in host(files, "--strict", status=1)


@test
def failures():
    """a failure: status 1, and what to do"""
    text = host({**GOOD, "sys/module/bawn_platform/initstate": "live\n"}, status=1)
    assert "FAIL  bawn.software-platform" in text and "unload bawn_platform" in text, text


@test
def as_json():
    """the same for machines: identifiers once each, counts that agree"""
    answer, by_id = checks(host({**GOOD, "proc/sys/kernel/tainted": "8192\n"}, "--json", status=1))
    assert not answer["good"] and len(by_id) == len(answer["checks"])
    assert by_id["kernel.taint"]["state"] == "fail" and by_id["kernel.taint"]["advice"]
    assert by_id["kernel.lockdown"] == {"id": "kernel.lockdown", "state": "ok", "found": "none [integrity] x",
                                        "advice": ""}


@test
def wrong_use():
    """no such root; options and arguments of others"""
    for args in (["--root", "/nowhere/at/all"], ["--exposure", "/nowhere/at/all"], ["log.jsonl"], ["--key", "x"]):
        done = subprocess.run([PROGRAM, "host", *args], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and not done.stdout and done.stderr.startswith("bawn-audit: "), done


@test
def this_machine():
    """this machine, whatever it is"""
    done = subprocess.run([PROGRAM, "host", "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done
    assert checks(done.stdout)[0]["root"] == "/"


sys.exit(run_all())
