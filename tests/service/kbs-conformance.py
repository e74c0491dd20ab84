#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""KBS attestation protocol 0.4.0 over real HTTPS: the shapes of every answer, and the objects in
them opened by others (python3-jwcrypto, the command jose). The guest is the software platform's.
About 10 s."""
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess

from jwcrypto import jwe, jwk, jws

from attestd import BUILD, Service, Tap, ask

tap = Tap()
JSON = [("Content-Type", "application/json")]
SECRET = bytes(range(256)) * 3
ERROR = "https://github.com/confidential-containers/kbs/errors/"


class Guest:
    """One that makes evidence for a root of its own."""
    def __init__(self, root):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/kbs-guest"), root],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.evidence(b"")

    def evidence(self, data):
        self.process.stdin.write(data.ljust(64, b"\0").hex() + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def new_key(kind):
    if kind == "RSA":
        key, alg = jwk.JWK.generate(kty="RSA", size=2048), "RSA-OAEP-256"
    else:
        key, alg = jwk.JWK.generate(kty="EC", crv=kind), "ECDH-ES+A256KW"
    public = {k: v for k, v in json.loads(key.export_public()).items() if k != "kid"}
    return key, dict(public, alg=alg)


def canonical(value):
    """RFC 8785, of what has ASCII names and no numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def error(answer, status):
    """What is wrong with an error's shape, or None."""
    try:
        body = json.loads(answer[2])
    except ValueError:
        return answer
    if answer[0] != status or not set(body) <= {"type", "detail", "reasons"} or \
            not body["type"].startswith(ERROR) or not body["detail"]:
        return answer
    return None


class Client:
    def __init__(self, service, tenant=""):
        self.sock = service.tls()
        self.base = tenant + "/kbs/v0/"
        self.cookie = None

    def send(self, method, path, value=None, headers=()):
        body = json.dumps(value).encode() if value is not None else None
        more = list(headers) + (JSON if value is not None else [])
        return ask(self.sock, method, self.base + path, body, more)

    def auth(self, hashes=None):
        params = {"supported-hash-algorithms": hashes} if hashes else {}
        answer = self.send("POST", "auth", {"version": "0.4.0", "tee": "snp",
                                            "extra-params": params})
        self.cookie = answer[1].get("set-cookie", "").split(";")[0]
        return answer

    def attest(self, guest, kind="P-256", hashed="sha384", change=None):
        challenge = json.loads(self.auth([hashed])[2])
        self.key, public = new_key(kind)
        runtime = {"nonce": challenge["nonce"], "tee-pubkey": public}
        primary = guest.evidence(hashlib.new(hashed, canonical(runtime)).digest())
        body = {"runtime-data": runtime,
                "tee-evidence": {"primary_evidence": primary, "additional_evidence": "{}"}}
        if change:
            change(body)
        self.body = body
        answer = self.send("POST", "attest", body, [("Cookie", self.cookie)])
        self.token = json.loads(answer[2]).get("token")
        return answer

    def resource(self, path="default/key/disk", by="cookie"):
        header = ("Cookie", self.cookie) if by == "cookie" else \
            ("Authorization", "Bearer " + self.token)
        return self.send("GET", "resource/" + path, headers=[header])


def challenge(service, _):
    """POST auth answers a cookie and {nonce, extra-params}"""
    answer = Client(service).auth(["sha512", "sha384"])
    body = json.loads(answer[2])
    ok = answer[0] == 200 and list(body) == ["nonce", "extra-params"] and \
        len(base64.b64decode(body["nonce"], validate=True)) == 32 and \
        body["extra-params"] == {"selected-hash-algorithm": "sha384"} and \
        re.match(r"kbs-session-id=[A-Za-z0-9_.-]+(;|$)", answer[1]["set-cookie"]) and \
        answer[1]["content-type"] == "application/json"
    return None if ok else answer


