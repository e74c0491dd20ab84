#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds docs/claims.md against the sources: every claim and every check of the library and of
bawn-verify must be there, and nothing else. With --write, writes the list of checks anew; what
claims mean is written by hand.

The sources are read after the C preprocessor, since some names are put together by macros. A
check is an initialiser with .name and .how or .advice; a claim is any other string with a claim's
prefix in a file that makes claims.
"""
import functools
import glob
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from points import run_all, test  # noqa: E402

PAGE = "docs/claims.md"
PROGRAM = os.environ.get("BAWN_VERIFY", os.path.join(
    ROOT, os.environ.get("BAWN_BUILD", "build"), "bin/bawn-verify"))
BEGIN, END = "<!-- checks: begin -->\n", "<!-- checks: end -->\n"
PREFIXES = ("snp", "tdx", "sgx", "pck", "qe", "quote", "tpm", "hcl", "eventlog", "ccel")
CLAIM = re.compile(r"(%s)\.[a-z0-9_]+(\.[a-z0-9_]+)*$" % "|".join(PREFIXES))
# Names that are made at run time; the page describes them with a part in angle brackets.
MADE = {"hcl.vm_configuration.<key>", "tpm.<bank>.pcr"}
# Checks that have no struct check: a result without memory, and what the command itself says.
OTHER_CHECKS = {"memory", "input"}
KINDS = {"number": int, "boolean": bool, "bytes": str, "text": str}


# ---- The sources ----

STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
FIELD = re.compile(r"\.(name|claim|source|how|advice)\s*=\s*(?:@(\d+)@|(\w+))")
BLOCK = re.compile(r"\{[^{}]*\.name\s*=\s*@\d+@[^{}]*\}")


def preprocessed(path):
    text = subprocess.run([os.environ.get("CC", "cc"), "-E", "-P", "-std=c11", "-D_GNU_SOURCE",
                           "-Iinclude", "-I.", path], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return text.stdout.decode()


def value(literal):
    """The text of adjacent string literals."""
    return "".join(json.loads(part) for part in re.findall(r'"(?:[^"\\]|\\.)*"', literal))


@functools.lru_cache(maxsize=None)
def sources():
    """Checks as (name, claim, source, how), and the names of claims."""
    checks, claims = set(), set()
    for path in sorted(glob.glob(os.path.join(ROOT, "attest/lib/*.c"))):
        with open(path, encoding="utf-8") as file:
            plain = file.read()
        if not re.search(r"struct check|\bclaim_[a-z_]+\(", plain):
            continue
        strings = []

        def keep(match, strings=strings):
            strings.append(match.group())
            return f"@{len(strings) - 1}@"
        text = STRING.sub(keep, preprocessed(path))
        makes_claims = re.search(r"\bclaim_[a-z_]+\(", plain)

        def take(match, strings=strings, text=text):
            fields = {}
            for field, number, variable in FIELD.findall(match.group()):
                if variable:  # .source = source, a constant of that file
                    number = re.search(variable + r"\[\]\s*=\s*@(\d+)@", text)
                    number = number.group(1) if number else None
                fields[field] = value(strings[int(number)]) if number else ""
            if not fields.keys() & {"how", "advice"}:
                return match.group()
            checks.add((fields["name"], fields.get("claim", ""), fields.get("source", ""),
                        fields.get("how", "")))
            return ""
        text = BLOCK.sub(take, text)
        # What remains of a check is a .claim that is set apart from it.
        text = re.sub(r"\.claim\s*=\s*@\d+@", "", text)
        for number in re.findall(r"@(\d+)@", text) if makes_claims else ():
            name = "".join(re.findall(r'"([^"]*)"', strings[int(number)]))
            if CLAIM.match(name) and not name.endswith(".reserved"):
                claims.add(name)
    return checks, claims


# ---- The page ----

def page():
    with open(os.path.join(ROOT, PAGE), encoding="utf-8") as file:
        return file.read()


def written(checks):
    """The list of checks as it stands on the page."""
    lines = []
    for name, group in itertools.groupby(sorted(checks), key=lambda c: c[0]):
        group = list(group)
        # A check may stand there twice, once for how it is made and once for what else it says.
        how_made = {how for _, _, _, how in group if how}
        for _, claim, source, how in group:
            if not how and how_made:
                continue
            about = f" ({claim})" if claim and claim != name else ""
            text = f"- **{name}**{about}: {how or 'says so only when it fails'}."
            text += f" *{source}*" if source else ""
            lines += textwrap.wrap(text, 98, subsequent_indent="  ", break_long_words=False,
                                   break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def expand(name):
    """snp.{a,b}_tcb: each name that it stands for."""
    match = re.search(r"\{([^{}]*)\}", name)
    if not match:
        return [name]
    return [n for choice in match.group(1).split(",")
            for n in expand(name[:match.start()] + choice + name[match.end():])]


def described():
    """The claims of the page: name to (kind, whether it is indexed)."""
    found = {}
    for line in page().splitlines():
        match = re.match(r"- `([^`]+?)(\[\])?` ([a-z]+): ", line)
        if not match:
            continue
        for name in expand(match.group(1)):
            assert name not in found, f"{name} is described twice"
            found[name] = match.group(3), bool(match.group(2))
    return found


# ---- Tests ----

@test
def checks_listed():
    """docs/claims.md lists the checks of the sources, as they are"""
    text = page()
    listed = text[text.index(BEGIN) + len(BEGIN):text.index(END)]
    assert listed == written(sources()[0]), \
        "the list of checks is not that of the sources: run tests/attest/claims-cli.py --write"
    for name in OTHER_CHECKS:
        assert f"- **{name}**: " in text, f"no check {name} in {PAGE}"


@test
def claims_listed():
    """docs/claims.md describes every claim of the sources, and no other"""
    there, wanted = set(described()), sources()[1] | MADE
    assert not wanted - there, f"not in {PAGE}: {', '.join(sorted(wanted - there))}"
    assert not there - wanted, f"only in {PAGE}: {', '.join(sorted(there - wanted))}"


def made_of(name):
    return re.sub(r"^tpm\.[a-z0-9]+\.pcr$", "tpm.<bank>.pcr",
                  re.sub(r"^hcl\.vm_configuration\..*", "hcl.vm_configuration.<key>", name))


def vectors():
    """Command lines that judge the vectors, with what some of them need."""
    top = os.path.join(ROOT, "tests/vectors")
    for report in sorted(glob.glob(top + "/snp/*.report.bin")):
        cert = glob.glob(report.replace(".report.bin", ".v?ek.der"))
        yield ["--endorsements", cert[0], report]
    for quote in sorted(glob.glob(top + "/tdx/*.quote.bin")):
        bundle = sorted(glob.glob(quote.replace(".quote.bin", ".collateral-*.json")))[0]
        yield ["--endorsements", bundle, quote]
    yield ["--endorsements", top + "/eventlog/ccel_data.dat",
           top + "/eventlog/cos-113-tdx-quote.dat"]
    for folder in ("azure", "tpm", "eventlog"):
        for path in sorted(glob.glob(f"{top}/{folder}/*")):
            yield [path]


@test
def claims_seen():
    """each claim and check that the vectors bring is on the page, and of the kind it says"""
    there = described()
    names = {c[0] for c in sources()[0]} | OTHER_CHECKS
    for args in vectors():
        done = subprocess.run([PROGRAM, "--json", "--explain", "--at", "2026-09-01", *args],
                              stdout=subprocess.PIPE, timeout=60, check=False)
        said = json.loads(done.stdout)
        for finding in said["findings"]:
            assert finding["check"] in names, finding
        for name, found in said["claims"].items():
            name = made_of(name)
            assert name in there, f"{name} of {args[-1]}"
            kind, indexed = there[name]
            assert isinstance(found, list) == indexed, f"{name}: indexed {indexed}"
            if kind == "any":
                continue
            for one in found if indexed else [found]:
                assert one is None or type(one) is KINDS[kind], f"{name}: {kind}, {one!r}"
                assert one is None or kind != "bytes" or re.fullmatch("([0-9a-f]{2})*", one), name


def main():
    if sys.argv[1:] == ["--write"]:
        text = page()
        with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as file:
            file.write(text[:text.index(BEGIN) + len(BEGIN)] + written(sources()[0]) +
                       text[text.index(END):])
        return 0
    return run_all()


if __name__ == "__main__":
    sys.exit(main())
