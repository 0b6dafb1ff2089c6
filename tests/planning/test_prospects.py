"""What hardware says of a measurement beforehand."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

import pytest

from bench.api import specification
from bench.errors import UsageError
from bench.hardware import Prospect
from bench.planning.prospects import prospect
from bench.planning.selected import Selection
from bench.plugins.entries import Hardware
from bench.plugins.registry import Found, discover
from bench.plugins.selection import choose


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch):
    """Return what a plugin's callable says of its parameters."""

    def tell(foresee: Any, **flags: Any) -> Prospect:
        module = ModuleType("foreseen")
        module.prospect = foresee  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "foreseen", module)
        entry = Hardware(name="board", factory="board:Board", summary="", prospect="foreseen:prospect")
        return prospect(choose(Found(entry), "hardware", {}), specification(**flags))

    return tell


def test_it_is_asked_with_the_preset_of_the_budget(told) -> None:
    for budget, preset in (("quick", "quick"), ("standard", "default")):
        known = told(lambda parameters, given: Prospect(machine={"preset": given}), budget=budget)
        assert known.machine == {"preset": preset}


def test_parameters_that_cannot_be_meant_are_refused_while_a_run_is_planned() -> None:
    with pytest.raises(UsageError, match=r"Hardware 'cpu\[country=xyz\]' cannot be used: Unknown country 'xyz'"):
        Selection.of(discover(), specification(defenses="jpeg", attacks="none", hardware="cpu[country=xyz]"))


@pytest.mark.parametrize(
    ("machine", "said"), [(None, "TypeError"), ({"watts": float("nan")}, "ValueError"), ({"of": {1, 2}}, "TypeError")]
)
def test_what_cannot_stand_in_a_key_is_refused(told, machine: Any, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"'board' cannot be planned: foreseen:prospect fails: {said}")):
        told(lambda parameters, preset: Prospect(machine=machine))
