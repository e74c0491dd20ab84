# SPDX-License-Identifier: Apache-2.0
"""One fuzzer on one target: its command, its environment, its files and what they say. An
instance's files are in DIR/TARGET/KIND; AFL++'s instances of a target read each other's."""
import glob
import math
import os
import re
import shutil
import subprocess

from . import tree as trees
from .folder import TAG, core_seconds

MAX_LEN = 65536
RSS_MB = 2048
# Share of a target's budget, and what each instance is for.
WEIGHTS = {"main": 3,       # AFL++ on ASan and UBSan
           "cmplog": 3,     # AFL++ on the plain program, with the operands of comparisons
           "plain": 2,      # AFL++ on the plain program: the fastest
           "libfuzzer": 2,  # libFuzzer on ASan, UBSan and leaks, another engine's ideas
           "msan": 2}       # uninitialised memory
SIGNALS = ("handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0:"
           "symbolize=0:abort_on_error=1:allocator_may_return_null=1")
AFL_ENVIRONMENT = {
    "AFL_NO_UI": "1", "AFL_NO_COLOR": "1", "AFL_AUTORESUME": "1", "AFL_SKIP_CPUFREQ": "1",
    "AFL_NO_AFFINITY": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    "AFL_CRASHING_SEEDS_AS_NEW_CRASH": "1", "AFL_IGNORE_UNKNOWN_ENVS": "1",
    "AFL_KILL_SIGNAL": "15", "AFL_FORKSRV_INIT_TMOUT": "30000", "AFL_IMPORT_FIRST": "1",
    "ASAN_OPTIONS": f"{SIGNALS}:detect_leaks=0:malloc_context_size=0:detect_odr_violation=0:"
                    f"hard_rss_limit_mb={RSS_MB + 512}",
    "UBSAN_OPTIONS": f"{SIGNALS}:halt_on_error=1:malloc_context_size=0",
    "MSAN_OPTIONS": f"{SIGNALS}:exit_code=86:halt_on_error=1:malloc_context_size=0",
}


def have_afl():
    return shutil.which("afl-fuzz") is not None


def kinds(target):
    """The instances that can run, by what is built; none without a program to triage with."""
    if not target.program("libfuzzer"):
        return []
    afl = have_afl() and target.program("afl")
    out = ["main"] if afl else []
    if afl and target.program("plain"):
        out += ["cmplog"] if target.program("cmplog") else []
        out.append("plain")
    out.append("libfuzzer")
    return out + (["msan"] if target.program("msan") else [])


