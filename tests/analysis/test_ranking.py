"""The leaderboard, from records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bench.analysis import cells, leaderboard

from .whole_ladder import CORE, N, first, ladder, row


def test_the_worst_case_is_the_conjunction_over_attacks_and_the_clean_image(made: Any) -> None:
    records = ladder(made, "none", first(150))
    records.append(made.attack_record("none", "mim", 1 - first(50), knowledge="white-box"))
    found = row(records)
    assert found["robust_accuracy"] == pytest.approx(100 / N)
    assert found["white_box"] == pytest.approx(100 / N)
    assert found["adaptive"] == pytest.approx(150 / N)
    assert found["clean_accuracy"] == 1.0
    assert math.isnan(found["oblivious"])
    assert found["status"] == "ranked"
    assert found["attacks"] == 5


def test_the_strongest_attack_is_the_one_that_wins_most(made: Any) -> None:
    records = ladder(made, "none", first(180))
    records.append(made.attack_record("none", "mim", 1 - first(60), knowledge="white-box"))
    assert (row(records)["strongest_attack"], row(records)["strongest_knowledge"]) == ("mim", "white-box")


def test_controls_never_lower_a_number(made: Any) -> None:
    records = ladder(made, "none", first(150))
    records.append(made.attack_record("none", "noise", first(0), knowledge="white-box"))
    assert row(records)["robust_accuracy"] == pytest.approx(0.75)
    assert cells(records).query("attack == 'noise'").iloc[0]["accuracy"] == 0.0


def test_an_attack_on_fewer_and_easier_images_lowers_the_number_and_never_raises_it(made: Any) -> None:
    """Three of the first twenty fall: of these 85 % are left, of all, of which others broke fifty, fewer."""
    records = ladder(made, "none", first(150))
    records.append(made.attack_record("none", "mim", 1 - first(3, 20), knowledge="adaptive"))
    assert (row(records)["robust_accuracy"], row(records)["samples"]) == (pytest.approx(147 / N), N)
    assert "coverage" in row(records)["warnings"]


def test_where_an_attack_on_fewer_images_breaks_what_others_leave_the_number_stands_on_those(made: Any) -> None:
    records = ladder(made, "none", first(150))
    records.append(made.attack_record("none", "mim", 1 - first(15, 20), knowledge="adaptive"))
    found = row(records)
    assert (found["robust_accuracy"], found["samples"]) == (0.25, 20)
    assert (found["adaptive"], found["adaptive_samples"]) == (0.25, 20)
    assert (found["adaptive_low"], found["adaptive_high"]) == pytest.approx((0.112, 0.469), abs=1e-3)  # Wilson
    assert (found["black_box"], found["black_box_samples"]) == (0.75, N)
    assert found["robust_high"] > 0.45  # the interval is that of twenty images
    assert (found["strongest_attack"], found["strongest_share"]) == ("mim", 0.75)


def test_a_level_is_that_of_the_seeds_that_met_most_attacks(made: Any) -> None:
    records = [r for seed in (0, 1) for r in ladder(made, "none", first(150), seed=seed)]
    records.append(made.attack_record("none", "mim", first(10), knowledge="adaptive"))
    assert row(records)["adaptive"] == pytest.approx(10 / N)
    assert row(records)["robust_accuracy"] == pytest.approx(80 / N)  # a mean over seeds, which gate coverage fails


def test_a_randomised_row_has_fractions_and_a_bootstrap_interval(made: Any) -> None:
    records = ladder(made, "superiot[window=3]", first(150))
    for record in records:
        record["draws"] = {"select": 16, "score": 32}
        right = first(150) if record["kind"] == "attack" else np.ones(N, dtype=np.uint8)
        record |= made.with_outcomes(
            record, clean_correct=right, selected=right * 16, scored=right * 16, distance=np.zeros(N, np.float32)
        )
    found = row(records, "superiot[window=3]")
    assert found["robust_accuracy"] == pytest.approx(0.375)
    assert found["wrong_in_1"] == pytest.approx(0.625)
    assert found["wrong_in_10"] == pytest.approx(0.25 + 0.75 * (1 - math.comb(16, 10) / math.comb(32, 10)))
    assert found["wrong_in_100"] == pytest.approx(0.25 + 0.75 * (1 - 0.5**100))  # more than draws
    assert found["clean_wrong_in_1"] == pytest.approx(0.5)
    assert 0.3 < found["robust_low"] < 0.375 < found["robust_high"] < 0.45


def test_oblivious_attacks_may_lower_but_never_rank_a_jointly_trained_defense(made: Any) -> None:
    name = "adversarial-training"
    records = ladder(made, name, first(150))
    records.append(made.attack_record(name, "pgd", first(100), knowledge="oblivious"))
    found = row(records, name)
    assert found["robust_accuracy"] == pytest.approx(0.5)
    assert found["oblivious_is_transfer"]
    alone = [r for r in records if r["kind"] == "clean" or r["knowledge"] == "oblivious"]
    assert row(alone, name)["status"] == "no adaptive attack"


def test_rows_that_cannot_be_told_apart_share_ranks(made: Any) -> None:
    records = [
        *ladder(made, "none", first(20)),
        *ladder(made, "adversarial-training", first(150)),
        *ladder(made, "qusec-cq[levels=2]", first(148)),
    ]
    board = leaderboard(records)
    assert board.defense.tolist() == ["adversarial-training", "qusec-cq[levels=2]", "none"]
    assert board["rank"].tolist() == ["1–2", "1–2", "3"]


def test_unranked_rows_stand_below_ranked_ones(made: Any) -> None:
    records = ladder(made, "none", first(20)) + [
        r for r in ladder(made, "median[size=3]", first(190)) if r.get("knowledge") != "adaptive"
    ]
    assert leaderboard(records).defense.tolist() == ["none", "median[size=3]"]


def test_a_minimum_norm_attack_that_found_nothing_breaks_nothing(made: Any) -> None:
    records = ladder(made, "none", first(200))
    for distance in (np.full(N, np.inf), np.zeros(N)):
        deep = made.attack_record("none", "hopskipjump", np.ones(N), epsilon=0.1, distance=distance)
        found = row([*records, deep], setting=1)
        assert (found["epsilon"], found["robust_accuracy"], found["attacks"]) == (0.3, 1.0, 5)


def test_seeds_are_averaged_and_their_spread_is_given_apart(made: Any) -> None:
    records = ladder(made, "none", first(100)) + ladder(made, "none", first(140), seed=1)
    found = row(records)
    assert found["seeds"] == 2
    assert found["robust_accuracy"] == pytest.approx(0.6)
    assert found["seed_spread"] == pytest.approx(np.std([0.5, 0.7], ddof=1))


def test_what_is_wrong_within_queries_is_a_mean_over_seeds_of_what_each_loses(made: Any) -> None:
    """Networks that draw nothing are wrong at the first query or never; a mean of their answers would say otherwise."""
    records = ladder(made, "none", first(100)) + ladder(made, "none", first(140), seed=1)
    found = row(records)
    assert [found[f"wrong_in_{k}"] for k in (1, 10, 100)] == pytest.approx([0.4, 0.4, 0.4])


def test_a_twin_is_the_network_of_the_same_seed(made: Any) -> None:
    records = [r for seed in (0, 1) for r in ladder(made, "none", first(20 + 60 * seed), seed=seed)]
    records += ladder(made, "median[size=3]", first(20))
    assert row(records, "median[size=3]")["twin_difference"] == 0.0


def test_a_hole_under_one_seed_is_a_hole(made: Any) -> None:
    records = ladder(made, "none", first(100)) + ladder(made, "none", first(100), seed=1)
    assert row(records[:-1])["status"] == "incomplete"


def test_settings_are_never_mixed(made: Any) -> None:
    records = ladder(made, "none", first(100))
    other = made.attack_record("none", "pgd", first(0), epsilon=0.2)
    records += [other, made.attack_record("none", "mim", first(0), dataset="digits")]
    board = leaderboard(records)
    assert len(board) == 3
    found = board.query("dataset == 'mnist' and epsilon == 0.3").iloc[0]
    assert found["robust_accuracy"] == pytest.approx(0.5)


def test_a_defense_that_was_not_attacked_still_has_its_row(made: Any) -> None:
    records = [*ladder(made, "none", first(100)), made.clean_record("median[size=3]", np.ones(N))]
    found = row(records, "median[size=3]")
    assert found["status"] == "no adaptive attack"
    assert math.isnan(found["robust_accuracy"])
    assert found["clean_accuracy"] == 1.0


def test_costs_are_joined_with_onnxruntime_and_the_default_wire_first(made: Any) -> None:
    name = "qusec-cq[levels=2]"
    found = row([*ladder(made, name, first(100)), made.cost_record(name)], name)
    assert found["latency_ratio"] == pytest.approx(1.06)
    assert found["latency_ratio_low"] < 1.06 < found["latency_ratio_high"]
    assert found["device_ms"] == pytest.approx(0.09)
    assert (found["uplink_bytes"], found["uplink_bytes_p95"]) == pytest.approx((98, 98 * 1.2))
    assert found["energy_provenance"] == "estimated-tdp"
    assert found["published"] == "fgsm at ε 0.1: 96.3 % (levels=2, white-box attacker, figure 5); pgd: 95.1 %"


def test_published_figures_of_other_data_sets_stay_away(made: Any) -> None:
    records = ladder(made, "qusec-cq[levels=2]", first(100), dataset="digits")
    assert row(records, "qusec-cq[levels=2]")["published"] == ""


def test_cells_show_what_happened_to_each(sample: list[dict[str, Any]]) -> None:
    frame = cells(sample)
    assert len(frame) == len(sample)
    assert set(frame.status) == {"ok", "failed", "skipped", "timed-out"}
    assert frame.query("status != 'ok'").reason.str.len().min() > 0
    assert frame.query("status == 'ok' and kind == 'attack'").accuracy.notna().all()
    attacked = frame.query("status == 'ok' and kind == 'attack' and attack == 'pgd' and defense == 'none'")
    assert (attacked.success_rate > 0.3).all()
    assert frame.query("attack == 'null'").success_rate.max() < 0.05
    assert frame.query("transfer").defense.isin(["adversarial-training", "qusec-tq[levels=4,hardness=50]"]).all()


def test_the_same_records_in_any_order_give_the_same_board(sample: list[dict[str, Any]]) -> None:
    mixed = list(sample)
    np.random.default_rng(0).shuffle(mixed)
    assert leaderboard(mixed).equals(leaderboard(sample))
    assert cells(mixed).equals(cells(sample))


def test_a_level_is_judged_on_the_images_that_its_attacks_were_tried_on(made: Any) -> None:
    records = [r for r in ladder(made, "none", first(150)) if r.get("attack", {}).get("name") != "square"]
    records.append(made.attack_record("none", "square", first(5, 20), knowledge="black-box"))
    found = row(records)
    # Five of the twenty that were tried, not those and 180 that nobody touched.
    assert (found["black_box"], found["black_box_samples"]) == (0.25, 20)
    assert (found["adaptive"], found["adaptive_samples"]) == (0.75, N)
    assert found["oblivious_samples"] == 0
    assert (found["robust_accuracy"], found["samples"]) == (0.25, 20)
    few = [made.clean_record("none", np.ones(N))]
    few += [made.attack_record("none", a, first(5, 20), knowledge=k) for a, k in CORE.items()]
    assert (row(few)["robust_accuracy"], row(few)["samples"]) == (0.25, 20)


def test_the_smallest_difference_that_would_show_is_that_of_the_ranked_pairs(made: Any) -> None:
    from bench.analysis.statistics import detectable_difference

    names = ("none", "median[size=3]", "jpeg[quality=50]")
    records = [record for name in names for record in ladder(made, name, first(150))]
    assert row(records)["detectable_difference"] == pytest.approx(detectable_difference(N, 3))


def test_rows_that_were_not_attacked_do_not_sharpen_what_would_show(made: Any) -> None:
    from bench.analysis.statistics import detectable_difference

    records = [made.clean_record(name, np.ones(N)) for name in ("none", "median[size=3]", "jpeg[quality=50]")]
    records += [made.attack_record(d, "pgd", first(5, 20), knowledge="oblivious") for d in ("none", "median[size=3]")]
    assert row(records)["detectable_difference"] == pytest.approx(detectable_difference(20, 1))


def test_the_worst_gate_and_the_warnings_stand_in_the_row(made: Any) -> None:
    records = ladder(made, "none", first(150))
    found = row(records)
    assert (found["worst_gate"], found["warnings"]) == ("warn", "sample-size")
    records[1]["gates"] = [{"name": "gradients", "outcome": "fail", "evidence": "no gradient"}]
    assert row(records)["worst_gate"] == "fail"


def test_a_gate_of_rows_that_fails_bars_the_ranking(made: Any) -> None:
    records = [r for r in ladder(made, "none", first(150)) if (r.get("attack") or {}).get("label") != "pgd"]
    records += [made.attack_record("none", "pgd", first(190)), made.attack_record("none", "fgsm", first(150))]
    found = row(records)
    assert found["status"] == "not ranked: ITERATIVE"
    assert "fgsm (adaptive) leaves 75.0%" in found["reasons"]
    assert found["rank"] == ""


def test_what_a_row_keeps_more_than_its_twin_is_paired_and_has_an_interval(made: Any) -> None:
    records = ladder(made, "none", first(20)) + ladder(made, "adversarial-training", first(120))
    held = row(records, "adversarial-training")
    assert held["twin_difference"] == pytest.approx(0.5)
    assert held["twin_low"] < 0.5 < held["twin_high"]
    assert math.isnan(row(records)["twin_difference"])
    alone = row(ladder(made, "adversarial-training", first(120)), "adversarial-training")
    assert math.isnan(alone["twin_difference"])


def test_without_a_common_seed_there_is_no_twin(made: Any) -> None:
    """Another training seed may be a better network, whose loss would be laid to the defense."""
    records = [*ladder(made, "none", first(20)), *ladder(made, "median[size=3]", first(180), seed=1)]
    assert math.isnan(row(records, "median[size=3]")["twin_difference"])


@pytest.mark.parametrize("few_first", [True, False])
def test_success_is_of_all_images_whichever_clean_record_comes_first(made: Any, few_first: bool) -> None:
    records = ladder(made, "none", first(50))
    brief = made.clean_record("none", np.ones(20))
    brief |= {"run_key": "brief", "cell_id": "0" * 32 if few_first else "f" * 32}
    found = cells([*records, brief]).query("attack == 'pgd'").iloc[0]
    assert found["success_rate"] == 0.75


def test_draws_that_fall_and_draws_that_rise_are_no_success(made: Any) -> None:
    """Falls alone would make a success of 25 % of an attack that does nothing."""
    one_way, other = np.tile([32, 16], 100), np.tile([16, 32], 100)
    clean, idle = made.clean_record("none", one_way), made.attack_record("none", "noise", other)
    for record in (clean, idle):
        record["draws"] = {"select": 16, "score": 32}
    assert cells([clean, idle]).query("attack == 'noise'").iloc[0]["success_rate"] == 0.0


def test_the_median_distance_is_of_all_images(made: Any) -> None:
    """Wrong without attack: 0; not found: infinite."""
    clean = made.clean_record("none", np.array([0, 1, 1, 1, 1]))
    near = np.array([0.9, 1.0, 2.0, np.inf, 0.0])
    deep = made.attack_record("none", "hopskipjump", [0, 1, 1, 1, 1], norm="l2", epsilon=0.5, distance=near)
    deep["attack"]["minimum_norm"] = True
    assert cells([clean, deep]).query("attack == 'hopskipjump'").iloc[0]["median_distance"] == 2.0


def test_a_deployment_that_failed_without_a_reason_says_so(made: Any) -> None:
    records = ladder(made, "none", first(50))
    del records[0]["reason"]
    records[0]["status"] = "failed"
    assert row(records)["reasons"] == "failed: no reason was given"


def test_the_distance_of_what_is_wrong_without_attack_is_nothing(made: Any) -> None:
    clean = made.clean_record("none", np.array([0, 0, 0, 1, 1]))
    far = np.array([9.0, 9.0, np.inf, 1.0, 2.0])
    deep = made.attack_record("none", "hopskipjump", [0, 0, 0, 1, 1], norm="l2", epsilon=0.5, distance=far)
    assert cells([clean, deep]).query("attack == 'hopskipjump'").iloc[0]["median_distance"] == 0.0


def test_a_randomised_row_is_chosen_on_one_set_of_draws_and_scored_on_the_other(made: Any) -> None:
    """On the draws that choose the attack does worse than nothing on a quarter of the images, on the others better."""
    name, quarter = "superiot[window=3]", np.arange(N) < N / 4
    selected, scored = np.where(quarter, 4, 16), np.where(quarter, 24, 0)
    records = ladder(made, name, first(N))
    for record in records:
        attacked = record["kind"] == "attack"
        record["draws"] = {"select": 16, "score": 32}
        made.with_outcomes(
            record,
            clean_correct=np.ones(N, np.uint8),
            selected=(selected if attacked else np.where(quarter, 16, 15)).astype(np.uint8),
            scored=(scored if attacked else np.full(N, 32)).astype(np.uint8),
            distance=np.zeros(N, np.float32),
        )
    assert row(records, name)["robust_accuracy"] == pytest.approx(0.25 * 24 / 32 + 0.75)


def test_a_number_stands_on_as_many_images_as_telling_attacks_leave_it(made: Any) -> None:
    """Both short attacks break all that they saw: what the one on 100 images found, the one on 50 adds nothing to."""
    records = ladder(made, "none", first(N))
    for name, n in (("mim", 100), ("bim", 50)):
        records.append(made.attack_record("none", name, np.zeros(n), knowledge="adaptive"))
    assert (row(records)["robust_accuracy"], row(records)["samples"]) == (0.0, 100)


def test_what_a_minimum_norm_attack_found_on_one_draw_at_another_radius_says_nothing_here(made: Any) -> None:
    """Such an attack ends on the boundary of a draw."""
    name, drawn = "superiot[window=3]", {"draws": {"select": 16, "score": 32}}
    records = ladder(made, name, first(N))
    for record in records:
        record |= drawn
        most = {key: np.full(N, count, np.uint8) for key, count in (("selected", 16), ("scored", 32))}
        made.with_outcomes(record, clean_correct=np.ones(N, np.uint8), distance=np.zeros(N, np.float32), **most)
    near = np.full(N, 0.01)
    deep = made.attack_record(name, "hopskipjump", np.zeros(N), epsilon=0.1, distance=near) | drawn
    found = row([*records, deep], name, setting=1)
    assert (found["epsilon"], found["robust_accuracy"], found["attacks"]) == (0.3, 1.0, 4)


def test_of_a_minimum_norm_attack_at_two_other_radii_one_counts(made: Any) -> None:
    records = ladder(made, "none", first(N))
    for epsilon in (0.1, 0.2):
        records.append(made.attack_record("none", "hopskipjump", np.ones(N), epsilon=epsilon, distance=np.full(N, 0.5)))
    assert row(records, setting=2)["attacks"] == 5


def test_what_a_minimum_norm_attack_was_not_tried_on_it_did_not_break(made: Any) -> None:
    near = {"attacked": np.arange(N) < 50, "distance": np.full(N, 0.05)}
    deep = made.attack_record("none", "hopskipjump", np.ones(N), epsilon=0.1, **near)
    assert row([*ladder(made, "none", first(N)), deep], setting=1)["robust_accuracy"] == pytest.approx(0.75)


@pytest.mark.parametrize("change", ["domain", "targeted", "budget", "weights"])
def test_what_was_asked_otherwise_lowers_no_number(made: Any, change: str) -> None:
    other = made.attack_record("none", "mim", first(0))
    part, told = {
        "domain": ("threat", {"domain": "float"}),
        "targeted": ("threat", {"targeted": True}),
        "weights": ("model", {"weights": "user", "digest": "ab" * 16}),
        "budget": ("", {"budget": "quick"}),
    }[change]
    (other[part] if part else other).update(told)
    board = leaderboard([*ladder(made, "none", first(100)), other])
    assert board.query("attacks == 4").robust_accuracy.tolist() == [0.5]


def test_clean_images_that_were_judged_count_before_those_that_failed(made: Any) -> None:
    records = ladder(made, "none", first(100))
    failed = made.clean_record("none", first(0)) | {"status": "failed", "cell_id": "f" * 32, "run_key": "f" * 32}
    del failed["outcomes"]
    records[0]["budget"] = "quick"
    assert row([*records, failed])["status"] == "ranked"


def test_clean_images_are_asked_as_often_as_the_attacked_ones_beside_them(made: Any) -> None:
    """The number stands on the first twenty images; of the others a quarter is wrong without any attack."""
    records = ladder(made, "none", first(150))
    made.with_outcomes(records[0], **dict.fromkeys(("clean_correct", "selected", "scored"), first(150)))
    records.append(made.attack_record("none", "mim", 1 - first(15, 20), knowledge="adaptive"))
    found = row(records)
    assert (found["samples"], found["wrong_in_1"], found["clean_wrong_in_1"]) == (20, 0.75, 0.0)


def test_the_twin_is_met_under_the_seeds_that_both_have_a_number_of(made: Any) -> None:
    records = []
    for name in ("none", "jpeg[quality=50]"):
        for seed, left in ((0, 160), (1, 80)):
            records.append(made.clean_record(name, np.ones(200), seed=seed))
            records.append(made.attack_record(name, "pgd", first(left, 200), seed=seed))
    records[3]["status"] = "timed-out"
    assert row(records, "jpeg[quality=50]")["twin_difference"] == 0.0
