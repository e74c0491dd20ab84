# SPDX-License-Identifier: Apache-2.0
"""Lab host "sanitized": host "svm" with a kernel that watches itself (KASAN, UBSAN, lockdep, kmemleak,
fault injection, KCOV: tests/lab/sanitized/config), and so takes a multiple of the time."""
import importlib.util
import os

_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "svm.py")
_spec = importlib.util.spec_from_file_location("svm", _path)
_svm = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_svm)

BUILT = "sanitized"  # the kernel's folder in build/, and the flavour of the modules for it
RUNS = ["svm", "sanitized"]  # the hosts whose tests are its own too
SLOWER = 8
SILENT_AFTER = _svm.SILENT_AFTER
WAKE = _svm.WAKE
# In place of SLUB's own checks: KASAN has red zones and poison, kmemleak knows who allocated. The
# watchdog's time is that of an emulated processor that does several times the work.
CHECKING = "slab_nomerge page_owner=on watchdog_thresh=60 "


def command(boot):
    """The emulator's argument list."""
    return [arg.replace(_svm.CHECKING, CHECKING) for arg in _svm.command(boot)]
