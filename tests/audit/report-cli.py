#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of bawn-audit report: what it makes of small trees, good and hostile ones, and of this tree. OSCAL
is held against our own schema, and against NIST's where OSCAL_SCHEMA names oscal_complete_schema.json."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

TOP = os.path.realpath(os.path.join(HERE, "../.."))
BUILD = os.path.join(TOP, os.environ.get("BAWN_BUILD", "build"))
PROGRAM = os.path.join(BUILD, "bin/bawn-audit")
NAMES = ("assessment-results.json", "component-definition.json", "report.html")
TIME = "2026-01-02T03:04:05Z"
THREATS = {"boundaries": [{"id": "b", "name": "A boundary"}],
           "threats": [{"id": "X-01", "boundary": "b", "threat": "A threat.", "mechanism": "By this.",
                        "status": "partly", "residual": "This is left.", "evidence": ["unit:r/a", "seeded:01-x"]},
                       {"id": "X-02", "boundary": "b", "threat": "Another.", "mechanism": "By that.",
                        "status": "mitigated", "residual": "", "evidence": ["lab:b", "service:s"]}]}
CONTROLS = {"oscal": "1.2.2",
            "catalogs": [{"id": "c", "title": "A catalog", "source": "https://example.com/c"},
                         {"id": "d", "title": "Another", "source": "https://example.com/d"}],
            "roles": [{"id": "owner", "title": "The owner"}],
            "components": [{"id": "p", "title": "A program", "description": "It does.", "files": ["bin/p"]}],
            "controls": [{"id": "sc-1", "title": "One", "components": ["p"], "claim": "So it is.", "threats": ["X-01"],
                          "tests": [], "host": [], "owner": "owner", "residual": "Little.", "maps": {"d": ["a1", "a2"]}},
                         {"id": "sc-2", "title": "Two", "components": ["p"], "claim": "That too.", "threats": ["X-02"],
                          "tests": [], "host": [], "owner": "owner", "residual": "", "maps": {"d": ["a1"]}}]}
LOG = ("  ok    r/a_test                   3 passed\n  ok    b on stock KVM   2 passed\n"
       "  ok    service/s.py   1 passed\n")


def put(root, name, text):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def tree(root, threats=None, controls=None, log=LOG):
    put(root, "docs/threat-model/threats.json", json.dumps(threats or THREATS))
    put(root, "docs/audit/controls.json", json.dumps(controls or CONTROLS))
    put(root, "build/log/unit-tests.log", log)
    put(root, "build/results/unit", "6 0\n")
    put(root, "build/bin/p", b"\x7fELF")
    put(root, "policy/shipped/strict.json", "{}")
    return root


def run(*args, status=0, epoch="1767323045"):
    env = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    if epoch:
        env["SOURCE_DATE_EPOCH"] = epoch
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=100, check=False, env=env)
    assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as f:
        return f.read()


def documents(folder):
    return [json.loads(read(folder, name)) for name in NAMES[:2]]


def report(root, *args, **kwargs):
    out = os.path.join(root, "out")
    run("report", out, "--tree", root, *args, **kwargs)
    return out


def with_tree(function):
    def wrapped():
        with tempfile.TemporaryDirectory() as root:
            function(root)
    wrapped.__doc__ = function.__doc__
    return test(wrapped)


def findings(folder):
    results = documents(folder)[0]["assessment-results"]["results"][0]
    return {f["target"]["target-id"]: f["target"]["status"] for f in results["findings"]}


