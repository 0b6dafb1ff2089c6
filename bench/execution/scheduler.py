"""Execute the tasks whose objects are not in the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from filelock import Timeout

from bench.errors import UsageError
from bench.execution.executor import Executor, Finished, Progressed
from bench.execution.interrupt import interrupt_held_back
from bench.execution.limits import stopwatch
from bench.execution.progress import NOT_RUN, Watcher
from bench.planning.task import Task
from bench.store import Lease, Store


@dataclass
class Tally:
    """What a scheduling did.

    Attributes
    ----------
    executed, reused : keys of tasks that were run here, and of those that were there already
    remembered : keys of tasks that failed in an earlier run, and were not tried again
    failures : key -> how it ended
    """

    executed: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    remembered: list[str] = field(default_factory=list)
    failures: dict[str, Finished] = field(default_factory=dict)
    seconds: float = 0.0


class Scheduler:
    """Runs a graph of tasks; what is in the store is done, what is not is not.

    A task that another run holds is waited for; a task whose needs failed fails for that reason. Ordering: exclusive
    tasks last and alone, also among the runs of this machine; else what unblocks most first, then the longest.
    """

    def __init__(self, store: Store, executor: Executor, watcher: Watcher) -> None:
        self.store, self.executor, self.watcher = store, executor, watcher
        self.leases: dict[str, Lease] = {}
        self.stopwatch = stopwatch()

    def execute(self, tasks: Iterable[Task]) -> Tally:
        """Execute what is missing of ``tasks`` and of nothing else; returns when all is done or failed."""
        tally = Tally()
        waiting: dict[str, Task] = {}
        for task in tasks:
            if self.store.has(task.key):
                tally.reused.append(task.key)
            else:
                waiting[task.key] = task
        start = time.monotonic()
        self.watcher.begin([*waiting.values()])
        unblocks = _dependants(waiting)
        running: dict[str, Task] = {}
        with interrupt_held_back() as check:
            try:
                while waiting or running:
                    check()
                    self._start(waiting, running, unblocks, tally)
                    event = self.executor.next(0.5 if running else 0.2)
                    if isinstance(event, Progressed):
                        self.watcher.progressed(event.key, event.share, event.text)
                    elif event is not None:
                        self._finish(running.pop(event.key), event, tally)
            finally:
                for key in list(self.leases):
                    self._release(key)
                self.stopwatch.release()
                self.watcher.end()
        tally.seconds = time.monotonic() - start
        return tally

    def _start(
        self, waiting: dict[str, Task], running: dict[str, Task], unblocks: Mapping[str, int], tally: Tally
    ) -> None:
        if any(task.exclusive for task in running.values()):
            return
        for task in sorted(waiting.values(), key=lambda t: (t.exclusive, -unblocks[t.key], -t.seconds)):
            if len(running) >= self.executor.jobs:
                return
            if broken := next((need for need in task.needs if need in tally.failures), None):
                del waiting[task.key]
                cause = tally.failures[broken]
                tally.failures[task.key] = Finished(task.key, cause.status, cause.reason, lacking=cause.lacking)
                self.watcher.finished(task, NOT_RUN)
                continue
            if any(need in waiting or need in running for need in task.needs):
                continue
            if task.exclusive and (running or any(not other.exclusive for other in waiting.values())):
                continue
            if self.store.has(task.key):  # another run has made it meanwhile
                del waiting[task.key]
                tally.reused.append(task.key)
                self.watcher.finished(task, "ok")
                continue
            lease = self.store.claim(task.key)
            if lease is None:
                continue
            if self.store.has(task.key):  # made between the two
                lease.release()
                continue  # and counted as reused in the next round
            self.leases[task.key] = lease
            if task.exclusive and not self._take_stopwatch():
                self._release(task.key)
                return
            del waiting[task.key]
            running[task.key] = task
            self.store.remember(task.key, task.preimage)
            self.watcher.started(task)
            self.executor.submit(task)
            if task.exclusive:
                return

    def _finish(self, task: Task, event: Finished, tally: Tally) -> None:
        self._release(task.key)
        self.stopwatch.release()
        if event.status == "ok":
            tally.executed.append(task.key)
            self.watcher.finished(task, "ok")
        else:
            if event.lasting and task.kind not in {"images", "labels"}:  # their files may be mended
                self.store.fail(task.key, event.status, event.reason, trace=event.trace, printed=event.printed)
            tally.failures[task.key] = event
            self.watcher.finished(task, event.status, event.reason)

    def _take_stopwatch(self) -> bool:
        try:
            self.stopwatch.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise UsageError(
                f"The lock by which one measurement waits for another cannot be taken: {self.stopwatch.lock_file}: "
                f"{error.strerror}. Remove that file, or name a folder of your own in TMPDIR."
            ) from error
        return True

    def _release(self, key: str) -> None:
        if lease := self.leases.pop(key, None):
            with contextlib.suppress(OSError):
                lease.release()


def _dependants(tasks: Mapping[str, Task]) -> dict[str, int]:
    """Return how many tasks wait for each, directly."""
    counts = dict.fromkeys(tasks, 0)
    for task in tasks.values():
        for need in task.needs:
            if need in counts:
                counts[need] += 1
    return counts
