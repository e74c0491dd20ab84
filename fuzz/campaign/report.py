# SPDX-License-Identifier: Apache-2.0
"""The report for a compliance file: what was fuzzed, how long, by what, on what machine, what was
reached and what was found. The same as JSON and as Markdown."""
import os
import platform
import re
import shutil
import subprocess
import time

from . import cover
from . import finds
from . import runner


def when(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None


def first_line(command, pattern):
    """What a tool says of its version."""
    if not shutil.which(command[0]):
        return None
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(pattern, done.stdout + done.stderr)
    return match.group(1) if match else None


def tools():
    return {"AFL++": first_line(["afl-fuzz", "-h"], r"afl-fuzz\+\+(\d[\w.]*)"),
            "clang": first_line(["clang", "--version"], r"version (\S+)"),
            "llvm-cov": first_line(["llvm-cov", "--version"], r"version (\S+)"),
            "Python": platform.python_version()}


def machine():
    """The kind of machine, not its name."""
    model = None
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            match = re.search(r"^model name\s*: (.*)$", f.read(), re.MULTILINE)
        model = match.group(1) if match else None
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return {"cpu": model, "cores": runner.cores(), "memory_mib": memory,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}"}


def make(folder, tree, targets):
    try:
        state = folder.read(runner.STATE)
    except FileNotFoundError:
        state = {"targets": {}, "runs": []}
    rows = runner.status(folder, targets)
    try:
        coverage = folder.read(cover.RESULT)
    except FileNotFoundError:
        coverage = None
    found = finds.load(folder)
    keep = ("target", "seconds", "executions", "executions_per_second", "edges", "edges_total",
            "stability")
    out = {
        "format": "bawn-fuzz report 1", "made": when(time.time()), "commit": tree.commit(),
        "tools": tools(), "machine": machine(),
        "runs": [{"started": when(r["started"]), "ended": when(r["ended"]),
                  "targets": len(r["targets"])} for r in state["runs"]],
        "core_seconds": round(sum(r["seconds"] for r in rows), 1),
        "executions": sum(r["executions"] for r in rows),
        "targets": [{k: r[k] for k in keep} | {"instances": sorted(r["instances"])}
                    for r in rows],
        "coverage": None,
        "finds": [{k: f[k] for k in ("name", "target", "class", "what", "frames", "state",
                                     "found_by", "size", "minimised")}
                  | {"found": when(f["found"]), "reproduce": finds.command(folder, targets, f)}
                  for f in found]}
    if coverage:
        total = {what: [sum(f[what][i] for f in coverage["files"].values()) for i in (0, 1)]
                 for what in ("lines", "regions", "branches", "functions")}
        dark = sorted(k for k, f in coverage["functions"].items() if not f["regions"][0])
        out["coverage"] = {"total": total, "files": coverage["files"], "not_reached": dark,
                           "groups": [{k: g[k] for k in ("name", "goal", "covered", "count")}
                                      for g in coverage["groups"]]}
    return out


def row(*cells):
    return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"


def markdown(r):
    out = ["# Fuzzing report", "", f"Made {r['made']} of commit {r['commit'] or 'unknown'}"
           + (" (a + says that files differed from it)" if (r["commit"] or "")[-1:] == "+" else "")
           + ".", "",
           row("what", "value"), row("---", "---"),
           row("budget spent", f"{r['core_seconds'] / 3600:.2f} core-hours"),
           row("executions", f"{r['executions']:,}"),
           row("runs", len(r["runs"])),
           row("first start", min((x["started"] for x in r["runs"]), default="never")),
           row("last end", max((x["ended"] or "" for x in r["runs"]), default="never"))]
    out += [row(name, version or "not there") for name, version in r["tools"].items()]
    m = r["machine"]
    out += [row("machine", f"{m['cpu']}, {m['cores']} cores, {m['memory_mib']} MiB, "
                           f"{m['system']}"),
            "", "## Targets", "",
            row("target", "core seconds", "executions", "per second", "edges", "stability"),
            row(*["---"] * 6)]
    for t in r["targets"]:
        edges = f"{t['edges']} of {t['edges_total']}" if t["edges_total"] else t["edges"]
        stable = f"{t['stability']} %" if t["stability"] is not None else ""
        out.append(row(t["target"], t["seconds"], f"{t['executions']:,}",
                       f"{t['executions_per_second']:,}", edges, stable))
    out += ["", "## Finds", ""]
    if r["finds"]:
        out += [row("name", "class", "state", "first frame", "found"), row(*["---"] * 5)]
        out += [row(f["name"], f["class"], f["state"], (f["frames"] or [f["what"]])[0],
                    f["found"]) for f in r["finds"]]
        out += ["", "To see one:", ""]
        out += [f"- {f['name']}: `{f['reproduce']}`" for f in r["finds"] if f["reproduce"]]
    else:
        out.append("None.")
    out += ["", "## Coverage", ""]
    c = r["coverage"]
    if not c:
        return "\n".join(out + ["Not measured (bawn-fuzz coverage).", ""])
    out += [row("part", "lines", "regions", "branches"), row(*["---"] * 4)]
    for name, f in [("all", c["total"])] + sorted(c["files"].items()):
        out.append(row(name, *(f"{cover.percent(f[w]):.1f} %"
                               for w in ("lines", "regions", "branches"))))
    for g in c["groups"]:
        out += ["", f"{g['name']}: {cover.percent([g['covered'], g['count']]):.1f} % of regions, "
                    f"goal {g['goal']} %."] if g["count"] else []
    out += ["", "Functions that were not reached:", ""]
    out += [f"- {name}" for name in c["not_reached"]] or ["- none"]
    return "\n".join(out + [""])