def uuids(value):
    if isinstance(value, dict):
        yield from ([value["uuid"]] if "uuid" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from uuids(entry)


def references(value):
    if isinstance(value, dict):
        for key, entry in value.items():
            if key in ("observation-uuid", "risk-uuid", "actor-uuid"):
                yield entry
            if key == "href" and isinstance(entry, str) and entry.startswith("#"):
                yield entry[1:]
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from references(entry)


def without_classes(schema):
    """NIST's schema less the patterns with \\p{...}, which Python's re does not know."""
    if isinstance(schema, dict):
        return {k: without_classes(v) for k, v in schema.items()
                if not (k == "pattern" and isinstance(v, str) and "\\p{" in v)}
    return [without_classes(v) for v in schema] if isinstance(schema, list) else schema


def check_oscal(folder):
    """By our schema; identifiers are there once, and lead somewhere; by NIST's schema, if it is here."""
    import jsonschema
    with open(os.path.join(HERE, "oscal.schema.json"), encoding="utf-8") as f:
        ours = jsonschema.Draft202012Validator(json.load(f))
    nist = os.environ.get("OSCAL_SCHEMA")
    for doc in documents(folder):
        errors = [f"{list(e.absolute_path)}: {e.message}"[:300] for e in ours.iter_errors(doc)]
        assert not errors, errors[:5]
        ids = list(uuids(doc))
        assert len(ids) == len(set(ids)), [i for i in ids if ids.count(i) > 1][:3]
        missing = set(references(doc)) - set(ids)
        assert not missing, missing
        if nist:
            with open(nist, encoding="utf-8") as f:
                theirs = jsonschema.Draft7Validator(without_classes(json.load(f)))
            errors = [f"{list(e.absolute_path)}: {e.message}"[:300] for e in theirs.iter_errors(doc)]
            assert not errors, errors[:5]


@with_tree
def what_is_made(root):
    """a small tree: findings, requirements, mappings, hashes"""
    out = report(tree(root), "--revision", "v1")
    check_oscal(out)
    results, components = documents(out)
    assert findings(out) == {"sc-1_smt": {"state": "satisfied", "reason": "pass"},
                             "sc-2_smt": {"state": "satisfied", "reason": "pass"}}
    meta = results["assessment-results"]["metadata"]
    assert meta["version"] == "v1" and meta["last-modified"] == TIME and meta["oscal-version"] == "1.2.2"
    observations = {o["title"]: o["props"][0]["value"]
                    for o in results["assessment-results"]["results"][0]["observations"]}
    assert observations == {"unit:r/a": "passed", "seeded:01-x": "not-run", "lab:b": "passed", "service:s": "passed"}
    component = components["component-definition"]["components"][0]
    first, second = component["control-implementations"]
    assert [r["control-id"] for r in first["implemented-requirements"]] == ["sc-1", "sc-2"]
    mapped = {r["control-id"]: [p["value"] for p in r["props"]] for r in second["implemented-requirements"]}
    assert mapped == {"a1": ["sc-1", "sc-2"], "a2": ["sc-1"]}
    resource = components["component-definition"]["back-matter"]["resources"][0]
    assert resource["title"] == "build/bin/p"
    assert resource["rlinks"][0]["hashes"][0]["value"] == hashlib.sha256(b"\x7fELF").hexdigest()
    page = read(out, "report.html").decode()
    assert "<b>2 of 2 controls</b>" in page and "This is left." in page and "6</td>" in page


@with_tree
def what_did_not_pass(root):
    """a test that failed, one that did not run, a planted fault that was found"""
    put(root, "build/fuzz/score/score.json", json.dumps({"patches": {"01-x": {"found": {"by": "main"}}}}))
    out = report(tree(root, log="  ok    r/a_test 1 passed\n  FAIL  b on stock KVM 0 passed\n"))
    assert findings(out)["sc-1_smt"]["state"] == "satisfied"
    assert findings(out)["sc-2_smt"] == {"state": "not-satisfied", "reason": "fail"}
    assert b"class=\"bad\">lab:b" in read(out, "report.html")
    out = report(tree(root, log="  ok    r/a_test 1 passed\n  ok    b 1 passed\n"))
    assert findings(out)["sc-2_smt"]["reason"] == "other"
    # What passed here and failed there has failed.
    out = report(tree(root, log=LOG + "  FAIL  service/s.py 0 passed\n"))
    assert findings(out)["sc-2_smt"]["reason"] == "fail"


@with_tree
def again(root):
    """the same inputs give the same bytes, wherever they are; another input gives another identifier"""
    key = os.path.join(root, "key.pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, stderr=subprocess.DEVNULL)
    one, two = tree(os.path.join(root, "one")), tree(os.path.join(root, "a/second/place"))
    first = {n: read(report(one, "--sign", key), n) for n in (*NAMES, "MANIFEST", "MANIFEST.sig")}
    second = {n: read(report(two, "--sign", key), n) for n in first}
    assert first == second
    put(one, "build/bin/p", b"\x7fELF2")
    assert documents(report(one))[0]["assessment-results"]["uuid"] not in first[NAMES[0]].decode()
    # Without a time that is given it is that of the newest input.
    for folder, _, files in os.walk(two):
        for name in files:
            os.utime(os.path.join(folder, name), (0, 86400))
    assert documents(report(two, epoch=None))[0]["assessment-results"]["metadata"]["last-modified"] == \
        "1970-01-02T00:00:00Z"
    assert "SOURCE_DATE_EPOCH" in run("report", os.path.join(root, "out"), "--tree", one, epoch="now", status=2)


@with_tree
def signature(root):
    """signed, and checked: by us, by openssl and sha256sum; not after a change"""
    keys = {}
    for name in ("right", "wrong"):
        keys[name] = os.path.join(root, name + ".key")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", keys[name]], check=True,
                       stderr=subprocess.DEVNULL)
        subprocess.run(["openssl", "pkey", "-in", keys[name], "-pubout", "-out", keys[name] + ".pub"], check=True)
    out = report(tree(root), "--sign", keys["right"])
    assert run("check-report", out, "--key", keys["right"] + ".pub") == "GOOD\n"
    subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys["right"] + ".pub", "-rawin", "-in",
                    "MANIFEST", "-sigfile", "MANIFEST.sig"], cwd=out, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["sha256sum", "--quiet", "-c", "MANIFEST"], cwd=out, check=True)
    assert "not signed" in run("check-report", out, "--key", keys["wrong"] + ".pub", status=1)
    for name in NAMES:
        whole = read(out, name)
        put(out, name, whole + b" ")
        assert "a document" in run("check-report", out, "--key", keys["right"] + ".pub", status=1)
        put(out, name, whole)
    put(out, "MANIFEST", read(out, "MANIFEST") + b"\n")
    assert "not signed" in run("check-report", out, "--key", keys["right"] + ".pub", status=1)
    put(out, "MANIFEST", b"x" * 5000)
    run("check-report", out, "--key", keys["right"] + ".pub", status=1)
    assert "which key" in run("check-report", out, status=2)
    # A report that is not signed leaves no signature of one before.
    report(root)
    assert not os.path.exists(os.path.join(out, "MANIFEST.sig"))
    assert "Ed25519" in run("report", out, "--tree", root, "--sign", keys["right"] + ".pub", status=2)


