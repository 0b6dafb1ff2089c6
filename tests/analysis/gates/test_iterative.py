from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.iterative import iterative


@pytest.mark.parametrize(
    ("level", "one", "many", "outcome"),
    [
        ("adaptive", 0.6, 0.4, "pass"),
        ("adaptive", 0.4, 0.4, "pass"),
        ("adaptive", 0.4, 0.6, "fail"),
        ("white-box", 0.4, 0.6, "warn"),
    ],
)
def test_one_step_that_beats_many_trips_it(attacked: Any, level: str, one: float, many: float, outcome: str) -> None:
    verdict = iterative(attacked([("fgsm", level, one), ("pgd", level, many)]))
    assert verdict.outcome == outcome
    assert outcome == "pass" or f"fgsm ({level}) leaves {one:.1%}" in verdict.evidence


def test_attacks_at_different_knowledge_are_not_compared(attacked: Any) -> None:
    assert iterative(attacked([("fgsm", "white-box", 0.1), ("pgd", "adaptive", 0.9)])).outcome == "n/a"
