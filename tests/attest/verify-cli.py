#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the command bawn-verify, as a user runs it: verdicts, exit statuses and words."""
import base64
import json
import os
import pty
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from points import run_all, test  # noqa: E402

PROGRAM = os.environ.get("BAWN_VERIFY", os.path.join(
    ROOT, os.environ.get("BAWN_BUILD", "build"), "bin/bawn-verify"))
VECTORS = os.path.join(ROOT, "tests/vectors")
TRUSTED, NOT_TRUSTED, CANNOT_JUDGE, USAGE = 0, 1, 2, 64


def vector(path):
    return os.path.join(VECTORS, path)


def data(path):
    with open(vector(path), "rb") as file:
        return file.read()


class Answer:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()
        self.lines = self.out.splitlines()

    def has(self, *words):
        for word in words:
            assert word in self.out, f"no {word!r} in:\n{self.out}{self.err}"
        return self

    def lacks(self, *words):
        for word in words:
            assert word not in self.out, f"{word!r} in:\n{self.out}"
        return self

    def json(self):
        return json.loads(self.out)


def run(*args, status=None, stdin=b"", env=None):
    environment = {"PATH": "/usr/bin:/bin", **(env or {})}
    done = subprocess.run([PROGRAM, *args], input=stdin, env=environment, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    answer = Answer(done)
    if status is not None:
        assert answer.status == status, \
            f"status {answer.status}, not {status}: {args}\n{answer.out}{answer.err}"
    return answer


def usage(words, *args):
    answer = run(*args, status=USAGE)
    assert not answer.out and words in answer.err and "bawn-verify --help" in answer.err, answer.err
    assert answer.err.count("\n") == 1, answer.err


MILAN = vector("snp/milan-v3-vcek-05b7438a.report.bin")
MILAN_VCEK = vector("snp/milan-v3-vcek-05b7438a.vcek.der")
MILAN_CRL = vector("snp/crl/milan.crl.der")
SNP = ("--at", "2026-09-01", "--endorsements", MILAN_VCEK, "--crl", MILAN_CRL)
PROVISIONAL = "snp/milan-v2-vcek-7c614616"
TDX = "tdx/tdx-v4-00806f050000-c39a3a25.quote.bin"
TDX_COLLATERAL = "tdx/tdx-v4-00806f050000-c39a3a25.collateral-2025-06-04.json"
TDX_AT = next(f"@{bundle['at']}" for entry in json.loads(data("tdx/expected.json"))
              for bundle in entry["bundles"] if bundle["collateral"] in TDX_COLLATERAL)


# ---- Vectors of each kind ----

@test
def snp_reports():
    """every SNP report, with its certificate and AMD's lists"""
    for entry in json.loads(data("snp/expected.json")):
        bad = entry["debug"] or entry["key"] == "VLEK"  # the VLEK has expired by then
        answer = run("--at", "2026-09-01", "--endorsements", vector("snp/" + entry["signer_cert"]),
                     "--endorsements", vector("snp/crl"), vector("snp/" + entry["report"]),
                     status=NOT_TRUSTED if bad else TRUSTED)
        answer.has(f"AMD SEV-SNP attestation report, version {entry['version']}",
                   entry["product"], entry["measurement"], f"signed by         {entry['key']}")
        if entry["debug"]:
            answer.has("refused snp.debug")
        elif bad:
            answer.has("has expired")


@test
def snp_altered_certificates():
    """an altered VCEK is not trusted"""
    for name in ("new", "legacy"):
        run("--at", "2026-09-01", "--endorsements", vector(f"snp/test-vcek-invalid-{name}.der"),
            vector(PROVISIONAL + ".report.bin"), status=NOT_TRUSTED)


@test
def tdx_and_sgx_quotes():
    """every quote with each of its collateral, judged at its time"""
    for entry in json.loads(data("tdx/expected.json")):
        for bundle in entry["bundles"]:
            answer = run("--json", "--at", f"@{bundle['at']}", "--endorsements",
                         vector("tdx/" + bundle["collateral"]), vector("tdx/" + entry["quote"]))
            said = answer.json()
            level = bundle["platform_tcb_level"]
            good = bundle["peer_verdict"].startswith("Status: ")
            assert not good or answer.status == TRUSTED, (entry["name"], answer.out)
            if entry["debug"] or "expired" in bundle["peer_verdict"]:
                assert answer.status == NOT_TRUSTED, (entry["name"], answer.out)
            if good:
                kind = entry["tee"].lower()
                assert said["claims"][f"{kind}.tcb_status"] == bundle["peer_verdict"][8:], \
                    (entry["name"], level, said["claims"][f"{kind}.tcb_status"])


@test
def tdx_human():
    """a TDX quote for a person"""
    run("--at", TDX_AT, "--endorsements", vector(TDX_COLLATERAL), vector(TDX), status=TRUSTED).has(
        "TRUSTED: Intel TDX quote, version 4", "TCB status        UpToDate", "MRTD   ", "RTMR 2  ")


@test
def tdx_without_collateral():
    """without collateral a quote cannot be judged, and what to fetch is said"""
    answer = run("--at", TDX_AT, vector(TDX), status=CANNOT_JUDGE)
    assert answer.lines[0].startswith("CANNOT JUDGE: Intel TDX quote"), answer.lines[0]
    answer.has("missing ", "https://api.trustedservices.intel.com/tdx/")


@test
def azure_evidence():
    """Azure's virtual TPM with an SNP report, in both JSON forms, and with a TD quote"""
    for name in ("evidence-genoa", "evidence-v1"):
        run("--at", "2026-09-01", vector(f"azure/{name}.json"), status=TRUSTED).has(
            "key bound by      HCL runtime data", "PCR 0 ", "measurement ")
    run("--at", "2026-09-01", vector("azure/evidence-tdx-v1.json"), status=CANNOT_JUDGE).has(
        "missing tcb-info.present")
    run("--at", "2026-09-01", vector("azure/hcl-report.bin"), status=CANNOT_JUDGE)


@test
def tpm_quotes():
    """TPM quotes: under a given key, with none, SHA-1, and go-tpm-tools' form"""
    quote = ("--endorsements", vector("tpm/quotesig.out"), "--endorsements",
             vector("tpm/quotepcr.out"), vector("tpm/quote.out"))
    answer = run("--root", vector("tpm/akpub.pem"), *quote, status=TRUSTED)
    assert answer.lines[0].startswith("TRUSTED under another root ("), answer.lines[0]
    answer.has("TPM 2.0 quote", "PCR 16 ", "nonce ")
    run("--endorsements", vector("tpm/akpub.pem"), *quote, status=CANNOT_JUDGE).has("tpm.ak-binding")
    run(vector("tpm/tpm_evidence.json"), status=CANNOT_JUDGE).has("nothing vouches")
    run(vector("tpm/windows_gcp_shielded_vm.json"), status=NOT_TRUSTED).has("SHA-1")
    said = run("--json", "--at", "2026-09-01", vector("tpm/gce-cos-85-nonce9009.pb")).json()
    assert said["verdict"] != "trusted" and said["claims"]["tpm.nonce"] == "9009"
    assert said["claims"]["tpm.banks_quoted"] == 3 and said["claims"]["tpm.pcr_bank"] != "sha1"


@test
def event_logs():
    """event logs alone are replayed and never trusted; broken ones are refused as such"""
    for name in ("debian-10.bin", "ccel_data.dat", "binary_bios_measurements", "rhel8-uefi.bin"):
        run(vector("eventlog/" + name), status=CANNOT_JUDGE).has("event log", "proves nothing")
    for name in ("binary_bios_measurements-bogus", "binary_bios_measurements-empty"):
        assert run(vector("eventlog/" + name)).status != TRUSTED


@test
def events():
    """--events prints the log, in words and in JSON"""
    log = vector("eventlog/ccel_data.dat")
    run(log).lacks("EV_SEPARATOR")
    run("--events", log).has("events:", "EV_SEPARATOR", "EV_EFI_BOOT_SERVICES_APPLICATION",
                             "grub", "digest of the data ")
    assert "events" not in run("--json", log).json()
    found = run("--json", "--events", log).json()["events"]
    assert len(found) > 20 and {"index", "type", "type_name", "digest", "digest_is_of_data",
                                "text", "data"} == set(found[0])
    assert found[8]["type_name"] == "EV_SEPARATOR" and found[8]["type"] == 4
    assert found[8]["data"] == "00000000" and found[8]["digest_is_of_data"] is True


@test
def ccel_with_quote():
    """a CCEL log beside its quote replays to the quote's registers"""
    said = run("--json", "--explain", "--endorsements", vector("eventlog/ccel_data.dat"),
               vector("eventlog/cos-113-tdx-quote.dat")).json()
    checks = {f["check"]: f["level"] for f in said["findings"]}
    assert [c for c in checks if c.startswith("eventlog.")], checks
    assert not [f for f in said["findings"]
                if f["check"].startswith("eventlog.") and f["level"] == "refused"], said["findings"]


# ---- Forms of input ----

@test
def stdin():
    """evidence from stdin"""
    run(*SNP, "-", stdin=open(MILAN, "rb").read(), status=TRUSTED)
    run("-", stdin=b"", status=CANNOT_JUDGE).has("the evidence is empty")


@test
def texts():
    """hex and base64 text"""
    report = open(MILAN, "rb").read()
    for text in (report.hex(), report.hex().upper() + "\n", base64.b64encode(report).decode(),
                 base64.encodebytes(report).decode(), base64.urlsafe_b64encode(report).decode(),
                 base64.urlsafe_b64encode(report).decode().rstrip("=")):
        run(*SNP, "-", stdin=text.encode(), status=TRUSTED)
    quote = data(TDX)
    run("--at", TDX_AT, "--endorsements", vector(TDX_COLLATERAL), "-", stdin=quote.hex().encode(),
        status=TRUSTED)


def tcb(raw):
    return {"fmc": None, "bootloader": raw[0], "tee": raw[1], "snp": raw[6], "microcode": raw[7]}


def report_fields(raw):
    """As virtee/sev serialises a report of version 3."""
    def le(at, size):
        return int.from_bytes(raw[at:at + size], "little")

    def array(at, size):
        return list(raw[at:at + size])
    return {
        "version": le(0, 4), "guest_svn": le(4, 4), "policy": le(8, 8), "family_id": array(16, 16),
        "image_id": array(32, 16), "vmpl": le(0x30, 4), "sig_algo": le(0x34, 4),
        "current_tcb": tcb(raw[0x38:0x40]), "plat_info": le(0x40, 8), "key_info": le(0x48, 4),
        "report_data": array(0x50, 64), "measurement": array(0x90, 48),
        "host_data": array(0xc0, 32), "id_key_digest": array(0xe0, 48),
        "author_key_digest": array(0x110, 48), "report_id": array(0x140, 32),
        "report_id_ma": array(0x160, 32), "reported_tcb": tcb(raw[0x180:0x188]),
        "cpuid_fam_id": raw[0x188], "cpuid_mod_id": raw[0x189], "cpuid_step": raw[0x18a],
        "chip_id": array(0x1a0, 64), "committed_tcb": tcb(raw[0x1e0:0x1e8]),
        "current": {"build": raw[0x1e8], "minor": raw[0x1e9], "major": raw[0x1ea]},
        "committed": {"build": raw[0x1ec], "minor": raw[0x1ed], "major": raw[0x1ee]},
        "launch_tcb": tcb(raw[0x1f0:0x1f8]), "launch_mit_vector": None, "current_mit_vector": None,
        "signature": {"r": array(0x2a0, 72), "s": array(0x2e8, 72)},
    }


@test
def confidential_containers():
    """Confidential Containers' SNP and TDX evidence, bare and in requests"""
    report, vcek = open(MILAN, "rb").read(), open(MILAN_VCEK, "rb").read()
    chain = [{"cert_type": "VCEK", "data": list(vcek)}]
    snp = {"attestation_report": report_fields(report), "cert_chain": chain}
    forms = [snp, {"attestation_report": base64.b64encode(report).decode(), "cert_chain": chain},
             {"tee-evidence": {"primary_evidence": snp, "additional_evidence": "{}"}},
             {"tee": "snp",
              "evidence": base64.urlsafe_b64encode(json.dumps(snp).encode()).decode()}]
    for form in forms:
        run("--at", "2026-09-01", "--crl", MILAN_CRL, "-", stdin=json.dumps(form).encode(),
            status=TRUSTED)
    snp["attestation_report"]["guest_svn"] += 1
    run("--at", "2026-09-01", "-", stdin=json.dumps(snp).encode(), status=NOT_TRUSTED).has(
        "refused snp.signature")
    del snp["attestation_report"]["chip_id"]
    run("--at", "2026-09-01", "-", stdin=json.dumps(snp).encode(), status=CANNOT_JUDGE).has(
        "chip_id")
    tdx = {"quote": base64.b64encode(data(TDX)).decode(), "cc_eventlog": None}
    run("--at", TDX_AT, "--endorsements", vector(TDX_COLLATERAL), "-",
        stdin=json.dumps(tdx).encode(), status=TRUSTED)


@test
def not_recognised():
    """what is not recognised is shown, with the known forms"""
    run("-", stdin=b"\x00\x01binary", status=CANNOT_JUDGE).has(
        "not recognised", "8 bytes that begin with 000162696e617279", "SEV-SNP reports", "base64")
    run(MILAN_VCEK, status=CANNOT_JUDGE).has("endorsements")
    run("-", stdin=b'{"a":', status=CANNOT_JUDGE).has("line 1, column")


@test
def type_option():
    """--type says what the evidence is"""
    run(*SNP, "--type", "snp", MILAN, status=TRUSTED)
    run(*SNP, "--type=auto", MILAN, status=TRUSTED)
    run(*SNP, "--type", "tdx", MILAN, status=CANNOT_JUDGE).has("not what it was given as")
    run("--type", "json", vector("azure/evidence-v1.json"), "--at", "2026-09-01", status=TRUSTED)
    usage("--type elf", "--type", "elf", MILAN)
    # A quote of an enclave is no quote of a TD, however genuine.
    quote = ("--at", TDX_AT, "--endorsements", vector(TDX_COLLATERAL), vector(TDX))
    run("--type", "tdx", *quote, status=TRUSTED).has("expectations      none")
    run("--type", "sgx", *quote, status=NOT_TRUSTED).has("quote.tee", "expected  SGX")
    run("--type", "sgx", "--type", "auto", *quote, status=TRUSTED)


# ---- Endorsements ----

@test
def directories():
    """a directory of endorsements: its files, not those below, not hidden ones, links too"""
    with tempfile.TemporaryDirectory() as top:
        at = ("--at", "2026-09-01", "--endorsements", top, MILAN)
        run(*at, status=CANNOT_JUDGE).has("missing snp.certificate")
        os.mkdir(os.path.join(top, "below"))
        hidden, below = os.path.join(top, ".vcek"), os.path.join(top, "below", "vcek")
        for path in (hidden, below):
            os.symlink(MILAN_VCEK, path)
        os.mkfifo(os.path.join(top, "fifo"))
        run(*at, status=CANNOT_JUDGE)
        os.symlink(below, os.path.join(top, "vcek"))
        run(*at, status=TRUSTED).has("warning snp.revocation")
        os.symlink(MILAN_CRL, os.path.join(top, "crl"))
        run(*at, status=TRUSTED).lacks("warning")
        # What is no endorsement is a warning, and hides nothing.
        with open(os.path.join(top, "a-note"), "wb") as file:
            file.write(b"\x00\x01\x02 not an endorsement")
        run(*at, status=TRUSTED).has("warning endorsement.readable")
        os.symlink("/nonexistent", os.path.join(top, "z-dangling"))
        answer = run(*at, status=CANNOT_JUDGE)
        assert "z-dangling" in answer.err and not answer.out


@test
def many_files():
    """more endorsements than are read at most"""
    with tempfile.TemporaryDirectory() as top:
        for i in range(1025):
            open(os.path.join(top, f"{i:05}"), "wb").close()
        answer = run("--endorsements", top, MILAN, status=CANNOT_JUDGE)
        assert "more than 1024 files" in answer.err, answer.err


@test
def large_files():
    """a file larger than 16 MiB, one of exactly that, an endless one, and too many of them"""
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, "file")
        with open(path, "wb") as file:
            file.truncate((16 << 20) + 1)
        answer = run(path, status=CANNOT_JUDGE)
        assert "larger than 16 MiB" in answer.err and not answer.out
        os.truncate(path, 16 << 20)
        run(path, status=CANNOT_JUDGE).has("16777216 bytes that begin with 00000000")
        answer = run("/dev/zero", status=CANNOT_JUDGE)
        assert "larger than 16 MiB" in answer.err
        answer = run(*("--endorsements", path) * 5, MILAN, status=CANNOT_JUDGE)
        assert "more than 64 MiB" in answer.err, answer.err


