"""The process that workers are forked from: ``python -m bench.execution.zygote ROOT [module ...]``.

It imports the slow libraries once and runs no plugin code. Each task is a fork of it: no state of an earlier task, no
leaked memory and no crash can reach the next. One fork waits ahead of its task, so that a task need not wait for its
fork. Commands and answers are JSON lines; when the parent goes away, so does everything here.

    in   {"run": ID, "task": {...}, "timed": false, "memory": BYTES, "code": STAMPS}      {"kill": ID}
    out  {"ready": true, "suite": FILE}    {"id": ID, "progress": [SHARE, TEXT]}
         {"id": ID, "status": "ok|raised|hindered|lacking|died", ...}
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import bench
from bench.execution.conditions import seed, settle
from bench.tasks.kinds import BEFOREHAND

_PR_SET_PDEATHSIG, _PR_SET_THP_DISABLE = 1, 41
# What most tasks import of the suite itself; a fork that finds it loaded starts a twentieth of a second sooner.
_CORE = (
    "bench.store",
    "bench.tasks.attacking",
    "bench.tasks.evaluating",
    "bench.tasks.progress",
    "safetensors.numpy",
    "safetensors.torch",
)
_TAIL = 4000  # characters of a task's own output that are kept for its failure


def main() -> int:
    """Serve until standard input ends."""
    root, preload = Path(sys.argv[1]), sys.argv[2:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print while being imported is no answer
    _die_with_parent(signal.SIGTERM)
    _load((*_CORE, *preload))
    settle()
    _say(answers, {"ready": True, "suite": bench.__file__})
    nursery = _Nursery(root, answers)
    signal.signal(signal.SIGTERM, lambda *_: nursery.abandon())  # else what tasks have started would outlive all
    return nursery.serve()


@dataclass(frozen=True)
class _Worker:
    """A forked process.

    Attributes
    ----------
    orders : where it is told its task, once
    answers : where it says how that goes
    """

    process: int
    orders: int
    answers: int


@dataclass(frozen=True)
class _Running:
    task: str
    process: int
    timed: bool


class _Nursery:
    """The forked workers that live now, and one that waits for a task."""

    def __init__(self, root: Path, answers: IO[str]) -> None:
        self.root, self.answers = root, answers
        self.selector = selectors.DefaultSelector()
        self.buffers: dict[int, bytes] = {}
        self.waiting: _Worker | None = None
        self.workers: dict[int, _Running] = {}  # by the pipe of their answers
        self.heard: set[str] = set()  # tasks whose worker has said how it ended and is about to be gone

    def serve(self) -> int:
        self.selector.register(0, selectors.EVENT_READ)
        self.buffers[0] = b""
        while True:
            for chosen, _ in self.selector.select(0) or self.idle():
                data = os.read(chosen.fd, 1 << 16)
                if chosen.fd == 0 and not data:
                    self.end()
                    return 0
                *lines, rest = (self.buffers[chosen.fd] + data).split(b"\n")
                self.buffers[chosen.fd] = rest
                for line in lines:
                    self.command(json.loads(line)) if chosen.fd == 0 else self.hear(chosen.fd, json.loads(line))
                if not data:
                    self.bury(chosen.fd)

    def idle(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until there is something to do, the next worker forked by then; what is timed is not disturbed by it."""
        if not any(running.timed for running in self.workers.values()):
            with contextlib.suppress(OSError):  # said when a task needs it
                self.waiting = self.waiting or self.fork()
        return self.selector.select()

    def command(self, command: dict[str, Any]) -> None:
        if "run" in command:
            self.begin(command)
        else:
            for running in self.workers.values():
                if running.task == command["kill"]:
                    _kill(running.process)

    def begin(self, command: dict[str, Any]) -> None:
        if _load(BEFOREHAND.get(command["task"]["kind"], ())):
            self.dismiss()  # it lacks what has just been imported
        try:
            worker = self.assigned(command)
        except OSError as error:
            _say(
                self.answers, {"id": command["run"], "status": "died", "reason": f"no worker could be started: {error}"}
            )
            return
        self.workers[worker.answers] = _Running(command["run"], worker.process, command["timed"])
        self.buffers[worker.answers] = b""
        self.selector.register(worker.answers, selectors.EVENT_READ)

    def assigned(self, command: dict[str, Any]) -> _Worker:
        """Return a worker that has been told its task: the waiting one, or another where that was killed meanwhile."""
        for worker in (self.waiting, None):
            self.waiting = worker or self.fork()
            try:
                with open(self.waiting.orders, "wb", closefd=False) as orders:
                    orders.write(json.dumps(command).encode())
            except BrokenPipeError:
                self.dismiss()
                continue
            chosen, self.waiting = self.waiting, None
            os.close(chosen.orders)
            return chosen
        raise BrokenPipeError("workers die as soon as they are forked")

    def fork(self) -> _Worker:
        reading, orders = os.pipe()
        answers, writing = os.pipe()
        try:
            process = os.fork()
        except OSError:
            for pipe in (reading, orders, answers, writing):
                os.close(pipe)
            raise
        if process == 0:
            os.close(orders)
            os.close(answers)
            _work(self.root, reading, writing)
        os.close(reading)
        os.close(writing)
        return _Worker(process, orders, answers)

    def dismiss(self) -> None:
        """End the waiting worker, if one waits."""
        if self.waiting is not None:
            _kill(self.waiting.process)
            os.close(self.waiting.orders)
            os.close(self.waiting.answers)
            os.waitpid(self.waiting.process, 0)
            self.waiting = None

    def hear(self, pipe: int, said: dict[str, Any]) -> None:
        running = self.workers[pipe]
        if "progress" not in said:
            _kill(running.process)  # with whatever it started; a process that lives on would hold the pipe open
            self.heard.add(running.task)
        _say(self.answers, {"id": running.task, **said})  # at once: to take its memory apart lasts like a small task

    def bury(self, pipe: int) -> None:
        running = self.workers.pop(pipe)
        _kill(running.process)
        self.selector.unregister(pipe)
        os.close(pipe)
        del self.buffers[pipe]
        _, status = os.waitpid(running.process, 0)
        if running.task in self.heard:
            self.heard.remove(running.task)
            return
        how = (
            f"signal {os.WTERMSIG(status)}"
            if os.WIFSIGNALED(status)
            else f"exit code {os.waitstatus_to_exitcode(status)}"
        )
        _say(self.answers, {"id": running.task, "status": "died", "reason": f"the worker died ({how})"})

    def abandon(self) -> NoReturn:
        """Kill all workers, with what they started, and end; the parent is gone."""
        for process in (*([self.waiting.process] if self.waiting else []), *(r.process for r in self.workers.values())):
            _kill(process)
        os._exit(1)

    def end(self) -> None:
        self.dismiss()
        for running in self.workers.values():
            _kill(running.process)
        for running in self.workers.values():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(running.process, 0)


