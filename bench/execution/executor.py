"""Run tasks in processes of their own on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import bench
from bench.errors import BenchError
from bench.execution.conditions import ENVIRONMENT
from bench.planning.task import Task
from bench.store import code


@dataclass(frozen=True)
class Finished:
    """How a task ended.

    Attributes
    ----------
    status : "ok", "failed" or "timed-out"
    reason : one sentence where the status is not ok; ``trace`` and ``printed`` are what helps its author
    lasting : it would end so again: the task raised or was too slow; not so where its process was killed
    lacking : something that it reads was damaged or gone from the store, and has to be made again first
    """

    key: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    trace: str = ""
    printed: str = ""
    lasting: bool = False
    lacking: bool = False


@dataclass(frozen=True)
class Progressed:
    """What a running task says of itself."""

    key: str
    share: float
    text: str


Event = Finished | Progressed


class Executor(Protocol):
    """Where tasks run."""

    jobs: int

    def submit(self, task: Task) -> None:
        """Start the task; at most ``jobs`` at a time."""
        ...

    def next(self, timeout_s: float) -> Event | None:
        """Return what happened next, None when nothing did in time."""
        ...

    def close(self) -> None:
        """Stop everything that still runs; nothing is left behind."""
        ...


@dataclass
class _Running:
    task: Task
    deadline: float
    timed_out: bool = False
    started: float = field(default_factory=time.monotonic)


class LocalExecutor:
    """Processes forked from one clean server process, one thread each.

    Parameters
    ----------
    root : the store's folder
    jobs : tasks at a time; with one thread each, never more than the cores
    preload : slow libraries that the server imports once
    memory_bytes : ceiling of a task's own memory

    Raises
    ------
    BenchError : the server does not start
    """

    def __init__(self, root: Path, *, jobs: int, preload: Sequence[str] = (), memory_bytes: int) -> None:
        self.jobs = jobs
        self._memory = memory_bytes
        self._running: dict[str, _Running] = {}
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as the server
        # Huge pages where malloc grows, as far as the system has them: fewer to copy at each fork, fewer to fault in.
        tunables = ":".join(filter(None, (os.environ.get("GLIBC_TUNABLES"), "glibc.malloc.hugetlb=1")))
        # Modules are those that this process imports, whose code stands in the keys, never those of the working folder.
        path = os.pathsep.join(dict.fromkeys(part or str(Path.cwd()) for part in sys.path))
        environment = {**os.environ, **ENVIRONMENT, "GLIBC_TUNABLES": tunables, "PYTHONPATH": path}
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.execution.zygote", str(root), *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the parent, which decides
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def submit(self, task: Task) -> None:
        self._running[task.key] = _Running(task, time.monotonic() + task.timeout_s)
        work = {"kind": task.kind, "key": task.key, "spec": dict(task.spec)}
        order = {"run": task.key, "task": work, "timed": task.exclusive, "memory": self._memory}
        self._say({**order, "code": code.stamps()})

    def next(self, timeout_s: float) -> Event | None:
        end = time.monotonic() + timeout_s
        while True:
            self._stop_the_late()
            try:
                said = self._events.get(timeout=max(0.01, min(0.25, end - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= end:
                    return None
                continue
            if event := self._understand(said):
                return event

    def close(self) -> None:
        with contextlib.suppress(OSError):
            assert self._server.stdin is not None
            self._server.stdin.close()
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()  # its workers die with it
            self._server.wait()

    def _understand(self, said: dict[str, Any]) -> Event | None:
        if "gone" in said:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            said_last = f": {last[0][:300]}" if last else ""
            raise BenchError(
                f"The server of worker processes died{said_last}. What is in the store is kept; run again."
            )
        if said.get("ready") and Path(said["suite"]) != Path(bench.__file__):
            raise BenchError(f"Workers would run {said['suite']}, but keys are of {bench.__file__}. Mend PYTHONPATH.")
        key = said.get("id", "")
        running = self._running.get(key)
        if running is None:
            return None
        if "progress" in said:
            share, text = said["progress"]
            return Progressed(key, share, text)
        del self._running[key]
        seconds = said.get("seconds", time.monotonic() - running.started)
        if running.timed_out and said["status"] != "ok":
            return Finished(key, "timed-out", f"stopped after {running.task.timeout_s:g} s", seconds, lasting=True)
        return Finished(
            key,
            "ok" if said["status"] == "ok" else "failed",
            said.get("reason", ""),
            seconds,
            trace=said.get("trace", ""),
            printed=said.get("printed", ""),
            lasting=said["status"] == "raised",
            lacking=said["status"] == "lacking",
        )

    def _stop_the_late(self) -> None:
        for key, running in self._running.items():
            if not running.timed_out and time.monotonic() > running.deadline:
                running.timed_out = True
                self._say({"kill": key})

    def _say(self, message: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        try:
            self._server.stdin.write(json.dumps(message) + "\n")
            self._server.stdin.flush()
        except OSError:
            self._events.put({"gone": True})

    def _listen(self) -> None:
        assert self._server.stdout is not None
        try:
            for line in self._server.stdout:
                self._events.put(json.loads(line))
        finally:  # killed in the middle of a line too
            self._events.put({"gone": True})
