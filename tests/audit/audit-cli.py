#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the command bawn-audit, as an auditor runs it. Logs are written by the service's code,
spoilt here, and judged here a second time: chain, tree, notes and proofs in this language."""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.path.join(ROOT, os.environ.get("BAWN_BUILD", "build"))
PROGRAM = os.path.join(BUILD, "bin/bawn-audit")
WRITER = os.path.join(BUILD, "audit/log-writer")
ORIGIN = "example.com/attest"
GOOD, BAD, USAGE = 0, 1, 2
TESTS = []
DIR = ""


def test(function):
    TESTS.append(function)
    return function


# ---- Helpers ----

def path(name):
    return os.path.join(DIR, name)


class Answer:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def has(self, *words):
        for word in words:
            assert word in self.out + self.err, f"no {word!r} in:\n{self.out}{self.err}"
        return self

    def json(self):
        return json.loads(self.out)

    def kinds(self):
        return [f["kind"] for f in self.json()["findings"] if not f["notice"]]


def run(*args, status=GOOD, stdin=b""):
    done = subprocess.run([PROGRAM, *args], input=stdin, timeout=100, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    answer = Answer(done)
    allowed = (GOOD, BAD, USAGE) if status is None else (status,)
    assert answer.status in allowed, \
        f"{args}: status {answer.status}, not {status}:\n{answer.out}{answer.err}"
    return answer


def make_key(name):
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path(name + ".key")],
                   check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "pkey", "-in", path(name + ".key"), "-pubout", "-out",
                    path(name + ".pem")], check=True)


def write(url, count, every, start=0, key="log"):
    subprocess.run([WRITER, url, path(key + ".key"), ORIGIN, str(count), str(every), str(start)],
                   check=True)


def lines(name="log.jsonl"):
    with open(path(name), "rb") as f:
        return f.read().split(b"\n")[:-1]


def spoil(name, text):
    with open(path(name), "wb") as f:
        f.write(b"".join(line + b"\n" for line in text))
    return path(name)


def entry_lines(text):
    return [i for i, line in enumerate(text) if b'"seq":' in line and b"bawn_log" not in line]


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def rechain(text):
    """Numbers and chains the entries anew, as a forger without the key can."""
    prev, out, seq = "0" * 64, [], 0
    for line in text:
        if b'"seq":' in line and b"bawn_log" not in line:
            entry = json.loads(line)
            entry["seq"], entry["prev"] = seq, prev
            line = canonical(entry)
            prev, seq = hashlib.sha256(line).hexdigest(), seq + 1
        out.append(line)
    return out


def leaf(line):
    return hashlib.sha256(b"\0" + line).digest()


def mth(leaves):
    """RFC 9162, 2.1.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def checkpoint(size, key="log", name="log.jsonl", root=None):
    """A checkpoint of the first entries, signed here."""
    text = lines(name)
    entries = [text[i] for i in entry_lines(text)][:size]
    root = root or mth([leaf(line) for line in entries])
    note = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
    with open(path("note.tmp"), "w", encoding="ascii") as f:
        f.write(note)
    signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey",
                                path(key + ".key"), "-in", path("note.tmp")], check=True,
                               stdout=subprocess.PIPE).stdout
    public = raw_public(key)
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\1" + public).digest()[:4]
    line = base64.b64encode(key_id + signature).decode()
    return f"{note}\n\u2014 {ORIGIN} {line}\n"


def raw_public(key):
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", path(key + ".pem"), "-outform",
                          "DER"], check=True, stdout=subprocess.PIPE).stdout
    return der[-32:]


def pin(key):
    public = raw_public(key)
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\1" + public).hexdigest()[:8]
    return f"{ORIGIN}+{key_id}+{base64.b64encode(bytes([1]) + public).decode()}"


def keep(name, note):
    with open(path(name), "w", encoding="utf-8") as f:
        f.write(note)
    return path(name)


def verify(log, *args, status=GOOD):
    return run("verify", log, "--key", path("log.pem"), "--json", *args, status=status)


# ---- Good logs ----

@test
def good_log_verifies_in_every_form():
    text = lines()
    entries = [text[i] for i in entry_lines(text)]
    root = mth([leaf(line) for line in entries]).hex()
    for log in (path("log.jsonl"), "sqlite:" + path("log.db")):
        answer = verify(log).json()
        assert answer["good"] and answer["entries"] == 40 and answer["root"] == root, answer
        assert answer["signed_entries"] == 40 and answer["checkpoints"] == 4
        run("verify", log, "--pin", pin("log")).has("GOOD: 40 entries", root)
        run("verify", log).has("GOOD", "agrees with itself")


