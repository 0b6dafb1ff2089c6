"""One square a defense and an attack: what it shows where there are several runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.analysis import cells, leaderboard
from bench.reporting import heat, wording


def test_of_a_long_and_a_short_run_of_one_attack_the_long_one_is_shown(made: Any) -> None:
    records = []
    for seed, left in ((0, 0.8), (1, 0.6)):
        records += [
            made.clean_record("none", np.ones(400), seed=seed),
            made.attack_record("none", "pgd", np.arange(400) < 400 * left, seed=seed),
            made.attack_record("none", "pgd", np.ones(64), seed=seed)
            | {"run_key": f"{seed}" * 32, "cell_id": f"{seed}" * 32},
        ]
    (adaptive,) = heat.maps(wording.rows_of(leaderboard(records)), wording.rows_of(cells(records)))
    ((_, _, (square,)),) = adaptive.lines
    assert (square.text, square.partial) == ("70", False)
    assert "400 images" in square.title
