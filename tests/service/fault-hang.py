#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Processes that do not end but stop (SIGSTOP): a judge; a replica's vault while it has PostgreSQL's
lock; the database server. The others say that they cannot now, and go on. About 60 s."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import Tap, ask  # noqa: E402
from faults import (PG_BIN, Auditor, FaultService, Load, Postgres, attempt,  # noqa: E402
                    end_all, make_identity, until)

REFERENCE = "/kbs/v0/reference-value"
JSON = [("Content-Type", "application/json")]


def pid_of(service, role):
    return [pid for name, pid in service.children() if name == role]


def judge_stops(service, auditor):
    """Guests of both judges go on with the other one, then with the new one."""
    load = Load(service)
    try:
        load.more(10)
        mark = service.mark()
        stopped = pid_of(service, "judge")[0]
        os.kill(stopped, signal.SIGSTOP)
        load.more(1, "again", 503)
        service.wait_event("a judge is ended: it does not answer", mark)
        service.wait_event("confined", mark, "judge")
        load.more(20, also=lambda: service.journal()[-3:])
        if stopped in pid_of(service, "judge"):
            return "it is still there"
    finally:
        ended = load.end()
    return auditor.check(load) or (ended and f"the load ended with status {ended}")


def all_judges_stop(service, auditor):
    """/healthz, and requests that get an answer all the same"""
    mark = service.mark()
    for pid in pid_of(service, "judge"):
        os.kill(pid, signal.SIGSTOP)
    load = Load(service)
    try:
        load.more(2, "again", 503)
        until(lambda: sum(e["event"] == "a judge is ended: it does not answer"
                          for e in service.journal(mark)) == 2, "both judges' ends")
        load.more(10, also=lambda: service.journal()[-3:])
    finally:
        ended = load.end()
    return auditor.check(load) or (ended and f"the load ended with status {ended}")


def psql(postgres, url, text):
    done = subprocess.run([os.path.join(PG_BIN, "psql"), "-Atq", "-c", text, url],
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()



def stop_with_lock(service, postgres, url):
    """The vault is stopped in a transaction: at a moment when the server says so."""
    vault = pid_of(service, "vault")[0]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        os.kill(vault, signal.SIGSTOP)
        for _ in range(3):  # a statement that was under way ends
            held = psql(postgres, url, "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l"
                        " USING (pid) WHERE l.locktype = 'advisory' AND l.granted"
                        " AND a.state = 'idle in transaction'")
            if held == "1":
                return vault
            time.sleep(0.02)
        os.kill(vault, signal.SIGCONT)
        time.sleep(0.007)
    raise RuntimeError("it was never stopped with the lock")


def replica_stops(first, second, postgres, url, auditor):
    """The other one says 503, then goes on alone; the first one goes on when it is let."""
    busy = Load(first, "--reconnect")
    load = None
    stopped = None
    try:
        busy.more(5)
        stopped = stop_with_lock(first, postgres, url)
        load = Load(second, "--reconnect")
        load.more(1, "again", 503, also=lambda: second.journal()[-3:])
        load.more(10, also=lambda: second.journal()[-3:])
        os.kill(stopped, signal.SIGCONT)
        stopped = None
        more = Load(first, "--reconnect")
        more.more(10, also=lambda: first.journal()[-3:])
        more.end()
        problem = auditor.check(load) or auditor.check(more)
    finally:
        if stopped:
            os.kill(stopped, signal.SIGCONT)
        busy.end()
        if load:
            load.end()
    return problem or auditor.check(busy)


def server_stops(service, postgres, url, auditor):
    """The server is there and says nothing: the session's process is stopped."""
    load = Load(service)
    backends = []
    try:
        load.more(5)
        backends = [int(pid) for pid in psql(
            postgres, url, "SELECT pid FROM pg_stat_activity WHERE application_name = 'bawn'"
            " OR usename = 'postgres' AND datname = current_database()"
            " AND pid <> pg_backend_pid()").split()]
        mark = service.mark()
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: any("does not answer" in e.get("why", "") for e in service.journal(mark)),
              "the vault to notice")
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
        backends = []
        load.more(10, also=lambda: service.journal()[-3:])
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
        ended = load.end()
    return auditor.check(load) or (ended and f"the load ended with status {ended}")


def state_refused(service, postgres, url):
    """A reference value that nobody brought by the API: refused at the next look, by all who ask."""
    with service.tls(admin=True) as a:
        answer = ask(a, "POST", REFERENCE, b'{"good": ["1"]}', JSON)
    if answer[0] != 200:
        return answer
    psql(postgres, url, "INSERT INTO reference VALUES ('default', 'good', '2', 0, 'x', 0);"
         "UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'serial'")
    service.wait_event("a tenant's stored state is refused: it denies everything")

    def health():
        with service.tls() as c:
            return ask(c, "GET", "/healthz")
    until(lambda: health()[0] == 503, "/healthz to say so")
    if b"not authentic" not in health()[2]:
        return health()
    with service.tls(admin=True) as a:
        answer = ask(a, "POST", REFERENCE, b'{"good": ["3"]}', JSON)
    if answer[0] != 503 or json.loads(answer[2])["type"].rsplit("/", 1)[1] != \
            "StateNotAuthentic":
        return answer
    psql(postgres, url, "DELETE FROM reference WHERE value = '2';"
         "UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'serial'")
    until(lambda: health()[0] == 200, "/healthz to be well again")
    with service.tls(admin=True) as a:
        answer = ask(a, "POST", REFERENCE, b'{"good": ["3"]}', JSON)
    return answer[0] != 200 and answer


class Replica(FaultService):
    """With the keys and certificates of another, under other ports."""
    def __init__(self, other, url):
        self.other = other
        super().__init__(other.identity, lambda config: config.update(database=url))

    def configure(self, config):
        super().configure(config)
        config["limits"]["judge_timeout"] = 2
        for name in ("ca.pem", "server.pem", "server.key", "admin.pem", "admin.key",
                     "storage.key"):
            with open(self.other.path(name), "rb") as f, open(self.path(name), "wb") as to:
                to.write(f.read())
        with open(self.other.config_path, encoding="utf-8") as f:
            admins = json.loads(f.read())["tenants"]["default"]["admins"]
        config["tenants"]["default"]["admins"] = admins


def configure(config, url):
    config["database"] = url
    config["limits"]["judge_timeout"] = 2


socket.setdefaulttimeout(60)
tap = Tap()
the_identity = make_identity()
the_postgres = first_one = second_one = None
try:
    the_postgres = Postgres()
    the_url = the_postgres.database()
    first_one = FaultService(the_identity, lambda config: configure(config, the_url))
    first_one.store_secret()
    the_auditor = Auditor(first_one.url())
    attempt(tap, "a judge stops under load: it is replaced", judge_stops, first_one, the_auditor)
    attempt(tap, "all judges stop: they are replaced", all_judges_stop, first_one, the_auditor)
    second_one = Replica(first_one, the_url)
    attempt(tap, "a replica stops with the database's lock: the other goes on", replica_stops,
            first_one, second_one, the_postgres, the_url, the_auditor)
    second_one.end()
    second_one = None
    attempt(tap, "the database's server stops", server_stops, first_one, the_postgres, the_url,
            the_auditor)
    attempt(tap, "a row that was written past the service closes its tenant", state_refused,
            first_one, the_postgres, the_url)
finally:
    end_all(second_one, first_one, the_postgres, the_identity)
tap.end()
