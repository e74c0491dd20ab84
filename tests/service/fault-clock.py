#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump: sessions and tokens end when the clock says so, evidence is used once whatever
it says, new guests are served, and the log verifies. The service's clock is a file (clock.c).
About 10 s."""
import hashlib
import json
import os
import struct
import subprocess
import tempfile

from jwcrypto import jwk

from attestd import BUILD, Tap, ask
from faults import RESOURCE, Auditor, FaultService, attempt, end_all, until

DAY = 86400
JSON = [("Content-Type", "application/json")]


class Clock:
    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, seconds):
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("=q", seconds))


class Service(FaultService):
    def start(self, arguments):
        os.environ["LD_PRELOAD"] = os.path.join(BUILD, "tests/clock.so")
        os.environ["BAWN_TEST_CLOCK"] = os.path.join(self.identity, "clock")
        try:
            super().start(arguments)
        finally:
            del os.environ["LD_PRELOAD"]


class Guest:
    def __init__(self, service, platform):
        self.service = service
        key = json.loads(jwk.JWK.generate(kty="EC", crv="P-256").export_public())
        key.pop("kid", None)
        self.key = dict(key, alg="ECDH-ES+A256KW")
        answer = self.ask("POST", "auth", {"version": "0.4.0", "tee": "snp"})
        assert answer[0] == 200, answer
        self.headers = [("Cookie", answer[1]["set-cookie"].split(";")[0])]
        runtime = {"nonce": json.loads(answer[2])["nonce"], "tee-pubkey": self.key}
        text = json.dumps(runtime, sort_keys=True, separators=(",", ":")).encode()
        platform.stdin.write(hashlib.sha384(text).digest().ljust(64, b"\0").hex() + "\n")
        platform.stdin.flush()
        self.body = {"runtime-data": runtime, "tee-evidence": {
            "primary_evidence": json.loads(platform.stdout.readline()),
            "additional_evidence": "{}"}}

    def ask(self, method, path, body=None, headers=()):
        body = json.dumps(body).encode() if body else None
        return ask(self.service.tls(), method, "/kbs/v0/" + path, body, JSON + list(headers))

    def attest(self):
        answer = self.ask("POST", "attest", self.body, self.headers)
        if answer[0] == 200:
            self.token = json.loads(answer[2])["token"]
        return answer[0]

    def fetch(self, by_token=False):
        headers = [("Authorization", "Bearer " + self.token)] if by_token else self.headers
        return self.ask("GET", "resource/" + RESOURCE, headers=headers)[0]


def served():
    guest = Guest(the_service, the_platform)
    status = guest.attest(), guest.fetch(), guest.fetch(True), guest.attest()
    return status != (200, 200, 200, 401) and f"a new guest was answered {status}"


def forward():
    begun, done = (Guest(the_service, the_platform) for _ in range(2))
    done.attest()
    the_clock.set(DAY)
    status = begun.attest(), done.fetch(), done.fetch(True)
    return status != (401, 401, 401) and f"old guests were answered {status}" or served()


def back():
    the_clock.set(0)
    done = Guest(the_service, the_platform)
    first = done.attest()
    the_clock.set(-DAY)
    status = first, done.attest()
    until(lambda: Guest(the_service, the_platform).attest() == 200, "new guests to be served")
    return status != (200, 401) and f"evidence used twice was answered {status}" or served()


def swept():
    """The session's row goes when the clock says that it is old."""
    the_clock.set(0)
    until(lambda: Guest(the_service, the_platform).attest() == 200, "new guests to be served")
    done = Guest(the_service, the_platform)
    first = done.attest()
    the_clock.set(DAY)
    the_service.stop()
    the_service.start(["--config", the_service.config_path])
    until(lambda: Guest(the_service, the_platform).attest() == 200, "new guests to be served")
    the_clock.set(0)
    again = done.attest()
    until(lambda: Guest(the_service, the_platform).attest() == 200, "new guests to be served")
    status = first, again, done.attest()
    return status != (200, 401, 401) and f"evidence used twice was answered {status}" or served()


tap = Tap()
identity = tempfile.mkdtemp(prefix="attestd-clock-")
the_clock = Clock(os.path.join(identity, "clock"))
the_platform = subprocess.Popen([os.path.join(BUILD, "tests/kbs-guest"),
                                 os.path.join(identity, "root.pem")],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
the_platform.stdin.write("0" * 128 + "\n")
the_platform.stdin.flush()
the_platform.stdout.readline()
the_service = None
try:
    the_service = Service(identity)
    the_service.store_secret()
    auditor = Auditor(the_service.url())
    attempt(tap, "the clock as it is", served)
    attempt(tap, "a day forward: what was begun has expired, new guests are served", forward)
    attempt(tap, "back by a day and more: no evidence counts twice, new guests are served", back)
    attempt(tap, "forward, swept, and back: no evidence counts twice", swept)
    attempt(tap, "the log verifies", auditor.verify)
finally:
    end_all(the_service)
    the_platform.stdin.close()
    the_platform.wait()
    end_all(identity)
tap.end()
