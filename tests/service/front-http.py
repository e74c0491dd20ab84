#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The fronts against honest and hostile clients. Vault and judges are stand-ins that answer with
what they were asked. Takes about 40 s."""
import html.parser
import json
import os
import signal
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import BUILD, Service, Tap, ask, read_answer, request  # noqa: E402

AUTH = json.dumps({"version": "0.4.0", "tee": "snp",
                   "extra-params": {"supported-hash-algorithms": ["sha384"]}}).encode()
JSON = [("Content-Type", "application/json")]
COOKIE = [("Cookie", "kbs-session-id=abc.1.def")]
tap = Tap()


def kinds(answer):
    return json.loads(answer[2])["type"].rsplit("/", 1)[1]


def auth(s):
    """auth reaches the vault, and its cookie the client"""
    with s.tls() as c:
        status, headers, body = ask(c, "POST", "/kbs/v0/auth", AUTH, JSON)
    if status != 200 or not headers["set-cookie"].startswith("kbs-session-id=abc.123.def;"):
        return (status, headers)
    if json.loads(body) != {"tenant": "default", "tee": "snp", "hashes": ["sha384"]}:
        return body
    return "Secure" not in headers["set-cookie"] and headers


def auth_refused(s):
    """auth: other versions get 401, what is no request 400, another content type 415"""
    cases = [(AUTH.replace(b"0.4.0", b"0.1.1"), JSON, 401), (b"{}", JSON, 400),
             (b"[1", JSON, 400), (b"", JSON, 400), (AUTH, [("Content-Type", "text/xml")], 415),
             (b'{"version":"0.4.0","version":"0.4.0","tee":"snp"}', JSON, 400),
             (AUTH.replace(b'"snp"', b'"../x"'), JSON, 400)]
    for body, headers, want in cases:
        with s.tls() as c:
            answer = ask(c, "POST", "/kbs/v0/auth", body, headers)
        if answer[0] != want or set(json.loads(answer[2])) != {"type", "detail"}:
            return (body, answer)
    return None


def attest(s):
    """attest goes by a judge and the vault and back; without a cookie it is 401"""
    with s.tls() as c:
        answer = ask(c, "POST", "/kbs/v0/attest", b'{"a":1}', JSON + COOKIE)
        if answer[0] != 200 or json.loads(answer[2]) != {
                "asked": {"tenant": "default", "cookie": "abc.1.def",
                          "client": "127.0.0.1"}, "body": 7}:
            return answer
        answer = ask(c, "POST", "/kbs/v0/attest", b'{"a":1}', JSON)
        if answer[0] != 401 or kinds(answer) != "MissingCookie":
            return answer
        answer = ask(c, "POST", "/kbs/v0/attest", b"bad", JSON + COOKIE)
        return answer[0] != 400 and answer


def chunked(s):
    """a body in chunks is the same body; malformed chunks are refused"""
    head = request("POST", "/kbs/v0/attest", None,
                   JSON + COOKIE + [("Transfer-Encoding", "chunked")])
    with s.tls() as c:
        for part in (head, b"3\r", b"\n{\"a\r\n", b"4\r\n\":1}\r\n0\r\n", b"\r\n"):
            c.sendall(part)
            time.sleep(0.02)
        answer = read_answer(c)
        if answer[0] != 200 or json.loads(answer[2])["body"] != 7:
            return answer
    for bad in (b"zz\r\n", b"123456789\r\n", b"1;x=y\r\na\r\n", b"1\na\r\n"):
        with s.tls() as c:
            c.sendall(head + bad)
            answer = read_answer(c)
            if answer[0] != 400:
                return (bad, answer)
    return None


def resource(s):
    """a resource is asked for by cookie or token, and 401 without"""
    path = "/kbs/v0/resource/default/key/disk"
    with s.tls() as c:
        answer = ask(c, "GET", path, None, COOKIE)
        asked = json.loads(answer[2])["asked"]
        if asked != {"tenant": "default", "path": "default/key/disk", "cookie": "abc.1.def", "client": "127.0.0.1"}:
            return answer
        answer = ask(c, "POST", path, b"", [("Authorization", "Bearer a.b.c")])
        if json.loads(answer[2])["asked"].get("bearer") != "a.b.c":
            return answer
        answer = ask(c, "GET", path)
        return (answer[0] != 401 or "www-authenticate" not in answer[1]) and answer


def tenants(s):
    """a tenant's prefix is the tenant; another's is 404"""
    with s.tls() as c:
        answer = ask(c, "POST", "/t/other/kbs/v0/auth", AUTH, JSON)
        if json.loads(answer[2])["tenant"] != "other":
            return answer
        answer = ask(c, "POST", "/t/nobody/kbs/v0/auth", AUTH, JSON)
        return answer[0] != 404 and answer


def paths(s):
    """path tricks get 400 or 404 and never reach the vault"""
    tricks = ["/kbs/v0/resource/a/b/..", "/kbs/v0/resource/../a/b/c", "/kbs/v0/resource/a%2fb/c/d",
              "/kbs/v0/resource/a/b/c%00", "/kbs//v0/resource/a/b/c", "/kbs/v0/resource/a/b/c/",
              "/kbs/v0/resource/a/b/./c", "/kbs/v0/resource/a/b/" + "x" * 129, "/kbs/v0/resource/a/b",
              "/kbs/v0/resource/a/b/c/d", "/KBS/v0/resource/a/b/c", "//kbs/v0/resource/a/b/c",
              "/kbs/v0/resource/a\\b/c/d", "/kbs/v0/resource/a/b/c;d", "/bawn/v1/log",
              "/kbs/v0/attestation-policy", "/t/default/../kbs/v0/resource/a/b/c", "/", "/metrics",
              "/kbs/v0/resource/a/b/c?x=<script>"]
    for path in tricks:
        with s.tls() as c:
            answer = ask(c, "GET", path, None, COOKIE)
        if answer[0] not in (400, 404):
            return (path, answer)
    return None


def requests_refused(s):
    """malformed and ambiguous requests are refused and the connection ends"""
    cases = [
        (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"BREW /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"POST /kbs/v0/auth HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /kbs/v0/auth HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
         400),
        (b"POST /kbs/v0/auth HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /kbs/v0/auth HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\r\n\r\n", 400),
    ]
    for data, want in cases:
        with s.tls() as c:
            c.sendall(data)
            answer = read_answer(c)
            if not answer or answer[0] != want or (want != 405 and c.recv(1)):
                return (data[:80], want, answer)
    return None


def methods(s):
    """another method is 405; HEAD has no body"""
    with s.tls() as c:
        answer = ask(c, "DELETE", "/kbs/v0/auth")
        if answer[0] != 405:
            return answer
        answer = ask(c, "HEAD", "/healthz")
        if answer[0] != 200 or answer[1]["content-length"] != "3":
            return answer
        answer = ask(c, "GET", "/healthz")
        return answer[2] != b"ok\n" and answer


def pipelined(s):
    """requests sent at once are answered one after the other"""
    with s.tls() as c:
        c.sendall(request("POST", "/kbs/v0/auth", AUTH, JSON) * 2 +
                  request("GET", "/healthz", None, [("Connection", "close")]))
        data = b""
        while part := c.recv(65536):
            data += part
    return (data.count(b"HTTP/1.1 200") != 3 or not data.endswith(b"ok\n")) and data


def oversize(s):
    """bodies that are too large get 413, announced or not"""
    with s.tls() as c:
        c.sendall(request("POST", "/kbs/v0/attest", None,
                          JSON + COOKIE + [("Content-Length", str(1 << 40))]))
        if read_answer(c)[0] != 413:
            return "announced"
    with s.tls() as c:
        c.sendall(request("POST", "/kbs/v0/attest", None,
                          JSON + COOKIE + [("Transfer-Encoding", "chunked")]))
        try:
            for _ in range(300):
                c.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except OSError:
            pass
        return read_answer(c)[0] != 413 and "chunks"


def old_tls(s):
    """TLS 1.2 is refused, 1.3 is what is spoken"""
    try:
        with s.tls(maximum_version=ssl.TLSVersion.TLSv1_2):
            return "TLS 1.2 was taken"
    except ssl.SSLError:
        pass
    with s.tls() as c:
        return c.version() != "TLSv1.3" and c.version()


def resumption(s):
    """a ticket resumes a session"""
    context = s.context()
    with context.wrap_socket(s.raw(), server_hostname="localhost") as c:
        ask(c, "GET", "/healthz")
        session = c.session
    with context.wrap_socket(s.raw(), server_hostname="localhost", session=session) as c:
        ask(c, "GET", "/healthz")
        return not c.session_reused and "it was not"


def other_protocol(s):
    """a client that wants only another protocol is refused (ALPN)"""
    context = s.context()
    context.set_alpn_protocols(["h2"])
    try:
        context.wrap_socket(s.raw(), server_hostname="localhost").close()
        return "h2 was taken"
    except ssl.SSLError:
        return None


def malformed_tls(s):
    """bytes that are no TLS end the connection and nothing else"""
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 300,
                 b"\x16\x03\x01\0\x05\x01\xff\xff\xff\xff", os.urandom(2000)):
        with s.raw() as c:
            try:
                c.sendall(data)
                c.settimeout(10)
                while c.recv(4096):
                    pass
            except ConnectionError:
                pass
    return auth(s)


def admin(s):
    """administrators are known by their certificate, and a path goes to the vault whole"""
    with s.tls(admin=True) as c:
        answer = ask(c, "PUT", "/t/other/bawn/v1/policies/x?a=b", b"{}", JSON)
    asked = json.loads(answer[2])["asked"]
    identity = asked.pop("identity")
    with open(s.config_path, encoding="utf-8") as f:
        if json.load(f)["tenants"]["default"]["admins"][0]["certificate"] != identity:
            return identity
    return asked != {"tenant": "other", "method": "PUT", "path": "/bawn/v1/policies/x",
                     "query": "a=b", "type": "application/json"} and asked


def admin_without(s):
    """without a certificate, or with a stranger's, nobody gets to the administrators' door"""
    context = s.context()
    strangers = s.context()
    strangers.load_cert_chain(s.path("server.pem"), s.path("server.key"))  # not for clients
    for ctx in (context, strangers):
        try:
            with ctx.wrap_socket(s.raw(offset=1), server_hostname="localhost") as c:
                if ask(c, "GET", "/bawn/v1/log"):
                    return "it was let in"
        except (ssl.SSLError, ConnectionError):
            pass
    return None


def subscribed(s, admin, headers=()):
    """A connection that has the head of its stream, and what came with it."""
    c = s.tls(admin=admin)
    c.sendall(request("GET", "/bawn/v1/revocations/events", headers=headers))
    return c, read_answer(c)


def events(s):
    """subscribers hear of a revocation; of its reason those who show a token or are administrators"""
    kinds_of = ((False, (), b'{"n":1}'), (False, [("Authorization", "Bearer a.b.c")], None),
                (True, (), None))
    streams = [subscribed(s, admin, headers) for admin, headers, _ in kinds_of]
    try:
        for _, answer in streams:
            if answer[0] != 200 or answer[1]["content-type"] != "text/event-stream":
                return answer
        with s.tls(admin=True) as a:
            ask(a, "POST", "/bawn/v1/revocations", b"{}", JSON)  # the stand-in tells a reason
        for (c, answer), (_, _, want) in zip(streams, kinds_of):
            data = answer[2]
            while b"data: " not in data:
                part = c.recv(4096)
                if not part:
                    return data
                data += part
            want = want or b'{"n":1,"reason":"told"}'
            if b"event: revoked\ndata: " + want + b"\n\n" not in data:
                return (want, data)
    finally:
        for c, _ in streams:
            c.close()
    with s.tls(admin=True) as a:  # an administrator, but not of that tenant
        answer = ask(a, "GET", "/t/other/bawn/v1/revocations/events")
    return answer[0] != 403 and answer


def slow(s):
    """slow headers and slow bodies end after their time"""
    with s.tls() as head, s.tls() as body, s.raw() as silent:
        body.sendall(request("POST", "/kbs/v0/attest", None,
                             JSON + COOKIE + [("Content-Length", "1000")]))
        ended = {}
        start = time.monotonic()
        while len(ended) < 3 and time.monotonic() - start < 15:
            for name, c in (("head", head), ("body", body), ("silent", silent)):
                if name in ended:
                    continue
                try:
                    if name != "silent":
                        c.sendall(b"X")
                    c.settimeout(0.05)
                    part = c.recv(4096)
                    ended[name] = part
                except (TimeoutError, socket.timeout, ssl.SSLWantReadError):
                    pass
                except OSError as e:
                    ended[name] = repr(e).encode()
            time.sleep(0.1)
    if len(ended) < 3 or b" 408 " not in ended["body"] or b" 408 " not in ended["head"]:
        return ended
    return None


def judge_dies(s):
    """a judge that dies costs its clients a 503, and another takes its place"""
    mark = s.mark()
    with s.tls() as c:
        answer = ask(c, "POST", "/kbs/v0/attest", b"kill", JSON + COOKIE)
        if answer[0] != 503 or "retry-after" not in answer[1]:
            return answer
        s.wait_event("confined", mark, "judge")
        for _ in range(4):
            answer = ask(c, "POST", "/kbs/v0/attest", b"{}", JSON + COOKIE)
            if answer[0] != 200:
                return answer
    return None


def busy(s):
    """when every judge has its share of jobs, 503 with Retry-After"""
    waiting = []
    try:
        for _ in range(8):
            c = s.tls()
            waiting.append(c)
            c.sendall(request("POST", "/kbs/v0/attest", b"stay", JSON + COOKIE))
        time.sleep(0.3)
        with s.tls() as c:
            answer = ask(c, "POST", "/kbs/v0/attest", b"{}", JSON + COOKIE)
            return (answer[0] != 503 or "retry-after" not in answer[1]) and answer
    finally:
        for c in waiting:
            c.close()


def queue(s):
    """judges that have more to do than their time, but go on, are not ended"""
    waiting = [s.tls() for _ in range(8)]
    try:
        for c in waiting:
            c.sendall(request("POST", "/kbs/v0/attest", b"slow", JSON + COOKIE))
        for c in waiting:
            answer = read_answer(c)
            if answer[0] != 200:
                return answer
    finally:
        for c in waiting:
            c.close()
    return None


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.tags += [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def loops(s):
    """a judge that never returns is ended and replaced, and its client hears of it"""
    mark = s.mark()
    with s.tls() as c:
        answer = ask(c, "POST", "/kbs/v0/attest", b"loop", JSON + COOKIE)
        if answer[0] != 503 or kinds(answer) != "VerifierTimeout" or \
                "retry-after" not in answer[1]:
            return answer
        s.wait_event("a judge is ended: it does not answer", mark)
        s.wait_event("confined", mark, "judge")
        for _ in range(4):
            answer = ask(c, "POST", "/kbs/v0/attest", b"{}", JSON + COOKIE)
            if answer[0] != 200:
                return answer
    return None


def hosts(s):
    """the status page and administrators' address answer under their own names alone"""
    cases = [(2, "localhost", 200), (2, f"127.0.0.1:{s.port + 2}", 200), (2, "[::1]:9", 200),
             (2, "status.example:80", 200), (2, "STATUS.example", 200), (2, "evil.example", 421),
             (2, "localhost.evil.example", 421), (2, "127.0.0.1.evil.example", 421),
             (2, "", 421), (2, "status.example:80:80", 421), (2, "[::1", 421),
             (1, "localhost", 200), (1, f"127.0.0.1:{s.port + 1}", 200), (1, "evil.example", 421),
             (1, "status.example", 421), (0, "anything.example", 200)]
    for offset, host, want in cases:
        with s.raw(offset=2) if offset == 2 else s.tls(admin=offset == 1) as c:
            c.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = read_answer(c)
        if answer[0] != want:
            return (offset, host, answer)
    with s.raw(offset=2) as c:
        c.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        answer = read_answer(c)
    return (answer[0] != 421 or b"script" in answer[2]) and answer


