# SPDX-License-Identifier: Apache-2.0
"""Lab host "smp": host "svm" with two CPUs, each a thread of the emulator.

There vCPUs run beside what the host does, and CPUs come and go. The emulator is not up to it every
time (a host has died in the patching of its own code, without any guest): what a host's death ends is
run once more.
"""
import importlib.util
import os

_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "svm.py")
_spec = importlib.util.spec_from_file_location("svm", _path)
_svm = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_svm)

SILENT_AFTER = _svm.SILENT_AFTER
WAKE = _svm.WAKE
FLAKY = True


def command(boot):
    """The emulator's argument list."""
    argv = _svm.command(boot)
    argv[argv.index("-smp") + 1] = "2"
    argv[argv.index("-accel") + 1] = "tcg,thread=multi"
    return argv
