# SPDX-License-Identifier: Apache-2.0
"""Finds: each kept input is run again by libFuzzer's program, what it prints is read, and inputs
with the same report are one find, which is made small. A find's name is made from its target,
class and stack, so that it stays the same from one triage to the next.

What a target prints is hostile: it is matched line by line, cut, and shown without control
characters."""
import concurrent.futures
import os
import re
import shlex
import subprocess
import tempfile
import time

from . import tree as trees
from . import engine
from .folder import TAG

TRIAGE = "triage.json"
OUTPUT = 1 << 20          # bytes of a report that are read
TIMEOUT = 10              # seconds of one input, above which it hangs
MOST = 200                # inputs of one instance that are looked at
FRAMES = 3                # of a stack, that say which find it is

# What sanitizers and libFuzzer call it: the class of the find.
CLASSES = (
    (r"AddressSanitizer: heap-buffer-overflow", "heap overflow"),
    (r"AddressSanitizer: stack-buffer-(over|under)flow", "stack overflow"),
    (r"AddressSanitizer: global-buffer-overflow", "global overflow"),
    (r"AddressSanitizer: (dynamic-stack|container|intra-object)-(buffer-)?overflow", "overflow"),
    (r"AddressSanitizer: heap-use-after-free", "use after free"),
    (r"AddressSanitizer: (stack-use-after|use-after-poison)", "use after free"),
    (r"AddressSanitizer: (attempting )?double-free", "double free"),
    (r"AddressSanitizer: (attempting free|bad-free|alloc-dealloc)", "bad free"),
    (r"AddressSanitizer: stack-overflow", "recursion"),
    (r"AddressSanitizer: (out of memory|allocation-size|calloc-overflow|requested alloc)", "oom"),
    (r"AddressSanitizer: (hard|soft) rss limit|hard rss limit exhausted", "oom"),
    (r"AddressSanitizer: .*(overlap|negative-size-param)", "bad copy"),
    (r"(AddressSanitizer|UndefinedBehaviorSanitizer): (SEGV|BUS|ILL|FPE)", "wild access"),
    (r"MemorySanitizer: use-of-uninitialized", "uninitialised"),
    (r"LeakSanitizer: detected memory leaks", "leak"),
    (r"AddressSanitizer: ABRT", "assertion"),
    (r"libFuzzer: timeout", "hang"),
    (r"libFuzzer: out-of-memory", "oom"),
    (r"libFuzzer: (deadly signal|fuzz target exited)", "assertion"),
)
# fuzz/sim/sim.h, enum sim_class; other lines that begin so are for a person.
SIM = re.compile(r"^sim: (?:SIM_)?(LEAK|LOCK|DOUBLE_FETCH|OWNERSHIP|UNBOUNDED|DEADLOCK|WARN|"
                 r"COPY_OUT|STATE|HARDWARE): (.{1,300})", re.MULTILINE)
UBSAN = re.compile(r"^(\S{1,200}):(\d+):\d+: runtime error: (.{1,200})", re.MULTILINE)
FRAME = re.compile(r"^\s*#(\d+) 0x[0-9a-f]+ "
                   r"(?:in ([^\s(]+)[^\n]*|\(([^)+]*)\+0x[0-9a-f]+\)[^\n]*)$")
# Frames of the tools, which are the same for many finds.
RUNTIME = re.compile(r"^(_*(asan|msan|ubsan|lsan|sanitizer|interceptor)_|__interceptor|fuzzer::|"
                     r"_*(Asan|Msan)|sim_fault|sim_(oom|report)|abort$|raise$|gsignal$|exit$|"
                     r"_start$|main$|__GI_|__libc_|__pthread_|__assert|kill$|killpg$|"
                     r"libc\.so|(malloc|calloc|realloc|free|memcpy|memmove|memset|memcmp|strlen|"
                     r"strcmp|strdup|strndup)$)")
ENTRY = "LLVMFuzzerTestOneInput"


def clean(text):
    """Printable, on its line."""
    return re.sub(r"[^\x20-\x7e]", "?", text)


def same(text):
    """A message without what differs from run to run."""
    text = re.sub(r"0x[0-9a-fA-F]+", "N", text)
    return re.sub(r"(?<![A-Za-z_])-?\d+", "N", clean(text)).strip()


