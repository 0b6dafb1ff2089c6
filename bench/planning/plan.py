"""From what was asked for to cells and tasks.

Planning goes in waves, because a key stands for everything before it: the data sets must be read before a network can
be named, and a deployment must be fitted before it is known whether it draws. Each wave needs the objects of the one
before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.planning.attacks import (
    threat_points,
)
from bench.planning.cell import Cell
from bench.planning.grid import Grid
from bench.planning.own_model import is_own_model
from bench.planning.selected import Selection
from bench.planning.specification import RunSpecification
from bench.planning.subjects import DataSubject, ModelSubject, Subject, identity
from bench.planning.suited import divide
from bench.planning.supposition import Knowing
from bench.planning.task import Task
from bench.plugins.entries import Dataset, Defense, Gate, Shape
from bench.plugins.registry import Registry
from bench.plugins.selection import Chosen, choose, named_outright, select
from bench.store import code


@dataclass
class Plan:
    """What a run consists of, as far as it is known.

    Attributes
    ----------
    tasks : in an order in which needs come first, one a key
    cells : in the order of the report
    settled : nothing is missing: the cells are final
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    settled: bool = True

    def add(self, *tasks: Task | None) -> None:
        """Add tasks that are not there yet."""
        for task in tasks:
            if task is not None:
                self.tasks.setdefault(task.key, task)


class Planner:
    """Makes the plan of one run specification.

    Parameters
    ----------
    failures : task key -> reason, of tasks of earlier waves that failed: their cells fail too
    """

    def __init__(
        self,
        registry: Registry,
        store: Knowing,
        spec: RunSpecification,
        *,
        failures: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.registry, self.store, self.spec = registry, store, spec
        code.refresh()
        self.selection = Selection.of(registry, spec)
        offered = [found for found in registry.of("gate").values() if isinstance(found.entry, Gate)]
        # What gates say of a record stands in it; gates of rows are asked by every report anew.
        self.gates = [
            identity(choose(found, "gate", {}))
            for found in offered
            if not found.unavailable and found.entry.scope != "row"  # type: ignore[attr-defined]
        ]
        self.probes = [(found.entry.name, probe) for found in offered for probe in found.entry.probes]  # type: ignore[attr-defined]
        self.failures = failures if failures is not None else {}
        root = spec.data_dir or Path("data")
        for chosen in self.selection.datasets:
            assert isinstance(chosen.found.entry, Dataset)
            # Both refuse what cannot be meant before anything is done.
            threat_points(chosen.found.entry, spec)
            self._suited(chosen, chosen.found.entry.shape)
            self._models(chosen, chosen.found.entry.shape)
        self.data = [DataSubject.of(chosen, root, spec) for chosen in self.selection.datasets]

    def plan(self) -> Plan:
        """Return the plan as far as the store allows; call again after its tasks were executed until it is settled."""
        plan = Plan()
        for data in self.data:
            plan.add(data.images, data.labels)
            if not self.store.has(data.images.key):
                plan.settled = False
                continue
            meta = self.store.meta(data.images.key)
            shape = _shape(data, meta)
            defenses, unsuited = self._suited(data.chosen, shape)
            for chosen in self._models(data.chosen, shape):
                model = ModelSubject.of(data, chosen, self.spec, meta)
                plan.add(model.task)
                subjects = [Subject.of(model, defense, self.spec, meta) for defense in defenses]
                for subject in subjects:
                    plan.add(subject.fit, subject.inspect)
                absent = [
                    (Subject.of(model, chosen, self.spec, meta), reason)
                    for chosen, reason in (*self.selection.skipped, *unsuited)
                    if isinstance(chosen.found.entry, Defense)
                ]
                Grid(self, plan, subjects, absent, meta).fill()
        return plan

    def _suited(self, dataset: Chosen, shape: Shape | None) -> tuple[list[Chosen], list[tuple[Chosen, str]]]:
        """Return the defenses that suit a data set's images, as far as their shape is known, and the others."""
        if shape is None:
            return self.selection.defenses, []
        outright = named_outright(self.registry, "defense", self.spec.defenses)
        return divide(self.selection.defenses, shape, dataset.label, outright)

    def _models(self, dataset: Chosen, shape: Shape | None) -> list[Chosen | str]:
        """Return the models that are run on a data set: those that take its images, as far as their shape is known."""
        assert isinstance(dataset.found.entry, Dataset)
        text = self.spec.models or dataset.found.entry.default_model
        models = self.selection.models or list(select(self.registry, "model", text)[0])
        if shape is None or is_own_model(self.spec.models):
            return models
        outright = named_outright(self.registry, "model", text)
        suited, others = divide([m for m in models if isinstance(m, Chosen)], shape, dataset.label, outright)
        if not suited and others:
            raise UsageError(f"None of the models takes images of {dataset.label}: {others[0][1]}")
        return list(suited)

    def failed(self, *keys: str) -> tuple[str, str] | None:
        """Return the status and reason of the first of these tasks that failed."""
        return next((self.failures[k] for k in keys if k in self.failures), None)


def _shape(data: DataSubject, meta: Mapping[str, Any]) -> Shape | None:
    """Return the shape of a data set's images, as read or as declared; None where neither is known."""
    if meta.get("supposed"):
        return data.entry.shape
    channels, height, width = meta["shape"]
    return channels, height, width
