#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes initramfs images without root: a newc cpio archive from (path, content) pairs.

Used by the lab for its hosts, and as a program for the guest:
initramfs.py OUT KERNEL [--module NAME]... [--program PATH]... FILE...
"""
import argparse
import lzma
import os
import re
import subprocess
import sys

BUSYBOX = "/bin/busybox"


class Archive:
    """A cpio archive in memory; parents are added as needed, times and owners are zero."""

    def __init__(self):
        self.parts = []
        self.known = {""}

    def _entry(self, path, mode, data=b""):
        name = path.encode() + b"\0"
        fields = [len(self.parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self.parts.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def directory(self, path):
        if path not in self.known:
            self.directory(os.path.dirname(path))
            self.known.add(path)
            self._entry(path, 0o040755)

    def data(self, path, data, mode=0o644):
        if path in self.known:
            return
        self.directory(os.path.dirname(path))
        self.known.add(path)
        self._entry(path, 0o100000 | mode, data)

    def file(self, path, source):
        with open(source, "rb") as file:
            self.data(path, file.read(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def link(self, path, target):
        if path not in self.known:
            self.directory(os.path.dirname(path))
            self.known.add(path)
            self._entry(path, 0o120777, target.encode())

    def busybox(self):
        self.file("bin/busybox", BUSYBOX)
        applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
        for applet in applets.stdout.split():
            self.link("bin/" + applet, "busybox")

    def program(self, path, source):
        """A program with the shared libraries that the loader finds for it."""
        self.file(path, source)
        found = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", found.stdout):
            self.file(library.lstrip("/"), os.path.realpath(library))

    def modules(self, directory, kernel, names, root="/"):
        """Kernel modules with those they need, decompressed; gives file names in load order."""
        root = os.path.join(root, "lib/modules", kernel)
        needs = {}
        with open(f"{root}/modules.dep", encoding="ascii") as file:
            for line in file:
                path, others = line.split(":")
                needs[module_name(path)] = [path] + others.split()
        order = []
        for name in names:
            for path in reversed(needs.get(name.replace("-", "_"), [])):
                base = module_name(path) + ".ko"
                if base not in order:
                    order.append(base)
                with open(f"{root}/{path}", "rb") as file:
                    data = file.read()
                self.data(f"{directory}/{base}",
                          lzma.decompress(data) if path.endswith(".xz") else data)
        return order

    def write(self, path):
        self._entry("TRAILER!!!", 0)
        with open(path, "wb") as file:
            file.writelines(self.parts)


def module_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def guest(options):
    """The Debian test guest: busybox, its init, the files named, virtio modules; and programs of
    this machine with their libraries."""
    archive = Archive()
    archive.busybox()
    for source in options.files:
        name = os.path.basename(source)
        archive.file(name if name == "init" else "bin/" + name, source)
    for source in options.program:
        archive.program("bin/" + os.path.basename(source), source)
    order = archive.modules("modules", options.kernel, [
        "virtio_rng", "virtio_blk", "vmw_vsock_virtio_transport", "virtio_mmio", "pvpanic_mmio",
        "gcm", "ghash_generic", "sev_guest"]  # the last needs the two, and does not say so
        + options.module)
    archive.data("modules/list", "".join(name + "\n" for name in order).encode())
    for name, modules in (("net", ["virtio_net"]),
                          ("root", ["virtio_net", "virtio_balloon", "autofs4"]),
                          ("balloon", ["virtio_balloon"]),
                          ("button", ["button", "evdev"])):
        order = archive.modules("modules", options.kernel, modules)
        archive.data(f"modules/{name}.list", "".join(name + "\n" for name in order).encode())
    archive.write(options.out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes the test guest's initramfs.")
    parser.add_argument("out")
    parser.add_argument("kernel")
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("files", nargs="+")
    guest(parser.parse_args())
