# SPDX-License-Identifier: Apache-2.0
"""Seeds for the targets of device models: what a well-behaved driver does, in the steps that
fuzz/vmm/common.h describes."""
import json
import struct

START, REG, READ, MSIX, CFG, POKE, CHAIN, DESC, AVAIL, BELL, HOST, RACE, LINK = range(13)
WRITE = 1  # a part that the device writes
INDIRECT, EVENTS, PACKED = 2, 4, 0x80  # in START's features, beside 1


def start(features=1, size=7):
    return bytes([START, features, size])


def chain(queue, *parts, indirect=False):
    """Each part: where, length, flags; the first one's content may follow as a fourth."""
    out = bytes([CHAIN, queue, len(parts) - 1 | (0x80 if indirect else 0)])
    for i, (where, length, flags, *content) in enumerate(parts):
        out += struct.pack("<BHB", where, length, flags)
        if i == 0:
            data = content[0] if content else b""
            out += bytes([len(data)]) + data
    return out


def desc(queue, i, *fields):
    """Address, length, flags (1: more follow, 2: the device writes), the next one."""
    return bytes([DESC, queue, i]) + struct.pack("<QIHH", *fields)


def bell(queue):
    return bytes([BELL, queue])


def host(what, how=0):
    return bytes([HOST, what, how])


def msix_on(vectors):
    """An entry each, the queues' vectors, and MSI-X enabled (capability at 0x40, flags at 0x42)."""
    out = b"".join(bytes([MSIX, 16 * v, 1]) + struct.pack("<I", 0xfee00000) +
                   bytes([MSIX, 16 * v + 8, 1]) + struct.pack("<I", 0x30 + v)
                   for v in range(vectors))
    return out + bytes([CFG, 0x42, 1]) + struct.pack("<I", 0x8000)


def registers():
    """Each register of the common configuration, read and written; what all devices share."""
    yield start() + b"".join(struct.pack("<BHB", READ, off, width)
                             for off in range(0, 56, 2) for width in (0, 1, 2))
    yield start() + b"".join(struct.pack("<BHBI", REG, off, 1, 1) for off in range(0, 56, 2))
    yield b"".join(struct.pack("<BBBI", CFG, off, 2, 0xffffffff) for off in range(0, 0x70, 4))
    yield start() + msix_on(4) + bell(0)
    yield start() + bytes([RACE, 3, 9]) + bell(0)


def rng():
    yield from registers()
    for kind in (EVENTS, PACKED, PACKED | EVENTS):  # twice around a small ring
        yield start(1 | kind | INDIRECT, size=2) + b"".join(
            chain(0, (i, 64, WRITE), (i + 8, 9, WRITE), indirect=i % 3 == 0) + bell(0)
            for i in range(8))
    yield start() + chain(0, (0, 64, WRITE)) + bell(0)
    yield start(size=2) + msix_on(2) + chain(0, (0, 64, WRITE), (8, 8000, WRITE)) + bell(0)


def blk():
    yield from registers()
    for kind in (INDIRECT, INDIRECT | EVENTS, PACKED, PACKED | EVENTS | INDIRECT):
        yield start(1 | kind) + b"".join(
            chain(0, (i, 16, 0, struct.pack("<IIQ", i % 2, 0, i)), (4, 512, WRITE * (1 - i % 2)),
                  (200, 1, WRITE), indirect=i < 3 and kind & INDIRECT) + bell(0)
            for i in range(6))
    for kind, data_flags in ((0, WRITE), (1, 0), (4, WRITE), (8, WRITE), (11, 0)):
        for sector in (0, 63, 64, (1 << 64) - 1):
            head = struct.pack("<IIQ", kind, 0, sector)
            yield start() + chain(0, (0, 16, 0, head), (4, 512, data_flags),
                                  (200, 1, WRITE)) + bell(0)
    yield start() + host(1) + chain(0, (0, 16, 0, struct.pack("<IIQ", 1, 0, 1)), (4, 1024, 0),
                                    (200, 1, WRITE)) + bell(0)

    # Two chains that become one, and one that goes on where nothing is.
    yield (start() + chain(0, (0, 16, 0, bytes(16))) + chain(0, (4, 512, WRITE), (200, 1, WRITE)) +
           bytes([LINK, 0, 0, 1]) + bell(0))
    yield start() + chain(0, (0, 16, 0, bytes(16))) + bytes([LINK, 0, 0, 9]) + bell(0)
    # The longest chain that there can be: a header, then as many bytes as descriptors are left.
    yield (start() + desc(0, 0, 0x4000, 16, 1, 1) +
           b"".join(desc(0, i, 0x4100 + i, 1, 3 if i < 127 else 2, (i + 1) % 128)
                    for i in range(1, 128)) + bytes([AVAIL, 0, 0, 0, 0]) + bell(0))