@test
def unreadable_files():
    """files that cannot be read, by any option"""
    with tempfile.TemporaryDirectory() as top:
        for args in (["/nonexistent"], ["--endorsements", "/nonexistent", MILAN],
                     ["--crl", "/nonexistent", MILAN], ["--root", "/nonexistent", MILAN]):
            answer = run(*args, status=CANNOT_JUDGE)
            assert "/nonexistent: No such file" in answer.err and not answer.out, answer.err
        for args in ([top], ["--root", top, MILAN]):
            assert "is a directory" in run(*args, status=CANNOT_JUDGE).err
        if os.geteuid():
            path = os.path.join(top, "secret")
            open(path, "wb").close()
            os.chmod(path, 0)
            assert "Permission denied" in run(path, status=CANNOT_JUDGE).err


# ---- Roots ----

def make_ak_certificate(top, name):
    """A root of that name, and its certificate for the TPM key of the vectors."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=top, check=True, stderr=subprocess.DEVNULL)
    with open(os.path.join(top, "config"), "w", encoding="utf-8") as file:
        file.write(f"[req]\nprompt=no\nutf8=yes\ndistinguished_name=dn\n[dn]\nCN={name}\n"
                   "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
                   "subjectKeyIdentifier=hash\n"
                   "[ak]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                   "extendedKeyUsage=2.23.133.8.3\nauthorityKeyIdentifier=keyid\n")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "key", "-out", "root.pem", "-days", "3650", "-config", "config",
            "-extensions", "ca")
    openssl("req", "-new", "-key", "key", "-out", "req", "-config", "config", "-subj", "/CN=AK")
    openssl("x509", "-req", "-in", "req", "-CA", "root.pem", "-CAkey", "key", "-days", "3650",
            "-force_pubkey", vector("tpm/akpub.pem"), "-extfile", "config", "-extensions", "ak",
            "-set_serial", "7", "-out", "ak.pem")
    return os.path.join(top, "root.pem"), os.path.join(top, "ak.pem")


@test
def foreign_root():
    """a verdict under another root says so in its first line, whatever its name is"""
    quote = ("--endorsements", vector("tpm/quotesig.out"), "--endorsements",
             vector("tpm/quotepcr.out"), vector("tpm/quote.out"))
    for name, shown in (("Test Root", "Test Root"), ("A\x1b[31m) B", "A\\x1b[31m) B")):
        with tempfile.TemporaryDirectory() as top:
            root, ak = make_ak_certificate(top, name)
            answer = run("--root", root, "--endorsements", ak, *quote, status=TRUSTED)
            assert answer.lines[0].startswith(f"TRUSTED under another root ({shown}): "), \
                answer.lines[0]
            said = run("--json", "--root", root, "--endorsements", ak, *quote).json()
            assert said["foreign_root"] == shown, said["foreign_root"]
            # The other verdicts, too.
            answer = run("--root", root, "--endorsements", ak, "--expect", "tpm.nonce=00", *quote,
                         status=NOT_TRUSTED)
            assert answer.lines[0].startswith(f"NOT TRUSTED under another root ({shown}): ")
            # It is not enough to bring it along.
            run("--endorsements", root, "--endorsements", ak, *quote, status=NOT_TRUSTED)


@test
def given_roots():
    """--root replaces the compiled-in roots"""
    roots = os.path.join(ROOT, "attest/roots")
    args = (*SNP, "--endorsements", os.path.join(roots, "ask-milan.der"))
    said = run(*args, "--json", "--root", os.path.join(roots, "ark-milan.der"), MILAN,
               status=TRUSTED).json()
    assert said["foreign_root"] is None  # it is the one that is compiled in
    assert run(*args, "--root", os.path.join(roots, "ark-genoa.der"), MILAN).status != TRUSTED
    answer = run(*SNP, "--root", MILAN_VCEK, MILAN, status=CANNOT_JUDGE)
    assert "root" in answer.err and not answer.out


# ---- Time ----

@test
def times():
    """--at in each form, before, within and after the certificate's validity"""
    for at in ("2026-09-01", "2026-09-01T00:00:00Z", "2026-09-01t02:00:00+02:00",
               "2026-08-31 22:30:00-01:30", "@1788220800"):
        run(*SNP, "--at", at, MILAN, status=TRUSTED).has("judged as of      2026-09-01T00:00:00Z")
    run(*SNP, "--at", "2020-01-01", MILAN, status=NOT_TRUSTED).has("refused snp.chain-validity")
    run(*SNP, "--at", "2060-02-29", MILAN, status=NOT_TRUSTED).has("has expired")
    # A stale list does not answer whether something was revoked.
    assert "snp.revocation" in run(*SNP, "--at", "2027-06-01", MILAN).out