def page(s):
    """the status page escapes what evidence says, has no script, and forbids one"""
    with s.raw(offset=2) as c:
        status, headers, body = ask(c, "GET", "/")
    p = Page()
    p.feed(body.decode())
    if status != 200 or "script" in p.tags or "src" in p.tags or "href" in p.tags:
        return p.tags
    if "default-src 'none'" not in headers["content-security-policy"]:
        return headers
    for text in ("<script>alert(1)</script>", 'a & b "twice"', "at least 209", "too low",
                 "the CRL <crl> has expired", "expired", "origin\n2"):
        if text not in p.text:
            return (text, p.text)
    return None


def metrics(s):
    """metrics can be read by their parser and count what was done"""
    with s.raw(offset=2) as c:
        status, _, body = ask(c, "GET", "/metrics")
    values = {}
    for line in body.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    if status != 200 or not values['bawn_attestd_tls_failures_total{front="public"}']:
        return body
    if values['bawn_attestd_denials_total{check="snp.\\"signature"}'] != 1:
        return body
    bucket = 'bawn_attestd_request_seconds_bucket{front="public",route="auth",le="+Inf"}'
    return values[bucket] < 3 and body


def reload(s):
    """SIGHUP takes a new configuration and keeps connections; a wrong one changes nothing"""
    with s.tls() as c:
        ask(c, "GET", "/healthz")
        with open(s.config_path, encoding="utf-8") as f:
            before = f.read()
        mark = s.mark()
        s.change(lambda config: config["tenants"].update({"new": {}}))
        s.process.send_signal(signal.SIGHUP)
        s.wait_event("reloaded", mark, "front")
        if ask(c, "POST", "/t/new/kbs/v0/auth", AUTH, JSON)[0] != 200:
            return "the new tenant is not there"
        mark = s.mark()
        with open(s.config_path, "w", encoding="utf-8") as f:
            f.write(before.replace("listen", "lisen", 1))
        s.process.send_signal(signal.SIGHUP)
        event = s.wait_event("the configuration was not taken", mark)
        with open(s.config_path, "w", encoding="utf-8") as f:
            f.write(before)
        if "lisen" not in event["reason"] or ":2:" not in event["reason"]:
            return event
        return ask(c, "POST", "/t/new/kbs/v0/auth", AUTH, JSON)[0] != 200 and "it was dropped"


