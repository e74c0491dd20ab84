# SPDX-License-Identifier: Apache-2.0
"""The score: faults that are put into a copy of the sources, one at a time, and how long the
target that must find each takes. A patch says in lines before its first hunk what it is:

    Target: kernel-ghcb
    Class: double fetch
    Example: CVE-...
    Finds: SIM_DOUBLE_FETCH, or a regular expression that the report must match

A find of another kind does not count. Times are of one core, from the shipped seeds."""
import concurrent.futures
import glob
import hashlib
import os
import re
import shutil
import subprocess
import threading

from . import Error
from . import engine
from . import finds
from . import runner
from .folder import Folder
from .tree import Tree

VARIANTS = {"libfuzzer": "fuzz", "afl": "afl", "plain": "plain", "cmplog": "cmplog",
            "msan": "msan"}  # program, objects


class Patch:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path).removesuffix(".patch")
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        fields = dict(re.findall(r"^([A-Z][a-z]+): *(.+?) *$",
                                 re.split(r"^(?:diff |--- )", self.text, 1, re.MULTILINE)[0],
                                 re.MULTILINE))
        try:
            self.target, self.kind, self.finds = (fields[k] for k in ("Target", "Class", "Finds"))
            re.compile(self.finds)
        except KeyError as e:
            raise Error(f"{path}: has no line {e.args[0]}: before its first hunk") from None
        except re.error as e:
            raise Error(f"{path}: Finds: is no regular expression: {e}") from None
        self.example = fields.get("Example", "")
        self.files = re.findall(r"^\+\+\+ b/(\S+)", self.text, re.MULTILINE)


def sources(root):
    """The files of the tree, those of git where it is one."""
    done = subprocess.run(["git", "-C", root, "ls-files", "-coz", "--exclude-standard"],
                          capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 0 and done.stdout:
        names = done.stdout.decode().rstrip("\0").split("\0")
        return [n for n in names if os.path.lexists(os.path.join(root, n))]
    out = []
    for base, folders, names in os.walk(root):
        relative = os.path.relpath(base, root)
        folders[:] = [d for d in folders if d != ".git" and (relative, d) != (".", "build")]
        out += [os.path.normpath(os.path.join(relative, n)) for n in names]
    return out


def fingerprint(root, names):
    """Of all that can make a difference to what is found."""
    sum_ = hashlib.sha256()
    for name in sorted(names):
        path = os.path.join(root, name)
        if os.path.isfile(path) and not name.startswith(("docs/", "fuzz/seeded/")):
            with open(path, "rb") as f:
                sum_.update(name.encode() + b"\0" + hashlib.sha256(f.read()).digest())
    return sum_.hexdigest()[:16]


def link(source, to, copied=False):
    os.makedirs(os.path.dirname(to), exist_ok=True)
    if copied or os.path.islink(source):
        shutil.copy2(source, to, follow_symlinks=False)
    else:
        os.link(source, to)


def copy_tree(tree, names, patch, to):
    """The sources and what is compiled of them, as links where nobody writes."""
    shutil.rmtree(to, ignore_errors=True)
    for name in names:
        link(os.path.join(tree.root, name), os.path.join(to, name), name in patch.files)
    for variant in VARIANTS.values():
        # The variant's own, and those of what it links (module-afl, sim-afl).
        for base in glob.glob(os.path.join(glob.escape(tree.build), "obj", variant)) + \
                glob.glob(os.path.join(glob.escape(tree.build), "obj", "*-" + variant)):
            for folder, _, files in os.walk(base):
                for name in files:
                    path = os.path.join(folder, name)
                    # A compiler replaces objects, but writes into lists of dependencies.
                    link(path, os.path.join(to, "build", os.path.relpath(path, tree.build)),
                         name.endswith(".d"))
        for path in glob.glob(os.path.join(glob.escape(tree.build), f"lib/lib*-{variant}.a")):
            link(path, os.path.join(to, "build/lib", os.path.basename(path)))


def call(command, log):
    with open(log, "ab") as f:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                              check=False).returncode == 0


