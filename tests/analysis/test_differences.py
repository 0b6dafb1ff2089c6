from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.analysis import leaderboard
from bench.analysis.differences import differences
from bench.analysis.figures import DIFFERENCE_COLUMNS, UNITS
from bench.analysis.records import encode_array, load

Records = list[dict[str, Any]]
DEFENSE = "qusec-cq[levels=2]"
TOP = Path(__file__).parents[2]


def line(frame: pd.DataFrame, figure: str, defense: str = DEFENSE) -> dict[str, Any]:
    (found,) = frame[(frame["figure"] == figure) & (frame["defense"] == defense)].to_dict("records")
    return {str(name): value for name, value in found.items()}


@pytest.fixture
def pair(made: Any) -> tuple[Records, Records]:
    """Two runs of one attack on one defense, 200 images, 100 of them broken; apart in memory."""
    clean = np.ones(200)
    broken = np.repeat([0, 1], 100)
    run = [
        made.clean_record(DEFENSE, clean),
        made.attack_record(DEFENSE, "pgd", broken),
        made.cost_record(DEFENSE),
    ]
    return run, copy.deepcopy(run)


def rescored(record: dict[str, Any], scored: np.ndarray) -> None:
    for name in ("scored", "selected"):
        record["outcomes"][name] = encode_array(np.asarray(scored, dtype=np.uint8))


def test_a_run_beside_itself_is_all_the_same(sample: Records) -> None:
    frame = differences(sample, copy.deepcopy(sample))
    assert set(frame["verdict"]) == {"same"}
    assert tuple(frame.columns) == DIFFERENCE_COLUMNS
    assert set(frame["figure"]) == set(UNITS)
    assert (frame["difference"] == 0).all()


@pytest.mark.parametrize("published", ["mnist", "cifar10"])
def test_published_comparisons_are_the_same_as_themselves(published: str) -> None:
    records = load(TOP / "reports" / published)
    assert set(differences(records, records)["verdict"]) == {"same"}


def test_before_and_after_are_what_the_leaderboard_says(sample: Records, made: Any) -> None:
    other = made.sample_records(n=300)
    frame = differences(sample, other)
    names = ["norm", "epsilon", "defense"]
    for side, records in (("before", sample), ("after", other)):
        board = leaderboard(records).set_index(names)
        for figure in ("robust_accuracy", "oblivious", "black_box", "white_box", "adaptive"):
            told = frame[frame["figure"] == figure].set_index(names)[side]
            expected = board[figure].reindex(told.index)
            assert told.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12), (side, figure)


def test_a_planted_drop_is_found_with_exactly_its_size_and_its_attack(pair: tuple[Records, Records], made: Any) -> None:
    before, after = pair
    square = np.ones(200)
    square[100:114] = 0  # of those that PGD leaves whole
    square[:30] = 0  # of those that it does not: nothing new
    after.append(made.attack_record(DEFENSE, "square", square, knowledge="black-box"))
    frame = differences(before, after)
    robust = line(frame, "robust_accuracy")
    assert robust["difference"] == pytest.approx(-14 / 200)
    assert (robust["before"], robust["after"], robust["images"]) == (0.5, pytest.approx(0.43), 200)
    assert robust["low"] < -14 / 200 < robust["high"] < 0
    assert robust["p"] == pytest.approx(2 / 2**14)
    assert robust["verdict"] == "lower"
    assert (robust["attack"], robust["knowledge"]) == ("square", "black-box")
    assert (robust["attack_images"], robust["changed_images"]) == (14, 14)
    assert robust["changed"] == "attacks only in B: square (black-box)"
    assert line(frame, "adaptive")["verdict"] == "same"
    assert line(frame, "black_box")["verdict"] == "only in B"
    assert line(frame, "clean_accuracy")["verdict"] == "same"
    # The other way round it rises, and the attack that is missing is named again.
    back = line(differences(after, before), "robust_accuracy")
    assert (back["verdict"], back["attack"]) == ("higher", "square")
    assert back["changed"] == "attacks only in A: square (black-box)"


def test_of_two_attacks_that_explain_a_fall_the_new_one_is_named(pair: tuple[Records, Records], made: Any) -> None:
    before, after = pair
    fewer = np.repeat([0, 1], 100)
    fewer[100:114] = 0
    rescored(after[1], fewer)
    after.append(made.attack_record(DEFENSE, "square", fewer, knowledge="black-box"))
    assert line(differences(before, after), "robust_accuracy")["attack"] == "square"
    assert line(differences(before, after), "adaptive")["attack"] == "pgd"


