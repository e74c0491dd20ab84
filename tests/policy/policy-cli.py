#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the command bawn-policy and of the shipped policies, over the evidence in
tests/vectors."""
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from points import run_all, test  # noqa: E402

BIN = os.path.join(ROOT, os.environ.get("BAWN_BUILD", "build"), "bin")
PROGRAM = os.path.join(BIN, "bawn-policy")
SNP = "tests/vectors/snp/"
TDX = "tests/vectors/tdx/"
SHIPPED = "policy/shipped/"
AT = "2026-09-01"
ALLOWED, DENIED, CANNOT, USAGE = 0, 1, 2, 64


class Answer:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout.decode(), done.stderr.decode()

    def has(self, *words):
        for word in words:
            assert word in self.out + self.err, f"no {word!r} in:\n{self.out}{self.err}"
        return self

    def lacks(self, *words):
        for word in words:
            assert word not in self.out, f"{word!r} in:\n{self.out}"
        return self

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


def run(*args, status=None, stdin=b""):
    done = subprocess.run([PROGRAM, *args], input=stdin, timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    answer = Answer(done)
    assert status is None or answer.status == status, \
        f"{args}: status {answer.status}, not {status}:\n{answer.out}{answer.err}"
    return answer


class Folder:
    """Files that go when the test ends."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def put(self, name, data):
        path = os.path.join(self.folder.name, name)
        if not isinstance(data, (str, bytes)):
            data = json.dumps(data)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path

    def path(self, name):
        return os.path.join(self.folder.name, name)


def snp_vectors():
    with open(SNP + "expected.json", encoding="utf-8") as file:
        return {entry["name"]: entry for entry in json.load(file)}


def snp(name):
    """What judges that report."""
    entry = snp_vectors()[name]
    return ["--at", AT, "--endorsements", SNP + entry["signer_cert"], "--crl", SNP + "crl",
            SNP + entry["report"]]


def policy(**members):
    return {"bawn_policy": 1, "id": "mine", "version": "1", "evidence": ["snp"], "rules": [],
            **members}


def rule(ident="r", **members):
    return {"id": ident, "reason": "because", **members}


GENOA, MILAN, TURIN = "genoa-v5-vcek-7ea4daeb", "milan-v3-vcek-05b7438a", "turin-v5-vcek-85da705e"
OLD, DEBUG = "milan-v2-vcek-120d77b2", "milan-v2-vcek-377e6241"


# ---- check ----

@test
def shipped_good():
    """check accepts every shipped policy and prints its hash"""
    files = sorted(glob.glob(SHIPPED + "*.json"))
    assert len(files) >= 5
    answer = run("check", *files, status=0)
    for line, path in zip(run("check", "--json", *files).lines(), files):
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        assert line["ok"] is True and line["sha256"] == digest and line["rules"] > 0, line
        answer.has(path, digest)


@test
def check_errors():
    """check says line and column, in text and JSON, also of what is included"""
    with Folder() as f:
        bad = f.put("bad.json", '{\n  "bawn_policy": 1,\n  "rulez": []\n}')
        run("check", bad, status=1).has(f"{bad}:3:3: a policy has no member \"rulez\"")
        said = run("check", "--json", bad, status=1).lines()[0]
        assert said["line"] == 3 and said["column"] == 3 and said["ok"] is False, said
        assert said["in"] == bad and said["error"].startswith("a policy has no member"), said
        digest = hashlib.sha256(open(bad, "rb").read()).hexdigest()
        outer = f.put("outer.json", policy(include=[{"name": "bad.json", "sha256": digest}]))
        run("check", outer, status=1).has("bad.json:3:3: ")
        outer = f.put("outer.json", policy(include=[{"name": "bad.json", "sha256": "00" * 32}]))
        run("check", outer, status=1).has("outer.json:1:", "which is not what is pinned")
        outer = f.put("outer.json", policy(include=[{"name": "none.json", "sha256": "00" * 32}]))
        run("check", outer, status=2).has("cannot include \"none.json\"", "No such file")
        run("check", f.path("absent.json"), status=2).has("cannot open")
        run("check", f.put("empty.json", policy()), status=0).has("it denies everything")
        assert run("check", bad, SHIPPED + "strict.json").status == 1