@test
def bad_times():
    """times that are none"""
    for at in ("", "yesterday", "2026", "2026-13-01", "2026-02-29", "2026-00-10", "2026-01-00",
               "2026-1-1", "2026-01-01T", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
               "2026-01-01T00:00:00", "2026-01-01T00:00:00Zulu", "2026-01-01T00:00:00+25:00",
               "1969-12-31", "@", "@-1", "@1x", "@99999999999999999999"):
        usage("--at " + at, "--at", at, MILAN)


# ---- Expectations ----

@test
def expectations():
    """--expect: each relation, on each kind of claim"""
    measurement = open(MILAN, "rb").read()[0x90:0xc0].hex()
    good = [f"snp.measurement={measurement}", f"snp.measurement={measurement.upper()}",
            "snp.policy.debug=false", "snp.policy.debug!=true", "snp.vmpl=0", "snp.vmpl<=0",
            "snp.guest_svn>=10", "snp.guest_svn<=0xa", "snp.guest_svn!=11", "snp.policy=0x3001f",
            "snp.product=Milan", "snp.product!=Genoa", "snp.reported_tcb>=04000000000018db",
            "snp.host_data=00", "snp.reported_tcb.microcode>=219"]
    run(*SNP, *(f"--expect={g}" for g in good), MILAN, status=TRUSTED)
    bad = ["snp.measurement=00", f"snp.measurement!={measurement}", "snp.policy.debug=true",
           "snp.vmpl>=1", "snp.guest_svn<=9", "snp.product=Turin", "snp.guest_svn=010x"[:-1] + "9",
           "snp.reported_tcb>=04000000000019db", "snp.reported_tcb>=05000000000000ff"]
    for b in bad:
        run(*SNP, "--expect", b, MILAN, status=NOT_TRUSTED).has("refused expect", "expected", "found")
    # One that fails is enough.
    run(*SNP, "--expect", good[0], "--expect", bad[0], MILAN, status=NOT_TRUSTED)


