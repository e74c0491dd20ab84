#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bawn check and bawn run --dump-config as a user calls them; and that the schema of configurations and
the program agree, on several hundred configurations, each one change away from a right one."""
import copy
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

ROOT = os.path.join(HERE, "../..")
PROGRAM = os.path.abspath(os.path.join(os.environ.get("BAWN_BUILD", "build"), "bin/bawn"))
BUCKET = {"size": 5, "one_time_burst": 6, "refill_time": 7}
FULL = {
    "payload": {"kernel": "/k", "initramfs": "/i", "cmdline": "a \"b\"", "firmware": "/f",
                "host_data": "0F" * 32, "igvm": None},
    "cpus": {"boot_vcpus": 2, "max_vcpus": 2, "kvm_hyperv": False, "nested": True, "affinity": [],
             "features": {"amx": False}, "core_scheduling": None, "topology": {
                 "threads_per_core": 1, "cores_per_die": 2, "dies_per_package": 1, "packages": 1}},
    "memory": {"size": 1 << 30, "shared": True, "hugepages": True, "hugepage_size": 1 << 21,
               "thp": False, "mergeable": False, "prefault": False, "hotplug_method": "Acpi",
               "hotplug_size": 0, "zones": []},
    "disks": [{"path": "/a"}, {
        "path": "/b", "readonly": True, "image_type": "Qcow2", "backing": "/c",
        "backing_type": "Raw", "id": "d", "num_queues": 1, "queue_size": 128, "direct": False,
        "vhost_user": False, "iommu": False, "pci_segment": 0,
        "rate_limiter_config": {"bandwidth": BUCKET, "ops": {"size": 1, "refill_time": 1}}}],
    "net": [{"tap": "t0", "mac": "02:00:00:00:0A:01", "mtu": 1500, "id": "n", "num_queues": 2,
             "queue_size": 256, "ip": "192.168.249.1", "mask": "255.255.255.0",
             "vhost_mode": "Client", "offload_tso": True}, {"fds": [7]}, {"socket": "/s"}],
    "rng": {"src": "/dev/urandom", "id": "r", "iommu": False},
    "balloon": {"size": 4096, "free_page_reporting": True, "deflate_on_oom": True, "id": "b"},
    "vsock": {"cid": 3, "socket": "/v", "id": "v"},
    "serial": {"mode": "Pty"},
    "console": {"mode": "File", "file": "/c", "id": "c"},
    "tpm": {"socket": "/t"},
    "platform": {"sev_snp": True, "snp_policy": "0xb0000", "snp_id_block": "/x", "tdx": False,
                 "snp_id_auth": "/y", "snp_certs": "/z", "num_pci_segments": 1, "uuid": None},
    "debug_console": {"mode": "Off"}, "fs": [], "numa": None, "watchdog": False, "iommu": False,
    "pvpanic": True, "landlock_enable": True, "landlock_rules": [],
}
WRONG = [None, True, False, 0, -1, 1, 3, 1 << 32, 1.5, "", "x", "Off", "/dev/random", "Vhdx", "0" * 64,
         "01:00:00:00:00:00", "a" * 4096, [], [1], [{}], {}, {"x": 1}]
# What a schema cannot well say.
PROGRAM_ALONE = ("cpus.max_vcpus", "cpus.boot_vcpus")


def bawn(*arguments):
    return subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)


def with_config(config, *arguments):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(config if isinstance(config, str) else json.dumps(config))
        file.flush()
        return bawn(*arguments, "--config", file.name)


def changes(value, change, path=""):
    """The whole with one value at a time replaced, removed, or with a key more; and where."""
    if isinstance(value, dict):
        for key in value:
            where = f"{path}.{key}" if path else key
            yield from changes(value[key], lambda new, key=key: change({**value, key: new}), where)
            yield where, change({k: v for k, v in value.items() if k != key})
        yield path, change({**value, "unknown": 1})
    elif isinstance(value, list) and value:
        for i, one in enumerate(value):
            yield from changes(one, lambda new, i=i: change(value[:i] + [new] + value[i + 1:]),
                               f"{path}[{i}]")
        yield path, change(value * 9)
    for wrong in WRONG:
        if json.dumps(wrong) != json.dumps(value):
            yield path, change(wrong)


@test
def dumps():
    """a configuration is printed as one that is the same"""
    first = with_config(FULL, "run", "--dump-config")
    assert first.returncode == 0, first.stderr
    second = with_config(first.stdout, "run", "--dump-config")
    assert first.stdout == second.stdout, second
    printed = json.loads(first.stdout)
    assert printed["disks"][1]["rate_limiter_config"]["bandwidth"] == BUCKET
    assert printed["payload"]["host_data"] == "0f" * 32
    assert printed["platform"] == {k: FULL["platform"][k] for k in printed["platform"]}


@test
def dumps_options():
    """options and the configuration that they are give the same machine"""
    done = bawn("run", "--dump-config", "--kernel", "/k", "--cpus", "2", "--memory", "1G", "--disk",
                "path=/a,readonly=on,format=qcow2,id=d", "--net", "tap=t,id=n", "--vsock",
                "cid=3,socket=/v", "--rng", "off", "--console", "pty", "--balloon", "size=64M",
                "--hugepages", "2M")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["rng"] == {"src": ""} and printed["console"] == {"mode": "Pty"}, printed
    assert printed["memory"]["hugepages"] and printed["memory"]["hugepage_size"] == 1 << 21, printed
    assert printed["disks"][0]["id"] == "d" and printed["net"][0]["id"] == "n", printed
    assert with_config(done.stdout, "run", "--dump-config").stdout == done.stdout


@test
def schema():
    """vmm/vmconfig.schema.json is what bawn check --schema prints"""
    printed = bawn("check", "--schema").stdout
    with open(os.path.join(ROOT, "vmm/vmconfig.schema.json"), encoding="utf-8") as file:
        assert file.read() == printed, "bawn check --schema >vmm/vmconfig.schema.json"


@test
def schema_and_program():
    """the schema and the program take and refuse the same; what is taken prints as the same"""
    try:
        import jsonschema  # pylint: disable=import-outside-toplevel
    except ImportError:
        return
    validator_of = jsonschema.Draft202012Validator
    rules = json.loads(bawn("check", "--schema").stdout)
    validator_of.check_schema(rules)
    validator = validator_of(rules)
    tried = [("", FULL), ("", {}), *changes(FULL, copy.deepcopy)]
    taken = 0
    for where, config in tried:
        if where in PROGRAM_ALONE:
            continue
        done = with_config(config, "run", "--dump-config")
        assert done.returncode in (0, 2), done
        if not done.returncode:
            taken += 1
            assert with_config(done.stdout, "run", "--dump-config").stdout == done.stdout, where
        valid = validator.is_valid(config)
        assert valid == (done.returncode == 0), \
            f"{where}: {json.dumps(config)[:2000]}: schema {valid}, program {done.stderr}"
        if done.returncode and where and "[" not in where and isinstance(config, dict):
            assert where.split(".")[0] in done.stderr, (where, done.stderr)
    assert 100 < taken < len(tried) - 500, (taken, len(tried))


@test
def check_exits():
    """bawn check: 1 where something is to be fixed, 2 for usage, and its words"""
    done = bawn("check", "--kernel", "/nonexistent")
    assert done.returncode == 1 and "FIX   kernel" in done.stdout, done
    assert "must be fixed before a machine runs" in done.stdout, done
    done = bawn("check", "--nothing")
    assert done.returncode == 2 and "--nothing" in done.stderr and not done.stdout, done
    done = with_config({"payload": {"kernal": "/k"}}, "check")
    assert done.returncode == 1 and "payload.kernal: unknown key" in done.stdout, done
    done = bawn("check", "--help")
    assert done.returncode == 0 and "--schema" in done.stdout, done


@test
def check_json():
    """bawn check --json: each check with an id, a status and words"""
    done = with_config({"payload": {"kernel": "/nonexistent"}}, "check", "--json")
    said = json.loads(done.stdout)
    checks = {c["id"]: c for c in said["checks"]}
    assert done.returncode == 1 and said["result"] == "fix", done
    for name in ("module", "device", "cpu", "namespaces", "landlock", "seccomp", "memlock", "ksm",
                 "faults", "config", "kernel", "memory", "cpus")[:9]:
        assert checks[name]["status"] in ("ok", "note", "fix") and checks[name]["text"], name
    assert checks["kernel"]["status"] == "fix" and "path" in checks["kernel"]["fix"], checks
    assert set().union(*(c.keys() for c in checks.values())) == {"id", "status", "text", "fix"}


@test
def nothing_is_changed():
    """bawn check makes no file that it names"""
    with tempfile.TemporaryDirectory() as folder:
        bawn("check", "--kernel", folder + "/k", "--serial", f"file={folder}/s", "--vsock",
             f"cid=3,socket={folder}/v", "--disk", f"path={folder}/d")
        assert not os.listdir(folder), os.listdir(folder)


@test
def completion():
    """completion of commands, options and values"""
    def complete(*words):
        script = ("source vmm/completion/bawn.bash; COMP_WORDS=(" + PROGRAM + ' "$@"); '
                  "COMP_CWORD=$#; _bawn " + PROGRAM + '; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=ROOT, check=True,
                              capture_output=True, text=True)
        return done.stdout.split()
    assert {"run", "check", "--help"} <= set(complete("")), complete("")
    assert complete("ch") == ["check"]
    assert complete("run", "--kern") == ["--kernel"]
    assert complete("check", "--sch") == ["--schema"]
    assert complete("run", "--rng", "o") == ["on", "off"]
    assert complete("run", "--rng", "=", "of") == ["off"]
    assert "--memory" in complete("check", "--"), complete("check", "--")
    assert complete("run", "--kernel", "Makef") == ["Makefile"]
    assert complete("info", "--js") == ["--json"]


if __name__ == "__main__":
    sys.exit(run_all())
