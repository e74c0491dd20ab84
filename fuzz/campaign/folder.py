# SPDX-License-Identifier: Apache-2.0
"""The campaign's folder, and the only place that anything is written to. State is in files that
are replaced whole, so that a kill at any moment leaves the one before or the one after."""
import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import signal
import stat
import time

from . import Error

MARK = "bawn-fuzz.json"  # says that the folder is a campaign's
FORMAT = 1
TAG = "BAWN_FUZZ_TAG"  # in the environment of all that a campaign starts
LARGEST = 64 << 20     # bytes of a state file that are read


class Folder:
    """An opened folder. Commands that write hold its lock from `locked` on."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.mark = None
        self._lock = None

    # ---- Whose it is ----

    def exists(self):
        """Whether there is a campaign. Refuses what is there but none of ours."""
        try:
            info = os.lstat(self.path)
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(info.st_mode):
            raise Error(f"{self.path}: is a symbolic link, which could lead anywhere; "
                        "name the folder itself")
        if not stat.S_ISDIR(info.st_mode):
            raise Error(f"{self.path}: is not a folder")
        if info.st_uid != os.geteuid():
            raise Error(f"{self.path}: belongs to user {info.st_uid}, not to {os.geteuid()}; "
                        "choose another folder by --dir")
        if info.st_mode & stat.S_IWOTH:
            raise Error(f"{self.path}: can be written by all users; chmod o-w it, or choose "
                        "another folder by --dir")
        try:
            self.mark = self.read(MARK)
        except FileNotFoundError:
            if os.listdir(self.path):
                raise Error(f"{self.path}: has files and is not a campaign's folder; choose an "
                            "empty or new one by --dir") from None
            return False
        if not isinstance(self.mark, dict) or self.mark.get("format") != FORMAT:
            raise Error(f"{self.path}/{MARK}: is of another version of bawn-fuzz; use a new "
                        "folder (--dir)")
        return True

    def need(self):
        if not self.exists():
            raise Error(f"{self.path}: there is no campaign; bawn-fuzz run starts one")

    def create(self):
        """Makes the folder a campaign's, if it is not yet one."""
        if not self.exists():
            os.makedirs(self.path, mode=0o755, exist_ok=True)
            self.mark = {"format": FORMAT, "token": secrets.token_hex(16), "made": time.time()}
            self.write(MARK, self.mark)

    @contextlib.contextmanager
    def locked(self):
        """One writer at a time. Ends what a killed one left running."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(self.sub("lock"), flags, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Error(f"{self.path}: another bawn-fuzz is at work there; wait for it, or "
                            "choose another folder by --dir") from None
            self.sweep()
            yield
        finally:
            os.close(lock)

    # ---- Files in it ----

    def sub(self, *names):
        """A path in the folder, no part of which is a symbolic link."""
        path = self.path
        for part in os.path.join(*names).split("/"):
            if part in ("", ".", ".."):
                raise Error(f"{'/'.join(names)}: is no name in a campaign's folder")
            path = os.path.join(path, part)
            if os.path.islink(path):
                raise Error(f"{path}: is a symbolic link; a campaign makes none, so it is not "
                            "followed")
        return path

    def make(self, *names):
        path = self.sub(*names)
        os.makedirs(path, exist_ok=True)
        return path

    def fresh(self, *names):
        """An empty folder under this name."""
        path = self.sub(*names)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def put(self, name, data):
        """Replaces a file as a whole."""
        path = self.sub(name)
        beside = self.sub(name + ".new")
        with open(beside, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(beside, path)

    def write(self, name, value):
        self.put(name, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())

    def read(self, name):
        path = self.sub(name)
        with open(path, "rb") as f:
            data = f.read(LARGEST)
        try:
            return json.loads(data)
        except ValueError as e:
            raise Error(f"{path}: is not JSON ({e}); it was changed by another hand, remove "
                        "it or use a new folder (--dir)") from None

    # ---- Processes ----

    def tag(self, what):
        return f"{self.mark['token']}/{what}"

    def sweep(self, what=""):
        """Ends what this campaign started (under this name) and nobody waits for: stopped
        children of a fuzzer that ended, and all that a killed bawn-fuzz left."""
        wanted = f"{TAG}={self.tag(what)}".encode()
        for _ in range(50):
            found = [pid for pid in processes() if tagged(pid, wanted, bool(what))]
            for pid in found:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if not found:
                return
            time.sleep(0.02)


def core_seconds(wanted):
    """Time of a core that the living processes of this tag and their ended children have used."""
    ticks = 0
    for pid in processes():
        if not tagged(pid, wanted, True):
            continue
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{pid}/stat", "rb") as f:
                fields = f.read(4096).rpartition(b")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK")


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def tagged(pid, wanted, whole):
    """Whether a living process has this tag in its environment: this one, or one that begins so."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            environment = f.read(1 << 20).split(b"\0")
        with open(f"/proc/{pid}/stat", "rb") as f:
            state = f.read(4096).rpartition(b")")[2].split()[:1]
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM):
            return False
        raise
    if pid == os.getpid() or state == [b"Z"]:
        return False
    return any(v == wanted if whole else v.startswith(wanted) for v in environment)
