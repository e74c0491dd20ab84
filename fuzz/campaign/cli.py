# SPDX-License-Identifier: Apache-2.0
"""The command line. Exit status: 0 done, 1 done and there are finds (triage) or instances that did
not run (run), 2 wrong use or something is missing, 130 interrupted."""
import argparse
import json
import os
import signal
import sys
import time

from . import Error
from . import corpus
from . import cover
from . import engine
from . import finds
from . import lab
from . import report
from . import runner
from .folder import Folder
from .tree import Tree


def say(text):
    print(text, flush=True)


def put_json(value):
    print(json.dumps(value, indent=1, sort_keys=True))


def ago(then):
    if not then:
        return "never"
    left = max(0, int(time.time() - then))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if left >= 2 * size:
            return f"{left // size} {unit}"
    return f"{left} s"


# ---- Commands: each has the parsed options, the tree and the folder, and gives the status ----

def do_list(o, tree, _):
    rows = []
    for target in tree.choose(o.targets):
        dictionary = target.dictionary()
        rows.append({"target": target.name, "description": target.description(),
                     "built": target.variants(), "instances": engine.kinds(target),
                     "seeds": len({bytes(s) for s in target.seeds()}),
                     "regressions": len(target.regressions()),
                     "dictionary": os.path.relpath(dictionary, tree.root) if dictionary else None})
    if o.json:
        put_json(rows)
        return 0
    for r in rows:
        say(f"{r['target']:20} {r['description']}")
        say(f"{'':20}   built: {' '.join(r['built']) or 'not'}; seeds: {r['seeds']}; past finds: "
            f"{r['regressions']}; dictionary: {r['dictionary'] or 'none'}")
    return 0


def do_run(o, tree, folder):
    known = folder.exists()
    if known and not o.resume and os.path.exists(folder.sub(runner.STATE)):
        raise Error(f"{folder.path}: has a campaign already; --resume goes on with it, --dir "
                    "names another folder")
    chosen = tree.choose(o.targets)
    missing = [t.name for t in chosen if not engine.kinds(t)]
    if missing and (o.targets or len(missing) == len(chosen)):
        raise Error(f"{', '.join(missing)}: not built; make fuzz-mix builds all targets")
    folder.create()
    with folder.locked():
        for name in missing:
            say(f"{name}: not built, left out")
        campaign = runner.Runner(folder, chosen, o.jobs, o.seed, say)
        if o.budget or o.execs or not known or not campaign.state["targets"]:
            campaign.plan(o.budget or (None if o.execs else 60), o.execs)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, campaign.stop)
        if not engine.have_afl():
            say("afl-fuzz is not there: libFuzzer alone, in fork mode")
        last = [time.monotonic()]

        def tick(c):
            if time.monotonic() - last[0] >= 30:
                last[0] = time.monotonic()
                seconds, execs = c.spent()
                say(f"{seconds:.0f} s of a core, {execs:,} executions; now: "
                    f"{' '.join(sorted(s.instance.name for s in c.running))}")
            return False
        campaign.run(tick)
        seconds, execs = campaign.spent()
        rows = runner.status(folder, chosen)
        count, hangs = sum(r["finds"] for r in rows), sum(r["hangs"] for r in rows)
        say(f"{len(chosen) - len(missing)} targets, {seconds:.0f} s of a core, {execs:,} "
            f"executions, {count} inputs kept as finds, {hangs} as hangs"
            + ("; bawn-fuzz triage looks at them" if count + hangs else ""))
        for failure in campaign.failures:
            print(f"bawn-fuzz: {failure}", file=sys.stderr)
        if campaign.stopping:
            say("stopped; bawn-fuzz run --resume goes on")
            return 130
        return 1 if campaign.failures else 0


def status_lines(rows):
    out = [f"{'target':20} {'core s':>8} {'execs':>13} {'per s':>8} {'edges':>13} {'stable':>7} "
           f"{'finds':>6} {'hangs':>6}  last new"]
    for r in rows:
        edges = f"{r['edges']}/{r['edges_total']}" if r["edges_total"] else str(r["edges"])
        stable = f"{r['stability']:.1f}%" if r["stability"] is not None else "-"
        out.append(f"{r['target']:20} {r['seconds']:8.0f} {r['executions']:13,} "
                   f"{r['executions_per_second']:8,} {edges:>13} {stable:>7} {r['finds']:6} "
                   f"{r['hangs']:6}  {ago(r['last_new'])}")
        out += [f"{'':20} {kind} does not run: {i['error']}"
                for kind, i in sorted(r["instances"].items()) if i["error"]]
    return out


def do_status(o, tree, folder):
    folder.need()
    while True:
        rows = runner.status(folder, tree.choose(o.targets))
        if o.json:
            print(json.dumps(rows, sort_keys=True) if o.watch
                  else json.dumps(rows, indent=1, sort_keys=True), flush=True)
        else:
            say(("\x1b[H\x1b[2J" if o.watch and sys.stdout.isatty() else "")
                + "\n".join(status_lines(rows)))
        if not o.watch:
            return 0
        time.sleep(o.interval)


