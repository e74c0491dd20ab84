#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""JOSE against Debian's jose command and python3-jwcrypto: what one makes the other opens, in both
directions; and numbers in canonical form against Python's shortest digits."""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

from jwcrypto import jwe, jwk, jws

BUILD = os.environ.get("BAWN_BUILD", "build")
TOOL = os.path.join(BUILD, "agent/jose_tool")
EC = "ECDH-ES+A256KW"
RSA = "RSA-OAEP-256"
SECRET = bytes(range(256)) * 3
points = []


def point(name, good, why="", skip=None):
    points.append(good or bool(skip))
    note = f" # SKIP {skip}" if skip else ""
    print(f"{'ok' if points[-1] else 'not ok'} {len(points)} - {name}{note}", flush=True)
    if not good and why:
        print("# " + why)


def run(*command, given=b"", fails=False):
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if fails:
        return done.returncode == 1 and bool(done.stderr)
    if done.returncode:
        print("# " + " ".join(command) + ": " + done.stderr.decode(errors="replace"))
    return done.stdout if not done.returncode else None


JOSE_ALGS = (run("jose", "alg") or b"").decode().split()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


class Keys:
    """One key pair in all the forms that the three take."""

    def __init__(self, folder, name, **kind):
        self.name = name
        self.jwk = jwk.JWK.generate(**kind)
        base = os.path.join(folder, name.replace(" ", "_"))
        self.pem = write(base + ".pem", self.jwk.export_to_pem(True, None))
        self.private = write(base + ".jwk", self.jwk.export_private())
        self.public = write(base + ".pub", run(TOOL, "jwk", self.pem))


def encryption(key, alg):
    ours = run(TOOL, "encrypt", key.public, given=SECRET)
    opened = jwe.JWE()
    opened.deserialize(ours.decode(), key=key.jwk)
    point(f"jwcrypto opens what is encrypted to {key.name}", opened.payload == SECRET)
    # Debian's has no RSA-OAEP since it uses OpenSSL 3.
    without = None if alg in JOSE_ALGS else f"this jose has no {alg}"
    point(f"jose opens what is encrypted to {key.name}", without or
          run("jose", "jwe", "dec", "-i", "-", "-k", key.private, given=ours) == SECRET,
          skip=without)

    made = jwe.JWE(SECRET, json.dumps({"alg": alg, "enc": "A256GCM"}), recipient=key.jwk)
    point(f"what jwcrypto encrypts to {key.name} is opened",
          run(TOOL, "decrypt", key.pem, given=made.serialize().encode()) == SECRET)
    header = write(key.pem + ".head", json.dumps({"protected": {"alg": alg, "enc": "A256GCM"}}))
    made = None if without else run("jose", "jwe", "enc", "-i", header, "-I", "-", "-k", key.public,
                                    given=SECRET)
    point(f"what jose encrypts to {key.name} is opened",
          without or run(TOOL, "decrypt", key.pem, given=made or b"") == SECRET, skip=without)

    # As clients in Rust do: the header is parsed and written again before it is authenticated.
    again = json.loads(ours)
    head = json.loads(jwk.base64url_decode(again["protected"]))
    first = {k: head.pop(k) for k in ("alg", "enc")}
    rest = json.loads(json.dumps(head, sort_keys=True))
    text = json.dumps({**first, **rest}, separators=(",", ":"))
    point(f"the header for {key.name} is what a KBS client writes again",
          jwk.base64url_encode(text) == again["protected"], text)


def tokens(key, alg):
    now = int(time.time())
    payload = {"iss": "bawn", "exp": now + 300, "iat": now, "n": 2**53 + 1, "ü": ["\U0001f600"]}
    text = json.dumps(payload).encode()
    ours = run(TOOL, "sign", key.pem, given=text).decode()
    check = jws.JWS()
    check.deserialize(ours, key.jwk)
    point(f"jwcrypto verifies a token signed on {key.name}",
          json.loads(check.payload) == payload and check.jose_header["alg"] == alg)
    verified = run("jose", "jws", "ver", "-i", "-", "-k", key.private, "-O", "-",
                   given=ours.encode())
    point(f"jose verifies a token signed on {key.name}",
          verified is not None and json.loads(verified) == payload)

    kid = json.loads(open(key.public, encoding="ascii").read())["kid"]
    made = jws.JWS(text)
    made.add_signature(key.jwk, alg, json.dumps({"alg": alg, "kid": kid}))
    made = made.serialize(compact=True).encode()
    taken = run(TOOL, "verify", key.public, str(now), given=made)
    point(f"a token that jwcrypto signs on {key.name} is verified",
          taken is not None and json.loads(taken) == payload)
    point(f"a token on {key.name} that has expired is refused",
          run(TOOL, "verify", key.public, str(now + 300), given=made, fails=True))
    other = jws.JWS(text)
    other.add_signature(jwk.JWK.generate(kty="oct", size=256), "HS256",
                        json.dumps({"alg": "HS256", "kid": kid}))
    point(f"a token with an HMAC in the name of {key.name} is refused",
          run(TOOL, "verify", key.public, str(now), given=other.serialize(True).encode(),
              fails=True))