def test_what_clean_images_lose_is_not_laid_to_an_attack(pair: tuple[Records, Records]) -> None:
    before, after = pair
    right = np.ones(200)
    right[100:120] = 0
    for name in ("clean_correct", "scored", "selected"):
        after[0]["outcomes"][name] = encode_array(right.astype(np.uint8))
    rescored(after[1], np.repeat([0, 1], 100) * right)
    robust = line(differences(before, after), "robust_accuracy")
    assert (robust["attack"], robust["knowledge"], robust["attack_images"]) == ("clean images", "", 20)


def test_few_images_that_come_and_go_are_noise(pair: tuple[Records, Records]) -> None:
    before, after = pair
    moved = np.repeat([0, 1], 100)
    moved[[0, 1, 2, 150, 151, 152, 153]] ^= 1
    rescored(after[1], moved)
    robust = line(differences(before, after), "robust_accuracy")
    assert robust["verdict"] == "noise"
    assert robust["difference"] == pytest.approx(-1 / 200)
    assert robust["low"] < 0 < robust["high"]
    assert robust["attack"] == ""


def test_noise_is_called_a_change_in_at_most_one_of_twenty_runs(pair: tuple[Records, Records]) -> None:
    """A quarter of the images is broken by luck alone, anew in each run."""
    rng = np.random.default_rng(0)
    before, after = pair
    alarms = 0
    for _ in range(400):
        for side in (before, after):
            rescored(side[1], np.concatenate([np.zeros(75), np.ones(75), rng.integers(0, 2, 50)]))
        alarms += line(differences(before[:2], after[:2]), "robust_accuracy")["verdict"] in ("lower", "higher")
    assert alarms <= 20


def test_randomised_shares_are_compared_image_by_image(made: Any) -> None:
    rng = np.random.default_rng(5)
    draws = {"draws": {"select": 16, "score": 32}}

    def run(share: np.ndarray) -> Records:
        clean = made.with_outcomes(
            made.base("clean", DEFENSE, n=400) | draws,
            clean_correct=np.ones(400, dtype=np.uint8),
            selected=np.full(400, 16, dtype=np.uint8),
            scored=np.full(400, 32, dtype=np.uint8),
        )
        scored, selected = (rng.binomial(n, share).astype(np.uint8) for n in (32, 16))
        return [clean, made.attack_record(DEFENSE, "pgd", scored, selected=selected) | draws]

    share = rng.choice([0.05, 0.95], 400)
    first, again, weaker = run(share), run(share), run(np.where(np.arange(400) % 10 == 0, 0.05, share))
    assert line(differences(first, again), "robust_accuracy")["verdict"] == "noise"
    fallen = line(differences(first, weaker), "robust_accuracy")
    assert fallen["verdict"] == "lower"
    a, b = (float(leaderboard(run)["robust_accuracy"].iloc[0]) for run in (first, weaker))
    assert fallen["difference"] == pytest.approx(b - a)


def test_only_images_and_seeds_of_both_are_compared(made: Any) -> None:
    broken = np.repeat([0, 1], 100)
    first = [made.clean_record(DEFENSE, np.ones(200)), made.attack_record(DEFENSE, "pgd", broken)]
    longer = [
        made.clean_record(DEFENSE, np.ones(300)),
        made.attack_record(DEFENSE, "pgd", np.concatenate([broken, np.zeros(100)])),
    ]
    robust = line(differences(first, longer), "robust_accuracy")
    assert (robust["verdict"], robust["images"], robust["after"]) == ("same", 200, 0.5)
    seeded = [
        *longer,
        made.clean_record(DEFENSE, np.ones(200), seed=1),
        made.attack_record(DEFENSE, "pgd", 0 * broken, seed=1),
    ]
    assert line(differences(first, seeded), "robust_accuracy")["verdict"] == "same"
    refused = line(differences(first, seeded[2:]), "robust_accuracy")
    assert refused["verdict"] == "not comparable"
    assert refused["reason"] == "seeds (split/training/attack) 0/0/0 in A, 0/1/1 in B"


