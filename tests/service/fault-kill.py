#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load at random moments, with SQLite and with PostgreSQL: whatever a guest was told
is in the log, which verifies after each; no secret went without its entry; the service comes back.
FAULT_ROUNDS=100 kills as often with each database (else 6 times, about 30 s in all). An argument
names one of them, SQLite or PostgreSQL."""
import os
import random
import sys
import time

from attestd import Tap
from faults import (ROUNDS, Auditor, FaultService, Load, Postgres, attempt, end_all,
                    make_identity)

WHO = ("vault", "judge", "all", "front", "vault", "supervisor")
SEED = int(os.environ.get("FAULT_SEED", time.time_ns() % 1000000))


def one_round(service, load, auditor, who):
    load.more(3)
    time.sleep(random.uniform(0, 0.4))
    service.kill(who)
    load.more(3, also=lambda: service.journal()[-3:])
    return auditor.check(load)


def rounds(service, name):
    service.store_secret()
    auditor = Auditor(service.url())
    load = Load(service)
    try:
        for n in range(ROUNDS or len(WHO)):
            who = WHO[n % len(WHO)]
            attempt(tap, f"{name}: kill -9 of {who}", one_round, service, load, auditor, who)
        ended = load.end()
        tap.point(ended == 0, f"{name}: no other answers than these", ended)
        problem = auditor.check(load)
        tap.point(not problem, f"{name}: {len(load.answers)} answers, all in the log", problem)
    finally:
        load.end()


tap = Tap()
print(f"# FAULT_SEED={SEED}")
random.seed(SEED)
identity = make_identity()
the_service = postgres = None
try:
    for database in sys.argv[1:] or ("SQLite", "PostgreSQL"):
        url = None
        if database == "PostgreSQL":
            postgres = Postgres()
            url = postgres.database()
        the_service = FaultService(identity, lambda config: url and config.update(database=url))
        rounds(the_service, database)
        the_service.end()
        the_service = None
finally:
    end_all(the_service, postgres, identity)
tap.end()
