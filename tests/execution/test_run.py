"""What a run makes of what happens around it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.errors import CodeChanged, UsageError
from bench.execution import run
from bench.execution.progress import Silent
from bench.execution.scheduler import Tally
from bench.planning.plan import Plan
from bench.planning.specification import RunSpecification
from bench.planning.task import Task
from bench.plugins.registry import discover
from bench.store import Store, code


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run two waves of one task each, with a file of code that becomes another text during the first."""

    def settle(text: str) -> list[str]:
        mine, keys = tmp_path / "mine.py", []
        mine.write_text("def make():\n    return 1\n")

        def plan() -> Plan:
            code.refresh()
            keys.append(code.code_digest(f"{mine}:make"))
            return Plan({keys[-1]: Task(kind="fit", key=keys[-1], label="", spec={})}, settled=len(keys) > 1)

        def execute(tasks: list[Task]) -> Tally:
            mine.write_text(text)
            return Tally(executed=[task.key for task in tasks])

        planner = SimpleNamespace(plan=plan, selection=None, data=[])
        workers = SimpleNamespace(scheduler=lambda selection: SimpleNamespace(execute=execute))
        monkeypatch.setattr(run, "Planner", lambda *_, **__: planner)
        store, loaded = Store(tmp_path / "store"), run._Loaded()
        run._settle(None, store, RunSpecification(), workers, Tally(), loaded, retry=False)
        loaded.check()
        return keys

    return settle


def test_a_run_stops_where_code_is_changed_that_its_processes_have_loaded(settled, tmp_path) -> None:
    with pytest.raises(CodeChanged, match=re.escape(f"changed during the run: {tmp_path / 'mine.py'}. What")):
        settled("def make():\n    return 2\n")


def test_a_comment_does_not_stop_it(settled) -> None:
    assert len(settled("def make():  # as before\n    return 1\n")) == 2


def test_fewer_jobs_than_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"jobs is a number of tasks at a time, or 0 .*; got -1\."):
        run.execute(discover(), Store(tmp_path), RunSpecification(), jobs=-1, watcher=Silent(), command="")
