#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the command bawn-fuzz and of fuzz/score, on a toy tree with planted faults."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path[:0] = [os.path.join(ROOT, "fuzz"), os.path.join(ROOT, "tests")]
from campaign import finds, folder, runner, score  # noqa: E402
from campaign.tree import Tree  # noqa: E402
from points import run_all, test  # noqa: E402

COMMAND = os.path.join(ROOT, "fuzz/bawn-fuzz")
SCORE = os.path.join(ROOT, "fuzz/score")
DONE, FINDS, WRONG = 0, 1, 2
HAVE_AFL = all(map(shutil.which, ("afl-fuzz", "afl-clang-fast")))


class Work:
    """A copy of the toy tree, built once; each test has folders of its own in it."""

    def __init__(self, path):
        self.path = path
        self.tree = os.path.join(path, "tree")
        shutil.copytree(os.path.join(ROOT, "tests/fuzz/toy"), self.tree)
        programs = ["build/fuzz/toy-crash", "build/fuzz/toy-calm", "build/fuzz/cov/toy-crash"]
        if HAVE_AFL:
            programs += ["build/fuzz/afl/toy-crash", "build/fuzz/plain/toy-crash"]
        self.make(*programs)
        os.mkdir(os.path.join(path, "tmp"))
        own = os.path.join(path, "tmp")
        self.env = dict(os.environ, TMPDIR=own, HOME=own)

    def make(self, *words):
        subprocess.run(["make", "-s", "-j2", "-C", self.tree, *words], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)

    def run(self, *words, status=DONE, env=None):
        done = subprocess.run([COMMAND, "--tree", self.tree, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=100, env=env or self.env,
                              cwd=self.path, check=False)
        assert done.returncode == status, \
            f"{words}: status {done.returncode}, not {status}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def dir(self, name):
        return os.path.join(self.path, name)


def snapshot(path, leave_out):
    """Names, sizes and times of all below, but for one folder."""
    out = {}
    for base, folders, names in os.walk(path):
        folders[:] = [d for d in folders if os.path.join(base, d) != leave_out]
        for name in names:
            info = os.lstat(os.path.join(base, name))
            out[os.path.join(base, name)] = (info.st_size, info.st_mtime_ns)
    return out


def has(text, *words):
    for word in words:
        assert word in text, f"no {word!r} in:\n{text}"


@test
def lists(w):
    """list says what there is, in the words of the targets' comments"""
    rows = {r["target"]: r for r in json.loads(w.run("list", "--json"))}
    assert sorted(rows) == ["toy-calm", "toy-crash"], rows
    assert rows["toy-crash"]["description"] == "a letter, and what to do", rows
    assert "libfuzzer" in rows["toy-crash"]["built"] and "cov" not in rows["toy-calm"]["built"]
    has(w.run("list", "--targets", "*calm"), "toy-calm", "built: libfuzzer")


@test
def refuses_words(w):
    """wrong options and names are refused, with what would be right"""
    for words, says in ((("run", "--budget", "soon"), "10m"), (("run", "--jobs", "0"), "from 1"),
                        (("run", "--budget", "1s", "--execs", "5"), "not allowed with"),
                        (("run", "--targets", "no-such"), "bawn-fuzz list"),
                        (("run", "--budget", "0"), "10m"), (("dance",), "invalid choice"),
                        (("status",), "bawn-fuzz run starts one"),
                        (("triage", "--dir", w.dir("none")), "bawn-fuzz run starts one"),
                        (("import", "toy-*", "x"), "into one"),
                        (("coverage", "--targets", "toy-calm"), "make fuzz-coverage"),
                        ((), "COMMAND")):
        has(w.run(*words, status=WRONG), says)
    done = subprocess.run([COMMAND, "list"], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == DONE, done.stderr  # the tree that it is in
    shutil.rmtree(os.path.join(w.tree, "build/fuzz/campaign"), ignore_errors=True)


@test
def refuses_folders(w):
    """a folder that is not a campaign's own is refused and left as it was"""
    real, foreign, open_ = w.dir("real"), w.dir("foreign"), w.dir("open")
    os.mkdir(real)
    os.symlink(real, w.dir("link"))
    os.mkdir(foreign)
    with open(os.path.join(foreign, "mine"), "w", encoding="ascii") as f:
        f.write("x")
    os.mkdir(open_)
    os.chmod(open_, 0o777)
    for path, says in ((w.dir("link"), "symbolic link"), (foreign, "not a campaign"),
                       (open_, "all users"), (os.path.join(foreign, "mine"), "not a folder")):
        has(w.run("run", "--dir", path, "--budget", "1s", status=WRONG), says)
    assert os.listdir(real) == [] and os.listdir(foreign) == ["mine"] and not os.listdir(open_)


@test
def survives(w):
    """a campaign that is killed by SIGKILL goes on, alone, and writes nowhere else"""
    path = w.dir("killed")
    before = snapshot(w.path, path)
    command = [COMMAND, "--tree", w.tree, "run", "--dir", path, "--targets", "toy-crash",
               "--budget", "6s", "--seed", "1", "--jobs", "2"]
    first = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             env=w.env, cwd=w.path)
    until = time.monotonic() + 60
    state = {}
    while time.monotonic() < until and not executions(state):
        time.sleep(0.2)
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(path, "state.json"), encoding="ascii") as f:
                state = json.load(f)  # whole at any moment
    has(w.run("run", "--dir", path, "--resume", status=WRONG), "another bawn-fuzz is at work")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert executions(state), "nothing ran"
    has(w.run("run", "--dir", path, status=WRONG), "--resume goes on")
    w.run("run", "--dir", path, "--targets", "toy-crash", "--resume", "--seed", "1")
    with open(os.path.join(path, "state.json"), encoding="ascii") as f:
        after = json.load(f)
    assert executions(after) > executions(state) and len(after["runs"]) == 2, after
    spent = sum(i["seconds"] for i in after["targets"]["toy-crash"]["instances"].values())
    assert spent >= 5, f"only {spent} s of the budget were used"
    with open(os.path.join(path, "bawn-fuzz.json"), encoding="ascii") as f:
        token = json.load(f)["token"].encode()
    left = [p for p in folder.processes()
            if folder.tagged(p, folder.TAG.encode() + b"=" + token, False)]
    assert not left, f"processes {left} were left"
    assert snapshot(w.path, path) == before, "it wrote outside of its folder"


