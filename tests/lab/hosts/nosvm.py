# SPDX-License-Identifier: Apache-2.0
"""Lab host "nosvm": host "svm" on a processor without SVM, where bawn.ko must refuse to load."""
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
    return [arg.replace("EPYC-Genoa,", "EPYC-Genoa,-svm,") for arg in _svm.command(boot)]