@test
def usage():
    """wrong command lines are said to be so; help and version work"""
    run("--help", status=0).has("bawn-policy check", "--references", "Exit status")
    run("--version", status=0).has("bawn-policy 0.")
    run(status=USAGE)
    run("judge", status=USAGE).has("no such command: judge")
    run("check", status=USAGE).has("check needs FILE...")
    run("diff", "a", status=USAGE)
    run("test", SHIPPED + "strict.json", status=USAGE).has("which evidence?")
    run("check", "--nothing", status=USAGE).has("no such option")
    run("check", "--json=1", "x", status=USAGE).has("takes no value")
    run("test", "--at", status=USAGE).has("needs a value")
    run("test", "--at", "soon", "x", "y", status=USAGE).has("must be a date")
    run("sign", SHIPPED + "strict.json", status=USAGE).has("--key")


# ---- Shipped policies over real evidence ----

@test
def strict_snp():
    """strict allows current reports of known guests, and no others"""
    vectors = snp_vectors()
    with Folder() as f:
        known = [v["measurement"] for v in vectors.values()]
        refs = f.put("refs.json", {"snp.measurement": known})
        strict = ["test", SHIPPED + "strict.json", "--references", refs]
        for name in (GENOA, MILAN, TURIN):
            run(*strict, *snp(name), status=ALLOWED).has("ALLOWED by strict", "status affirming")
        run(*strict, *snp(OLD), status=DENIED).has(
            "snp-tcb: no alternative holds", "snp.reported_tcb is 0300000000000873, and would have "
            "to be at least 04000000000018db", "snp-aliases:").lacks("snp-guest")
        run(*strict, *snp(DEBUG), status=DENIED).has(
            "The evidence is not trusted", "baseline/snp-debug: snp.policy.debug is true, and must "
            "be false", "status contraindicated")
        run("test", SHIPPED + "strict.json", *snp(GENOA), status=DENIED).has(
            "snp-guest:", "the set has no values")
        other = f.put("other.json", {"snp.measurement": ["00" * 48]})
        run("test", SHIPPED + "strict.json", "--references", other, *snp(GENOA), status=DENIED).has(
            f"snp.measurement is {vectors[GENOA]['measurement']}, and must be in reference set")


@test
def baseline_snp():
    """baseline allows every sound report and refuses debugging"""
    for name, entry in snp_vectors().items():
        if entry["key"] == "VLEK":
            continue  # has expired by then
        run("test", SHIPPED + "baseline.json", *snp(name),
            status=DENIED if entry["debug"] else ALLOWED)


@test
def tdx():
    """strict and baseline judge TDX quotes by their TCB status"""
    seen = set()
    with open(TDX + "expected.json", encoding="utf-8") as file:
        quotes = [q for q in json.load(file) if q["tee"] == "TDX"]
    for quote, bundle in ((q, b) for q in quotes for b in q["bundles"]):
        args = ["--at", f"@{bundle['at']}", "--endorsements", TDX + bundle["collateral"],
                TDX + quote["quote"], "--json"]
        said = run("explain", SHIPPED + "baseline.json", *args).lines()[0]
        rules = {t["rule"]: t for t in said["trace"]}
        status = rules["tdx-tcb"]["found"]
        seen.add((status, said["verdict"], said["allowed"]))
        fine = status in ("UpToDate", "SWHardeningNeeded", "ConfigurationNeeded",
                          "ConfigurationAndSWHardeningNeeded")
        debug = rules["tdx-debug"]["found"] == "true"
        migratable = rules["tdx-migration"]["found"] == "true"
        assert said["evidence"] == "tdx", said
        assert said["allowed"] is (fine and not debug and not migratable and
                                   said["verdict"] == "trusted"), said
        with Folder() as f:
            claims = subprocess.run([BIN + "/bawn-verify", "--json", *args[:-1]], check=False,
                                    stdout=subprocess.PIPE).stdout
            mrtd = json.loads(claims)["claims"]["tdx.mrtd"]
            refs = f.put("refs.json", {"tdx.mrtd": [mrtd.upper()]})
            strict = run("test", SHIPPED + "strict.json", "--references", refs, *args).lines()[0]
            assert strict["allowed"] is (said["allowed"] and status == "UpToDate"), strict
    assert any(allowed for _, _, allowed in seen), seen
    assert any(not allowed for _, _, allowed in seen), seen


