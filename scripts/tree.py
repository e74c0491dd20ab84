# SPDX-License-Identifier: Apache-2.0
"""What the scripts that build and deliver know of the source tree: its files, its commit, its time."""
import os
import re
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def git(*arguments, top=TOP):
    """What git says, or None where there is no repository."""
    done = subprocess.run(["git", "-C", top, *arguments], capture_output=True, text=True)
    return done.stdout.rstrip("\n") if done.returncode == 0 and os.path.exists(top + "/.git") else None


def epoch():
    """The time that builds are dated with: SOURCE_DATE_EPOCH, that of the last commit, or that of the tarball's
    files, which is the same."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct") or
               os.stat(TOP + "/Makefile").st_mtime)


def files():
    """All that is the project's: what git knows or would take; in an unpacked tarball, all but build/."""
    listed = git("ls-files", "-z", "-c", "-o", "--exclude-standard")
    if listed is not None:
        return [name for name in listed.split("\0") if name and os.path.lexists(os.path.join(TOP, name))]
    found = []
    for folder, folders, names in os.walk(TOP):
        if folder == TOP and "build" in folders:
            folders.remove("build")
        found += [os.path.relpath(os.path.join(folder, name), TOP) for name in names]
    return found


def version():
    with open(TOP + "/debian/changelog", encoding="utf-8") as f:
        return re.match(r"bawn \((.*?)\)", f.readline()).group(1)


def commit():
    """The commit that the tree is of, with a mark when something was changed; in a tarball, its name."""
    hashed = git("rev-parse", "HEAD")
    if hashed is None:
        return "tarball of " + version()
    return hashed + ("-dirty" if git("status", "--porcelain") else "")
