#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A full disk under the database (a tmpfs of this test's own mount namespace): guests are told to
try again, nothing that was acknowledged is lost, and with room again all goes on by itself; also
when the vault was killed meanwhile. About 15 s."""
import os
import subprocess
import sys
import tempfile

from attestd import Tap
from faults import Auditor, FaultService, Load, attempt, end_all, make_identity

SIZE = 24 << 20  # the write-ahead log alone may have 4 MiB before it is worked off
# What is left: nothing, and a little, so that it is used up within a transaction.
LEFT = (0, 4096, 12288, 40960)


def in_namespace():
    """True in a mount namespace of its own. A user who may not make one leaves the test out."""
    if "FAULT_NAMESPACE" in os.environ:
        return True
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
    if subprocess.run(unshare + ["mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        print("1..1\nok 1 - full disk # SKIP no mount namespaces here")
        return False
    os.environ["FAULT_NAMESPACE"] = "1"
    os.execvp("unshare", unshare + [sys.executable, os.path.abspath(__file__)])
    return False


def fill(left):
    """All there is, while the database takes its own part of it; then gives that much back."""
    with open(filler, "wb", buffering=0) as f:
        size = 0
        try:
            while True:
                size += f.write(bytes(4096))
        except OSError:
            f.truncate(max(size - left, 0))


def full(service, load, auditor, left):
    load.more(3)
    try:
        fill(left)
        load.more(5, "again", 503, also=lambda: service.journal()[-12:])
        problem = auditor.check(load)
    finally:
        os.unlink(filler)
    if problem:
        return problem
    load.more(3, also=lambda: service.journal()[-12:])
    return auditor.check(load)


def killed(service, load, auditor):
    load.more(3)
    try:
        fill(0)
        load.more(2, "again", 503)
        service.kill("vault")
        load.more(2, "again", 0)
    finally:
        os.unlink(filler)
    load.more(3, also=lambda: service.journal()[-12:])
    return auditor.check(load)


if not in_namespace():
    sys.exit(0)
tap = Tap()
identity = make_identity()
disk = tempfile.mkdtemp(prefix="attestd-disk-")
filler = os.path.join(disk, "filler")
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", disk], check=True)
the_service = None
try:
    the_service = FaultService(
        identity, lambda config: config.update(database=f"sqlite:{disk}/attestd.db"))
    the_service.store_secret()
    the_auditor = Auditor(the_service.url())
    the_load = Load(the_service)
    for room_left in LEFT:
        attempt(tap, f"{room_left} bytes left: 503, then work again", full, the_service, the_load,
                the_auditor, room_left)
    attempt(tap, "the vault killed on a full disk comes back when there is room", killed,
            the_service, the_load, the_auditor)
    ended = the_load.end()
    tap.point(ended == 0, "no other answers than these", ended)
    attempt(tap, f"{len(the_load.answers)} answers, all in the log", the_auditor.check, the_load)
finally:
    end_all(the_service, identity)
    subprocess.run(["umount", "-l", disk], check=False)
    os.rmdir(disk)
tap.end()
