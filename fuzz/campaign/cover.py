# SPDX-License-Identifier: Apache-2.0
"""Coverage: the corpus is run again by programs with llvm-cov's counters (build/fuzz/cov), which
gives pages to read and tables per source file and function, and says what was not reached."""
import fnmatch
import json
import os
import re
import shutil
import subprocess

from . import Error
from . import engine
from .folder import TAG

RESULT = "coverage.json"
BATCH = 400              # inputs of one run
GROUPS = "fuzz/coverage-goals.json"


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Error(f"{name}: not found; Debian's package llvm has it")
    return path


def inputs(folder, target):
    """All files of the corpora, or the seeds where no campaign ran, and past finds."""
    paths = [os.path.join(d, n) for d in engine.corpora(folder, target) for n in
             sorted(os.listdir(d)) if os.path.isfile(os.path.join(d, n))]
    if not paths:
        base = engine.Instance(folder, target, "libfuzzer").seeds()
        paths = [os.path.join(base, n) for n in sorted(os.listdir(base))]
    return paths + target.regressions()


class Replay:
    """Runs a target's inputs, in batches; one that ends the program is left out and counted."""

    def __init__(self, folder, target):
        self.folder = folder
        self.target = target
        self.raw = folder.fresh(target.name, "cov-raw")
        self.runs = self.bad = 0

    def batch(self, paths):
        self.runs += 1
        profile = os.path.join(self.raw, f"{self.runs}.profraw")
        environment = dict(os.environ, LLVM_PROFILE_FILE=profile, TMPDIR=self.folder.make("tmp"))
        environment[TAG] = self.folder.tag("coverage")
        command = engine.pdeathsig() + [
            self.target.program("cov"), "-timeout=60", "-rss_limit_mb=0",
            f"-artifact_prefix={self.folder.make('tmp')}/", *paths]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, cwd=self.target.tree.root,
                              env=environment, check=False)
        if done.returncode == 0:
            return
        if os.path.exists(profile):
            os.unlink(profile)
        if len(paths) == 1:
            self.bad += 1
            return
        self.batch(paths[:len(paths) // 2])
        self.batch(paths[len(paths) // 2:])

    def run(self):
        """The merged profile's path, or None."""
        paths = inputs(self.folder, self.target)
        for i in range(0, len(paths), BATCH):
            self.batch(paths[i:i + BATCH])
        raws = [os.path.join(self.raw, n) for n in sorted(os.listdir(self.raw))]
        if not raws:
            return None
        out = self.folder.sub(self.target.name, "coverage.profdata")
        run([tool("llvm-profdata"), "merge", "-sparse", "-o", out, *raws])
        shutil.rmtree(self.raw)
        return out


def run(command, out=subprocess.DEVNULL):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        raise Error(f"{os.path.basename(command[0])} failed: "
                    f"{done.stderr.decode(errors='replace').strip()[-300:]}")


def own(root, path):
    """The path in the tree, or None for what is not fuzzed: headers of others, the targets."""
    path = os.path.relpath(os.path.join(root, path), root)
    return None if path.startswith(("..", "fuzz/", "tests/")) else path


def read_export(root, path):
    """Files and functions of llvm-cov's export."""
    with open(path, "rb") as f:
        data = json.load(f)["data"][0]
    files, functions = {}, {}
    for entry in data["files"]:
        name = own(root, entry["filename"])
        if name:
            files[name] = {what: [entry["summary"][what]["covered"],
                                  entry["summary"][what]["count"]]
                           for what in ("lines", "regions", "branches", "functions")}
    for entry in data["functions"]:
        name = own(root, entry["filenames"][0])
        if not name:
            continue
        # Regions: line, column, line, column, count, file, expanded file, kind; 0 is code.
        code = {tuple(r[:4]): r[4] for r in entry["regions"] if r[7] == 0 and r[5] == 0}
        key = name + ":" + re.sub(r"^.*:", "", entry["name"])
        known = functions.setdefault(key, {"line": entry["regions"][0][0], "code": {}})
        for place, count in code.items():
            known["code"][place] = max(known["code"].get(place, 0), count)
    return files, {key: {"line": value["line"],
                         "regions": [sum(c > 0 for c in value["code"].values()),
                                     len(value["code"])],
                         "missed": sorted({p[0] for p, c in value["code"].items() if not c})}
                   for key, value in functions.items()}


def groups(tree, functions):
    """What fuzz/coverage-goals.json names: the sum of its functions, beside its goal."""
    path = os.path.join(tree.root, GROUPS)
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8") as f:
        wanted = json.load(f)["groups"]
    out = []
    for group in wanted:
        chosen = {k: v for k, v in functions.items() if any(
            fnmatch.fnmatch(k, pattern) for pattern in group["functions"])}
        covered = sum(v["regions"][0] for v in chosen.values())
        count = sum(v["regions"][1] for v in chosen.values())
        out.append({"name": group["name"], "goal": group["goal"], "covered": covered,
                    "count": count, "functions": sorted(chosen)})
    return out


def built(targets):
    """Those that can be measured."""
    out = [t for t in targets if t.program("cov")]
    if not out:
        raise Error("no target is built for coverage; make fuzz-coverage builds them")
    return out


def measure(folder, tree, targets, html, say):
    """Makes DIR/coverage/ and DIR/coverage.json of built targets, and returns what is in the
    latter."""
    profiles, bad = [], {}
    for target in targets:
        say(f"{target.name}: replays its corpus")
        replay = Replay(folder, target)
        profile = replay.run()
        if profile:
            profiles.append(profile)
        if replay.bad:
            bad[target.name] = replay.bad
    out = folder.make("coverage")
    merged = os.path.join(out, "all.profdata")
    run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged, *profiles])
    programs = [targets[0].program("cov")]
    for target in targets[1:]:
        programs += ["-object", target.program("cov")]
    exported = os.path.join(out, "export.json")
    with open(exported, "wb") as f:
        run([tool("llvm-cov"), "export", "-instr-profile", merged, *programs], f)
    files, functions = read_export(tree.root, exported)
    os.unlink(exported)
    if html:
        say("writes pages")
        run([tool("llvm-cov"), "show", "-format=html",
             f"-output-dir={folder.fresh('coverage/html')}",
             "-ignore-filename-regex=(^|/)(fuzz|tests)/|^/usr/", "-instr-profile", merged,
             *programs])
    result = {"targets": [t.name for t in targets], "left_out": bad, "files": files,
              "functions": functions, "groups": groups(tree, functions)}
    folder.write(RESULT, result)
    return result


def percent(pair):
    return 100 * pair[0] / pair[1] if pair[1] else 100.0


def table(result, by_function):
    """Lines for a person: files or functions, and what was not reached."""
    out = [f"{'file':44} {'lines':>7} {'regions':>8} {'branches':>9}  not reached"]
    for name, file in sorted(result["files"].items()):
        dark = [k.split(":")[1] for k, f in sorted(result["functions"].items())
                if k.startswith(name + ":") and not f["regions"][0]]
        out.append(f"{name:44} {percent(file['lines']):6.1f}% {percent(file['regions']):7.1f}% "
                   f"{percent(file['branches']):8.1f}%  {', '.join(dark)}")
    if by_function:
        out += ["", f"{'function':60} {'regions':>8}  lines not reached"]
        for key, f in sorted(result["functions"].items()):
            missed = ",".join(map(str, f["missed"][:12])) + ("..." if len(f["missed"]) > 12 else "")
            out.append(f"{key:60} {percent(f['regions']):7.1f}%  {missed}")
    for group in result["groups"]:
        if group["count"]:
            reached = 100 * group["covered"] / group["count"]
            mark = "reached" if reached >= group["goal"] else "not reached"
            out.append(f"{group['name']}: {reached:.1f} % of {len(group['functions'])} functions' "
                       f"regions, goal {group['goal']} %: {mark}")
        else:
            out.append(f"{group['name']}: none of the programs has such functions")
    for name, count in sorted(result["left_out"].items()):
        out.append(f"{name}: {count} inputs ended the program and are left out")
    return out
