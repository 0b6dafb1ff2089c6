"""The check of how well Defed's denoisers were trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import rows
from bench.analysis.records import encode_array
from bench.analysis.scrutiny import asked_rows
from bench_defed.gates import judge

Judged = Callable[..., Verdict]


def first(right: float, n: int) -> np.ndarray:
    return (np.arange(n) < right * n).astype(np.uint8)


@pytest.fixture
def judged(made: Any) -> Judged:
    """Return what the gate says of a classifier that is right on 98 %, and of denoisers."""

    def verdict(*denoised: float, n: int = 1000, defense: str = "defed[mode=reject]", views: bool = True) -> Verdict:
        record = made.clean_record(defense, first(0.98, n))
        shares = {"answer": 0.98, **{f"view{place}": share for place, share in enumerate(denoised)}}
        if views:
            record["views"] = {name: encode_array(first(share, n)) for name, share in shares.items()}
        return judge(asked_rows(rows([record]))[0])

    return verdict


def test_a_denoiser_that_was_hardly_trained_fails(judged: Judged) -> None:
    verdict = judged(0.97, 0.6)
    assert verdict.outcome == "fail"
    assert verdict.evidence == "Of 1,000 clean images the classifier answers 98.0% rightly, denoised 97.0%, 60.0%."


def test_denoisers_that_cost_a_point_at_most_pass(judged: Judged) -> None:
    assert judged(0.97, 0.985).outcome == "pass"


def test_one_that_recognises_more_than_there_is_to_see_is_suspicious(judged: Judged) -> None:
    verdict = judged(0.98, 0.999)
    assert verdict.outcome == "warn"
    assert verdict.evidence.startswith("Suspicious, labels may have leaked: Of 1,000 clean images")
    assert judged(0.98, 1.0, n=50).outcome == "pass", "one image of fifty is chance"


def test_what_may_be_chance_warns(judged: Judged) -> None:
    assert judged(0.94, n=100).outcome == "warn"


def test_other_defenses_and_records_without_views_are_not_judged(judged: Judged) -> None:
    assert judged(0.5, defense="jpeg").outcome == "n/a"
    assert judged(0.5, views=False).outcome == "n/a"