@test
def notes_are_as_another_program_signs_them():
    """A checkpoint signed here is accepted, and the log's own is what this program would sign:
    Ed25519 is deterministic."""
    kept = keep("mine.txt", checkpoint(25))
    assert verify(path("log.jsonl"), "--checkpoint", kept).json()["kept_checkpoints"] == 1
    own = [json.loads(line)["checkpoint"] for line in lines() if line.startswith(b'{"check')]
    assert own == [checkpoint(size) for size in (10, 20, 30, 40)], own


@test
def key_is_printed_as_others_read_it():
    run("key", path("log.jsonl")).has(pin("log"))
    assert run("key", "sqlite:" + path("log.db"), "--json").json()["key"] == pin("log")


@test
def log_that_grows_between_checkpoints():
    shutil.copy(path("log.db"), path("grown.db"))
    write("sqlite:" + path("grown.db"), 3, 0, 40)
    answer = verify("sqlite:" + path("grown.db"), "--checkpoint", keep("k.txt", checkpoint(40)))
    assert answer.json()["findings"][0]["kind"] == "unsigned"
    verify("sqlite:" + path("grown.db"), "--strict", status=BAD)


@test
def clock_set_back_is_a_notice():
    write("sqlite:" + path("clock.db"), 5, 5, 100)
    write("sqlite:" + path("clock.db"), 5, 5, 0)
    answer = verify("sqlite:" + path("clock.db"))
    assert [f["kind"] for f in answer.json()["findings"]] == ["time"]
    answer.has("entry 5 is 104 s older than entry 4")
    verify("sqlite:" + path("clock.db"), "--strict", status=BAD)


# ---- Spoilt logs ----

@test
def one_changed_byte():
    text = lines()
    at = entry_lines(text)[17]
    text[at] = text[at].replace(b'"resource":"default', b'"resource":"defauIt')
    answer = verify(spoil("bad.jsonl", text), status=BAD)
    assert answer.kinds() == ["chain", "rewritten"], answer.out
    answer.has("entry 17 was changed after it was written", "among entries 10 to 19")


@test
def one_changed_byte_of_the_last_entry():
    text = lines()
    at = entry_lines(text)[39]
    text[at] = text[at].replace(b'"allowed":true', b'"allowed":null')
    assert verify(spoil("bad.jsonl", text), status=BAD).kinds() == ["rewritten"]


@test
def every_changed_byte_is_found():
    """Any byte of some lines of each kind; the head's key is no part of what is signed."""
    text = lines()
    first_note = next(i for i, line in enumerate(text) if line.startswith(b'{"check'))
    for number in (1, first_note, len(text) - 2):
        for at in range(0, len(text[number]), 7):
            bad = list(text)
            bad[number] = text[number][:at] + bytes([text[number][at] ^ 4]) + \
                text[number][at + 1:]
            verify(spoil("bad.jsonl", bad), status=BAD)


@test
def two_entries_in_the_other_order():
    text = lines()
    a, b = entry_lines(text)[4:6]
    text[a], text[b] = text[b], text[a]
    answer = verify(spoil("bad.jsonl", text), status=BAD)
    assert answer.kinds()[0] == "sequence" and "rewritten" in answer.kinds()
    answer.has("entry 5 stands where entry 4 must be")
    answer = verify(spoil("bad.jsonl", rechain(text)), status=BAD)
    assert answer.kinds() == ["rewritten"]
    answer.has("among entries 0 to 9")


@test
def dropped_entry():
    text = lines()
    del text[entry_lines(text)[23]]
    answer = verify(spoil("bad.jsonl", text), status=BAD)
    answer.has("entry 24 stands where entry 23 must be: entry 23 is missing")
    assert answer.kinds()[0] == "sequence"