def blk_ring():
    """The disk's, and what a ring does otherwise: several at once, less than was asked, a short file."""
    yield from blk()
    def request(i, kind, sector, length=1024):
        return chain(0, (0x40 + 2 * i, 16, 0, struct.pack("<IIQ", kind, 0, sector)),
                     (0x80 + 16 * i, length, WRITE * (1 - kind % 2)), (i, 1, WRITE))

    def some(n):
        return b"".join(request(i, (0, 1, 1, 4)[i % 4], 3 * i, (1024, 512, 2048, 0)[i % 4]) for i in range(n))

    for kind in (INDIRECT, PACKED):
        yield start(1 | kind) + some(5) + bell(0)
        yield start(1 | kind) + host(4) + some(5) + bell(0) + host(5) + some(4) + bell(0)
    yield start(0) + some(5) + bell(0)  # no flushes
    for how in (0, 1 << 3, 9 << 3 | 1, 30 << 3 | 2):
        yield start() + host(3, how) + some(6) + bell(0) + host(3, how + 1) + some(4) + bell(0)
    for sectors in (0, 1, 9):
        yield start() + host(2, sectors) + some(6) + bell(0) + host(0)
    yield start() + host(4) + some(3) + bell(0) + start() + some(3) + bell(0)


def console():
    yield from registers()
    yield start() + chain(1, (0, 5, 0, b"hello")) + bell(1)
    yield start() + chain(0, (0, 64, WRITE)) + bell(0) + host(5, 0x61) + host(0)
    yield start() + chain(0, (0, 1, WRITE)) + bell(0) + host(1, 1) + host(1, 0x78) + host(250)


def net():
    yield from registers()
    frame = bytes(12) + b"a frame of some bytes"
    buffers = b"".join(chain(0, (0x40 + 8 * i, 512, WRITE)) for i in range(6)) + bell(0)
    for kind in (0, EVENTS | INDIRECT, PACKED | EVENTS | INDIRECT):
        yield start(1 | kind) + buffers + host(0, 9) + host(0, 20) + host(1, 3) + host(1, 40)
        yield (start(1 | kind, size=3) + chain(1, (0, len(frame), 0, frame)) + bell(1) +
               chain(1, (0, 12, 0, frame[:12]), (1, 14, 0), (2, 900, 0)) + bell(1) + host(2))
        yield start(1 | kind) + (chain(1, (0, 12, 0, bytes(12)), *((0, 0x7f00, 4),) * 2) +
                                 bell(1)) * 5 + host(2) * 4 + host(3) + bell(1)
    for flags, gso in ((1, 0), (0, 1), (1, 1), (0, 0x80), (1, 0x81), (0, 3)):
        head = struct.pack("<BBHHHHH", flags, gso, 14, 100, 14, 16, 0)
        yield start() + chain(1, (0, 12, 0, head), (2, 300, 0)) + bell(1)


def net_tap():
    """Two pairs: queues 0 to 3, and 4 for control."""
    def pairs(n, cls=4, cmd=0):
        return chain(4, (0x80, 2, 0, bytes([cls, cmd])), (0x81, 2, 0), (0x82, 1, WRITE)) + bytes(
            [POKE]) + struct.pack("<HBH", 0x4000 + 0x81 * 0x40, 2, n) + bell(4)

    yield from net()
    frame = bytes(12) + b"a frame of some bytes"
    for kind in (0, EVENTS | INDIRECT, PACKED | EVENTS | INDIRECT):
        buffers = b"".join(chain(q, (0x20 + 8 * i + 2 * q, 100, WRITE)) for q in (0, 2)
                           for i in range(8)) + bell(0) + bell(2)
        yield start(1 | kind) + buffers + pairs(2) + host(0, 1) + host(2, 2) + host(0, 3) + host(2, 4)
        yield start(1 | kind) + host(2, 9) + buffers + host(0, 2) + pairs(2) + buffers + host(2, 200)
        yield start(1 | kind) + pairs(2) + chain(3, (0, len(frame), 0, frame)) + bell(3) + host(3)
        yield start(1 | kind) + pairs(0) + pairs(3) + pairs(1, 1) + pairs(1, 4, 1) + pairs(1)


