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
    records[-1]["attack"] |= {"way": "identity"}  # whose gradients may agree as they like
    assert averaging(of(records, DEFENSE)).outcome == "warn"


def test_only_an_adaptive_attack_that_follows_gradients_vouches(made: Any) -> None:
    """Neither a white-box average of a gradient that misleads nor an average of scores says that PGD saw its way."""
    drawn = {"draws": {"select": 16, "score": 32}}
    clean = made.clean_record(DEFENSE, share(1.0)) | drawn
    made.with_outcomes(clean, clean_correct=share(1.0), selected=16 * share(1.0), scored=32 * share(1.0))
    clean["evidence"] = {"noise": {"agreement": 0.11, "draws": 64}}
    records = [clean]
    for name, knowledge, draws in (("pgd", "adaptive", 2), ("pgd", "white-box", 512), ("square", "adaptive", 512)):
        attack = made.attack_record(DEFENSE, name, 32 * share(0.3), knowledge=knowledge, selected=16 * share(0.3))
        records.append(attack | drawn | {"notes": {"surface": {"expectation": draws}}})
    verdict = averaging(of(records, DEFENSE))
    assert verdict.outcome == "fail", verdict.evidence
    assert "over 2 draws" in verdict.evidence


def under_seeds(made: Any, *seeds: tuple[float, int]) -> Any:
    """A row of which each seed's gradients agree so much, and its attack averaged so many draws."""
    drawn = {"draws": {"select": 16, "score": 32}}
    records = []
    for seed, (agreement, draws) in enumerate(seeds):
        clean = made.clean_record(DEFENSE, share(1.0), seed=seed) | drawn
        made.with_outcomes(clean, clean_correct=share(1.0), selected=16 * share(1.0), scored=32 * share(1.0))
        clean["evidence"] = {"noise": {"agreement": agreement, "draws": 64}}
        attack = made.attack_record(DEFENSE, "pgd", 32 * share(0.3), selected=16 * share(0.3), seed=seed)
        records += [clean, attack | drawn | {"notes": {"surface": {"expectation": draws}}}]
    return of(records, DEFENSE)


def test_the_seed_whose_gradients_agree_least_counts(made: Any) -> None:
    assert averaging(under_seeds(made, (0.9, 4), (0.05, 4))).outcome == "fail"


def test_the_draws_of_one_seed_do_not_vouch_for_another(made: Any) -> None:
    verdict = averaging(under_seeds(made, (0.05, 64), (0.05, 1)))
    assert verdict.outcome == "fail"
    assert "over 1 draws, the gradient has a predicted cosine of 0.22" in verdict.evidence
