"""What the tasks of a run are named by."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from bench.execution import conditions
from bench.planning import subjects
from bench.planning.plan import Planner
from bench.planning.specification import RunSpecification
from bench.planning.supposition import Supposing
from bench.plugins.registry import discover
from bench.store import Store


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return the keys of the tasks of one kind, with an entry as it is or with other fields."""
    registry, store = discover(), Supposing(Store(tmp_path))
    asked = RunSpecification(defenses="qusec-cq", attacks="fgsm", hardware="cpu", norms=("linf",), precision="fp32")

    def planned(task: str, kind: str, name: str, **fields: Any) -> set[str]:
        found = registry.of(kind)[name]
        with monkeypatch.context() as patch:
            patch.setitem(registry._found[kind], name, replace(found, entry=replace(found.entry, **fields)))
            return {key for key, made in Planner(registry, store, asked).plan().tasks.items() if made.kind == task}

    return planned


def test_what_another_callable_of_the_same_module_makes_has_another_name(keys) -> None:
    other = {"factory": "bench_qusecnets.defense:TrainedQuantiser"}
    before, after = keys("fit", "defense", "qusec-cq"), keys("fit", "defense", "qusec-cq", **other)
    assert len(before - after) == len(after - before) == 1


def test_what_an_attack_makes_has_another_name_once_it_looks_for_the_smallest_perturbation(keys) -> None:
    before, after = keys("craft", "attack", "fgsm"), keys("craft", "attack", "fgsm", minimum_norm=True)
    assert len(before - after) == len(after - before) > 0


def test_a_measurement_has_the_time_that_its_hardware_says_it_takes(tmp_path: Path) -> None:
    asked = RunSpecification(defenses="none", attacks="none", hardware="cpu[preset=strict]")
    tasks = Planner(discover(), Supposing(Store(tmp_path)), asked).plan().tasks.values()
    assert [task.timeout_s > 2 * 3600 for task in tasks if task.kind == "profile"] == [True]


def test_a_cost_names_the_version_of_what_estimates_energy(tmp_path: Path) -> None:
    asked = RunSpecification(defenses="none", attacks="none", hardware="cpu")
    plan = Planner(discover(), Supposing(Store(tmp_path)), asked).plan()
    assert [cell.versions for cell in plan.cells if cell.kind == "cost"] == [{"codecarbon": version("codecarbon")}]
    (task,) = (task for task in plan.tasks.values() if task.kind == "profile")
    assert task.preimage["hardware"]["requires"] == {"codecarbon>=3.0": version("codecarbon")}


def test_what_was_measured_under_other_settings_of_the_machine_has_another_name(keys, monkeypatch) -> None:
    before = keys("profile", "hardware", "cpu")
    monkeypatch.setattr("bench_cpu.machine.governors", lambda root: ("set-for-this-test",))
    assert before.isdisjoint(keys("profile", "hardware", "cpu"))


def test_what_workers_set_before_a_task_is_part_of_its_name(keys, monkeypatch, tmp_path: Path) -> None:
    before = keys("fit", "defense", "qusec-cq")
    mine = tmp_path / "conditions.py"
    mine.write_text("def settle():\n    pass\n")
    assert f"{conditions.settle.__module__}:{conditions.settle.__name__}" == subjects.CONDITIONS
    monkeypatch.setattr(subjects, "CONDITIONS", f"{mine}:settle")
    assert before.isdisjoint(keys("fit", "defense", "qusec-cq"))
