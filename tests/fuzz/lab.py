#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of bawn-fuzz lab: what it makes of a lab's output, and what it has the host run. The lab here
is a script; the lab test fuzz_ioctl runs the program itself."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
COMMAND = os.path.join(ROOT, "fuzz/bawn-fuzz")
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Tree:
    """A source tree whose lab prints a text and keeps what it was asked to run."""

    def __init__(self, root, text, status=0):
        self.root = root
        for name in ("mk/fuzz.mk", "fuzz/kernel/ioctl.c", "build/lab/tests/fuzz_ioctl",
                     "build/lab/fuzz/made",
                     "build/kernel/cloud/bawn.ko", "bin/modinfo", "tests/lab/lab", "said"):
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            self.put(name, "")
        self.put("said", text)
        self.put("bin/modinfo", "#!/bin/sh\necho 6.1.0-9-cloud-amd64 SMP\n")
        os.chmod(os.path.join(root, "bin/modinfo"), 0o755)
        self.put("tests/lab/lab", "import os, shutil, sys\n"
                 "assert os.access(sys.argv[-1], os.X_OK)\n"
                 "shutil.copy(sys.argv[-1], 'ran')\nopen('asked', 'w').write(' '.join(sys.argv))\n"
                 f"sys.stdout.write(open('said').read())\nsys.exit({status})\n")

    def put(self, name, text):
        with open(os.path.join(self.root, name), "w", encoding="utf-8") as f:
            f.write(text)

    def get(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as f:
            return f.read()

    def run(self, *options):
        path = os.path.join(self.root, "bin") + ":" + os.environ["PATH"]
        return subprocess.run([COMMAND, "--tree", self.root, "lab", *options], text=True,
                              capture_output=True, env=dict(os.environ, PATH=path), timeout=60,
                              check=False)


def inputs(n):
    return "".join(f"# input {i}: {i:04x}\n" for i in range(1, n + 1))


@test
def quiet(root):
    """a run without a failure is status 0, and leaves nothing"""
    tree = Tree(root, inputs(30) + "ok 1 - the corpus\n  ok    fuzz-lab.sh  3 passed\n")
    done = tree.run("--execs", "20", "--seed", "9")
    assert done.returncode == 0, done
    assert "30 executions, 0 finds; nothing failed" in done.stdout, done.stdout
    assert not os.path.exists(os.path.join(root, "build/fuzz/lab"))
    assert "--execs 20" in tree.get("ran") and "--seed 9" in tree.get("ran")
    assert "--time" not in tree.get("ran")
    assert "--kernel 6.1.0-9-cloud-amd64 --host svm --accel bawn" in tree.get("asked")


@test
def sanitized(root):
    """the sanitized host is taken when its module was built, or by name"""
    tree = Tree(root, inputs(1))
    done = tree.run("--host", "sanitized")
    assert done.returncode == 2 and "kernel/sanitized/bawn.ko: not built" in done.stderr, done
    os.makedirs(os.path.join(root, "build/kernel/sanitized"))
    tree.put("build/kernel/sanitized/bawn.ko", "")
    assert tree.run().returncode == 0 and "--host sanitized" in tree.get("asked")
    assert tree.run("--host", "svm").returncode == 0 and "--host svm" in tree.get("asked")


@test
def panics(root):
    """a host that dies leaves the last inputs, the very last one cut"""
    tree = Tree(root, inputs(40) + "# input 41: abc\n  FAIL  fuzz-lab.sh  0 passed\n"
                "        kernel log: [1.0] BUG: unable\x1b[1m to handle\n"
                "        the host died during this test\n", 1)
    done = tree.run("--time", "2m")
    assert done.returncode == 1, done
    assert "kernel log: [1.0] BUG: unable?[1m to handle" in done.stdout, done.stdout
    assert "--time 120" in tree.get("ran")
    kept = sorted(os.listdir(os.path.join(root, "build/fuzz/lab")))
    assert kept == [f"last-{i:06}" for i in range(26, 42)], kept
    with open(os.path.join(root, "build/fuzz/lab/last-000041"), "rb") as f:
        assert f.read() == b"\xab"


@test
def finds(root):
    """a find is named with its input, and in JSON"""
    tree = Tree(root, inputs(3) + "# find: mp: byte 0 was 1\n# found by 3: 0003\n" + inputs(0), 1)
    done = tree.run("--json")
    assert done.returncode == 1, done
    made = json.loads(done.stdout)
    assert made["finds"] == [{"input": "0003", "number": 3, "what": "mp: byte 0 was 1"}], made
    assert made["failures"] and made["executions"] == 3, made
    assert os.path.exists(os.path.join(root, "build/fuzz/lab/find-000003"))


@test
def again(root):
    """given inputs go to the host, and are run alone"""
    tree = Tree(root, inputs(1))
    given = os.path.join(root, "one")
    tree.put("one", "x")
    assert tree.run("--inputs", given).returncode == 0
    assert f"# needs-as: {given} given/000000" in tree.get("ran"), tree.get("ran")
    assert "--execs 0" in tree.get("ran") and "--corpus /lab/given" in tree.get("ran")
    done = tree.run("--inputs", os.path.join(root, "none"))
    assert done.returncode == 2 and "no file" in done.stderr, done


@test
def stopped(root):
    """a signal ends the lab too, which ends its host"""
    tree = Tree(root, "")
    tree.put("tests/lab/lab", "import time\nprint('# here', flush=True)\ntry:\n    time.sleep(60)\n"
             "finally:\n    open('ended', 'w').close()\n")
    env = dict(os.environ, PATH=os.path.join(root, "bin") + ":" + os.environ["PATH"])
    with subprocess.Popen([COMMAND, "--tree", root, "lab"], stdout=subprocess.PIPE, env=env,
                          stderr=subprocess.DEVNULL) as done:
        assert done.stdout.readline() == b"# here\n"
        done.terminate()
        assert done.wait(30) == 130, done.returncode
    assert os.path.exists(os.path.join(root, "ended"))


@test
def unbuilt(root):
    """what is not built is said, with what builds it"""
    tree = Tree(root, "")
    os.unlink(os.path.join(root, "build/lab/tests/fuzz_ioctl"))
    done = tree.run()
    assert done.returncode == 2 and "make module lab-programs" in done.stderr, done


def main():
    print(f"1..{len(TESTS)}", flush=True)
    failed = 0
    for number, function in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as root:
            try:
                function(os.path.realpath(root))
                print(f"ok {number} - {function.__doc__}", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print(f"# {error!r}\nnot ok {number} - {function.__doc__}", flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