@with_tree
def given(root):
    """a log of decisions, a host, policies: in the page, without the place where they lay"""
    log = os.path.join(root, "log.jsonl")
    key = os.path.join(root, "log.key")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", key + ".pub"], check=True)
    subprocess.run([os.path.join(BUILD, "audit/log-writer"), f"sqlite:{root}/db", key, "example.com/l", "12", "4", "0"],
                   check=True)
    run("export", f"sqlite:{root}/db", log)
    host = put(root, "host.json", json.dumps({"bawn_host": 1, "checks": [
        {"id": "cpu.smt", "state": "warn", "found": "<on>", "advice": "off"}]}))
    policy = put(root, "mine.json", "{}")
    out = report(tree(root), "--log", log, "--key", key + ".pub", "--host", host, "--policy", policy)
    check_oscal(out)
    page = read(out, "report.html").decode()
    assert "GOOD: 12 entries, 12 of them signed for" in page and "&lt;on&gt;" in page and "given/mine.json" in page
    for name in NAMES:
        assert root.encode() not in read(out, name)
    controls = json.loads(json.dumps(CONTROLS))
    controls["controls"][0]["host"] = ["cpu."]
    out = report(tree(root, controls=controls), "--host", host)
    check_oscal(out)
    assert findings(out)["sc-1_smt"]["state"] == "satisfied"
    put(root, "host.json", json.dumps({"bawn_host": 1, "checks": [
        {"id": "cpu.smt", "state": "fail", "found": "on", "advice": "off"}]}))
    assert findings(report(root, "--host", host))["sc-1_smt"] == {"state": "not-satisfied", "reason": "fail"}
    spoilt = read(root, "log.jsonl").replace(b'"seq":5', b'"seq":9')
    put(root, "log.jsonl", spoilt)
    assert "NOT GOOD" in read(report(root, "--log", log, "--key", key + ".pub"), "report.html").decode()
    put(root, "log.jsonl", "no log")
    report(root, "--log", log, status=1)
    put(root, "host.json", "{}")
    assert "bawn-audit host" in run("report", out, "--tree", root, "--host", host, status=1)