@test
def expectations_indexed():
    """--expect on an indexed claim"""
    azure = ("--at", "2026-09-01", vector("azure/evidence-genoa.json"))
    run("--expect", "tpm.pcr[11]=00", *azure, status=TRUSTED)
    run("--expect", "tpm.pcr[0]=00", *azure, status=NOT_TRUSTED).has("tpm.pcr[0]")
    run("--expect", "tpm.pcr[24]=00", *azure, status=NOT_TRUSTED).has("no claim")


@test
def expectations_unknown():
    """--expect on a claim that there is not, and with a value of another kind"""
    run(*SNP, "--expect", "snp.colour=1", MILAN, status=NOT_TRUSTED).has("no claim snp.colour")
    run(*SNP, "--expect", "tdx.mrtd=00", MILAN, status=NOT_TRUSTED).has("no claim tdx.mrtd")
    for value in ("snp.policy.debug=maybe", "snp.vmpl=zero", "snp.measurement=xyz",
                  "snp.measurement=123", "snp.policy.debug>=true", "snp.product<=Milan"):
        run(*SNP, "--expect", value, MILAN, status=CANNOT_JUDGE).has("cannot be compared")


@test
def expectations_usage():
    """--expect without a relation, a name or a value"""
    for value in ("snp.vmpl", "=1", "snp.vmpl=", "snp.vmpl!", "snp.vmpl>1", "snp.vmpl<1",
                  "snp vmpl=1", "SNP.vmpl=1", ">=1", "snp.vmpl>="):
        usage("--expect " + value, "--expect", value, MILAN)


