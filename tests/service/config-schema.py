#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The configuration's schema and the program agree: on what --dev makes, on the guide's examples, and
on several hundred wrong configurations, each one change away from a right one. About 10 s. Needs
python3-jsonschema."""
import copy
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import BUILD, Tap  # noqa: E402

try:
    import jsonschema
except ImportError:
    print("ok 1 - the schema # SKIP there is no python3-jsonschema\n1..1")
    sys.exit(0)

HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAM = os.path.join(BUILD, "bin/bawn-attestd")
with open(os.path.join(HERE, "../../attest/service/schema/config.schema.json"),
          encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FULL = {
    "$schema": "x",
    "listen": ["tcp:127.0.0.1:1", "tcp:[::1]:2", "unix:/x", "vsock:any:3", "vsock:3:4"],
    "tls": {"certificate": "f", "key": "f"},
    "admin": {"listen": ["tcp:127.0.0.1:4"], "client_ca": "f",
              "tls": {"certificate": "f", "key": "f"}, "hosts": ["attest.example"]},
    "status": {"listen": ["unix:/y", "tcp:127.0.0.1:5"], "hosts": ["status.example"]},
    "database": "postgresql://host/name",
    "keys": {"storage": {"file": "f"}},
    "token": {"issuer": "i", "lifetime": 60, "algorithm": "ES256"},
    "session": {"lifetime": 60},
    "workers": 3,
    "limits": {"body": 4096, "admin_body": 4096, "header": 4096, "rate": 0, "burst": 1,
               "connections": 1, "per_client": 1, "header_timeout": 1, "body_timeout": 1,
               "idle_timeout": 1, "jobs": 1, "judge_timeout": 1, "subscribers": 0, "session_tickets": False},
    "tenants": {"default": {"policy": "f"}, "two": {
        "roots": ["f"], "test_roots": True, "admins": [
            {"name": "n", "certificate": "aB" * 32, "roles": ["policy", "secrets", "auditor"]},
            {"name": "m", "certificate": ":".join(["AB"] * 32), "roles": ["auditor"]}]}},
    "collateral": {"directory": "f", "mirror": "https://mirror.example",
                   "mirror_ca": "f"},
    "log": {"origin": "o", "checkpoint_seconds": 5, "denials": 5, "denials_per_client": 0},
    "user": {"vault": "v", "judge": "j", "front": "f", "admin": "a", "fetch": "g"},
}
STORAGES = [{"tpm": "f"}, {"tpm": "f", "tcti": "device:/dev/tpmrm0"},
            {"pkcs11": {"module": "f", "token": "t", "key": "k", "pin_file": "f", "sealed": "f"}},
            {"pkcs11": {"module": "f", "slot": 0, "key": "k", "pin_file": "f", "sealed": "f",
                        "oaep": "sha256", "init_args": "configdir='sql:f'"}}]
# What a schema cannot well say and the program refuses all the same.
PROGRAM_ALONE = [("listen", ["tcp:127.0.0.1:65536"]), ("listen", ["tcp:1.2.3:1"]),
                 ("status", {"listen": ["tcp:192.0.2.1:1"]}), ("status", {"listen": ["vsock:3:1"]})]
tap = Tap()


class Folder:
    """Where "f" is a file that only its owner reads."""
    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="attestd-config-")
        for name in ("f", "config.json"):
            self.write(name, "")

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def check(self, value):
        """The program's exit status and message; the file has the value on several lines."""
        path = self.write("config.json", json.dumps(value, indent=1))
        done = subprocess.run([PROGRAM, "--config", path, "--check-config"], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stderr


def with_value(value, path, new):
    """A copy in which one value is another; new None: it is gone."""
    out = copy.deepcopy(value)
    at = out
    for key in path[:-1]:
        at = at[key]
    if new is None:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return out


def paths(value, here=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) \
        if isinstance(value, list) else ()
    for key, part in items:
        yield here + (key,), part
        yield from paths(part, here + (key,))


def mistakes(right):
    """(path, what is there instead): wrong types, a key too many, numbers out of their bounds."""
    for path, value in paths(right):
        if path == ("$schema",) or path[:1] == ("user",):
            continue
        needed = path in (("listen",), ("tls",), ("keys",), ("tenants",), ("keys", "storage"))
        wrong = [None] if needed else []
        if isinstance(value, dict):
            wrong += [7, "x", dict(value, unknown=1)]
        elif isinstance(value, list):
            wrong += [7, "x", {"x": 1}]
        elif isinstance(value, bool):
            wrong += [1, "true"]
        elif isinstance(value, int):
            wrong += [-1, 2 ** 40, 1.5, "1", True]
        else:
            wrong += [7, True, "", "a\u0001b"]
        for new in wrong:
            yield path, new


def right(folder):
    """what is right is right to both: everything at once, each kind of storage key, one user for all"""
    for value in [FULL, with_value(FULL, ("user",), "one")] + \
            [with_value(FULL, ("keys", "storage"), s) for s in STORAGES]:
        VALIDATOR.validate(value)
        status, message = folder.check(value)
        if status:
            return message
    return None


def wrong(folder):
    """each wrong configuration is refused by both, by the program with line and column"""
    bad, n = [], 0
    bases = [FULL] + [with_value(FULL, ("keys", "storage"), s) for s in STORAGES[1:]]
    for base in bases:
        for path, new in mistakes(base):
            if base is not FULL and path[0] != "keys":
                continue
            value = with_value(base, path, new)
            status, message = folder.check(value)
            n += 1
            by_schema = not VALIDATOR.is_valid(value)
            if status != 78 or not by_schema or not re.search(r"config\.json:\d+:\d+: ", message):
                bad.append(f"{path} = {new!r}: schema refuses: {by_schema}, "
                           f"program: {status} {message.strip()}")
    print(f"# {n} configurations")
    return (bad or n < 200) and "\n".join(bad[:20])


def storages(folder):
    """storage keys of two kinds, of none, or in parts are refused by both"""
    whole = STORAGES[2]["pkcs11"]
    parts = [{"pkcs11": {k: v for k, v in whole.items() if k != gone}} for gone in whole]
    for storage in [{}, {"file": "f", "tpm": "f"}, {"file": "f", "tcti": "x"},
                    {"pkcs11": dict(whole, slot=1)}] + parts:
        value = with_value(FULL, ("keys", "storage"), storage)
        status, message = folder.check(value)
        if status != 78 or VALIDATOR.is_valid(value):
            return storage, status, message
    return None


def alone(folder):
    """ports, addresses and loopback are the program's to check"""
    for key, new in PROGRAM_ALONE:
        status, message = folder.check(dict(FULL, **{key: new}))
        if status != 78:
            return key, new, status, message
    return None


def defaults(_):
    """the schema's defaults are those of the program, as its source sets them"""
    with open(os.path.join(HERE, "../../attest/service/config.c"), encoding="utf-8") as f:
        source = f.read()
    found = {}
    for name, text in re.findall(r"^    c->([a-z_.]+) = (?:strdup\()?([^;)]+)\)?;", source, re.M):
        text = text.strip()
        if re.fullmatch(r"[0-9]+( << [0-9]+)?", text):
            number = [int(n) for n in text.split(" << ")]
            found[name] = number[0] << (number[1] if number[1:] else 0)
        elif text in ("true", "false") or text[0] == '"':
            found[name] = json.loads(text)
    found["session.lifetime"] = found.pop("session_lifetime")
    said = {}
    for name, part in SCHEMA["properties"].items():
        for key, value in [("", part)] + list(part.get("properties", {}).items()):
            if "default" in value:
                said[name + ("." + key if key else "")] = value["default"]
    return said != found and {k: (said.get(k), found.get(k)) for k in said.keys() | found.keys()
                              if said.get(k) != found.get(k)}


def dev(folder):
    """what --dev makes is right to the schema"""
    path = os.path.join(folder.path, "dev")
    subprocess.run([PROGRAM, "--dev", "--check-config", "--dir", path], check=True,
                   stdout=subprocess.DEVNULL)
    with open(os.path.join(path, "attestd.json"), encoding="utf-8") as f:
        VALIDATOR.validate(json.load(f))


def guide(folder):
    """the guide's configurations are right to both; it names every key, and no other"""
    with open(os.path.join(HERE, "../../docs/attestd.md"), encoding="utf-8") as f:
        text = f.read()
    blocks = re.finditer(r"^( *)\{\n(?:.*\n)*?\1\}$", text, re.M)
    examples = [json.loads(b.group()) for b in blocks]
    for example in examples:
        VALIDATOR.validate(example)
        for path, value in list(paths(example)):
            if isinstance(value, str) and value.endswith((".pem", ".key", ".json")):
                example = with_value(example, path, "f")
        status, message = folder.check(example)
        if status:
            return message
    missing = [p for p in SCHEMA["properties"] if f"`{p}" not in text and p != "$schema"] + \
        [k for k in SCHEMA["properties"]["limits"]["properties"] if f"`{k}`" not in text]
    return (missing or len(examples) < 2) and (missing, len(examples))


jsonschema.Draft202012Validator.check_schema(SCHEMA)
the_folder = Folder()
for test in (right, wrong, storages, alone, defaults, dev, guide):
    tap.run(test, the_folder)
subprocess.run(["rm", "-rf", the_folder.path], check=True)
tap.end()
