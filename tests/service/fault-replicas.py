#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL under bawn-attestd: the database is restarted and crashes under load; two replicas
behind one address share sessions, and one of them is killed with requests in it. Nothing that was
acknowledged is lost, and the log stays one chain. About 25 s."""
import json
import os
import random
import shutil
import signal
import socket
import threading
import time

from attestd import Tap
from faults import (ROUNDS, Auditor, FaultService, Load, Postgres, attempt, end_all,
                    make_identity)

SEED = int(os.environ.get("FAULT_SEED", time.time_ns() % 1000000))


class Balancer:
    """One address for several ports: connections in turn, to the next one when one is down."""
    def __init__(self, ports):
        self.ports = ports
        self.chosen = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            for _ in self.ports:
                which = len(self.chosen) % len(self.ports)
                self.chosen.append(which)
                try:
                    backend = socket.create_connection(("127.0.0.1", self.ports[which]))
                except OSError:
                    continue
                for a, b in ((client, backend), (backend, client)):
                    a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self.relay, args=(a, b), daemon=True).start()
                break
            else:
                client.close()

    @staticmethod
    def relay(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):  # a half that is closed ends the other: both sides speak TLS
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def end(self):
        self.listener.close()


def database_restarts(service, postgres, auditor, how):
    load = Load(service)
    try:
        load.more(5)
        time.sleep(random.uniform(0, 0.3))
        postgres.stop(how)
        load.more(3, "again", 503)
        postgres.start()
        load.more(10, also=lambda: service.journal()[-3:])
    finally:
        ended = load.end()
    return auditor.check(load) or (ended and f"the load ended with status {ended}")


def vault_without_database(service, postgres, auditor):
    load = Load(service)
    try:
        load.more(3)
        postgres.stop()
        service.kill("vault")
        load.more(3, "again", 0)
        postgres.start()
        load.more(5, also=lambda: service.journal()[-3:])
    finally:
        ended = load.end()
    return auditor.check(load) or (ended and f"the load ended with status {ended}")


def shared_sessions(service, balancer, auditor):
    begin = len(balancer.chosen)
    load = Load(service, "--reconnect", "--sessions", "1", port=balancer.port, threads=1)
    load.process.wait()
    load.end()
    chosen = balancer.chosen[begin:]
    told = [(what, status) for what, _, status in load.answers]
    if told != [("attest", 200), ("release", 200), ("replay", 401)]:
        return told
    if len(set(chosen[:3])) != 2 or chosen[0] != chosen[2]:
        return f"not the replicas in turn: {chosen}"
    return auditor.check(load)


def replica_killed(replicas, load, auditor, who):
    load.more(5)
    time.sleep(random.uniform(0, 0.3))
    random.choice(replicas).kill(who)
    load.more(10, also=lambda: [r.journal()[-3:] for r in replicas])
    return auditor.check(load)


def replica_gone(replicas, load, auditor):
    """Stays away for a while: the other one alone."""
    load.more(5)
    for _, pid in replicas[1].children() + [("", replicas[1].process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it saw another one's end first
            pass
    replicas[1].process.wait()
    load.more(20)
    problem = auditor.check(load)
    replicas[1].start(["--config", replicas[1].config_path])
    load.more(5)
    return problem or auditor.check(load)


class Replica(FaultService):
    """With the keys and certificates of another, under other ports."""
    def __init__(self, other, url):
        self.other = other
        super().__init__(other.identity, lambda config: config.update(database=url))

    def configure(self, config):
        super().configure(config)
        for name in ("ca.pem", "server.pem", "server.key", "admin.pem", "admin.key",
                     "storage.key"):
            shutil.copy(self.other.path(name), self.path(name))
        with open(self.other.config_path, encoding="utf-8") as f:
            text = f.read()
        admins = json.loads(text)["tenants"]["default"]["admins"]
        config["tenants"]["default"]["admins"] = admins


tap = Tap()
print(f"# FAULT_SEED={SEED}")
random.seed(SEED)
the_identity = make_identity()
the_postgres = first = second = the_balancer = None
try:
    the_postgres = Postgres()
    the_url = the_postgres.database()
    first = FaultService(the_identity, lambda config: config.update(database=the_url))
    first.store_secret()
    the_auditor = Auditor(first.url())
    for name, signal_number in (("restarts", signal.SIGINT), ("crashes", signal.SIGQUIT)):
        attempt(tap, f"the database {name} under load", database_restarts, first, the_postgres,
                the_auditor, signal_number)
    attempt(tap, "the vault killed without a database", vault_without_database, first,
            the_postgres, the_auditor)
    second = Replica(first, the_url)
    the_balancer = Balancer([first.port, second.port])
    attempt(tap, "a session begun at one replica, attested at the other, served by the first",
            shared_sessions, first, the_balancer, the_auditor)
    the_load = Load(first, "--reconnect", port=the_balancer.port)
    try:
        for n in range(ROUNDS or 2):
            role = ("all", "vault", "supervisor")[n % 3]
            attempt(tap, f"a replica's kill -9: {role}", replica_killed, [first, second], the_load,
                    the_auditor, role)
        attempt(tap, "a replica gone for a while", replica_gone, [first, second], the_load,
                the_auditor)
        ended_with = the_load.end()
        tap.point(ended_with == 0, "no other answers than these", ended_with)
        attempt(tap, f"{len(the_load.answers)} answers, one log", the_auditor.check, the_load)
    finally:
        the_load.end()
finally:
    end_all(the_balancer, second, first, the_postgres, the_identity)
tap.end()