# ---- Strictness and explanation ----

@test
def strict():
    """--strict refuses what is a warning else"""
    args = ("--at", "2026-09-01", "--endorsements", vector(PROVISIONAL + ".vcek.der"), "--crl",
            MILAN_CRL, vector(PROVISIONAL + ".report.bin"))
    run(*args, status=TRUSTED).has("warning snp.provisional").lacks("strictly")
    run("--strict", *args, status=NOT_TRUSTED).has("NOT TRUSTED", "snp.provisional", "strictly")
    run("--strict", *SNP, MILAN, status=TRUSTED)
    run("--strict", "--at", "2026-09-01", "--endorsements", MILAN_VCEK, MILAN,
        status=NOT_TRUSTED).has("snp.revocation")


@test
def explain():
    """--explain says how each check was made, and whether the sandbox is on"""
    run(*SNP, MILAN).lacks("passed", "sandbox")
    run("--explain", *SNP, MILAN, status=TRUSTED).has(
        "passed  snp.signature: ECDSA P-384", "passed  snp.tcb-extension", "[AMD 57230",
        "forbids debugging (snp.policy.debug=false) [AMD 56860", "sandbox seccomp: ", "Landlock: ")
    run("--explain", *SNP, "--expect=snp.vmpl=0", "--expect=snp.guest_svn>=3", MILAN).has(
        "asked for (snp.vmpl=0) [", "asked for (snp.guest_svn=10) [")


@test
def advice():
    """a refusal names claim, expected, found, source and advice"""
    name = "snp/milan-v2-vcek-377e6241"
    answer = run("--at", "2026-09-01", "--endorsements", vector(name + ".vcek.der"),
                 vector(name + ".report.bin"), status=NOT_TRUSTED)
    at = next(i for i, line in enumerate(answer.lines) if line.startswith("refused snp.debug"))
    rows = [line.split()[0] for line in answer.lines[at + 1:at + 6]]
    assert rows == ["claim", "expected", "found", "source", "advice"], answer.out
    assert answer.lines[0].startswith("NOT TRUSTED: AMD SEV-SNP"), answer.lines[0]


