from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.clean_accuracy import clean_accuracy

N = 400


@pytest.mark.parametrize(
    ("own", "twin", "outcome", "word"),
    [
        (0.96, 1.0, "pass", "96.0%"),
        (0.94, 1.0, "warn", "94.0%"),
        (0.0, 1.0, "warn", "0.0%"),  # a detector that rejects everything
        (0.96, 0.955, "pass", "95.5%"),
        (0.99, 0.95, "warn", "Suspicious"),
    ],
)
def test_a_price_and_a_gift_are_both_named(
    made: Any, row_of: Any, own: float, twin: float, outcome: str, word: str
) -> None:
    records = []
    for defense, share in (("none", twin), ("median[size=3]", own)):
        right = (np.arange(N) < share * N).astype(np.uint8)
        records += [made.clean_record(defense, right), made.attack_record(defense, "pgd", np.zeros(N))]
    verdict = clean_accuracy(row_of(records))
    assert verdict.outcome == outcome
    assert word in verdict.evidence
    assert clean_accuracy(row_of(records, "none")).outcome == "n/a"


def test_the_twin_is_the_network_of_the_same_seed(made: Any, row_of: Any) -> None:
    """Of another seed it may be a better network, which would make the defense look worse than it is."""
    records = []
    for defense, right, seed in (("none", 0.9, 0), ("none", 1.0, 1), ("median[size=3]", 0.9, 0)):
        share = (np.arange(N) < right * N).astype(np.uint8)
        records += [made.clean_record(defense, share, seed=seed), made.attack_record(defense, "pgd", share, seed=seed)]
    assert clean_accuracy(row_of(records)).evidence == "90.0% of 400 images are right, 90.0% without the defense."


@pytest.mark.parametrize(("own", "twin"), [(200, 400), (400, 200)])
def test_both_are_judged_on_the_images_of_both(made: Any, row_of: Any, own: int, twin: int) -> None:
    """All that only one of them was asked about is wrong."""
    records = []
    for defense, n in (("none", twin), ("median[size=3]", own)):
        right = (np.arange(n) < 190).astype(np.uint8)
        records += [made.clean_record(defense, right), made.attack_record(defense, "pgd", np.zeros(n))]
    assert clean_accuracy(row_of(records)).evidence == "95.0% of 200 images are right, 95.0% without the defense."
