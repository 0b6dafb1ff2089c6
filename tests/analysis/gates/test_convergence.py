from __future__ import annotations

import pytest

from bench.analysis.gates.convergence import convergence, gate

LEVEL = {
    "blocks": 1,
    "steps": 2000,
    "followed": 2000,
    "longest": 20,
    "images": 100,
    "standing": 50,
    "first": 50.0,
    "late": 11.0,
    "last": 10.0,
    "withheld": 0,
    "scored": 0,
    "score_first": 0.0,
    "score_late": 0.0,
    "score_last": 0.0,
}
REFUSED = {"standing": 0, "withheld": 60, "scored": 60, "score_first": 6.0, "score_late": 3.0, "score_last": 2.0}


@pytest.mark.parametrize(
    ("change", "knowledge", "outcome"),
    [
        ({}, "adaptive", "pass"),
        ({"late": 17.0}, "adaptive", "warn"),  # 7 of 40
        ({"late": 20.0}, "adaptive", "fail"),  # a quarter: the pace of the start
        ({"late": 20.0}, "white-box", "warn"),
        ({"first": 10.0, "late": 10.0}, "adaptive", "warn"),  # it never moved
        ({"standing": 2, "late": 20.0}, "adaptive", "pass"),  # next to nothing is left to break
        ({"standing": 3, "late": 20.0}, "adaptive", "fail"),
        (REFUSED, "adaptive", "fail"),  # the score still falls: a quarter of its way
        (REFUSED, "white-box", "warn"),
        ({**REFUSED, "score_late": 2.1}, "adaptive", "pass"),
        ({**REFUSED, "standing": 50, "score_late": 2.7}, "adaptive", "warn"),  # the worse of both counts
        ({**REFUSED, "score_first": 2.0, "score_late": 2.0}, "adaptive", "warn"),
        ({**REFUSED, "scored": 0}, "adaptive", "pass"),  # it does not look at the detector
        ({"longest": 3}, "adaptive", "n/a"),
        ({"longest": 4, "late": 20.0}, "adaptive", "fail"),
        ({"longest": 7, "blocks": 2}, "adaptive", "n/a"),  # of two blocks together
        ({"followed": 900}, "adaptive", "n/a"),
        ({"followed": 1000, "late": 20.0}, "adaptive", "fail"),  # half of its steps tell enough
        ({"steps": 0, "followed": 0}, "black-box", "n/a"),
    ],
)
def test_an_attack_that_still_moves_at_its_end_has_not_converged(
    change: dict[str, float], knowledge: str, outcome: str
) -> None:
    assert convergence({**LEVEL, **change}, knowledge).outcome == outcome


def test_refusals_are_told() -> None:
    assert "0 of 100 images stand and 60 are refused" in convergence({**LEVEL, **REFUSED}, "adaptive").evidence


@pytest.mark.parametrize(("core", "outcome"), [("pgd-ce", "warn"), ("apgd-dlr", "warn"), ("fgsm", "n/a"), ("", "n/a")])
def test_a_handful_of_steps_is_no_iterated_rung(core: str, outcome: str) -> None:
    """PGD of one step would make a ladder whole, and nobody could tell that it had not ended."""
    path = {**LEVEL, "steps": 300, "followed": 300, "longest": 3}
    record = {"attack": {"core": core}, "knowledge": "adaptive", "evidence": {"path": path}}
    assert gate()(record).outcome == outcome


def test_a_handful_of_steps_that_broke_everything_were_enough() -> None:
    path = {**LEVEL, "steps": 300, "followed": 300, "longest": 3, "standing": 2}
    record = {"attack": {"core": "pgd-ce"}, "evidence": {"path": path}, "knowledge": "adaptive"}
    assert gate()(record).outcome == "pass"
    path["standing"] = 3
    assert gate()(record).outcome == "warn"
