# SPDX-License-Identifier: Apache-2.0
"""Tests as functions: @test notes one, whose first comment is its name, and run_all() runs them all, with
what they share as arguments, and says in TAP how each went."""
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def run_all(*shared):
    for number, function in enumerate(TESTS, 1):
        try:
            function(*shared)
            print(f"ok {number} - {function.__doc__}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            print(f"not ok {number} - {function.__doc__}", flush=True)
            for line in f"{type(error).__name__}: {error}".splitlines()[:40]:
                print(f"# {line}", flush=True)
    print(f"1..{len(TESTS)}")
    return 0