def jwks(folder, key, alg):
    """What a service publishes is found and taken by others under its thumbprint."""
    text = run(TOOL, "jwk", key.pem, alg, "sig").decode()
    keys = jwk.JWKSet.from_json('{"keys":[' + text + "]}")
    kid = json.loads(text)["kid"]
    same = keys.get_key(kid)
    point(f"jwcrypto finds {key.name} in a JWKS under its thumbprint",
          same is not None and same.thumbprint() == kid)
    point(f"jose computes the same thumbprint of {key.name}",
          run("jose", "jwk", "thp", "-i", write(os.path.join(folder, "thp"), text)).decode().strip()
          == kid)


def ecmascript(number):
    """Number::toString from Python's digits, which are the shortest too."""
    sign, digits, exponent = "", *shortest(abs(number))
    if number < 0:
        sign = "-"
    k, n = len(digits), len(digits) + exponent
    if k <= n <= 21:
        return sign + digits + "0" * (n - k)
    if 0 < n <= 21:
        return sign + digits[:n] + "." + digits[n:]
    if -6 < n <= 0:
        return sign + "0." + "0" * -n + digits
    tail = f"e{'+' if n > 0 else '-'}{abs(n - 1)}"
    return sign + digits[0] + ("." + digits[1:] if k > 1 else "") + tail


def shortest(number):
    mantissa, _, exponent = f"{number!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(exponent or 0) - len(fraction)
    stripped = digits.rstrip("0")
    return stripped, exponent + len(digits) - len(stripped)


def numbers():
    source = random.Random(8785)
    values = []
    while len(values) < 20000:
        bits = source.getrandbits(64)
        if len(values) % 4 == 0:
            bits &= ~((1 << 52) - 1)  # powers of two, whose neighbours lie unevenly
        value = struct.unpack("<d", struct.pack("<Q", bits))[0]
        if value == value and value not in (0, float("inf"), float("-inf")):
            values.append(value)
    values += [source.uniform(-1e6, 1e6) for _ in range(5000)]
    values += [round(source.uniform(0, 1000), 2) for _ in range(5000)]
    text = "[" + ",".join(f"{v:.17e}" for v in values) + "]"
    ours = run(TOOL, "canonical", given=text.encode()).decode()[1:-1].split(",")
    wrong = [(v, o) for v, o in zip(values, ours) if ecmascript(v) != o]
    point(f"{len(values)} doubles are written as ECMAScript writes them",
          not wrong and len(ours) == len(values), str(wrong[:3]))


def sorting():
    """Members in the order of their UTF-16 code units."""
    source = random.Random(3)
    keys = {"".join(chr(source.choice((source.randrange(1, 0xd800),
                                       source.randrange(0xe000, 0x110000),
                                       source.randrange(0xe000, 0x10400))))
                    for _ in range(source.randrange(1, 4))) for _ in range(3000)}
    text = json.dumps({k: 1 for k in keys}).encode()
    ours = list(json.loads(run(TOOL, "canonical", given=text)))
    point("members are sorted by UTF-16", ours == sorted(keys, key=lambda k: k.encode("utf-16-be")))


def main():
    with tempfile.TemporaryDirectory() as folder:
        for curve in ("P-256", "P-384", "P-521"):
            encryption(Keys(folder, "EC " + curve, kty="EC", crv=curve), EC)
        for bits in (2048, 4096):
            encryption(Keys(folder, f"RSA {bits}", kty="RSA", size=bits), RSA)
        for curve, alg in (("P-256", "ES256"), ("P-384", "ES384")):
            key = Keys(folder, curve, kty="EC", crv=curve)
            tokens(key, alg)
            jwks(folder, key, alg)
    numbers()
    sorting()
    print(f"1..{len(points)}")
    return not all(points)


sys.exit(main())
