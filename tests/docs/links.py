#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Links within the tree's pages: the file is there, and the heading in it."""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

TOP = os.path.realpath(os.path.join(HERE, "../.."))


def read(path):
    with open(path, encoding="utf-8") as f:
        return re.sub(r"^```.*?^```$", "", f.read(), flags=re.S | re.M)


def anchors(path):
    """As the usual hosts make them of headings."""
    for heading in re.findall(r"^#+ +(.*)$", read(path), re.M):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def wrong_links(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(other):
            yield f"{os.path.relpath(path, TOP)}: {target}: no such file"
        elif anchor and other.endswith(".md") and anchor not in anchors(other):
            yield f"{os.path.relpath(path, TOP)}: {target}: no such heading"


@test
def links():
    """every link within the tree leads somewhere"""
    found = (name for folder in ("", "*/", "*/*/", "docs/**/")
             for name in glob.glob(f"{TOP}/{folder}*.md", recursive=True))
    names = sorted({name for name in found if not name.startswith(TOP + "/build/")})
    assert len(names) > 10
    wrong = [line for name in names for line in wrong_links(name)]
    assert not wrong, "\n".join(wrong)


@test
def it_would_be_seen():
    """a file and a heading that are not there are told"""
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write("# One's heading\n[x](b.md) [y](#ones-heading) [z](#two) [w](https://example.com/)\n")
        said = [line.split(": ", 1)[1] for line in wrong_links(path)]
    assert said == ["b.md: no such file", "#two: no such heading"], said


sys.exit(run_all())