def token(service, guest):
    """POST attest answers {token}: an EAR that jwcrypto verifies under the JWKS"""
    c = Client(service)
    answer = c.attest(guest)
    if answer[0] != 200 or list(json.loads(answer[2])) != ["token"]:
        return answer
    keys = ask(c.sock, "GET", "/.well-known/jwks.json")
    for key in json.loads(keys[2])["keys"]:
        if {"d", "k"} & set(key):
            return "a private key in the JWKS"
    verified = jws.JWS()
    verified.deserialize(c.token)
    header = json.loads(base64.urlsafe_b64decode(c.token.split(".")[0] + "=="))
    verified.verify(jwk.JWKSet.from_json(keys[2].decode()).get_key(header["kid"]))
    claims = json.loads(verified.payload)
    cpu = claims["submods"]["cpu0"]
    evidence = cpu["ear.veraison.annotated-evidence"]
    public = json.loads(c.key.export_public())
    ok = header["alg"] in ("ES256", "ES384") and claims["exp"] > claims["iat"] and \
        claims["eat_profile"] == "tag:github.com,2024:confidential-containers/Trustee" and \
        set(claims["ear.verifier-id"]) == {"developer", "build"} and claims["jti"] and \
        cpu["ear.status"] in ("affirming", "warning", "none") and \
        set(cpu["ear.trustworthiness-vector"]) == {
            "instance-identity", "configuration", "executables", "file-system", "hardware",
            "runtime-opaque", "storage-opaque", "sourced-data"} and \
        cpu["ear.appraisal-policy-id"] and \
        evidence["runtime_data_claims"]["tee-pubkey"]["x"] == public["x"]
    return None if ok else (header, claims)


def resource(service, guest):
    """GET resource answers a flattened JWE that jwcrypto opens: RSA and EC, cookie and token"""
    for kind in ("RSA", "P-256", "P-384", "P-521"):
        c = Client(service)
        if c.attest(guest, kind)[0] != 200:
            return kind
        for by in ("cookie", "token"):
            answer = c.resource(by=by)
            body = json.loads(answer[2])
            head = json.loads(base64.urlsafe_b64decode(body["protected"] + "=="))
            if set(body) - {"aad"} != {"protected", "encrypted_key", "iv", "ciphertext", "tag"} or \
                    head["enc"] != "A256GCM" or \
                    head["alg"] != ("RSA-OAEP-256" if kind == "RSA" else "ECDH-ES+A256KW"):
                return body
            opened = jwe.JWE()
            opened.deserialize(answer[2].decode(), c.key)
            if opened.payload != SECRET:
                return kind, by
    return None


def resource_jose(service, guest):
    """the command jose opens the same"""
    # Not RSA: Debian 12's jose 11 fails at its own ("Wrapping failed!").
    for kind in ("P-256", "P-384", "P-521"):
        c = Client(service)
        c.attest(guest, kind)
        path = service.path("guest.jwk")
        with open(path, "w", encoding="ascii") as f:
            f.write(c.key.export_private())
        done = subprocess.run(["jose", "jwe", "dec", "-i", "-", "-k", path],
                              input=c.resource()[2], capture_output=True, check=False)
        if done.stdout != SECRET:
            return kind, done
    return None


def hash_algorithms(service, guest):
    """runtime data bound by SHA-256, SHA-384 and SHA-512"""
    for hashed in ("sha256", "sha384", "sha512"):
        answer = Client(service).attest(guest, hashed=hashed)
        if answer[0] != 200:
            return hashed, answer
    return None


def replay(service, guest):
    """evidence that was used before is 401 with reasons"""
    c = Client(service)
    c.attest(guest)
    answer = c.send("POST", "attest", c.body, [("Cookie", c.cookie)])
    return error(answer, 401) or ("reasons" not in json.loads(answer[2]) and answer)


def other_key(service, guest):
    """evidence made for another key is 401"""
    def change(body):
        body["runtime-data"]["tee-pubkey"] = new_key("P-256")[1]
    return error(Client(service).attest(guest, change=change), 401)