@test
def list_claims():
    """--list-claims prints what --expect takes"""
    answer = run(*SNP, "--list-claims", MILAN, status=TRUSTED)
    lines = [line.strip() for line in answer.lines[answer.lines.index("claims:") + 1:]]
    assert len(lines) > 50, answer.out
    run(*SNP, *(f"--expect={line}" for line in lines), MILAN, status=TRUSTED)


@test
def list_claims_indexed():
    """... also of indexed claims"""
    azure = ("--at", "2026-09-01", vector("azure/evidence-genoa.json"))
    answer = run("--list-claims", *azure)
    lines = [line.strip() for line in answer.lines[answer.lines.index("claims:") + 1:]]
    assert any(line.startswith("tpm.pcr[23]=") for line in lines)
    run(*(f"--expect={line}" for line in lines), *azure, status=TRUSTED)


@test
def reasons():
    """why stands right below the verdict, a line for each check"""
    name = "snp/milan-v2-vcek-377e6241"
    answer = run("--at", "2026-09-01", "--endorsements", vector(name + ".vcek.der"),
                 vector(name + ".report.bin"), status=NOT_TRUSTED)
    assert answer.lines[1].split()[:2] == ["because", "snp.debug:"], answer.lines[1]
    assert answer.lines[2].startswith("  judged as of"), answer.lines[2]
    # Each of several expectations is a reason of its own; each check else is named once.
    lines = run(*SNP, "--expect=snp.vmpl=3", "--expect=snp.guest_svn=9", MILAN).lines
    assert "expect: snp.vmpl " in lines[1] and "expect: snp.guest_svn " in lines[2], lines[1:3]
    lines = run("--at", "2026-09-01", "--endorsements", vector(PROVISIONAL + ".vcek.der"),
                MILAN, status=NOT_TRUSTED).lines
    assert sum("snp.tcb-extension" in line for line in lines if line[:2] == "  ") == 1, lines
    # What is missing is no reason for a refusal, but for not judging.
    answer = run("--at", TDX_AT, vector(TDX), status=CANNOT_JUDGE)
    assert answer.lines[1].split()[0] == "because", answer.lines[1]
    answer = run("--at", "2026-09-01", "--endorsements", MILAN_VCEK, MILAN, status=TRUSTED)
    assert answer.lines[1].split()[:2] == ["but", "snp.revocation:"], answer.lines[1]
    answer = run("--strict", "--at", "2026-09-01", "--endorsements", MILAN_VCEK, MILAN,
                 status=NOT_TRUSTED)
    assert answer.lines[1].split()[:2] == ["because", "snp.revocation:"], answer.lines[1]
    assert run(*SNP, MILAN).lines[1].startswith("  judged as of")


@test
def nothing_compared():
    """trusted without expectations says that it is nobody's guest in particular"""
    run(*SNP, MILAN, status=TRUSTED).has("expectations      none: genuine")
    run(*SNP, "--expect=snp.vmpl=0", MILAN, status=TRUSTED).lacks("expectations")
    run(*SNP, "--expect=snp.vmpl=1", MILAN, status=NOT_TRUSTED).lacks("expectations")
    assert run("--json", *SNP, MILAN).json()["expectations"] == 0
    assert run("--json", *SNP, "--expect=snp.vmpl=0", MILAN).json()["expectations"] == 1


@test
def repeated_findings():
    """source and advice of the same check stand once"""
    with tempfile.TemporaryDirectory() as top:
        for name in "abc":
            with open(os.path.join(top, name), "wb") as file:
                file.write(b"not an endorsement " + name.encode())
        out = run(*SNP, "--endorsements", top, MILAN, status=TRUSTED).out
    assert out.count("warning endorsement.readable") == 3, out
    assert out.count("leave it out") == 1 and out.count("    found ") == 3, out


@test
def finding_names_file():
    """a finding about an endorsement has its number and its file, of a directory too"""
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, "a-note")
        with open(path, "wb") as file:
            file.write(b"not an endorsement")
        args = (*SNP, "--endorsements", top)
        number = 1 + sum(arg == "--endorsements" or arg == "--crl" for arg in SNP)
        answer = run(*args, MILAN, status=TRUSTED)
        answer.has(f"endorsement {number} is of no known kind", f"    file      {path}\n")
        about, = (f for f in run("--json", *args, MILAN).json()["findings"]
                  if f["check"] == "endorsement.readable")
        assert about["file"] == path, about
    run("--endorsements", MILAN_VCEK, MILAN_VCEK, status=CANNOT_JUDGE).has(
        "the evidence is a certificate", "give it with --endorsements")


@test
def facts():
    """lists on one line, empty values named, logs of both kinds"""
    name = "tdx/tdx-v4-00806f050000-4b23198a"
    answer = run("--at", "2025-10-20", "--endorsements",
                 vector(name + ".collateral-2025-10-19.json"), vector(name + ".quote.bin"))
    answer.has("advisories        INTEL-SA-00960, INTEL-SA-00982")
    run("--at", "2026-09-01", vector("tpm/gce-cos-85-no-nonce.pb")).has("nonce             empty")
    run("--at", "2026-09-01", vector("eventlog/ccel_data.dat")).has("secure boot       false",
                                                                    "kernel command    /syslinux")
    run("--at", "2026-09-01", vector("azure/evidence-genoa.json")).has("VM secure boot    ")
    run("--events", *SNP, MILAN).has("events: none")