@pytest.mark.parametrize(
    ("part", "value", "reason", "clean_too"),
    [
        (("dataset", "fingerprint"), "beef" * 8, "other test images: fingerprint 5f1c5f1c in A, beefbeef in B", True),
        (("dataset", "version"), "2", "version of the data set 1 in A, 2 in B", True),
        (("model", "version"), "2", "version of the network 1 in A, 2 in B", True),
        (("model", "digest"), "beef" * 8, "other classifier weights: digest 00000000 in A, beefbeef in B", True),
        (("budget",), "quick", "budget standard in A, quick in B", False),
        (("threat", "epsilon"), 0.1, "epsilon 0.3 in A, 0.1 in B", False),
        (("threat", "domain"), "float", "domain uint8 in A, float in B", False),
        (("threat", "targeted"), True, "targeted in one of them only", False),
    ],
)
def test_what_is_not_asked_alike_is_refused_by_row_with_the_reason(
    pair: tuple[Records, Records], part: tuple[str, ...], value: object, reason: str, clean_too: bool
) -> None:
    before, after = pair
    for record in after:
        holder = record.get(part[0], {}) if len(part) == 2 else record
        if part[-1] in holder:
            holder[part[-1]] = value
    frame = differences(before, after)
    robust = line(frame, "robust_accuracy")
    assert (robust["verdict"], robust["reason"]) == ("not comparable", reason)
    assert np.isnan(robust["difference"])
    assert (robust["before"], robust["after"]) == (0.5, 0.5)
    assert (line(frame, "clean_accuracy")["verdict"] == "not comparable") is clean_too
    assert (line(frame, "uplink_bytes")["verdict"] == "not comparable") is clean_too


def test_images_and_weights_without_a_name_are_not_taken_for_the_same(pair: tuple[Records, Records]) -> None:
    before, after = pair
    for record in (*before, *after):
        record["model"]["digest"] = ""
    assert line(differences(before, after), "robust_accuracy")["reason"] == "no digest tells the classifier's weights"
    for record in (*before, *after):
        del record["dataset"]["fingerprint"]
    assert "no fingerprint" in line(differences(before, after), "robust_accuracy")["reason"]


def test_other_versions_of_defense_attack_and_libraries_are_told_and_compared(pair: tuple[Records, Records]) -> None:
    before, after = pair
    for record in after:
        record["defense"]["version"] = "2"
        record["provenance"]["versions"]["torch"] = "2.13.0"
    after[1]["attack"]["version"] = "3"
    robust = line(differences(before, after), "robust_accuracy")
    assert robust["verdict"] == "same"
    assert robust["changed"] == "pgd (adaptive) version 1 → 3; defense 1 → 2; torch 2.12.1 → 2.13.0"


def test_what_stands_on_one_side_only_says_so(pair: tuple[Records, Records], made: Any) -> None:
    before, after = pair
    before += [made.clean_record("none", np.ones(200)), made.attack_record("none", "pgd", np.zeros(200))]
    after[1]["status"] = "failed"
    frame = differences(before, after)
    assert line(frame, "robust_accuracy")["verdict"] == "only in A"
    assert line(frame, "robust_accuracy", "none")["verdict"] == "only in A"
    assert line(frame, "clean_accuracy")["verdict"] == "same"
    assert line(differences(after, before), "clean_accuracy", "none")["verdict"] == "only in B"


def measured(record: dict[str, Any], quantity: str, **more: Any) -> dict[str, Any]:
    item = next(m for m in record["measurements"] if m["quantity"] == quantity)
    item |= more
    return item


def test_what_is_counted_moves_by_a_byte_and_on_any_machine(pair: tuple[Records, Records]) -> None:
    before, after = pair
    after[2]["hardware"]["machine"] = {"cpu": "another"}
    measured(after[2], "uplink_bytes", value=99)
    frame = differences(before, after)
    uplink = line(frame, "uplink_bytes")
    assert (uplink["verdict"], uplink["difference"], uplink["p"]) == ("higher", 1, 0.0)
    assert line(frame, "model_bytes")["verdict"] == "same"
    ratio = line(frame, "latency_ratio")
    assert ratio["verdict"] == "same", "one measurement, read twice"
    measured(after[2], "latency_ratio", value=1.1)
    assert line(differences(before, after), "latency_ratio")["reason"] == "measured on different machines"
    measured(after[2], "uplink_bytes", n=641)
    assert line(differences(before, after), "uplink_bytes")["reason"] == "counted on 640 images in A, 641 in B"


def test_times_are_compared_beyond_interval_and_drift_where_they_were_taken_in_quiet(
    pair: tuple[Records, Records],
) -> None:
    before, after = pair
    for value, verdict in ((1.09, "noise"), (1.3, "higher"), (0.8, "lower")):
        measured(after[2], "latency_ratio", value=value, low=value * 0.98, high=value * 1.02)
        assert line(differences(before, after), "latency_ratio")["verdict"] == verdict
    measured(after[2], "latency_ratio", flags=["tainted: 3 of 10 quads (load)", "overlap"])
    assert line(differences(before, after), "latency_ratio")["reason"] == "not timed in quiet (B: tainted)"
    measured(after[2], "latency_ratio", flags=[], runtime="torch")
    assert "another runtime" in line(differences(before, after), "latency_ratio")["reason"]
    measured(after[2], "latency_ratio", runtime="", low=None)
    assert line(differences(before, after), "latency_ratio")["reason"] == "measured without an interval"


