#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The status page and the metrics of the whole service say what happened in it. About 5 s."""
import base64
import glob
import json
import os
import re
import sys
import time

from jwcrypto import jwk

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import BUILD, Service, Tap, ask  # noqa: E402

JSON = [("Content-Type", "application/json")]
VECTORS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../vectors/snp")
tap = Tap()


def get(s, path):
    with s.raw(offset=2) as c:
        status, _, body = ask(c, "GET", path)
    if status != 200:
        raise RuntimeError(f"{path}: {status}")
    return body.decode()


def metric(s, name):
    for line in get(s, "/metrics").splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise RuntimeError(f"no {name}")


def nothing_yet(s):
    """a new service shows its policy and an empty record"""
    page = get(s, "/")
    return not ("There was none since the start." in page and "development" in page
                and re.search(r"[0-9a-f]{64}", page)) and page


def denied(s):
    """evidence of another session is denied, and the page says why"""
    report = sorted(glob.glob(os.path.join(VECTORS, "*.report.bin")))[0]
    with open(report, "rb") as f:
        evidence = base64.b64encode(f.read()).decode()
    key = json.loads(jwk.JWK.generate(kty="EC", crv="P-256").export_public())
    key["alg"] = "ECDH-ES+A256KW"
    with s.tls() as c:
        answer = ask(c, "POST", "/kbs/v0/auth", json.dumps(
            {"version": "0.4.0", "tee": "snp", "extra-params": {}}).encode(), JSON)
        cookie = answer[1]["set-cookie"].split(";")[0]
        body = {"runtime-data": {"nonce": json.loads(answer[2])["nonce"], "tee-pubkey": key},
                "tee-evidence": {"primary_evidence": evidence, "additional_evidence": "{}"}}
        answer = ask(c, "POST", "/kbs/v0/attest", json.dumps(body).encode(),
                     JSON + [("Cookie", cookie)])
    if answer[0] != 401:
        return answer
    reason = json.loads(answer[2])["reasons"][0]
    page = get(s, "/")
    text = re.sub(r"&#(\d+);", lambda m: chr(int(m.group(1))), page)
    if reason not in text or ">denied<" not in page or "SEV-SNP" not in page:
        return (reason, page)
    if metric(s, 'bawn_attestd_decisions_total{verdict="denied"}') != 1:
        return get(s, "/metrics")
    return "bawn_attestd_denials_total{check=" not in get(s, "/metrics") and get(s, "/metrics")


def checkpoint(s):
    """the log's checkpoint is there, with its entries counted"""
    if metric(s, "bawn_attestd_log_entries") < 1:
        return get(s, "/metrics")
    for _ in range(100):
        if metric(s, "bawn_attestd_log_checkpoint_entries") >= 1:
            break
        time.sleep(0.1)
    return "<pre>bawn-attestd\n" not in get(s, "/") and get(s, "/")


def setup(config):
    config["workers"] = 1
    config["log"] = {"checkpoint_seconds": 1}


service = Service(os.path.join(BUILD, "bin/bawn-attestd"), setup)
try:
    for test in (nothing_yet, denied, checkpoint):
        tap.run(test, service)
finally:
    service.end()
tap.end()
