"""A factory may be of a class, wherever it is made."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from bench.conformance.construction import construct
from bench.planning.subjects import _source
from bench.plugins.containment import built
from bench.plugins.entries import Dataset, ThreatSpec
from bench.plugins.faults import fault_of
from bench.plugins.parameters import Parameter
from bench.plugins.registry import Found
from bench.plugins.selection import choose
from bench.tasks.building import implementation


class Outer:
    @staticmethod
    def make(side: int) -> str:
        return "." * side


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    module = ModuleType("outer_of_a_test")
    module.Outer = Outer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "outer_of_a_test", module)
    entry = Dataset(
        name="dots",
        factory="outer_of_a_test:Outer.make",
        summary="",
        default_model="m",
        threats=(ThreatSpec(norm="linf", epsilons=(0.1,)),),
        parameters=(Parameter(name="side", type=int, default=3, help=""),),
    )
    assert not fault_of(entry)
    return Found(entry)


def test_every_door_follows_its_dots(found: Found) -> None:
    parameters: dict[str, Any] = {"side": 3}
    made = [
        built(found),
        implementation({"factory": found.entry.factory, "parameters": parameters}),
        construct(found.entry, parameters, ("upper",)),
        _source(choose(found, "dataset", {})),
    ]
    assert made == ["..."] * 4
