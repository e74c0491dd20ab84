# SPDX-License-Identifier: Apache-2.0
"""The source tree: its targets, what is built of each, its seeds and dictionary."""
import glob
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import threading

from . import Error

# Folder below BUILD/fuzz of each variant; mk/fuzz.mk says what they are.
VARIANTS = {"libfuzzer": "", "afl": "afl", "plain": "plain", "cmplog": "cmplog", "msan": "msan",
            "cov": "cov"}
AFL_MARK = b"##SIG_AFL_PERSISTENT##"  # what afl-fuzz itself looks for in a program


LOADING = threading.Lock()


def load(script):
    """A script as a module, which may import what is beside it: that of its own tree, although
    score has several trees."""
    beside = os.path.dirname(script)
    spec = importlib.util.spec_from_file_location("bawn_fuzz_seeds", script)
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(beside)
        for name in set(sys.modules) - before:
            if os.path.dirname(getattr(sys.modules[name], "__file__", None) or "") == beside:
                del sys.modules[name]
    return module


class Target:
    """One target. source is None where only programs of it are known."""

    def __init__(self, tree, name, source):
        self.tree = tree
        self.name = name
        self.source = source

    def program(self, variant):
        """The path of the variant's program, or None where it is not built."""
        path = os.path.join(self.tree.build, "fuzz", VARIANTS[variant], self.name)
        return path if os.access(path, os.X_OK) and os.path.isfile(path) else None

    def variants(self):
        return [v for v in VARIANTS if self.program(v)]

    def comment(self):
        """The first comment of the source that is not the licence, as one line."""
        with open(self.source, encoding="utf-8", errors="replace") as f:
            match = re.search(r"/\*(.*?)\*/", f.read(8192), re.DOTALL)
        lines = match.group(1).splitlines() if match else []
        return " ".join(" ".join(line.strip().lstrip("*") for line in lines).split())

    def description(self):
        """The comment's first sentence, without the words that all of them begin with."""
        text = re.sub(r"^Input(, by its first byte)?: ", "", self.comment())
        return re.split(r"(?<=[.;]) ", text, maxsplit=1)[0].rstrip(".;")

    def seeds(self):
        """Contents of the shipped seeds."""
        return self.tree.seeds(self.name)

    def regressions(self):
        """Files of past finds."""
        pattern = os.path.join(glob.escape(self.tree.root), "fuzz/regressions", self.name, "*")
        return sorted(path for path in glob.glob(pattern) if os.path.isfile(path))

    def dictionary(self):
        """The target's own dictionary, or its room's, or None."""
        for name in (self.name, self.name.split("-")[0]):
            path = os.path.join(self.tree.root, "fuzz/dict", name + ".dict")
            if os.path.isfile(path):
                return path
        return None


class Tree:
    def __init__(self, root, build):
        self.root = os.path.realpath(root)
        self.build = os.path.realpath(build)
        if not os.path.isdir(os.path.join(self.root, "fuzz")):
            raise Error(f"{root}: not a source tree of Bawn, it has no folder fuzz; "
                        "--tree names one")
        self._seeds = None

    def targets(self):
        """All targets by name: fuzz/ROOM/NAME.c with an entry function, or with a program."""
        found = {}
        for path in glob.glob(os.path.join(glob.escape(self.root), "fuzz/*/*.c")):
            room, name = os.path.basename(os.path.dirname(path)), os.path.basename(path)[:-2]
            target = Target(self, f"{room}-{name}", path)
            with open(path, encoding="utf-8", errors="replace") as f:
                entry = "LLVMFuzzerTestOneInput" in f.read()
            if name != "common" and (entry or target.variants()):
                found[target.name] = target
        return dict(sorted(found.items()))

    def choose(self, names):
        """The named targets, a name may be a pattern; all of them for none."""
        have = self.targets()
        if not have:
            raise Error(f"{self.root}/fuzz: there are no targets")
        if not names:
            return list(have.values())
        chosen = {}
        for name in names:
            pattern = re.compile(re.escape(name).replace(r"\*", ".*") + r"\Z")
            match = [t for t in have.values() if pattern.match(t.name)]
            if not match:
                raise Error(f"{name}: no such target; bawn-fuzz list names them")
            chosen.update((t.name, t) for t in match)
        return list(chosen.values())

    def seeds(self, name):
        """As fuzz/seeds.py makes them; without one, the files of fuzz/seeds/TARGET."""
        script = os.path.join(self.root, "fuzz/seeds.py")
        with LOADING:
            if self._seeds is None and os.path.isfile(script):
                self._seeds = load(script)
        if self._seeds:
            return list(self._seeds.contents(name))
        out = []
        for path in sorted(glob.glob(os.path.join(glob.escape(self.root), "fuzz/seeds", name,
                                                  "*"))):
            with open(path, "rb") as f:
                out.append(f.read(65536))
        return out

    def commit(self):
        """The commit, with "+" behind it where files differ from it; None without git."""
        def git(*words):
            return subprocess.run(["git", "-C", self.root, *words], capture_output=True,
                                  text=True, check=False, stdin=subprocess.DEVNULL)
        try:
            head = git("rev-parse", "HEAD")
            if head.returncode:
                return None
            return head.stdout.strip() + ("+" if git("status", "--porcelain", "-uno").stdout
                                          else "")
        except OSError:
            return None


def is_afl(program):
    """Whether a program was built by AFL++'s compiler."""
    with open(program, "rb") as f:
        return AFL_MARK in f.read()


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]