def executions(state):
    return sum(i["execs"] for t in state.get("targets", {}).values()
               for i in t["instances"].values())


@test
def shows(w):
    """status tells executions, edges and finds of the campaign"""
    rows = json.loads(w.run("status", "--dir", w.dir("killed"), "--json"))
    row = rows[0]
    assert len(rows) == 1 and row["target"] == "toy-crash" and row["executions"] > 1000, rows
    assert row["finds"] >= 2 and row["edges"] > 3 and row["last_new"] > 0, rows
    assert not HAVE_AFL or row["stability"] == 100 and \
        set(row["instances"]) == {"main", "plain", "libfuzzer"}, rows
    has(w.run("status", "--dir", w.dir("killed")), "toy-crash", "stable")


@test
def sorts(w):
    """triage makes two finds of all inputs, small ones, each with its class and command"""
    found = json.loads(w.run("triage", "--dir", w.dir("killed"), "--json", "--minimise", "2",
                             status=FINDS))
    assert [f["class"] for f in found] == ["heap overflow", "use after free"], found
    assert [f["frames"][0] for f in found] == ["over", "after"], found
    for f in found:
        assert f["state"] == "open" and (f["minimised"] or f["size"]) <= 12, f
        done = subprocess.run(f["reproduce"], shell=True, capture_output=True, check=False)
        assert done.returncode != 0 and b"AddressSanitizer" in done.stderr, f
    again = json.loads(w.run("triage", "--dir", w.dir("killed"), "--json", status=FINDS))
    assert [f["name"] for f in again] == [f["name"] for f in found], again


@test
def covers(w):
    """coverage tells what was reached of the sources, and what not"""
    out = w.run("coverage", "--dir", w.dir("killed"), "--targets", "toy-crash", "--functions")
    line = next(x for x in out.splitlines() if x.startswith("lib/faults.h "))
    assert line.endswith(" never") and "fuzz/toy" not in out, out
    assert re.search(r"^lib/faults.h:addressed +100.0%", out, re.MULTILINE), out
    assert os.path.isfile(os.path.join(w.dir("killed"), "coverage/html/index.html"))


