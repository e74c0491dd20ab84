# SPDX-License-Identifier: Apache-2.0
"""For the tests of bawn-agent: the server's side of the KBS protocol 0.4.0 over real TLS, with JOSE by
jwcrypto, and a guest's devices made of a recorded report. It judges what a service would:
the session, the nonce, and that the report is about the key."""
import base64
import hashlib
import http.server
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import uuid

from jwcrypto import jwe, jwk

VECTORS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../vectors/snp")
REPORT = "milan-v3-vcek-05b7438a"
SECRET = bytes(range(256)) + b"the key of the disk"


def vector(name):
    with open(os.path.join(VECTORS, name), "rb") as f:
        return f.read()


def certificates(folder):
    """A CA and a server's certificate under it, by openssl; the SHA-256 of the server's key."""
    def openssl(*arguments):
        return subprocess.run(("openssl", *arguments), cwd=folder, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-days", "2")
    for name in ("ca", "other"):
        openssl(*new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    openssl(*new, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=kbs", "-CA",
            "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:kbs.test,IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE")
    spki = openssl("pkey", "-in", "server.key", "-pubout", "-outform", "DER")
    return hashlib.sha256(spki).hexdigest()


class Server:
    """mode: what is to go wrong; see Handler. requests: what was asked, in order."""

    def __init__(self, folder, address=None, tls="TLSv1_3"):
        self.requests, self.mode, self.sessions = [], {}, {}
        self.attested = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "server.pem"),
                                os.path.join(folder, "server.key"))
        context.maximum_version = getattr(ssl.TLSVersion, tls)
        outer = self

        class Listener(http.server.ThreadingHTTPServer):
            address_family = socket.AF_UNIX if address else socket.AF_INET
            daemon_threads = True
            owner = outer

            def server_bind(self):
                self.socket.bind(self.server_address)
                self.server_address = self.socket.getsockname()
                self.server_name, self.server_port = "kbs", 0

            def get_request(self):
                plain, peer = self.socket.accept()
                plain.settimeout(20)
                return context.wrap_socket(plain, True, do_handshake_on_connect=False), peer or "x"

            def handle_error(self, request, client_address):
                pass

        self.http = Listener(address or ("127.0.0.1", 0), Handler)
        bound = self.http.server_address
        self.name = f"unix:{address}" if address else f"tcp:127.0.0.1:{bound[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def expect(self, **mode):
        self.mode, self.requests = mode, []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body, headers=()):
        mode = self.server.owner.mode
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if mode.get("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(0, len(text), 100):
                part = text[i:i + 100]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def refuse(self, status, detail, headers=()):
        self.answer(status, {"type": "https://kbs/errors/Refused", "detail": detail}, headers)

    def session(self):
        cookie = self.headers.get("Cookie", "").removeprefix("kbs-session-id=")
        return self.server.owner.sessions.get(cookie)

    def handle_any(self, body):
        owner = self.server.owner
        owner.requests.append((self.command, self.path, body))
        route = self.path.removeprefix(owner.mode.get("prefix", "")).removeprefix("/kbs/v0/")
        if owner.mode.get("busy", 0) > 0:
            owner.mode["busy"] -= 1
            return self.refuse(owner.mode.get("status", 503), "busy", [("Retry-After", "1")])
        if owner.mode.get("cut", 0) > 0:
            owner.mode["cut"] -= 1
            return self.connection.shutdown(socket.SHUT_RDWR)
        if route in owner.mode.get("raw", {}):
            self.close_connection = True
            return self.wfile.write(owner.mode["raw"][route])
        if route in owner.mode.get("refuse", {}):
            return self.refuse(*owner.mode["refuse"][route])
        if route == "auth":
            return self.auth(json.loads(body))
        if route == "attest":
            return self.attest(json.loads(body))
        return self.resource(route)

    def do_GET(self):
        self.handle_any(None)

    def do_POST(self):
        self.handle_any(self.rfile.read(int(self.headers["Content-Length"])))

    def auth(self, request):
        owner = self.server.owner
        if request["version"] != "0.4.0" or request["tee"] not in ("snp", "tdx"):
            return self.refuse(401, "version or tee")
        name = uuid.uuid4().hex
        chosen = owner.mode.get("hash", "sha384")
        nonce = base64.b64encode(os.urandom(32)).decode()
        owner.sessions[name] = {"nonce": nonce, "hash": chosen}
        extra = {"selected-hash-algorithm": chosen} if "hash" in owner.mode else ""
        return self.answer(200, {"nonce": nonce, "extra-params": extra},
                           [("Set-Cookie", f"kbs-session-id={name}; Path=/; HttpOnly")])

    def attest(self, body):
        owner, session = self.server.owner, self.session()
        owner.attested.set()
        runtime = body["runtime-data"]
        if not session or runtime["nonce"] != session.pop("nonce", None):
            return self.refuse(401, "no such session")
        if set(runtime["tee-pubkey"]) not in ({"kty", "crv", "alg", "x", "y"},
                                              {"kty", "alg", "n", "e"}):
            return self.refuse(401, "members of the key")
        bound = dict(runtime)
        bound["additional-evidence"] = body["tee-evidence"]["additional_evidence"]
        text = json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.new(session["hash"], text).digest()
        evidence = body["tee-evidence"]["primary_evidence"]
        report = base64.b64decode(evidence["attestation_report"])
        if report[0x50:0x90] != digest.ljust(64, b"\0"):
            return self.refuse(401, "the report is not about this key")
        session["key"] = runtime["tee-pubkey"]
        return self.answer(200, {"token": "aaa.bbb.ccc"})

    def resource(self, route):
        owner, session = self.server.owner, self.session()
        if not session or "key" not in session:
            return self.refuse(401, "not attested")
        if route != "resource/default/key/disk":
            return self.refuse(404, "there is no such resource")
        key = jwk.JWK(**session["key"])
        if owner.mode.get("other_key"):
            key = jwk.JWK.generate(kty="EC", crv="P-256")
        made = jwe.JWE(SECRET, json.dumps({"alg": session["key"]["alg"], "enc": "A256GCM"}),
                       recipient=key).serialize()
        made = json.loads(made)
        if "epk" not in made.get("header", {}):
            made["aad"] = made["protected"]  # as KBS servers do
        return self.answer(200, made)


class Guest:
    """The root folder of a guest whose configfs gives the recorded report about what it is asked."""

    def __init__(self, folder, tee="snp"):
        self.tee, self.root = tee, folder
        device = {"snp": "dev/sev-guest", "tdx": "dev/tdx_guest"}[tee]
        for path in ("dev", "proc", "sys/kernel/config/tsm/report",
                     "sys/firmware/acpi/tables/data"):
            os.makedirs(os.path.join(folder, path), exist_ok=True)
        open(os.path.join(folder, device), "wb").close()

    def table(self):
        vcek = vector(REPORT + ".vcek.der")
        guid = uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes
        return guid + struct.pack("<II", 48, len(vcek)) + bytes(24) + vcek

    def serve(self, entry, asked):
        """Fills outblob, a pipe, when it is opened for reading; then waits until the evidence was
        sent, so that the next opening is another request's."""
        while True:
            with open(os.path.join(entry, "outblob"), "wb") as pipe:
                with open(os.path.join(entry, "inblob"), "rb") as f:
                    data = f.read()[-64:]
                report = bytearray(vector(REPORT + ".report.bin"))
                report[0x50:0x90] = data
                pipe.write(bytes(report) if self.tee == "snp" else b"quote about " + data)
            if not asked:
                return
            asked.wait()
            asked.clear()

    def start(self, *command, server=None, **more):
        """Runs the command with its number's entry in configfs made beforehand."""
        script = ('d="$0/sys/kernel/config/tsm/report/bawn-agent.$$"; mkdir "$d" && '
                  ': >"$d/inblob" && echo "$PROVIDER" >"$d/provider" && cp "$TABLE" "$d/auxblob" && '
                  'mkfifo "$d/outblob" && echo >&3 && exec 3>&- "$@"')
        table = os.path.join(self.root, "table")
        with open(table, "wb") as f:
            f.write(self.table() if self.tee == "snp" else b"")
        ready, done = os.pipe()
        environment = dict(os.environ, TABLE=table,
                           PROVIDER={"snp": "sev_guest", "tdx": "tdx_guest"}[self.tee],
                           **more.pop("env", {}))
        with subprocess.Popen(("/bin/bash", "-c", script.replace(">&3", f">&{done}").replace(
                "3>&-", f"{done}>&-"), self.root, *command), env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                pass_fds=(done, *more.pop("pass_fds", ())), **more) as process:
            os.close(done)
            os.read(ready, 1)
            os.close(ready)
            entry = f"{self.root}/sys/kernel/config/tsm/report/bawn-agent.{process.pid}"
            threading.Thread(target=self.serve, daemon=True,
                             args=(entry, server and server.attested)).start()
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err.decode(errors="replace")