@test
def dropped_entry_with_the_chain_made_anew():
    text = lines()
    del text[entry_lines(text)[23]]
    answer = verify(spoil("bad.jsonl", rechain(text)), status=BAD)
    answer.has("a checkpoint was signed for 30 entries, and only 29 are there")
    # The forger leaves the checkpoints out as well, and the auditor has one.
    text = [line for line in rechain(text) if not line.startswith(b'{"check')]
    text[0] = canonical({**json.loads(text[0]), "entries": 39})
    verify(spoil("bad.jsonl", text))
    answer = verify(path("bad.jsonl"), "--checkpoint", keep("k20.txt", checkpoint(20)),
                    "--checkpoint", keep("k30.txt", checkpoint(30)), status=BAD)
    assert answer.kinds() == ["rewritten"]
    answer.has("k30.txt: the first 30 entries", "among entries 20 to 29")


@test
def truncated_log():
    text = lines()
    cut = entry_lines(text)[35]
    answer = verify(spoil("bad.jsonl", text[:cut]), status=BAD)
    assert answer.kinds() == ["truncated"]
    answer.has("says that it has 40 entries, and ends after 35")
    text[0] = canonical({**json.loads(text[0]), "entries": 35})
    spoil("bad.jsonl", text[:cut])
    verify(path("bad.jsonl"))  # nothing in it tells
    answer = verify(path("bad.jsonl"), "--checkpoint", keep("k.txt", checkpoint(40)), status=BAD)
    assert answer.kinds() == ["truncated"]
    answer.has("entries 35 to 39 are missing")


@test
def database_that_was_cut():
    for statement, kind in (
            ("DELETE FROM log_entry WHERE seq >= 35", "truncated"),
            ("DELETE FROM log_entry WHERE seq = 12", "sequence"),
            ("UPDATE log_entry SET entry = replace(entry, 'shop', 'bank') WHERE seq = 3", "chain"),
            ("UPDATE log_checkpoint SET note = replace(note, '20', '21') WHERE size = 20",
             "signature")):
        shutil.copy(path("log.db"), path("cut.db"))
        subprocess.run(["sqlite3", path("cut.db"), statement], check=True)
        kinds = verify("sqlite:" + path("cut.db"), status=BAD).kinds()
        assert kinds[0] == kind, (statement, kinds)


@test
def fork():
    """The same key signs another log; the auditor has a checkpoint of the first."""
    write("sqlite:" + path("fork.db"), 20, 10)
    write("sqlite:" + path("fork.db"), 20, 10, 1000)
    run("export", "sqlite:" + path("fork.db"), path("fork.jsonl"))
    verify(path("fork.jsonl"))
    answer = verify(path("fork.jsonl"), "--checkpoint", keep("k20.txt", checkpoint(20)),
                    "--checkpoint", keep("k30.txt", checkpoint(30)), status=BAD)
    assert answer.kinds() == ["fork"], answer.out
    answer.has("part among entries 20 to 29")
    # Two checkpoints are enough, whatever the log is.
    other = keep("f40.txt", checkpoint(40, name="fork.jsonl"))
    answer = verify(path("log.jsonl"), "--checkpoint", other, "--checkpoint",
                    keep("k40.txt", checkpoint(40)), status=BAD)
    answer.has("showed two logs")


@test
def forged_checkpoint():
    text = lines()
    number = max(i for i, line in enumerate(text) if line.startswith(b'{"check'))
    text[number] = canonical({"checkpoint": checkpoint(40, key="other")})
    answer = verify(spoil("bad.jsonl", text), status=BAD)
    assert answer.kinds() == ["signature"]
    answer.has("not signed by this key")
    # The key's own signature under another root.
    note = checkpoint(40).split("\n")
    note[2] = base64.b64encode(b"x" * 32).decode()
    text[number] = canonical({"checkpoint": "\n".join(note)})
    verify(spoil("bad.jsonl", text), status=BAD).has("changed or forged")


@test
def wrong_key():
    answer = run("verify", path("log.jsonl"), "--json", "--key", path("other.pem"), status=BAD)
    assert answer.kinds() == ["signature"] * 4
    run("verify", path("log.jsonl"), "--pin", pin("other"), status=BAD).has("FAULT: signature")
    run("verify", path("log.jsonl"), "--key", path("other.pem"), "--key", path("log.pem"))


@test
def checkpoint_in_another_place():
    text = lines()
    number = next(i for i, line in enumerate(text) if line.startswith(b'{"check'))
    note = text.pop(number)
    text.insert(number + 2, note)
    verify(spoil("bad.jsonl", text), status=BAD).has("a checkpoint of 10 entries stands behind 12")


