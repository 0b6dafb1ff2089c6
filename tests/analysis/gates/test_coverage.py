from __future__ import annotations

from typing import Any

import numpy as np

from bench.analysis.gates.coverage import coverage

DEFENSE = "median[size=3]"


def first(standing: float, n: int) -> np.ndarray:
    """The first so many of n images right."""
    return (np.arange(n) < standing * n).astype(np.uint8)


def test_a_number_that_few_images_were_really_tried_for_stands_on_those(made: Any, attacked: Any) -> None:
    """A transfer on all images leaves most of them; the ladder breaks all of the 64 that it was tried on."""
    ladder = [
        made.attack_record(DEFENSE, name, np.zeros(64, np.uint8), knowledge=level)
        for name, level in (("pgd", "adaptive"), ("apgd-dlr", "adaptive"), ("square", "black-box"))
    ]
    evidence = attacked([("pgd", "oblivious", 0.9)], records=ladder)
    verdict = coverage(evidence)
    assert verdict.outcome == "warn"
    assert "(apgd-dlr; pgd; and 1 more) 0.0%: the number is that of the first 64 images" in verdict.evidence
    assert evidence.row.worst_shares is not None
    assert (len(evidence.row.worst_shares), evidence.row.worst_shares.sum()) == (64, 0)


def test_shorter_attacks_that_find_nothing_new_pass(made: Any, attacked: Any) -> None:
    brief = made.attack_record(DEFENSE, "apgd-dlr", first(0.5, 400)[:64], knowledge="adaptive")
    assert coverage(attacked([("pgd", "adaptive", 0.5)], records=[brief])).outcome == "pass"


def one_in(spacing: int, made: Any, attacked: Any) -> Any:
    """One image in so many stands under an attack on all 400, none of 110 under another."""
    standing = (np.arange(400) % spacing == 0).astype(np.uint8)
    long = made.attack_record(DEFENSE, "pgd", standing, knowledge="adaptive")
    brief = made.attack_record(DEFENSE, "apgd-dlr", np.zeros(110, np.uint8), knowledge="adaptive")
    return attacked([], records=[long, brief])


def test_a_fall_that_may_be_chance_warns(made: Any, attacked: Any) -> None:
    """Three images of 110, where one in a hundred would be no matter: p = .10."""
    evidence = one_in(50, made, attacked)
    assert len(evidence.row.worst_shares) == 400
    verdict = coverage(evidence)
    assert verdict.outcome == "warn"
    assert (
        "Of the first 110 images attacks on all 400 leave 2.7%, with those on fewer (apgd-dlr) 0.0%, which may be"
        in verdict.evidence
    )


def test_five_images_of_a_hundred_that_an_attack_on_these_alone_breaks_are_no_chance(made: Any, attacked: Any) -> None:
    """A test that looked for falls in both directions would call it so (p = .06): nothing can rise."""
    evidence = one_in(25, made, attacked)
    assert (len(evidence.row.worst_shares), evidence.row.worst_shares.sum()) == (110, 0)
    assert "0.0%: the number is that of the first 110 images" in coverage(evidence).evidence


def test_what_every_attack_saw_whole_passes(attacked: Any) -> None:
    verdict = coverage(attacked([("pgd", "adaptive", 0.5), ("square", "black-box", 0.7)]))
    assert verdict.outcome == "pass"
    assert "all 400 images" in verdict.evidence


def test_without_an_attack_that_counts_there_is_nothing_to_judge(attacked: Any) -> None:
    assert coverage(attacked([("noise", "white-box", 0.9)])).outcome == "n/a"


def test_a_seed_that_met_fewer_attacks_does_not_raise_the_mean(made: Any, row_of: Any) -> None:
    """Under the second seed nobody tried APGD, which breaks three in four under the first."""
    records = []
    for seed in (0, 1):
        records += [
            made.clean_record(DEFENSE, np.ones(400), seed=seed),
            made.attack_record(DEFENSE, "pgd", first(0.8, 400), knowledge="adaptive", seed=seed),
        ]
    assert coverage(row_of(records, DEFENSE)).outcome == "pass"
    records.append(made.attack_record(DEFENSE, "apgd-dlr", first(0.25, 400), knowledge="adaptive"))
    verdict = coverage(row_of(records, DEFENSE))
    assert verdict.outcome == "fail"
    assert "apgd-dlr was not tried under all seeds: where it was, 25.0% of 400 images are left" in verdict.evidence


def test_a_shorter_attack_that_finds_nothing_hides_none_that_does(made: Any, attacked: Any) -> None:
    long = made.attack_record(DEFENSE, "pgd", (np.arange(400) % 50 == 0).astype(np.uint8), knowledge="adaptive")
    idle = made.attack_record(DEFENSE, "mim", np.ones(200, np.uint8), knowledge="adaptive")
    brief = made.attack_record(DEFENSE, "apgd-dlr", np.zeros(110, np.uint8), knowledge="adaptive")
    verdict = coverage(attacked([], records=[long, idle, brief]))
    assert verdict.outcome == "warn"
    assert "which may be chance" in verdict.evidence


def test_a_number_of_all_that_is_lower_stands_and_is_said_to_be_too_high(made: Any, attacked: Any) -> None:
    """A quarter of the first 80 images falls to the short attack; of the others, which it never met, most fell."""
    standing = (np.arange(400) < 100).astype(np.uint8)
    long = made.attack_record(DEFENSE, "pgd", standing, knowledge="adaptive")
    brief = made.attack_record(DEFENSE, "apgd-dlr", (np.arange(80) < 60).astype(np.uint8), knowledge="adaptive")
    evidence = attacked([], records=[long, brief])
    assert evidence.row.worst_shares.mean() == 0.2
    verdict = coverage(evidence)
    assert verdict.outcome == "warn"
    assert verdict.evidence.endswith("stands, but it is too high.")


def test_seeds_that_have_no_attack_in_common_give_no_mean(made: Any, row_of: Any) -> None:
    records = []
    for seed, (name, standing) in enumerate((("pgd", 0.1), ("bim", 0.9))):
        records.append(made.clean_record(DEFENSE, np.ones(400), seed=seed))
        records.append(made.attack_record(DEFENSE, name, first(standing, 400), seed=seed))
    verdict = coverage(row_of(records, DEFENSE))
    assert verdict.outcome == "fail"
    assert "was not tried under all seeds" in verdict.evidence
