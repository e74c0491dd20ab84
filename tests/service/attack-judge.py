#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bodies of POST attest that are made to end, to stall or to flood a judge, in its real sandbox: each is
answered, and no process ends. About 10 s."""
import base64
import glob
import json
import os

from attestd import BUILD, Service, Tap, ask

tap = Tap()
JSON = [("Content-Type", "application/json")]
KEY = {"kty": "EC", "alg": "ECDH-ES+A256KW", "crv": "P-256",
       "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
       "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
MIB = 1 << 20


def attest(service, primary, more=""):
    """The answer's status; primary and more (members of the runtime data) are texts of JSON."""
    auth = ask(service.client, "POST", "/kbs/v0/auth",
               b'{"version": "0.4.0", "tee": "snp", "extra-params": {}}', JSON)
    cookie = auth[1]["set-cookie"].split(";")[0]
    body = f'{{"runtime-data":{{"nonce":"n","tee-pubkey":{json.dumps(KEY)}{more}}},' \
           f'"tee-evidence":{{"primary_evidence":{primary}}}}}'.encode()
    return ask(service.client, "POST", "/kbs/v0/attest", body, JSON + [("Cookie", cookie)])


def unharmed(service):
    ended = [e for e in service.journal(service.begun) if e["event"] == "a process ended"]
    return ended or None


def many_members(service):
    """objects of many members are sorted without a forbidden system call"""
    for n in (30, 60, 1000, 6000):
        members = ",".join(f'"{i:x}":0' for i in range(n))
        answer = attest(service, '"AAAA"', f',"z":{{{members}}}')
        if answer[0] != 401:
            return n, answer
    return unharmed(service)


def large_runtime_data(service):
    """runtime data that would take long to be written canonically is 400"""
    numbers = ",".join(f"0.{i * 7919 % 10**17:017}" for i in range(10**12, 10**12 + MIB // 22))
    return attest(service, '"AAAA"', f',"z":[{numbers}]')[0] != 400 or unharmed(service)


def many_parts(service):
    """evidence of a hundred thousand parts is denied"""
    for text in ('{"a":[' + ",".join(["{}"] * 300000) + "]}",
                 "{" + ",".join(f'"{i:x}":0' for i in range(90000)) + "}",
                 '{"collateral":"' + "-----BEGIN A-----\\n-----END A-----\\n" * 25000 + '"}',
                 '"' + "A" * (MIB - 4096) + '"'):
        answer = attest(service, text)
        if answer[0] != 401:
            return text[:40], answer
    return unharmed(service)


def real_evidence(service):
    """all evidence of the test vectors, whole and cut short, is denied"""
    n = 0
    for path in sorted(glob.glob("tests/vectors/**/*", recursive=True)):
        if not os.path.isfile(path) or os.path.getsize(path) > 300000:
            continue
        with open(path, "rb") as f:
            data = f.read()
        for part in (data, data[:len(data) * 2 // 3]):
            answer = attest(service, json.dumps(base64.b64encode(part).decode() or "AAAA"))
            n += 1
            if answer[0] not in (400, 401):
                return path, answer
    return n < 20 and n or unharmed(service)


def setup(config):
    config["limits"] = {"rate": 0}


the_service = Service(os.path.join(BUILD, "bin/bawn-attestd"), setup)
the_service.begun = the_service.mark()
the_service.client = the_service.tls()
try:
    for test in (many_members, large_runtime_data, many_parts, real_evidence):
        tap.run(test, the_service)
finally:
    the_service.end()
tap.end()