@test
def development():
    """development accepts a given root with a warning; strict and baseline do not"""
    line = {"kind": "attest", "evidence": "snp", "verdict": "trusted",
            "foreign_root": "SEV-SNP test root", "claims": {
                "snp.policy.debug": "false", "snp.policy.migrate_ma": "false",
                "snp.signing_key": "VCEK", "snp.measurement": "ab" * 48}}
    with Folder() as f:
        log = f.put("log", json.dumps(line))
        run("test", SHIPPED + "development.json", "--log", log, status=ALLOWED).has(
            "status warning")
        for name in ("baseline", "strict"):
            run("test", SHIPPED + name + ".json", "--log", log, status=DENIED).has(
                "rests on a root that is not a manufacturer's")
        debug = f.put("log", json.dumps(line).replace('"false"', '"true"'))
        run("test", SHIPPED + "development.json", "--log", debug, status=DENIED).has("snp-debug:")
    run("test", SHIPPED + "development.json", *snp(GENOA), status=ALLOWED).has("affirming")


@test
def azure_and_tpm():
    """Azure's evidence and a bare TPM quote are told apart"""
    for path, kind in (("azure/evidence-v1.json", "azure-snp"),
                       ("azure/evidence-tdx-v1.json", "azure-tdx"), ("tpm/tpm_evidence.json", "tpm"),
                       ("azure/evidence-genoa.json", "azure-snp")):
        said = run("explain", SHIPPED + "baseline.json", "--json", "--at", AT,
                   "tests/vectors/" + path).lines()[0]
        assert said["evidence"] == kind, said
        assert said["allowed"] is (said["verdict"] == "trusted"), said


@test
def examples():
    """the launch and resource examples decide as they say"""
    def entry(evidence, **claims):
        return json.dumps({"kind": "attest", "evidence": evidence, "verdict": "trusted",
                           "claims": claims}) + "\n"
    launch = {"launch.kernel.sha256": "00" * 32, "launch.cmdline": "console=ttyS0 quiet",
              "launch.cpus": "8", "launch.memory": str(1 << 30), "launch.tee": "sev-snp",
              "launch.snp.policy": str(0x30000)}
    resource = {"resource.status": "affirming", "resource.repository": "disk-keys",
                "resource.type": "key", "snp.measurement": "ab" * 48}
    with Folder() as f:
        refs = f.put("refs", {"storage-guests": ["AB" * 48]})
        for shipped, claims, evidence, broken in (
                ("launch-example", launch, "launch", [
                    {"launch.kernel.sha256": "11" * 32}, {"launch.cpus": "9"},
                    {"launch.cmdline": "init=/bin/sh"}, {"launch.tee": "none"},
                    {"launch.snp.policy": str(0xb0000)}]),
                ("resource-example", resource, "snp", [
                    {"resource.status": "warning"}, {"resource.type": "secret"},
                    {"snp.measurement": "ac" * 48}])):
            command = ["test", SHIPPED + shipped + ".json", "--references", refs, "--log"]
            run(*command, f.put("log", entry(evidence, **claims)), status=ALLOWED)
            for change in broken:
                run(*command, f.put("log", entry(evidence, **{**claims, **change})),
                    status=DENIED).has(*change)


# ---- test and explain ----

@test
def explain():
    """explain shows every rule with what it found; --json has the same"""
    answer = run("explain", SHIPPED + "baseline.json", *snp(GENOA), status=ALLOWED)
    answer.has("pass  snp-debug: snp.policy.debug must be false; is false", "skip  tdx-debug",
               "trust vector (AR4SI):", "hardware 2", "NIST-800-53:SC-39")
    said = run("explain", "--json", SHIPPED + "baseline.json", *snp(GENOA)).lines()[0]
    assert said["vector"]["hardware"] == 2 and said["status"] == "affirming", said
    assert {t["outcome"] for t in said["trace"]} == {"passed", "skipped"}
    assert "trace" not in run("test", "--json", SHIPPED + "baseline.json", *snp(GENOA)).lines()[0]