def stack(text):
    """Function names of the first stack, without the tools' own, down to the entry."""
    names, last = [], -1
    for line in text.splitlines():
        frame = FRAME.match(line[:1000])
        if not frame:
            if last >= 0 and names:
                break
            continue
        depth = int(frame.group(1))
        if depth <= last and names:
            break
        last = depth
        name = frame.group(2) or os.path.basename(frame.group(3) or "?")
        if name == ENTRY:
            names.append(name)
            break
        # The simulated kernel is where its finds are seen, the module where they are made.
        if not RUNTIME.match(name) and "fuzz/sim/" not in line:
            names.append(clean(name)[:80])
    return names


class Report:
    """What a run of one input said: class, what, frames; class is None where it said nothing."""

    def __init__(self, text, status):
        self.text = text
        self.status = status
        self.sim = None
        self.kind, self.what, at = self.classify()
        self.frames = stack(text[at:]) if self.kind else []

    def classify(self):
        """The class, what exactly, and where in the text its stack begins."""
        sim = SIM.search(self.text)
        if sim:
            self.sim = sim.group(1).lower().replace("_", " ")
            return self.sim, same(sim.group(2)), sim.end()
        undefined = UBSAN.search(self.text)
        if undefined:
            return ("undefined", f"{same(undefined.group(3))} in {clean(undefined.group(1))}",
                    undefined.end())
        for pattern, kind in CLASSES:
            match = re.search(pattern, self.text)
            if match:
                null = kind == "wild access" and re.search(
                    r"unknown address 0x0{9,12}[0-9a-f]{0,3}\b", self.text)
                what = "NULL" if null else same(match.group(0).split(": ", 1)[-1])
                return kind, what, match.end()
        if self.status == 0:
            return None, "", 0
        return "crash", f"status {self.status}", 0

    def key(self, target):
        """Equal for inputs that find the same."""
        parts = [target, self.kind, *self.frames[:FRAMES]]
        # A stack at teardown says nothing; the simulated kernel's line says all.
        parts += [self.what] if self.sim or not self.frames else []
        return trees.digest("\n".join(parts).encode())

    def matches(self, wanted):
        """Whether it is what a seeded bug's patch names: SIM_CLASS, or a regular expression."""
        if self.kind is None:
            return False
        if re.fullmatch(r"SIM_[A-Z_]+", wanted):
            return self.sim == wanted[4:].lower().replace("_", " ")
        return re.search(wanted, self.text, re.IGNORECASE) is not None


def reproduce(folder, target, path, variant="libfuzzer", timeout=TIMEOUT):
    """Runs one input alone. Its report has class "hang" where it did not end."""
    program = target.program(variant)
    environment = dict(os.environ, TMPDIR=folder.make("tmp"))
    for name in [n for n in environment if n.startswith(("AFL_", "ASAN_", "UBSAN_", "MSAN_"))]:
        del environment[name]
    environment[TAG] = folder.tag("triage")
    environment["ASAN_OPTIONS"] = "detect_leaks=1:symbolize=1:allocator_may_return_null=1"
    environment["UBSAN_OPTIONS"] = "print_stacktrace=1:symbolize=1"
    command = engine.pdeathsig() + [program, f"-timeout={timeout}",
                                    f"-rss_limit_mb={engine.RSS_MB}",
                                    f"-artifact_prefix={folder.make('tmp')}/", path]
    with tempfile.TemporaryFile(dir=folder.make("tmp")) as out:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                  cwd=target.tree.root, env=environment, check=False,
                                  timeout=timeout + 50)
            status = done.returncode
        except subprocess.TimeoutExpired:
            out.write(b"\n==0== ERROR: libFuzzer: timeout (it did not even stop)\n")
            status = 70
        out.seek(0)
        text = out.read(OUTPUT).decode(errors="replace")
    return Report(text, status)


def reproduce_any(folder, target, path):
    """By the ASan program; where that has nothing to say, by the MSan one. The variant too."""
    report = reproduce(folder, target, path)
    if report.kind is None and target.program("msan") and \
            not trees.is_afl(target.program("msan")):
        return reproduce(folder, target, path, "msan"), "msan"
    return report, "libfuzzer"


def minimise(folder, target, path, key, seconds):
    """A smaller input with the same report, in a temporary file; None where there is none."""
    out = os.path.join(folder.make("tmp"), trees.digest(path.encode()) + ".min")
    environment = dict(os.environ, TMPDIR=folder.make("tmp"))
    environment[TAG] = folder.tag("triage")
    command = engine.pdeathsig() + [
        target.program("libfuzzer"), "-minimize_crash=1", f"-max_total_time={seconds}",
        "-timeout=10", f"-rss_limit_mb={engine.RSS_MB}", f"-exact_artifact_path={out}", path]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd=target.tree.root, env=environment,
                       check=False, timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        pass
    if not os.path.isfile(out) or os.path.getsize(out) >= os.path.getsize(path):
        return None
    # Smaller it may be, and another find.
    return out if reproduce(folder, target, out).key(target.name) == key else None


