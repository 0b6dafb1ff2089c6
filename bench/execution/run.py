"""Run a specification: plan, execute, plan again until settled, and assemble the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from bench.errors import CodeChanged, DamagedObject, MissingObject, UsageError
from bench.execution.assembly import Assembler
from bench.execution.executor import Finished, LocalExecutor
from bench.execution.judging import Judges
from bench.execution.limits import memory_bytes
from bench.execution.progress import Watcher
from bench.execution.scheduler import Scheduler, Tally
from bench.hardware.processor import cores
from bench.planning.cell import Cell
from bench.planning.plan import Plan, Planner
from bench.planning.selected import Selection
from bench.planning.specification import RunSpecification
from bench.planning.task import Task
from bench.plugins.registry import Registry
from bench.store import Store, code

ATTEMPTS = 5  # at making again what was found damaged


@dataclass
class Run:
    """What a run left.

    Attributes
    ----------
    records : one a cell, in the order of the plan
    executed, reused : numbers of tasks
    remembered : number of tasks that failed in an earlier run, and were not tried again
    """

    records: list[dict[str, Any]]
    executed: int
    reused: int
    remembered: int = 0
    failures: Mapping[str, Finished] = field(default_factory=dict)

    @property
    def broken(self) -> list[dict[str, Any]]:
        """Return the records of cells that failed; a budget of time that was used up is no failure."""
        return [record for record in self.records if record["status"] == "failed"]

    @property
    def late(self) -> list[dict[str, Any]]:
        """Return the records of cells that were stopped because they took too long."""
        return [record for record in self.records if record["status"] == "timed-out"]


def execute(
    registry: Registry,
    store: Store,
    spec: RunSpecification,
    *,
    jobs: int = 0,
    watcher: Watcher,
    command: str,
    retry: bool = False,
) -> Run:
    """Return the records of a specification, having executed what the store lacked.

    Parameters
    ----------
    jobs : tasks at a time, one thread each; 0 takes the cores
    retry : try failed tasks again

    Raises
    ------
    UsageError : fewer jobs than none, or more than cores: oversubscription was seen to cost ten times the time
    CodeChanged : files were changed meanwhile that this process or its workers may have loaded as they were
    """
    available = cores()
    if jobs < 0:
        raise UsageError(f"jobs is a number of tasks at a time, or 0 for as many as there are cores; got {jobs}.")
    if jobs > available:
        raise UsageError(
            f"--jobs {jobs} is more than the {available} cores that this process may use; each job is one thread. "
            "Leave --jobs out to use them all."
        )
    tally, judges, loaded = Tally(), Judges.of(registry), _Loaded()
    with _Workers(store, jobs or available, watcher) as workers:
        for attempt in range(ATTEMPTS):
            try:
                plan, failures = _settle(registry, store, spec, workers, tally, loaded, retry=retry and not attempt)
                loaded.check()
                records = _records(plan, Assembler(store, command, judges), failures, frozenset(tally.executed))
                break
            except (DamagedObject, MissingObject):
                # The store has moved it aside: it is missing now, so planning again has it made again.
                if attempt == ATTEMPTS - 1:
                    raise
    executed = set(tally.executed)
    reused = sum(key not in executed and key not in failures for key in plan.tasks)
    return Run(records, len(executed), reused, len(set(tally.remembered)), failures)


def _settle(
    registry: Registry,
    store: Store,
    spec: RunSpecification,
    workers: _Workers,
    tally: Tally,
    loaded: _Loaded,
    *,
    retry: bool,
) -> tuple[Plan, dict[str, Finished]]:
    """Plan and execute in waves until nothing is missing; return the last plan and what failed."""
    failures: dict[str, Finished] = {}
    again: Counter[str] = Counter()
    while True:
        retried: set[str] = set()
        known = {key: (end.status, end.reason) for key, end in failures.items()}
        loaded.check()
        planner = Planner(registry, store, spec, failures=known)
        plan = planner.plan()
        loaded.note()
        pending = _pending(store, plan, failures, tally, retry=retry)
        if pending:
            step = workers.scheduler(planner.selection).execute(pending)
            again.update(key for key, end in step.failures.items() if end.lacking)
            retried = {key for key, end in step.failures.items() if end.lacking and again[key] < ATTEMPTS}
            failures |= {key: end for key, end in step.failures.items() if key not in retried}
            tally.executed += step.executed
        _stop_on_data_failure(planner, failures)
        if len(failures) == len(known) and not retried and (plan.settled or not pending):
            return plan, failures


def _pending(store: Store, plan: Plan, failures: dict[str, Finished], tally: Tally, *, retry: bool) -> list[Task]:
    """Return the tasks to execute; what failed in an earlier run for a reason of its own is not tried again."""
    pending = []
    for key, task in plan.tasks.items():
        if key in failures or store.has(key):
            continue
        if not retry and (past := store.failure(key)):
            failures[key] = Finished(key, past["status"], past["reason"])
            tally.remembered.append(key)
            continue
        broken = next((failures[need] for need in task.needs if need in failures), None)
        if broken is not None:
            failures[key] = Finished(key, broken.status, broken.reason)
            continue
        pending.append(task)
    return pending


def _stop_on_data_failure(planner: Planner, failures: Mapping[str, Finished]) -> None:
    for data in planner.data:
        for task in (data.images, data.labels):
            if task.key in failures:
                raise UsageError(f"Data set {data.entry.name!r} could not be read: {failures[task.key].reason}")


def _records(
    plan: Plan, assembler: Assembler, failures: Mapping[str, Finished], executed: Set[str]
) -> list[dict[str, Any]]:
    store, records = assembler.store, []
    for cell in plan.cells:
        record = store.record(cell.run_key)
        # What was lost and measured again took another time than the record says.
        if record is None or not executed.isdisjoint(cell.needs) or _outdated(record, cell, store, failures):
            record = assembler.record(cell, failures)
            store.put_record(record)
        records.append(record)
    return records


def _outdated(record: Mapping[str, Any], cell: Cell, store: Store, failures: Mapping[str, Finished]) -> bool:
    """Return whether there is by now what could not be had when the record was made."""
    if record["status"] in {"failed", "timed-out"}:
        ends = [failures[key] for key in cell.needs if key in failures]
        return not any(end.status == record["status"] for end in ends)
    lacking = set(cell.wants) - set(record["provenance"]["objects"])
    return record["status"] == "ok" and any(store.has(key) for key in lacking)


@dataclass
class _Loaded:
    """The code of a run: the server of workers and this process keep what they have loaded, whatever keys say later.

    Attributes
    ----------
    stamps : of each file as it was when the run first named its code
    """

    stamps: Mapping[str, tuple[int, int, str]] = field(default_factory=dict)

    def note(self) -> None:
        """Add what has been named since."""
        self.stamps = {**code.stamps(), **self.stamps}

    def check(self) -> None:
        """Raise CodeChanged where a file's code is another than it was."""
        if others := code.changed(self.stamps):
            raise CodeChanged(
                f"Code was changed during the run: {', '.join(others)}. What is in the store is kept; run the same "
                "command again, which goes on with the code as it is now."
            )


class _Workers:
    """Starts the server of workers when the first task needs it, and stops it in every case."""

    def __init__(self, store: Store, jobs: int, watcher: Watcher) -> None:
        self.store, self.jobs, self.watcher = store, jobs, watcher
        self.executor: LocalExecutor | None = None

    def scheduler(self, selection: Selection) -> Scheduler:
        if self.executor is None:
            # Half of it whatever the number of jobs: one task gone wild cannot take the machine, and which tasks are
            # stopped does not depend on --jobs.
            self.executor = LocalExecutor(
                self.store.root, jobs=self.jobs, preload=selection.preload, memory_bytes=memory_bytes() // 2
            )
        return Scheduler(self.store, self.executor, self.watcher)

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self.executor is not None:
            self.executor.close()