def vsock():
    def packet(op, host_port, guest_port=1000, length=0, flags=0, room=65536, forwarded=0):
        return struct.pack("<QQIIIHHIII", 3, 2, guest_port, host_port, length, 1, op, flags, room,
                           forwarded)

    def send(op, *args, **kwargs):
        head = packet(op, *args, **kwargs)
        return chain(1, (0, len(head), 0, head), (2, kwargs.get("length", 0) or 1, 0)) + bell(1)

    buffers = b"".join(chain(0, (0x40 + 8 * i, 512, WRITE)) for i in range(6)) + bell(0)
    request, response, rst, shut, data, credit, ask = range(1, 8)
    yield from registers()
    yield start() + buffers + send(request, 1) + send(data, 1, length=20) + host(2, 9) + \
        send(shut, 1, flags=3) + send(rst, 1)
    yield start() + buffers + send(request, 1) + host(2, 200) + host(4) + send(ask, 1) + \
        send(credit, 1, forwarded=400) + host(5) + host(6) + host(7)
    yield start() + buffers + send(request, 2) + send(data, 7, length=3)
    yield start() + buffers + host(0) + host(1, 5) + send(response, 0x40000000, guest_port=5) + \
        send(data, 0x40000000, guest_port=5, length=9) + host(4) + host(2, 50) + host(7)
    yield start() + host(0) + host(3, 0x43) + host(3, 0x4f)
    # As much as there is credit for, and nobody who reads.
    def bulk(length):
        head = packet(data, 1, length=length)
        return chain(1, (0, len(head), 0, head), *((0, 0x7f00, 4),) * 7) + bell(1)
    yield start() + buffers + send(request, 1) + bulk(215000) + bulk(215000) + bulk(60000) + host(4)


def devices():
    """The serial port's and the I/O APIC's registers, in turn."""
    def step(bus, length, offset, value):
        return struct.pack("<BHI", bus | length << 3, offset, value)

    yield b"".join(step(0, 0, r, v) + step(1, 0, r, 0) for r in range(8) for v in (0, 1, 0x83, 7))
    yield b"".join(step(2, 2, 0, i) + step(2, 2, 16, 0x8030 + i) + step(3, 2, 16, 0)
                   for i in range(0x10, 0x40)) + step(5, 0, 4, 1) + step(6, 0, 0, 0x38)
    yield step(4, 2, 1, 0xffffffff) + step(7, 0, 3, 0x616263)
    # Devices come, are asked for, let go of and kept.
    came, go, gone = 0x8004, 0x8008, 0x8000 # offsets modulo 12
    yield b"".join(step(6, 0, 0x8000, v) for v in (0x105, 0x206, 0x207, 0x407)) + \
        step(1, 2, came, 0) + step(1, 2, go, 0) + step(0, 2, gone, 0xe0)


