#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Azure's TDX evidence, recorded on real hardware, through the whole service at the time of its collateral.
About 2 s.

Real: the HCL report with its TD report and runtime data, the TD quote, the TPM's quote and PCRs, Intel's
certificates, CRLs, TCB info and QE identity, and the roots, which are those compiled in.
Not real: the clock (clock.c), which is at June 2025; and the session, for the recorded TPM quote answers
another one's challenge and no runtime data hashes to that. So nothing can be released here: the service
says that this, and this alone, is wrong with evidence as it was recorded, and what else is wrong when a part
is altered or another machine's. Evidence that answers its nonce is in tests/unit/vault/evidence_test.c, with
a TPM of swtpm and a quote that is made up."""
import base64
import json
import os
import struct
import time

from attestd import BUILD, Service, Tap, ask

VECTORS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../vectors")
JSON = [("Content-Type", "application/json")]
AT = 1749670034  # tdx/expected.json, of this quote's bundle
OTHER = "session.binding"  # the check that recorded evidence cannot pass
MRTD = "024a32b070383331181619fa387cb4d55d1e38879f989933055ccad5bc2db795d1737b66205949d15469dc8c1ba7ab7b"
KEY = {"kty": "EC", "alg": "ECDH-ES+A256KW", "crv": "P-256",
       "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
       "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
POLICY = {"bawn_policy": 1, "id": "recorded", "version": "1", "evidence": ["azure-tdx"], "rules": [
    {"id": "td", "claim": "tdx.mrtd", "equals": MRTD, "reason": "another TD"},
    {"id": "tcb", "claim": "tdx.tcb_status", "equals": "OutOfDate", "reason": "another level"},
    {"id": "boot", "claim": "hcl.vm_configuration.secure_boot", "equals": True,
     "reason": "no secure boot"},
    {"id": "pcr", "claim": "tpm.pcr[7]", "reason": "another PCR 7", "equals":
     "4d98d960d39753d97c718812eb4baa6c4bae9eca0365d6100393bf227d91f894"}]}
# Offsets: in the HCL report (attest/lib/azure.c; TDX Module ABI, TDREPORT_STRUCT), and in a quote of
# version 4 (DCAP Quoting Library API, A.3).
HCL_MRTD = 0x20 + 528
QUOTE_MRTD, QUOTE_REPORT_DATA, QUOTE_SIGNATURE = 48 + 136, 48 + 520, 48 + 584 + 4
tap = Tap()


class ClockedService(Service):
    """At that time, and its certificates too."""
    def start(self, arguments):
        clock = os.path.join(self.dir, "clock")
        with open(clock, "wb") as f:
            f.write(struct.pack("=q", AT - int(time.time())))
        os.environ.update(LD_PRELOAD=os.path.join(BUILD, "tests/clock.so"), BAWN_TEST_CLOCK=clock)
        try:
            super().start(arguments)
        finally:
            del os.environ["LD_PRELOAD"]

    def context(self, admin=False):
        context = super().context(admin)
        context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the test's clock is today's
        return context


def read(name):
    with open(os.path.join(VECTORS, name), "rb") as f:
        return f.read()


def octets(text):
    return bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def text(data):
    return base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")


def evidence(member=None, change=None):
    """As it was recorded, but for one member whose bytes `change` alters."""
    value = json.loads(read("azure/evidence-tdx-v1.json"))
    if member:
        data = octets(value[member])
        value[member] = text(change(data) or data)
    return value


def flip(at):
    def change(data):
        data[at] ^= 1
    return change


class Machine:
    """Sends evidence to a session of its own, and reads what the log has of it."""
    def __init__(self, service):
        self.service = service

    def attest(self, primary, tee="az-tdx-vtpm"):
        sock = self.service.tls()
        auth = ask(sock, "POST", "/kbs/v0/auth", json.dumps(
            {"version": "0.4.0", "tee": tee, "extra-params": {}}).encode(), JSON)
        cookie = auth[1]["set-cookie"].split(";")[0]
        body = {"runtime-data": {"nonce": json.loads(auth[2])["nonce"], "tee-pubkey": KEY},
                "tee-evidence": {"primary_evidence": primary, "additional_evidence": "{}"}}
        answer = ask(sock, "POST", "/kbs/v0/attest", json.dumps(body).encode(),
                     JSON + [("Cookie", cookie)])
        log = ask(self.service.tls(admin=True), "GET", "/bawn/v1/log")
        entry = json.loads(log[2])["entries"][-1]
        return answer, entry


def against(entry):
    """The checks that speak against it."""
    return {f["check"] for f in entry["findings"] if f["level"] in ("refused", "missing")}


def genuine(machine):
    """as recorded: all is genuine but the nonce, and the policy holds of the claims"""
    answer, entry = machine.attest(evidence())
    claims = entry["claims"]
    found = {f["check"]: f["level"] for f in entry["findings"]}
    rules = {t["rule"]: t["outcome"] for t in entry["trace"]}
    ok = answer[0] == 401 and entry["kind"] == "azure-tdx" and "foreign_root" not in entry and \
        not entry["allowed"] and found == {OTHER: "refused", "tdx.tcb-status": "warning",
                                           "tdx.sept-ve-disable": "warning"} and \
        all(rules.get(r["id"]) == "passed" for r in POLICY["rules"]) and \
        claims["tdx.mrtd"] == MRTD and claims["tdx.tcb_status"] == "OutOfDate" and \
        claims["tpm.nonce"] == b"challenge".hex() and \
        claims["hcl.vm_configuration.vm_unique_id"] == "6332533D-5649-4D02-8AA7-8F64B7C3EE21"
    return None if ok else (answer, entry)


class Refused:
    """What is altered, and the checks that find it, beside the nonce."""
    def __init__(self, machine, name, checks, primary):
        self.machine, self.checks, self.primary = machine, checks, primary
        self.__doc__ = name + ": refused by " + ", ".join(sorted(checks))

    def __call__(self):
        answer, entry = self.machine.attest(self.primary)
        found = against(entry) - {OTHER}
        said = json.loads(answer[2])["reasons"]
        texts = [f["text"] for f in entry["findings"] if f["check"] in self.checks and
                 f["level"] in ("refused", "missing")]
        ok = answer[0] == 401 and not entry["allowed"] and found == self.checks and \
            all(t in said for t in texts)
        return None if ok else (answer, found)


def cases():
    snp = json.loads(read("azure/evidence-v1.json"))
    other = text(read("tdx/tdx-v4-00806f050000-c39a3a25.quote.bin"))  # the same kind of platform
    tdx = evidence()

    def key(data):
        at = data.index(b'"kid":"HCLAkPub"')
        at = data.index(b'"n":"', at) + 10
        data[at] = ord("A") if data[at] != ord("A") else ord("B")
    yield "a byte of the configuration in the runtime data", {"hcl.report-data"}, evidence(
        "hcl_report", lambda d: d.replace(b'"secure-boot":true', b'"secure-Boot":true'))
    yield "another key in the runtime data", {"hcl.report-data", "tpm.signature"}, evidence(
        "hcl_report", key)
    yield "the TD report's MRTD", {"hcl.td-quote"}, evidence("hcl_report", flip(HCL_MRTD))
    yield "the quote's report data", {"hcl.td-quote", "hcl.report-data", "quote.signature"}, \
        evidence("td_quote", flip(QUOTE_REPORT_DATA))
    yield "the quote's MRTD", {"hcl.td-quote", "quote.signature"}, \
        evidence("td_quote", flip(QUOTE_MRTD))
    yield "the quote's signature", {"quote.signature"}, evidence("td_quote", flip(QUOTE_SIGNATURE))
    yield "a TD quote of another machine", {"hcl.td-quote", "hcl.report-data"}, \
        dict(tdx, td_quote=other)
    yield "a TPM quote of another machine", {"tpm.signature"}, \
        dict(tdx, tpm_quote=snp["tpm_quote"])
    yield "the HCL report of another machine, with SNP", {"tpm.signature", "snp.certificate"}, \
        dict(tdx, hcl_report=snp["hcl_report"])
    yield "a PCR that was not quoted", {"tpm.pcr-digest"}, dict(tdx, tpm_quote=dict(
        tdx["tpm_quote"], pcrs=["00" * 32] + tdx["tpm_quote"]["pcrs"][1:]))
    yield "no TD quote", {"hcl.td-quote"}, {k: v for k, v in tdx.items() if k != "td_quote"}


def other_session(machine):
    """in a session of another TEE: refused for that too"""
    answer, entry = machine.attest(evidence(), "az-snp-vtpm")
    ok = answer[0] == 401 and any("the session was made for az-snp-vtpm" in r
                                  for r in json.loads(answer[2])["reasons"])
    return None if ok else (answer, entry)


def main():
    service = ClockedService(os.path.join(BUILD, "bin/bawn-attestd"),
                             lambda c: c.update(limits={"rate": 0}))
    try:
        admin = service.tls(admin=True)
        for path, data in (("attestation-policy", json.dumps(POLICY).encode()),
                           ("collateral/fmspc", read(
                               "tdx/tdx-v4-00806f050000-a187b0da.collateral-2025-05-27.json"))):
            answer = ask(admin, "POST", "/bawn/v1/" + path, data, JSON)
            if answer[0] != 200:
                raise RuntimeError(answer)
        machine = Machine(service)
        tap.run(genuine, machine)
        for case in cases():
            tap.run(Refused(machine, *case))
        tap.run(other_session, machine)
        ended = [e for e in service.journal() if e["event"] == "a process ended"]
        tap.point(not ended, "no process ended", ended)
    finally:
        service.end()
    tap.end()


main()
