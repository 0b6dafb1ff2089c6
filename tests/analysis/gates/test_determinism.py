from __future__ import annotations

import pytest

from bench.analysis.gates.determinism import determinism, gate


@pytest.mark.parametrize(
    ("declared", "differs", "outcome"),
    [(False, False, "pass"), (True, True, "pass"), (False, True, "fail"), (True, False, "warn")],
)
def test_undeclared_randomness_fails_and_declared_one_that_does_not_show_warns(
    declared: bool, differs: bool, outcome: str
) -> None:
    assert determinism(declared, differs, 0.25).outcome == outcome
    assert "0.25" in determinism(declared, differs, 0.25).evidence
    record = {"defense": {"randomised": declared}, "evidence": {"difference": 0.25 if differs else 1e-6}}
    assert gate()(record).outcome == outcome


@pytest.mark.parametrize(("difference", "outcome"), [(1e-6, "pass"), (1e-4, "fail")])
def test_what_moves_a_logit_by_more_than_rounding_draws(difference: float, outcome: str) -> None:
    record = {"defense": {"randomised": False}, "evidence": {"difference": difference}}
    assert gate()(record).outcome == outcome
