#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A storage key that a PKCS#11 token (SoftHSM, NSS) keeps, in the whole service: the vault opens it, locks
itself in and serves; what is wrong with token, PIN, key or module is said at the start, and leaves
nothing behind. The guest is the software platform's. About 3 s."""
import glob
import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import time

from jwcrypto import jwe, jwk

from attestd import BUILD, Service, Tap, ask

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PROGRAM = os.path.join(BUILD, "bin/bawn-attestd")
JSON = [("Content-Type", "application/json")]
SECRET = b"under a key that is under a token's key"
ROOT = os.geteuid() == 0
CONFIG = 78  # wrong configuration: nobody starts it again
PIN = "31415926"
tap = Tap()


class TokenService(Service):
    """A service of --dev with a token beside its configuration; commands are docs/attestd-api.md's."""
    MAKE = """
        umask 022
        P="pkcs11-tool --module $MODULE --token-label bawn --login --pin $PIN"
        O="-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md"
        mkdir nss
        $NSS nss nss storage $PIN >nss.pem
        exec >/dev/null 2>&1
        softhsm2-util --init-token --free --label bawn --so-pin 123456 --pin $PIN
        head -c 32 /dev/urandom >key
        $P --keypairgen --key-type rsa:3072 --label rsa --usage-decrypt
        $P --read-object --type pubkey --label rsa -o rsa.der
        for md in sha1 sha256; do
            openssl pkeyutl -encrypt -pubin -keyform DER -inkey rsa.der -in key -out rsa.$md $O:$md
        done
        openssl pkeyutl -encrypt -pubin -inkey nss.pem -in key -out nss.sealed $O:sha256 \\
            -pkeyopt rsa_mgf1_md:sha256
        $P --keygen --key-type AES:32 --label aes --usage-decrypt
        head -c 16 /dev/urandom >iv
        $P --encrypt -m AES-CBC-PAD --label aes --iv $(od -An -v -tx1 iv | tr -d ' \\n') \\
            -i key -o body
        cat iv body >aes.sealed
        openssl genrsa -out other.pem 3072
        openssl pkeyutl -encrypt -inkey other.pem -in key -out rsa.other $O:sha1
        echo $PIN >pin
        echo 27182818 >pin.wrong
        cp pin pin.open
        chmod 600 pin pin.wrong rsa.* aes.sealed nss.sealed
        chmod 644 pin.open
        rm key iv body other.pem
        """

    def __init__(self, guest):
        super().__init__(PROGRAM)
        self.stop()
        os.mkdir(self.path("tokens"))
        with open(self.path("softhsm.conf"), "w", encoding="utf-8") as f:
            f.write(f"directories.tokendir = {self.path('tokens')}\n")
        os.environ["SOFTHSM2_CONF"] = self.path("softhsm.conf")
        subprocess.run(["bash", "-e", "-c", self.MAKE], check=True, cwd=self.path(""),
                       env=dict(os.environ, MODULE=MODULE, PIN=PIN,
                                NSS=os.path.join(BUILD, "tests/nss-token")))
        guest.begin(self.path("root.pem"))
        NSS["pkcs11"]["init_args"] = NSS["pkcs11"]["init_args"].format(self.path("nss"))
        os.remove(self.path("attestd.db"))
        self.change(lambda c: c["tenants"]["default"].update(roots=["root.pem"]))
        self.configure(RSA)

    def configure(self, storage, database="attestd.db", user=None):
        def change(config):
            config["keys"] = {"storage": storage}
            config["database"] = "sqlite:" + database
            config.pop("user", None)
            if user:
                config["user"] = user
        self.change(change)

    def begin(self):
        """Starts it; offset of the journal before."""
        before = self.mark()
        self.start(["--config", self.config_path])
        return before

    def fail(self):
        """The exit status and the reason of a start that must not succeed."""
        done = subprocess.run([PROGRAM, "--config", self.config_path], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stderr

    def vault(self):
        """Its process's number."""
        return [e["pid"] for e in self.journal() if e["event"] == "confined" and
                e["process"] == "vault"][-1]


class Guest:
    def begin(self, root):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/kbs-guest"), root],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.evidence(b"")

    def evidence(self, data):
        self.process.stdin.write(data.ljust(64, b"\0").hex() + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def pkcs11(sealed, key, **more):
    return {"pkcs11": {"module": MODULE, "token": "bawn", "key": key, "pin_file": "pin",
                       "sealed": sealed, **more}}


RSA = pkcs11("rsa.sha1", "rsa", oaep="sha1")
AES = pkcs11("aes.sealed", "aes")
NSS = pkcs11("nss.sealed", "storage", module="/usr/lib/x86_64-linux-gnu/libsoftokn3.so", token="nss",
             init_args="configdir='sql:{}' certPrefix='' keyPrefix='' secmod='secmod.db' "
                       "dbTokenDescription='nss'")  # OAEP with SHA-256


def store(service):
    answer = ask(service.tls(admin=True), "POST", "/kbs/v0/resource/default/key/disk", SECRET,
                 [("Content-Type", "application/octet-stream")])
    return answer if answer[0] != 200 else None


def release(service, guest):
    """Attests, and opens what comes. What is wrong, or None."""
    sock = service.tls()
    auth = ask(sock, "POST", "/kbs/v0/auth",
               b'{"version": "0.4.0", "tee": "snp", "extra-params": {}}', JSON)
    cookie = [("Cookie", auth[1]["set-cookie"].split(";")[0])]
    key = jwk.JWK.generate(kty="EC", crv="P-256")
    public = {k: v for k, v in json.loads(key.export_public()).items() if k != "kid"}
    runtime = {"nonce": json.loads(auth[2])["nonce"],
               "tee-pubkey": dict(public, alg="ECDH-ES+A256KW")}
    text = json.dumps(runtime, sort_keys=True, separators=(",", ":")).encode()
    body = {"runtime-data": runtime, "tee-evidence": {
        "primary_evidence": guest.evidence(hashlib.sha384(text).digest()),
        "additional_evidence": "{}"}}
    answer = ask(sock, "POST", "/kbs/v0/attest", json.dumps(body).encode(), JSON + cookie)
    if answer[0] != 200:
        return answer
    answer = ask(sock, "GET", "/kbs/v0/resource/default/key/disk", headers=cookie)
    if answer[0] != 200:
        return answer
    token = jwe.JWE()
    token.deserialize(answer[2].decode(), key)
    return token.payload != SECRET and token.payload


def confined(service, before):
    """The vault is locked in, and neither module nor PIN is in it any longer."""
    events = [e for e in service.journal(before) if e["event"] == "confined" and
              e["process"] == "vault"]
    if not events or not events[0]["seccomp"]:
        return events
    if not ROOT:
        return None
    with open(f"/proc/{service.vault()}/maps", encoding="ascii") as maps, \
            open(f"/proc/{service.vault()}/mem", "rb") as memory:
        for line in maps:
            if "softhsm" in line or "libsoftokn" in line:
                return line
            if "rw-p" not in line:
                continue
            start, end = (int(n, 16) for n in line.split()[0].split("-"))
            memory.seek(start)
            if PIN.encode() in memory.read(end - start):
                return "the PIN is in " + line
    return None


def serves(service, guest):
    """a secret is released under each kind of key, by a vault that is locked in and forgot the PIN"""
    for storage in (RSA, AES, NSS):
        service.configure(storage, storage["pkcs11"]["key"] + ".db")
        before = service.begin()
        try:
            problem = confined(service, before) or store(service) or release(service, guest)
        finally:
            service.stop()
        if problem:
            return problem
    return None


def again(service, guest):
    """after kill -9 of the vault, and after a new start, the token is asked again: the secret is there"""
    service.configure(RSA)
    service.begin()
    try:
        problem = store(service) or release(service, guest)
        before = service.mark()
        os.kill(service.vault(), signal.SIGKILL)
        service.wait_event("confined", before, "vault")
        end = time.monotonic() + 20
        while not problem:
            try:
                return confined(service, before) or release(service, guest)
            except OSError:  # the fronts are being started
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
    finally:
        service.stop()
    return problem


def other_kind(service, guest):
    """the same key sealed otherwise, and by another token, opens the same database"""
    for storage in (AES, NSS):
        service.configure(storage)
        service.begin()
        try:
            problem = release(service, guest)
        finally:
            service.stop()
        if problem:
            return problem
    return None


def locked_after_change(service, _):
    """a PIN that became wrong while it ran: the service ends, and does not try it until it is locked"""
    with open(service.path("pin.changing"), "w", encoding="ascii") as f:
        f.write(PIN)
    os.chmod(service.path("pin.changing"), 0o600)
    service.configure(pkcs11("rsa.sha1", "rsa", oaep="sha1", pin_file="pin.changing"))
    before = service.begin()
    with open(service.path("pin.changing"), "w", encoding="ascii") as f:
        f.write("27182818")
    os.kill(service.vault(), signal.SIGKILL)
    status = service.process.wait(30)
    tries = [e for e in service.journal(before) if "the PIN is wrong" in e.get("why", "")]
    return (status != CONFIG or len(tries) != 1) and (status, tries)


FAILURES = [
    ("wrong PIN", CONFIG, "cannot log in: the PIN is wrong", dict(RSA["pkcs11"],
                                                               pin_file="pin.wrong")),
    ("PIN that everybody may read", 1, "chmod 600", dict(RSA["pkcs11"], pin_file="pin.open")),
    ("no file with a PIN", 1, "cannot open .*/nopin: No such file", dict(RSA["pkcs11"], pin_file="nopin")),
    ("no such token", 1, "none is labelled elsewhere", dict(RSA["pkcs11"], token="elsewhere")),
    ("no such key", CONFIG, "no RSA private key and no AES key labelled absent",
     dict(RSA["pkcs11"], key="absent")),
    ("no such module", CONFIG, "cannot load the module: /nowhere/p11.so",
     dict(RSA["pkcs11"], module="/nowhere/p11.so")),
    ("a module that is none", CONFIG, "is no PKCS#11 module",
     dict(RSA["pkcs11"], module="/lib/x86_64-linux-gnu/libm.so.6")),
    ("no sealed file", 1, "cannot open .*/nothing: No such file", dict(RSA["pkcs11"], sealed="nothing")),
    ("sealed for another key", 1, "cannot be unwrapped", dict(RSA["pkcs11"], sealed="rsa.other")),
    ("SHA-256, which SoftHSM lacks", CONFIG, '"oaep": "sha1"',
     {k: v for k, v in dict(RSA["pkcs11"], sealed="rsa.sha256").items() if k != "oaep"}),
]


class Failure:
    """A start that must not succeed: said, and nothing is left, neither where there was no database
    nor in one that was there."""
    def __init__(self, service, name, status, text, storage):
        self.service, self.status, self.text, self.storage = service, status, text, storage
        self.__doc__ = name + ": said at the start, nothing is left behind"

    def __call__(self):
        for database in ("fresh.db", "attestd.db"):
            path = self.service.path(database)
            was = content(path)
            self.service.configure({"pkcs11": self.storage}, database)
            got, message = self.service.fail()
            events = [json.loads(line) for line in message.splitlines() if line.startswith("{")]
            reasons = [e.get("why", e.get("reason", "")) for e in events]
            if got != self.status or not any(re.search(self.text, r) for r in reasons):
                return got, message
            if content(path) != was or PIN in message:
                return f"{database} was changed: {glob.glob(path + '*')}", message
        return None


def content(path):
    found = {}
    for name in sorted(glob.glob(path + "*")):
        with open(name, "rb") as f:
            found[name] = f.read()
    return found


def other_storage_key(service, _):
    """a key that opens, and is not the database's: said, and nothing is changed"""
    with open(service.path("aes.sealed"), "rb") as f:
        sealed = bytearray(f.read())
    sealed[0] ^= 1  # of the initialisation vector, so of the key
    with open(service.path("aes.altered"), "wb") as f:
        f.write(sealed)
    os.chmod(service.path("aes.altered"), 0o600)
    was = content(service.path("attestd.db"))
    service.configure(pkcs11("aes.altered", "aes"))
    got, message = service.fail()
    if got == 0 or "keyring" not in message:
        return got, message
    return content(service.path("attestd.db")) != was and "the database was changed"


def unprivileged(service, guest):
    """started as root, the vault reads the token as its own user, who need not be able to write it"""
    nobody = pwd.getpwnam("nobody")
    service.configure(RSA, "data/a.db", {"vault": "nobody"})
    os.mkdir(service.path("data"), 0o700)
    os.chown(service.path("data"), nobody.pw_uid, -1)
    for folder in (service.dir, service.path("")):
        os.chmod(folder, 0o755)
    for folder, _, names in os.walk(service.path("tokens")):
        os.chmod(folder, 0o700)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o600)
    got, message = service.fail()
    if got == 0 or glob.glob(service.path("data/*")):
        return "without rights to the token", got, message
    for folder, _, names in os.walk(service.path("tokens")):
        os.chmod(folder, 0o755)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)
    before = service.begin()
    try:
        uid = [e["uid"] for e in service.journal(before) if e["event"] == "confined" and
               e["process"] == "vault"]
        return (uid != [nobody.pw_uid] and uid) or store(service) or release(service, guest)
    finally:
        service.stop()


def main():
    guest = Guest()
    service = TokenService(guest)
    try:
        for test in (serves, again, other_kind):
            tap.run(test, service, guest)
        for case in FAILURES:
            tap.run(Failure(service, *case))
        for test in (other_storage_key, locked_after_change) + (unprivileged,) * ROOT:
            tap.run(test, service, guest)
    finally:
        guest.end()
        service.end()
    tap.end()


if not shutil.which("pkcs11-tool") or not os.path.exists(MODULE):
    print("1..0 # needs softhsm2 and opensc")
    raise SystemExit(1)
main()
