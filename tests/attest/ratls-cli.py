#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bawn-verify ratls: certificates that carry evidence about their key. The evidence is the software
platform's, for a root of its own, and made for each key; certificates are made, and made wrong, by
python3-cryptography. What bawn-agent itself makes is in tests/agent/tpm-attestd.py. About 10 s."""
import base64
import copy
import datetime
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.join(ROOT, os.environ.get("BAWN_BUILD", "build"))
PROGRAM = os.environ.get("BAWN_VERIFY", os.path.join(BUILD, "bin/bawn-verify"))
GUEST = os.path.join(BUILD, "tests/kbs-guest")
TRUSTED, NOT_TRUSTED, CANNOT_JUDGE, USAGE = 0, 1, 2, 64

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    x509 = None

OID = "1.3.6.1.5.5.7.1.35"  # id-pe-cmw
TYPE = "application/vnd.bawn.kbs-evidence+json"
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Guest:
    """The software platform: evidence about what it is asked, and its root."""

    def __init__(self, folder):
        self.root = os.path.join(folder, "root.pem")
        self.process = subprocess.Popen([GUEST, self.root], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)

    def evidence(self, data):
        self.process.stdin.write(data.ljust(64, b"\0").hex() + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def der(tag, content):
    size = len(content)
    if size < 128:
        head = bytes([size])
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        head = bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + head + content


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def wrapper(evidence, tee="snp"):
    """The extension's value as bawn-agent writes it."""
    text = json.dumps({"evidence": evidence, "tee": tee}, separators=(",", ":"), sort_keys=True)
    return der(0x0c, json.dumps([TYPE, base64url(text.encode()), 4],
                                separators=(",", ":")).encode())


