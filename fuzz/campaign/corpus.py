# SPDX-License-Identifier: Apache-2.0
"""Corpora: what reached something, merged to the least that reaches as much; and inputs that
come from elsewhere, which every instance then tries."""
import os
import shutil
import subprocess

from . import Error
from . import engine
from . import tree as trees
from .folder import TAG


def files(paths):
    """The regular files below these paths, links not followed."""
    for path in paths:
        if os.path.islink(path) or not os.path.exists(path):
            raise Error(f"{path}: no such file or folder (links are not followed)")
        if os.path.isfile(path):
            yield path
            continue
        for base, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                full = os.path.join(base, name)
                if os.path.isfile(full) and not os.path.islink(full):
                    yield full


def take(folder, target, paths):
    """Copies inputs into the folder, as AFL++ and libFuzzer read them. (taken, known, too long)"""
    queue = folder.make(target.name, "import", "queue")
    have = {name.rpartition(",sum:")[2] for name in os.listdir(queue)}
    taken = known = long = 0
    for path in files(paths):
        with open(path, "rb") as f:
            data = f.read(engine.MAX_LEN + 1)
        digest = trees.digest(data)
        if len(data) > engine.MAX_LEN:
            long += 1
        elif digest in have:
            known += 1
        else:
            folder.put(f"{target.name}/import/queue/id:{len(have):06d},sum:{digest}", data)
            have.add(digest)
            taken += 1
    # Instances of AFL++ look for others beside themselves.
    beside = folder.make(target.name, "afl", "import", "queue")
    for name in os.listdir(queue):
        if not os.path.exists(os.path.join(beside, name)):
            shutil.copyfile(os.path.join(queue, name),
                            os.path.join(beside, name + ".new"))
            os.replace(os.path.join(beside, name + ".new"), os.path.join(beside, name))
    return taken, known, long


def merge(folder, target):
    """DIR/TARGET/corpus anew: the least files that reach what all corpora do. (before, after)"""
    if not target.program("libfuzzer"):
        raise Error(f"{target.name}: is not built; make fuzz-mix builds it")
    sources = engine.corpora(folder, target)
    before = sum(len(os.listdir(path)) for path in sources)
    fresh = folder.fresh(target.name, "corpus.new")
    environment = dict(os.environ, TMPDIR=folder.make("tmp"))
    environment[TAG] = folder.tag("merge")
    command = engine.pdeathsig() + [
        target.program("libfuzzer"), "-merge=1", f"-rss_limit_mb={engine.RSS_MB}", "-timeout=10",
        f"-artifact_prefix={folder.make('tmp')}/", fresh, *sources]
    log = folder.sub(target.name, "merge.log")
    with open(log, "wb") as f:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                              cwd=target.tree.root, env=environment, check=False)
    after = len(os.listdir(fresh))
    if done.returncode or (before and not after):
        raise Error(f"{target.name}: the merge failed with status {done.returncode}; {log} says "
                    "why, the corpus is as it was")
    path = folder.sub(target.name, "corpus")
    old = folder.sub(target.name, "corpus.old")
    shutil.rmtree(old, ignore_errors=True)
    if os.path.isdir(path):
        os.rename(path, old)
    os.rename(fresh, path)
    shutil.rmtree(old, ignore_errors=True)
    return before, after
