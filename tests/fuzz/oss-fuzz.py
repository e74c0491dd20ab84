#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of fuzz/oss-fuzz: its build.sh builds what OSS-Fuzz wants to find, with the variables that
it sets."""
import os
import subprocess
import sys
import tempfile
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
from points import run_all, test  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
HERE = os.path.join(ROOT, "fuzz/oss-fuzz")
TARGET = "corim-corim"
FLAGS = "-O1 -fno-omit-frame-pointer -gline-tables-only -fsanitize=address,undefined"


@test
def builds(out):
    """build.sh builds a target with the environment's compiler, flags and engine"""
    env = dict(os.environ, CC="clang", CXX="clang++", CFLAGS=FLAGS + " -fsanitize=fuzzer-no-link",
               CXXFLAGS=FLAGS + " -fsanitize=fuzzer-no-link",
               LIB_FUZZING_ENGINE="-fsanitize=fuzzer", OUT=os.path.join(out, "out"),
               WORK=os.path.join(out, "work"), SRC="/nonexistent", BAWN_TARGETS=TARGET)
    # The make that may have started this test has its own variables.
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        env.pop(name, None)
    os.mkdir(env["OUT"])
    os.mkdir(env["WORK"])
    done = subprocess.run([os.path.join(HERE, "build.sh")], env=env, cwd=out, timeout=100,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    names = set(os.listdir(env["OUT"]))
    assert {TARGET, TARGET + "_seed_corpus.zip", TARGET + ".options", "tests"} <= names, names


@test
def runs(out):
    """what it built runs on its seeds where nothing else is"""
    folder = os.path.join(out, "out")
    with zipfile.ZipFile(os.path.join(folder, TARGET + "_seed_corpus.zip")) as z:
        seeds = z.namelist()
        z.extractall(os.path.join(out, "seeds"))
    assert seeds and not any(os.path.dirname(n) for n in seeds), seeds
    done = subprocess.run([os.path.join(folder, TARGET), "-runs=500", "-seed=1",
                           os.path.join(out, "seeds")], cwd=folder, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0 and "Done 5" in done.stderr, done.stderr[-2000:]


@test
def says_what_it_lacks(out):
    """build.sh refuses to guess what OSS-Fuzz did not say"""
    done = subprocess.run([os.path.join(HERE, "build.sh")], env={"PATH": os.environ["PATH"]},
                          cwd=out, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "CC" in done.stderr, done.stderr


@test
def copies(_):
    """the Dockerfile copies what is there, and the project file has what is asked for"""
    with open(os.path.join(HERE, "Dockerfile"), encoding="ascii") as f:
        sources = [line.split()[1] for line in f if line.startswith("COPY ")]
    assert sources and all(os.path.exists(os.path.join(ROOT, s)) for s in sources), sources
    with open(os.path.join(HERE, "project.yaml"), encoding="ascii") as f:
        text = f.read()
    for name in ("homepage:", "language: c", "primary_contact:", "fuzzing_engines:", "sanitizers:"):
        assert name in text, name


def main():
    with tempfile.TemporaryDirectory() as out:
        return run_all(out)


if __name__ == "__main__":
    sys.exit(main())
