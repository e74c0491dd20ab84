# SPDX-License-Identifier: Apache-2.0
"""Seeds for the fuzz targets: made from the real evidence in tests/vectors/, or the files in
fuzz/seeds/TARGET/."""
import base64
import glob
import hashlib
import json
import os
import re
import struct
import sys
import uuid

import seeds_audit
import seeds_kernel
import seeds_kernel_hw
import seeds_vmm

VECTORS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../tests/vectors")


def files(*patterns, limit=65536):
    """The contents of the matching files that are not too large to mutate usefully."""
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(VECTORS, pattern))):
            with open(path, "rb") as f:
                data = f.read()
            yield data[:limit]


def pem_blocks(data):
    for match in re.finditer(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END", data, re.DOTALL):
        text = match.group(2).replace(b"\\n", b"").replace(b"\n", b"")
        yield match.group(1), base64.b64decode(text)


def x509():
    for data in files("snp/*.der"):
        yield b"\0" + data
    for data in files("snp/crl/*.der"):
        yield b"\1" + data
    for data in files("snp/roots/*.pem", "tdx/roots/*.pem", "tpm/akpub.pem"):
        for label, der in pem_blocks(data):
            yield (b"\2" if label == b"PUBLIC KEY" else b"\0") + der
    for data in files("tdx/tdx-v4-*-10-19.json", "tdx/tdx-v5-*-02-18.json"):
        bundle = json.loads(data)
        for name, value in bundle.items():
            if name.endswith("_chain"):
                for _, der in pem_blocks(value.encode()):
                    yield b"\0" + der
            elif name.endswith("_crl"):
                yield b"\1" + bytes.fromhex(value)


def json_texts():
    yield from files("tdx/*-02-18.json", "azure/*.json", "tpm/*.json", "snp/expected.json")
    yield b'{"a":[1,-2.5e3,true,false,null,"\\u00e9\\ud83d\\ude00"],"b":{}}'


def codec():
    yield from files("snp/roots/*.pem", "tpm/akpub.pem")
    for data in files("snp/*.report.bin"):
        yield data.hex().encode()
        yield base64.b64encode(data)
        yield base64.urlsafe_b64encode(data).rstrip(b"=")


def certificate_table():
    """A report with the table of an extended guest request behind it (AMD 56421, 4.1.8.1)."""
    vcek_guid = uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes
    for report in files("snp/milan-v3-vcek-05b7438a.report.bin"):
        for cert in files("snp/milan-v3-vcek-05b7438a.vcek.der"):
            table = vcek_guid + struct.pack("<II", 48, len(cert)) + bytes(24) + cert
            yield report + table


def tpm():
    def pack(*parts):
        return b"".join(struct.pack(">H", len(p)) + p for p in parts)
    quote, sig, pcr = (next(files("tpm/" + n)) for n in ("quote.out", "quotesig.out",
                                                         "quotepcr.out"))
    yield pack(quote, sig, pcr)
    for data in files("azure/evidence-v1.json", "azure/evidence-tdx-v1.json"):
        evidence = json.loads(data)["tpm_quote"]
        yield pack(bytes.fromhex(evidence["message"]), bytes.fromhex(evidence["signature"]),
                   b"".join(bytes.fromhex(p) for p in evidence["pcrs"]))


def launch():
    """The ends of OVMF images, and PE headers with a Linux setup header in them."""
    for data in files("launch/sev-snp-measure/tests/fixtures/*.bin"):
        yield b"\0" + data
    kernel = bytearray(0x1000)
    kernel[0:2], kernel[0x202:0x206] = b"MZ", b"HdrS"
    struct.pack_into("<I", kernel, 0x3c, 0x40)
    struct.pack_into("<4sHH12xH2xH", kernel, 0x40, b"PE", 0x8664, 1, 240, 0x20b)
    struct.pack_into("<I", kernel, 0x58 + 60, 0x400)
    struct.pack_into("<I", kernel, 0x58 + 108, 6)
    struct.pack_into("<II", kernel, 0x58 + 240 + 16, 0x800, 0x400)
    struct.pack_into("<HxxxxxxxxxB", kernel, 0x206, 0x20f, 1)
    struct.pack_into("<H", kernel, 0x236, 2)
    yield b"\x1f" + kernel


def kernels():
    """A bzImage and an ELF image with a PVH note, as small as they can be: no code in them."""
    image = bytearray(0x2000)
    image[0x1f1], image[0x1fe:0x200] = 4, b"\x55\xaa"
    struct.pack_into("<BB4sH", image, 0x200, 0xeb, 0x66, b"HdrS", 0x20f)
    image[0x211] = 1  # LOADED_HIGH
    struct.pack_into("<I", image, 0x22c, 0x7fffffff)  # initrd_addr_max
    struct.pack_into("<IBBH", image, 0x230, 0x200000, 1, 21, 3)  # relocatable, XLF_KERNEL_64
    struct.pack_into("<I", image, 0x238, 0x7ff)  # cmdline_size
    struct.pack_into("<QII", image, 0x258, 0x1000000, 0x3000, 0)  # pref_address, init_size
    struct.pack_into("<I", image, 0x1f4, 0x100)  # syssize
    yield b"\x09\0" + image
    yield b"\x0f\x40" + image
    elf = bytearray(0x200)
    struct.pack_into("<4sBBB9xHHIQQQIHHHHHH", elf, 0, b"\x7fELF", 2, 1, 1, 2, 62, 1, 0x1000000, 64, 0,
                     0, 64, 56, 2, 0, 0, 0)
    struct.pack_into("<IIQQQQQQ", elf, 64, 1, 5, 0x180, 0x1000000, 0x1000000, 0x80, 0x1000, 0x1000)
    struct.pack_into("<IIQQQQQQ", elf, 120, 4, 4, 0x100, 0, 0, 20, 20, 4)
    struct.pack_into("<III4sI", elf, 0x100, 4, 4, 18, b"Xen", 0x1000000)
    yield b"\x01\x10" + elf


def configurations():
    yield (b'\0{"payload":{"kernel":"k","initramfs":"i","cmdline":"c"},"memory":{"size":134217728},'
           b'"cpus":{"boot_vcpus":2},"disks":[{"path":"d","readonly":true}],"rng":{"src":"/dev/urandom"'
           b'},"vsock":{"cid":3,"socket":"s"},"tpm":{"socket":"t"},"serial":{"mode":"Null"},'
           b'"console":{"mode":"File","file":"f"}}')
    yield b"\0{}"
    yield b"\1\x60" + bytes(96) + bytes(4096)


def firmware():
    """Platform status by a whole message, every command with an empty buffer, and each kind of
    guest message with an empty payload."""
    yield b"\0" + struct.pack("<IIIIII", 1, 24, 0x81, 0, 0, 0)
    yield from (bytes([1, command, 64]) + bytes(64) for command in range(0x81, 0xd0))
    yield from (bytes([2, kind, 1]) + bytes(96) for kind in range(20))


def policies():
    """The shipped policies, and one with what they lack."""
    yield from files("../../policy/shipped/*.json")
    yield (b'{"bawn_policy":1,"id":"p","version":"1","evidence":["snp"],"include":[{"name":"x",'
           b'"sha256":"' + b"00" * 32 + b'"}],"rules":[]}')
    yield (b'{"bawn_policy":1,"id":"p","version":"1","evidence":["snp"],"rules":[{"id":"r",'
           b'"reason":"w","not":{"id":"s","claim":"tdx.rtmr[*]","bits_set":"00ff"}}]}')
    # Groups in groups: as deep as they may be, and deeper.
    for depth in (2, 11, 12, 13, 14):
        yield (b'{"bawn_policy":1,"id":"p","version":"1","evidence":["snp"],"rules":[{"id":"r",'
               b'"reason":"w"' + b"".join(b',"all":[{"id":"r%d"' % i for i in range(depth)) +
               b',"claim":"snp.vmpl","equals":7' + b"}]" * depth + b"}]}")


def claims():
    yield (b"snp.vmpl=1\nsnp.measurement=00ff\nsnp.reported_tcb=0102030405060709\n"
           b"tdx.tcb_date=2023-01-01T00:00:00Z\nsnp.policy=196608\ntdx.rtmr[0]=7f\n"
           b"tdx.rtmr[1]=80\nhcl.vm_configuration.x=true\ntpm.pcr[7]=00\n"
           b"snp.policy.debug=false\nlaunch.cmdline=quiet\n")
    yield b"snp.vmpl=\n=x\nsnp.product=Milan\ntpm.sha384.pcr[0]=00"


def tpm_answers():
    """What swtpm answered to bawn-agent, to each of the two ways that it has to a key."""
    for data in files("tpm/agent-made-*.answers"):
        yield b"\0" + data
    for data in files("tpm/agent-persistent-*.answers"):
        yield b"\1" + data


KEY = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW",
       "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
       "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
KEY_RSA = {"kty": "RSA", "alg": "RSA-OAEP-256", "e": "AQAB",
           "n": base64.urlsafe_b64encode(b"\xc1" + bytes(range(255))).decode().rstrip("=")}
INIT = b"algorithm = \"sha384\"\n"


def canonical(value):
    """RFC 8785, of what has ASCII names and no numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def b64(data):
    return base64.b64encode(data).decode()


def put(data, at, new, room):
    return data[:at] + new.ljust(room, b"\0")[:room] + data[at + room:]


def azure_with(evidence, nonce):
    """Its quote with that nonce (TPM 2.0 part 2, 10.12.8): magic, type, name, nonce."""
    message = evidence["tpm_quote"]["message"]
    message = base64.b64decode(message) if message.startswith("/1RDR") else bytes.fromhex(message)
    at = 8 + int.from_bytes(message[6:8], "big")
    end = at + 2 + int.from_bytes(message[at:at + 2], "big")
    message = message[:at] + struct.pack(">H", len(nonce)) + nonce + message[end:]
    return dict(evidence, tpm_quote=dict(evidence["tpm_quote"], message=message.hex()))


def hcl_with(report, claims):
    """With these runtime data, to which no report is bound (attest/lib/azure.c)."""
    report = bytearray(base64.urlsafe_b64decode(report + "==="))[:0x4d4]
    for at, value in ((8, 0x4d4 + len(claims)), (0x4c0, 20 + len(claims)), (0x4d0, len(claims))):
        struct.pack_into("<I", report, at, value)
    return b64(bytes(report) + claims)


def bodies_once():
    """Evidence of each kind: as it was recorded, and, no longer signed, bound to the session."""
    def read(name):
        return next(files(name))
    runtime = {"nonce": "bm9uY2U=", "tee-pubkey": KEY}
    init = {"format": "toml", "body": INIT.decode()}
    snp, genoa = read("snp/milan-v3-vcek-05b7438a.report.bin"), read("snp/genoa-v3-*.report.bin")
    quote, sgx = read("tdx/tdx-v4-*-a187b0da.quote.bin"), read("tdx/sgx-v3-*-268c0681.quote.bin")
    quote5 = read("tdx/tdx-v5-*-cf77a6e9.quote.bin")
    bundle = json.loads(read("tdx/tdx-v4-*-a187b0da.collateral-2025-05-27.json"))
    azures = [json.loads(read("azure/" + n)) for n in ("evidence-v1.json", "evidence-tdx-v1.json")]
    tpm = json.loads(read("tpm/tpm_evidence.json"))
    message, signature = read("tpm/quote.out"), read("tpm/quotesig.out")
    keylime = {"ak_public": read("tpm/akpub.pem").decode(), "tpm_quote": {
        "message": message.hex(), "signature": signature.hex(), "pcrs": ["00" * 32] * 24}}
    vcek = b64(read("snp/genoa-v3-*.vcek.der"))

    def body(primary, bound=runtime, wrapped=True, additional="{}", **more):
        evidence = {"primary_evidence": primary, "additional_evidence": additional}
        return json.dumps({"runtime-data": bound, "tee-evidence": evidence if wrapped else primary,
                           **more}).encode()

    yield body({"attestation_report": b64(genoa), "cert_chain": [vcek]})
    yield body(b64(genoa))  # without VCEK: a mirror could have it
    yield body({"attestation_report": b64(snp)})  # whose VCEK is in the snapshot
    yield body({"attestation_report": b64(snp), "collateral": ["x", vcek, "-----BEGIN"]},
               wrapped=False)
    yield body({"quote": b64(quote), "collateral": bundle})
    yield body(json.dumps({"quote": b64(quote5)}))
    yield body(b64(json.dumps({"quote": b64(sgx), "collateral": "AA=="}).encode()))
    yield from (body(evidence) for evidence in (tpm, keylime, *azures))
    yield body(tpm, dict(runtime, **{"tee-pubkey": KEY_RSA}))
    # Azure's parts that do not belong together, or are not all there.
    yield body(dict(azures[1], hcl_report=azures[0]["hcl_report"]))
    yield body(dict(azures[0], tpm_quote=azures[1]["tpm_quote"]))
    yield body(dict(azures[1], td_quote=b64(quote5)))
    yield body(dict(azures[1], ak_public=tpm["ak_public"]))
    yield body(dict(azures[1], hcl_report=hcl_with(azures[1]["hcl_report"], json.dumps({
        "keys": [{"kid": "HCLAkPub"}] * 2, "user-data": "00" * 5000, "vm-configuration": {
            "x": "A", "n-1": 5, "vmUniqueId": "u", "?": 1, "o": {}}}).encode())))
    yield body({k: v for k, v in azures[1].items() if k != "td_quote"})
    yield body({k: v for k, v in azures[1].items() if k != "tpm_quote"})
    yield body({"quote": b64(quote), "collateral": "-----BEGIN A-----\n-----END A-----\n" * 1500})
    yield body(azures[1], additional=json.dumps({"nvidia": {"evidence": "AAAA"}}))
    yield body(azures[1], additional={"nvidia": [{"evidence_list": []}]})
    for name in ("sha256", "sha384", "sha512"):
        digest = hashlib.new(name, canonical(runtime)).digest()
        inner = hashlib.new(name, INIT).digest()
        bound = put(put(snp, 0x50, digest, 64), 0xc0, inner, 32)
        yield body(b64(bound), **{"init-data": init})
        bound = put(put(quote, 568, digest, 64), 48 + 184, inner, 48)
        yield body(b64(bound), **{"init-data": init})
        yield body({"quote": b64(put(sgx, 368, digest, 64))}, **{"init-data": init})
        for evidence in (azure_with(e, digest) for e in (tpm, *azures)):
            yield body(evidence)
    # Clients of protocol 0.4.0 hash the additional evidence too.
    text = '{"nvidia":"AAAA"}'
    digest = hashlib.sha384(canonical(dict(runtime, **{"additional-evidence": text}))).digest()
    yield body(b64(put(quote, 568, digest, 64)), additional=text)
    # Init data in PCR 8.
    digest = hashlib.sha256(canonical(runtime)).digest()
    measured = hashlib.sha256(bytes(32) + hashlib.sha256(INIT).digest()).hexdigest()
    for evidence in (tpm, azures[1]):
        evidence = azure_with(evidence, digest)
        pcrs = list(evidence["tpm_quote"]["pcrs"])
        for value in (pcrs[8], measured):
            pcrs[8] = value
            quoted = dict(evidence["tpm_quote"], pcrs=pcrs)
            yield body(dict(evidence, tpm_quote=quoted), **{"init-data": init})
    # What is refused before it is judged.
    yield body(5)
    yield body("...")
    yield body({"collateral": [5]})
    yield body({"collateral": ["AAAA"] * 40})
    yield body(tpm, {"nonce": "", "tee-pubkey": KEY})
    yield body(tpm, 5)
    yield body(tpm, {"nonce": "n"})
    yield body(tpm, dict(runtime, x="0" * (1 << 16)))
    yield body(tpm, **{"init-data": {"format": "xml", "body": ""}})
    yield body(tpm, **{"init-data": 5})
    yield json.dumps({"runtime-data": runtime}).encode()
    yield b"[]"


def bodies():
    """Each for every tenant of the target, which is chosen by the length."""
    for text in bodies_once():
        yield from (text + b" " * n for n in range(4))


def ratls():
    for data in files("ratls/snp.pem", "ratls/tpm.pem"):
        yield data
        for _, der in pem_blocks(data):
            yield der


SEEDS = {
    "attest-ratls": ratls,
    "agent-tpm": tpm_answers,
    "policy-parse": policies,
    "policy-evaluate": claims,
    "platform-firmware": firmware,
    "attest-launch": launch,
    "judge-body": bodies,
    "attest-x509": x509,
    "attest-json": json_texts,
    "attest-codec": codec,
    "attest-snp": lambda: (*files("snp/*.report.bin"), *certificate_table()),
    "attest-endorsement": lambda: files("snp/*.der", "snp/crl/*.der", "snp/roots/*.pem"),
    "attest-quote": lambda: files("tdx/*.quote.bin"),
    "attest-collateral": lambda: files("tdx/tdx-v4-00806f050000-c39a3a25.*.json",
                                "tdx/tdx-v5-*.json"),
    "attest-tpm": tpm,
    "attest-hcl": lambda: files("azure/hcl-report.bin"),
    "attest-eventlog": lambda: files("eventlog/*.bin", "eventlog/binary_bios*", limit=32768),
    "launch-kernel": kernels,
    "launch-config": configurations,
    **seeds_audit.SEEDS,
    **seeds_kernel.SEEDS,
    **seeds_vmm.SEEDS,
    **seeds_kernel_hw.SEEDS,
    "attest-evidence": lambda: files("azure/*.json", "tpm/*.json", "tpm/*.pb", "snp/*.report.bin",
                              "tdx/*.quote.bin", "azure/hcl-report.bin", "tpm/quote.out"),
}


def contents(target):
    """The target's seeds: those that are made, and the files."""
    here = os.path.join(os.path.dirname(os.path.realpath(__file__)), "seeds", target)
    if target in SEEDS:
        yield from SEEDS[target]()
    yield from files(os.path.join(here, "*"))


def write(target, folder):
    """Writes the target's seeds into the folder and says how many there are."""
    seeds = {hashlib.sha256(s).hexdigest()[:16]: s for s in contents(target)}
    for name, data in seeds.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    return len(seeds)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: seeds.py TARGET FOLDER")
    if not write(sys.argv[1], sys.argv[2]):
        sys.exit(f"seeds.py: {sys.argv[1]} has no seeds")
