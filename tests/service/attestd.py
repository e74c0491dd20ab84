# SPDX-License-Identifier: Apache-2.0
"""What the tests of bawn-attestd share: a service in a directory of its own, connections, TAP."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(os.environ.get("BAWN_BUILD", "build"))


class Tap:
    def __init__(self):
        self.n = 0
        self.failed = 0

    def point(self, ok, name, detail=""):
        self.n += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.n} - {name}", flush=True)
        if not ok and detail:
            print("\n".join("# " + line for line in str(detail).splitlines()[-20:]), flush=True)

    def run(self, function, *arguments):
        try:
            problem = function(*arguments)
        except Exception as e:  # a test that breaks has failed, the others go on
            problem = f"{type(e).__name__}: {e}"
        self.point(not problem, (function.__doc__ or function.__name__).strip(), problem)

    def end(self):
        print(f"1..{self.n}")
        sys.exit(self.failed > 0)


def free_ports(n):
    """The first of n ports in a row that nobody has. Below those that the system gives to clients
    (32768 on): a service that is started again must find them free."""
    for base in range(10000 + os.getpid() * 7 % 20000, 32700, 7):
        socks = []
        try:
            for i in range(n):
                s = socket.socket()
                socks.append(s)
                s.bind(("127.0.0.1", base + i))
            return base
        except OSError:
            continue
        finally:
            for s in socks:
                s.close()
    raise RuntimeError("no free ports")


class Service:
    def __init__(self, program, change=None, files=20000):
        self.dir = tempfile.mkdtemp(prefix="attestd-")
        self.port = free_ports(3)
        self.program = program
        self.files = files
        self.log_path = os.path.join(self.dir, "journal")
        self.config_path = os.path.join(self.dir, "d", "attestd.json")
        self.process = None
        self.start(["--dev", "--dir", os.path.join(self.dir, "d"), "--port", str(self.port)])
        if change:
            self.stop()
            self.change(change)
            self.start(["--config", self.config_path])

    def change(self, change):
        with open(self.config_path, encoding="utf-8") as f:
            config = json.load(f)
        change(config)
        with open(self.config_path, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)

    def start(self, arguments):
        self.log = open(self.log_path, "ab")
        offset = os.path.getsize(self.log_path)
        self.process = subprocess.Popen([self.program] + arguments, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        self.wait_event("ready", offset)

    def journal(self, offset=0):
        events = []
        with open(self.log_path, "rb") as f:
            f.seek(offset)
            for line in f:
                if line.endswith(b"\n") and line.startswith(b"{"):
                    events.append(json.loads(line))
        return events

    def wait_event(self, name, offset=0, process=None, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for e in self.journal(offset):
                if e["event"] == name and process in (None, e["process"]):
                    return e
            if self.process.poll() is not None and name != "ends":
                break
            time.sleep(0.02)
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            raise RuntimeError(f"no {name} in the journal:\n{f.read()}")

    def mark(self):
        return os.path.getsize(self.log_path)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.log.close()
        return status

    def end(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.dir)

    def path(self, name):
        return os.path.join(self.dir, "d", name)

    # ---- Connections ----

    def context(self, admin=False):
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        if admin:
            context.load_cert_chain(self.path("admin.pem"), self.path("admin.key"))
        return context

    def raw(self, source=None, offset=0):
        return socket.create_connection(("127.0.0.1", self.port + offset), 20,
                                        (source, 0) if source else None)

    def tls(self, admin=False, source=None, **options):
        context = self.context(admin)
        for name, value in options.items():
            setattr(context, name, value)
        return context.wrap_socket(self.raw(source, 1 if admin else 0),
                                   server_hostname="localhost")


def read_answer(sock, head=False):
    """(status, headers, body) of one answer; None at the connection's end."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return None
        data += part
    top, body = data.split(b"\r\n\r\n", 1)
    lines = top.decode().split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    length = 0 if head else int(headers.get("content-length", "0"))
    while len(body) < length:
        part = sock.recv(65536)
        if not part:
            break
        body += part
    return int(lines[0].split()[1]), headers, body


def request(method, path, body=None, headers=()):
    text = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    for name, value in headers:
        text += f"{name}: {value}\r\n"
    if body is not None:
        text += f"Content-Length: {len(body)}\r\n"
    return text.encode() + b"\r\n" + (body or b"")


def ask(sock, method, path, body=None, headers=()):
    sock.sendall(request(method, path, body, headers))
    return read_answer(sock, method == "HEAD")
