# SPDX-License-Identifier: Apache-2.0
"""Who fuzzes when. A target's budget is time of one core, shared among its instances by their
weights; instances run in slices, the least served first, so that all targets get on together
and a campaign that is cut short has covered all of them alike."""
import os
import signal
import time

from . import Error
from . import engine

STATE = "state.json"
SLICES = 6               # of an instance's share, at most so many
SHORTEST, LONGEST = 10, 300
GRACE = 10               # seconds to end in, for a fuzzer that is told to
PATIENCE = 10            # seconds of waiting that count as one of a core
TRIES = 3                # starts in a row that lead to nothing


class Slice:
    """An instance while it runs."""

    def __init__(self, instance, record, until):
        self.instance = instance
        self.record = record
        self.until = until       # seconds of this slice; None: until it ends by itself
        self.used = 0            # seconds of a core
        self.base = record["seconds"]
        self.execs = record["execs"]
        self.started = time.monotonic()
        self.told = None

    def count(self):
        """Time that others had the core does not count; but one that waits for ever ends."""
        waited = (time.monotonic() - self.started) / PATIENCE
        self.used = max(self.used, self.instance.core_seconds(), waited)
        self.record["seconds"] = self.base + self.used


class Runner:
    """A campaign over some targets. tick(runner) is called twice a second; true ends the run."""

    def __init__(self, folder, targets, jobs, seed=None, say=lambda text: None):
        self.folder = folder
        self.targets = targets
        self.jobs = jobs
        self.seed = seed
        self.say = say
        self.stopping = False
        self.failures = []
        self.running = []
        try:
            self.state = folder.read(STATE)
        except FileNotFoundError:
            self.state = {"targets": {}, "runs": []}
        self.instances = []
        for target in targets:
            for kind in engine.kinds(target):
                self.instances.append(engine.Instance(folder, target, kind))
        if not self.instances:
            raise Error("no target is built; make fuzz-mix builds all of them")

    # ---- State ----

    def record(self, instance):
        target = self.state["targets"].setdefault(instance.target.name, {"instances": {}})
        return target["instances"].setdefault(instance.kind, {
            "seconds": 0.0, "execs": 0, "goal_seconds": 0.0, "goal_execs": 0, "starts": 0,
            "error": None})

    def save(self):
        self.folder.write(STATE, self.state)

    def plan(self, seconds, execs):
        """Adds a budget to each target: seconds of a core, or executions; or None for both, to
        go on with what was planned before."""
        for target in self.targets:
            own = [i for i in self.instances if i.target is target]
            whole = sum(engine.WEIGHTS[i.kind] for i in own)
            for instance in own:
                record, share = self.record(instance), engine.WEIGHTS[instance.kind] / whole
                if seconds:
                    record["goal_seconds"] = record["seconds"] + seconds * share
                if execs:
                    record["goal_execs"] = record["execs"] + max(1, int(execs * share))
        self.save()

    def left(self, instance):
        """The part of an instance's share that is not used: 0 to 1."""
        record = self.record(instance)
        if record["error"] or not (record["goal_seconds"] or record["goal_execs"]):
            return 0
        parts = [1 - record[what] / record["goal_" + what] for what in ("seconds", "execs")
                 if record["goal_" + what]]
        # 5 % of a share is less than a start costs.
        return max(0, min(parts)) if min(parts) > 0.05 else 0

    # ---- Running ----

    def next(self):
        busy = {s.instance.name for s in self.running}
        waiting = [i for i in self.instances if i.name not in busy and self.left(i)]
        return max(waiting, key=self.left, default=None)

    def start(self, instance):
        record = self.record(instance)
        until = None
        if record["goal_seconds"]:
            left = record["goal_seconds"] - record["seconds"]
            until = max(SHORTEST, min(LONGEST, record["goal_seconds"] / SLICES))
            if left < until * 1.5:
                until = left
        record["starts"] += 1
        record["execs_before"] = 0 if instance.afl else record["execs"]
        execs = record["goal_execs"] - record["execs_before"] if record["goal_execs"] else None
        instance.start(self.seed, execs, until)
        self.running.append(Slice(instance, record, until))

    def end(self, running):
        """After its process has ended: what it did, and whether it did anything."""
        instance, record = running.instance, running.record
        self.count(running)
        status, told = instance.process.returncode, running.told
        instance.ended()
        self.running.remove(running)
        progress = record["execs"] > running.execs
        record["idle"] = 0 if progress else record.get("idle", 0) + 1
        if record["goal_execs"] and not told and progress:
            # The fuzzer counts a little otherwise; it was to run until it has enough.
            record["execs"] = max(record["execs"], record["goal_execs"])
        elif not told and not progress and record["idle"] >= TRIES:
            record["error"] = instance.last_words() or f"ended with status {status}"
            self.failures.append(f"{instance.name}: {record['error']}")
            self.say(f"{instance.name}: does not run: {record['error']}")

    def count(self, running):
        running.count()
        done = running.instance.stats().get("execs", 0)
        running.record["execs"] = max(running.record["execs"],
                                      running.record["execs_before"] + done)

    def step(self):
        now = time.monotonic()
        for running in list(self.running):
            process = running.instance.process
            if process.poll() is not None:
                self.end(running)
                continue
            late = running.until is not None and running.used >= running.until
            if running.told is None and (late or self.stopping):
                running.told = now
                process.send_signal(signal.SIGTERM)
            elif running.told is not None and now - running.told > GRACE:
                process.kill()
        while not self.stopping and len(self.running) < self.jobs:
            instance = self.next()
            if instance is None:
                break
            self.start(instance)
        return bool(self.running)

    def run(self, tick=None, interval=0.5):
        """Until the budgets are used, tick says stop, or stop() was called."""
        started, saved = time.time(), 0
        entry = {"started": started, "ended": None, "targets": [t.name for t in self.targets]}
        self.state["runs"].append(entry)
        for instance in self.instances:  # what failed is tried anew: it may have been built anew
            self.record(instance).update(error=None, idle=0)
        try:
            while self.step():
                time.sleep(interval)
                if time.monotonic() - saved >= 1:
                    saved = time.monotonic()
                    for running in self.running:
                        self.count(running)
                    entry["ended"] = time.time()
                    self.save()
                if tick and not self.stopping and tick(self):
                    self.stopping = True
        finally:
            for running in self.running:  # only after an exception
                running.instance.process.kill()
                running.instance.process.wait()
                running.instance.ended()
            entry["ended"] = time.time()
            self.save()

    def stop(self, *_):
        self.stopping = True

    def spent(self):
        """Seconds of a core and executions, in all."""
        records = [self.record(i) for i in self.instances]
        return sum(r["seconds"] for r in records), sum(r["execs"] for r in records)


