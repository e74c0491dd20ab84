#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The status page in a browser, as the whole service fills it: real evidence, denied and allowed,
and a policy whose texts try to be markup. Screenshots at a phone's and a desktop's width are kept
under BUILD/page/. About 20 s. Needs chromium and python3-jwcrypto."""
import hashlib
import html.parser
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from jwcrypto import jwk

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import BUILD, Service, Tap, ask  # noqa: E402

JSON = [("Content-Type", "application/json")]
HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>\'"&amp;'
SHOTS = os.path.join(BUILD, "page")
CHROMIUM = shutil.which("chromium")
tap = Tap()


def policy(name, version, claim, **rule):
    return {"bawn_policy": 1, "id": name, "version": version, "evidence": ["snp"],
            "test_roots": True, "rules": [dict({"id": "the-rule", "claim": claim}, **rule)]}


def set_policy(s, value):
    with s.tls(admin=True) as c:
        answer = ask(c, "POST", "/kbs/v0/attestation-policy", json.dumps(value).encode(), JSON)
    if answer[0] != 200:
        raise RuntimeError(answer)


class Guest:
    """One that makes evidence for a root of its own, and asks for a token with it."""
    def __init__(self, root):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/kbs-guest"), root],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.report(b"")  # then the root is there

    def report(self, data):
        self.process.stdin.write(data.ljust(64, b"\0").hex() + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def attest(self, s):
        with s.tls() as c:
            answer = ask(c, "POST", "/kbs/v0/auth",
                         json.dumps({"version": "0.4.0", "tee": "snp"}).encode(), JSON)
            cookie = answer[1]["set-cookie"].split(";")[0]
            public = json.loads(jwk.JWK.generate(kty="EC", crv="P-256").export_public())
            runtime = {"nonce": json.loads(answer[2])["nonce"],
                       "tee-pubkey": dict(public, alg="ECDH-ES+A256KW")}
            text = json.dumps(runtime, sort_keys=True, separators=(",", ":")).encode()
            evidence = self.report(hashlib.sha384(text).digest())
            body = {"runtime-data": runtime, "tee-evidence": {
                "primary_evidence": evidence, "additional_evidence": "{}"}}
            return ask(c, "POST", "/kbs/v0/attest", json.dumps(body).encode(),
                       JSON + [("Cookie", cookie)])[0]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def browse(s, *options):
    with tempfile.TemporaryDirectory(prefix="chromium-") as home:
        done = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--disable-dev-shm-usage", "--user-data-dir=" + home, *options,
             f"http://127.0.0.1:{s.port + 2}/"],
            capture_output=True, timeout=120, check=False, env=dict(os.environ, HOME=home))
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
    return done.stdout.decode(), done.stderr.decode(errors="replace")


class Dom(html.parser.HTMLParser):
    """Tables by heading as rows of texts; tags; attributes that fetch or run something."""
    def __init__(self, text):
        super().__init__()
        self.tags, self.active, self.tables, self.text = set(), [], {}, ""
        self.rows = self.cell = self.into = None
        self.heading = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.active += [a for a, _ in attrs if a in ("src", "href", "srcset", "action", "data")
                        or a.startswith("on")]
        if tag == "h2":
            self.heading = ""
        elif tag == "table":
            self.rows = self.tables.setdefault(self.heading, [])
        elif tag == "tr" and self.rows is not None:
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        self.into = tag if tag in ("h2", "td") else self.into

    def handle_endtag(self, tag):
        if tag in ("h2", "td"):
            self.into = None
        elif tag == "table":
            self.rows = None

    def handle_data(self, data):
        self.text += data
        if self.into == "h2":
            self.heading += data
        elif self.into == "td":
            self.rows[-1][-1] += data

    def rows_of(self, heading):
        return [r for r in self.tables.get(heading, []) if r]


def decisions(dom):
    """verdicts, decisions, policies and the reasons of denials are in the page"""
    rows = dom.rows_of("Latest decisions")
    if len(rows) != 2:
        return rows
    (_, _, tenant, _, verdict, name, decision, why), allowed = rows
    ok = (tenant, verdict, name, decision) == \
        ("default", "trusted", "markup", "denied") and HOSTILE in why and \
        allowed[4:7] == ["trusted", "lenient", "allowed"]
    return None if ok else rows


def checks(dom):
    """what denied is counted"""
    rows = dom.rows_of("What denials came from")
    return rows != [["the-rule", "1"]] and rows


def tcb(dom):
    """TCB levels stand beside what the policy wants, and what is too low is called so"""
    rows = dom.rows_of("TCB levels of the latest evidence")
    ok = len(rows) == 1 and rows[0][0] == "snp.reported_tcb.microcode" and \
        rows[0][1].isdigit() and "255" in rows[0][2] and rows[0][3] == "too low"
    return None if ok else rows


def tenants(dom):
    """each tenant's policy with version and hash; one without a policy is conspicuous"""
    rows = {r[0]: r[1:] for r in dom.rows_of("Tenants and their policies")}
    ok = set(rows) == {"default", "empty"} and rows["default"][:2] == ["markup", "7.1"] and \
        len(rows["default"][2]) == 64 and "denied" in rows["empty"][0] and \
        "Tenant empty has no attestation policy" in dom.text
    return None if ok else rows


