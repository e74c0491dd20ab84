#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bawn-agent as a guest runs it, against a server over real TLS that checks what a KBS checks."""
import base64
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import serialization

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import kbs_server  # noqa: E402
from kbs_server import SECRET  # noqa: E402

BUILD = os.environ.get("BAWN_BUILD", "build")
AGENT = os.path.abspath(os.path.join(BUILD, "bin/bawn-agent"))
VERIFY = os.path.abspath(os.path.join(BUILD, "bin/bawn-verify"))
OID = "1.3.6.1.5.5.7.1.35"  # id-pe-cmw
points = []


def point(name, good, why=""):
    points.append(good)
    print(f"{'ok' if good else 'not ok'} {len(points)} - {name}", flush=True)
    if not good:
        print("# " + str(why).replace("\n", "\n# "))


class Scene:
    def __init__(self, folder):
        self.folder = folder
        self.pin = kbs_server.certificates(folder)
        self.server = kbs_server.Server(folder)
        self.guest = kbs_server.Guest(os.path.join(folder, "guest"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *arguments, **more):
        return self.guest.start(AGENT, *arguments, "--root", self.guest.root, server=self.server,
                                **more)

    def get(self, *arguments, trust=None, server=None, resource="default/key/disk", **more):
        trust = ("--ca", self.path("ca.pem")) if trust is None else trust
        before, after = arguments, ()
        if "--" in arguments:
            at = arguments.index("--")
            before, after = arguments[:at], arguments[at:]
        return self.guest.start(AGENT, "get", "--server", server or self.server.name, *trust,
                                "--resource", resource, "--root", self.guest.root, *before, *after,
                                server=self.server, **more)


def no_secret(text):
    return "the key of the disk" not in text


def delivery(s):
    s.server.expect()
    status, out, err = s.get()
    point("a secret comes to standard output", status == 0 and out == SECRET, err)
    point("progress is said without the secret", "evidence accepted" in err and no_secret(err), err)
    routes = [(m, p) for m, p, _ in s.server.requests]
    point("the requests are the protocol's", routes == [
        ("POST", "/kbs/v0/auth"), ("POST", "/kbs/v0/attest"),
        ("GET", "/kbs/v0/resource/default/key/disk")], routes)
    secret = s.path("secret")
    status, out, err = s.get("--output", secret, "--quiet")
    mode = stat.S_IMODE(os.stat(secret).st_mode)
    with open(secret, "rb") as f:
        point("a secret comes to a file of mode 600, quietly",
              status == 0 and f.read() == SECRET and mode == 0o600 and not out and not err, err)
    os.symlink(secret, s.path("link"))
    status, _, err = s.get("--output", s.path("link"))
    point("a symbolic link is not followed", status != 0 and "symbolic link" in err, err)
    old = s.path("old")
    with open(old, "wb") as f:
        f.write(b"what was there")
    os.chmod(old, 0o644)
    os.link(old, s.path("other-name"))
    status, _, err = s.get("--output", old)
    with open(old, "rb") as f, open(s.path("other-name"), "rb") as other:
        point("a file that was there is replaced: its mode and its other names have no part",
              status == 0 and f.read() == SECRET and other.read() == b"what was there" and
              stat.S_IMODE(os.stat(old).st_mode) == 0o600, err)
    status, _, err = s.get("--output", s.path("none/secret"))
    point("without its directory nothing is written",
          status != 0 and "cannot make a file beside" in err, err)
    left = [n for n in os.listdir(os.path.dirname(old)) if n.startswith(".bawn-")]
    point("no half-written file is left", not left, left)
    read, write = os.pipe()
    status, out, err = s.get("--output", str(write), pass_fds=(write,))
    os.close(write)
    point("a secret comes to a descriptor", status == 0 and os.read(read, 9999) == SECRET, err)
    os.close(read)
    status, out, err = s.get("--", "/bin/sh", "-c",
                             'eval "cat <&$BAWN_SECRET_FD"; tr "\\0" "\\n" </proc/$$/environ >&2; exit 7')
    point("a program reads the secret from a pipe, and its status is the agent's",
          status == 7 and out == SECRET and no_secret(err), err)
    status, _, err = s.get("--", "/nonexistent")
    point("a program that cannot be run is an error", status == 127 and "cannot run" in err, err)
    for kind, chosen in (("rsa", "sha256"), ("ec", "sha512")):
        s.server.expect(hash=chosen, chunked=True)
        status, out, err = s.get("--key-type", kind)
        point(f"with a key of type {kind}, {chosen} and chunks", status == 0 and out == SECRET, err)
    s.server.expect(prefix="/t/acme")
    status, out, err = s.get("--tenant", "acme")
    point("a tenant's routes are asked", status == 0 and out == SECRET and
          all(p.startswith("/t/acme/kbs/v0/") for _, p, _ in s.server.requests), err)


def luks(s):
    """cryptsetup itself judges the key; only the device mapper is left out."""
    image, tools = s.path("disk.img"), s.path("tools")
    os.mkdir(tools)
    with open(image, "wb") as f:
        f.truncate(32 << 20)
    with open(os.path.join(tools, "cryptsetup"), "w", encoding="ascii") as f:
        f.write('#!/bin/sh\necho "$*" >"$LOG"\nPATH=/usr/sbin:/sbin:/usr/bin:/bin\n'
                'exec cryptsetup "$@" --test-passphrase\n')
    os.chmod(f.name, 0o755)
    made = subprocess.run(("/usr/sbin/cryptsetup", "luksFormat", "--batch-mode", "--pbkdf", "pbkdf2",
                           "--pbkdf-force-iterations", "1000", image, "--key-file", "-"),
                          input=SECRET, check=False, stderr=subprocess.PIPE)
    env = {"PATH": tools, "LOG": s.path("cryptsetup.log")}
    s.server.expect()
    status, out, err = s.get("--luks", image, "--name", "data", env=dict(env, PATH=tools + ":/bin"))
    with open(env["LOG"], encoding="ascii") as f:
        log = f.read()
    point("a LUKS volume takes the secret as its key", made.returncode == 0 and status == 0 and
          log.split()[-2:] == [image, "data"] and no_secret(log) and not out, err)
    with open(image, "r+b") as f:
        head = f.read(1 << 20)
        # What a host could write: the header has a checksum, and nothing else keeps it.
        for part in (b'"type":"crypt"', b'"area"'):
            at = head.index(b'"encryption":"aes-xts-plain64"', head.index(part)) + 14
            f.seek(at)
            f.write(b"cipher_null-ecb")
            f.flush()
            status, _, err = s.get("--luks", image, "--name", "data",
                                   env=dict(env, PATH=tools + ":/bin"))
            point("a volume whose header asks for no encryption is not opened",
                  status == 3 and "cipher_null" in err, err)
            f.seek(at)
            f.write(b"aes-xts-plain64")
        f.seek(32 << 10)
        f.write(bytes(1 << 20))
    status, _, err = s.get("--luks", image, "--name", "data", env=dict(env, PATH=tools + ":/bin"))
    point("a volume that does not open is an error", status == 4 and "did not open" in err, err)


def servers(s):
    s.server.expect()
    status, out, err = s.get(trust=("--pin", s.pin))
    point("the pinned key is trusted", status == 0 and out == SECRET, err)
    status, out, err = s.get(trust=("--pin", s.pin.upper(), "--ca", s.path("ca.pem"),
                                    "--server-name", "kbs.test"))
    point("pin, CA and name together", status == 0 and out == SECRET, err)
    wrong = {
        "another pin": ("--pin", "0" * 64),
        "another CA": ("--ca", s.path("other.pem")),
        "another name": ("--ca", s.path("ca.pem"), "--server-name", "other.test"),
        "another address": ("--ca", s.path("ca.pem"), "--server-name", "127.0.0.2"),
        "the pin under another CA": ("--pin", s.pin, "--ca", s.path("other.pem")),
        "another pin under the CA": ("--pin", "0" * 64, "--ca", s.path("ca.pem")),
    }
    for name, trust in wrong.items():
        s.server.expect()
        status, out, err = s.get(trust=trust)
        point(f"{name} is refused before anything is said",
              status == 3 and not out and not s.server.requests and "pinned" in err, err)
    status, _, err = s.get(trust=())
    point("without a CA or a pin nothing is trusted", status == 2 and "--pin" in err, err)
    old = kbs_server.Server(s.folder, tls="TLSv1_2")
    status, out, err = s.get("--timeout", "1", server=old.name)
    point("TLS 1.2 is refused", status == 4 and not old.requests, err)
    local = kbs_server.Server(s.folder, address=s.path("sock"))
    kept, s.server = s.server, local
    status, out, err = s.get()
    s.server = kept
    point("over a UNIX socket", status == 0 and out == SECRET, err)
    for name in ("tcp:localhost:1", "tcp:127.0.0.1:0", "tcp:127.0.0.1:99999", "vsock:2", "vsock:x:1",
                 "unix:", "http://127.0.0.1:1", "tcp:[::1:80", "unix:" + "x" * 200):
        status, _, err = s.get(server=name)
        point(f"{name[:24]} is no server", status == 2 and "vsock:CID:PORT" in err, err)


def cmdline(s):
    def given(text, *more):
        with open(os.path.join(s.guest.root, "proc/cmdline"), "w", encoding="ascii") as f:
            f.write(text + "\n")
        s.server.expect(prefix="/t/acme")
        return s.run("get", "--cmdline", *more)
    attest = f"bawn.attest={s.server.name},pin={s.pin},tenant=acme"
    status, out, err = given(f"quiet {attest},resource=default/key/disk console=ttyS0")
    point("all comes from the kernel's command line", status == 0 and out == SECRET, err)
    status, out, err = given(attest, "--resource", "default/key/none")
    point("an option goes before it", status == 3 and "no such resource" in err, err)
    for name, text in (("none", "quiet"), ("two", f"{attest} {attest}"),
                       ("an unknown part", attest + ",pim=1"), ("an empty one", "bawn.attest=")):
        status, out, err = given(text, "--resource", "default/key/disk")
        point(f"a command line with {name} is refused", status == 1 and not s.server.requests, err)


def failures(s):
    for status_code in (503, 429):
        s.server.expect(busy=2, status=status_code)
        status, out, err = s.get()
        point(f"after {status_code} it is tried again, when the server says",
              status == 0 and out == SECRET and err.count("trying again in 1.") == 2, err)
    s.server.expect(cut=2)
    status, out, err = s.get()
    point("after a lost connection it is tried again", status == 0 and out == SECRET, err)
    s.server.expect(busy=99)
    status, out, err = s.get("--timeout", "2")
    point("the time has an end", status == 4 and "busy" in err and not out, err)
    with socket.socket() as closed, socket.socket() as deaf:
        closed.bind(("127.0.0.1", 0))
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        status, _, err = s.get("--timeout", "2", server=f"tcp:127.0.0.1:{closed.getsockname()[1]}")
        point("nobody there", status == 4 and "cannot connect" in err, err)
        status, _, err = s.get("--timeout", "2", server=f"tcp:127.0.0.1:{deaf.getsockname()[1]}")
        point("nobody answers", status == 4 and "in time" in err, err)
    denials = {"auth": (401, "version"), "attest": (401, "measurement \x1b[31m is not known"),
               "resource/default/key/disk": (403, "policy says no")}
    for route, (code, detail) in denials.items():
        s.server.expect(refuse={route: (code, detail)})
        status, out, err = s.get()
        point(f"a denial of {route} is final and says why", status == 3 and not out and
              f"answered {code}" in err and detail.split()[0] in err and "\x1b" not in err and
              err.count("trying again") == 0, err)
    s.server.expect(other_key=True)
    status, out, err = s.get()
    point("a secret for another key does not open", status == 3 and not out, err)
    ok = b"HTTP/1.1 200 OK\r\n"
    raws = {
        "garbage": ("auth", b"\0\1\2\3\r\n\r\n"),
        "no cookie": ("auth", ok + b'Content-Length: 13\r\n\r\n{"nonce":"x"}'),
        "a nonce that is no text": ("auth", ok + b"Set-Cookie: kbs-session-id=1\r\n"
                                    b'Content-Length: 11\r\n\r\n{"nonce":1}'),
        "a huge length": ("attest", ok + b"Content-Length: 9999999999\r\n\r\n"),
        "two lengths": ("attest", ok + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        "no token": ("attest", ok + b"Content-Length: 2\r\n\r\n{}"),
        "no JWE": ("resource/default/key/disk", ok + b"Content-Length: 2\r\n\r\n{}"),
        "deep JSON": ("resource/default/key/disk", ok + b"Content-Length: 9000\r\n\r\n" + b"[" * 9000),
    }
    for name, (route, raw) in raws.items():
        s.server.expect(raw={route: raw})
        status, out, err = s.get()
        point(f"{name} from the server is an error", status == 1 and not out and
              "trying again" not in err, err)


def usage(s):
    bad = [(), ("unknown",), ("get",), ("get", "--bogus"), ("get", "--server"),
           ("get", "--quiet=1"), ("token", "--luks", "/dev/x"), ("evidence",),
           ("evidence", "--nonce", "a", "--report-data", "00"), ("evidence", "--report-data", "0g"),
           ("evidence", "--report-data", "00" * 65), ("ra-tls",), ("get", "--timeout", "0")]
    for arguments in bad:
        done = subprocess.run((AGENT, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        want = 1 if arguments[1:2] == ("--report-data",) and not done.stderr else 2
        point("usage: " + " ".join(arguments)[:40], done.returncode == want and done.stderr,
              done.stderr)
    for resource in ("a/b", "a/b/c/d", "../b/c", "a/../c", "a/b/", "a//c", "a/b/c?x", "a/b/c d", "a/b/%2e"):
        s.server.expect()
        status, _, err = s.get(resource=resource)
        point(f"{resource} is no resource", status == 2 and not s.server.requests, err)
    for extra in (("--luks", "/dev/x"), ("--luks", "/dev/x", "--name", "../x"),
                  ("--luks", "-x", "--name", "x"), ("--tenant", "a/b"), ("--key-type", "dsa")):
        point("refused: " + " ".join(extra), s.get(*extra)[0] == 2)
    done = subprocess.run((AGENT, "--help"), stdout=subprocess.PIPE, check=True)
    point("--help names the commands", all(w in done.stdout for w in (b"ra-tls", b"BAWN_SECRET_FD")))
    file = subprocess.run(("readelf", "-ld", AGENT), stdout=subprocess.PIPE, check=True).stdout
    point("the program needs no library and no interpreter",
          b"NEEDED" not in file and b"INTERP" not in file)


def evidence(s):
    recorded = kbs_server.vector(kbs_server.REPORT + ".report.bin")
    status, out, err = s.guest.start(AGENT, "evidence", "--report-data", recorded[0x50:0x90].hex(),
                                     "--root", s.guest.root)
    path = s.path("evidence.json")
    with open(path, "wb") as f:
        f.write(out)
    judged = subprocess.run((VERIFY, path, "--at", "2025-06-01", "--json"), stdout=subprocess.PIPE,
                            check=False)
    point("bawn-verify trusts the evidence of a real report with its certificates",
          status == 0 and judged.returncode == 0, err + judged.stdout.decode()[:2000])
    status, out, err = s.guest.start(AGENT, "evidence", "--nonce", "bm9uY2U=", "--root", s.guest.root)
    body = json.loads(out)
    text = json.dumps({**body["runtime-data"], "additional-evidence": ""}, sort_keys=True,
                      separators=(",", ":"))
    report = base64.b64decode(body["tee-evidence"]["primary_evidence"]["attestation_report"])
    point("evidence for a nonce is bound to it and to a key", status == 0 and
          report[0x50:0x80] == hashlib.sha384(text.encode()).digest() and
          body["runtime-data"]["nonce"] == "bm9uY2U=", err)
    s.server.expect()
    status, out, err = s.run("token", "--server", s.server.name, "--pin", s.pin)
    point("a token is printed", status == 0 and out == b"aaa.bbb.ccc\n", err)

    tdx = kbs_server.Guest(s.path("tdx"), "tdx")
    with open(os.path.join(tdx.root, "sys/firmware/acpi/tables/data/CCEL"), "wb") as f:
        f.write(b"log")
    status, out, err = tdx.start(AGENT, "evidence", "--report-data", "ab", "--root", tdx.root)
    parts = {k: base64.b64decode(v) for k, v in json.loads(out or "{}").items()}
    point("a TDX guest gives its quote and its event log", parts == {
        "quote": b"quote about " + b"\xab".ljust(64, b"\0"), "cc_eventlog": b"log"}, err)
    os.makedirs(s.path("plain"))
    done = subprocess.run((AGENT, "evidence", "--nonce", "x", "--root", s.path("plain")),
                          stderr=subprocess.PIPE, check=False)
    point("a plain guest is told that it has no evidence",
          done.returncode == 1 and b"confidential guest" in done.stderr, done.stderr)


def ra_tls(s):
    cert, key = s.path("ra.pem"), s.path("ra.key")
    status, _, err = s.guest.start(AGENT, "ra-tls", "--cert", cert, "--key", key, "--cn", "db.test",
                                   "--root", s.guest.root)
    if status:
        return point("an RA-TLS certificate is made", False, err)
    with open(cert, "rb") as f:
        made = x509.load_pem_x509_certificate(f.read())
    with open(key, "rb") as f:
        own = serialization.load_pem_private_key(f.read(), None)
    spki = made.public_key().public_bytes(serialization.Encoding.DER,
                                          serialization.PublicFormat.SubjectPublicKeyInfo)
    value = made.extensions.get_extension_for_oid(x509.ObjectIdentifier(OID)).value.value
    point("the extension is a UTF8String", value[0] == 0x0c and value[1] == 0x82)
    kind, record, bits = json.loads(value[4:])
    point("it holds a wrapper with evidence", bits == 4 and kind.endswith("kbs-evidence+json"))
    said = json.loads(base64.urlsafe_b64decode(record + "=="))
    report = base64.b64decode(said["evidence"]["attestation_report"])
    point("the certificate's evidence is bound to its key", said["tee"] == "snp" and
          report[0x50:0x90] == hashlib.sha512(spki).digest())
    own = own.public_key().public_bytes(serialization.Encoding.DER,
                                        serialization.PublicFormat.SubjectPublicKeyInfo)
    point("the key is the certificate's, mode 600",
          own == spki and stat.S_IMODE(os.stat(key).st_mode) == 0o600)
    done = subprocess.run(("openssl", "verify", "-x509_strict", "-CAfile", cert, "-verify_hostname",
                           "db.test", cert), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    point("openssl takes it for its name", done.returncode == 0, done.stdout.decode())


def main():
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder)
        for part in (delivery, luks, servers, cmdline, failures, usage, evidence, ra_tls):
            part(scene)
    print(f"1..{len(points)}")
    return not all(points)


sys.exit(main())