@test
def statuses():
    """several pieces of evidence give the worst exit status; what cannot be judged gives 2"""
    good, bad = SNP + GENOA + ".report.bin", SNP + DEBUG + ".report.bin"
    common = ["test", SHIPPED + "baseline.json", "--at", AT, "--crl", SNP + "crl", "--endorsements",
              SNP + GENOA + ".vcek.der", "--endorsements", SNP + DEBUG + ".vcek.der"]
    run(*common, good, status=ALLOWED)
    both = run(*common, good, bad, status=DENIED)
    assert both.out.count("by baseline") == 2, both.out
    run("test", SHIPPED + "baseline.json", "--at", AT, good, status=CANNOT).has("cannot be judged")
    run("test", SHIPPED + "baseline.json", "-", status=CANNOT, stdin=b"nonsense")
    run("test", SHIPPED + "baseline.json", "/nonexistent", status=CANNOT).has("cannot open")
    run("test", "/nonexistent", good, status=CANNOT)
    with Folder() as f:
        for refs in ("[]", "{", '{"s": 1}', '{"s": [1]}', '{"s": [{"value": "x", "expires": 1}]}'):
            run("test", SHIPPED + "baseline.json", "--references", f.put("r", refs), good,
                status=CANNOT)


@test
def escapes():
    """what a log says is escaped on the terminal, and is UTF-8 in JSON"""
    entry = {"kind": "attest", "evidence": "launch", "verdict": "trusted",
             "claims": {"launch.cmdline": "\x1b[31m\u202ered"}}
    with Folder() as f:
        mine = f.put("p.json", policy(evidence=["launch"],
                                      rules=[rule(claim="launch.cmdline", equals="x")]))
        log = f.put("log", json.dumps(entry))
        run("test", mine, "--log", log, status=DENIED).has("\\x1b[31m\\xe2\\x80\\xaered")
        said = run("explain", "--json", mine, "--log", log).lines()[0]
        assert said["trace"][0]["found"] == "\x1b[31m\u202ered", said


@test
def expiring_references():
    """a reference value counts until it expires"""
    measurement = snp_vectors()[GENOA]["measurement"]
    with Folder() as f:
        mine = f.put("p.json", policy(rules=[rule(claim="snp.measurement", in_reference="s")]))
        for expires, status in (("2026-09-02T00:00:00Z", ALLOWED), ("2026-08-31", DENIED)):
            refs = f.put("r.json", {"s": [{"value": measurement, "expires": expires}]})
            run("test", mine, "--references", refs, *snp(GENOA), status=status)


@test
def logs():
    """logs are read as the service writes them; other entries are passed over"""
    entry = {"seq": 1, "time": "2026-01-02T03:04:05.678Z", "prev": "00" * 32, "kind": "attest",
             "evidence": "snp", "verdict": "trusted", "claims": {"snp.vmpl": "0"}}
    with Folder() as f:
        mine = f.put("p.json", policy(rules=[rule(claim="snp.vmpl", equals=0)]))
        text = json.dumps({"kind": "admin"}) + "\n\n" + json.dumps(entry) + "\n"
        answer = run("test", mine, "--log", f.put("log", text), status=ALLOWED)
        assert answer.out.count("ALLOWED") == 1
        answer.has("log:3: ALLOWED")
        refs = f.put("refs", {"s": [{"value": "0", "expires": "2026-01-02T03:04:06Z"}]})
        timed = f.put("t.json", policy(rules=[rule(claim="snp.vmpl", in_reference="s")]))
        run("test", timed, "--references", refs, "--log", f.path("log"), status=ALLOWED)
        for change in ({"verdict": "fine"}, {"claims": {"snp.vmpl": "x"}}, {"claims": []},
                       {"claims": {"snp.vmpl": 0}}, {"time": "soon"}):
            log = f.put("bad", json.dumps({**entry, **change}))
            run("test", mine, "--log", log, status=CANNOT).has("bad:1: ")
        run("test", mine, "--log", f.put("bad", "{"), status=CANNOT).has("bad:1:")
        run("test", mine, "--log", f.put("bad", '{"kind":"a","kind":"attest"}'), status=CANNOT)