# ---- JSON ----

@test
def json_schema():
    """--json: the members that the manual lists, and all claims"""
    said = run("--json", "--explain", *SNP, MILAN, status=TRUSTED).json()
    assert list(said) == ["schema", "verdict", "subject", "at", "strict", "expectations",
                          "foreign_root", "sandbox", "claims", "findings"], list(said)
    assert said["schema"] == "bawn-verify/1" and said["verdict"] == "trusted"
    assert said["at"] == "2026-09-01T00:00:00Z" and said["strict"] is False
    assert set(said["sandbox"]) == {"seccomp", "landlock"}
    claims = said["claims"]
    report = open(MILAN, "rb").read()
    assert claims["snp.measurement"] == report[0x90:0xc0].hex()
    assert claims["snp.policy"] == 0x3001f and claims["snp.policy.debug"] is False
    assert claims["snp.product"] == "Milan" and list(claims) == sorted(claims)
    levels = set()
    for finding in said["findings"]:
        assert list(finding) == ["level", "check", "text", "file", "claim", "expected", "found",
                                 "source", "advice"], finding
        assert all(isinstance(v, str) for v in finding.values())
        assert finding["check"] and finding["text"]
        levels.add(finding["level"])
    assert levels == {"pass"}, levels


@test
def json_verdicts():
    """--json of the other verdicts; findings are those of the human answer"""
    name = "snp/milan-v2-vcek-377e6241"
    args = ("--at", "2026-09-01", vector(name + ".report.bin"))
    said = run("--json", "--endorsements", vector(name + ".vcek.der"), *args,
               status=NOT_TRUSTED).json()
    assert said["verdict"] == "not-trusted"
    assert "refused" in {f["level"] for f in said["findings"] if f["check"] == "snp.debug"}
    said = run("--json", "--at", TDX_AT, vector(TDX), status=CANNOT_JUDGE).json()
    assert said["verdict"] == "cannot-judge"
    assert "missing" in {f["level"] for f in said["findings"]}
    said = run("--json", "-", stdin=b"\x1b[31m\x00\xff", status=CANNOT_JUDGE).json()
    assert said["claims"] == {} and said["findings"][0]["check"] == "evidence.form"
    run("--json", "-", stdin=b'{"\xc3\xa4\xe2\x82\xac":1}', status=CANNOT_JUDGE).json()


@test
def json_failure():
    """--json of what cannot be read is such an object, too"""
    with tempfile.TemporaryDirectory() as top:
        missing = os.path.join(top, 'no"such\n')
        for args in ((missing,), (top,), ("--endorsements", missing, MILAN),
                     ("--root", missing, MILAN), ("--root", MILAN, MILAN)):
            answer = run("--json", "--events", *args, status=CANNOT_JUDGE)
            said = answer.json()
            assert answer.err.startswith("bawn-verify: "), answer.err
            assert said["schema"] == "bawn-verify/1" and said["verdict"] == "cannot-judge", said
            assert said["claims"] == {} and said["events"] == [], said
            (finding,) = said["findings"]
            assert finding["check"] == "input" and finding["level"] == "missing", finding
            assert f"bawn-verify: {finding['text']}\n" == answer.err, answer.err
        assert not run(missing, status=CANNOT_JUDGE).out
    assert not run("--json", "--at", "yesterday", MILAN, status=USAGE).out


@test
def json_arrays():
    """--json gives indexed claims as arrays, with null for what is not there"""
    claims = run("--json", "--at", "2026-09-01", vector("azure/evidence-genoa.json")).json()["claims"]
    assert len(claims["tpm.pcr"]) == 24 and all(len(p) == 64 for p in claims["tpm.pcr"])
    claims = run("--json", "--root", vector("tpm/akpub.pem"), "--endorsements",
                 vector("tpm/quotesig.out"), "--endorsements", vector("tpm/quotepcr.out"),
                 vector("tpm/quote.out"), status=TRUSTED).json()["claims"]
    assert claims["tpm.pcr"][0] is None and len(claims["tpm.pcr"][15]) == 64, claims["tpm.pcr"]
    # Hundreds of entries stay whole and in order.
    said = run("--json", "--list-claims", vector("eventlog/debian-10.bin"))
    listed = run("--list-claims", vector("eventlog/debian-10.bin")).lines
    dbx = [line.split("=", 1)[1] for line in listed if line.startswith("  eventlog.dbx[")]
    assert len(dbx) > 100 and said.json()["claims"]["eventlog.dbx"] == dbx


# ---- Hostile text, terminals ----

@test
def no_control_characters():
    """nothing that evidence says reaches the terminal as a control character"""
    hostile = json.dumps({"\x1b[31m\u202e\u009b": 1}, ensure_ascii=False).replace(
        "\\u001b", "\u007f").encode()
    for stdin_ in (hostile, b"\x1b]0;x\x07", b"{\"a\":\"\x1b[0m\"}", b"-----BEGIN \x1b[31m"):
        for args in ((), ("--json",), ("--explain", "--list-claims", "--events")):
            answer = run(*args, "-", stdin=stdin_, status=CANNOT_JUDGE)
            assert not [c for c in answer.out if (ord(c) < 0x20 and c != "\n") or
                        0x7f <= ord(c) < 0xa0], answer.out
            if "--json" not in args:
                assert answer.out.isascii()
    for name in ("debian-10.bin", "ubuntu-2404-amd-sevsnp.bin", "ccel_data.dat"):
        answer = run("--events", "--list-claims", vector("eventlog/" + name))
        assert answer.out.isascii() and answer.out.replace("\n", "").isprintable()


