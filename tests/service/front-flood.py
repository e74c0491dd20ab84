#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The public front under 10,000 half-open connections, and its limits per client. Vault and judges
are stand-ins. Takes about a minute."""
import json
import os
import resource
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import BUILD, Service, Tap, ask  # noqa: E402

AUTH = json.dumps({"version": "0.4.0", "tee": "snp"}).encode()
JSON = [("Content-Type", "application/json")]
HALF_OPEN = 10000
HANDSHAKES = 1024  # attest/service/front/conn.c, HANDSHAKES_MAX
HEADER_TIMEOUT = 20  # so that the first ones are still there when the last one comes
tap = Tap()


def metric(s, name):
    with s.raw(offset=2) as c:
        body = ask(c, "GET", "/metrics")[2].decode()
    for line in body.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise RuntimeError(f"no {name}")


def front_memory(s):
    """Resident bytes of the public front."""
    pid = [e["pid"] for e in s.journal() if e["event"] == "confined" and e["process"] == "front"][-1]
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def open_half(s):
    """Half of them say nothing, half the first bytes of a ClientHello; from several addresses."""
    socks = []
    for i in range(HALF_OPEN):
        c = socket.socket()
        c.setblocking(True)
        c.bind((f"127.0.1.{1 + i % 20}", 0))
        c.connect(("127.0.0.1", s.port))
        if i % 2:
            c.sendall(b"\x16\x03\x01\x02")
        socks.append(c)
    return socks


def served(s, what):
    for i in range(20):
        with s.tls(source="127.0.0.9") as c:
            answer = ask(c, "POST", "/kbs/v0/auth", AUTH, JSON)
        if not answer or answer[0] != 200:
            return f"{what}: request {i}: {answer}"
    return None


def half_open(s):
    """10,000 half-open connections: a client is served, memory is bounded, they are let go"""
    before, began = front_memory(s), time.monotonic()
    name = 'bawn_attestd_connections{front="public"}'
    socks = open_half(s)
    try:
        problem = served(s, "with half-open connections")
        grown, there = front_memory(s) - before, metric(s, name)
        took = time.monotonic() - began
        print(f"# {there:.0f} connections after {took:.0f} s, {grown >> 20} MiB more")
        # The silent ones all stand; of those that began TLS the oldest make room for the newest.
        evicted = metric(s, 'bawn_attestd_connections_evicted_total{front="public"}')
        if took < HEADER_TIMEOUT - 5 and not (
                HALF_OPEN / 2 <= there <= HALF_OPEN / 2 + HANDSHAKES
                and there + evicted >= HALF_OPEN):
            return f"{there} connections, {evicted} made room"
        if problem:
            return problem
        if grown > 128 << 20:
            return f"{grown} bytes more"
        end = time.monotonic() + HEADER_TIMEOUT + 30
        while metric(s, name) > 0 and time.monotonic() < end:
            time.sleep(0.5)
        return metric(s, name) > 0 and f"{metric(s, name)} connections are still there"
    finally:
        for c in socks:
            c.close()


def full(s):
    """when no place is left, half-open connections make room for new ones"""
    socks = []
    try:
        for i in range(300):
            c = socket.socket()
            c.bind((f"127.0.1.{1 + i % 20}", 0))
            c.connect(("127.0.0.1", s.port))
            socks.append(c)
        return served(s, "when full") or (
            metric(s, 'bawn_attestd_connections_evicted_total{front="public"}') < 200 and "none")
    finally:
        for c in socks:
            c.close()


def per_client(s):
    """one address has so many connections and no more, others have theirs"""
    socks = []
    try:
        for _ in range(12):
            c = s.raw("127.0.0.7")
            socks.append(c)
        closed = 0
        for c in socks:
            c.settimeout(1)
            try:
                closed += c.recv(1) == b""
            except (TimeoutError, socket.timeout):
                pass
            except ConnectionError:
                closed += 1
        return served(s, "another address") or (closed != 4 and f"{closed} of 12 were closed")
    finally:
        for c in socks:
            c.close()


def rate(s):
    """who asks too often gets 429 with Retry-After; others do not, and it passes"""
    with s.tls(source="127.0.0.8") as c, s.tls(source="127.0.0.6") as other:
        answers = [ask(c, "GET", "/healthz") for _ in range(60)]
        refused = [a for a in answers if a[0] == 429]
        if len(refused) < 20 or "retry-after" not in refused[0][1] or answers[0][0] != 200:
            return [a[0] for a in answers]
        if ask(other, "GET", "/healthz")[0] != 200:
            return "another address as well"
        time.sleep(1.5)
        return ask(c, "GET", "/healthz")[0] != 200 and "it did not pass"


def with_service(limits, tests):
    def setup(config):
        config["workers"] = 1
        config["limits"] = limits

    service = Service(os.path.join(BUILD, "tests/attestd-front"), setup)
    try:
        for test in tests:
            tap.run(test, service)
    finally:
        service.end()


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard != resource.RLIM_INFINITY and hard < HALF_OPEN + 500:
    print(f"ok 1 - half-open connections # SKIP only {hard} descriptors\n1..1")
    sys.exit(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
with_service({"rate": 0, "header_timeout": HEADER_TIMEOUT}, [half_open])
with_service({"rate": 0, "connections": 64}, [full])
with_service({"rate": 0, "per_client": 8}, [per_client])
with_service({"rate": 20, "burst": 30}, [rate])
tap.end()
