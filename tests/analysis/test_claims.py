"""Claims on record beside our figures: what is set beside what, and what is said to differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.analysis.claims import in_words, on_record, reproduction
from bench.analysis.records import decode_array, encode_array
from bench.plugins.entries import Claim

CQ = "qusec-cq[levels=2]"
N = 100


def first(right: int, n: int = N) -> np.ndarray:
    return (np.arange(n) < right).astype(np.uint8)


def with_claims(records: list[dict[str, Any]], *claims: Claim, parameters: dict[str, Any] | None = None) -> Any:
    """Let the defenses of records, but the undefended one, claim this."""
    for record in records:
        if not record["defense"]["baseline"]:
            record["defense"] |= {"published": [claim.as_dict() for claim in claims], "parameters": parameters or {}}
    return records


def only(records: list[dict[str, Any]]) -> dict[str, Any]:
    frame = reproduction(records)
    assert len(frame) == 1, frame
    return frame.iloc[0].to_dict()


def with_outcomes_of(record: dict[str, Any], n: int) -> dict[str, Any]:
    """Return a record of the first ``n`` images."""
    fewer = {name: encode_array(decode_array(array)[:n]) for name, array in record["outcomes"].items()}
    return record | {"outcomes": fewer, "samples": n}


@pytest.fixture
def attacked(made: Any) -> Any:
    """Return a function from (attack, knowledge, right) triples to records of one defense, clean ones among them."""

    def records(*told: tuple[str, str, int], defense: str = CQ, **more: Any) -> list[dict[str, Any]]:
        found = [made.clean_record(defense, first(90))]
        return found + [made.attack_record(defense, a, first(n), knowledge=level, **more) for a, level, n in told]

    return records


def test_the_same_attack_by_the_claimed_attacker_and_the_worst_adaptive_one_stand_beside_a_claim(attacked: Any) -> None:
    told = [("pgd", "oblivious", 80), ("pgd", "white-box", 60), ("square", "oblivious", 50)]
    told += [("pgd", "adaptive", 30), ("apgd-dlr", "adaptive", 20)]
    claim = Claim(text="95 %", value=0.95, attack="pgd", knowledge="white-box", norm="linf", epsilon=0.3)
    line = only(with_claims(attacked(*told), claim))
    assert (line["claim"], line["claimed"], line["quantity"]) == ("95 %", 0.95, "accuracy")
    assert (line["reproduced"], line["reproduced_knowledge"], line["reproduced_attacks"]) == (0.6, "white-box", "pgd")
    assert line["reproduced_low"] < 0.6 < line["reproduced_high"]
    assert (line["reproduced_images"], line["adaptive_images"]) == (N, N)
    assert (line["adaptive"], line["adaptive_attacks"]) == (0.2, "apgd-dlr, pgd")


def test_who_knows_the_defense_may_do_without_stand_ins(attacked: Any) -> None:
    claim = Claim(text="95 %", value=0.95, attack="pgd", knowledge="adaptive")
    stronger = [("pgd", "adaptive", 30), ("pgd", "white-box", 10)]
    line = only(with_claims(attacked(*stronger), claim))
    assert (line["reproduced"], line["adaptive"], line["adaptive_knowledge"]) == (0.3, 0.1, "adaptive")
    assert only(with_claims(attacked(("pgd", "white-box", 10)), claim))["adaptive_images"] == 0


def test_what_was_not_run_is_not_filled_by_another_attack_or_attacker(attacked: Any) -> None:
    for claim in (
        Claim(text="95 %", attack="lbfgs", knowledge="oblivious"),
        Claim(text="95 %", attack="pgd", knowledge="black-box"),
        Claim(text="95 %", attack="pgd", knowledge="oblivious", norm="l2"),
    ):
        line = only(with_claims(attacked(("pgd", "oblivious", 80)), claim))
        assert math.isnan(line["reproduced"])
        assert line["reproduced_images"] == line["adaptive_images"] == 0


def test_an_attack_that_is_not_stated_is_the_worst_and_an_attacker_that_is_not_is_oblivious(attacked: Any) -> None:
    told = [("pgd", "oblivious", 80), ("fgsm", "oblivious", 85), ("pgd", "white-box", 60)]
    line = only(with_claims(attacked(*told), Claim(text="95 %")))
    assert (line["reproduced"], line["reproduced_knowledge"]) == (0.8, "oblivious")
    assert (line["claimed_attack"], line["claimed_knowledge"], line["claimed_norm"]) == ("", "", "")
    assert math.isnan(line["claimed_epsilon"])


def test_the_nearest_radius_is_taken_and_shown(attacked: Any) -> None:
    records = attacked(("pgd", "oblivious", 80), epsilon=0.3) + attacked(("pgd", "oblivious", 88), epsilon=0.1)[1:]
    records += attacked(("pgd", "adaptive", 10), epsilon=0.3)[1:]
    claim = Claim(text="95 %", attack="pgd", norm="linf", epsilon=0.05, knowledge="oblivious")
    line = only(with_claims(records, claim))
    assert (line["reproduced"], line["reproduced_epsilon"], line["claimed_epsilon"]) == (0.88, 0.1, 0.05)
    assert (line["adaptive"], line["adaptive_epsilon"]) == (0.1, 0.3)


def test_a_claim_without_a_radius_stands_beside_the_headline_or_else_the_largest(attacked: Any) -> None:
    records = [r for e, n in ((0.1, 88), (0.2, 80), (0.3, 70)) for r in attacked(("pgd", "oblivious", n), epsilon=e)]
    for record in records:
        record["headline"] = record["kind"] == "attack" and record["threat"]["epsilon"] == 0.2
    assert only(with_claims(records, Claim(text="95 %")))["reproduced_epsilon"] == 0.2
    for record in records:
        record["headline"] = False
    assert only(with_claims(records, Claim(text="95 %")))["reproduced_epsilon"] == 0.3


def test_of_settings_as_near_the_one_on_a_cameras_grid_stands_beside_a_claim_or_else_that_of_more_images(
    attacked: Any,
) -> None:
    free, grid = (attacked(("pgd", "oblivious", n)) for n in (80, 70))
    for record in free[1:]:
        record["threat"] = record["threat"] | {"domain": "float"}
        record |= {name: record[name] + "f" for name in ("cell_id", "run_key")}
    claim = Claim(text="95 %", epsilon=0.3)
    for records in (free + grid, grid + free):
        assert only(with_claims(records, claim))["reproduced"] == 0.7
    fewer = attacked(("pgd", "oblivious", 70))
    made_of = [with_outcomes_of(record, 40) for record in fewer]
    for record in made_of:
        record["budget"] = "quick"
        record |= {name: record[name] + "q" for name in ("cell_id", "run_key")}
    for records in (made_of + grid, grid + made_of):
        assert only(with_claims(records, claim))["reproduced_images"] == N


def test_an_attack_is_called_by_its_whole_name(attacked: Any) -> None:
    claim = Claim(text="95 %", attack="pgd", knowledge="white-box")
    line = only(with_claims(attacked(("pgd-linf", "white-box", 60), ("pgdlike", "white-box", 20)), claim))
    assert (line["reproduced"], line["reproduced_attacks"]) == (0.6, "pgd-linf")


def test_clean_accuracy_is_compared_with_clean_accuracy_and_with_no_attack(attacked: Any) -> None:
    claim = Claim(text="100 %", value=1.0, quantity="clean accuracy")
    line = only(with_claims(attacked(("pgd", "adaptive", 10)), claim))
    assert (line["reproduced"], line["reproduced_images"], line["adaptive_images"]) == (0.9, N, 0)


def test_a_gain_is_the_difference_to_the_undefended_model_under_the_same_attack(made: Any, attacked: Any) -> None:
    claim = Claim(text="up by 50-96 %", quantity="gain")
    alone = with_claims(attacked(("pgd", "oblivious", 80), ("pgd", "adaptive", 30)), claim)
    assert only(alone)["reproduced_images"] == 0
    bare = [made.clean_record("none", first(95)), made.attack_record("none", "pgd", first(10), knowledge="white-box")]
    line = only([*alone, *bare])
    assert line["reproduced"] == pytest.approx(0.7)
    assert line["reproduced_low"] < 0.7 < line["reproduced_high"]
    assert line["adaptive"] == pytest.approx(0.2)
    assert math.isnan(line["claimed"])


def test_a_detection_rate_is_that_of_the_attack_that_is_detected_least(made: Any, attacked: Any) -> None:
    records = attacked(("pgd", "oblivious", 80), ("fgsm", "oblivious", 80), ("pgd", "adaptive", 30))
    for record, seen in zip(records, (5, 60, 90, 20), strict=True):
        arrays = {"scored": first(80), "selected": first(80), "detector": np.linspace(1, -1, N).astype(np.float32)}
        arrays |= {"detected": first(seen), "attacked": first(N), "inside": first(N), "fooling": first(50)}
        arrays |= {"clean_correct": first(90), "distance": np.full(N, 0.3, np.float32)}
        made.with_outcomes(record, **arrays)
    line = only(with_claims(records, Claim(text="97 %", quantity="detection rate", value=0.97)))
    assert (line["reproduced"], line["reproduced_images"]) == (1.0, 50)  # of the images that fool the twin
    assert (line["adaptive"], line["adaptive_images"], line["adaptive_attacks"]) == (0.2, N, "pgd")


def test_a_detection_rate_is_of_no_control_and_of_no_handful_of_images(made: Any, attacked: Any) -> None:
    records = attacked(("pgd", "oblivious", 80), ("bim", "oblivious", 80), ("fgsm", "oblivious", 80))
    records += attacked(("noise", "oblivious", 80))[1:]
    records[-1]["attack"]["control"] = True
    seen, fooling = (0, 90, 70, 0, 0), (0, N, N, 20, N)
    for record, few, fooled in zip(records, seen, fooling, strict=True):
        arrays = {"scored": first(80), "selected": first(80), "detector": np.linspace(1, -1, N).astype(np.float32)}
        arrays |= {"detected": first(few), "attacked": first(N), "inside": first(N), "fooling": first(fooled)}
        arrays |= {"clean_correct": first(90), "distance": np.full(N, 0.3, np.float32)}
        made.with_outcomes(record, **arrays)
    line = only(with_claims(records, Claim(text="97 %", quantity="detection rate", value=0.97)))
    assert (line["reproduced"], line["reproduced_attacks"]) == (0.7, "bim")


def test_of_variants_those_nearest_to_the_claims_parameters_have_it(attacked: Any) -> None:
    claim = Claim(text="95 %", parameters=(("levels", 2),))
    near = with_claims(attacked(("pgd", "oblivious", 80)), claim, parameters={"levels": 2})
    far = with_claims(attacked(("pgd", "oblivious", 70), defense="qusec-cq"), claim, parameters={"levels": 4})
    line = only([*near, *far])
    assert (line["defense"], line["claimed_parameters"], line["parameters"]) == (CQ, "levels=2", "levels=2")
    line = only(far)
    assert (line["defense"], line["claimed_parameters"], line["parameters"]) == ("qusec-cq", "levels=2", "levels=4")


def test_a_defense_without_a_claim_has_a_line_and_the_undefended_model_has_none(made: Any, attacked: Any) -> None:
    records = attacked(("pgd", "oblivious", 80), ("pgd", "adaptive", 30), defense="median[size=3]")
    line = only([*records, made.clean_record("none", first(95)), made.attack_record("none", "pgd", first(10))])
    assert (line["defense"], line["claim"]) == ("median[size=3]", "")
    assert (line["reproduced"], line["adaptive"]) == (0.8, 0.3)


def test_the_order_of_records_does_not_matter(sample: list[dict[str, Any]]) -> None:
    mixed = list(sample)
    np.random.default_rng(0).shuffle(mixed)
    pd.testing.assert_frame_equal(reproduction(mixed), reproduction(sample))


@pytest.mark.parametrize(
    "item",
    [
        ["mnist", "fgsm", "96 %"],
        {"dataset": "mnist"},
        {"text": 3},
        {"text": "96 %", "value": "much"},
        {"text": "96 %", "norm": "linfty"},
        {"text": "96 %", "quantity": "beauty"},
        {"text": "96 %", "parameters": [1]},
    ],
)
def test_what_a_stranger_calls_a_claim_is_left_out_where_it_has_another_form(item: Any) -> None:
    assert on_record({"published": [item, {"text": "95 %"}]}, "mnist") == (Claim(text="95 %"),)


def test_claims_of_another_data_set_stay_away_and_survive_a_record() -> None:
    claims = (Claim(text="60 %", dataset="cifar10"), Claim(text="1", dataset="mnist", parameters=(("ratio", 0.1),)))
    told = {"published": [claim.as_dict() for claim in claims]}
    assert on_record(told, "mnist[split=1]") == claims[1:]
    assert on_record(told, "cifar10") == claims[:1]


def test_claims_in_a_row_share_their_conditions_in_words() -> None:
    claims = [
        Claim(text="99 %", quantity="clean accuracy", conditions="100 images"),
        Claim(text="60 %", attack="fgsm", epsilon=0.005, conditions="100 images"),
        Claim(text="30 %", attack="pgd", model="ResNet", knowledge="oblivious", parameters=(("ratio", 0.1),)),
        Claim(text="up by 50-96 %", quantity="gain"),
    ]
    assert in_words(claims) == (
        "clean accuracy: 99 %; fgsm at ε 0.005: 60 % (100 images); "
        "pgd: 30 % (ResNet, ratio=0.1, oblivious attacker); up by 50-96 %"
    )


def test_figures_on_development_images_stand_beside_no_claim(attacked: Any) -> None:
    records = with_claims(attacked(("pgd", "adaptive", 40)), Claim(text="60 %", value=0.6, attack="pgd"))
    seen = with_claims(attacked(("pgd", "adaptive", 70)), Claim(text="60 %", value=0.6, attack="pgd"))
    for record in seen:
        record["dataset"] |= {"label": "mnist (development)", "pool": "development", "fingerprint": "d0" * 16}
        record |= {name: record[name] + "d" for name in ("cell_id", "run_key")}
    assert only(records + seen)["dataset"] == "mnist"
    assert not len(reproduction(seen))
