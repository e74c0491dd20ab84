# SPDX-License-Identifier: Apache-2.0
"""Lab host "la57": host "svm" with five levels of page tables, and so of nested ones, with two nodes
of memory, and with a page of 1 GiB that was put aside at the boot.

There the software platform's C-bit is bit 51, which needs 52 bits of physical addresses.
"""
import importlib.util
import os

_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "svm.py")
_spec = importlib.util.spec_from_file_location("svm", _path)
_svm = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_svm)

SILENT_AFTER = _svm.SILENT_AFTER
WAKE = _svm.WAKE


def command(boot):
    """The emulator's argument list."""
    argv = [arg.replace("la57=off,phys-bits=48", "la57=on,phys-bits=52")
            for arg in _svm.command(boot)]
    argv[argv.index("-m") + 1] = "4G"
    argv[argv.index("-append") + 1] += " hugepagesz=1G hugepages=1"
    for node, cpus in enumerate((",cpus=0", "")):
        argv += ["-object", f"memory-backend-ram,id=node{node},size=2G",
                 "-numa", f"node,memdev=node{node}{cpus}"]
    return argv
