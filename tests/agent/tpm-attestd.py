#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bawn-agent in a guest with a TPM (swtpm), against bawn-attestd: keys that it makes and others that
are enrolled or certified, policies on PCRs and the event log, and what is to be refused. About 15 s."""
import base64
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../service")]
import kbs_server  # noqa: E402
from attestd import BUILD, Service, Tap, ask  # noqa: E402

AGENT = os.path.join(BUILD, "bin/bawn-agent")
VERIFY = os.path.join(BUILD, "bin/bawn-verify")
VECTORS = os.path.join(HERE, "../vectors")
EVENT_LOG = "sys/kernel/security/tpm0/binary_bios_measurements"
SECRET = b"the key of the disk"
ONE = hashlib.sha256(b"1").hexdigest()
# docs/man/bawn-agent.1 tells an administrator to make the same.
TEMPLATE = ("-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-a",
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign")
tap = Tap()


class Tpm:
    """A guest's root folder with a TPM of its own, and the tools that an administrator has."""

    def __init__(self, folder):
        self.root = folder
        for path in ("dev", "state", os.path.dirname(EVENT_LOG)):
            os.makedirs(os.path.join(folder, path), exist_ok=True)
        self.device = os.path.join(folder, "dev/tpmrm0")
        self.process = subprocess.Popen(
            ("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}/state", "--server",
             f"type=unixio,path={self.device}", "--ctrl", f"type=unixio,path={self.device}.ctrl",
             "--flags", "not-need-init,startup-clear"), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(self.device + ".ctrl") and time.monotonic() < end:
            time.sleep(0.02)

    def path(self, name):
        return os.path.join(self.root, name)

    def tool(self, name, *arguments):
        """tpm2-tools: keys that they leave loaded are put out, there is no resource manager."""
        env = dict(os.environ, TPM2TOOLS_TCTI=f"swtpm:path={self.device}")
        done = subprocess.run(("tpm2_" + name, *arguments), cwd=self.root, env=env, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
        if name != "pcrextend":
            subprocess.run(("tpm2_flushcontext", "-t"), env=env, check=True,
                           stdout=subprocess.DEVNULL)
        return done

    def agent(self, *arguments):
        done = subprocess.run((AGENT, *arguments, "--root", self.root), check=False, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr.decode()

    def ak(self, name, *arguments):
        status, out, err = self.agent("ak", "--output", self.path(name), *arguments)
        if status:
            raise RuntimeError(err)
        return self.path(name)

    def end(self):
        self.process.terminate()
        self.process.wait()


class Scene:
    def __init__(self, folder):
        self.folder = folder
        self.tpm = Tpm(os.path.join(folder, "guest"))
        self.other = Tpm(os.path.join(folder, "other"))
        self.tpm.tool("createek", "-Q", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub")
        self.tpm.tool("createak", "-Q", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "rsa", "-s",
                      "rsassa", "-g", "sha256", "-u", "ak.pub")
        self.tpm.tool("evictcontrol", "-Q", "-C", "o", "-c", "ak.ctx", "0x81010002")
        self.tpm.tool("createak", "-Q", "-C", "ek.ctx", "-c", "ak2.ctx", "-G", "ecc384", "-s",
                      "ecdsa", "-g", "sha384", "-u", "ak2.pub")
        self.tpm.tool("evictcontrol", "-Q", "-C", "o", "-c", "ak2.ctx", "0x81010003")
        self.certify()
        self.service = Service(os.path.join(BUILD, "bin/bawn-attestd"), self.setup)
        self.trust = ("--server", f"tcp:127.0.0.1:{self.service.port}", "--ca",
                      self.service.path("ca.pem"), "--timeout", "20")

    def setup(self, config):
        """The tenants' test_roots stays off: a TPM's keys count without. The policy's must be on."""
        config["tenants"]["default"]["roots"] = [self.tpm.ak("made.pem"), self.tpm.path("ca.pem")]
        config["tenants"]["default"]["test_roots"] = False
        config["tenants"]["rsa"] = {"roots": [self.tpm.ak("rsa.pem", "--tpm-ak", "0x81010002")],
                                    "admins": config["tenants"]["default"]["admins"]}
        config["limits"] = {"rate": 0}

    def certify(self):
        """A CA that certifies the key at 0x81010003, as one does that has checked its endorsement."""
        def openssl(*arguments):
            subprocess.run(("openssl", *arguments), cwd=self.tpm.root, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.tpm.ak("p384.pem", "--tpm-ak", "0x81010003")
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=AK CA",
                "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl("req", "-new", *new, "-keyout", "any.key", "-out", "any.csr", "-subj", "/CN=AK")
        with open(self.tpm.path("ext"), "w", encoding="ascii") as f:
            f.write("keyUsage=critical,digitalSignature\nextendedKeyUsage=2.23.133.8.3\n"
                    "authorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", "any.csr", "-force_pubkey", "p384.pem", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-days", "1", "-extfile", "ext", "-out", "ak.crt")

    def administer(self, path, body, kind="application/json", tenant=""):
        with self.service.tls(admin=True) as sock:
            answer = ask(sock, "POST", f"{tenant}/kbs/v0/{path}", body, [("Content-Type", kind)])
        if answer[0] != 200:
            raise RuntimeError(answer)

    def policy(self, *rules, tenant=""):
        made = {"bawn_policy": 1, "id": "tpm", "version": "1", "evidence": ["tpm", "snp"],
                "test_roots": True, "rules": [{"id": f"rule-{n}", "reason": "as enrolled", **rule}
                          for n, rule in enumerate(rules)]}
        self.administer("attestation-policy", json.dumps(made).encode(), tenant=tenant)

    def pcr(self, n):
        """The value that the tools read."""
        text = self.tpm.tool("pcrread", f"sha256:{n}").decode()
        return text.split("0x")[1].strip().lower()

    def expect_pcr_16(self):
        self.policy({"claim": "tpm.pcr[16]", "equals": self.pcr(16)})

    def get(self, *arguments, tpm=None):
        return (tpm or self.tpm).agent("get", *self.trust, "--resource", "default/key/disk",
                                       *arguments)

    def end(self):
        self.service.end()
        self.tpm.end()
        self.other.end()


def given(answer):
    return None if answer[0] == 0 and answer[1] == SECRET else answer


def denied(answer, *words):
    ok = answer[0] == 3 and not answer[1] and all(w in answer[2] for w in words)
    return None if ok else answer


def templates(s):
    """the key is the one that tpm2_createprimary makes by the documented template"""
    s.tpm.tool("createprimary", "-Q", *TEMPLATE, "-c", "p.ctx")
    s.tpm.tool("readpublic", "-Q", "-c", "p.ctx", "-f", "pem", "-o", "tool.pem")
    with open(s.tpm.path("tool.pem"), "rb") as tool, open(s.tpm.path("made.pem"), "rb") as made:
        mine = made.read()
        return None if mine and mine == tool.read() else mine


def manual(_):
    """the manual's template is the tested one"""
    with open(os.path.join(HERE, "../../docs/man/bawn-agent.1"), encoding="utf-8") as f:
        text = f.read().replace("\\", "").replace("\n", " ")
    return None if all(word in text for word in (TEMPLATE[3], TEMPLATE[5])) else "not in the manual"


def right_pcr(s):
    """with the PCRs that the policy wants, by the key that the agent makes, a secret is released"""
    s.tpm.tool("pcrextend", f"16:sha256={ONE}")
    s.expect_pcr_16()
    return given(s.get())


def no_keys_left(s):
    """the TPM's memory is as it was, after more runs than it has room for keys"""
    for _ in range(4):
        answer = s.get()
        if given(answer):
            return answer
    left = s.tpm.tool("getcap", "handles-transient")
    return left or None


def token_for_tpm(s):
    """the token is about a TPM, and the PCRs are in it"""
    status, out, err = s.tpm.agent("token", *s.trust)
    if status:
        return err
    payload = out.decode().split(".")[1]
    cpu = json.loads(base64.urlsafe_b64decode(payload + "=="))["submods"]["cpu0"]
    tpm = cpu["ear.veraison.annotated-evidence"].get("tpm", {})
    return None if s.pcr(16) in json.dumps(tpm) else cpu


def extended_pcr(s):
    """after a PCR was extended the guest is denied, with the rule and the PCR"""
    s.expect_pcr_16()
    s.tpm.tool("pcrextend", f"16:sha256={ONE}")
    return denied(s.get(), "answered 401", "tpm.pcr[16]")


def persistent(s):
    """a persistent RSA key that a tenant's root names"""
    s.policy({"claim": "tpm.pcr[16]", "equals": s.pcr(16)}, tenant="/t/rsa")
    s.administer("resource/default/key/disk", SECRET, "application/octet-stream", "/t/rsa")
    return given(s.get("--tenant", "rsa", "--tpm-ak", "0x81010002")) or \
        denied(s.get("--tenant", "rsa"), "nothing vouches for the attestation key")


def certified(s):
    """a persistent P-384 key with a certificate of a CA that is a root; not without it"""
    s.expect_pcr_16()
    return given(s.get("--tpm-ak", "0x81010003", "--ak-cert", "/ak.crt")) or \
        denied(s.get("--tpm-ak", "0x81010003"), "nothing vouches")


def another_certificate(s):
    """a certificate of another key vouches for nothing"""
    return denied(s.get("--tpm-ak", "0x81010002", "--ak-cert", "/ak.crt"), "nothing vouches")


def another_tpm(s):
    """the key of another TPM is refused, though its PCRs are right"""
    s.policy({"claim": "tpm.pcr_bank", "equals": "sha256"})
    return given(s.get()) or denied(s.get(tpm=s.other), "nothing vouches for the attestation key")


def attest(s, nonce_for):
    """What attestd says to the agent's evidence when the nonce that it is made for is another."""
    with s.service.tls() as sock:
        kind = [("Content-Type", "application/json")]
        answer = ask(sock, "POST", "/kbs/v0/auth", json.dumps(
            {"version": "0.4.0", "tee": "tpm", "extra-params": {}}).encode(), kind)
        cookie = answer[1]["set-cookie"].split(";")[0]
        nonce = json.loads(answer[2])["nonce"]
        status, out, err = s.tpm.agent("evidence", "--nonce", nonce_for(nonce))
        if status:
            raise RuntimeError(err)
        body = json.loads(out)
        body["runtime-data"]["nonce"] = nonce
        return ask(sock, "POST", "/kbs/v0/attest", json.dumps(body).encode(),
                   kind + [("Cookie", cookie)])


def wrong_nonce(s):
    """a quote for another nonce is refused, and says so"""
    s.policy({"claim": "tpm.pcr_bank", "equals": "sha256"})
    good = attest(s, lambda nonce: nonce)
    bad = attest(s, lambda nonce: base64.b64encode(bytes(32)).decode())
    return None if good[0] == 200 and bad[0] == 401 and \
        b"tpm.nonce is not the hash of the runtime data" in bad[2] else (good, bad)


def event_log(s):
    """the event log goes along, is replayed, and a policy may ask what it says"""
    log = os.path.join(VECTORS, "eventlog/rhel8-uefi.bin")
    text = subprocess.run(("tpm2_eventlog", log), stdout=subprocess.PIPE, check=True).stdout.decode()
    events = re.findall(r"PCRIndex: (\d+)\n.*?AlgorithmId: sha256\n\s+Digest: \"([0-9a-f]{64})\"",
                        re.sub(r".*?(?=- EventNum: 1\n)", "", text, 1, re.S), re.S)
    # Four at a time: each command of the tools is a process.
    for n in range(0, len(events), 4):
        s.tpm.tool("pcrextend", *(f"{pcr}:sha256={digest}" for pcr, digest in events[n:n + 4]))
    s.policy({"claim": "eventlog.secure_boot", "present": True},
             {"claim": "tpm.pcr_bank", "equals": "sha256"})
    without = denied(s.get(), "eventlog.secure_boot")
    shutil.copy(log, s.tpm.path(EVENT_LOG))
    answer = s.get()
    s.tpm.tool("pcrextend", f"4:sha256={ONE}")
    late = s.get()
    os.unlink(s.tpm.path(EVENT_LOG))
    return without or given(answer) or denied(late, "answered 401", "log")


def huge_log(s):
    """an event log that no service would take is left out, and that is said"""
    with open(s.tpm.path(EVENT_LOG), "wb") as f:
        f.truncate(600 << 10)
    status, out, err = s.tpm.agent("evidence", "--report-data", "00")
    os.unlink(s.tpm.path(EVENT_LOG))
    return None if status == 0 and "left out" in err and "Log" not in json.loads(out) else err


def additional(s):
    """beside an SNP report the quote is additional evidence, and the report is bound to it"""
    snp = kbs_server.Guest(os.path.join(s.folder, "snp"))
    os.symlink(s.tpm.device, os.path.join(snp.root, "dev/tpmrm0"))
    status, out, err = snp.start(AGENT, "evidence", "--nonce", "bm9uY2U=", "--with-tpm", "--root",
                                 snp.root)
    if status:
        return err
    body = json.loads(out)
    runtime, evidence = body["runtime-data"], body["tee-evidence"]

    def canonical(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    report = base64.b64decode(evidence["primary_evidence"]["attestation_report"])
    bound = dict(runtime, **{"additional-evidence": evidence["additional_evidence"]})
    if report[0x50:0x80] != hashlib.sha384(canonical(bound)).digest():
        return "the report is not about the additional evidence"
    with open(s.tpm.path("tpm.json"), "w", encoding="utf-8") as f:
        json.dump(json.loads(evidence["additional_evidence"])["tpm"], f)
    done = subprocess.run((VERIFY, "--root", s.tpm.path("made.pem"), "--expect",
                           "tpm.nonce=" + hashlib.sha384(canonical(runtime)).hexdigest(), f.name),
                          stdout=subprocess.PIPE, check=False)
    if done.returncode:
        return done.stdout.decode()
    status, out, err = snp.start(AGENT, "evidence", "--report-data", "00", "--root", snp.root)
    plain = status == 0 and "attestation_report" in json.loads(out)
    status, out, err = snp.start(AGENT, "evidence", "--report-data", "00", "--tee", "tpm",
                                 "--root", snp.root)
    return None if plain and status == 0 and "tpm_quote" in json.loads(out) else err


def ra_tls(s):
    """bawn-verify ratls trusts the certificate by the TPM's key, in a file and from s_client"""
    paths = [s.tpm.path(name) for name in ("ra.pem", "ra.key")]
    status, _, err = s.tpm.agent("ra-tls", "--cert", paths[0], "--key", paths[1], "--cn", "db.test")
    if status:
        return err

    def verify(root, cert, stdin=b""):
        done = subprocess.run((VERIFY, "ratls", "--root", root, cert), input=stdin, check=False,
                              stdout=subprocess.PIPE)
        return done.returncode, done.stdout.decode()
    answers = [verify(s.tpm.path("made.pem"), paths[0])]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with subprocess.Popen(("openssl", "s_server", "-accept", address, "-cert", paths[0], "-key",
                           paths[1]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as server:
        for line in server.stdout:
            if b"ACCEPT" in line:
                break
        seen = subprocess.run(("openssl", "s_client", "-connect", address), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout
        server.terminate()
    answers.append(verify(s.tpm.path("made.pem"), "-", seen))
    if any(a[0] or "RA-TLS certificate of db.test: TPM 2.0 quote" not in a[1] for a in answers):
        return answers
    foreign = verify(s.other.ak("made.pem"), paths[0])
    return None if foreign[0] == 2 and "nothing vouches" in foreign[1] else foreign


def usage(s):
    """wrong handles, keys, certificates and combinations are refused with words"""
    cases = (
        (("ak", "--tpm-ak", "81010002"), 2, "0x81000000"),
        (("ak", "--tpm-ak", "0x40000001"), 2, "0x81000000"),
        (("ak", "--tpm-ak", "0x81010009"), 1, "no key with this handle"),
        (("evidence", "--report-data", "00", "--tee", "sev"), 2, "snp, tdx or tpm"),
        (("evidence", "--report-data", "00", "--with-tpm"), 2, "additional"),
        (("evidence", "--nonce", "x", "--with-tpm"), 1, "primary evidence"),
        (("evidence", "--report-data", "00", "--tee", "snp"), 1, "sev-guest"),
        (("evidence", "--report-data", "00", "--ak-cert", "/ext"), 1, "no certificate"),
        (("evidence", "--report-data", "00", "--ak-cert", "/none"), 1, "cannot open"),
    )
    for arguments, status, words in cases:
        got = s.tpm.agent(*arguments)
        if got[0] != status or words not in got[2] or got[1]:
            return arguments, got
    s.tpm.tool("createprimary", "-Q", "-C", "o", "-c", "storage.ctx")
    s.tpm.tool("evictcontrol", "-Q", "-C", "o", "-c", "storage.ctx", "0x81010004")
    got = s.tpm.agent("ak", "--tpm-ak", "0x81010004")
    return None if got[0] == 1 and "no attestation key" in got[2] else got


def hostile(s):
    """what is no TPM behind the device's name: answers that end, never end, or are none"""
    answers = (b"", b"\x80", b"\x80\1\0\0\0\x0a", b"\x80\1\xff\xff\xff\xff\0\0\0\0",
               b"\x80\1\0\0\0\x0a\0\0\0\0", b"\x80\2\0\0\x10\0\0\0\0\0" + bytes(4086), bytes(5000),
               b"\x80\1\0\0\x20\0\0\0\0\0" + bytes(8182), os.urandom(300))
    guest = os.path.join(s.folder, "hostile")
    os.makedirs(os.path.join(guest, "dev"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(guest, "dev/tpmrm0"))
        listener.listen()
        for answer in answers:
            with subprocess.Popen((AGENT, "evidence", "--report-data", "00", "--root", guest),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                with listener.accept()[0] as sock:
                    sock.recv(4096)
                    sock.sendall(answer)
                out, err = process.communicate(timeout=20)
            if process.returncode != 1 or out or b"TPM" not in err:
                return answer[:20], process.returncode, err
    return None


def main():
    for program in ("swtpm", "tpm2_createak", "tpm2_eventlog"):
        if not shutil.which(program):
            print(f"1..0 # SKIP no {program}")
            return
    with tempfile.TemporaryDirectory() as folder:
        s = Scene(folder)
        try:
            s.administer("resource/default/key/disk", SECRET, "application/octet-stream")
            for test in (templates, manual, right_pcr, no_keys_left, token_for_tpm, extended_pcr,
                         persistent, certified, another_certificate, another_tpm, wrong_nonce,
                         event_log, huge_log, additional, ra_tls, usage,
                         hostile):
                tap.run(test, s)
        finally:
            s.end()
    tap.end()


main()
