from __future__ import annotations

import pytest

from bench.analysis import gates

HEALTHY = {"values": 1000, "zeros": 20, "nonfinite": 0, "images": 10, "dead_images": 0}


@pytest.mark.parametrize(
    ("change", "knowledge", "outcome"),
    [
        ({}, "white-box", "pass"),
        ({"nonfinite": 1}, "oblivious", "fail"),
        ({"nonfinite": 1}, "adaptive", "fail"),
        ({"zeros": 501}, "white-box", "warn"),
        ({"zeros": 501}, "adaptive", "fail"),
        ({"zeros": 500}, "adaptive", "pass"),
        ({"dead_images": 3}, "white-box", "warn"),
        ({"dead_images": 3}, "oblivious", "warn"),
        ({"dead_images": 3}, "adaptive", "fail"),
        ({"dead_images": 2}, "adaptive", "pass"),
        ({"images": 0, "values": 0}, "black-box", "n/a"),
    ],
)
def test_gradients(change: dict[str, int], knowledge: str, outcome: str) -> None:
    verdict = gates.gradients(HEALTHY | change, knowledge)
    assert verdict.outcome == outcome
    assert verdict.evidence


def test_ball_names_the_images() -> None:
    assert gates.ball([], []).outcome == "pass"
    verdict = gates.ball(list(range(20)), [3])
    assert verdict.outcome == "fail"
    assert "20 outside" in verdict.evidence
    assert "images 0, 1, 2" in verdict.evidence
    assert "1 not finite (images 3)" in verdict.evidence


@pytest.mark.parametrize(
    ("declared", "differs", "outcome"),
    [(False, False, "pass"), (True, True, "pass"), (False, True, "fail"), (True, False, "warn")],
)
def test_determinism(declared: bool, differs: bool, outcome: str) -> None:
    assert gates.determinism(declared, differs, 0.25).outcome == outcome
    assert "0.25" in gates.determinism(declared, differs, 0.25).evidence