def do_triage(o, tree, folder):
    folder.need()
    with folder.locked():
        targets = tree.choose(o.targets)
        triage = finds.Triage(folder, targets, o.minimise, o.jobs).run()
        every = finds.load(folder)
        names = {t.name for t in targets}
        found = [dict(f, reproduce=finds.command(folder, targets, f)) for f in every
                 if f["target"] in names]
    if o.json:
        put_json(found)
    else:
        for f in found:
            small = f"{f['size']} bytes" if f["minimised"] is None else \
                f"{f['size']} bytes, {f['minimised']} minimised"
            say(f"{f['name']}: {f['state']}, {f['class']}: {f['what']}")
            say(f"  {' < '.join(f['frames'][:4]) or 'no stack'}")
            say(f"  {f['inputs']} inputs, {small}, found by {f['found_by']}")
            say(f"  {f['reproduce'] or 'its program is not built'}")
        say(f"{len(found)} finds, {sum(f['state'] == 'open' for f in found)} open")
        if triage.skipped:
            say(f"{triage.skipped} more inputs were not looked at; fix these finds first")
    return 1 if any(f["state"] in ("open", "unstable") for f in found) else 0


def do_coverage(o, tree, folder):
    targets = cover.built(tree.choose(o.targets))
    folder.create()
    with folder.locked():
        result = cover.measure(folder, tree, targets, not o.no_html,
                               (lambda text: None) if o.json else say)
    if o.json:
        put_json(result)
    else:
        say("\n".join(cover.table(result, o.functions)))
        if not o.no_html:
            say(f"pages: {folder.path}/coverage/html/index.html")
    return 0


def do_report(o, tree, folder):
    folder.need()
    with folder.locked():
        made = report.make(folder, tree, tree.choose(o.targets))
        folder.write("report.json", made)
        folder.put("report.md", report.markdown(made).encode())
    if o.json:
        put_json(made)
    else:
        say(report.markdown(made).rstrip())
        print(f"bawn-fuzz: also in {folder.path}/report.json and report.md", file=sys.stderr)
    return 0


def do_cmin(o, tree, folder):
    folder.need()
    with folder.locked():
        for target in tree.choose(o.targets):
            if engine.corpora(folder, target):
                before, after = corpus.merge(folder, target)
                say(f"{target.name}: {before} inputs, {after} reach as much: "
                    f"{folder.path}/{target.name}/corpus")
    return 0


def do_import(o, tree, folder):
    target = tree.choose([o.target])
    if len(target) != 1:
        raise Error(f"{o.target}: names {len(target)} targets; import is into one")
    folder.create()
    with folder.locked():
        taken, known, long = corpus.take(folder, target[0], o.paths)
    say(f"{target[0].name}: {taken} inputs taken, {known} known before, {long} above "
        f"{engine.MAX_LEN} bytes left out")
    return 0


def do_lab(o, tree, _):
    seconds = None if o.time is None else int(o.time)
    if seconds is None and o.execs is None and not o.inputs:
        seconds = 60
    execs = 0 if o.inputs and o.execs is None and seconds is None else o.execs
    out = o.out or os.path.join(tree.build, "fuzz/lab")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    s = lab.run(tree, o.host or lab.host_of(tree), out, o.inputs, seconds, execs, o.seed,
                (lambda text: None) if o.json else say)
    made = {"executions": s.executions, "failures": s.failures,
            "finds": [{"input": data.hex(), "number": n, "what": what}
                      for n, data, what in s.found],
            "last": [{"input": data.hex(), "number": n} for n, data in s.last]}
    if o.json:
        put_json(made)
        return 1 if s.failures or s.found else 0
    say(f"{s.executions:,} executions, {len(s.found)} finds; "
        + ("nothing failed" if not s.failures else "the run failed:"))
    for failure in s.failures:
        say("  " + failure)
    if s.failures or s.found:
        for n, data in list(s.last)[-4:]:
            say(f"input {n}: {data.hex()}")
        say(f"the last inputs are {out}/last-*, those of finds {out}/find-*; bawn-fuzz lab --inputs "
            "FILE... runs them again")
    return 1 if s.failures or s.found else 0


# ---- Options ----

def budget(text):
    try:
        return runner.parse_time(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 90, 90s, 10m, 2h or 1d") \
            from None


def count(least, most):
    def parse(text):
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)
    return parse


