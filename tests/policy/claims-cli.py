#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the policy language's claims against docs/claims.md, and its JSON Schema against what
bawn-policy accepts and refuses."""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import jsonschema

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from points import run_all, test  # noqa: E402

PROGRAM = os.path.join(ROOT, os.environ.get("BAWN_BUILD", "build"), "bin/bawn-policy")
KINDS = {"number": "UINT", "boolean": "BOOL", "bytes": "BYTES", "text": "TEXT", "any": "ANY"}


def expand(name):
    """snp.{a,b}_tcb: each name that it stands for."""
    match = re.search(r"\{([^{}]*)\}", name)
    if not match:
        return [name]
    return [n for choice in match.group(1).split(",")
            for n in expand(name[:match.start()] + choice + name[match.end():])]


def described(page):
    found = {}
    with open(page, encoding="utf-8") as file:
        for line in file:
            match = re.match(r"- `([^`]+?)(\[\])?` ([a-z]+): ", line)
            for name in expand(match.group(1)) if match else ():
                found[name] = KINDS[match.group(3)], bool(match.group(2))
    return found


@test
def claims():
    """policies know the claims of docs/claims.md and docs/policy.md, with their kinds"""
    table = {}
    with open("policy/lib/claims_table.c", encoding="utf-8") as file:
        for name, kind, indexed in re.findall(r'\{ "([^"]+)", CLAIM_(\w+), (\w+) \}', file.read()):
            assert name not in table, name
            table[name] = kind, indexed == "true"
    pages = {**described("docs/claims.md"), **described("docs/policy.md")}
    assert len(pages) > 200
    assert table == pages, {n: (table.get(n), pages.get(n)) for n in table.keys() | pages.keys()
                            if table.get(n) != pages.get(n)}


def accepted(policy):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(policy, file)
        file.flush()
        return subprocess.run([PROGRAM, "check", file.name], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, check=False)


def validator():
    with open("policy/schema/policy.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@test
def schema_shipped():
    """the schema accepts every shipped policy"""
    check = validator()
    for path in glob.glob("policy/shipped/*.json"):
        with open(path, encoding="utf-8") as file:
            check.validate(json.load(file))


LEAF = {"id": "l", "claim": "snp.vmpl", "equals": 0}
RULE = {"id": "r", "reason": "w", "claim": "snp.vmpl", "equals": 0}
GOOD = {"bawn_policy": 1, "id": "p", "version": "1", "evidence": ["snp"], "rules": [RULE]}


def variants():
    """Policies, each with whether it is right by its form."""
    yield GOOD, True
    yield {**GOOD, "rules": []}, True
    yield {**GOOD, "test_roots": True, "description": "x", "include": [], "$schema": "x"}, True
    for change in ({"bawn_policy": 2}, {"id": "a b"}, {"id": ""}, {"id": "x" * 65}, {"version": 1},
                   {"evidence": []}, {"evidence": ["sev"]}, {"evidence": ["snp", "snp"]},
                   {"evidence": "snp"}, {"test_roots": 1}, {"rules": {}}, {"rules": [1]},
                   {"include": {}}, {"include": [{}]}, {"include": [{"name": "x"}]},
                   {"include": [{"name": "../x", "sha256": "00" * 32}]},
                   {"include": [{"name": ".x", "sha256": "00" * 32}]},
                   {"include": [{"name": "x", "sha256": "00" * 31}]}, {"more": 1},
                   {"description": ""}, {"description": "a\nb"}):
        yield {**GOOD, **change}, False
    for member in ("bawn_policy", "id", "version", "evidence", "rules"):
        yield {k: v for k, v in GOOD.items() if k != member}, False

    def with_rule(rule):
        return {**GOOD, "rules": [rule]}
    for change, right in (
            ({"controls": ["a"]}, True), ({"controls": []}, True), ({"controls": [1]}, False),
            ({"controls": ["a"] * 33}, False), ({"controls": "a"}, False),
            ({"reason": ""}, False), ({"reason": "x" * 1025}, False), ({"reason": "a\tb"}, False),
            ({"evidence": ["snp"]}, True), ({"evidence": []}, False),
            ({"trust": {"claim": "hardware"}}, True), ({"trust": {"claim": "x"}}, False),
            ({"trust": {}}, False), ({"trust": {"claim": "hardware", "pass": 128}}, False),
            ({"trust": {"claim": "hardware", "pass": -128, "fail": 127}}, True),
            ({"trust": {"claim": "hardware", "pas": 1}}, False),
            ({"at_least": 1}, False), ({"all": [LEAF]}, False), ({"not": LEAF}, False),
            ({"claim": 1}, False), ({"claim": "tdx.rtmr[00]"}, False), ({"more": 1}, False),
            ({"equals": None}, False), ({"equals": -1}, False), ({"equals": [0]}, False),
            ({"equals": 18446744073709551615}, True), ({"equals": 18446744073709551616}, False)):
        yield with_rule({**RULE, **change}), right
    for member in ("id", "reason", "claim", "equals"):
        yield with_rule({k: v for k, v in RULE.items() if k != member}), False
    head = {"id": "r", "reason": "w"}
    vmpl = {**head, "claim": "snp.vmpl"}
    for body, right in (
            ({"one_of": [0, 1]}, True), ({"one_of": []}, False), ({"one_of": 1}, False),
            ({"at_least": 1}, True), ({"at_most": 1}, True), ({"bits_set": "0x1"}, True),
            ({"bits_clear": 1}, True), ({"at_least": True}, False), ({"in_reference": "s"}, True),
            ({"in_reference": ""}, False), ({"in_reference": 1}, False), ({"absent": True}, True),
            ({"absent": False}, False), ({"present": True}, True), ({"present": 1}, False)):
        yield with_rule({**vmpl, **body}), right
    for body, right in (
            ({"all": [LEAF]}, True), ({"any": [LEAF]}, True), ({"not": LEAF}, True),
            ({"all": []}, False), ({"any": {}}, False), ({"not": [LEAF]}, False),
            ({"all": [LEAF], "equals": 0}, False), ({"all": [LEAF], "any": [LEAF]}, False),
            ({"all": [{**LEAF, "trust": {"claim": "hardware"}}]}, False),
            ({"any": [{"id": "n", "not": {"id": "m", "all": [LEAF]}}]}, True)):
        yield with_rule({**head, **body}), right
    deep = copy.deepcopy(LEAF)
    for depth in range(11):
        deep = {"id": f"g{depth}", "any": [deep]}
    yield with_rule({**head, "any": [deep]}), True


@test
def schema_agrees():
    """schema and parser accept and refuse the same forms"""
    check, wrong = validator(), []
    count = {True: 0, False: 0}
    for policy, right in variants():
        count[right] += 1
        done = accepted(policy)
        if check.is_valid(policy) is not right:
            wrong.append(f"schema: not {right}: {json.dumps(policy)[:300]}")
        if (done.returncode == 0) is not right:
            wrong.append(f"parser: not {right}: {json.dumps(policy)[:300]}: {done.stderr}")
    assert not wrong, "\n".join(wrong)
    assert min(count.values()) > 15, count


def main():
    os.chdir(ROOT)
    return run_all()


if __name__ == "__main__":
    sys.exit(main())
