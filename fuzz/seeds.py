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
import uuid

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
    vcek_guid = uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes_le
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
           b'},"vsock":{"cid":3,"socket":"s"},"serial":{"mode":"Null"},"console":{"mode":"File",'
           b'"file":"f"}}')
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


SEEDS = {
    "agent-tpm": tpm_answers,
    "policy-parse": policies,
    "policy-evaluate": claims,
    "platform-firmware": firmware,
    "attest-launch": launch,
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
    **seeds_vmm.SEEDS,
    "attest-evidence": lambda: files("azure/*.json", "tpm/*.json", "tpm/*.pb", "snp/*.report.bin",
                              "tdx/*.quote.bin", "azure/hcl-report.bin", "tpm/quote.out"),
}


def write(target, folder):
    """Writes the target's seeds into the folder and says how many there are."""
    here = os.path.join(os.path.dirname(os.path.realpath(__file__)), "seeds", target)
    given = SEEDS[target]() if target in SEEDS else files(os.path.join(here, "*"))
    seeds = {hashlib.sha256(s).hexdigest()[:16]: s for s in given}
    for name, data in seeds.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    return len(seeds)