def parser():
    p = argparse.ArgumentParser(
        prog="bawn-fuzz", allow_abbrev=False,
        description="Fuzzing campaigns of Bawn's targets, on one machine and without a network.",
        epilog="Exit status: 0 done; 1 there are open finds (triage), or an instance did not run "
               "(run); 2 wrong use, or something is missing; 130 stopped by a signal.")
    p.add_argument("--tree", metavar="DIR", help="the source tree (this one, or the one around "
                                                 "the current folder)")
    p.add_argument("--build", metavar="DIR", help="what was built of it (TREE/build)")
    commands = p.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name, function, text, targets=True, json_too=True, jobs=False):
        c = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        c.set_defaults(function=function)
        if name != "list":
            c.add_argument("--dir", metavar="DIR", help="the campaign's folder "
                                                        "(BUILD/fuzz/campaign)")
        if targets:
            c.add_argument("--targets", nargs="+", metavar="NAME", default=[],
                           help="these alone; a * stands for anything")
        if json_too:
            c.add_argument("--json", action="store_true", help="for a machine")
        if jobs:
            c.add_argument("--jobs", type=count(1, 1024), default=runner.cores(), metavar="N",
                           help="processes at a time (as many as cores)")
        return c

    command("list", do_list, "Say what there is to fuzz, and what is built of it.")
    c = command("run", do_run, "Fuzz. A budget is time of one core, or executions, of each "
                               "target, shared by its instances.", json_too=False, jobs=True)
    which = c.add_mutually_exclusive_group()
    which.add_argument("--budget", type=budget, metavar="TIME",
                       help="90, 90s, 10m, 2h, 1d (60s); with --resume that much more")
    which.add_argument("--execs", type=count(1, 10 ** 15), metavar="N",
                       help="executions in place of a time")
    c.add_argument("--resume", action="store_true",
                   help="go on with what is in the folder; starts anew where there is nothing")
    c.add_argument("--seed", type=count(0, 2 ** 31 - 2), metavar="N",
                   help="of the fuzzers' random choices (another one each time)")
    c = command("status", do_status, "Say how far each target is, also while it runs.")
    c.add_argument("--watch", action="store_true", help="again and again")
    c.add_argument("--interval", type=count(1, 3600), default=2, metavar="S",
                   help="seconds between (2)")
    c = command("triage", do_triage, "Reproduce what was found, say which are the same, make them "
                                     "small, and name their classes.", jobs=True)
    c.add_argument("--minimise", type=count(0, 86400), default=20, metavar="S",
                   help="seconds to make each find small in; 0: not (20)")
    c = command("coverage", do_coverage, "Say what the corpora reach of the sources, and what not.")
    c.add_argument("--functions", action="store_true", help="a line for each function too")
    c.add_argument("--no-html", action="store_true", help="no pages")
    command("report", do_report, "Write what was done and found, as JSON and Markdown.")
    command("cmin", do_cmin, "Merge each target's corpora into the least that reaches as much.",
            json_too=False)
    c = commands.add_parser("lab", allow_abbrev=False, help="Fuzz the loaded module in the lab.",
                            description="Boot the emulated host, load the module, and fuzz it "
                            "there by kernel-ioctl on real system calls.")
    c.set_defaults(function=do_lab)
    c.add_argument("--execs", type=count(0, 10 ** 9), metavar="N",
                   help="mutated inputs after the corpus")
    c.add_argument("--time", type=budget, metavar="TIME",
                   help="of the machine, as for run's --budget (60s)")
    c.add_argument("--seed", type=count(1, 2 ** 31), default=1, metavar="N",
                   help="of the random choices (1)")
    c.add_argument("--host", choices=("svm", "sanitized"),
                   help="the lab's host (sanitized where its kernel was built, else svm)")
    c.add_argument("--inputs", nargs="+", metavar="FILE", default=[],
                   help="these in place of seeds and past finds; alone, without --execs or --time")
    c.add_argument("--out", metavar="DIR", help="where inputs go that are to be looked at "
                                                "(BUILD/fuzz/lab)")
    c.add_argument("--json", action="store_true", help="for a machine")
    c = command("import", do_import, "Take inputs into a target's corpus.", False, False)
    c.add_argument("target", metavar="TARGET")
    c.add_argument("paths", nargs="+", metavar="PATH", help="files, or folders of them")
    return p


def find_tree(given):
    """The tree that was named, that this script is in, or around the current folder."""
    if given:
        return given
    beside = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    here = os.getcwd()
    while True:
        if os.path.isfile(os.path.join(here, "mk/fuzz.mk")):
            return here
        if here == "/":
            break
        here = os.path.dirname(here)
    if os.path.isfile(os.path.join(beside, "mk/fuzz.mk")):
        return beside
    raise Error("this is not in Bawn's source tree; go there, or name it by --tree")


def main(arguments):
    o = parser().parse_args(arguments)
    try:
        root = find_tree(o.tree)
        tree = Tree(root, o.build or os.path.join(root, "build"))
        folder = Folder(getattr(o, "dir", None) or os.path.join(tree.build, "fuzz/campaign"))
        return o.function(o, tree, folder)
    except Error as e:
        print(f"bawn-fuzz: {e}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as e:
        print(f"bawn-fuzz: {e.filename or ''}: {e.strerror or e}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2
