"""Which task is started when."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.execution.executor import Event, Finished
from bench.execution.limits import stopwatch
from bench.execution.progress import Silent
from bench.execution.scheduler import Scheduler
from bench.planning.task import Task
from bench.store import Store


class Immediate:
    """An executor whose tasks are done as soon as they are submitted."""

    jobs = 2

    def __init__(self, store: Store) -> None:
        self.store = store
        self.started: list[tuple[str, float]] = []
        self.done: list[Event] = []

    def submit(self, task: Task) -> None:
        self.started.append((task.key, time.monotonic()))
        self.store.write(task.key, {}, {})
        self.done.append(Finished(task.key, "ok"))

    def next(self, timeout_s: float) -> Event | None:
        if not self.done:
            time.sleep(min(timeout_s, 0.02))
        return self.done.pop(0) if self.done else None

    def close(self) -> None:
        pass


def task(letter: str, **more) -> Task:
    return Task(kind="profile", key=letter * 32, label=letter, spec={}, preimage={"letter": letter}, **more)


def test_what_is_timed_runs_last_and_waits_while_another_run_of_this_machine_times(tmp_path: Path) -> None:
    store = Store(tmp_path)
    executor = Immediate(store)
    held, freed_at = threading.Event(), []

    def time_something() -> None:
        with stopwatch():
            held.set()
            time.sleep(0.5)
            freed_at.append(time.monotonic())

    other = threading.Thread(target=time_something)
    other.start()
    assert held.wait(60)
    Scheduler(store, executor, Silent()).execute([task("a", exclusive=True), task("b"), task("c", exclusive=True)])
    other.join()
    order = dict(executor.started)
    assert [key[0] for key, _ in executor.started] == ["b", "a", "c"]
    assert order["b" * 32] < freed_at[0] < order["a" * 32]
    with stopwatch().acquire(timeout=0):
        pass  # given back


def test_the_lock_of_timings_is_named_by_the_number_of_the_user(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # which has no name here
    monkeypatch.setenv("USER", "somebody-else")
    assert Path(stopwatch().lock_file) == tmp_path / "edge-defense-bench-12345.lock"


def test_a_lock_that_cannot_be_taken_is_a_plain_error_and_no_claim_is_left(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store, lock = Store(tmp_path / "store"), Path(stopwatch().lock_file)
    lock.mkdir()  # not to be opened, as another user's is not
    with pytest.raises(UsageError, match=f"cannot be taken: {lock}: .* Remove that file"):
        Scheduler(store, Immediate(store), Silent()).execute([task("a", exclusive=True)])
    assert store.leases.holder("a" * 32) is None


def test_what_another_run_made_just_before_the_claim_is_not_made_again(tmp_path: Path, monkeypatch) -> None:
    """A second measurement would stand where the first run's record has other numbers."""
    store = Store(tmp_path)
    executor, claim = Immediate(store), store.claim

    def late(key: str):
        if not store.has(key):
            store.write(key, {}, {"by": "the other"})
        return claim(key)

    monkeypatch.setattr(store, "claim", late)
    tally = Scheduler(store, executor, Silent()).execute([task("a")])
    assert (executor.started, tally.reused) == ([], ["a" * 32])
