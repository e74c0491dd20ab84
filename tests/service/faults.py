# SPDX-License-Identifier: Apache-2.0
"""What the fault tests of bawn-attestd share: a service whose processes are killed, a PostgreSQL
server, load that remembers each answer, and the comparison of these answers with the log."""
import base64
import collections
import hashlib
import json
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from attestd import BUILD, Service, ask

LOAD = os.path.join(BUILD, "bench/attestd-load")
AUDIT = os.path.join(BUILD, "bin/bawn-audit")
PG_BIN = os.environ.get("BAWN_PG_BIN", "/usr/lib/postgresql/15/bin")
PATIENCE = 100  # seconds, of which a working service needs a few
SECRET = b"what nobody gets without an entry in the log" * 3
RESOURCE = "default/key/disk"
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "0"))


def until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("waited in vain for " + what)
        time.sleep(0.02)


# ---- The service ----

class FaultService(Service):
    """roles: vault, front, admin, judge; what the supervisor starts, in this order."""
    NAMES = ("vault", "front", "admin", "judge")

    def __init__(self, identity, change=None):
        self.identity = identity
        self.also = change
        super().__init__(os.path.join(BUILD, "bin/bawn-attestd"), self.configure)

    def configure(self, config):
        config["tenants"]["default"]["roots"] = [os.path.join(self.identity, "root.pem")]
        config["limits"] = {"rate": 0}
        config["log"] = {"checkpoint_seconds": 1, "denials": 0}
        config["workers"] = 2
        if self.also:
            self.also(config)

    def wait_event(self, name, offset=0, process=None, seconds=PATIENCE):
        return super().wait_event(name, offset, process, seconds)

    def url(self):
        with open(self.config_path, encoding="utf-8") as f:
            url = json.load(f)["database"]
        return "sqlite:" + self.path(url[7:]) if url.startswith("sqlite:") else url

    def store_secret(self):
        answer = ask(self.tls(admin=True), "POST", "/kbs/v0/resource/" + RESOURCE, SECRET,
                     [("Content-Type", "application/octet-stream")])
        assert answer[0] == 200, answer

    def children(self):
        """[(role, pid)]"""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.append((int(fields[19]), int(pid)))
        return [(self.NAMES[min(i, 3)], pid) for i, (_, pid) in enumerate(sorted(found))]

    def kill(self, role):
        """-9 to one process of that role; "supervisor", "all". Then waits until the service can be
        started anew, where that is needed, and starts it."""
        children = self.children()
        if role in ("supervisor", "all"):
            pids = [self.process.pid]
            if role == "all":
                pids += [pid for _, pid in children]
                random.shuffle(pids)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:  # it saw another one's end first
                    pass
            self.process.wait()
            self.log.close()
            until(lambda: not any(os.path.exists(f"/proc/{pid}") for _, pid in children),
                  "the processes of a killed supervisor to end")
            self.start(["--config", self.config_path])
        else:
            mine = [pid for name, pid in children if name == role]
            if mine:  # else it is being started
                os.kill(random.choice(mine), signal.SIGKILL)


# ---- PostgreSQL ----

class Postgres:
    """A server of the test's own; ends with it."""
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="attestd-pg-")
        self.data = os.path.join(self.dir, "data")
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
        self.process = None
        self.n = 0
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
                 "--locale=C.UTF-8")
        self.start()

    def run(self, name, *arguments):
        subprocess.run([os.path.join(PG_BIN, name), *arguments], check=True, user=self.user,
                       cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, extra_groups=[] if self.user else None)

    def start(self):
        # Without fsync: these tests end servers and programs, not machines.
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(PG_BIN, "postgres"), "-D", self.data, "-c", "fsync=off", "-c",
                 "listen_addresses=", "-c", "unix_socket_directories=" + self.dir],
                user=self.user, extra_groups=[] if self.user else None, cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: subprocess.run([os.path.join(PG_BIN, "pg_isready"), "-q", "-h", self.dir],
                                     check=False).returncode == 0, "PostgreSQL")

    def stop(self, how=signal.SIGQUIT):
        """SIGQUIT is a crash, SIGINT the orderly end that does not wait for clients."""
        self.process.send_signal(how)
        self.process.wait()

    def database(self):
        self.n += 1
        self.run("createdb", "-h", self.dir, "-U", "postgres", f"t{self.n}")
        return f"postgresql://postgres@/t{self.n}?host={self.dir}"

    def end(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.dir)


