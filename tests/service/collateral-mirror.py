#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""VCEKs and CRLs that the store has not, from a mirror of AMD's key server over HTTPS: what is served
here by Python, of a guest of the platform's model. About 25 s."""
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time

from jwcrypto import jwk

from attestd import BUILD, Service, Tap, ask

tap = Tap()
JSON = [("Content-Type", "application/json")]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout


class Guest:
    """Makes evidence without a VCEK."""
    def __init__(self, folder):
        self.root = os.path.join(folder, "root.pem")
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests/kbs-guest"), self.root, folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.evidence(b"")

        def read(name):
            with open(os.path.join(folder, name), "rb") as f:
                return f.read()
        self.vcek = ssl.PEM_cert_to_DER_cert(read("vcek.pem").decode())
        self.chain, self.crl = read("chain.pem"), read("crl.der")

    def evidence(self, data):
        self.process.stdin.write(data.ljust(64, b"\0").hex() + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Mirror:
    """An HTTPS server; what it answers is `vcek` and `crl`: bytes, or a status."""
    def __init__(self, folder):
        self.requests, self.vcek, self.crl, self.delay = [], 404, 404, 0
        self.ca = os.path.join(folder, "mirror.pem")
        key = os.path.join(folder, "mirror.key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-out", self.ca, "-days", "2", "-subj", "/CN=mirror",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                time.sleep(mirror.delay)
                body = mirror.crl if self.path.endswith("/crl") else mirror.vcek
                self.send_response(body if isinstance(body, int) else 200)
                if not isinstance(body, int):
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                else:
                    self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self, crl=False):
        return sum(path.endswith("/crl") == crl for path in self.requests)


class World:
    """A guest, a mirror and a service that knows it."""
    def __init__(self, port=None):
        self.folder = tempfile.TemporaryDirectory(prefix="mirror-")
        self.guest = Guest(self.folder.name)
        self.mirror = Mirror(self.folder.name)

        def setup(config):
            config["tenants"]["default"]["roots"] = [self.guest.root]
            config["limits"] = {"rate": 0}
            config["collateral"] = {"mirror": f"https://localhost:{port or self.mirror.port}/kds/",
                                    "mirror_ca": self.mirror.ca}
        self.service = Service(os.path.join(BUILD, "bin/bawn-attestd"), setup)
        answer = ask(self.service.tls(admin=True), "POST", "/bawn/v1/collateral/genoa/chain",
                     self.guest.chain)
        if answer[0] != 200:
            raise RuntimeError(answer)

    def attest(self):
        sock = self.service.tls()
        auth = {"version": "0.4.0", "tee": "snp", "extra-params": {}}
        answer = ask(sock, "POST", "/kbs/v0/auth", json.dumps(auth).encode(), JSON)
        cookie = answer[1]["set-cookie"].split(";")[0]
        key = jwk.JWK.generate(kty="EC", crv="P-256")
        public = {k: v for k, v in json.loads(key.export_public()).items() if k != "kid"}
        runtime = {"nonce": json.loads(answer[2])["nonce"],
                   "tee-pubkey": dict(public, alg="ECDH-ES+A256KW")}
        text = json.dumps(runtime, sort_keys=True, separators=(",", ":")).encode()
        evidence = self.guest.evidence(hashlib.sha384(text).digest())
        body = {"runtime-data": runtime,
                "tee-evidence": {"primary_evidence": evidence, "additional_evidence": "{}"}}
        answer = ask(sock, "POST", "/kbs/v0/attest", json.dumps(body).encode(),
                     JSON + [("Cookie", cookie)])
        sock.close()
        return answer

    def events(self, name):
        return [e for e in self.service.journal() if e["event"] == name]

    def wait(self, name, n=1):
        end = time.monotonic() + 20
        while len(self.events(name)) < n:
            if time.monotonic() > end:
                raise RuntimeError(f"no {name}: {self.service.journal()}")
            time.sleep(0.05)

    def end(self):
        self.service.end()
        self.guest.end()
        self.mirror.server.shutdown()
        self.folder.cleanup()


def pending(answer):
    """What is wrong with an answer that says to wait, or None."""
    if answer[0] != 503 or int(answer[1].get("retry-after", "0")) < 1 or \
            "vcek" not in json.loads(answer[2])["detail"]:
        return answer
    return None


def fetched(w):
    """missing: 503 and one request for many guests of a chip; fetched, then accepted"""
    w.mirror.vcek, w.mirror.crl, w.mirror.delay = w.guest.vcek, w.guest.crl, 1
    answers = [w.attest() for _ in range(5)]
    problem = next((pending(a) for a in answers if pending(a)), None)
    if problem or w.mirror.count() > 1:
        return problem or w.mirror.requests
    w.wait("collateral was fetched")
    if w.mirror.count() != 1 or not w.mirror.requests[0].startswith("/kds/vcek/v1/Genoa/"):
        return w.mirror.requests
    accepted = w.attest()
    if accepted[0] != 200:
        return accepted
    w.wait("collateral was fetched", 2)  # the CRL, which no answer waits for
    again = w.attest()
    names = [c["name"] for c in json.loads(ask(w.service.tls(admin=True), "GET",
                                               "/bawn/v1/collateral")[2])["collateral"]]
    if again[0] != 200 or w.mirror.count(crl=True) != 1 or "crl/Genoa.crl" not in names or \
            not any(n.startswith("vcek/") and n.endswith("_vcek.der") for n in names):
        return again, w.mirror.requests, names
    return None


def wrong(w):
    """another's certificate and rubbish are refused and logged, and not asked for again at once"""
    der = bytearray(w.guest.vcek)
    der[-1] ^= 1  # the signature
    w.mirror.vcek = bytes(der)
    problem = pending(w.attest())
    w.wait("collateral was not fetched")
    event = w.events("collateral was not fetched")[0]
    answers = [w.attest() for _ in range(5)]
    if problem or "not trusted" not in event["why"] or w.mirror.count() != 1 or \
            any(a[0] != 503 or "not trusted" not in json.loads(a[2])["detail"] or
                int(a[1]["retry-after"]) < 2 for a in answers):
        return problem, event, w.mirror.requests, answers
    return None


def other_chip(w):
    """a certificate of another chip is refused, whoever signed it"""
    w.mirror.vcek = ssl.PEM_cert_to_DER_cert(w.guest.chain.decode().split("-----END")[0] +
                                             "-----END CERTIFICATE-----\n")
    problem = pending(w.attest())
    w.wait("collateral was not fetched")
    event = w.events("collateral was not fetched")[0]
    return problem or ("not this chip's" not in event["why"] and event)


def down(w):
    """a mirror that is not there: later and later, no flood, and the service goes on"""
    problem = pending(w.attest())
    w.wait("collateral was not fetched")
    answers = [w.attest() for _ in range(20)]
    if problem or any(pending(a) for a in answers) or \
            len(w.events("collateral was not fetched")) != 1 or \
            not 2 <= int(answers[-1][1]["retry-after"]) <= 10:
        return problem, answers[-1], w.events("collateral was not fetched")
    return w.mirror.requests


def not_found(w):
    """a status that is not 200 is a failure with its number"""
    problem = pending(w.attest())
    w.wait("collateral was not fetched")
    event = w.events("collateral was not fetched")[0]
    return problem or ("404" not in event["why"] and event)


for test, port in ((fetched, None), (wrong, None), (other_chip, None), (down, 9), (not_found, None)):
    world = World(port)
    try:
        tap.run(test, world)
        ended = [e for e in world.service.journal() if e["event"] == "a process ended"]
        tap.point(not ended, f"{test.__name__}: no process ended", ended)
    finally:
        world.end()
tap.end()
