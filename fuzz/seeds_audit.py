# SPDX-License-Identifier: Apache-2.0
"""Seeds for what bawn-audit reads: a host that is as it should be and one that is not, and what a
build left. The forms are those of fuzz/audit/host.c and report.c."""
import json
import os
import struct

TOP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..")
FACTS = ("lockdown release cmdline taint sig_enforce kexec_off crash_kernel cpuinfo smt kvm_amd_snp kvm_intel_tdx "
         "bawn_taint bawn_version platform secure_boot tpm swaps ksm thp core_pattern suid_dumpable kptr dmesg ptrace "
         "bpf perf snp_status").split()  # enum host_fact
VULNERABILITY, UNITS, IOMMUS, NODES = range(len(FACTS), len(FACTS) + 4)


def record(kind, data):
    return struct.pack("<BH", kind, len(data)) + data


def facts(**values):
    return b"".join(record(FACTS.index(name), value if isinstance(value, bytes) else value.encode())
                    for name, value in values.items())


def node(which, mode, uid):
    return record(NODES, struct.pack("<BHB", which, mode, uid))


def units(*exposures):
    return record(UNITS, json.dumps([{"unit": name, "exposure": value, "predicate": "OK"}
                                     for name, value in exposures]).encode())


def cpus(flags, *microcode):
    return "".join(f"processor\t: {i}\nmicrocode\t: {level}\nflags\t\t: fpu {flags} sse\n\n"
                   for i, level in enumerate(microcode))


def hosts():
    """AMD 56860, 8.3: ABI, state and RMP, build, levels."""
    status = struct.pack("<BBBBIII", 1, 55, 1, 1, 21, 0, 1) + bytes(16)
    yield (facts(lockdown="none [integrity] confidentiality\n", release="6.12.9-amd64\n", cmdline="quiet ro\n",
                 taint="0\n", sig_enforce="Y\n", kexec_off="1\n", crash_kernel="0\n", smt="0\n", kvm_amd_snp="Y\n",
                 cpuinfo=cpus("svm npt sev_snp", "0xa0011d1", "0xa0011d1"), secure_boot=b"\6\0\0\0\1", tpm="2\n",
                 swaps="Filename\tType\n", ksm="0\n", thp="always [madvise] never\n", core_pattern="|/bin/false\n",
                 suid_dumpable="0\n", kptr="1\n", dmesg="1\n", ptrace="1\n", bpf="2\n", perf="3\n", bawn_taint="\n",
                 bawn_version="AABB\n", snp_status=status[:32]) +
           record(VULNERABILITY, b"meltdown\nNot affected\n") + record(IOMMUS, b"ab") + node(0, 0o20660, 0) +
           units(("bawn-attestd.service", "1.3"), ("bawn@a.service", 0.9), ("ssh.service", "9.6")))
    yield (facts(lockdown="[none]\n", release="6.1.0\n", cmdline="mitigations=off iommu=pt nokaslr\n", taint="274432\n",
                 smt="1\n", cpuinfo=cpus("svm", "1", "2"), bawn_taint="OE\n", platform="live\n", ksm="1\n",
                 swaps="Filename\n/dev/sda2 partition\n", core_pattern="core\n", suid_dumpable="1\n",
                 secure_boot=b"\6\0\0\0\0", tpm="1\n", kvm_intel_tdx="N\n", snp_status=bytes(32)) +
           record(VULNERABILITY, b"srso\nVulnerable: no microcode\n") +
           record(VULNERABILITY, b"l1tf\nMitigation: x; SMT vulnerable\n") + node(1, 0o20666, 100) +
           units(("bawn@b.service", "x"), ("bawn.service", 11)))
    yield facts(release="six", taint="-1", cpuinfo="microcode\nflags\t:", tpm="") + record(UNITS, b"{}")


def read(path):
    with open(os.path.join(TOP, path), "rb") as f:
        return f.read()


def part(letter, text):
    return letter.encode() + (text if isinstance(text, bytes) else text.encode()) + b"\xff"


def cut(document, **lists):
    """The same with fewer entries in the lists that are named."""
    return json.dumps(dict(document, **{key: document[key][:n] for key, n in lists.items()}))


LOG = ("== unit\n  ok    r/a_test                 3 passed, 1 skipped\n  FAIL  lab:b  0 passed\nnot ok - fuzz-x: late\n"
       "ok - kernel-exit_svm: 16 seeds\n  ok    fuzz/f.py   9 passed    1.0 s\nunit: 3 passed, 1 failed\n")
FUZZ = json.dumps({"targets": [{"target": "log-entry"}], "core_seconds": 3.5, "executions": 70, "finds": [
    {"target": "log-entry", "class": "leak", "status": "open"}]})
SCORE = json.dumps({"patches": {"01-x": {"found": {"by": "main", "seconds": 3}}, "02-lock-order": {"found": None}}})
HOST = json.dumps({"bawn_host": 1, "good": False, "checks": [
    {"id": "kernel.lockdown", "state": "fail", "found": "[none]", "advice": "lock it"},
    {"id": "memory.swap", "state": "warn", "found": "/dev/sda2", "advice": "off"}]})


def reports():
    threats, controls = (read(f"docs/{name}.json") for name in ("threat-model/threats", "audit/controls"))
    few = cut(json.loads(threats), threats=4), cut(json.loads(controls), controls=2)
    small = part("l", LOG) + part("f", FUZZ) + part("s", SCORE) + part("h", HOST)
    yield small
    yield small + part("g", read("fuzz/seeds/log-entry/whole.jsonl"))
    yield part("t", few[0]) + part("c", few[1]) + small + part("b", "x") + part("n", "3 1\n") + part("p", "{}")
    yield part("t", threats) + part("l", LOG)
    yield part("c", controls) + part("h", HOST)
    yield part("g", read("fuzz/seeds/log-entry/cut.jsonl"))


SEEDS = {"audit-host": hosts, "audit-report": reports}