def checkpoint(dom):
    """the last checkpoint is there, with the log's name and a signature"""
    start = dom.text.find("attestd-page-test\n")
    return (start < 0 or "\n\u2014 attestd-page-test " not in dom.text[start:]) and dom.text[-600:]


def inert(dom):
    """no script, no external resource, nothing that runs; hostile texts are text"""
    found = dom.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    return found or dom.active or HOSTILE not in dom.text or dom.text.startswith("owned")


def console(s):
    """the page's own policy forbids nothing that is in it"""
    errors = browse(s, "--enable-logging=stderr", "--v=0", "--dump-dom")[1]
    return "Content Security Policy" in errors and errors


def drawn(path):
    """The size of a picture, and whether more than paper is on it."""
    with open(path, "rb") as f:
        data = f.read()
    at, pixels = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IDAT":
            pixels += data[at + 8:at + 8 + length]
        at += length + 12
    return struct.unpack(">II", data[16:24]), len(set(zlib.decompress(pixels))) > 20


def shot(s, name, width, height):
    path = os.path.join(SHOTS, name + ".png")
    if os.path.exists(path):
        os.unlink(path)
    browse(s, f"--window-size={width},{height}", "--screenshot=" + path)
    found = drawn(path)
    tap.point(found == ((width, height), True), f"drawn: {os.path.relpath(path)}", found)


def wait_signed(s):
    """Until a checkpoint is over all entries."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with s.raw(offset=2) as c:
            values = dict(line.rsplit(" ", 1) for line in ask(c, "GET", "/metrics")[2].decode()
                          .splitlines() if not line.startswith("#"))
        if 0 < float(values["bawn_attestd_log_entries"]) == \
                float(values["bawn_attestd_log_checkpoint_entries"]):
            return values
        time.sleep(0.2)
    raise RuntimeError("no checkpoint")


def metrics(values):
    """metrics count what was decided, and the check that denied"""
    got = [float(values.get("bawn_attestd_" + k, "-1")) for k in (
        'decisions_total{verdict="allowed"}', 'decisions_total{verdict="denied"}',
        'denials_total{check="the-rule"}')]
    return got != [1, 1, 1] and got


def setup(config):
    config["tenants"]["default"]["roots"] = [ROOT]
    config["tenants"]["empty"] = {}
    config["log"] = {"origin": "attestd-page-test", "checkpoint_seconds": 1}
    config["workers"] = 1


if not CHROMIUM:
    print("ok 1 - the status page # SKIP there is no chromium (apt-get install chromium)\n1..1")
    sys.exit(0)
os.makedirs(SHOTS, exist_ok=True)
ROOT = os.path.join(SHOTS, "root.pem")
guest = Guest(ROOT)
service = Service(os.path.join(BUILD, "bin/bawn-attestd"), setup)
try:
    lenient = policy("lenient", "1", "snp.measurement", present=True, reason="it has one")
    set_policy(service, lenient)
    statuses = [guest.attest(service)]
    set_policy(service, policy("markup", "7.1", "snp.reported_tcb.microcode", at_least=255,
                               reason=HOSTILE))
    statuses.append(guest.attest(service))
    tap.point(statuses == [200, 401], "one guest is allowed, one denied", statuses)
    tap.run(metrics, wait_signed(service))
    page = Dom(browse(service, "--dump-dom")[0])
    for test in (decisions, checks, tcb, tenants, checkpoint, inert):
        tap.run(test, page)
    tap.run(console, service)
    shot(service, "desktop", 1280, 1500)
    shot(service, "phone", 390, 2400)
finally:
    service.end()
    guest.end()
tap.end()