def other_nonce(service, guest):
    """a nonce of another session is 401"""
    a, b = Client(service), Client(service)
    a.attest(guest)
    b.auth()
    return error(b.send("POST", "attest", a.body, [("Cookie", b.cookie)]), 401)


def malformed(service, guest):
    """what is no attestation is 400 and says what is missing"""
    for change in (lambda b: b.pop("runtime-data"), lambda b: b.pop("tee-evidence"),
                   lambda b: b["runtime-data"].pop("nonce"),
                   lambda b: b["runtime-data"].update({"tee-pubkey": {"kty": "oct", "k": "AA"}}),
                   lambda b: b["tee-evidence"].update({"primary_evidence": 7})):
        problem = error(Client(service).attest(guest, change=change), 400)
        if problem:
            return problem
    return None


def errors(service, guest):
    """401 without attestation or with a forged token, 404 for what is not there"""
    c = Client(service)
    c.auth()
    problem = error(c.resource(), 401)
    c = Client(service)
    c.attest(guest)
    problem = problem or error(c.resource("default/key/none"), 404)
    good = c.token
    head, payload, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for c.token in (head + "." + payload + "." + signature[::-1], none + "." + payload + ".",
                    "x", head + "." + payload):
        problem = problem or error(c.resource(by="token"), 401)
    c.token = good
    other = Client(service, "/t/other")
    other.token = good
    return problem or error(other.resource(by="token"), 401)


def old_evidence(service, guest):
    """evidence without its wrapper, as protocol 0.1 to 0.3 had it"""
    def change(body):
        body["tee-evidence"] = json.dumps(body["tee-evidence"]["primary_evidence"])
    answer = Client(service).attest(guest, change=change)
    return None if answer[0] == 200 else answer


def administer(service, method, path, body, kind="application/json"):
    return ask(service.tls(admin=True), method, "/kbs/v0/" + path, body, [("Content-Type", kind)])


def policies(service, guest):
    """policies in KBS's shape decide, with reasons; reference values in KBS's message"""
    policy = {"bawn_policy": 1, "id": "known", "version": "1", "evidence": ["snp"],
              "test_roots": True,
              "rules": [{"id": "known", "claim": "snp.measurement", "in_reference": "guests",
                         "reason": "only guests that were released"}]}
    text = base64.urlsafe_b64encode(json.dumps(policy).encode()).decode()
    answer = administer(service, "POST", "attestation-policy", json.dumps(
        {"type": "bawn", "policy_id": "default", "policy": text}).encode())
    if answer[0] != 200:
        return answer
    denied = Client(service).attest(guest)
    if error(denied, 401) or not any("released" in r for r in json.loads(denied[2])["reasons"]):
        return denied
    measurement = base64.b64decode(guest.evidence(b"")["attestation_report"])[0x90:0xc0].hex()
    payload = base64.b64encode(json.dumps({"guests": [measurement]}).encode()).decode()
    answer = administer(service, "POST", "reference-value", json.dumps(
        {"version": "0.1.0", "type": "sample", "payload": payload}).encode())
    allowed = Client(service).attest(guest)
    return (answer[0] != 200 or allowed[0] != 200) and (answer, allowed)


def resource_policy(service, guest):
    """a resource policy's refusal is 403 with reasons"""
    policy = {"bawn_policy": 1, "id": "r", "version": "1", "evidence": ["snp"], "test_roots": True,
              "rules": [{"id": "r", "claim": "resource.type", "equals": "certificate",
                         "reason": "no keys today"}]}
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    answer = administer(service, "POST", "resource-policy", json.dumps({"policy": text}).encode())
    c = Client(service)
    c.attest(guest)
    denied = c.resource()
    return answer[0] != 200 and answer or error(denied, 403) or \
        ("no keys today" not in denied[2].decode() and denied)


