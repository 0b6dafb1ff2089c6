from __future__ import annotations

import pytest

from bench.analysis.gates.false_positives import false_positives, gate


@pytest.mark.parametrize(
    ("rejected", "images", "outcome"),
    [(0.0, 100, "pass"), (0.05, 100, "pass"), (0.07, 100, "warn"), (0.07, 1000, "fail"), (1.0, 100, "fail")],
)
def test_refusing_more_clean_images_than_one_in_twenty_fails(rejected: float, images: int, outcome: str) -> None:
    assert false_positives(rejected, images).outcome == outcome


def test_a_deployment_that_answers_always_is_not_asked() -> None:
    assert gate()({"evidence": {}, "samples": 100}).outcome == "n/a"