@test
def reports(w):
    """report has budget, tools, machine, finds and coverage, as JSON and as Markdown"""
    made = json.loads(w.run("report", "--dir", w.dir("killed"), "--json"))
    for name in ("commit", "tools", "machine", "runs", "coverage", "made"):
        assert name in made, f"no {name}"
    assert made["core_seconds"] > 5 and made["executions"] > 1000 and len(made["finds"]) == 2
    assert all(f["state"] == "open" and f["class"] and f["reproduce"] for f in made["finds"])
    with open(os.path.join(w.dir("killed"), "report.md"), encoding="ascii") as f:
        has(f.read(), "# Fuzzing report", "heap overflow", "core-hours", "To see one")


@test
def knows_fixed(w):
    """a find that is no more is called fixed"""
    program = os.path.join(w.tree, "build/fuzz/toy-crash")
    os.rename(program, program + ".old")
    try:
        w.make("EXTRA=-DPLANTED=0", "build/fuzz/toy-crash")
        found = json.loads(w.run("triage", "--dir", w.dir("killed"), "--json"))
        assert [f["state"] for f in found] == ["fixed", "fixed"], found
    finally:
        os.replace(program + ".old", program)


@test
def merges(w):
    """import takes inputs in once, and cmin makes the corpus small"""
    path, given = w.dir("merged"), w.dir("given")
    os.mkdir(given)
    for i in range(40):
        with open(os.path.join(given, str(i)), "wb") as f:
            f.write(bytes([i % 20]) * 20)
    os.symlink("/etc/passwd", os.path.join(given, "link"))
    has(w.run("import", "toy-calm", given, "--dir", path), "20 inputs taken, 20 known")
    has(w.run("import", "toy-calm", given, "--dir", path), "0 inputs taken")
    out = w.run("cmin", "--dir", path)
    before, after = map(int, re.search(r"(\d+) inputs, (\d+) reach", out).groups())
    assert before >= 20 > after >= 1, out
    assert len(os.listdir(os.path.join(path, "toy-calm/corpus"))) == after


@test
def falls_back(w):
    """without AFL++, libFuzzer fuzzes alone, for a number of executions"""
    tools = w.dir("tools")
    os.mkdir(tools)
    for name in ("llvm-symbolizer", "setpriv", "git", "sh"):
        if shutil.which(name):
            os.symlink(shutil.which(name), os.path.join(tools, name))
    env = dict(w.env, PATH=tools)
    out = subprocess.run([sys.executable, COMMAND, "--tree", w.tree, "run", "--targets",
                          "toy-crash", "--dir", w.dir("alone"), "--execs", "20000", "--seed", "2"],
                         env=env, capture_output=True, text=True, timeout=100, check=False)
    assert out.returncode == DONE, out.stdout + out.stderr
    has(out.stdout, "libFuzzer alone")
    row = json.loads(w.run("status", "--dir", w.dir("alone"), "--json"))[0]
    assert list(row["instances"]) == ["libfuzzer"] and row["executions"] >= 20000, row


@test
def follows_no_links(w):
    """a link that was put into the folder is not followed"""
    path, out = w.dir("alone"), w.dir("elsewhere")
    os.mkdir(out)
    shutil.rmtree(os.path.join(path, "toy-crash"))
    os.symlink(out, os.path.join(path, "toy-crash"))
    has(w.run("run", "--dir", path, "--targets", "toy-crash", "--resume", "--budget", "1s",
              status=WRONG), "symbolic link")
    assert os.listdir(out) == []
    with open(os.path.join(path, "state.json"), "w", encoding="ascii") as f:
        f.write("{")
    has(w.run("status", "--dir", path, status=WRONG), "not JSON")