@test
def hostile_files():
    good = lines()
    cases = [b"", b"\n", b"{}\n", b"[]\n", b"\0" * 100, good[0], b'{"bawn_log":2,"entries":0}\n',
             b'{"bawn_log":1,"entries":-1}\n', good[0] + b"\n\n", good[0] + b"\n[]\n",
             good[0] + b"\n" + b"{" * 2000000, good[0] + b"\n" + b"[" * 100000 + b"\n",
             good[0] + b"\n" + good[1], good[0] + b"\n" + good[1].replace(b'"seq":0', b'"seq":0.0'),
             good[0] + b"\n" + good[1].replace(b'"seq":0', b'"seq":0,"seq":0') + b"\n",
             good[0] + b"\n" + good[1].replace(b":", b": ", 1) + b"\n",
             good[0] + b'\n{"checkpoint":1}\n', good[0] + b'\n{"checkpoint":"x"}\n']
    for case in cases:
        with open(path("hostile.jsonl"), "wb") as f:
            f.write(case)
        answer = run("verify", path("hostile.jsonl"), "--key", path("log.pem"), status=BAD)
        assert answer.out + answer.err
        # Reading commands meet the same file, and never more than an exit status.
        run("list", path("hostile.jsonl"), status=None)
        run("show", path("hostile.jsonl"), "0", status=None)
        run("prove", path("hostile.jsonl"), "0", status=None)


@test
def empty_log():
    write("sqlite:" + path("empty.db"), 0, 0)
    assert verify("sqlite:" + path("empty.db")).json()["entries"] == 0
    run("export", "sqlite:" + path("empty.db"), path("empty.jsonl"))
    assert verify(path("empty.jsonl")).json()["root"] == hashlib.sha256(b"").hexdigest()
    run("key", path("empty.jsonl"), status=USAGE)