def pdeathsig():
    """What makes a command end with the one who started it."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


class Instance:
    def __init__(self, folder, target, kind):
        self.folder = folder
        self.target = target
        self.kind = kind
        self.name = f"{target.name}/{kind}"
        self.process = None
        program = target.program("msan") if kind == "msan" else None
        self.afl = kind in ("main", "plain", "cmplog") or bool(program) and trees.is_afl(program)

    def path(self, *names):
        base = ("afl", self.kind) if self.afl else (self.kind,)
        return self.folder.sub(self.target.name, *base, *names)

    # ---- Running ----

    def seeds(self):
        """The folder of seeds, made at the first start; AFL++ wants at least one."""
        path = self.folder.sub(self.target.name, "seeds")
        if not os.path.isdir(path):
            made = self.folder.fresh(self.target.name, "seeds.new")
            for data in self.target.seeds() or [b"0"]:
                with open(os.path.join(made, trees.digest(data)), "wb") as f:
                    f.write(data)
            os.rename(made, path)
        return path

    def command(self, seed, execs, seconds=None):
        """The words; execs is the sum at which to stop, or None; seconds are for libFuzzer, which
        wants to know beforehand to end in good order."""
        dictionary = self.target.dictionary()
        if self.afl:
            words = ["afl-fuzz", "-m", "none", "-t", "2000+", "-G", str(MAX_LEN)]
            words += ["-s", str(seed)] if seed is not None else []
            words += ["-E", str(execs)] if execs else []
            words += ["-x", dictionary] if dictionary else []
            words += ["-i", self.seeds(), "-o", self.folder.make(self.target.name, "afl")]
            words += ["-M" if self.kind == "main" else "-S", self.kind]
            if self.kind == "main":
                words += ["-F", self.folder.make(self.target.name, "libfuzzer", "corpus")]
            if self.kind == "cmplog":
                words += ["-c", self.target.program("cmplog")]
            variant = {"main": "afl", "msan": "msan"}.get(self.kind, "plain")
            return words + ["--", self.target.program(variant)]
        crashes = self.folder.make(self.target.name, self.kind, "crashes")
        words = [self.target.program(self.kind), "-fork=1", "-ignore_crashes=1",
                 "-ignore_timeouts=1", "-ignore_ooms=1", "-timeout=10", f"-max_len={MAX_LEN}",
                 f"-rss_limit_mb={RSS_MB}", f"-artifact_prefix={crashes}/"]
        words += [f"-seed={seed + 1}"] if seed is not None else []
        words += [f"-runs={execs}"] if execs else []
        words += [f"-max_total_time={max(1, round(seconds))}"] if seconds else []
        words += [f"-dict={dictionary}"] if dictionary else []
        words += [self.folder.make(self.target.name, self.kind, "corpus"), self.seeds()]
        return words + [d for d in corpora(self.folder, self.target) if d not in words]

    def environment(self):
        own = dict(os.environ, TMPDIR=self.folder.fresh(self.target.name, "tmp-" + self.kind))
        for name in [n for n in own if n.startswith(("AFL_", "ASAN_", "UBSAN_", "MSAN_"))]:
            del own[name]
        own[TAG] = self.folder.tag(self.name)
        if self.afl:
            own.update(AFL_ENVIRONMENT)
        return own

    def start(self, seed, execs, seconds):
        command = pdeathsig() + self.command(seed, execs, seconds)
        log = self.folder.sub(self.target.name, self.kind + ".log")
        with open(log, "wb") as f:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f,
                                            stderr=subprocess.STDOUT, env=self.environment(),
                                            cwd=self.target.tree.root, start_new_session=True)

    def core_seconds(self):
        """Of this start so far, as far as its processes live."""
        return core_seconds(f"{TAG}={self.folder.tag(self.name)}".encode())

    def ended(self):
        """Cleans up after the process."""
        self.process = None
        self.folder.sweep(self.name)
        shutil.rmtree(self.folder.sub(self.target.name, "tmp-" + self.kind), ignore_errors=True)

    def last_words(self):
        """The end of the log, in which a fuzzer says why it does not start."""
        try:
            with open(self.folder.sub(self.target.name, self.kind + ".log"), "rb") as f:
                f.seek(max(0, os.fstat(f.fileno()).st_size - 4096))
                text = f.read().decode(errors="replace")
        except OSError:
            return ""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\n]", "", text)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        abort = [i for i, line in enumerate(lines) if "PROGRAM ABORT" in line]
        return " ".join(lines[abort[-1]:][:3] if abort else lines[-3:])

    # ---- What it did ----

    def stats(self):
        """Figures as far as the files have them: execs, execs_per_sec, edges, edges_total,
        stability, corpus, last_new (time)."""
        return self.afl_stats() if self.afl else self.libfuzzer_stats()

    def afl_stats(self):
        names = {"execs_done": "execs", "execs_per_sec": "execs_per_sec",
                 "edges_found": "edges", "total_edges": "edges_total", "stability": "stability",
                 "corpus_count": "corpus", "last_find": "last_new"}
        out = {}
        try:
            with open(self.path("fuzzer_stats"), encoding="utf-8", errors="replace") as f:
                for line in f.read(65536).splitlines():
                    name, _, value = line.partition(":")
                    if name.strip() in names:
                        out[names[name.strip()]] = number(value)
            # Its last_find is forgotten when it goes on.
            files = [e.stat().st_mtime for e in os.scandir(self.path("queue")) if e.is_file()]
            out["last_new"] = max([out.get("last_new", 0), *files])
        except OSError:
            pass
        return out

    def libfuzzer_stats(self):
        out = {}
        try:
            with open(self.folder.sub(self.target.name, self.kind + ".log"), "rb") as f:
                f.seek(max(0, os.fstat(f.fileno()).st_size - 65536))
                text = f.read().decode(errors="replace")
            last = re.findall(r"^#(\d+): cov: (\d+) ft: \d+ corp: (\d+) exec/s:? (\d+)", text,
                              re.MULTILINE)
            if last:
                out = dict(zip(("execs", "edges", "corpus", "execs_per_sec"),
                               map(int, last[-1])))
            files = [e.stat().st_mtime for e in os.scandir(self.path("corpus"))]
            out["corpus"] = len(files)
            out["last_new"] = max(files, default=0)
        except OSError:
            pass
        return out

    def crashes(self):
        """Inputs that it kept as finds or hangs, oldest first."""
        base = glob.escape(self.path())
        patterns = ("crashes*/id:*", "hangs*/id:*") if self.afl else \
            ("crashes/crash-*", "crashes/leak-*", "crashes/timeout-*", "crashes/oom-*")
        paths = [p for pattern in patterns for p in glob.glob(os.path.join(base, pattern))]
        return sorted((p for p in paths if not os.path.islink(p)), key=os.path.getmtime)


def corpora(folder, target):
    """Folders with inputs that reached something, of all instances; existing ones."""
    base = glob.escape(folder.sub(target.name))
    out = []
    for pattern in ("seeds", "corpus", "import/queue", "afl/*/queue", "libfuzzer/corpus",
                    "msan/corpus"):
        out += glob.glob(os.path.join(base, pattern))
    return sorted(path for path in set(out) if os.path.isdir(path) and not os.path.islink(path))


def number(text):
    try:
        value = float(text.strip().rstrip("%"))
    except ValueError:
        return 0
    if not math.isfinite(value):  # AFL++ divides by a time of zero
        return 0
    return int(value) if value == int(value) else value
