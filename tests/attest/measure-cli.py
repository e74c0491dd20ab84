#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bawn-measure as a user calls it: digests of the vectors, outputs, refusals, the sandbox.

Prints TAP. Runs from the repository's root; PROGRAM is build/bin/bawn-measure or the argument.
"""
import base64
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else
                          os.path.join(os.environ.get("BAWN_BUILD", "build"), "bin/bawn-measure"))
VECTORS = os.path.abspath("tests/vectors/launch")
FIXTURES = VECTORS + "/sev-snp-measure/tests/fixtures"
AMDSEV = FIXTURES + "/ovmf_AmdSev_suffix.bin"
DEBIAN = ("/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd")
points = 0


def ok(good, text, why=""):
    global points
    points += 1
    print(f"{'ok' if good else 'not ok'} {points} - {text}")
    if not good and why:
        print("# " + str(why).replace("\n", "\n# "))


def skip(text, why):
    global points
    points += 1
    print(f"ok {points} - {text} # SKIP {why}")


def run(*arguments, **more):
    return subprocess.run([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                          **more)


def prints(text, want, *arguments, **more):
    done = run(*arguments, **more)
    ok(done.returncode == 0 and done.stdout == want + "\n" and not done.stderr, text,
       f"{arguments}\nwant {want}\nhave {done.stdout}{done.stderr}")


def refuses(text, status, word, *arguments):
    done = run(*arguments)
    ok(done.returncode == status and word in done.stderr and not done.stdout and
       done.stderr.count("\n") == 1 and done.stderr.startswith("bawn-measure: "), text,
       f"{arguments}\nstatus {done.returncode}, want {status} and {word}\n{done.stdout}{done.stderr}")


def upstream_arguments(test):
    """The command line for one vector of sev-snp-measure."""
    ovmf = FIXTURES + "/" + os.path.basename(test["ovmf_file"])
    if test.get("op") == "snp_ovmf_hash":
        return ["snp-ovmf-hash", "--ovmf", ovmf]
    command = {"SEV": "sev", "SEV_ES": "seves", "SEV_SNP": "snp"}[test["mode"]]
    arguments = [command, "--ovmf", ovmf]
    for name in ("kernel", "initrd", "append"):
        if test[name] is not None:
            arguments += ["--" + name, test[name]]
    if command != "sev":
        arguments += ["--vcpus", test["vcpus"], "--vmm-type", test["vmm_type"]]
        if test["vcpu_sig"] is not None:
            arguments += ["--vcpu-sig", test["vcpu_sig"]]
    if command == "snp":
        arguments += ["--guest-features", hex(test["guest_features"])]
        if test["snp_ovmf_hash_str"]:
            arguments += ["--snp-ovmf-hash", test["snp_ovmf_hash_str"]]
    if test.get("dump_vmsa"):
        arguments += ["--dump-vmsa"]
    return arguments


def upstream(work):
    with open(VECTORS + "/sev-snp-measure/launch_digest_vectors.json", encoding="ascii") as file:
        vectors = json.load(file)["vectors"]
    good = bad = 0
    for vector in vectors:
        done = run(*upstream_arguments(vector["input"]), cwd=work)
        if done.stdout == vector["digest"] + "\n" and done.returncode == 0:
            good += 1
        else:
            bad += 1
            print("#", vector["test"], done.stdout, done.stderr)
    ok(good == 25 and not bad, f"sev-snp-measure: {good} of 25 launch digests")


def firmware_of(sha256):
    for path in DEBIAN:
        if os.path.exists(path):
            with open(path, "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() == sha256:
                    return path
    return None


def debian():
    with open(VECTORS + "/snp_launch_digests.json", encoding="ascii") as file:
        vectors = json.load(file)["vectors"]
    path = firmware_of(vectors[0]["firmware_sha256"])
    if not path:
        skip("launch digests of Debian's OVMF", "another version of ovmf, or none")
        skip("MRTD of Debian's OVMF", "another version of ovmf, or none")
        return
    good = 0
    for vector in vectors:
        if "snp_ovmf_hash" in vector:
            want = vector["snp_ovmf_hash"]
            arguments = ["snp-ovmf-hash", "--ovmf", path]
        else:
            want = vector["snp_launch_digest"]
            arguments = ["snp", "--ovmf", path, "--vcpus", vector["vcpus"], "--vcpu-type",
                         vector["cpu"], "--guest-features", vector["sev_features"], "--vmm-type",
                         vector["vmm"]]
        done = run(*arguments)
        if done.stdout == want + "\n":
            good += 1
        else:
            print("#", arguments, done.stdout, done.stderr)
    ok(good == 49, f"Debian's OVMF: {good} of 49 launch digests")
    with open(VECTORS + "/tdx_mrtd.json", encoding="ascii") as file:
        vector = json.load(file)["vectors"][0]
    one = run("tdx", "--firmware", path).stdout.strip()
    two = run("tdx", "--firmware", path, "--two-pass").stdout.strip()
    ok((one, two) == (vector["mrtd_single_pass"], vector["mrtd_two_pass"]), "Debian's OVMF: MRTD",
       f"{one}\n{two}")


def choices(work):
    base = ["snp", "--ovmf", AMDSEV, "--vcpus", "1"]
    want = run(*base, "--vcpu-type", "EPYC-v4").stdout.strip()
    prints("a CPU by its signature", want, *base, "--vcpu-sig", "0x800f12")
    prints("a CPU by its numbers", want, *base, "--vcpu-family=23", "--vcpu-model=1",
           "--vcpu-stepping=2")
    prints("base64", base64.b64encode(bytes.fromhex(want)).decode(), *base, "--vcpu-type",
           "EPYC-v4", "--output-format", "base64")
    done = run(*base, "--vcpu-type", "EPYC-Milan", "--json", "--kernel", "/dev/null")
    value = json.loads(done.stdout or "{}")
    ok(value.get("vcpu_signature") == "0xa00f11" and value.get("sev_features") == "0x1" and
       value.get("vmm") == "QEMU" and value.get("vcpus") == 1 and
       value.get("kernel_sha256") == hashlib.sha256(b"").hexdigest() and
       value.get("cmdline_sha256") == hashlib.sha256(b"\0").hexdigest() and
       len(value.get("launch_digest", "")) == 96, "JSON", done.stdout + done.stderr)
    done = run(*base[:-1], "512", "--vcpu-type", "EPYC", "--dump-vmsa", cwd=work)
    sizes = {os.path.getsize(f"{work}/vmsa{i}.bin") for i in range(512)}
    with open(work + "/vmsa0.bin", "rb") as file:
        boot = file.read()
    with open(work + "/vmsa511.bin", "rb") as file:
        last = file.read()
    ok(done.returncode == 0 and sizes == {4096} and not os.path.exists(work + "/vmsa512.bin") and
       boot[0x178:0x180] == struct.pack("<Q", 0xfff0) and
       last[0x178:0x180] == struct.pack("<Q", 0xb004), "states of 512 vCPUs", done.stderr)


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


def number(data):
    """A DER INTEGER of a little-endian number."""
    raw = data[::-1].lstrip(b"\0")
    raw = b"\0" + raw if not raw or raw[0] & 0x80 else raw
    return b"\x02" + bytes([len(raw)]) + raw


def verifies(work, key, message, signature):
    body = number(signature[:72]) + number(signature[72:144])
    for name, data in (("sig", b"\x30" + bytes([len(body)]) + body), ("msg", message)):
        with open(f"{work}/{name}", "wb") as file:
            file.write(data)
    openssl("pkey", "-in", key, "-pubout", "-out", work + "/pub")
    return b"Verified OK" in openssl("dgst", "-sha384", "-verify", work + "/pub", "-signature",
                                     work + "/sig", work + "/msg")


def decoded(path):
    with open(path, "rb") as file:
        return base64.b64decode(file.read(), validate=False)


def id_block(work):
    if not shutil.which("openssl"):
        skip("ID block", "no openssl command")
        return
    for name in ("id", "author"):
        openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", f"{work}/{name}.pem")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", work + "/short.pem")
    base = ["snp", "--ovmf", AMDSEV, "--vcpus", "2", "--vcpu-type", "EPYC-v4", "--id-block",
            work + "/guest"]
    done = run(*base, "--id-key", work + "/id.pem", "--author-key", work + "/author.pem",
               "--guest-svn", "7", "--policy", "0xb0000", "--family-id", "01" * 16, "--image-id",
               "02" * 16)
    lines = done.stdout.split("\n")
    block, auth = decoded(work + "/guest"), decoded(work + "/guest.auth")
    want = bytes.fromhex(lines[0]) + b"\1" * 16 + b"\2" * 16 + struct.pack("<IIQ", 1, 7, 0xb0000)
    ok(done.returncode == 0 and block == want and len(auth) == 4096, "ID block", done.stderr)
    ok(verifies(work, work + "/id.pem", block, auth[0x40:0x240]), "the ID key signed the block")
    ok(verifies(work, work + "/author.pem", auth[0x240:0x644], auth[0x680:0x880]),
       "the author key signed the ID key")
    ok(lines[1:3] == ["id_key_digest " + hashlib.sha384(auth[0x240:0x644]).hexdigest(),
                      "author_key_digest " + hashlib.sha384(auth[0x880:0xc84]).hexdigest()],
       "key digests", done.stdout)
    done = run(*base, "--id-auth", work + "/other", "--id-key", work + "/id.pem", "--json")
    value = json.loads(done.stdout or "{}")
    ok(len(decoded(work + "/other")) == 4096 and "id_key_digest" in value and
       "author_key_digest" not in value, "an ID block without author", done.stdout + done.stderr)
    refuses("a key on another curve", 1, "P-384", *base, "--id-key", work + "/short.pem")
    refuses("no key", 1, "cannot open", *base, "--id-key", work + "/none.pem")
    refuses("a key that is none", 1, "ID key", *base, "--id-key", AMDSEV)
    refuses("a policy that no firmware takes", 2, "bit 17", *base, "--id-key", work + "/id.pem",
            "--policy", "0")


def usage():
    done = run()
    ok(done.returncode == 2 and "must be a command: plain, snp" in done.stderr, "no command",
       done.stderr)
    for command in ("plain", "snp", "snp-ovmf-hash", "sev", "seves", "tdx"):
        done = run(command, "--help")
        ok(done.returncode == 0 and done.stdout.startswith(f"Usage: bawn-measure {command}") and
           "--json" in done.stdout, f"{command} --help", done.stderr)
    done = run("--version")
    ok(done.returncode == 0 and done.stdout.startswith("bawn-measure "), "--version")
    base = ["snp", "--ovmf", AMDSEV]
    cpu = ["--vcpu-type", "EPYC"]
    for status, word, *arguments in (
            (2, "not a command", "xen"),
            (2, "first argument", "--json", "snp"),
            (2, "unknown option --vcpu; see bawn-measure snp --help", *base, "--vcpu", "1"),
            (2, "unknown option --vcpus", "sev", "--ovmf", AMDSEV, "--vcpus", "1"),
            (2, "--ovmf is missing", "snp"),
            (2, "--vcpus must be given", *base, *cpu),
            (2, "from 1 to 512", *base, *cpu, "--vcpus", "0"),
            (2, "from 1 to 512", *base, *cpu, "--vcpus", "513"),
            (2, "must be a number", *base, *cpu, "--vcpus", "1x"),
            (2, "must be a number", *base, *cpu, "--vcpus", ""),
            (2, "must be a number", *base, *cpu, "--vcpus", "18446744073709551616"),
            (2, "must be a number", *base, *cpu, "--vcpus", "0x"),
            (2, "is missing", *base, "--vcpus", "1"),
            (2, "give one", *base, "--vcpus", "1", *cpu, "--vcpu-sig", "1"),
            (2, "belong together", *base, "--vcpus", "1", "--vcpu-family", "25"),
            (2, "at most 270", *base, "--vcpus", "1", "--vcpu-sig", "0x100000000"),
            (2, "unknown; bawn-measure snp", *base, "--vcpus", "1", "--vcpu-type", "Xeon"),
            (2, "must be QEMU", *base, "--vcpus", "1", *cpu, "--vmm-type", "xen"),
            (2, "need --kernel", *base, "--vcpus", "1", *cpu, "--append", "x"),
            (2, "96 hexadecimal", *base, "--vcpus", "1", *cpu, "--snp-ovmf-hash", "00"),
            (2, "need --id-block", *base, "--vcpus", "1", *cpu, "--id-key", AMDSEV),
            (2, "needs --id-key", *base, "--vcpus", "1", *cpu, "--id-block", "/x"),
            (2, "must be hex or base64", *base, "--vcpus", "1", *cpu, "--output-format", "raw"),
            (2, "needs a value: FILE", "snp", "--ovmf"),
            (2, "takes no value", *base, "--json=1"),
            (2, "--firmware is missing", "tdx"),
            (2, "need --kernel", "tdx", "--firmware", AMDSEV, "--cmdline", "x")):
        refuses(f"usage: {word}", status, word, *arguments)


def hostile(work):
    with open(AMDSEV, "rb") as file:
        image = file.read()

    def variant(name, *patches):
        data = bytearray(image)
        for offset, value in patches:
            data[offset:offset + len(value)] = value
        with open(f"{work}/{name}", "wb") as file:
            file.write(data)
        return f"{work}/{name}"

    cpu = ["--vcpus", "1", "--vcpu-type", "EPYC"]
    listed = 4096 - 0x554
    for name, word, *patches in (
            ("size", "ends past 4 GiB", (listed + 16 + 6 * 12 + 4, b"\0\xf0\xff\xff")),
            ("overlap", "overlaps", (listed + 16, b"\0\xa0\x80\0")),
            ("length", "table's length is 17", (4096 - 50, b"\x11\0")),
            ("type", "unknown type 0x7", (listed + 16 + 8, b"\7"))):
        refuses(f"firmware: {word}", 1, word, "snp", "--ovmf", variant(name, *patches), *cpu)
    with open(work + "/big", "wb") as file:
        file.truncate((16 << 20) + 1)
    refuses("firmware of more than 16 MiB", 1, "too large", "snp", "--ovmf", work + "/big", *cpu)
    refuses("no firmware", 1, "cannot open", "snp", "--ovmf", work + "/none", *cpu)
    refuses("a directory", 1, "cannot read", "snp", "--ovmf", work, *cpu)
    refuses("firmware cut short", 1, "of an image of", "tdx", "--firmware", AMDSEV)
    refuses("a kernel without a place for its hashes", 1, "AmdSev", "snp", "--ovmf",
            FIXTURES + "/ovmf_OvmfX64_suffix.bin", *cpu, "--kernel", "/dev/null")


def tdvf(work):
    """A small TDVF image, and a kernel made of PE headers."""
    code = bytes(range(256)) * 16
    sections = struct.pack("<IIQQII", 0, 4096, 0xffffe000, 4096, 0, 1)
    listed = b"TDVF" + struct.pack("<III", 16 + 32, 1, 1) + sections
    footer = bytes.fromhex("de82b596b21ff745baeaa366c55a082d")
    tdx = bytes.fromhex("35657ae44a989847865e4685a7bf8ec2")
    table = struct.pack("<IH", 4096, 22) + tdx + struct.pack("<H", 40) + footer
    image = code + listed.ljust(4096 - 32 - len(table), b"\0") + table + bytes(32)
    kernel = bytearray(0x1000)
    kernel[0:2] = b"MZ"
    struct.pack_into("<I", kernel, 0x3c, 0x40)
    kernel[0x40:0x42] = b"PE"
    struct.pack_into("<HI", kernel, 0x58, 0x20b, 0)
    struct.pack_into("<I", kernel, 0x58 + 60, 0x800)
    for name, data in (("tdvf", image), ("kernel", kernel), ("initrd", b"ramdisk")):
        with open(f"{work}/{name}", "wb") as file:
            file.write(data)
    mrtd = hashlib.sha384(b"MEM.PAGE.ADD".ljust(16, b"\0") +
                          struct.pack("<Q", 0xffffe000).ljust(112, b"\0"))
    for i in range(16):
        mrtd.update(b"MR.EXTEND".ljust(16, b"\0") +
                    struct.pack("<Q", 0xffffe000 + 256 * i).ljust(112, b"\0") + bytes(range(256)))
    base = ["tdx", "--firmware", work + "/tdvf"]
    prints("MRTD of a small image", mrtd.hexdigest(), *base)

    def register(*digests):
        value = bytes(48)
        for digest in digests:
            value = hashlib.sha384(value + digest).digest()
        return value.hex()

    def sha(data):
        return hashlib.sha384(data).digest()

    image_digest = sha(bytes(kernel[:0x58 + 64] + kernel[0x58 + 68:]))
    rtmr1 = register(image_digest, sha(b"Calling EFI Application from Boot Option"), sha(bytes(4)),
                     sha(b"Exit Boot Services Invocation"),
                     sha(b"Exit Boot Services Returned with Success"))
    rtmr2 = register(sha("root=/dev/vda initrd=initrd\0".encode("utf-16-le")), sha(b"ramdisk"))
    boot = [*base, "--kernel", work + "/kernel", "--initrd", work + "/initrd", "--cmdline",
            "root=/dev/vda"]
    prints("RTMR1 and RTMR2", f"mrtd  {mrtd.hexdigest()}\nrtmr1 {rtmr1}\nrtmr2 {rtmr2}", *boot)
    done = run(*boot, "--json", "--log")
    value = json.loads(done.stdout or "{}")
    ok((value.get("mrtd"), value.get("rtmr1"), value.get("rtmr2")) ==
       (mrtd.hexdigest(), rtmr1, rtmr2) and [e["rtmr"] for e in value.get("events", [])] ==
       [1, 1, 1, 2, 2, 1, 1] and value["events"][0]["digest"] == image_digest.hex(),
       "JSON with events", done.stdout + done.stderr)
    lines = run(*boot, "--log").stdout.split("\n")
    ok(len(lines) == 11 and lines[0] ==
       f"rtmr1 0x80000003 {image_digest.hex()}  kernel image", "events", lines)
    refuses("a kernel that QEMU would not rewrite", 1, "bzImage", *boot, "--memory", "2G")
    refuses("a kernel that is none", 1, "begin with MZ", *base, "--kernel", work + "/initrd")


def plain(work):
    """The smallest ELF kernel with a PVH note; the lab's tests judge the digest itself."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x1000000)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0x1000000, 64, 0, 0, 64,
                         56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, 0x1000000, 0x1000000, 4096, 4096, 4096)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 64 + 112, 0, 0, len(note), len(note), 4)
    with open(work + "/elf", "wb") as file:
        file.write((header + load + notes + note).ljust(0x1000, b"\0") + b"\xf4" * 4096)
    base = ["plain", "--kernel", work + "/elf"]
    done = run(*base)
    digest = done.stdout.strip()
    ok(done.returncode == 0 and len(digest) == 96 and not done.stderr, "plain", done.stderr)
    done = run(*base, "--json", "--log")
    value = json.loads(done.stdout or "{}")
    ok(value.get("digest") == digest and value["events"][0]["type"] and not done.stderr,
       "plain --json --log", f"{done.returncode} {done.stdout}{done.stderr}")
    with open(work + "/vm.json", "w", encoding="ascii") as file:
        json.dump({"payload": {"kernel": work + "/elf"}, "cpus": {"boot_vcpus": 2, "max_vcpus": 2}},
                  file)
    two = run(*base, "--cpus", "2").stdout.strip()
    ok(len(two) == 96 and two != digest, "plain: two vCPUs")
    prints("plain --config", two, "plain", "--config", work + "/vm.json")
    prints("options override --config", digest, "plain", "--cpus=1", "--config", work + "/vm.json")
    refuses("plain: a kernel that is none", 1, "kernel", "plain", "--kernel", work + "/vm.json")
    refuses("plain: no kernel", 1, "payload.kernel", "plain")
    refuses("plain: too many vCPUs", 2, "from 1 to 64", "plain", "--cpus", "65")