EVIL = "<script>alert(1)</script>\"'&"


@with_tree
def escapes(root):
    """what would be markup is text: in the model, in results, in names of files"""
    threats, controls = json.loads(json.dumps(THREATS)), json.loads(json.dumps(CONTROLS))
    threats["threats"][0].update(residual=EVIL, threat=EVIL)
    controls["controls"][0].update(claim=EVIL, residual=EVIL)
    tree(root, threats, controls)
    put(root, "build/results/<img src=x onerror=y>", "1 0\n")
    put(root, "build/bin/<b>\x1b[2J\u202e", "x")
    out = report(root, "--revision", "<i>v</i>")
    check_oscal(out)
    page = read(out, "report.html")
    for bad in (b"<script", b"<img", b"<b>\x1b", b"<i>", b"\x1b", b"\"'&"):
        assert bad not in page, bad
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;" in page


def wrong(root, kind, change, words, status=1):
    threats, controls = json.loads(json.dumps(THREATS)), json.loads(json.dumps(CONTROLS))
    change(threats if kind == "t" else controls)
    tree(root, threats, controls)
    said = run("report", os.path.join(root, "out"), "--tree", root, status=status)
    assert words in said, said
    assert not os.path.exists(os.path.join(root, "out")), "something was written"


@with_tree
def shapes(root):
    """inputs of another shape are refused, with the place; nothing is written"""
    wrong(root, "t", lambda m: m.pop("threats"), "threats must be an array")
    wrong(root, "t", lambda m: m["threats"][1].update(evidence="x"), "threats, entry 1: evidence")
    wrong(root, "t", lambda m: m["threats"][1].update(evidence=[["x"]]), "threats, entry 1: evidence")
    wrong(root, "t", lambda m: m["threats"].append(7), "threats, entry 2: id")
    wrong(root, "c", lambda m: m["controls"][0].update(id="sc 1"), "controls, entry 0: id")
    wrong(root, "c", lambda m: m["controls"][0].update(id="1"), "controls, entry 0: id")
    wrong(root, "c", lambda m: m["controls"][0].update(claim="two\nlines"), "controls, entry 0: claim")
    wrong(root, "c", lambda m: m["controls"][0].update(maps={"d": [7]}), "maps is wrong")
    wrong(root, "c", lambda m: m["catalogs"][0].update(source="javascript:x"), "catalogs, entry 0: source")
    wrong(root, "c", lambda m: m.update(controls=[]), "has no controls")
    wrong(root, "c", lambda m: m.update(roles=[{"id": "r", "title": "x" * 5000}]), "roles, entry 0: title")
    wrong(root, "c", lambda m: m.pop("oscal"), "oscal is missing")
    tree(root)
    for text in ("{", "[]", "7", "{\"a\":1,\"a\":2}", "\xff", "[" * 100000, ""):
        put(root, "docs/audit/controls.json", text)
        run("report", os.path.join(root, "out"), "--tree", root, status=1)


