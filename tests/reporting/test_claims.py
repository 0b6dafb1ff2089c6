"""Claims in words: on the page, in Markdown, on the terminal."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from rich.console import Console

from bench.analysis.claims import reproduction
from bench.plugins.entries import Claim
from bench.reporting import claims, write
from bench.reporting.terminal import show
from bench.reporting.wording import rows_of

CQ = "qusec-cq[levels=2]"


def line(sample: list[dict[str, Any]], defense: str = CQ, **claim: Any) -> dict[str, Any]:
    """Return the row of one claim on one defense of the sample."""
    records = [record | {"defense": dict(record["defense"])} for record in sample]
    for record in records:
        told = [Claim(text="90 %", **claim).as_dict()] if claim and record["defense"]["label"] == defense else []
        record["defense"] |= {"published": told, "parameters": {"levels": 2}}
    return next(row for row in rows_of(reproduction(records)) if row["defense"] == defense)


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ({"model": "cleverhans-cnn", "attack": "pgd", "knowledge": "white-box", "norm": "linf", "epsilon": 0.3}, ""),
        ({"model": "vgg"}, "other network: cleverhans-cnn here, vgg there"),
        ({"parameters": (("levels", 4),)}, "other parameters: levels=2 here, levels=4 there"),
        ({"parameters": (("levels", 2), ("size", 3))}, "other parameters: unknown here, size=3 there"),
        ({"norm": "linf", "epsilon": 8 / 255}, "other radius: 0.1 here, 8/255 there"),
        ({"norm": "linf"}, "radius not stated: 0.3 here"),
        ({"attack": "pgd"}, "network not stated; attacker not stated: an oblivious one here; norm not stated"),
        ({"knowledge": "oblivious"}, "attack not stated: the worst of all here"),
    ],
)
def test_what_differs_and_what_is_not_stated_is_said(sample: Any, claim: dict[str, Any], told: str) -> None:
    said = claims.differs(line(sample, **claim))
    assert told in said
    assert told or not said


def test_an_oblivious_figure_of_a_defense_that_trains_is_said_to_be_a_transfer(sample: Any) -> None:
    assert "a transfer here" in claims.differs(line(sample, "adversarial-training", knowledge="oblivious"))
    assert "a transfer here" not in claims.differs(line(sample, CQ, knowledge="oblivious"))


def test_figures_have_their_interval_images_radius_and_attacks(sample: Any) -> None:
    row = line(sample, attack="pgd", knowledge="white-box")
    assert claims.claim(row) == "pgd, white-box: 90 %"
    value, low, high = (100 * row["reproduced" + end] for end in ("", "_low", "_high"))
    assert claims.figure(row, "reproduced") == (
        f"{value:.1f} % ({low:.1f}–{high:.1f}), {len_of(sample)} images, L∞ ≤ 0.3, pgd, white-box"
    )
    assert claims.figure(row, "adaptive").endswith("L∞ ≤ 0.3, worst of 6 attacks")


def test_what_was_not_run_says_so_and_clean_accuracy_has_no_adaptive_figure(sample: Any) -> None:
    assert claims.figure(line(sample, attack="lbfgs"), "reproduced") == "not run"
    clean = line(sample, quantity="clean accuracy", conditions="100 images")
    assert claims.claim(clean) == "clean accuracy: 90 % (100 images)"
    assert claims.figure(clean, "adaptive") == "–"


def test_a_figure_at_another_radius_is_not_set_beside_a_claim_in_silence(sample: Any) -> None:
    row = line(sample, attack="pgd", knowledge="white-box", norm="linf", epsilon=8 / 255)
    assert claims.figure(row, "adaptive").startswith("not run at 8/255; ")
    assert claims.short(row, "adaptive").endswith(" % at 0.1")
    same = line(sample, attack="pgd", knowledge="white-box", norm="linf", epsilon=0.3)
    assert "not run" not in claims.figure(same, "adaptive")
    assert claims.short(same, "adaptive").endswith(" %")


def test_where_nothing_is_claimed_nothing_is_reproduced(sample: Any) -> None:
    row = line(sample)
    assert claims.claim(row) == "none on record"
    assert (claims.figure(row, "reproduced"), claims.short(row, "reproduced")) == ("–", "–")
    assert claims.figure(row, "adaptive") != "–"


def test_gains_are_points(sample: Any) -> None:
    row = line(sample, quantity="gain")
    assert f"{100 * row['reproduced']:+.1f} points (" in claims.figure(row, "reproduced")


def test_the_table_is_written_as_csv_markdown_and_on_the_page(sample: Any, tmp_path: Any) -> None:
    written = write(sample, tmp_path)
    with written["claims.csv"].open() as file:
        rows = {(row["defense"], row["claimed_attack"]): row for row in csv.DictReader(file)}
    fgsm = rows[CQ, "fgsm"]
    assert (fgsm["claimed"], fgsm["claimed_epsilon"], fgsm["reproduced_epsilon"]) == ("0.963", "0.1", "0.1")
    assert "network not stated" in fgsm["differs"]
    assert rows["adversarial-training", ""]["claim"] == ""
    page, markdown = written["html"].read_text(), written["claims.md"].read_text()
    for text in (page, markdown):
        assert "fgsm, L∞ ≤ 0.1, white-box: 96.3 % (figure 5)" in text
        assert "none on record" in text
    assert '<a href="#claims">' in page


def test_a_wide_terminal_has_the_claims_and_a_narrow_one_has_not(sample: Any) -> None:
    def printed(width: int) -> str:
        console = Console(file=io.StringIO(), width=width)
        show(sample, console)
        return console.file.getvalue()

    assert "pgd: 95.1 %" in printed(120)
    assert "Claims on record" not in printed(80)


def len_of(sample: list[dict[str, Any]]) -> str:
    return f"{max(record.get('samples', 0) for record in sample):,}"
