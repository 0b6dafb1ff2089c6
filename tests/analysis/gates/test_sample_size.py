from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.sample_size import sample_size


@pytest.mark.parametrize(
    ("images", "outcome", "points"), [(64, "warn", "11.1"), (313, "warn", "5.0"), (1000, "pass", "2.8")]
)
def test_the_smallest_difference_that_shows_is_printed(
    made: Any, row_of: Any, images: int, outcome: str, points: str
) -> None:
    records = [made.clean_record("none", np.ones(images)), made.attack_record("none", "pgd", np.ones(images))]
    verdict = sample_size(row_of(records, "none"))
    assert verdict.outcome == outcome
    assert f"under {points} points" in verdict.evidence


def test_the_images_that_the_number_stands_on_are_counted(made: Any, row_of: Any) -> None:
    """An attack on 128 images that breaks what others leave takes the number down to them."""
    few = made.attack_record("none", "mim", np.zeros(128))
    records = [made.clean_record("none", np.ones(1000)), made.attack_record("none", "pgd", np.ones(1000)), few]
    verdict = sample_size(row_of(records, "none"))
    assert verdict.outcome == "warn"
    assert verdict.evidence.startswith("With 128 images")
