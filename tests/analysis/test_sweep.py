"""Accuracy against epsilon."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis import cells, curve, leaderboard

from .whole_ladder import N, first, ladder, row


def test_a_minimum_norm_attack_at_one_epsilon_counts_at_every_other(made: Any) -> None:
    wide, near = ladder(made, "none", first(200)), np.linspace(0.001, 0.4, N)
    for record in wide:
        if record["kind"] == "attack":
            record["threat"] = record["threat"] | {"epsilon": 0.1}
            record["cell_id"] += "b"
    deep = made.attack_record("none", "hopskipjump", (near > 0.3), knowledge="black-box", distance=near)
    records = [*wide, deep]
    board = leaderboard(records).set_index("epsilon")
    assert board.loc[0.1, "robust_accuracy"] == pytest.approx((near > 0.1 + 1e-5).mean())
    assert board.loc[0.3, "robust_accuracy"] == pytest.approx((near > 0.3).mean())
    fine = curve(records).query("source == 'minimum-norm'")
    assert np.interp(0.2, fine.epsilon, fine.accuracy) == pytest.approx(0.5, abs=0.02)
    assert fine.accuracy.is_monotonic_decreasing
    assert set(curve(records).query("source == 'swept'").epsilon) == {0.1, 0.3}


def test_a_swept_curve_is_of_the_attacks_and_images_of_every_radius(made: Any) -> None:
    """The headline has the whole ladder on all images, other radii PGD on a few: the curve must not dip there."""
    records = ladder(made, "none", first(40))
    wide = made.attack_record("none", "pgd", np.arange(50) < 30, epsilon=0.1)
    narrow = made.attack_record("none", "pgd", np.arange(N) < 120)  # of the first 50 it leaves all
    ladder_alone = [r for r in records if r["kind"] != "attack" or r["attack"]["label"] != "pgd"]
    points = curve([*ladder_alone, narrow, wide]).query("source == 'swept'").set_index("epsilon")
    assert points.accuracy.to_dict() == {0.1: 0.6, 0.3: 1.0}
    assert set(points.samples) == {50}
    assert points.loc[0.3, "low"] < 1.0 == points.loc[0.3, "high"]


def test_a_radius_that_shares_no_attack_is_left_out_of_the_curve_and_not_its_defense(made: Any) -> None:
    records = [
        made.clean_record("none", np.ones(N)),
        *(made.attack_record("none", "pgd", first(100), epsilon=epsilon) for epsilon in (0.1, 0.2, 0.4)),
        *(made.attack_record("none", "bim", first(90), epsilon=epsilon) for epsilon in (0.1, 0.3)),
    ]
    points = curve(records).query("source == 'swept'")
    assert points.epsilon.tolist() == [0.1, 0.2, 0.4]
    assert set(points.attacks) == {"pgd"}


def test_an_attack_that_failed_at_a_radius_or_met_it_as_another_attacker_is_not_of_every_radius(made: Any) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for epsilon, level, status in ((0.1, "white-box", "failed"), (0.3, "adaptive", "ok")):
        records.append(made.attack_record("none", "pgd", first(120), knowledge="white-box", epsilon=epsilon))
        other = made.attack_record("none", "mim", first(20), knowledge="white-box", epsilon=epsilon)
        records.append(other | {"status": status})
        records.append(made.attack_record("none", "bim", first(10), knowledge=level, epsilon=epsilon))
    points = curve(records).query("source == 'swept'").set_index("epsilon")
    assert points.accuracy.to_dict() == {0.1: 0.6, 0.3: 0.6}


def test_what_draws_has_no_curve_of_least_distances(made: Any) -> None:
    """Such an attack ends on the boundary of one draw."""
    deep = made.attack_record("none", "hopskipjump", np.ones(50), norm="l2", epsilon=2.0, distance=np.full(50, 0.5))
    deep["attack"]["minimum_norm"] = True
    clean = made.clean_record("none", np.ones(50))
    assert len(curve([clean, deep], norm="l2").query("source == 'minimum-norm'"))
    for record in (clean, deep):
        record["draws"] = {"select": 2, "score": 2}
    assert not len(curve([clean, deep], norm="l2").query("source == 'minimum-norm'"))


def test_a_curve_of_minimum_norm_attacks_stands_on_images_that_the_telling_ones_met(made: Any) -> None:
    """One of 32 images finds all of them near; the other, of all images, nothing: the rest is unknown, not unbroken."""
    records = ladder(made, "none", first(200))
    for name, n, near in (("deepfool", N, np.inf), ("hopskipjump", 32, 0.05)):
        found = made.attack_record("none", name, np.ones(n), norm="l2", epsilon=2.0, distance=np.full(n, near))
        found["attack"]["minimum_norm"] = True
        records.append(found)
    fine = curve(records, norm="l2").query("source == 'minimum-norm'")
    assert set(fine.samples) == {32}
    assert fine.accuracy.iloc[-1] == 0.0


def test_without_any_attack_there_is_a_board_of_clean_accuracies(made: Any) -> None:
    found = row([made.clean_record("none", first(150))])
    assert found["norm"] == ""
    assert found["clean_accuracy"] == pytest.approx(0.75)
    assert len(leaderboard([])) == 0
    assert len(cells([])) == 0
    assert len(curve([])) == 0


def test_a_curve_survives_more_distances_than_clean_answers(made: Any) -> None:
    deep = made.attack_record("none", "hopskipjump", np.ones(50), norm="l2", epsilon=2.0, distance=np.full(50, 0.5))
    deep["attack"]["minimum_norm"] = True
    fine = curve([made.clean_record("none", np.ones(20)), deep], norm="l2").query("source == 'minimum-norm'")
    assert set(fine.samples) == {20}
