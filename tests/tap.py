#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads TAP and counts it. As a program: tap.py STEP PROGRAM... runs test programs and reports.

A program fails as a whole when its plan is missing or wrong, or its exit status is not 0
although every point passed. Counts go to $BAWN_RESULTS/STEP when that is set.
"""
import os
import re
import subprocess
import sys
import tempfile

POINT = re.compile(r"^(not )?ok\b[ \t]*(\d*)(.*)$")
TIMEOUT = int(os.environ.get("TAP_TIMEOUT", "120"))  # seconds, of one program
PLAN = re.compile(r"^1\.\.(\d+)")


class Result:
    """What one program's TAP said: counts, and a line for each failure."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.skipped = 0
        self.points = 0
        self.failures = []
        self.plan = None

    def line(self, text):
        plan = PLAN.match(text)
        point = POINT.match(text)
        self.points += point is not None
        if plan:
            self.plan = (self.plan or 0) + int(plan.group(1))  # of each of its groups
        elif point and not point.group(1):
            self.passed += 1
            self.skipped += "# SKIP" in point.group(3).upper()
        elif point:
            self.failures.append(point.group(3).lstrip(" -") or "point " + point.group(2))

    def end(self, status):
        if self.plan is None:
            self.failures.append(f"no TAP plan, exit status {status}")
        elif self.plan != self.points:
            self.failures.append(f"{self.points} points of {self.plan}, exit status {status}")
        elif status and not self.failures:
            self.failures.append(f"exit status {status}")
        return self

    def report(self, note=""):
        mark = "FAIL" if self.failures else "ok"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"  {mark:4}  {self.name:32} {self.passed:4} passed{skipped}{note}", flush=True)
        for failure in self.failures:
            print(f"        {failure}", flush=True)


def finish(step, results):
    """Prints the sum, leaves it for scripts/check, and gives the exit status."""
    passed = sum(r.passed for r in results)
    failed = sum(len(r.failures) for r in results)
    print(f"{step}: {passed} passed, {failed} failed", flush=True)
    directory = os.environ.get("BAWN_RESULTS")
    if directory:
        with open(os.path.join(directory, step), "w", encoding="ascii") as file:
            file.write(f"{passed} {failed}\n")
    return 1 if failed or not results else 0


def run(program):
    result = Result("/".join(program.split("/")[-2:]))
    # What a test that is killed or fails leaves behind goes with its directory.
    with tempfile.TemporaryDirectory(prefix="bawn-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o711)  # servers of other users have their files in there
        environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", BAWN_TMP=directory)
        try:
            done = subprocess.run([program], env=environment, stdin=subprocess.DEVNULL, timeout=TIMEOUT,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            output, status = done.stdout, done.returncode
        except subprocess.TimeoutExpired as late:
            output, status = late.stdout or b"", "timeout"
    lines = output.decode(errors="replace").splitlines()
    for text in lines:
        result.line(text)
    result.end(status).report()
    if result.failures:
        print("\n".join("        | " + text for text in lines))
    return result


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: tap.py STEP PROGRAM...: no test program was given")
    sys.exit(finish(sys.argv[1], [run(program) for program in sys.argv[2:]]))