def status(folder, targets):
    """A row per target of what its instances' files say now."""
    try:
        state = folder.read(STATE)["targets"]
    except FileNotFoundError:
        state = {}
    rows = []
    for target in targets:
        records = state.get(target.name, {}).get("instances", {})
        if not records:
            continue
        instances = [engine.Instance(folder, target, kind) for kind in engine.WEIGHTS
                     if kind in records]
        stats = {i.kind: i.stats() for i in instances}
        lead = stats.get("main") or stats.get("libfuzzer") or {}
        crashes = [p for i in instances for p in i.crashes()]
        hangs = [p for p in crashes if "/hangs" in p or "/timeout-" in p]
        seconds = sum(r["seconds"] for r in records.values())
        execs = sum(r["execs"] for r in records.values())
        rows.append({
            "target": target.name, "seconds": round(seconds, 1),
            "goal_seconds": round(sum(r["goal_seconds"] for r in records.values()), 1),
            "executions": execs, "executions_per_second": round(execs / seconds) if seconds else 0,
            "edges": lead.get("edges", 0), "edges_total": lead.get("edges_total", 0),
            "stability": lead.get("stability"), "finds": len(crashes) - len(hangs),
            "hangs": len(hangs), "last_new": max((s.get("last_new", 0) for s in stats.values()),
                                                 default=0),
            "instances": {k: dict(stats[k], seconds=round(records[k]["seconds"], 1),
                                  executions=records[k]["execs"], error=records[k]["error"])
                          for k in stats}})
    return rows


def parse_time(text):
    """Seconds of "90", "90s", "10m", "2h", "1d"."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:], 0)
    digits = text[:-1] if unit else text
    if not digits.isascii() or not digits.isdigit() or not 0 < int(digits) < 10 ** 8:
        raise ValueError(text)
    return int(digits) * (unit or 1)


def cores():
    return len(os.sched_getaffinity(0))
