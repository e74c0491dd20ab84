#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients who want more than their part of the public front. About 2 s."""
import json
import os

from attestd import BUILD, Service, Tap, ask, request

tap = Tap()
JSON = [("Content-Type", "application/json")]


def subscribe(service, source):
    sock = service.tls(source=source)
    sock.sendall(request("GET", "/bawn/v1/revocations/events"))
    return sock, sock.recv(4096).split(b"\r\n")[0]


def streams(service):
    """one address does not take the places of all subscribers, and gives its own back"""
    first = [subscribe(service, "127.0.0.1") for _ in range(3)]
    other = subscribe(service, "127.0.0.2")
    status = [s[1][9:12] for s in first + [other]]
    if status != [b"200", b"200", b"503", b"200"]:
        return status
    first[0][0].close()
    for _ in range(100):  # until the front has seen it
        again = subscribe(service, "127.0.0.1")
        if again[1][9:12] == b"200":
            return None
    return again


def deep(service):
    """JSON of half a million levels is 400"""
    for body in (b"[" * 500000, b'{"a":' * 100000, b'{"version":' + b"[" * 3000 + b"]" * 3000 + b"}"):
        answer = ask(service.tls(), "POST", "/kbs/v0/auth", body, JSON)
        if answer[0] != 400:
            return body[:20], answer
    return None


def cookies(service):
    """many cookies, or two of the session's name, are no session"""
    body = json.dumps({"tee-evidence": {}}).encode()
    for value in ("a=b; " * 2500, "kbs-session-id=a; kbs-session-id=b", "kbs-session-id=" + "a" * 9000,
                  "kbs-session-id=\"a\"", "kbs-session-id="):
        answer = ask(service.tls(), "POST", "/kbs/v0/attest", body, JSON + [("Cookie", value)])
        if answer[0] != 401:
            return value[:40], answer
    return None


def setup(config):
    config["limits"] = {"rate": 0, "subscribers": 8}


the_service = Service(os.path.join(BUILD, "bin/bawn-attestd"), setup)
the_service.begun = the_service.mark()
try:
    for test in (streams, deep, cookies):
        tap.run(test, the_service)
    ended = [e for e in the_service.journal(the_service.begun) if e["event"] == "a process ended"]
    tap.point(not ended, "no process has ended", ended)
finally:
    the_service.end()
tap.end()
