#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser (Chromium, headless): it is laid out, in a wide window and in a
phone's, nothing in it runs, and nothing else is loaded. About 10 s."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from attestd import BUILD, Service, Tap  # noqa: E402

tap = Tap()
BROWSER = shutil.which("chromium")


def browse(s, *options):
    done = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--user-data-dir=" + os.path.join(s.dir, "browser"), *options,
         f"http://127.0.0.1:{s.port + 2}/"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, errors="replace")
    return done.stdout, done.stderr


def document(s):
    """the browser's document has the texts of evidence as texts, and no script"""
    dom, _ = browse(s, "--dump-dom")
    if "&lt;script&gt;alert(1)&lt;/script&gt;" not in dom or "too low" not in dom:
        return dom
    return re.search(r"<(script|img|link|iframe)", dom) and dom


def console(s):
    """the page's own policy forbids nothing that is in it"""
    _, errors = browse(s, "--enable-logging=stderr", "--v=0", "--dump-dom")
    return "Content Security Policy" in errors and errors


def picture(s, width):
    import struct
    import zlib
    name = os.path.join(s.dir, f"page-{width}.png")
    browse(s, f"--window-size={width},1500", "--hide-scrollbars", "--screenshot=" + name)
    with open(name, "rb") as f:
        data = f.read()
    size = struct.unpack(">II", data[16:24])
    at, pixels = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IDAT":
            pixels += data[at + 8:at + 8 + length]
        at += length + 12
    return size, len(set(zlib.decompress(pixels)))


def drawn(s):
    """it is drawn in a wide and in a narrow window"""
    for width in (1100, 500):
        size, colours = picture(s, width)
        if size[0] != width or colours < 20:
            return (width, size, colours)
    return None


if not BROWSER:
    print("ok 1 - the page in a browser # SKIP there is no chromium\n1..1")
    sys.exit(0)
service = Service(os.path.join(BUILD, "tests/attestd-front"))
try:
    for test in (document, console, drawn):
        tap.run(test, service)
finally:
    service.end()
tap.end()
