# SPDX-License-Identifier: Apache-2.0
"""Lab host "la57": host "svm" with five levels of page tables, and so of nested ones.

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
    return [arg.replace("la57=off,phys-bits=48", "la57=on,phys-bits=52")
            for arg in _svm.command(boot)]