def test_estimated_energy_is_compared_with_nothing(pair: tuple[Records, Records]) -> None:
    before, after = pair
    measured(after[2], "energy_mj", value=99.0)
    assert "an estimate is compared with nothing" in line(differences(before, after), "energy_mj")["reason"]


def test_costs_of_one_machine_are_taken_where_both_sides_have_one(pair: tuple[Records, Records]) -> None:
    before, after = pair
    elsewhere = copy.deepcopy(before[2]) | {"run_key": "f" * 32}
    elsewhere["hardware"]["machine"] = {"cpu": "another"}
    measured(elsewhere, "latency_ratio", value=9.0, low=8.9, high=9.1)
    assert line(differences([*before, elsewhere], after), "latency_ratio")["verdict"] == "same"


def test_what_moved_stands_first_by_size_and_settings_keep_their_order(
    pair: tuple[Records, Records], made: Any
) -> None:
    before, after = pair
    for side, lost in ((before, 0), (after, 60)):
        kept = np.repeat([0, 1], 100)
        kept[100 : 100 + lost] = 0
        side += [made.clean_record("none", np.ones(200)), made.attack_record("none", "pgd", kept)]
    moved = np.repeat([0, 1], 100)
    moved[100:110] = 0
    rescored(after[1], moved)
    measured(after[2], "uplink_bytes", value=980)
    frame = differences(before, after)
    first = frame[frame["setting"] == 0]
    assert list(first["defense"]) == ["none", "none", DEFENSE, DEFENSE]
    assert list(first["figure"]) == ["robust_accuracy", "adaptive"] * 2
    assert frame["setting"].is_monotonic_increasing
    assert frame[frame["norm"] == ""].iloc[0]["figure"] == "uplink_bytes"


def test_an_attack_that_failed_under_one_of_several_seeds_is_missing(made: Any) -> None:
    """Without it the mean rises, which would hide a fall from somebody's CI."""
    run = [
        record
        for seed in (0, 1)
        for record in (
            made.clean_record(DEFENSE, np.ones(200), seed=seed),
            made.attack_record(DEFENSE, "pgd", np.repeat([0, 1], 100), seed=seed),
            made.attack_record(DEFENSE, "square", np.ones(200), knowledge="black-box", seed=seed),
        )
    ]
    crashed = copy.deepcopy(run)
    crashed[4] |= {"status": "failed", "reason": "out of memory"}
    robust = line(differences(run, crashed), "robust_accuracy")
    assert robust["verdict"] == "higher"
    assert robust["missing"] == "pgd (adaptive) failed under seeds 0/1/1"


def test_images_that_an_attack_is_blamed_for_are_of_those_compared(made: Any) -> None:
    """A short attack that tells cuts the number to its images; what it does elsewhere moved nothing."""
    before = [
        made.clean_record(DEFENSE, np.ones(200)),
        made.attack_record(DEFENSE, "mim", np.repeat([1, 0, 1], [100, 20, 80])),
        made.attack_record(DEFENSE, "pgd", np.zeros(40)),
    ]
    after = [made.clean_record(DEFENSE, np.ones(200)), made.attack_record(DEFENSE, "pgd", np.ones(200))]
    robust = line(differences(before, after), "robust_accuracy")
    assert (robust["verdict"], robust["images"], robust["changed_images"]) == ("higher", 40, 40)


def test_a_seed_without_a_number_on_one_side_is_left_out_of_both(made: Any) -> None:
    """Another seed is another network: what is left of it moves nothing."""

    def side(*ends: str) -> list[dict[str, Any]]:
        records = []
        for seed, (left, end) in enumerate(zip((160, 80), ends, strict=True)):
            records.append(made.clean_record("none", np.ones(200), seed=seed))
            attack = made.attack_record("none", "pgd", np.arange(200) < left, seed=seed)
            records.append(attack | {"status": end})
        return records

    frame = differences(side("ok", "timed-out"), side("ok", "ok")).set_index("figure")
    for figure in ("robust_accuracy", "adaptive"):
        told = frame.loc[figure]
        assert (told["verdict"], told["before"], told["after"]) == ("same", 0.8, 0.8)
    told = differences(side("ok", "timed-out"), side("timed-out", "ok")).set_index("figure").loc["robust_accuracy"]
    assert told["verdict"] == "not comparable"
    assert told["reason"] == "seeds (split/training/attack) 0/0/0 in A, 0/1/1 in B"