# ---- Load ----

def make_identity():
    identity = tempfile.mkdtemp(prefix="attestd-identity-")
    subprocess.run([LOAD, "--identity", identity, "--make-identity"], check=True)
    return identity


class Load:
    """Guests at work; answers: what each was told, in order of arrival."""
    def __init__(self, service, *options, port=None, threads=6):
        self.answers = []
        self.counts = collections.Counter()
        self.process = subprocess.Popen(
            [LOAD, "--identity", service.identity, "--port", str(port or service.port), "--ca",
             service.path("ca.pem"), "--threads", str(threads), "--resource", RESOURCE, "--replay",
             "--acks", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                continue
            what, session, status = line.split()
            if what != "again":
                number = base64.urlsafe_b64decode(session + "==").hex()
                self.answers.append((what, number, int(status)))
            self.counts[what, int(status)] += 1

    def more(self, n, what="release", status=200, also=None):
        """Waits for so many more of these answers."""
        goal = self.counts[what, status] + n
        try:
            until(lambda: self.counts[what, status] >= goal or self.process.poll() is not None,
                  f"{n} more answers: {what} {status}")
        except RuntimeError as e:
            raise RuntimeError(f"{e}; {dict(self.counts)}; {also() if also else ''}") from e
        if self.process.poll() is not None and self.counts[what, status] < goal:
            raise RuntimeError(f"the load ended with status {self.process.returncode}")

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self.reader.join()
        return status


# ---- The log against what guests were told ----

class Auditor:
    """Keeps what the log had before, which it must have for ever, and counts its entries."""
    def __init__(self, url):
        self.url = url
        self.n = 0
        self.digest = hashlib.sha256()  # of the first n entries
        self.seen = collections.Counter()

    def verify(self):
        done = subprocess.run([AUDIT, "verify", self.url], capture_output=True, text=True,
                              check=False)
        return "" if done.returncode == 0 else f"bawn-audit verify: {done.stdout}{done.stderr}"

    def take(self, n, entry):
        """The next entry; what is wrong with it, or None."""
        if entry["seq"] != n:
            return f"entry {n} has the number {entry['seq']}"
        if entry["type"] not in ("attest", "release"):
            return None
        session = entry["session"]
        self.seen[entry["type"], session, entry["allowed"]] += 1
        if entry["type"] == "attest" and self.seen["attest", session, True] > 1:
            return f"session {session} was allowed twice"
        if entry["type"] == "release" and not self.seen["attest", session, True]:
            return f"entry {n} releases to a session that was not allowed before"
        return None

    def read(self):
        """Takes what is new; what is wrong, or None."""
        known, before, n, problem = self.n, hashlib.sha256(), 0, None
        with subprocess.Popen([AUDIT, "export", self.url, "-"], stdout=subprocess.PIPE) as export:
            for line in export.stdout:
                if line.startswith((b'{"checkpoint"', b'{"bawn_log"')):
                    continue
                if n == known and before.digest() != self.digest.digest():
                    problem = f"the first {n} entries are not those that were there before"
                if n < known:
                    before.update(line)
                else:
                    self.digest.update(line)
                    problem = problem or self.take(n, json.loads(line))
                n += 1
        self.n = n
        return problem or (export.returncode and f"bawn-audit export: {export.returncode}") or \
            (n < known and f"{n} entries are left of {known}")

    def check(self, load):
        """What is wrong, or None. Answers that come meanwhile are for the next time."""
        told = list(load.answers)
        return self.verify() or self.read() or self.compare(told)

    def compare(self, told):
        acknowledged = collections.Counter()
        for what, session, status in told:
            if (what, status) not in (("attest", 200), ("attest", 401), ("release", 200),
                                      ("replay", 401)):
                return f"{what} of session {session} was answered {status}"
            kind = "release" if what == "release" else "attest"
            acknowledged[kind, session, status == 200] += 1
        for key, n in acknowledged.items():
            if self.seen[key] < n:
                return f"{key} was acknowledged {n} times, and is in the log " \
                    f"{self.seen[key]} times"
        return None


def attempt(tap, name, function, *arguments):
    """A point of that name: the function says what is wrong, or raises it."""
    try:
        problem = function(*arguments)
    except Exception as e:
        problem = f"{type(e).__name__}: {e}"
    tap.point(not problem, name, problem)


def end_all(*things):
    for thing in things:
        if isinstance(thing, str):
            shutil.rmtree(thing)
        elif thing:
            thing.end()