def make(key, value=None, signer=None, more=(), days=(-1, 30), usage=True, ca=False, second=None):
    """A certificate for the key, in DER."""
    now = datetime.datetime.utcnow()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "db.test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name) \
        .public_key(key.public_key()).serial_number(x509.random_serial_number()) \
        .not_valid_before(now + datetime.timedelta(days[0])) \
        .not_valid_after(now + datetime.timedelta(days[1])) \
        .add_extension(x509.BasicConstraints(ca, None), True) \
        .add_extension(x509.KeyUsage(usage, False, False, False, not usage, False, False, False,
                                     False), True)
    if value is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), value), False)
    if second is not None:  # by a neighbour's OID; resign() gives it the same
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(OID[:-1] + "6"), second), False)
    for extension in more:
        builder = builder.add_extension(extension, False)
    made = builder.sign(signer or key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def resign(cert, key, change):
    """The certificate with its signed part changed, and signed again."""
    old = x509.load_der_x509_certificate(cert)
    tbs = change(old.tbs_certificate_bytes)
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return der(0x30, tbs + algorithm + der(0x03, b"\0" + signature))


def pem(cert):
    text = base64.encodebytes(cert).decode().replace("\n", "")
    lines = "\n".join(text[i:i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()


class Scene:
    def __init__(self, folder):
        self.folder = folder
        self.guest = Guest(folder)
        self.key = new_key()
        self.evidence = self.about(self.key)
        self.value = wrapper(self.evidence)
        self.good = make(self.key, self.value)

    def about(self, key):
        return self.guest.evidence(hashlib.sha512(spki(key)).digest())

    def run(self, *arguments, stdin=b""):
        return subprocess.run([PROGRAM, *arguments], input=stdin, timeout=60, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def judge(self, cert, status, *words, options=()):
        done = self.run("ratls", "--root", self.guest.root, *options, "-", stdin=cert)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == status, f"status {done.returncode}, not {status}:\n{said}"
        for word in words:
            assert word in said, f"no {word!r} in:\n{said}"
        return done.stdout.decode()


@test
def good(s):
    """a certificate with evidence about its key, in DER and PEM, from a file and from stdin"""
    for cert in (s.good, pem(s.good), b"before\n" + pem(s.good) + b"after\n"):
        s.judge(cert, TRUSTED, "TRUSTED", "RA-TLS certificate of db.test: AMD SEV-SNP")
        path = os.path.join(s.folder, "cert")
        with open(path, "wb") as f:
            f.write(cert)
        assert s.run("ratls", "--root", s.guest.root, path).returncode == TRUSTED
    for curve in (ec.SECP384R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)
        s.judge(make(key, wrapper(s.about(key))), TRUSTED)


@test
def explained(s):
    """--explain names the checks in their order, --json and --expect are as elsewhere"""
    said = s.judge(s.good, TRUSTED, "ratls.signature", "ratls.validity", "ratls.usage",
                   "ratls.evidence", "ratls.binding", "snp.signature", options=("--explain",))
    assert said.index("ratls.signature") < said.index("snp.signature") < said.index("ratls.binding")
    answer = json.loads(s.judge(s.good, TRUSTED, options=("--json",)))
    assert answer["verdict"] == "trusted", answer
    assert answer["claims"]["snp.report_data"] == hashlib.sha512(spki(s.key)).hexdigest()
    s.judge(s.good, TRUSTED, options=("--expect", "snp.policy.debug=false"))
    s.judge(s.good, NOT_TRUSTED, "snp.measurement",
            options=("--expect", "snp.measurement=" + "ab" * 48))


@test
def another_root(s):
    """under the compiled-in roots the evidence is nobody's"""
    done = s.run("ratls", "-", stdin=s.good)
    assert done.returncode in (NOT_TRUSTED, CANNOT_JUDGE) and b"root" in done.stdout, done.stdout


@test
def s_client(s):
    """what openssl s_client prints of a server with the certificate"""
    paths = [os.path.join(s.folder, name) for name in ("server.pem", "server.key")]
    key = s.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption())
    for path, data in zip(paths, (pem(s.good), key)):
        with open(path, "wb") as f:
            f.write(data)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with subprocess.Popen(("openssl", "s_server", "-accept", address, "-cert", paths[0], "-key",
                           paths[1], "-tls1_3"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as server:
        for line in server.stdout:
            if b"ACCEPT" in line:
                break
        for showcerts in ((), ("-showcerts",)):
            seen = subprocess.run(("openssl", "s_client", "-connect", address, *showcerts),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False, timeout=20).stdout
            s.judge(seen, TRUSTED)
        server.terminate()


@test
def tampered_key(s):
    """a changed or exchanged key is refused, whoever signs then"""
    other = new_key()
    at = s.good.index(spki(s.key))
    for offset in (len(spki(s.key)) - 1, len(spki(s.key)) - 40):
        cert = bytearray(s.good)
        cert[at + offset] ^= 1
        said = s.run("ratls", "--root", s.guest.root, "-", stdin=bytes(cert))
        assert said.returncode in (NOT_TRUSTED, CANNOT_JUDGE), said.stdout
    exchanged = s.good.replace(spki(s.key), spki(other))
    s.judge(exchanged, NOT_TRUSTED, "does not verify with its own key")
    s.judge(make(s.key, s.value, signer=other), NOT_TRUSTED, "does not verify with its own key")
    s.judge(resign(s.good, other, lambda tbs: tbs.replace(spki(s.key), spki(other))), NOT_TRUSTED,
            "made for another key than the certificate's (snp.report_data)")


@test
def swapped_evidence(s):
    """evidence of another certificate, or about less than the whole hash"""
    other = new_key()
    s.judge(make(other, s.value), NOT_TRUSTED, "ratls.binding", hashlib.sha512(
        spki(other)).hexdigest())
    digest = hashlib.sha512(spki(other)).digest()
    for data in (digest[:63] + b"\0", digest[:32], hashlib.sha256(spki(other)).digest(),
                 hashlib.sha384(spki(other)).digest(), b""):
        s.judge(make(other, wrapper(s.guest.evidence(data))), NOT_TRUSTED, "ratls.binding")


@test
def altered_evidence(s):
    """evidence about the right key that the platform did not sign"""
    evidence = copy.deepcopy(s.evidence)
    report = evidence["attestation_report"]
    if isinstance(report, str):
        raw = bytearray(base64.b64decode(report))
        raw[0x90] ^= 1  # measurement
        evidence["attestation_report"] = base64.b64encode(bytes(raw)).decode()
    else:
        report["measurement"][0] ^= 1
    s.judge(make(s.key, wrapper(evidence)), NOT_TRUSTED, "snp.signature")
    s.judge(make(s.key, wrapper({})), CANNOT_JUDGE, "no known form")


@test
def two_guests(s):
    """a genuine part of somebody else beside the evidence is refused"""
    with open(os.path.join(ROOT, "tests/vectors/tpm/tpm_evidence.json"), encoding="utf-8") as f:
        evidence = dict(json.load(f), **s.evidence)
    said = s.run("ratls", "--root", s.guest.root, "-", stdin=make(s.key, wrapper(evidence)))
    assert said.returncode in (NOT_TRUSTED, CANNOT_JUDGE), said.stdout


@test
def truncated(s):
    """cut at each length there is nothing to be trusted, in DER and PEM"""
    for whole in (s.good, pem(s.good)):
        for size in [*range(0, 48), *range(48, len(whole) - 40, 211),
                     *range(len(whole) - 40, len(whole) - 26 * (whole != s.good))]:
            s.judge(whole[:size], CANNOT_JUDGE, "CANNOT JUDGE")
    s.judge(s.good + b"\0", CANNOT_JUDGE, "not one certificate in DER and nothing else")


@test
def oversized(s):
    """what no TLS certificate is in size is not looked at"""
    s.judge(make(s.key, wrapper(dict(s.evidence, pad="x" * (1 << 20)))), CANNOT_JUDGE, "larger than")
    s.judge(pem(s.good) + b" " * (1 << 20), CANNOT_JUDGE, "larger than")
    s.judge(make(s.key, wrapper(dict(s.evidence, pad="x" * 100000))), TRUSTED)


@test
def usages(s):
    """a certificate for other uses is refused; one for servers and clients is not"""
    def eku(*purposes):
        return make(s.key, s.value, more=(x509.ExtendedKeyUsage(purposes),))
    s.judge(eku(ExtendedKeyUsageOID.CODE_SIGNING), NOT_TRUSTED, "extended key usage")
    s.judge(eku(ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING), NOT_TRUSTED,
            "extended key usage")
    s.judge(eku(ExtendedKeyUsageOID.SERVER_AUTH), TRUSTED)
    s.judge(eku(ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.CLIENT_AUTH), TRUSTED)
    s.judge(make(s.key, s.value, usage=False), NOT_TRUSTED, "key usage does not allow")
    s.judge(make(s.key, s.value, ca=True), NOT_TRUSTED, "is a CA's")


@test
def duplicate(s):
    """the extension twice: neither is taken, whichever is the right one"""
    other = wrapper(s.about(new_key()))
    for first, second in ((s.value, other), (other, s.value), (s.value, s.value)):
        cert = make(s.key, first, second=second)
        s.judge(cert, TRUSTED if first is s.value else NOT_TRUSTED)  # with another OID
        cert = resign(cert, s.key, lambda tbs: tbs.replace(b"\x2b\6\1\5\5\7\1\x24",
                                                           b"\x2b\6\1\5\5\7\1\x23"))
        s.judge(cert, CANNOT_JUDGE, "1.3.6.1.5.5.7.1.35 occurs twice")


@test
def validity(s):
    """before and after its time it is refused"""
    s.judge(make(s.key, s.value, days=(-30, -1)), NOT_TRUSTED, "has expired")
    s.judge(make(s.key, s.value, days=(1, 30)), NOT_TRUSTED, "not valid yet")


@test
def other_extensions(s):
    """an extension that is none of ours: absent, another type or kind, CBOR, no base64"""
    text = base64url(json.dumps({"evidence": s.evidence, "tee": "snp"}).encode())

    def record(*parts):
        return der(0x0c, json.dumps(parts).encode())
    s.judge(make(s.key), CANNOT_JUDGE, "no extension with evidence")
    for value, words in (
            (record(TYPE, text, 2), "does not say that it holds evidence"),
            (record(TYPE, text, "4"), "does not say that it holds evidence"),
            (record("application/eat+jwt", text, 4), "another media type"),
            (record(TYPE, text), "no JSON record"),
            (record(TYPE, text, 4, 4), "no JSON record"),
            (record(TYPE, "!", 4), "not in base64"),
            (record(TYPE, base64url(b"[]"), 4), "not evidence and its TEE"),
            (record(TYPE, base64url(b'{"evidence":{}}'), 4), "not evidence and its TEE"),
            (record(TYPE, base64url(b'{"evidence":{},"tee":"snp","tee":"snp"}'), 4),
             "not evidence and its TEE"),
            (der(0x0c, b"[" * 5000), "no JSON record"),
            (der(0x04, b"\x83\x78\x01a\x41b\x04"), "CBOR"),
            (s.value + b"\0", "no UTF8String"),
            (b"", "no UTF8String"),
            (s.value[:-20], "no UTF8String")):
        s.judge(make(s.key, value), CANNOT_JUDGE, words)
    s.judge(make(s.key, wrapper(s.evidence, "tdx")), NOT_TRUSTED, "not of the TEE")
    s.judge(make(s.key, wrapper(s.evidence, "tpm")), NOT_TRUSTED, "not of the TEE")
    s.judge(make(s.key, wrapper(s.evidence, "x\x1b[31m")), NOT_TRUSTED, "TEE that is not served")


@test
def which(s):
    """two certificates, or none, cannot be judged"""
    s.judge(pem(s.good) + pem(s.good), CANNOT_JUDGE, "which certificate is meant")
    s.judge(pem(make(new_key())) + pem(s.good), CANNOT_JUDGE, "which certificate is meant")
    s.judge(b"", CANNOT_JUDGE, "no certificate")
    s.judge(b"no certificate", CANNOT_JUDGE, "no certificate")
    s.judge(pem(s.good)[:500] + b"!" + pem(s.good)[500:], CANNOT_JUDGE, "broken")
    s.judge(b'{"attestation_report": "AAAA"}', CANNOT_JUDGE, "no certificate")


@test
def usage(s):
    """the command is the first word; a certificate is nothing without it"""
    for arguments, words in ((("ratls",), b"which certificate"),
                             (("ratls", "--type", "snp", "-"), b"--type"),
                             (("ratls", "a", "b"), b"one piece of evidence"),
                             (("ratls", "--nonce", "x"), b"no such option")):
        done = s.run(*arguments)
        assert done.returncode == USAGE and words in done.stderr, (arguments, done)
    done = s.run("--root", s.guest.root, "-", stdin=s.good)
    assert done.returncode == CANNOT_JUDGE, done
    assert b"bawn-verify ratls" in s.run("--help").stdout


def main():
    if x509 is None or not os.path.exists(GUEST):
        print(f"1..0 # SKIP no python3-cryptography, or no {GUEST}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder)
        for number, function in enumerate(TESTS, 1):
            try:
                function(scene)
                print(f"ok {number} - {function.__doc__}", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                print(f"not ok {number} - {function.__doc__}", flush=True)
                for line in (f"{type(error).__name__}: {error}").splitlines()[:40]:
                    print(f"# {line}", flush=True)
        scene.guest.end()
    print(f"1..{len(TESTS)}")
    return 0


sys.exit(main())
