#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A tenant's administrator against the service of all: what he stores must not end it, close it to
another tenant, or keep it from starting again. About 10 s."""
import json
import os
import time

from attestd import BUILD, Service, Tap, ask

tap = Tap()


def administer(service, method, path, body=None):
    answer = ask(service.tls(admin=True), method, path, body,
                 [("Content-Type", "application/json")])
    return answer


def alive(service):
    """judges and vault serve, and none of them has ended"""
    health = ask(service.tls(), "GET", "/healthz")
    auth = ask(service.tls(), "POST", "/kbs/v0/auth",
               json.dumps({"version": "0.4.0", "tee": "snp", "extra-params": {}}).encode(),
               [("Content-Type", "application/json")])
    cookie = auth[1].get("set-cookie", "").split(";")[0]
    key = {"kty": "EC", "alg": "ECDH-ES+A256KW", "crv": "P-256",
           "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
           "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
    body = {"runtime-data": {"nonce": "n", "tee-pubkey": key},
            "tee-evidence": {"primary_evidence": "AAAA"}}
    judged = ask(service.tls(), "POST", "/kbs/v0/attest", json.dumps(body).encode(),
                 [("Content-Type", "application/json"), ("Cookie", cookie)])
    ended = [e for e in service.journal(service.begun) if e["event"] == "a process ended"]
    good = health[0] == 200 and auth[0] == 200 and judged[0] == 401 and \
        b"AttestationDenied" in judged[2] and not ended
    return None if good else (health, auth, judged, ended)


def too_many_references(service):
    """reference values beyond a tenant's room are 413, and nothing of them stays"""
    values = [f"{i:06}" + "a" * 4000 for i in range(1200)]  # 4.8 MB, of 16 MiB
    answers = [administer(service, "POST", "/kbs/v0/reference-value",
                          json.dumps({f"x{part}": values}).encode())[0] for part in range(4)]
    kept = administer(service, "GET", "/kbs/v0/reference-value/x3")
    for part in range(3):
        administer(service, "DELETE", f"/kbs/v0/reference-value/x{part}")
    return answers != [200, 200, 200, 413] and answers or kept[0] != 404 and kept[0] or \
        alive(service)


def many_changes(service):
    """a change of many rows needs no file that the vault may not make"""
    for expires in (0, 2000000000):
        values = [{"value": f"{i:08}" * 16, "expires": expires} for i in range(5000)]
        answer = administer(service, "POST", "/kbs/v0/reference-value",
                            json.dumps({"y": values}).encode())
        if answer[0] != 200:
            return answer
    answer = administer(service, "DELETE", "/kbs/v0/reference-value/y")
    return answer[0] != 200 and answer or alive(service)


def large_snapshots(service):
    """two tenants that use their room leave the judges to all"""
    values = [f"{i:06}" + "a" * 3900 for i in range(1000)]
    for tenant in ("", "/t/other"):
        answer = administer(service, "POST", tenant + "/kbs/v0/reference-value",
                            json.dumps({"x": values}).encode())
        if answer[0] != 200:
            return answer
    return alive(service)


def too_much_collateral(service):
    """collateral beyond what judges look at is 413"""
    with open(service.path("ca.pem"), encoding="ascii") as f:
        pem = f.read()
    answers = []
    for part in range(2):
        entries = [{"name": f"x/{part}/{i}", "data": pem} for i in range(600)]
        answers.append(administer(service, "POST", "/bawn/v1/collateral",
                                  json.dumps({"entries": entries}).encode())[0])
    return answers != [200, 413] and answers or alive(service)


def starts_again(service):
    """with all that, it starts again"""
    service.stop()
    service.begun = service.mark()
    service.start(["--config", service.config_path])
    end = time.monotonic() + 20
    while alive(service) and time.monotonic() < end:
        time.sleep(0.1)  # the judges read what they are given
    return alive(service)


def setup(config):
    config["tenants"]["other"] = config["tenants"]["default"]
    config["limits"] = {"rate": 0}


the_service = Service(os.path.join(BUILD, "bin/bawn-attestd"), setup)
the_service.begun = the_service.mark()
try:
    for test in (alive, too_many_references, many_changes, large_snapshots,
                 too_much_collateral, starts_again):
        tap.run(test, the_service)
finally:
    the_service.end()
tap.end()