SIM = """sim: left: 16 bytes of slab by 0x55d1 bawn_irqfd irqfd.c:107
sim: DOUBLE_FETCH: byte 0x7f001012 of 8 was read twice
    #0 0x55d1 in sim_fault fuzz/sim/check.c:40:5
    #1 0x55d2 in sim_read fuzz/sim/user.c:77:9
    #2 0x55d3 in handle_page kernel/snp/ghcb.c:120:9
    #3 0x55d4 in LLVMFuzzerTestOneInput fuzz/kernel/ghcb.c:50:5
==1== ERROR: libFuzzer: deadly signal
"""


@test
def reads_reports(_):
    """what programs print is classified: the simulated kernel's line before the signal"""
    report = finds.Report(SIM, 77)
    assert (report.kind, report.what) == ("double fetch", "byte N of N was read twice")
    assert report.frames == ["handle_page", "LLVMFuzzerTestOneInput"], report.frames
    assert report.matches("SIM_DOUBLE_FETCH") and not report.matches("SIM_LEAK")
    assert report.matches("read twice")
    other = finds.Report(SIM.replace("0x7f001012", "0x7f002044").replace(":77:9", ":78:3"), 77)
    assert other.key("t") == report.key("t") != finds.Report(
        SIM.replace("handle_page", "handle_msr"), 77).key("t")
    for text, kind in (
            ("==3==ERROR: LeakSanitizer: detected memory leaks\n", "leak"),
            ("==3==WARNING: MemorySanitizer: use-of-uninitialized-value\n", "uninitialised"),
            ("a.c:3:5: runtime error: signed integer overflow: 1 + 2\n", "undefined"),
            ("==3== ERROR: libFuzzer: timeout after 10 seconds\n", "hang"),
            ("==3== ERROR: libFuzzer: out-of-memory (used: 2049Mb)\n", "oom"),
            ("==3==ERROR: AddressSanitizer: stack-overflow on address 0x7f\n", "recursion"),
            ("==3==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000010\n",
             "wild access"),
            ("\x1b[2Jsomething else\n", "crash")):
        assert finds.Report(text, 1).kind == kind, (text, finds.Report(text, 1).kind)
    assert finds.Report("Executed x in 3 ms\n", 0).kind is None
    assert [runner.parse_time(t) for t in ("90", "90s", "10m", "2h", "1d")] == \
        [90, 90, 600, 7200, 86400]


@test
def scores(w):
    """score finds a planted fault, does not count another one, and keeps results"""
    done = subprocess.run([SCORE, "--tree", w.tree, "--budget", "3s", "--clean", "1s", "--jobs",
                           "2", "--at-least", "1"], capture_output=True, text=True, timeout=100,
                          env=w.env, check=False)
    assert done.returncode == DONE, done.stdout + done.stderr
    has(done.stdout, "found 1 of 2 within 3 s", "on the clean tree: 0 finds",
        "not found, but undefined: index N out of bounds")
    with open(os.path.join(w.tree, "build/fuzz/score/score.json"), encoding="ascii") as f:
        results = json.load(f)["patches"]
    assert results["01-room"]["found"]["class"] == "undefined", results
    assert results["02-another-kind"]["found"] is None, results
    again = subprocess.run([SCORE, "--tree", w.tree, "--budget", "3s", "--no-clean", "--only",
                            "01"], capture_output=True, text=True, timeout=100, env=w.env,
                           check=False)
    has(again.stdout, "found 1 of 1")
    assert "looks for" not in again.stdout, "it was done again"
    # Stopped before it had a result with another budget: the old one is none of its own.
    stopped = score.Score(Tree(w.tree, os.path.join(w.tree, "build")),
                          folder.Folder(os.path.join(w.tree, "build/fuzz/score")), 90, 1, 1, print)
    stopped.stopping.set()
    stopped.run([score.Patch(os.path.join(w.tree, "fuzz/seeded/01-room.patch"))])
    assert list(stopped.results) == ["02-another-kind"], stopped.results
    none = subprocess.run([SCORE, "--tree", w.tree, "--only", "77"], capture_output=True,
                          text=True, env=w.env, check=False)
    assert none.returncode == WRONG and "no such patch" in none.stderr, none.stderr


def main():
    with tempfile.TemporaryDirectory() as path:
        return run_all(Work(os.path.realpath(path)))


if __name__ == "__main__":
    sys.exit(main())