def on_terminal(**env):
    """The bytes that bawn-verify writes to a terminal."""
    leader, follower = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", "TERM": "xterm", **env}
    with subprocess.Popen([PROGRAM, *SNP, MILAN], stdin=subprocess.DEVNULL, stdout=follower,
                          stderr=follower, env=environment) as program:
        os.close(follower)
        out = b""
        try:
            while chunk := os.read(leader, 65536):
                out += chunk
        except OSError:  # the other end is closed
            pass
        os.close(leader)
        assert program.wait(timeout=60) == TRUSTED, out
    return out


@test
def colours():
    """colours on a terminal, not with NO_COLOR, not on a dumb one, not elsewhere"""
    assert on_terminal().startswith(b"\x1b[1;32mTRUSTED\x1b[0m")
    assert b"\x1b" not in on_terminal(NO_COLOR="1")
    assert b"\x1b" in on_terminal(NO_COLOR="")
    assert b"\x1b" not in on_terminal(TERM="dumb")
    assert "\x1b" not in run(*SNP, MILAN, env={"TERM": "xterm"}).out


@test
def full_disk():
    """an answer that cannot be written is none"""
    with open("/dev/full", "wb") as full:
        for args in ([*SNP, MILAN], ["--json", *SNP, MILAN], ["--help"]):
            done = subprocess.run([PROGRAM, *args], stdout=full, stderr=subprocess.PIPE, check=False)
            assert done.returncode == CANNOT_JUDGE and b"cannot write" in done.stderr, done


# ---- Usage ----

@test
def usage_errors():
    """what is wrong with a command line, in one line"""
    usage("which evidence", *SNP)
    usage("which evidence")
    usage("one piece of evidence", MILAN, MILAN)
    usage("--colour: no such option", "--colour", MILAN)
    usage("-j: no such option", "-j", MILAN)
    usage("--jsonx: no such option", "--jsonx", MILAN)
    usage("--js: no such option", "--js", MILAN)
    for option in ("at", "endorsements", "crl", "root", "expect", "type"):
        usage(f"--{option} needs a value", MILAN, f"--{option}")
    for option in ("strict", "explain", "json", "events", "list-claims", "help", "version"):
        usage(f"--{option} takes no value", f"--{option}=1", MILAN)


@test
def option_forms():
    """values after a space or an equals sign, options after the evidence, -- and -"""
    run(f"--endorsements={MILAN_VCEK}", "--at=2026-09-01", MILAN, status=TRUSTED)
    run(MILAN, *SNP, status=TRUSTED)
    run(*SNP, "--", MILAN, status=TRUSTED)
    with tempfile.TemporaryDirectory() as top:
        os.symlink(MILAN, os.path.join(top, "--json"))
        done = subprocess.run([PROGRAM, *SNP, "--", "--json"], cwd=top, stdout=subprocess.PIPE,
                              check=False)
        assert done.returncode == TRUSTED and done.stdout.startswith(b"TRUSTED")


@test
def help_and_version():
    """--help lists every option of the manual, with examples; --version"""
    answer = run("--help", status=0)
    with open(os.path.join(ROOT, "docs/man/bawn-verify.1"), encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    for option in ("at", "endorsements", "crl", "root", "expect", "strict", "explain", "json",
                   "events", "list-claims", "type", "help", "version"):
        answer.has(f"--{option}")
        assert f"--{option}" in manual, option
    answer.has("Examples:", "Exit status: 0 trusted, 1 not trusted, 2 cannot judge, 64 usage")
    assert all(len(line) <= 100 for line in answer.lines), max(answer.lines, key=len)
    version = run("--version", status=0).out
    assert version.startswith("bawn-verify ") and version.count(".") >= 2, version


@test
def completion():
    """bash completes options, kinds and files"""
    script = os.path.join(ROOT, "attest/completion/bawn-verify.bash")

    def complete(*words):
        command = (f"source {script}; COMP_WORDS=({' '.join(words)}); "
                   f"COMP_CWORD={len(words) - 1}; _bawn_verify {PROGRAM}; "
                   'printf "%s\\n" "${COMPREPLY[@]}"')
        return subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, check=True,
                              stderr=subprocess.DEVNULL).stdout.decode().split()
    assert complete("bawn-verify", "--e") == ["--endorsements", "--expect", "--explain", "--events"]
    assert complete("bawn-verify", "--type", "s") == ["snp", "sgx"]
    assert complete("bawn-verify", os.path.join(VECTORS, "tpm/akp")) == [vector("tpm/akpub.pem")]
    assert complete("bawn-verify", "--at", "''") == []
    assert complete("bawn-verify", "ratl") == ["ratls"]
    assert complete("bawn-verify", "ratls", "--ro") == ["--root"]
    # Bash splits words at an equals sign.
    assert complete("bawn-verify", "--type", "=", "s") == ["snp", "sgx"]
    assert len(complete("bawn-verify", "--type", "=")) == 8


@test
def sandboxed():
    """the process is confined where the kernel can do it"""
    status = {}
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            key, _, value = line.partition(":")
            status[key] = value.strip()
    said = run("--json", *SNP, MILAN).json()["sandbox"]
    assert said["seccomp"] is ("Seccomp" in status), said


def main():
    os.chdir(ROOT)
    return run_all()


if __name__ == "__main__":
    sys.exit(main())