@test
def file_is_read_inside_the_sandbox():
    """Held up by a pipe that nobody empties, the process shows what it may do."""
    write("sqlite:" + path("long.db"), 2000, 0)
    run("export", "sqlite:" + path("long.db"), path("long.jsonl"))
    with subprocess.Popen([PROGRAM, "list", "--json", path("long.jsonl")],
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
            assert "Seccomp:\t2\n" in f.read()
        assert len(process.stdout.readlines()) == 1999


# ---- Reading ----

@test
def export_is_what_the_format_says():
    text = lines()
    head = json.loads(text[0])
    assert head == {"bawn_log": 1, "entries": 40, "key": pin("log")}, head
    assert len(entry_lines(text)) == 40 and len(text) == 45
    assert text[11].startswith(b'{"checkpoint":"example.com/attest\\n10\\n')
    assert text == rechain(text)
    assert os.stat(path("log.jsonl")).st_mode & 0o777 == 0o600
    assert run("export", "sqlite:" + path("log.db"), "-").out.encode().split(b"\n")[:-1] == text
    run("export", path("log.jsonl"), path("x"), status=USAGE)
    run("export", "sqlite:" + path("log.db"), path("none/x"), status=USAGE)


@test
def first_checkpoint_comes_while_the_log_is_read():
    """With it comes the key, which the reader looked for before: it is left for the next time."""
    url = "sqlite:" + path("young.db")
    write(url, 2000, 0)
    with subprocess.Popen([PROGRAM, "export", url, "-"], stdout=subprocess.PIPE) as process:
        text = process.stdout.readline()  # and then it waits, with most entries to come
        write(url, 0, 1)
        assert verify(url).json()["signed_entries"] == 2000
        text += process.stdout.read()
    with open(path("young.jsonl"), "wb") as f:
        f.write(text)
    answer = verify(path("young.jsonl"))
    assert answer.json()["entries"] == 2000 and answer.json()["checkpoints"] == 0


@test
def show_explains():
    for log in (path("log.jsonl"), "sqlite:" + path("log.db")):
        run("show", log, "20").has("DENIED", "not trusted", "older than 209", "bank",
                                   "strict, version 3", "2026-01-02T03:00:20.000Z",
                                   "snp.reported_tcb.microcode at least 209; found 115",
                                   "CVE-2024-56161", "NIST-800-53:SI-2", "hardware = 96", "0f3c")
        run("show", log, "1").has("release", "ALLOWED", "default/disk/key")
        assert run("show", log, "20", "--json").json()["seq"] == 20
        run("show", log, "40", status=USAGE).has("no entry 40")
        run("show", log, "x", status=USAGE)
        run("show", log, "-1", status=USAGE)


@test
def texts_do_not_speak_to_the_terminal():
    for answer in (run("show", path("log.jsonl"), "1"), run("list", path("log.jsonl"))):
        assert "\x1b" not in answer.out
    run("show", path("log.jsonl"), "1").has("\\u001b[31mred")


@test
def list_filters():
    def numbers(*args):
        out = run("list", path("log.jsonl"), "--json", *args).out
        return [json.loads(line)["seq"] for line in out.splitlines()]
    assert numbers() == list(range(40))
    assert numbers("--kind", "attest") == list(range(0, 40, 5))
    assert numbers("--tenant", "shop", "--kind=attest") == [5, 15, 25, 35]
    assert numbers("--allowed", "no") == [0, 10, 20, 30]
    assert numbers("--verdict", "trusted") == [5, 15, 25, 35]
    assert numbers("--from", "2026-01-02T03:00:35Z") == [35, 36, 37, 38, 39]
    assert numbers("--until", "@1767322803") == [0, 1, 2]
    assert numbers("--from", "2026-01-03") == []
    run("list", path("log.jsonl"), "--allowed", "no").has("DENIED", "older than 209")
    run("list", path("log.jsonl"), "--allowed", "perhaps", status=USAGE)
    run("list", path("log.jsonl"), "--from", "yesterday", status=USAGE)


@test
def tail_and_follow():
    for log in (path("log.jsonl"), "sqlite:" + path("log.db")):
        out = run("tail", log, "--lines", "3", "--json").out.splitlines()
        assert [json.loads(line)["seq"] for line in out] == [37, 38, 39]
        out = run("tail", log, "--kind", "attest", "--json").out.splitlines()
        assert [json.loads(line)["seq"] for line in out] == list(range(0, 40, 5))
    run("tail", path("log.jsonl"), "--follow", status=USAGE)
    shutil.copy(path("log.db"), path("follow.db"))
    with subprocess.Popen([PROGRAM, "tail", "sqlite:" + path("follow.db"), "--follow", "--json",
                           "--lines", "1"], stdout=subprocess.PIPE) as tail:
        assert json.loads(tail.stdout.readline())["seq"] == 39
        write("sqlite:" + path("follow.db"), 2, 0, 40)
        assert [json.loads(tail.stdout.readline())["seq"] for _ in range(2)] == [40, 41]
        tail.kill()


# ---- Proofs ----

@test
def proofs_are_the_rfcs():
    text = lines()
    entries = [text[i] for i in entry_lines(text)]
    leaves = [leaf(line) for line in entries]

    def tree_path(m, d):
        if len(d) == 1:
            return []
        k = 1
        while 2 * k < len(d):
            k *= 2
        return tree_path(m, d[:k]) + [mth(d[k:])] if m < k else \
            tree_path(m - k, d[k:]) + [mth(d[:k])]
    for seq in (0, 17, 39):
        for log in (path("log.jsonl"), "sqlite:" + path("log.db")):
            proof = run("prove", log, str(seq)).json()
            assert [base64.b64decode(h) for h in proof["proof"]] == tree_path(seq, leaves)
            assert proof["entry"].encode() == entries[seq] and proof["size"] == 40
            assert proof["checkpoint"] == checkpoint(40)
            keep("proof.json", json.dumps(proof))
            run("check-proof", path("proof.json"), "--key", path("log.pem")).has("GOOD")
    proof = run("prove", path("log.jsonl"), "17", "--checkpoint",
                keep("k25.txt", checkpoint(25))).json()
    assert proof["size"] == 25 and "checkpoint" not in proof
    assert [base64.b64decode(h) for h in proof["proof"]] == tree_path(17, leaves[:25])
    keep("proof.json", json.dumps(proof))
    run("check-proof", path("proof.json"), "--key", path("log.pem"), status=BAD)
    run("check-proof", path("proof.json"), "--pin", pin("log"), "--checkpoint", path("k25.txt"))


@test
def false_proofs():
    good = run("prove", path("log.jsonl"), "17").json()
    other = run("prove", path("log.jsonl"), "18").json()
    changes = [{"seq": 18}, {"seq": 16}, {"entry": other["entry"]}, {"proof": other["proof"]},
               {"size": 39}, {"size": 41}, {"proof": good["proof"][:-1]},
               {"proof": good["proof"] + good["proof"]}, {"proof": good["proof"] * 100},
               {"proof": [1]}, {"proof": ["x"]}, {"proof": None}, {"checkpoint": "x"},
               {"checkpoint": checkpoint(40, key="other")}, {"bawn_proof": "other"},
               {"bawn_proof": None}, {"seq": "17"}, {"seq": -1}, {"entry": 1},
               {"entry": good["entry"].replace("shop", "bank")}]
    for change in changes:
        keep("proof.json", json.dumps({**good, **change}))
        answer = run("check-proof", path("proof.json"), "--key", path("log.pem"), "--json",
                     status=BAD)
        assert answer.json()["good"] is False and answer.json()["text"]
    for text in ("", "[]", "{}", "null", "{" * 100000):
        keep("proof.json", text)
        run("check-proof", path("proof.json"), "--key", path("log.pem"), status=BAD)
    keep("proof.json", json.dumps(good))
    run("check-proof", path("proof.json"), status=USAGE).has("--key")
    run("check-proof", path("proof.json"), "--key", path("other.pem"), status=BAD)
    run("check-proof", "-", "--key", path("log.pem"), stdin=json.dumps(good).encode())


@test
def consistency_proofs():
    proof = run("prove", "--consistency", path("log.jsonl"), "10", "40").json()
    keep("proof.json", json.dumps(proof))
    run("check-proof", path("proof.json"), "--key", path("log.pem")).has("GOOD")
    proof = run("prove", "--consistency", path("log.jsonl"), "13", "37").json()
    keep("proof.json", json.dumps(proof))
    kept = ["--checkpoint", keep("k13.txt", checkpoint(13)), "--checkpoint",
            keep("k37.txt", checkpoint(37))]
    run("check-proof", path("proof.json"), "--key", path("log.pem"), status=BAD)
    run("check-proof", path("proof.json"), "--key", path("log.pem"), *kept)
    other = keep("o13.txt", checkpoint(13, root=b"x" * 32))
    run("check-proof", path("proof.json"), "--key", path("log.pem"), "--checkpoint", other,
        *kept[2:], status=BAD).has("does not begin with")
    for sizes in (("0", "5"), ("6", "5"), ("5", "41"), ("x", "5")):
        run("prove", "--consistency", path("log.jsonl"), *sizes, status=USAGE)


# ---- The command line ----

@test
def usage():
    run("--help").has("Usage: bawn-audit", "--checkpoint", "check-proof")
    run("--version").has("bawn-audit ")
    for args in ([], ["verify"], ["nonsense"], ["verify", path("log.jsonl"), "x"],
                 ["verify", path("log.jsonl"), "--lines", "1"], ["verify", "--nonsense"],
                 ["verify", path("log.jsonl"), "--key"], ["verify", path("none.jsonl")],
                 ["verify", DIR], ["verify", path("log.jsonl"), "--key", path("log.key")],
                 ["verify", path("log.jsonl"), "--key", path("none.pem")],
                 ["verify", path("log.jsonl"), "--pin", "x"],
                 ["verify", path("log.jsonl"), "--json=1"], ["prove", path("log.jsonl"), "1", "2"],
                 ["verify", "sqlite:" + path("none.db")], ["verify", "postgresql://@/x?host=/none"]):
        assert run(*args, status=USAGE).err.startswith("bawn-audit: ")
    run("verify", "sqlite:" + path("log.key"), status=BAD)


@test
def answer_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "list", path("log.jsonl")], stdout=full,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == USAGE and b"cannot write" in done.stderr


def main():
    global DIR
    with tempfile.TemporaryDirectory() as DIR:
        make_key("log")
        make_key("other")
        write("sqlite:" + path("log.db"), 40, 10)
        run("export", "sqlite:" + path("log.db"), path("log.jsonl"))
        failed = 0
        print(f"1..{len(TESTS)}")
        for number, function in enumerate(TESTS, 1):
            try:
                function()
                print(f"ok {number} - {function.__name__}", flush=True)
            except (AssertionError, OSError, ValueError, KeyError, IndexError,
                    subprocess.SubprocessError) as error:
                failed += 1
                print(f"not ok {number} - {function.__name__}", flush=True)
                print("\n".join("# " + line for line in repr(error).replace(
                    "\\n", "\n").splitlines()))
    return failed > 0


sys.exit(main())