class Attempt:
    """One patch: built, fuzzed until its fault is found or the budget is used."""

    def __init__(self, score, patch):
        self.score = score
        self.patch = patch
        self.folder = Folder(os.path.join(score.folder.path, patch.name))
        self.found = None
        self.looked = set()
        self.others = set()

    def build(self):
        """The patched tree with the target built in all variants that this tree has of it."""
        to = self.folder.sub("src")
        log = self.folder.sub("build.log")
        target = self.score.tree.targets().get(self.patch.target)
        if target is None or not target.program("libfuzzer"):
            raise Error(f"there is no target {self.patch.target}, or it is not built")
        copy_tree(self.score.tree, self.score.names, self.patch, to)
        if not call(["patch", "-p1", "-s", "-F0", "--no-backup-if-mismatch", "-d", to, "-i",
                     os.path.abspath(self.patch.path)], log):
            raise Error(f"does not apply: {log}")
        programs = [os.path.relpath(target.program(v), self.score.tree.build)
                    for v in VARIANTS if target.program(v)]
        if not call(["make", "-C", to, "--no-print-directory", "B=build",
                     *(os.path.join("build", p) for p in programs)], log):
            raise Error(f"does not build: {log}")
        return Tree(to, os.path.join(to, "build")).targets()[target.name]

    def look(self, campaign):
        """Whether one of the inputs that were kept by now is the fault."""
        for instance in campaign.instances:
            for path in instance.crashes()[:finds.MOST]:
                if path in self.looked or self.found:
                    continue
                self.looked.add(path)
                report, _ = finds.reproduce_any(self.folder, instance.target, path)
                if report.matches(self.patch.finds):
                    self.found = {"by": instance.kind, "class": report.kind,
                                  "what": report.what, "frames": report.frames[:3]}
                elif report.kind:
                    self.others.add(f"{report.kind}: {report.what}")
        return bool(self.found) or self.score.stopping.is_set()

    def run(self):
        self.folder.create()
        with self.folder.locked():
            # Its campaign goes on where it was cut short, if it is the same.
            same = os.path.exists(self.folder.sub("key")) and \
                self.folder.read("key") == self.score.key(self.patch)
            if same and os.path.exists(self.folder.sub(runner.STATE)):
                to = self.folder.sub("src")
                target = Tree(to, os.path.join(to, "build")).targets()[self.patch.target]
            else:
                for name in (runner.STATE, "key", "build.log"):
                    if os.path.exists(self.folder.sub(name)):
                        os.unlink(self.folder.sub(name))
                shutil.rmtree(self.folder.sub(self.patch.target), ignore_errors=True)
                target = self.build()
                self.folder.write("key", self.score.key(self.patch))
            campaign = runner.Runner(self.folder, [target], 1, self.score.seed)
            if not campaign.state["targets"]:
                campaign.plan(self.score.budget, None)
            campaign.run(self.look)
            self.look(campaign)
            seconds, execs = campaign.spent()
            if self.score.stopping.is_set() and not self.found:
                return None
            shutil.rmtree(self.folder.sub("src", "build"), ignore_errors=True)
            return {"seconds": round(seconds, 1), "executions": execs, "found": self.found,
                    "others": sorted(self.others), "failures": campaign.failures}


class Score:
    """Results are kept in FOLDER/score.json, by patch; one is used again while nothing that it
    depends on has changed."""

    def __init__(self, tree, folder, budget, seed, jobs, say):
        self.tree = tree
        self.folder = folder
        self.budget = budget
        self.seed = seed
        self.jobs = jobs
        self.say = say
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.names = sources(tree.root)
        self.print = fingerprint(tree.root, self.names)
        try:
            self.results = folder.read("score.json")["patches"]
        except FileNotFoundError:
            self.results = {}

    def key(self, patch):
        return [hashlib.sha256(patch.text.encode()).hexdigest()[:16], self.print, self.budget,
                self.seed, engine.have_afl()]

    def one(self, patch):
        if patch.name in self.results or self.stopping.is_set():
            return
        self.say(f"{patch.name}: {patch.target} looks for {patch.kind}")
        result = {"key": self.key(patch), "class": patch.kind, "target": patch.target,
                  "example": patch.example, "error": None, "found": None, "seconds": 0,
                  "executions": 0}
        try:
            done = Attempt(self, patch).run()
            if done is None:
                return
            result.update(done)
        except Error as e:
            result.update(error=str(e), key=None)
        with self.lock:
            self.results[patch.name] = result
            self.folder.write("score.json", {"patches": self.results})
        self.say(f"{patch.name}: " + outcome(result))

    def run(self, patches):
        for p in patches:  # what another tree, budget or text gave is no result of this run
            if self.results.get(p.name, {}).get("key") != self.key(p):
                self.results.pop(p.name, None)
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(self.one, patches))

    def clean(self, names, seconds):
        """Fuzzes the targets as they are: all of its finds, or None when it was stopped."""
        folder = Folder(os.path.join(self.folder.path, "clean"))
        folder.create()
        have = self.tree.targets()
        targets = [have[n] for n in sorted(names) if n in have and engine.kinds(have[n])]
        with folder.locked():
            campaign = runner.Runner(folder, targets, self.jobs, self.seed, self.say)
            campaign.plan(seconds, None)
            campaign.run(lambda _: self.stopping.is_set())
            if self.stopping.is_set():
                return None
            finds.Triage(folder, targets, 10, self.jobs).run()
            return [f for f in finds.load(folder) if f["target"] in names
                    and f["state"] != "fixed"]


def outcome(result):
    if result["error"]:
        return result["error"]
    if not result["found"]:
        return "not found" + (f", but {'; '.join(result['others'])[:200]}" if result["others"]
                              else "")
    return f"found in {result['seconds']:.0f} s by {result['found']['by']}"


def table(patches, results):
    out = [f"{'patch':30} {'class':20} {'target':20} {'found in':>9} {'execs':>13} "]
    for patch in patches:
        r = results.get(patch.name)
        if not r:
            out.append(f"{patch.name:30} {patch.kind:20} {patch.target:20} {'not run':>9}")
            continue
        time = f"{r['seconds']:.0f} s" if r["found"] else "error" if r["error"] else "no"
        out.append(f"{patch.name:30} {patch.kind:20} {patch.target:20} {time:>9} "
                   f"{r['executions']:13,} {'' if r['found'] else outcome(r)}".rstrip())
    return out
