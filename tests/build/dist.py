#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/dist and scripts/sbom: what is delivered is the same each time, complete, signed by a
key that is made here, and whatever is changed in it is found out."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import jsonschema

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "../.."))
sys.path[:0] = [os.path.join(HERE, ".."), TOP + "/scripts"]
import elf  # noqa: E402
import tree  # noqa: E402
from points import run_all, test  # noqa: E402

BUILD = os.environ.get("BAWN_BUILD", "build")
VERSION = tree.version()


def dist(*arguments):
    done = subprocess.run([TOP + "/scripts/dist", *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def key(work, name):
    """A key pair, and the file that says whose it is."""
    path = f"{work}/{name}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    with open(path + ".pub", encoding="utf-8") as f, open(path + ".signers", "w", encoding="utf-8") as out:
        out.write(f'bawn namespaces="bawn-release" {f.read()}')
    return path


def unsigned(work):
    """The same without a key, made first."""
    if not os.path.exists(work + "/unsigned"):
        status, said = dist("make", BUILD, work + "/unsigned", "--changed")
        assert status == 0 and "not signed" in said, said
    return work + "/unsigned"


def made(work):
    """The delivery that all tests look at."""
    if not os.path.exists(work + "/dist"):
        status, said = dist("make", BUILD, work + "/dist", "--changed", "--key", key(work, "key"))
        assert status == 0, said
    return work + "/dist"


def digests(folder):
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            found[name] = hashlib.sha256(f.read()).hexdigest()
    return found


def read(folder, end):
    with open(f"{folder}/bawn-{VERSION}.{end}", encoding="utf-8") as f:
        return json.load(f)


def verify(folder, signers, *more):
    return dist("verify", folder, "--signers", signers + ".signers", *more)


@test
def good(work):
    """a delivery is made, and verifies with the releaser's key"""
    folder = made(work)
    status, said = verify(folder, work + "/key")
    assert status == 0 and re.search(r"\d+ files, as bawn signed them", said), said


@test
def by_hand(work):
    """it verifies with ssh-keygen and sha256sum alone, as the guide says"""
    folder = made(work)
    with open(folder + "/SHA256SUMS", "rb") as f:
        subprocess.run(["ssh-keygen", "-Y", "verify", "-f", work + "/key.signers", "-I", "bawn", "-n",
                        "bawn-release", "-s", folder + "/SHA256SUMS.sig"], stdin=f, check=True, capture_output=True)
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=folder, check=True)


@test
def again(work):
    """made a second time it is the same, byte for byte, but for the signature"""
    first, second = digests(made(work)), digests(unsigned(work))
    assert first.pop("SHA256SUMS.sig") and first == second, sorted(set(first.items()) ^ set(second.items()))


@test
def sources(work):
    """the sources are all that the tree has, and nothing else"""
    with tarfile.open(f"{made(work)}/bawn-{VERSION}.tar.gz") as tar:
        names = {m.name.split("/", 1)[1] for m in tar.getmembers()}
        assert {(m.uid, m.gid, m.mtime) for m in tar.getmembers()} == {(0, 0, tree.epoch())}
    assert names == set(tree.files()), names ^ set(tree.files())
    assert not [n for n in names if n.startswith("build/")]


@test
def programs(work):
    """the programs are the build's, with the modules, and complete"""
    with tarfile.open(f"{made(work)}/bawn-{VERSION}-linux-x86_64.tar.gz") as tar:
        names = {m.name.split("/", 1)[1] for m in tar.getmembers()}
        for name in os.listdir(BUILD + "/bin"):
            with open(f"{BUILD}/bin/{name}", "rb") as f:
                assert tar.extractfile(f"bawn-{VERSION}/usr/bin/{name}").read() == f.read(), name
    assert [n for n in names if re.match(r"usr/lib/modules/6\.12.*/updates/bawn\.ko$", n)], names
    assert {"usr/lib/bawn/shim.bin", "usr/lib/libbawn-attest.so.0"} <= names, names


@test
def bill(work):
    """the bill of materials is as CycloneDX 1.5 has it, and each reference leads somewhere"""
    said = read(made(work), "cdx.json")
    with open(HERE + "/cyclonedx.schema.json", encoding="utf-8") as f:
        jsonschema.Draft202012Validator(json.load(f)).validate(said)
    known = [c["bom-ref"] for c in said["components"]] + [said["metadata"]["component"]["bom-ref"]]
    assert len(known) == len(set(known)), "a reference twice"
    assert {d["ref"] for d in said["dependencies"]} == set(known)
    assert {r for d in said["dependencies"] for r in d.get("dependsOn", ())} <= set(known)


@test
def bill_is_true(work):
    """each file is in it with its digest, and each library that a program loads leads to a package"""
    said = read(made(work), "cdx.json")
    of_file = {c["name"]: c for c in said["components"] if c["type"] == "file"}
    depends = {d["ref"]: d["dependsOn"] for d in said["dependencies"]}
    for name in os.listdir(BUILD + "/bin"):
        path = f"{BUILD}/bin/{name}"
        entry = of_file["usr/bin/" + name]
        with open(path, "rb") as f:
            assert entry["hashes"][0]["content"] == hashlib.sha256(f.read()).hexdigest(), name
        file = elf.Elf(path)
        count = len(file.dynamic().get(elf.DT_NEEDED, []))
        packages = depends[entry["bom-ref"]]
        assert packages and all(p.startswith("pkg:deb/debian/") for p in packages), f"{name}: {packages}"
        assert len(packages) <= max(count, 3), f"{name}: {packages}"
    names = {c["name"]: c["scope"] for c in said["components"] if c["type"] == "library"}
    assert names["libssl3"] == "required" and names["make"] == "excluded", names
    assert any(n.startswith("linux-headers-6.12") for n in names), names


@test
def statement(work):
    """the statement of how it was built names each file, the commit and the packages it was built with"""
    folder = made(work)
    said = read(folder, "intoto.json")
    subjects = {s["name"]: s["digest"]["sha256"] for s in said["subject"]}
    own = {n: d for n, d in digests(folder).items() if not re.search(r"intoto\.json$|^SHA256SUMS", n)}
    assert subjects == own
    definition = said["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["source"]["digest"]["gitCommit"] == tree.commit()
    assert any("pkg:deb/debian/gcc-" in m["uri"] for m in definition["resolvedDependencies"])


def altered(work, change):
    """What is said of a copy with a change."""
    copy = work + "/copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(made(work), copy)
    change(copy)
    return verify(copy, work + "/key")


def edit(path, old, new):
    with open(path, "rb") as f:
        data = f.read()
    assert old in data, f"{old} is not in {path}"
    with open(path, "wb") as f:
        f.write(data.replace(old, new, 1))


def seal(copy, work, name="key"):
    """Checksums and signature made anew, as by a releaser who is not careful."""
    with open(copy + "/SHA256SUMS", "w", encoding="utf-8") as f:
        f.writelines(f"{d}  {n}\n" for n, d in sorted(digests(copy).items()) if "SHA256SUMS" not in n)
    os.remove(copy + "/SHA256SUMS.sig")
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", f"{work}/{name}", "-n", "bawn-release",
                    copy + "/SHA256SUMS"], check=True, capture_output=True)