def reasons(service, guest):
    """why a token was revoked is told to those with a token in force, or an administrator's rights"""
    events = "/bawn/v1/revocations/events"
    c, gone = Client(service), Client(service)
    c.attest(guest)
    gone.attest(guest)
    headers = [("Authorization", "Bearer " + c.token)]
    streams = [service.tls(), service.tls(), service.tls(admin=True)]
    for sock, more in zip(streams, ([], headers, [])):
        answer = ask(sock, "GET", events, headers=more)
        if answer[0] != 200:
            return answer
    jti = json.loads(base64.urlsafe_b64decode(gone.token.split(".")[1] + "=="))["jti"]
    body = {"kind": "token", "value": jti, "reason": "the disk was lost"}
    answer = ask(service.tls(admin=True), "POST", "/bawn/v1/revoked", json.dumps(body).encode(), JSON)
    if answer[0] != 200:
        return answer
    told = []
    for sock in streams:
        data = b""
        while b"data: " not in data:
            data += sock.recv(4096)
        told.append((jti.encode() in data, b"the disk was lost" in data))
        sock.close()
    if told != [(True, False), (True, True), (True, True)]:
        return told
    for path, token_text in ((events, gone.token), (events, c.token + "A"), (events, "x"),
                             ("/t/other" + events, c.token)):
        answer = ask(service.tls(), "GET", path,
                     headers=[("Authorization", "Bearer " + token_text)])
        if answer[0] != 401:
            return (path, answer)
    return None


def no_secrets(service, _):
    """journal and database have neither the secret nor a token"""
    with open(service.log_path, "rb") as f:
        text = f.read()
    for name in os.listdir(os.path.join(service.dir, "d")):
        if name.startswith("attestd.db"):
            with open(service.path(name), "rb") as f:
                text += f.read()
    return SECRET[:64] in text or b"eyJ" in text


def ends(service, guest):
    """reloaded and asked to end, it ends in order, with all that it decided under a checkpoint"""
    mark = service.mark()
    service.process.send_signal(signal.SIGHUP)
    service.wait_event("reloaded", mark, "front")
    if Client(service).attest(guest)[0] != 200:
        return "no token after the reload"
    service.process.send_signal(signal.SIGTERM)
    if service.process.wait(60) or b"Segmentation" in open(service.log_path, "rb").read():
        return "it did not end in order"
    database = os.environ.get("BAWN_TEST_DATABASE", "sqlite:" + service.path("attestd.db"))
    audit = subprocess.run([os.path.join(BUILD, "bin/bawn-audit"), "verify", "--strict", "--json",
                            database], capture_output=True, text=True, check=False)
    verdict = json.loads(audit.stdout or "{}")
    return verdict.get("signed_entries", -1) != verdict.get("entries") and audit


if not shutil.which("jose"):
    raise SystemExit("the command jose is not there (apt-get install jose)")
ROOT = os.path.join(BUILD, "tests/kbs-guest-root.pem")
the_guest = Guest(ROOT)


def setup(config):
    config["tenants"]["default"]["roots"] = [os.path.abspath(ROOT)]
    config["tenants"]["other"] = {}
    config["limits"] = {"rate": 0}
    if "BAWN_TEST_DATABASE" in os.environ:  # a PostgreSQL URL, instead of SQLite
        config["database"] = os.environ["BAWN_TEST_DATABASE"]


the_service = Service(os.path.join(BUILD, "bin/bawn-attestd"), setup)
try:
    stored = administer(the_service, "POST", "resource/default/key/disk", SECRET,
                        "application/octet-stream")
    tap.point(stored[0] == 200, "a secret is stored", stored)
    for test in (challenge, token, resource, resource_jose, hash_algorithms, replay, other_key,
                 other_nonce, malformed, errors, old_evidence, reasons, policies,
                 resource_policy, no_secrets, ends):
        tap.run(test, the_service, the_guest)
finally:
    the_service.end()
    the_guest.process.stdin.close()
    the_guest.process.wait()
tap.end()
