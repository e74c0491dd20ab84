#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd unit: its keys are known to systemd, its exposure is under 1.5; and the schema of the
configuration names the keys that the program knows, and no others."""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import Tap  # noqa: E402

SERVICE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../attest/service")
UNIT = os.path.join(SERVICE, "bawn-attestd.service")
tap = Tap()


def systemd(*arguments):
    done = subprocess.run(["systemd-analyze", *arguments, UNIT], capture_output=True, text=True,
                          errors="replace")
    return done.returncode, done.stdout + done.stderr


def known():
    """systemd knows every key of the unit"""
    unknown = [line for line in systemd("verify")[1].splitlines()
               if re.search(r"\.service:\d+:", line)]
    return "\n".join(unknown)


def exposure():
    """systemd-analyze security gives less than 1.5"""
    status, text = systemd("security", "--offline=true", "--threshold=14")
    found = re.search(r"Overall exposure level.*: (\d+\.\d+)", text)
    return (status or not found or float(found.group(1)) >= 1.5) and text


def keys_of(schema):
    keys = set(schema.get("properties", {}))
    for part in list(schema.get("properties", {}).values()) + schema.get("oneOf", []):
        keys |= keys_of(part)
    for name in ("additionalProperties", "items"):
        if isinstance(schema.get(name), dict):
            keys |= keys_of(schema[name])
    return keys


def schema():
    """the schema and the program have the same keys"""
    with open(os.path.join(SERVICE, "schema/config.schema.json"), encoding="utf-8") as f:
        described = json.load(f)
    with open(os.path.join(SERVICE, "config.c"), encoding="utf-8") as f:
        read = set(re.findall(r'^\s*\{ "([a-z_$0-9]+)", read_', f.read(), re.MULTILINE))
    with open(os.path.join(SERVICE, "config.c"), encoding="utf-8") as f:
        read |= set(re.findall(r'= \{ \{ "([a-z_]+)", read_', f.read()))
    keys = keys_of(described)
    for definition in described.get("$defs", {}).values():
        keys |= keys_of(definition)
    return keys != read and f"only in the schema {keys - read}, only in the program {read - keys}"


if shutil.which("systemd-analyze"):
    tap.run(known)
    tap.run(exposure)
else:
    tap.point(True, "the unit file # SKIP there is no systemd-analyze")
tap.run(schema)
tap.end()
