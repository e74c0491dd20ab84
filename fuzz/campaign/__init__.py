# SPDX-License-Identifier: Apache-2.0
"""The parts of bawn-fuzz: what there is to fuzz (tree), the campaign's folder (folder), the
fuzzers (engine), their schedule (runner), finds (finds), coverage (cover), corpora (corpus),
reports (report) and the command line (cli). Python's own library alone; no network.

Trusted: the source tree and what was built of it. Not trusted: what targets print and what
fuzzers leave in files, which is read with bounds and never run or followed out of the folder."""


class Error(Exception):
    """What a user can set right; its text says what was wrong, with what, and what to do."""