# ---- diff ----

@test
def diff():
    """diff shows what another policy would decide differently, and by which rule"""
    def entry(number, vmpl):
        return json.dumps({"seq": number, "kind": "attest", "evidence": "snp",
                           "verdict": "trusted", "claims": {"snp.vmpl": str(vmpl)}}) + "\n"
    with Folder() as f:
        log = f.put("log", "".join(entry(n, n % 3) for n in range(30)))
        old = f.put("old.json", policy(rules=[rule("vmpl", claim="snp.vmpl", at_most=1)]))
        new = f.put("new.json", policy(version="2", rules=[
            rule("vmpl", claim="snp.vmpl", one_of=[0, 2]), rule("more", claim="snp.vmpl",
                                                                at_most=9)]))
        run("diff", old, old, "--log", log, status=0).has("30 judged: 0 would be denied")
        answer = run("diff", old, new, "--log", log, status=1)
        answer.has("log:2: allowed, would be DENIED", "rule vmpl: passed, would be failed",
                   "vmpl: snp.vmpl is 1, and must be one of 0 or 2: because.",
                   "log:3: denied, would be ALLOWED", "rule vmpl: failed, would be passed",
                   "30 judged: 10 would be denied that were allowed, 10 would be allowed")
        lines = run("diff", "--json", old, new, "--log", log, status=1).lines()
        assert len(lines) == 21, len(lines)
        assert lines[0]["old"] is True and lines[0]["new"] is False, lines[0]
        assert lines[0]["rules"] == [{"rule": "vmpl", "old": "passed", "new": "failed"}], lines[0]
        assert (lines[-1]["now_denied"], lines[-1]["now_allowed"]) == (10, 10), lines[-1]
        third = f.put("third.json", policy(rules=[rule("other", claim="snp.vmpl", at_most=0)]))
        run("diff", old, third, "--log", log, status=1).has("rule other: not there, would be failed")
    run("diff", SHIPPED + "baseline.json", SHIPPED + "strict.json", *snp(GENOA), status=1).has(
        "allowed, would be DENIED", "rule snp-guest: not there, would be failed")


# ---- sign ----

@test
def sign():
    """sign makes what openssl verifies, for each kind of key"""
    with Folder() as f:
        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, cwd=f.folder.name)
        mine = f.put("p.json", policy(rules=[rule(claim="snp.vmpl", equals=0)]))
        for kind, algorithm in (("P-256", "-sha256"), ("P-384", "-sha384"), ("ed25519", None)):
            options = ["-algorithm", "ed25519"] if not algorithm else \
                ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + kind]
            openssl("genpkey", *options, "-out", "key.pem")
            openssl("pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem")
            run("sign", "--key", f.path("key.pem"), mine, status=0)
            if algorithm:
                openssl("dgst", algorithm, "-verify", "pub.pem", "-signature", "p.json.sig",
                        "p.json")
            else:
                openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub.pem", "-in",
                        "p.json", "-sigfile", "p.json.sig")
        run("sign", "--key", f.path("key.pem"), "--output", f.path("other"), mine, status=0)
        assert os.path.getsize(f.path("other")) == 64
        run("sign", "--key", f.path("pub.pem"), mine, status=CANNOT).has("no private key")
        run("sign", "--key", f.path("key.pem"), f.put("bad.json", "{}"), status=CANNOT).has(
            "bad.json:1:1: ")
        openssl("genpkey", "-algorithm", "RSA", "-out", "rsa.pem")
        run("sign", "--key", f.path("rsa.pem"), mine, status=CANNOT).has("P-256, P-384 or Ed25519")


def main():
    os.chdir(ROOT)
    return run_all()


if __name__ == "__main__":
    sys.exit(main())