@test
def changes(work):
    """a changed, missing or added file, a changed or missing sum or signature"""
    other = key(work, "other")
    deb = f"bawn_{VERSION}_amd64.deb"
    statement_file = f"bawn-{VERSION}.intoto.json"
    cases = [
        (f"{deb}: changed", lambda c: edit(f"{c}/{deb}", b"debian-binary", b"debian-Binary")),
        (f"{deb}: missing", lambda c: os.remove(f"{c}/{deb}")),
        ("more.deb: not in SHA256SUMS", lambda c: shutil.copy(f"{c}/{deb}", f"{c}/more.deb")),
        ("not a signature of bawn", lambda c: edit(c + "/SHA256SUMS", b"  bawn", b" *bawn")),
        ("has no SHA256SUMS.sig", lambda c: os.remove(c + "/SHA256SUMS.sig")),
        ("has no SHA256SUMS", lambda c: os.remove(c + "/SHA256SUMS")),
        ("not a signature of bawn", lambda c: seal(c, work, "other")),
        ("is not about these files", lambda c: (edit(f"{c}/{deb}", b"debian-binary", b"debian-Binary"),
                                                seal(c, work))),
        ("there is no statement", lambda c: (os.remove(f"{c}/{statement_file}"), seal(c, work))),
        ("SLSA's predicate", lambda c: (edit(f"{c}/{statement_file}", b"Statement/v1", b"Statement/v0"),
                                        seal(c, work))),
    ]
    missed = []
    for want, change in cases:
        status, said = altered(work, change)
        if status != 1 or want not in said:
            missed.append(f"not said: {want}; said: {status} {said}")
    assert not missed, "\n".join(missed)
    status, said = verify(made(work), other)
    assert status == 1 and "not a signature of bawn" in said, said
    status, said = verify(made(work), work + "/key", "--as", "somebody")
    assert status == 1 and "not a signature of somebody" in said, said


@test
def not_signed(work):
    """without a key it is made all the same, says so, and does not verify; a key that is not there is told"""
    made(work)  # and its key
    status, said = verify(unsigned(work), work + "/key")
    assert status == 1 and "has no SHA256SUMS.sig" in said, said
    status, said = dist("make", BUILD, work + "/nokey", "--changed", "--key", work + "/nothing")
    assert status == 1 and "there is no key" in said and not os.path.exists(work + "/nokey"), said


with tempfile.TemporaryDirectory(prefix="bawn-dist-") as folder:
    STATUS = run_all(folder)
sys.exit(STATUS)