def sandbox(work):
    """Parsing happens in a process that seccomp confines: seen from outside by its calls."""
    if not shutil.which("strace"):
        skip("the sandbox comes before parsing", "no strace")
        return
    trace = work + "/trace"
    done = subprocess.run(["strace", "-f", "-o", trace, PROGRAM, "snp", "--ovmf", AMDSEV, "--vcpus",
                           "1", "--vcpu-type", "EPYC"], capture_output=True, check=False)
    with open(trace, encoding="ascii", errors="replace") as file:
        lines = file.readlines()
    if done.returncode or not any("SECCOMP_SET_MODE_FILTER, 0" in line for line in lines):
        skip("the sandbox comes before parsing", "this machine gives no seccomp under strace")
        return
    entered = max(i for i, line in enumerate(lines) if "SECCOMP_SET_MODE_FILTER, 0" in line)
    child = lines[entered].split()[0]
    after = [line.split(None, 1)[1] for line in lines[entered + 1:] if line.startswith(child + " ")]
    ok(all(call.startswith(("brk", "mmap", "munmap", "futex", "exit_group", "+++", "getrandom"))
           for call in after) and any(call.startswith("exit_group") for call in after),
       "the sandbox comes before parsing", "".join(after))


def completion():
    """What bash completes, on a command line of these words."""
    def complete(*words):
        command = ("source attest/completion/bawn-measure.bash; COMP_WORDS=(bawn-measure "
                   f"{' '.join(words)}); COMP_CWORD={len(words)}; _bawn_measure {PROGRAM}; "
                   'printf "%s\n" "${COMPREPLY[@]}"')
        return subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, check=True,
                              stderr=subprocess.DEVNULL, text=True).stdout.split()
    ok(complete("s") == ["snp", "snp-ovmf-hash", "sev", "seves"], "completion of commands")
    ok(complete("tdx", "--f") == ["--firmware"], "completion of options")
    ok(complete("snp", "--vmm-type", "''") == ["QEMU", "ec2", "KRUN", "gce"],
       "completion of VMMs")
    ok(complete("seves", "--vcpu-type", "EPYC-G") ==
       ["EPYC-Genoa", "EPYC-Genoa-v1", "EPYC-Genoa-v2"], "completion of CPU models")
    ok(complete("tdx", "--output-format", "=", "b") == ["base64"], "completion after =")


def main():
    work = tempfile.mkdtemp(prefix="measure-cli.")
    try:
        upstream(work)
        debian()
        choices(work)
        id_block(work)
        usage()
        completion()
        hostile(work)
        tdvf(work)
        plain(work)
        sandbox(work)
    finally:
        shutil.rmtree(work)
    print(f"1..{points}")


main()
