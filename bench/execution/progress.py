"""What a run says while it runs; on standard error, a bar where a person looks, lines where a log does."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from bench.planning.task import Task

NOT_RUN: Final = "not run"  # how a task ends whose needs failed


class Watcher(Protocol):
    """Told of everything the scheduler does."""

    def begin(self, tasks: Sequence[Task]) -> None: ...
    def started(self, task: Task) -> None: ...
    def progressed(self, key: str, share: float, text: str) -> None: ...
    def finished(self, task: Task, status: str, reason: str = "") -> None: ...
    def end(self) -> None: ...


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Silent:
    """Says nothing."""

    def begin(self, tasks: Sequence[Task]) -> None:
        """Say nothing."""

    def started(self, task: Task) -> None:
        """Say nothing."""

    def progressed(self, key: str, share: float, text: str) -> None:
        """Say nothing."""

    def finished(self, task: Task, status: str, reason: str = "") -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""


class Lines:
    """One line now and then, for logs and pipes; failures at once."""

    def __init__(self, every_s: float = 10.0) -> None:
        self.every_s = every_s
        self.total = self.done = self.failed = self.not_run = 0
        self.last = 0.0

    def begin(self, tasks: Sequence[Task]) -> None:
        """Say how much there is to do."""
        self.total, self.done, self.failed, self.not_run = len(tasks), 0, 0, 0
        self.last = time.monotonic()
        if tasks:
            _say(f"{len(tasks)} tasks to run")

    def started(self, task: Task) -> None:
        """Say nothing."""

    def progressed(self, key: str, share: float, text: str) -> None:
        """Say how far a long task is, not too often."""
        self._now_and_then(text)

    def finished(self, task: Task, status: str, reason: str = "") -> None:
        """Count; say so when it failed."""
        self.done += status != NOT_RUN
        self.not_run += status == NOT_RUN
        if status not in ("ok", NOT_RUN):
            self.failed += 1
            _say(f"{status}: {task.label}: {reason}")
        self._now_and_then(task.label)

    def end(self) -> None:
        """Say that all is done."""
        if self.total:
            rest = f", {self.not_run} not run that need what failed" if self.not_run else ""
            _say(f"{self.done} of {self.total} tasks done, {self.failed} failed{rest}")

    def _now_and_then(self, text: str) -> None:
        if time.monotonic() - self.last >= self.every_s:
            self.last = time.monotonic()
            _say(f"{self.done}/{self.total} {text}")


class Bar:
    """A live bar with what runs now and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.console = Console(stderr=True)
        self.progress = Progress(
            BarColumn(30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self.console,
        )
        self.bar: Any = None
        self.running: dict[str, str] = {}

    def begin(self, tasks: Sequence[Task]) -> None:
        """Show the bar."""
        if tasks:
            self.progress.start()
            self.bar = self.progress.add_task("", total=len(tasks))

    def started(self, task: Task) -> None:
        """Show what runs."""
        self.running[task.key] = task.label
        self._show()

    def progressed(self, key: str, share: float, text: str) -> None:
        """Show how far it is."""
        if key in self.running:
            self.running[key] = self.running[key].split(" [")[0] + f" [{share:.0%} {text}]"
            self._show()

    def finished(self, task: Task, status: str, reason: str = "") -> None:
        """Advance; print failures above the bar."""
        self.running.pop(task.key, None)
        if status not in ("ok", NOT_RUN):
            self.progress.print(f"{status}: {task.label}: {reason}", style="red", markup=False, highlight=False)
        self.progress.advance(self.bar)
        self._show()

    def end(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.progress.stop()
            self.bar = None

    def _show(self) -> None:
        if self.bar is not None:
            self.progress.update(self.bar, description=" | ".join(self.running.values())[:100])


def watcher() -> Watcher:
    """Return a bar on a terminal, lines elsewhere."""
    return Bar() if sys.stderr.isatty() else Lines()