class Triage:
    """The finds of a campaign, in DIR/triage.json and DIR/finds/NAME/."""

    def __init__(self, folder, targets, seconds, jobs):
        self.folder = folder
        self.targets = targets
        self.seconds = seconds
        self.jobs = jobs
        try:
            old = folder.read(TRIAGE)
        except FileNotFoundError:
            old = {"finds": {}, "seen": {}}
        self.finds, self.seen = old["finds"], old["seen"]
        self.skipped = 0

    def inputs(self, target):
        """Inputs of a target that were kept as finds, by their digest."""
        found = {}
        for kind in engine.WEIGHTS:
            paths = engine.Instance(self.folder, target, kind).crashes()
            self.skipped += max(0, len(paths) - MOST)
            for path in paths[:MOST]:
                with open(path, "rb") as f:
                    found.setdefault(trees.digest(f.read()), (path, kind))
        return found

    def run(self):
        for target in self.targets:
            if not target.program("libfuzzer"):
                continue
            self.recheck(target)
            new = {d: v for d, v in self.inputs(target).items() if d not in self.seen}
            with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
                reports = pool.map(lambda v: reproduce_any(self.folder, target, v[0]),
                                   new.values())
                for (digest, (path, kind)), (report, variant) in zip(new.items(), reports):
                    self.take(target, digest, path, kind, report, variant)
            self.save()
        for find in list(self.finds.values()):
            self.shrink(find)
        return self

    def recheck(self, target):
        """A find of before that is no more is fixed."""
        for find in self.finds.values():
            if find["target"] != target.name:
                continue
            report = reproduce(self.folder, target, self.smallest(find), find["variant"])
            still = report.kind is not None and report.key(target.name) == find["key"]
            find["state"] = "open" if still else "fixed"

    def take(self, target, digest, path, kind, report, variant):
        hang = "/hangs" in path or os.path.basename(path).startswith("timeout-")
        self.seen[digest] = None
        if report.kind is None:
            if hang:
                return  # slow for its fuzzer, but it ends
            report.kind, report.what = "not reproduced", f"by {kind}"
        key = report.key(target.name)
        name = f"{target.name}-{report.kind.replace(' ', '-')}-{key[:8]}"
        self.seen[digest] = name
        if name in self.finds:
            self.finds[name]["inputs"] += 1
            return
        folder = self.folder.make("finds", name)
        with open(path, "rb") as f:
            data = f.read()
        self.folder.put(f"finds/{name}/input", data)
        self.folder.put(f"finds/{name}/report.txt", report.text.encode())
        self.finds[name] = {
            "name": name, "target": target.name, "class": report.kind, "what": report.what,
            "frames": report.frames[:8], "key": key, "variant": variant, "found_by": kind,
            "inputs": 1, "size": len(data), "minimised": None, "sim": report.sim,
            "found": os.path.getmtime(path), "triaged": time.time(),
            "state": "unstable" if report.kind == "not reproduced" else "open",
            "folder": os.path.relpath(folder, self.folder.path)}

    def smallest(self, find):
        return self.folder.sub(find["folder"],
                               "input" if find["minimised"] is None else "minimised")

    def shrink(self, find):
        target = next((t for t in self.targets if t.name == find["target"]), None)
        if target is None or find.get("tried") or not self.seconds or find["state"] != "open" \
                or find["class"] == "hang" or find["variant"] != "libfuzzer":
            return
        small = minimise(self.folder, target, self.folder.sub(find["folder"], "input"),
                         find["key"], self.seconds)
        if small:
            with open(small, "rb") as f:
                data = f.read()
            self.folder.put(os.path.join(find["folder"], "minimised"), data)
            find["minimised"] = len(data)
            os.unlink(small)
        find["tried"] = True
        self.save()

    def save(self):
        self.folder.write(TRIAGE, {"finds": self.finds, "seen": self.seen})


def command(folder, targets, find):
    """What a person runs to see a find."""
    target = next((t for t in targets if t.name == find["target"]), None)
    if target is None or not target.program(find["variant"]):
        return None
    which = "input" if find["minimised"] is None else "minimised"
    words = [target.program(find["variant"]), folder.sub(find["folder"], which)]
    return f"cd {shlex.quote(target.tree.root)} && {shlex.join(words)}"


def load(folder):
    try:
        return sorted(folder.read(TRIAGE)["finds"].values(), key=lambda f: f["name"])
    except FileNotFoundError:
        return []
