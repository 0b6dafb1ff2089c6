"""Claims on work: of several runs on one store, one computes an object and the others wait for it.

A lease is a file. It appears with its content in one step (a hard link), so nobody ever reads half of one. It is
dead when its process is gone, seen at once on the same machine, or when its heartbeat is older than the expiry. All
changes of an existing lease happen under one lock that the operating system frees when its holder dies; so of two
that find a dead lease one gets it, and nobody removes what is no longer theirs.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from bench.store.events import notify, step
from bench.store.files import TEMPORARY, explained

EXPIRY_S: Final = 60.0
_BEATS_PER_EXPIRY: Final = 6


class Lease:
    """A claim of this process; use it as a context manager, or call ``release``."""

    def __init__(self, key: str, path: Path, token: str, give_up: Callable[[Lease], None]) -> None:
        self.key, self.path, self.token, self.process = key, path, token, os.getpid()
        self._give_up = give_up

    def release(self) -> None:
        """Give the claim up; a second time, or in a forked child, does nothing."""
        if self.process == os.getpid():
            self._give_up(self)

    def is_held(self) -> bool:
        """Return whether the file is still this claim's: not gone, and not taken over by another."""
        content = _content(self.path)
        return content is not None and content.get("token") == self.token

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Leases:
    """The leases in one folder.

    Parameters
    ----------
    expiry_s : a lease of another machine whose file was not touched for so long is dead
    """

    def __init__(self, folder: Path, *, expiry_s: float = EXPIRY_S) -> None:
        self.folder, self.expiry_s = folder, expiry_s

    def claim(self, key: str) -> Lease | None:
        """Return a lease on ``key``, or None where somebody alive has it."""
        path = self.folder / f"{key}.lease"
        token = secrets.token_hex(16)
        with explained(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = self.folder / f"{key}.{token}{TEMPORARY}"
            try:
                with step("lease.write"):
                    temporary.write_text(json.dumps({**_identity(), "token": token}))
                if not self._take(temporary, path):
                    return None
            finally:
                temporary.unlink(missing_ok=True)
        notify("after lease.claim")
        lease = Lease(key, path, token, self._release)
        _heart.add(lease, self.expiry_s / _BEATS_PER_EXPIRY)
        return lease

    def holder(self, key: str) -> dict[str, Any] | None:
        """Return who has ``key`` (host, pid ...), None where nobody alive has."""
        path = self.folder / f"{key}.lease"
        return None if self._is_dead(path, time.time()) else _content(path)

    def remove_dead(self) -> int:
        """Remove the leases of processes that are gone; return how many."""
        count = 0
        for path in self.folder.glob("*.lease"):
            with self._lock():
                if self._is_dead(path, time.time()):
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    def _take(self, temporary: Path, path: Path) -> bool:
        if _link(temporary, path):
            return True
        now = temporary.stat().st_mtime  # the file system's clock, which also stamps the others' heartbeats
        if not self._is_dead(path, now):
            return False
        with self._lock():
            if not path.exists():  # released meanwhile: others may claim it without the lock
                return _link(temporary, path)
            if not self._is_dead(path, now):
                return False
            with step("lease.take-over"):
                temporary.replace(path)
        return True

    def _release(self, lease: Lease) -> None:
        _heart.remove(lease)
        if not lease.path.exists():
            return
        with self._lock(), step("lease.release"):
            if lease.is_held():
                lease.path.unlink(missing_ok=True)

    def _lock(self) -> Any:
        from filelock import FileLock

        return FileLock(self.folder / ".lock")

    def _is_dead(self, path: Path, now: float) -> bool:
        """Return whether nobody holds the lease: no file, its process is gone, or no heartbeat for long.

        On the machine of its process (same host, boot and process name space) the process decides alone, so a
        suspended run keeps what it has; elsewhere only the heartbeat can.
        """
        content = _content(path)
        if content is not None and all(content.get(name) == _identity()[name] for name in ("host", "boot", "space")):
            return _started(content.get("pid")) != content.get("started")
        try:
            return now - path.stat().st_mtime > self.expiry_s
        except FileNotFoundError:
            return True


def _link(temporary: Path, path: Path) -> bool:
    """Give a file its name if nobody has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: the content follows the name a moment later
        try:
            with path.open("x") as file:
                file.write(temporary.read_text())
        except FileExistsError:
            return False
    return True


def _content(path: Path) -> dict[str, Any] | None:
    """Return what a lease says, None where there is none or it is not readable (yet)."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _identity() -> dict[str, Any]:
    return _identity_of(os.getpid())


@cache
def _identity_of(pid: int) -> dict[str, Any]:
    """Return what tells this process from every other one, on every machine and after every boot."""
    boot, space = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())  # containers may share a folder and count their own pids
    return {"host": socket.gethostname(), "boot": boot, "space": space, "pid": pid, "started": _started(pid)}


def _started(pid: object) -> float | None:
    """Return when the running process ``pid`` began, in a unit of this machine, or None where none runs.

    Linux: clock ticks since boot, which no correction of the clock moves; elsewhere seconds since the epoch.
    """
    try:
        # after the name, which may hold anything: state, 18 more fields, start time (proc(5), fields 3 and 22)
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in {"Z", "X"} else float(fields[18])
    except (OSError, ValueError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    import psutil

    with suppress(psutil.Error, ValueError):
        process = psutil.Process(int(str(pid)))
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    return None


class _Heart:
    """Touches the files of all leases that this process still holds, from one thread that lives while there are any."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.leases: dict[Lease, float] = {}
        self.beating = False
        self.sooner = threading.Event()  # set by a new lease, whose interval may be the shortest

    def add(self, lease: Lease, interval_s: float) -> None:
        with self.lock:
            self.leases[lease] = interval_s
            if not self.beating:
                self.beating = True
                threading.Thread(target=self.beat, name="lease heartbeat", daemon=True).start()
        self.sooner.set()

    def remove(self, lease: Lease) -> None:
        with self.lock:
            self.leases.pop(lease, None)

    def beat(self) -> None:
        while True:
            with self.lock:
                if not self.leases:
                    self.beating = False
                    return
                mine = dict(self.leases)
            for lease in mine:
                if lease.is_held():
                    with suppress(OSError):
                        os.utime(lease.path)
            self.sooner.wait(min(mine.values()))
            self.sooner.clear()

    def release_all(self) -> None:
        with self.lock:
            mine = list(self.leases)
        for lease in mine:
            with suppress(Exception):
                lease.release()

    def forget(self) -> None:
        """Start anew, as in a forked child: the leases are the parent's, and its thread is not here."""
        vars(self).update(vars(_Heart()))


_heart = _Heart()
atexit.register(_heart.release_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_heart.forget)