@with_tree
def hostile(root):
    """logs of garbage, many tests, files that are none: read within limits"""
    tree(root, log=os.urandom(100000) + b"\n  ok    \n  ok    x" + b"y" * 5000 + b"\nok - \nnot ok - :\n" + LOG.encode())
    os.mkfifo(os.path.join(root, "build/log/a.log"))
    os.symlink("/etc/passwd", os.path.join(root, "build/log/b.log"))
    os.mkdir(os.path.join(root, "build/bin/d"))
    put(root, "build/results/odd", "9" * 1000)
    put(root, "build/results/none", "")
    put(root, "build/fuzz/campaign/report.json", json.dumps({"targets": 7, "executions": "x", "finds": {}}))
    out = report(root)
    check_oscal(out)
    assert findings(out)["sc-1_smt"]["state"] == "satisfied"
    assert b"b.log" not in read(out, NAMES[0])
    put(root, "build/log/many.log", "".join(f"ok - t{i}: x\n" for i in range(70000)))
    assert "more than 65536 tests" in run("report", out, "--tree", root, status=1)
    put(root, "build/log/many.log", b"x" * ((32 << 20) + 1))
    assert "larger than" in run("report", out, "--tree", root, status=2)
    shutil.rmtree(os.path.join(root, "build/log"))
    for i in range(600):
        put(root, f"build/results/{i}", "1 0\n")
    assert "more than 512 files" in run("report", out, "--tree", root, status=2)


@with_tree
def missing(root):
    """no model, no controls, no place to write to"""
    assert "threats.json" in run("report", os.path.join(root, "out"), "--tree", root, status=2)
    tree(root)
    assert "cannot make the directory" in run("report", os.path.join(root, "a/b/c"), "--tree", root, status=2)
    run("report", status=2)
    run("report", os.path.join(root, "out"), "--tree", root, "--json-schema", "x", status=2)


# Pages of this size with the longest of everything printed on ten sheets.
PAGE_MAX = 63000


def sheets(folder):
    """How many of A4 the page fills, by chromium; 0 where that is not there."""
    if not shutil.which("chromium"):
        return 0
    pdf = os.path.join(folder, "page.pdf")
    subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + folder + "/profile",
                    "--print-to-pdf=" + pdf, "file://" + os.path.join(folder, "report.html")],
                   check=True, timeout=100, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return len(re.findall(rb"/Type\s*/Page\b", read(folder, "page.pdf")))


@with_tree
def ten_sheets(root):
    """the page is of ten sheets at most, whatever there is, and says what it leaves out"""
    words = "word " * 160 + "end"
    tree(root, {"boundaries": [{"id": f"b{i}", "name": words} for i in range(60)],
                "threats": [{"id": f"X-{i}", "boundary": "b1", "threat": words, "mechanism": "x", "status": "partly",
                             "residual": words, "evidence": [f"unit:some/long/name{i}"]} for i in range(300)]},
         {**CONTROLS, "controls": [{**CONTROLS["controls"][0], "id": f"sc-{i}", "claim": words, "residual": words,
                                    "threats": [f"X-{k}" for k in range(8)]} for i in range(100)]})
    for i in range(80):
        put(root, f"build/bin/some-program-{i}", "x")
        put(root, f"build/results/step{i}", "1 0\n")
        put(root, f"policy/shipped/p{i}.json", "{}")
    host = put(root, "host.json", json.dumps({"bawn_host": 1, "checks": [
        {"id": f"c{i}", "state": "fail", "found": words, "advice": words} for i in range(60)]}))
    out = report(root, "--host", host)
    page = read(out, "report.html")
    assert len(page) < PAGE_MAX and sheets(out) <= 10, (len(page), sheets(out))
    for text in (b"And 80 more controls", b"And 252 more threats", b"And 44 more boundaries", b"And 46 more checks"):
        assert text in page, text


@with_tree
def this_tree(root):
    """this tree's own data: every control is there, and the page is of ten sheets at most"""
    out = os.path.join(root, "out")
    run("report", out, "--tree", TOP, "--build", BUILD)
    check_oscal(out)
    with open(os.path.join(TOP, "docs/audit/controls.json"), encoding="utf-8") as f:
        ids = [c["id"] for c in json.load(f)["controls"]]
    assert list(findings(out)) == [i + "_smt" for i in ids]
    assert len(read(out, "report.html")) < PAGE_MAX
    for left_out in (b"more controls", b"more threats"):
        assert left_out not in read(out, "report.html")


sys.exit(run_all())
