# SPDX-License-Identifier: Apache-2.0
"""The loaded module in the emulated host (tests/lab), fuzzed by the program fuzz_ioctl there: boots
it, follows what it says, and keeps the last inputs. What comes from the host is matched line
by line and shown without control characters."""
import collections
import os
import re
import signal
import subprocess
import sys
import tempfile

from . import Error

KEEP = 16                 # of the last inputs
WAIT = 240                # seconds for the boot and its end
INPUT = re.compile(r"^# (input|found by) (\d{1,18}): ([0-9a-f]{0,65536})$")
FIND = re.compile(r"^# find: (.{1,300})")
BAD = re.compile(r"^(  FAIL|        (?!\|))")


def plain(text):
    return "".join(c if c.isprintable() else "?" for c in text)


class Session:
    """What one boot's output says."""

    def __init__(self, say):
        self.say = say
        self.last = collections.deque(maxlen=KEEP)
        self.found = []           # number, input, what
        self.failures = []
        self.executions = 0
        self.find = None

    def line(self, text):
        given = INPUT.match(text)
        find = FIND.match(text)
        if given and given.group(1) == "input":
            self.executions = int(given.group(2))
            self.last.append((self.executions, bytes.fromhex(even(given.group(3)))))
        elif given:
            self.found.append((int(given.group(2)), bytes.fromhex(even(given.group(3))),
                               self.find or "?"))
            self.find = None
        elif find:
            self.find = plain(find.group(1))
            self.say("find: " + self.find)
        elif BAD.match(text):
            self.failures.append(plain(text.strip()))
            self.say(plain(text.rstrip()))
        elif text.startswith(("# ", "sim: ", "        | kernel: ", "        | host: ")):
            self.say(plain(text.rstrip()))


def even(digits):
    """A line may be cut where the host died."""
    return digits[:len(digits) // 2 * 2]


def host_of(tree):
    """The lab's host: with the kernel that watches itself and tells coverage, where it was built."""
    built = os.path.exists(os.path.join(tree.build, "kernel/sanitized/bawn.ko"))
    return "sanitized" if built else "svm"


def kernel_of(tree, host):
    """For which kernel the module was built; the lab boots that one."""
    flavour = "sanitized" if host == "sanitized" else "cloud"
    module = os.path.join(tree.build, "kernel", flavour, "bawn.ko")
    for path in (module, os.path.join(tree.build, "lab/tests/fuzz_ioctl"),
                 os.path.join(tree.build, "lab/fuzz/made")):
        if not os.path.exists(path):
            raise Error(f"{path}: not built; make module lab-programs builds it")
    done = subprocess.run(["modinfo", "-F", "vermagic", module], capture_output=True, text=True,
                          check=False)
    if done.returncode or not done.stdout.split():
        raise Error(f"{module}: modinfo does not say for which kernel it is")
    return done.stdout.split()[0]


def script(inputs, seconds, execs, seed):
    """What the host runs."""
    lines = ["#!/bin/sh"]
    for i, path in enumerate(inputs):
        path = os.path.abspath(path)
        if not os.path.isfile(path) or len(path.split()) != 1:
            raise Error(f"{path}: no file, or a blank in its name")
        lines.append(f"# needs-as: {path} given/{i:06}")
    options = ["--corpus", "/lab/given" if inputs else "/lab/fuzz/corpus",
               "--dict", "/lab/fuzz/words", "--seed", str(seed)]
    if execs is not None:
        options += ["--execs", str(execs)]
    if seconds:
        options += ["--time", str(seconds)]
    lines.append('exec /lab/tests/fuzz_ioctl "$1" ' + " ".join(options))
    return "\n".join(lines) + "\n"


def put(folder, name, data):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def run(tree, host, out, inputs, seconds, execs, seed, say):
    """The session. Its last inputs are in out as last-NUMBER when something failed, those of finds
    as find-NUMBER."""
    kernel = kernel_of(tree, host)
    limit = (seconds or execs or 0) + len(inputs) * 10 + WAIT
    session = Session(say)
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "fuzz-lab.sh")
        with open(path, "w", encoding="utf-8") as f:
            f.write(script(inputs, seconds, execs, seed))
        os.chmod(path, 0o755)
        with subprocess.Popen(
                [sys.executable, os.path.join(tree.root, "tests/lab/lab"), "--kernel", kernel,
                 "--host", host, "--accel", "bawn", "--seconds", str(limit), "script", path],
                cwd=tree.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                env=dict(os.environ, BAWN_BUILD=os.path.abspath(tree.build)), text=True,
                errors="replace", start_new_session=True) as lab:
            try:
                for line in lab.stdout:
                    session.line(line.rstrip("\n"))
            except BaseException:
                lab.send_signal(signal.SIGINT)  # upon which it ends its host
                raise
        if lab.returncode and not session.failures:
            session.failures.append(f"the lab ended with status {lab.returncode}")
    if session.failures or session.found:
        os.makedirs(out, exist_ok=True)
        for number, data in session.last:
            put(out, f"last-{number:06}", data)
        for number, data, _ in session.found:
            put(out, f"find-{number:06}", data)
    return session