def qcow2():
    """Images that are right, of two cluster sizes: header, counts, tables; and steps on them."""
    def piece(at, content):
        return struct.pack("<HB", at // 64, len(content)) + content

    def header(bits, size, l1_size, l1, counts, version=3, order=4):
        return struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", version, 0, 0, bits, size, 0, l1_size,
                           l1, counts, 1, 0, 0, 0, 0, 0, order, 104)

    def image(bits, order=4, **kwargs):
        size = 1 << bits  # counts' table in cluster 1, block in 2, L1 in 3, L2 in 4, data in 5
        return (piece(0, header(bits, size * 64, 64, 3 * size, size, order=order, **kwargs)) +
                piece(size, struct.pack(">Q", 2 * size)) +
                piece(2 * size, struct.pack(">6H", *[1] * 6) if order == 4 else bytes([1] * 6)) +
                piece(3 * size, struct.pack(">Q", 1 << 63 | 4 * size)) +
                piece(4 * size, struct.pack(">QQQ", 1 << 63 | 5 * size, 0, 1)) +
                piece(5 * size, b"data" * 10))

    steps = bytes([7, 0, 0, 3, 3, 0, 0, 9, 1, 0, 0, 40, 0, 0, 0, 0, 6, 5, 0, 30, 2, 0, 0, 127,
                   0x85, 0, 0, 0, 0, 0, 0, 0])
    for bits in (9, 12, 16):
        yield bytes([0]) + image(bits)
        yield bytes([len(steps) // 4]) + steps + image(bits)
        yield bytes([len(steps) // 4]) + steps * 1 + image(bits, order=3)
        yield bytes([0x80 | len(steps) // 4]) + steps + image(bits, version=2)
    # Most of a small image, so that it grows.
    many = b"".join(bytes([7, i * 20 % 256, 0, 100]) for i in range(31))
    yield bytes([31]) + many + image(9)


def link():
    """Each message from either end, before and after a start; the driver's steps go over the link."""
    yield from rng()
    yield start() + chain(0, (0, 32, WRITE)) + bell(0) + host(0xff)
    for kind in range(10):
        for end in (0, 0x10):
            yield start() + host(0xff) + host(kind | end) + host(kind | end, 1) + host(0xff)
            yield host(kind | end | 0x20) + chain(0, (0, 32, WRITE)) + bell(0) + host(0xff)
            yield start() + host(kind | end | 0x40, 7)
    for size in range(8):  # a start behind the transport's back
        yield host(0x31, size) + chain(0, (0, 32, WRITE)) + bell(0) + host(0x12)


def config():
    """Whole configurations, and devices as API calls add them."""
    bucket = {"size": 5, "one_time_burst": 6, "refill_time": 7}
    disk = {"path": "/b", "readonly": True, "image_type": "Qcow2", "backing": "/c", "id": "d",
            "backing_type": "Qcow2", "rate_limiter_config": {"bandwidth": bucket, "ops": bucket}}
    net = {"tap": "t", "mac": "02:0a:00:00:00:ff", "mtu": 9000, "num_queues": 2, "queue_size": 256}
    vsock = {"cid": 3, "socket": "/v"}
    whole = {
        "payload": {"kernel": "/k", "initramfs": "/i", "cmdline": "c", "host_data": "0f" * 32},
        "cpus": {"boot_vcpus": 2, "max_vcpus": 2, "nested": True, "features": {"amx": False}},
        "memory": {"size": 1 << 28, "hugepages": True, "hugepage_size": 1 << 21, "thp": False},
        "disks": [{"path": "/a"}, disk], "net": [net, {"fds": [7]}, {"socket": "/n"}],
        "rng": {"src": "/dev/urandom"}, "vsock": vsock, "serial": {"mode": "Pty"},
        "balloon": {"size": 4096, "free_page_reporting": True},
        "console": {"mode": "File", "file": "/c"}, "tpm": {"socket": "/t"}, "iommu": False,
        "platform": {"sev_snp": True, "snp_policy": "0xb0000", "snp_id_block": "/x"}, "fs": None}
    yield b"\0" + json.dumps(whole).encode()
    for key, value in whole.items():
        yield b"\0" + json.dumps({key: value}, indent=1).encode()
    for i, value in enumerate((disk, net, vsock, whole["balloon"], whole["console"], {})):
        yield bytes([i + 1]) + json.dumps(value).encode()
    yield b"\0" + b'{"a":' * 20 + b"1" + b"}" * 20


def image():
    """Files that are none, and contents: head, configuration, state, maps of two ranges, pages."""
    yield b"\0"
    yield b"\0BAWNSNAP" + struct.pack("<4I", 1, 0, 65536, 0) + bytes(64) + bytes(100)
    yield b"\0BAWNSNAP" + struct.pack("<4I", 1, 1, 65536, 0) + bytes(64) + bytes(100)
    two, high = 2 << 20, 1 << 32
    for ranges in (1, 2):
        head = struct.pack("<IIQQQQ56xQQQQ", 2, ranges, 0, 2, 0, 0, 0, two, high, two)
        yield b"\1" + head + b"{}" + bytes(64 * ranges)
        yield b"\2" + head + bytes(64 * ranges)
        yield b"\2" + head + b"\x81" + bytes(62) + b"\x80" + bytes(64 * (ranges - 1)) + bytes(3 * 4096)
        yield b"\2" + head + b"\xff" * 64 * ranges + bytes(4096)


def migrate():
    """Steps of a source: memory, state, the end; less of them, and in pieces."""
    def step(kind, data=b"", length=0xffff):
        return bytes([kind]) + struct.pack("<H", length) + data
    high = 1 << 32
    pages = [step(4, struct.pack("<Q", at) + bytes([at & 0xff]) * 56) for at in (0, 4096, high, high - 4096)]
    zeroes = [step(5, struct.pack("<QQ", at, n)) for at, n in ((0, 1), (4096, 511), (high, 512), (high, 513))]
    rest = [step(6, bytes(64)), step(7), step(8)]
    whole = b"".join(pages[:3] + zeroes[:3] + rest)
    for how in (2, 2 | 7 << 2, 2 | 63 << 2):
        yield bytes([how]) + whole
    for last in pages[3:] + zeroes[3:] + [step(8), step(6, bytes(3), 3) + step(7), step(4, bytes(64), 8)]:
        yield b"\2" + last
    hello = b"BAWNMOVE" + struct.pack("<4I4Q", 1, 1, 2, 70000, 0, 1 << 21, 0, 0) + bytes(16)
    yield b"\0" + step(1, hello) + step(2, b"{}", 2) + step(3, bytes(64)) + whole
    yield b"\1" + struct.pack("<II", 1, 120) + hello + bytes(64) + struct.pack("<II", 2, 2) + b"{}"


def http():
    """What curl, libvirt and Kata send."""
    root = b"/api/v1/vm"
    head = b"Host: localhost\r\nUser-Agent: curl/8\r\nAccept: application/json\r\n"
    body = b'{"destination_url":"file:///tmp/x"}'

    def request(method, path, more=b"", content=b""):
        return method + b" " + root + path + b" HTTP/1.1\r\n" + head + more + b"\r\n" + content

    length = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    yield request(b"GET", b"m.ping")
    yield request(b"PUT", b".boot", b"Content-Length: 0\r\n") + request(b"GET", b".info")
    yield request(b"PUT", b".snapshot", length, body)
    yield request(b"PUT", b".snapshot", length + b"Expect: 100-continue\r\n", body)
    yield request(b"GET", b".info", b"Connection: close\r\n").replace(b"1.1", b"1.0")


def tpm():
    """A driver's command, its answer in one piece and in several; a late one, a cancelled one, an end."""
    write, read, fill, say, turn, late, answer, order, end = range(9)

    def reg(off, val):
        return struct.pack("<BHBI", write, off, 2, val)

    def put(data):
        return struct.pack("<BHB", fill, 0x80, len(data)) + data

    def says(data):
        return bytes([say, len(data)]) + data

    head = bytes([0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 16])
    reply = bytes([0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0])
    begin = reg(0x08, 1) + reg(0x40, 1)
    go = begin + put(head) + reg(0x4c, 1) + bytes([turn])
    yield b"".join(struct.pack("<BHB", read, off, 2) for off in range(0, 0x84, 4))
    yield go + says(reply) + struct.pack("<BHB", read, 0x80, 3) + reg(0x40, 2) + reg(0x08, 2)
    yield go + says(reply[:3]) + says(reply[3:11]) + says(reply[11:]) + go + says(reply)
    yield go + bytes([late, turn]) + go + says(reply) + go + says(reply)
    yield go + reg(0x48, 1) + bytes([turn, late, turn]) + says(reply)
    yield go + says(bytes(10)) + go
    yield says(reply) + go
    yield go + bytes([end, turn]) + go
    for length in (0, 9, 3969, 0xffffffff):
        yield begin + put(head[:2] + struct.pack(">I", length) + head[6:]) + reg(0x4c, 1) + bytes([turn])
    for kind in range(16):
        for length in (0, 12, 3968, 3969):
            for step in (answer, order):
                yield go + struct.pack("<BBHBB", step, kind, length, 0, turn) + says(reply)


SEEDS = {
    "vmm-config": config,
    "vmm-http": http,
    "vmm-image": image,
    "vmm-migrate": migrate,
    "vmm-qcow2": qcow2,
    "vmm-virtio_rng": rng,
    "vmm-virtio_blk": blk,
    "vmm-virtio_blk_ring": blk_ring,
    "vmm-virtio_console": console,
    "vmm-virtio_net": net,
    "vmm-virtio_net_tap": net_tap,
    "vmm-virtio_vsock": vsock,
    "vmm-devices": devices,
    "vmm-link": link,
    "vmm-tpm": tpm,
}
