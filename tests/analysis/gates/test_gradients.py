from __future__ import annotations

import pytest

from bench.analysis.gates.gradients import gate, gradients

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
def test_masked_gradients_warn_a_white_box_attacker_and_fail_an_adaptive_one(
    change: dict[str, int], knowledge: str, outcome: str
) -> None:
    verdict = gradients(HEALTHY | change, knowledge)
    assert verdict.outcome == outcome
    assert verdict.evidence
    record = {"evidence": {"gradients": HEALTHY | change}, "knowledge": knowledge}
    assert gate()(record) == verdict