def ends(s):
    """SIGTERM ends it in order, with the request that is under way answered"""
    c = s.tls()
    c.sendall(request("POST", "/kbs/v0/auth", None, JSON + [("Content-Length", str(len(AUTH)))]))
    time.sleep(0.3)
    s.process.send_signal(signal.SIGTERM)
    s.wait_event("ends")
    time.sleep(0.3)
    c.sendall(AUTH)
    answer = read_answer(c)
    c.close()
    status = s.process.wait(30)
    return (status or answer[0] != 200) and (status, answer)


def setup(config):
    config["tenants"]["other"] = {}
    config["workers"] = 2
    config["limits"] = {"header_timeout": 3, "body_timeout": 3, "jobs": 4, "rate": 0,
                        "judge_timeout": 2}
    config["status"]["hosts"] = ["status.example"]


# FRONT=attestd-front-asan: the same under the sanitizers.
service = Service(os.path.join(BUILD, "tests", os.environ.get("FRONT", "attestd-front")), setup)
try:
    for test in (auth, auth_refused, attest, chunked, resource, tenants, paths, requests_refused,
                 methods, pipelined, oversize, old_tls, resumption, other_protocol, malformed_tls,
                 admin, admin_without, events, slow, judge_dies, queue, loops, busy, hosts, page, metrics, reload, ends):
        tap.run(test, service)
finally:
    service.end()
tap.end()
