#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The API, events and subcommands of the shipped program: what libvirt and Kata say to it byte for byte,
curl, and a person. Machines are real where this host has a KVM that runs one; else those parts are
skipped, and say so."""
import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

PROGRAM = os.path.abspath(os.path.join(os.environ.get("BAWN_BUILD", "build"), "bin/bawn"))
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nServer: Bawn\r\nConnection: keep-alive\r\n\r\n"
CREATE = {"serial": {"mode": "Pty"}, "cpus": {"boot_vcpus": 2, "max_vcpus": 2},
          "memory": {"size": 268435456}, "payload": {"kernel": "", "cmdline": "console=ttyS0"},
          "disks": [{"path": ""}]}


def guest(code="66baf803" "b041" "ee" "b9400d0300" "49" "75fd" "ebf3"):
    """A PVH kernel: the code, or what writes "A" to COM1 for ever."""
    code = bytes.fromhex(code)
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x1000000)
    at = 64 + 2 * 56
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56, 2,
                       64, 0, 0) + \
        struct.pack("<IIQQQQQQ", 1, 7, at, 0x1000000, 0x1000000, len(code), len(code), 16) + \
        struct.pack("<IIQQQQQQ", 4, 4, at + len(code), 0, 0, len(note), len(note), 4) + code + note


class Place:
    """A directory with what the tests need, and the processes that they start."""

    def __init__(self, path):
        self.path = path
        self.kernel = self.file("kernel", guest())
        # Lets go of all devices and vCPUs that it is asked for: register 0x614 to 0x618, 0x624 to 0x628.
        self.obedient = self.file("obedient", guest("66ba1406" "ed" "66ba1806" "ef" "66ba2406" "ed"
                                                    "66ba2806" "ef" "b9400d0300" "49" "75fd" "ebe2"))
        self.disk = self.file("disk", bytes(8192))
        os.environ["BAWN_RUNTIME_DIR"] = self.file("run")
        os.symlink(PROGRAM, self.file("cloud-hypervisor"))
        self.create = dict(CREATE, payload=dict(CREATE["payload"], kernel=self.kernel),
                           disks=[{"path": self.disk, "id": "_disk0"}])
        self.has_kvm = self.runs()

    def file(self, name, content=None):
        path = os.path.join(self.path, name)
        if content is not None:
            with open(path, "wb") as f:
                f.write(content)
        return path

    def runs(self):
        done = bawn("run", "--kernel", self.kernel, "--memory", "64M", "--serial", "null", "--timeout", "1")
        return done.returncode == 5

    @contextlib.contextmanager
    def program(self, *arguments, name="bawn", **options):
        command = [PROGRAM] if name == "bawn" else [self.file(name)]
        with open(self.file("log"), "wb") as log:
            process = subprocess.Popen(command + list(arguments), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, **options)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def machine(self, name, *options):
        """One that runs, by its name."""
        with self.program("run", "--name", name, "--kernel", self.kernel, "--memory", "64M", "--serial",
                          "pty", "--disk", f"path={self.disk},readonly=on", "--no-encryption",
                          *options) as process:
            wait_until(lambda: bawn("info", name).stdout.startswith("state     Running"))
            yield process

    @contextlib.contextmanager
    def api(self, *options, **more):
        path = self.file("api.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with self.program("--api-socket", path, *options, name="cloud-hypervisor", **more) as process:
            yield Client(path), process


def bawn(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False, **options)


def done(*arguments, **options):
    """What it says when all is well."""
    it = bawn(*arguments, **options)
    assert it.returncode == 0 and not it.stderr, it
    return it.stdout


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


class Client:
    """A connection that stays, as libvirt's."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        wait_until(lambda: not self.socket.connect_ex(path))

    def raw(self, request, fds=()):
        self.socket.settimeout(30)
        socket.send_fds(self.socket, [request], list(fds))
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = self.socket.recv(65536)
            assert more, "the connection ended"
            answer += more
        length = re.search(rb"Content-Length: (\d+)", answer)
        while length and len(answer) < answer.index(b"\r\n\r\n") + 4 + int(length.group(1)):
            answer += self.socket.recv(65536)
        return answer

    def put(self, call, body=None, fds=()):
        text = json.dumps(body).encode() if body is not None else b""
        return self.raw(b"PUT /api/v1/%s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (call.encode(), len(text), text), fds)

    def get(self, call):
        answer = self.raw(b"GET /api/v1/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % call.encode())
        return int(answer.split()[1]), json.loads(answer[answer.index(b"\r\n\r\n"):])


def refusal(answer):
    return int(answer.split()[1]), json.loads(answer[answer.index(b"\r\n\r\n"):])


def skip(place):
    if not place.has_kvm:
        print("# skipped: no KVM here that runs a machine")
    return not place.has_kvm


def children(process, name):
    return [int(path.split("/")[2]) for path in glob.glob("/proc/[0-9]*/comm")
            if open_text(path) == f"bawn:{name}\n" and
            f"\nPPid:\t{process.pid}\n" in open_text(path.replace("comm", "status"))]


def open_text(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


@test
def name(place):
    """under the name cloud-hypervisor it answers as that one"""
    done = subprocess.run([place.file("cloud-hypervisor"), "--version"], capture_output=True, check=True)
    assert re.fullmatch(rb"cloud-hypervisor v(\d+)\.\d+\n", done.stdout), done.stdout
    assert int(done.stdout.split(b"v")[-1].split(b".")[0]) >= 15
    for wrong in ([], ["--kernel", "x"], ["--api-socket"]):
        done = subprocess.run([place.file("cloud-hypervisor"), *wrong], capture_output=True, check=False)
        assert done.returncode == 2 and done.stderr, done


@test
def created(place):
    """a machine is made, changed, looked at and forgotten before it runs"""
    with place.api() as (client, process):
        status, ping = client.get("vmm.ping")
        assert status == 200 and ping["pid"] == process.pid and ping["version"], ping
        assert client.get("vm.info")[0] == 404
        assert refusal(client.put("vm.boot"))[0] == 404
        status, why = refusal(client.put("vm.create", {"payload": {"kernel": "/k"}, "pci": 1}))
        assert status == 400 and "pci: unknown key" in why[1], why
        status, why = refusal(client.put("vm.create", dict(place.create, net=[{"fds": [3]}])))
        assert status == 400 and "vm.add-net" in why[1], why
        assert client.put("vm.create", place.create) == NO_CONTENT
        assert refusal(client.put("vm.create", place.create))[0] == 500
        assert client.put("vm.add-disk", {"path": "/d", "id": "more"}) == NO_CONTENT
        assert refusal(client.put("vm.add-disk", {"path": ""}))[0] == 400
        assert refusal(client.put("vm.add-net", {"id": "n"}))[0] == 400
        assert client.put("vm.add-net", {"id": "n", "num_queues": 2, "queue_size": 256}, [0]) == NO_CONTENT
        assert refusal(client.put("vm.add-net", {"id": "m"}, [0, 1, 2, 0, 1]))[0] == 400
        assert client.put("vm.remove-device", {"id": "more"}) == NO_CONTENT
        assert client.put("vm.resize", {"desired_vcpus": 3, "desired_ram": 1 << 29}) == NO_CONTENT
        assert refusal(client.put("vm.resize", {"desired_vcpus": 65}))[0] == 400
        assert refusal(client.put("vm.resize", {"desired_balloon": 4096}))[0] == 400
        status, info = client.get("vm.info")
        assert status == 200 and info["state"] == "Created" and info["memory_actual_size"] == 1 << 29
        config = info["config"]
        assert config["cpus"]["boot_vcpus"] == 3 and [d["path"] for d in config["disks"]] == [place.disk]
        assert len(config["net"]) == 1 and config["net"][0]["id"] == "n"
        assert client.put("vm.delete") == NO_CONTENT
        assert client.get("vm.info")[0] == 404
        assert client.put("vmm.shutdown") == NO_CONTENT
        assert process.wait(30) == 0
    assert not os.path.exists(place.file("api.sock"))


@test
def libvirt(place):
    """libvirt's conversation, from its descriptor and FIFO to the machine's end"""
    if skip(place):
        return
    path, fifo, snapshots = place.file("lv.sock"), place.file("fifo"), place.file("snapshots")
    os.mkfifo(fifo)
    os.mkdir(snapshots)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        number = listener.fileno()
        with place.program("--api-socket", f"fd={number}", "--event-monitor", f"path={fifo}",
                           name="cloud-hypervisor", pass_fds=(number,),
                           env={**os.environ, "BAWN_SNAPSHOT_KEY": place.file("snapshot-key", bytes(32))}) as process:
            with open(fifo, "rb", buffering=0) as events:
                client = Client(path)
                seen = conversation(place, client, snapshots)
                assert client.put("vmm.shutdown") == NO_CONTENT
                assert process.wait(30) == 0
                texts = events.read(65536).decode().split("\n\n")
    assert texts[-1] == ""
    objects = [json.loads(text) for text in texts[:-1]]
    assert [f"{o['source']}:{o['event']}" for o in objects] == seen, objects
    assert all(o["properties"] is None and set(o["timestamp"]) == {"secs", "nanos"} for o in objects)


def conversation(place, client, snapshots):
    """What libvirt asks for; returns the events that it must see."""
    assert client.put("vm.create", place.create) == NO_CONTENT
    for i in range(2):
        assert client.put("vm.add-net", {"id": f"net_{i}", "num_queues": 2, "queue_size": 256,
                                         "mac": "52:54:00:00:00:01"}, [0]) == NO_CONTENT
        assert client.put("vm.remove-device", {"id": f"net_{i}"}) == NO_CONTENT
    assert client.put("vm.boot") == NO_CONTENT
    info = client.get("vm.info")[1]
    pty = info["config"]["serial"]["file"]
    assert info["state"] == "Running" and pty.startswith("/dev/pts/"), info
    with open(pty, "rb", buffering=0) as serial:
        assert serial.read(1) == b"A"
    counters = client.get("vm.counters")[1]
    assert counters["vcpu0"]["exits_io"] > 0 and "requests" in counters["disk0"], counters
    assert client.put("vm.pause") == NO_CONTENT
    assert client.get("vm.info")[1]["state"] == "Paused"
    still = client.get("vm.counters")
    time.sleep(0.2)
    assert client.get("vm.counters") == still
    assert refusal(client.put("vm.pause"))[0] == 500
    assert client.put("vm.snapshot", {"destination_url": f"file://{snapshots}"}) == NO_CONTENT
    assert client.get("vm.info")[1]["state"] == "Paused"
    assert client.put("vm.resume") == NO_CONTENT
    assert refusal(client.put("vm.resume"))[0] == 500
    assert client.put("vm.power-button") == NO_CONTENT
    assert refusal(client.put("vm.add-disk", {"path": "/d"}))[0] == 500
    assert client.put("vm.reboot") == NO_CONTENT
    assert client.put("vm.shutdown") == NO_CONTENT
    assert client.get("vm.info")[1]["state"] == "Shutdown"
    assert client.put("vm.boot") == NO_CONTENT
    assert client.put("vm.delete") == NO_CONTENT
    assert client.put("vm.restore", {"source_url": f"file://{snapshots}", "net_fds": []}) == NO_CONTENT
    assert client.get("vm.info")[1]["state"] == "Paused"
    assert client.put("vm.resume") == NO_CONTENT
    assert client.get("vm.info")[1]["state"] == "Running"
    return ["vmm:starting", "vm:booting", "vm:booted", "vm:pausing", "vm:paused", "vm:snapshotting",
            "vm:snapshotted", "vm:resuming", "vm:resumed", "vm:rebooting", "vm:rebooted", "vm:shutdown",
            "vm:booting", "vm:booted", "vm:shutdown", "vm:deleted", "vm:restoring", "vm:booting",
            "vm:restored", "vm:paused", "vm:resuming", "vm:resumed", "vm:shutdown", "vmm:shutdown"]


@test
def abandoned(place):
    """libvirt gives a machine up by removing the FIFO that it made: all of it ends"""
    for boots in (False, True):
        if boots and skip(place):
            return
        fifo = place.file("fifo2")
        os.mkfifo(fifo)
        with place.api("--event-monitor", f"path={fifo}") as (client, process):
            assert client.put("vm.create", place.create) == NO_CONTENT
            if boots:
                assert client.put("vm.boot") == NO_CONTENT
                assert client.put("vm.pause") == NO_CONTENT
            os.chmod(fifo, 0o640)
            time.sleep(0.2)
            assert client.get("vm.info")[0] == 200 and process.poll() is None
            os.unlink(fifo)
            assert process.wait(30) == 0


def from_kata(place, hotplug):
    """Kata's Go runtime: every default that the API's description has, and ceilings."""
    return {
        "payload": {"kernel": place.kernel, "initramfs": place.disk,
                    "cmdline": "panic=1 no_timer_check noreplace-smp quiet agent.log=info"},
        "cpus": {"boot_vcpus": 1, "max_vcpus": 1 + hotplug, "kvm_hyperv": False,
                 "topology": {"threads_per_core": 1, "cores_per_die": 1 + hotplug, "dies_per_package": 1,
                              "packages": 1}},
        "memory": {"size": 2 << 30, "hotplug_size": hotplug << 30, "hotplug_method": "Acpi", "thp": True,
                   "mergeable": False, "shared": False, "hugepages": False, "prefault": False},
        "rng": {"src": "/dev/urandom", "iommu": False},
        "vsock": {"cid": 3, "socket": place.file("clh.sock"), "iommu": False},
        "serial": {"mode": "Off", "iommu": False}, "console": {"mode": "Off", "iommu": False},
        "platform": {"num_pci_segments": 2, "tdx": False},
        "iommu": False, "watchdog": False, "pvpanic": False, "landlock_enable": False}


def from_kata_rs(place):
    """Its runtime in Rust: nothing is left out, and what is not there is null or empty."""
    rest = {"id": None, "pci_segment": 0, "iommu": False}
    return {
        "payload": {"firmware": None, "kernel": place.kernel, "cmdline": "quiet", "initramfs": place.disk},
        "cpus": {"boot_vcpus": 1, "max_vcpus": 4, "kvm_hyperv": False, "max_phys_bits": 46,
                 "topology": {"threads_per_core": 1, "cores_per_die": 4, "dies_per_package": 1,
                              "packages": 1}, "features": {"amx": False}},
        "memory": {"size": 2 << 30, "hotplug_size": 4 << 30, "hotplug_method": "Acpi", "shared": True,
                   "mergeable": False, "hugepages": False, "prefault": False},
        "disks": [{"path": place.disk, "readonly": True, "direct": False, "num_queues": 1,
                   "queue_size": 128, "vhost_user": False, "vhost_socket": None,
                   "rate_limiter_config": None, "disable_io_uring": False, **rest}],
        "net": [{"tap": "tap0_kata", "ip": "192.168.249.1", "mask": "255.255.255.0", "id": "eth0",
                 "mac": "02:00:00:00:00:01", "iommu": False, "num_queues": 2, "queue_size": 256,
                 "vhost_user": False, "vhost_mode": "Client"}],
        "rng": {"src": "/dev/urandom", "iommu": False}, "fs": [],
        "balloon": {"size": 0, "deflate_on_oom": False, "free_page_reporting": True},
        "serial": {"file": None, "mode": "Off", "iommu": False},
        "console": {"file": None, "mode": "Off", "iommu": False},
        "vsock": {"cid": 3, "socket": place.file("ch-vm.sock"), **rest},
        "iommu": False, "watchdog": False}


@test
def kata(place):
    """what Kata asks for: its two runtimes' machines, and each thing that is not served by name"""
    with place.api("-v", "--seccomp", "true") as (client, _):
        for body in (from_kata(place, 8), from_kata_rs(place)):
            assert client.put("vm.create", body) == NO_CONTENT, body
            status, info = client.get("vm.info")
            assert status == 200 and info["state"] == "Created"
            assert info["memory_actual_size"] == 2 << 30
            # What can be had: Kata asks for no more than these say.
            assert not info["config"]["memory"].get("hotplug_size")
            assert client.put("vm.add-net", {
                "mac": "52:54:00:00:00:02", "ip": "192.168.249.1", "mask": "255.255.255.0", "iommu": False,
                "num_queues": 2, "queue_size": 256, "vhost_user": False, "vhost_mode": "Client"},
                [0]) == NO_CONTENT
            assert client.put("vm.add-disk", {
                "path": place.disk, "readonly": False, "direct": False, "iommu": False, "num_queues": 1,
                "queue_size": 1024, "vhost_user": False}) == NO_CONTENT
            assert client.put("vm.delete") == NO_CONTENT
        for key, value, words in (
                ("pmem", [{"file": "/image", "discard_writes": True, "iommu": False}],
                 "pmem: an array is not served: there are no pmem devices; use disks"),
                ("fs", [{"tag": "kataShared", "socket": "/v", "num_queues": 1, "queue_size": 1024}],
                 "fs: an array is not served: vhost-user"),
                ("sgx_epc", [{"id": "kata-epc", "size": 4096, "prefault": True}], "sgx_epc: "),
                ("platform", {"num_pci_segments": 2, "iommu_segments": [0]}, "platform.iommu_segments: "),
                ("platform", {"tdx": True}, "platform.tdx: true is not served: confidential"),
                ("rng", {"src": "/dev/urandom", "iommu": True}, "rng.iommu: true is not served"),
                ("newer", {}, "newer: unknown key; known are payload, cpus")):
            status, why = refusal(client.put("vm.create", dict(from_kata(place, 0), **{key: value})))
            assert status == 400 and why[0] == "vm.create" and why[1].startswith(words), why
            assert f"bawn: vm.create: {why[1].replace(chr(34), '?')}\n" in open_text(place.file("log"))
        for call, body in (("vm.add-device", {"path": "/sys/bus/pci/devices/0000:00:01.0", "iommu": False}),
                           ("vm.add-fs", {"tag": "kataShared", "socket": "/v"}),
                           ("vm.add-pmem", {"file": "/image"})):
            status, why = refusal(client.put(call, body))
            assert status == 500 and why[0] == call and len(why[1]) > 20, why


@test
def followed_link(place):
    """Kata follows the link: the program has its own name then, and no command"""
    path = place.file("followed.sock")
    with place.program("--api-socket", path, "-v", "--seccomp", "false") as process:
        client = Client(path)
        assert client.get("vmm.ping")[1]["pid"] == process.pid
        assert client.put("vmm.shutdown") == NO_CONTENT
        assert process.wait(30) == 0


@test
def failed_boot(place):
    """a boot that fails says why, and can be tried again"""
    with place.api() as (client, _):
        client.put("vm.create", dict(place.create, payload={"kernel": "/none"}))
        status, why = refusal(client.put("vm.boot"))
        assert status == 500 and "/none" in why[1], why
        assert client.get("vm.info")[1]["state"] == "Created"
        assert refusal(client.put("vm.boot"))[0] == 500


@test
def curl(place):
    """curl, whose upload waits to be told to continue"""
    with place.api() as (_, process):
        def call(*arguments):
            return subprocess.run(["curl", "-sS", "-w", "%{http_code}", "--unix-socket",
                                   place.file("api.sock"), *arguments], capture_output=True, text=True,
                                  timeout=30, check=True).stdout
        root = "http://localhost/api/v1/"
        assert call(root + "vmm.ping").endswith("200")
        body = json.dumps(place.create)
        assert call("-X", "PUT", "-H", "Expect: 100-continue", "-d", body, root + "vm.create") == "204"
        assert call("-X", "PUT", "-d", "{}", root + "vm.send-migration").endswith("500")
        assert call(root + "vm.nothing").endswith("404")
        assert call("-T", place.file("empty", b""), root + "vmm.shutdown") == "204"
        assert process.wait(30) == 0


@test
def clients(place):
    """clients that say nothing, too much or nonsense; and the API's process killed, and gone when idle"""
    with place.api() as (client, process):
        assert client.get("vmm.ping")[0] == 200
        first = children(process, "api")
        assert len(first) == 1
        silent = [Client(client.path) for _ in range(20)]
        other = Client(client.path)
        assert other.raw(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        other = Client(client.path)
        assert other.raw(b"PUT /" + b"a" * 9000).startswith(b"HTTP/1.1 431 ")
        other = Client(client.path)
        assert other.raw(b"PUT / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n").startswith(b"HTTP/1.1 413 ")
        os.kill(first[0], signal.SIGKILL)
        other = Client(client.path)
        assert other.get("vmm.ping")[0] == 200
        assert children(process, "api") and children(process, "api") != first
        for one in silent + [other, client]:
            one.socket.close()
        wait_until(lambda: not children(process, "api"))
        assert Client(client.path).get("vmm.ping")[0] == 200


@test
def events(place):
    """an event monitor that is full, or gone, holds nobody up"""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 4096)
    os.set_blocking(write, True)
    for reader in (read, None):
        if reader is None:
            os.close(read)
        with place.api("--event-monitor", f"fd={write}", pass_fds=(write,)) as (client, process):
            assert client.put("vm.create", place.create) == NO_CONTENT
            assert client.put("vm.delete") == NO_CONTENT
            assert client.put("vmm.shutdown") == NO_CONTENT
            assert process.wait(30) == 0
    os.close(write)


@test
def runtime(place):
    """the runtime directory is its owner's alone; what nobody listens on is removed"""
    with place.program("run", "--name", "one", "--api-socket", place.file("own.sock")):
        wait_until(lambda: os.path.exists(place.file("own.sock")))
        assert os.stat(place.file("own.sock")).st_mode & 0o777 == 0o600
        done = bawn("run", "--api-socket", place.file("own.sock"))
        assert done.returncode == 1 and "another machine" in done.stderr, done
    os.makedirs(place.file("run"), 0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(place.file("run/gone.sock"))
    assert bawn("ps", "--json").stdout == "[]\n"
    assert not os.path.exists(place.file("run/gone.sock"))
    os.chmod(place.file("run"), 0o777)
    assert bawn("ps").returncode == 1
    os.chmod(place.file("run"), 0o700)
    for bad in ("../x", ".x", "", "a b", "x" * 100):
        assert bawn("info", bad).returncode == 1
        assert bawn("run", "--name", bad, "--kernel", "/none").returncode in (1, 2)


@test
def commands(place):
    """every subcommand, with its exit code, for people and as JSON"""
    if skip(place):
        return
    with place.machine("one") as process:
        assert os.stat(place.file("run")).st_mode & 0o777 == 0o700
        assert os.stat(place.file("run/one.sock")).st_mode & 0o777 == 0o600
        lines = done("ps").splitlines()
        assert len(lines) == 2 and lines[1].split() == ["one", str(process.pid), "Running", "1", "64",
                                                        "MiB"], lines
        assert json.loads(done("ps", "--json"))[0]["state"] == "Running"
        script = ("source vmm/completion/bawn.bash; COMP_WORDS=(bawn info ''); COMP_CWORD=2; "
                  f"_bawn {PROGRAM}; echo ${{COMPREPLY[*]}}")
        assert subprocess.run(["bash", "-c", script], cwd=os.path.join(HERE, "../.."), text=True,
                              stdout=subprocess.PIPE, check=True).stdout == "one\n"
        assert json.loads(done("info", "one", "--json"))["config"]["memory"]["size"] == 64 << 20
        assert "vcpu0" in done("stats", "one") and "vcpu0" in json.loads(
            done("stats", "one", "--json"))
        assert done("pause", "one") == "one: paused\n"
        it = bawn("pause", "one", "--json")
        assert it.returncode == 1 and json.loads(it.stdout) == {"error": "the machine is Paused"}
        assert done("resume", "one", "--json") == "{}\n"
        assert done("power-button", "one")
        assert done("reboot", "one")
        assert done("snapshot", "one", "saved", cwd=place.path)
        assert os.stat(place.file("saved")).st_mode & 0o777 == 0o600
        late = place.file("late", bytes(8192))
        assert json.loads(done("add-disk", "one", f"path={late},id=late", "--json")) == {
            "id": "late", "bdf": "0000:00:05.0"}
        assert done("add-disk", "one", f"path={place.disk},readonly=on").endswith(": _disk2, 0000:00:06.0\n")
        for what, why in ((("add-disk", "one", f"path={late}"), "in use"),
                          (("add-net", "one", "tap=none"), "tap=none: "),
                          (("remove", "one", "x"), "no disk or network device of this id"),
                          # This guest knows of no ACPI.
                          (("remove", "one", "late"), "not let go of it within 15 seconds: it stays until it does"),
                          (("resize", "one", "cpus=2"), "before the first boot only"),
                          (("resize", "one", "balloon=4M"), "this machine has no balloon")):
            it = bawn(*what)
            assert it.returncode == 1 and why in it.stderr, it
        config = json.loads(done("info", "one", "--json"))["config"]
        assert [(d["id"], d["pci_device_id"]) for d in config["disks"]] == [
            ("_disk0", 4), ("late", 5), ("_disk2", 6)], config
        console = subprocess.Popen([PROGRAM, "console", "one"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert console.stdout.read(2) == b"AA"
        console.communicate(b"\x01d", timeout=30)
        assert console.returncode == 0
        assert done("shutdown", "one") == "one: ended\n"
        assert process.wait(30) == 0
    it = bawn("info", "one")
    assert it.returncode == 1 and "no such machine" in it.stderr, it
    for wrong in (("info",), ("info", "a", "b"), ("remove", "a"), ("pause", "a", "--wrong")):
        it = bawn(*wrong)
        assert it.returncode == 2 and it.stderr.startswith("Usage: bawn "), it
    assert bawn("resize", "--help").returncode == 0 and bawn("nothing").returncode == 2


@test
def hotplug(place):
    """disks come to a machine that runs, and leave it, again and again; nothing of them is left"""
    if skip(place):
        return
    late = place.file("late", bytes(8192))
    with place.program("run", "--name", "two", "--kernel", place.obedient, "--memory", "64M", "--serial",
                       "null", "--disk", f"path={place.disk},readonly=on,id=first") as process:
        wait_until(lambda: bawn("info", "two").stdout.startswith("state     Running"))
        before = None
        for i in range(12):
            slot = 5 if i < 6 else 4
            assert json.loads(done("add-disk", "two", f"path={late},id=late", "--json")) == {
                "id": "late", "bdf": f"0000:00:{slot:02x}.0"}
            wait_until(lambda: children(process, f"disk{slot - 4}"))
            assert done("remove", "two", "late") == "two: removed\n"
            assert not children(process, f"disk{slot - 4}")
            files = len(os.listdir(f"/proc/{process.pid}/fd"))
            assert before in (None, files), (before, files)
            # What was there from the beginning goes, too.
            if i == 5:
                assert done("remove", "two", "first") == "two: removed\n"
            before = files if i > 5 else None
        assert done("add-disk", "two", f"path={place.disk},readonly=on") == \
            "two: added: _disk0, 0000:00:04.0\n"
        assert done("reboot", "two")
        config = json.loads(done("info", "two", "--json"))["config"]
        assert [d["id"] for d in config["disks"]] == ["_disk0"], config
        assert done("remove", "two", "_disk0") == "two: removed\n"
        assert done("shutdown", "two") == "two: ended\n"
        assert process.wait(30) == 0, open_text(place.file("log"))


def tap(name):
    """A tap as a VMM wants it, which is gone with its last descriptor; None where we may not make one."""
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR)
    except OSError:
        return None
    try:
        # TUNSETIFF; a tap, no packet information, a virtio header
        fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", name.encode(), 0x0002 | 0x1000 | 0x4000))
    except OSError:
        os.close(fd)
        return None
    return fd


@test
def hotplug_tap(place):
    """a network device comes to a machine that runs by its tap's descriptor, which goes with it"""
    if skip(place):
        return
    name = f"bawn{os.getpid() % 100000}"
    with place.program("run", "--name", "three", "--kernel", place.obedient, "--memory", "64M", "--serial",
                       "null") as process:
        wait_until(lambda: bawn("info", "three").stdout.startswith("state     Running"))
        before = len(os.listdir(f"/proc/{process.pid}/fd"))
        for _ in range(3):
            fd = tap(name)
            if fd is None:
                print("# skipped: no tap can be made here")
                return
            it = bawn("add-net", "three", f"fd={fd},id=late", "--json", pass_fds=(fd,))
            os.close(fd)
            assert it.returncode == 0 and json.loads(it.stdout) == {"id": "late", "bdf": "0000:00:0c.0"}, it
            assert os.path.exists(f"/sys/class/net/{name}") and children(process, "net0")
            assert done("remove", "three", "late") == "three: removed\n"
            assert not os.path.exists(f"/sys/class/net/{name}") and not children(process, "net0")
        with open("/dev/null", "rb") as none:
            it = bawn("add-net", "three", f"fd={none.fileno()}", pass_fds=(none.fileno(),))
        assert it.returncode == 1 and "is not a tap" in it.stderr, it
        assert len(os.listdir(f"/proc/{process.pid}/fd")) == before
        assert done("shutdown", "three") == "three: ended\n"
        assert process.wait(30) == 0, open_text(place.file("log"))


def vcpus(name):
    """As a person is told, and who reads JSON."""
    info = json.loads(done("info", name, "--json"))["config"]["cpus"]
    it, = (m for m in json.loads(done("ps", "--json")) if m["name"] == name)
    assert (it["vcpus"], it["max_vcpus"]) == (info["boot_vcpus"], info["max_vcpus"]), (it, info)
    return re.search("(?m)^vCPUs +(.*)$", done("info", name)).group(1)


@test
def more_vcpus(place):
    """vCPUs come to a machine that runs and leave it, as far as its guest lets go of them"""
    if skip(place):
        return
    run = ("run", "--name", "cpus", "--memory", "64M", "--serial", "null", "--no-encryption")
    with place.program(*run, "--kernel", place.obedient, "--cpus", "boot=2,max=5") as process:
        wait_until(lambda: bawn("info", "cpus").stdout.startswith("state     Running"))
        assert vcpus("cpus") == "2 of 5"
        threads = len(os.listdir(f"/proc/{children(process, 'machine')[0]}/task"))
        for n in (5, 3, 4, 1, 2):
            assert done("resize", "cpus", f"cpus={n}") == "cpus: resized\n"
            assert vcpus("cpus") == (f"{n} of 5" if n < 5 else "5")
            assert len(os.listdir(f"/proc/{children(process, 'machine')[0]}/task")) == threads
        for n in (0, 6):
            it = bawn("resize", "cpus", f"cpus={n}")
            assert it.returncode == 1 and "1 to 5 vCPUs" in it.stderr, it
        assert done("resize", "cpus", "cpus=4") and done("pause", "cpus") and done("resume", "cpus")
        assert done("snapshot", "cpus", place.file("four"))
        assert done("resize", "cpus", "cpus=5") and done("reboot", "cpus")
        assert vcpus("cpus") == "5"  # it begins with what it had
        assert done("resize", "cpus", "cpus=1") and done("reboot", "cpus")
        assert vcpus("cpus") == "2 of 5"  # or with what its tables have
        assert done("shutdown", "cpus") and process.wait(30) == 0, open_text(place.file("log"))
    with place.program("restore", place.file("four"), "--name", "cpus", "--no-encryption") as process:
        wait_until(lambda: bawn("info", "cpus").stdout.startswith("state     Running"))
        assert vcpus("cpus") == "4 of 5"
        assert done("resize", "cpus", "cpus=3") and vcpus("cpus") == "3 of 5"
        assert done("shutdown", "cpus") and process.wait(30) == 0, open_text(place.file("log"))
    with place.program(*run, "--kernel", place.kernel, "--cpus", "boot=1,max=2") as process:
        wait_until(lambda: bawn("info", "cpus").stdout.startswith("state     Running"))
        assert done("resize", "cpus", "cpus=2") and vcpus("cpus") == "2"
        it = bawn("resize", "cpus", "cpus=1")  # this guest knows of no ACPI
        assert it.returncode == 1 and "not let go of all of them within 15 seconds" in it.stderr, it
        assert vcpus("cpus") == "2"
        assert done("shutdown", "cpus") and process.wait(30) == 0, open_text(place.file("log"))


@test
def absent_vcpu(place):
    """a vCPU that is not there does not run, whatever the guest sends it; one that has come does"""
    if skip(place):
        return
    # Code at 0x8000 writes "B" to COM1; to all other vCPUs INIT and SIPI, for ever; it lets go of those asked for.
    waker = place.file("waker", guest(
        "bf00800000" "c707baf803b0" "c7470442eef4eb" "c64708fd" "be0003e0fe" "c70600450c00" "b9400d03004975fd"
        "c70608460c00" "b9400d03004975fd" "66ba2406ed66ba2806ef" "ebd8"))
    out = place.file("woken", b"")
    with place.program("run", "--name", "wake", "--kernel", waker, "--memory", "64M", "--serial", f"file={out}",
                       "--cpus", "boot=1,max=2") as process:
        wait_until(lambda: bawn("info", "wake").stdout.startswith("state     Running"))
        time.sleep(1)
        said = ""
        for _ in range(3):
            assert open_text(out) == said, open_text(out)
            assert done("resize", "wake", "cpus=2")
            wait_until(lambda: len(open_text(out)) > len(said))  # pylint: disable=cell-var-from-loop
            assert done("resize", "wake", "cpus=1")
            time.sleep(0.2)
            said = open_text(out)
            assert set(said) == {"B"}, said
            time.sleep(1)
        assert done("shutdown", "wake") and process.wait(30) == 0, open_text(place.file("log"))


@test
def before_boot(place):
    """the subcommands that change a machine, before its first boot"""
    with place.api() as (client, _):
        assert client.put("vm.create", place.create) == NO_CONTENT
        at = ("--api-socket", client.path)
        assert bawn("add-disk", *at, "path=/d,readonly=on,id=two").returncode == 0
        assert bawn("remove", *at, "_disk0").returncode == 0
        assert bawn("resize", *at, "cpus=2,memory=128M").returncode == 0
        # What is not understood is not left out.
        for wrong in (("resize", "512M"), ("resize", "memory=lots"), ("resize", "cpu=3"), ("resize", "cpus=x"),
                      ("add-disk", "path=/e,readonly")):
            it = bawn(wrong[0], *at, wrong[1])
            assert it.returncode == 2 and "needed: " in it.stderr and not it.stdout, it
        with open("/dev/null", "rb") as tap:
            done = bawn("add-net", *at, f"fd={tap.fileno()},id=n", pass_fds=(tap.fileno(),))
        assert done.returncode == 0, done
        config = client.get("vm.info")[1]["config"]
        assert [d["path"] for d in config["disks"]] == ["/d"] and config["disks"][0]["readonly"]
        assert config["cpus"]["boot_vcpus"] == 2 and config["memory"]["size"] == 128 << 20
        assert config["net"][0]["id"] == "n"


def certificates(place):
    """One for all, of a CA of its own."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=place.path, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    place.file("ext", b"subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", *key, "-days", "1", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", "/CN=host", "-keyout", "host.key", "-out", "host.csr")
    openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "1", "-extfile", "ext", "-out", "host.pem")
    return {"cert": place.file("host.pem"), "key": place.file("host.key"), "ca": place.file("ca.pem")}


@test
def migrate(place):
    """a machine moves to a bawn that waits, by command, and back, by the API"""
    if skip(place):
        return
    files = certificates(place)
    options = [text for name, path in files.items() for text in ("--migration-" + name, path)]
    with socket.create_server(("127.0.0.1", 0)) as one:
        url = f"tls:127.0.0.1:{one.getsockname()[1]}"
    disks = ["--disk", f"path={place.disk}"]
    if shutil.which("qemu-img"):
        image = place.file("image")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
        disks += ["--disk", f"path={image},format=qcow2"]
    with place.program("run", "--name", "one", "--kernel", place.kernel, "--memory", "64M", "--serial", "null",
                       *disks) as first:
        wait_until(lambda: bawn("info", "one").stdout.startswith("state     Running"))
        own = [text for name, path in files.items() for text in ("--" + name, path)]
        nobody = bawn("migrate", "one", url, *own)
        assert nobody.returncode == 1 and "cannot connect" in nobody.stderr, nobody
        with place.program("receive", url, "--name", "two", *options) as second:
            wait_until(lambda: bawn("migrate", "one", url, *own).returncode == 0)
            assert first.wait(30) == 0
            assert bawn("info", "two").stdout.startswith("state     Running")
            wait_until(lambda: json.loads(done("stats", "two", "--json"))["vcpu0"].get("exits_io", 0) > 1)
            with place.api() as (client, _):
                def back():
                    """By curl, as soon as somebody waits for it."""
                    body = json.dumps(dict(files, destination_url=url))
                    return subprocess.run(
                        ["curl", "-sS", "-X", "PUT", "-d", body, "-w", "%{http_code}", "--unix-socket",
                         place.file("run/two.sock"), "http://localhost/api/v1/vm.send-migration"],
                        capture_output=True, text=True, timeout=60, check=False).stdout[-3:] != "500"
                threading.Thread(target=lambda: wait_until(back)).start()
                assert client.put("vm.receive-migration", dict(files, receiver_url=url)) == NO_CONTENT
                assert client.get("vm.info")[1]["state"] == "Running"
                assert client.put("vm.pause") == NO_CONTENT and client.put("vm.resume") == NO_CONTENT
                assert second.wait(30) == 0
                assert client.put("vmm.shutdown") == NO_CONTENT


@test
def processes(place):
    """the API's process has no files, no privileges, and a filter"""
    with place.api() as (client, process):
        assert client.get("vmm.ping")[0] == 200
        pid = children(process, "api")[0]
        status = open_text(f"/proc/{pid}/status")
        assert "\nCapEff:\t0000000000000000\n" in status and "\nNoNewPrivs:\t1\n" in status
        if os.path.exists("/proc/sys/kernel/seccomp") and "\nSeccomp:" in status:
            assert "\nSeccomp:\t2\n" in status or "lacks" in open_text(place.file("log")), status
        files = [os.readlink(f) for f in glob.glob(f"/proc/{pid}/fd/*")]
        assert files and all(f == "/dev/null" or f.startswith("socket:") for f in files), files


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        sys.exit(run_all(Place(directory)))
