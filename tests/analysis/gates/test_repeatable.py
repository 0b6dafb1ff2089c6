from __future__ import annotations

import pytest

from bench.analysis.gates.repeatable import repeatable


@pytest.mark.parametrize(("images", "differ", "outcome"), [(0, 0, "n/a"), (2, 0, "pass"), (2, 1, "fail")])
def test_one_image_that_comes_out_otherwise_fails(images: int, differ: int, outcome: str) -> None:
    assert repeatable(images, differ).outcome == outcome
