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


def test_heads_leave_out_what_all_attacks_of_a_name_were_given(made: Any) -> None:
    labels = ("pgd[steps=10,step=0.2]", "pgd[steps=10,step=0.2] via soft", "fgsm", "mim[steps=5]", "mim[steps=9]")
    records = [made.clean_record("none", np.ones(9))]
    for label in labels:
        record = made.attack_record("none", label, np.zeros(9))
        record["attack"]["name"] = label.split("[")[0]
        records.append(record)
    found = heat.maps(wording.rows_of(leaderboard(records)), wording.rows_of(cells(records)))
    heads = {head.label: (head.name, head.variant) for head in found[0].attacks}
    assert heads == {
        "pgd[steps=10,step=0.2]": ("pgd", ""),
        "pgd[steps=10,step=0.2] via soft": ("pgd", "via soft"),
        "fgsm": ("fgsm", ""),
        "mim[steps=5]": ("mim[steps=5]", ""),
        "mim[steps=9]": ("mim[steps=9]", ""),
    }
    assert heat.given(found) == {"pgd": "steps=10, step=0.2"}


def test_a_row_without_a_cell_under_a_threat_stands_where_it_was_attacked(made: Any) -> None:
    """A row whose cells failed is a hole to be seen; so is one that was attacked nowhere."""
    failed = made.attack_record("jpeg", "pgd", np.zeros(9)) | {"status": "failed", "reason": "no memory"}
    records = [
        *(made.clean_record(name, np.ones(9)) for name in ("none", "superiot", "jpeg", "bit-depth")),
        made.attack_record("none", "pgd", np.zeros(9)),
        made.attack_record("superiot", "pgd", np.zeros(9), epsilon=0.1),
        made.attack_record("superiot", "pgd", np.zeros(9), norm="l2", epsilon=1.5),
        failed,
    ]
    board = [row for row in wording.rows_of(leaderboard(records)) if row["norm"] == "linf" and row["epsilon"] == 0.3]
    shown, elsewhere = heat.attacked(board, wording.rows_of(cells(records)))
    assert [row["defense"] for row in shown] == [row["defense"] for row in board if row["defense"] != "superiot"]
    assert {row["defense"] for row in shown} == {"none", "jpeg", "bit-depth"}
    assert elsewhere == {"L2 ≤ 1.5; L∞ ≤ 0.1": ["superiot"]}
