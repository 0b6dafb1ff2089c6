from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.null import null


@pytest.mark.parametrize(("left", "outcome"), [(0.9, "pass"), (0.8975, "fail")])
def test_a_single_image_that_an_idle_attack_breaks_fails(attacked: Any, left: float, outcome: str) -> None:
    assert null(attacked([("null", "oblivious", left), ("pgd", "adaptive", 0.1)], clean=0.9)).outcome == outcome