def _work(root: Path, orders: int, pipe: int) -> NoReturn:
    """Wait for one task in this forked process, run it, and end it."""
    os.setsid()  # a group of its own, with all that the task starts
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(pipe, "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    printed = os.memfd_create("printed")
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    with open(orders, "rb") as told:
        if not (order := told.read()):  # not needed after all
            os._exit(0)
    command = json.loads(order)
    if command["timed"]:  # stands for a device whose memory nobody has tuned
        _small_pages()
    else:
        keep_freed()
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (command["memory"], command["memory"]))
        result = _execute(root, command, answers)
    except BaseException as error:
        from bench.errors import BenchError, CodeChanged, DamagedObject, MissingObject, StoreFull
        from bench.plugins.place import place

        lacking = isinstance(error, (DamagedObject, MissingObject))  # it is made again
        short = isinstance(error, MemoryError) or "can't allocate memory" in str(error)  # torch raises RuntimeError
        # What the machine did to the task, not the task itself: it may go well another time.
        hindered = short or isinstance(error, (StoreFull, CodeChanged, OSError))
        text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        if short:
            text = (
                f"The task needs more than the {command['memory'] / 2**30:.1f} GiB that one may use, half of this "
                f"machine's memory ({text.splitlines()[0][:200]})"
            )
        elif where := place(error):
            text = f"{text[:1900].rstrip('.')} at {where}"
        os.lseek(printed, max(0, os.lseek(printed, 0, os.SEEK_END) - _TAIL), os.SEEK_SET)
        said = os.read(printed, _TAIL).decode(errors="replace")
        trace = traceback.format_exc(limit=-8)
        result = {
            "status": "lacking" if lacking else "hindered" if hindered else "raised",
            "reason": text[:2000],
            "trace": trace[-_TAIL:],
            "printed": said,
        }
    _say(answers, result)
    os._exit(0)


def _execute(root: Path, command: dict[str, Any], answers: IO[str]) -> dict[str, Any]:
    from bench.errors import CodeChanged
    from bench.store import Store
    from bench.store.code import changed
    from bench.tasks import progress
    from bench.tasks.kinds import function

    task = command["task"]
    seed(task["key"])
    progress.listen(lambda share, text: _say(answers, {"progress": [share, text]}))
    store = Store(root)
    start, worked = time.monotonic(), time.process_time()
    outcome = function(task["kind"])(task["spec"], store)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    spent = {"seconds": seconds, "cpu_seconds": time.process_time() - worked, "kind": task["kind"]}
    if others := changed(command["code"]):
        raise CodeChanged(
            f"{', '.join(others)} changed during the run, whose results are named by what it was. Run again."
        )
    store.write(task["key"], outcome.tensors, {**outcome.meta, **spent})
    return {"status": "ok", "seconds": seconds, "peak_bytes": peak}


def _kill(process: int) -> None:
    """Kill a worker and its group; before it has made one, itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _load(modules: Iterable[str]) -> bool:
    """Import what forks would else import each for itself; return whether anything was missing."""
    if missing := [module for module in modules if module not in sys.modules]:
        for module in missing:
            with contextlib.suppress(BaseException):  # said where a task needs it
                importlib.import_module(module)
        gc.collect()
        gc.freeze()  # forks share these pages as long as nobody touches them
    return bool(missing)


def keep_freed() -> None:
    """Ask glibc to keep what is freed: else it gives every large tensor back, and its pages are faults again."""
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, 32 << 20)  # the most that glibc takes
        libc.mallopt(trim_threshold, (1 << 31) - 1)


def _small_pages() -> None:
    """Ask the kernel for pages of the usual size again, whatever malloc was told when this process began (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _die_with_parent(by: signal.Signals) -> None:
    """Ask the kernel for a signal to this process when its parent ends, however it ends (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)


def _say(stream: IO[str], message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


if __name__ == "__main__":
    os._exit(main())  # nothing is left to be written; taking torch apart would take half a second
