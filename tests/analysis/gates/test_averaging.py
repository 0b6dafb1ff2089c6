from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.averaging import averaging

from .conftest import of, share

DEFENSE = "superiot[window=3]"


@pytest.mark.parametrize(
    ("agreement", "draws", "left", "outcome"),
    [
        (0.11, 2, 0.095, "fail"),  # cosine .44: total variation on CIFAR-10, as it was published once
        (0.11, 64, 0.095, "warn"),  # .94
        (0.5, 16, 0.095, "pass"),  # .97
        (0.11, 2, 0.01, "pass"),  # little is left to win
        (1.0, 1, 0.5, "n/a"),
    ],
)
def test_who_follows_noise_says_nothing_of_a_defense(
    made: Any, agreement: float, draws: int, left: float, outcome: str
) -> None:
    drawn = {"draws": {"select": 16, "score": 32}}
    clean = made.clean_record(DEFENSE, share(1.0)) | drawn
    made.with_outcomes(clean, clean_correct=share(1.0), selected=16 * share(1.0), scored=32 * share(1.0))
    clean["evidence"] = {"noise": {"agreement": agreement, "draws": 64}}
    attack = made.attack_record(DEFENSE, "pgd", 32 * share(left), knowledge="adaptive", selected=16 * share(left))
    attack |= drawn | {"notes": {"surface": {"expectation": draws}}}
    verdict = averaging(of([clean, attack], DEFENSE))
    assert verdict.outcome == outcome, verdict.evidence
    assert outcome == "n/a" or f"over {draws} draws" in verdict.evidence


def test_what_draws_nothing_needs_no_average(attacked: Any) -> None:
    assert averaging(attacked([("pgd", "adaptive", 0.5)])).outcome == "n/a"


def test_the_run_that_averages_most_counts_be_it_on_fewer_images(made: Any) -> None:
    drawn = {"draws": {"select": 16, "score": 32}}
    clean = made.clean_record(DEFENSE, share(1.0)) | drawn
    made.with_outcomes(clean, clean_correct=share(1.0), selected=16 * share(1.0), scored=32 * share(1.0))
    clean["evidence"] = {"noise": {"agreement": 0.5, "draws": 16}}
    records = [clean]
    for draws, n in ((2, 400), (16, 200)):
        left = share(0.3, n)
        attack = made.attack_record(DEFENSE, "pgd", 32 * left, knowledge="adaptive", selected=16 * left)
        attack |= drawn | {"notes": {"surface": {"expectation": draws}}, "cell_id": made.name_of("eot", draws)}
        records.append(attack | {"run_key": made.name_of("eot run", draws)})
    assert averaging(of(records, DEFENSE)).outcome == "pass"
