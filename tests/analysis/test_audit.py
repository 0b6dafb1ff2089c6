"""Audits of made-up records: rungs, verdict words, what broke what, gates."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.audit import audit
from bench.planning.ladder import OWN

N = 40
CORE = {"fgsm": "white-box", "pgd": "adaptive", "apgd-dlr": "adaptive", "square": "adaptive"}


def right(*broken):
    """Return outcomes of N images, the listed ones wrong."""
    flags = np.ones(N)
    flags[list(broken)] = 0
    return flags


@pytest.fixture
def whole(made):
    """Return a function that makes a ladder: attack -> images that it breaks; every other rung breaks none."""

    def make(defense="jpeg[quality=50]", *, wrong=(), **breaks):
        records = [made.clean_record(defense, right(*wrong))]
        for attack, knowledge in CORE.items():
            broken = breaks.get(attack.replace("-", "_"), ())
            records.append(made.attack_record(defense, attack, right(*wrong, *broken), knowledge=knowledge))
        return records

    return make


def only(records, defense="jpeg[quality=50]", **more):
    (found,) = audit(records, defense, **more).settings
    return found


def rung(found, name):
    return next(one for one in found.rungs if one.name == name)


def test_a_broken_defense_is_called_broken_with_the_count(whole):
    found = only(whole(wrong=(0, 1), pgd=(2, 3, 4)))
    assert (found.verdict, found.broken, found.right) == ("broken", 3, N - 2)
    assert found.is_settled


def test_a_whole_ladder_that_breaks_nothing_is_unbroken(whole):
    found = only(whole(wrong=(0, 1)))
    assert (found.verdict, found.broken) == ("unbroken", 0)


def test_a_bound_on_every_right_image_makes_it_certified_and_one_image_less_does_not(whole, made):
    records = whole(wrong=(0,))
    proof = made.base("certificate", "jpeg[quality=50]", n=N)
    proof["threat"] = records[-1]["threat"]
    for proven, word in ((right(0), "certified"), (right(0, 1), "unbroken")):
        certificate = made.with_outcomes(dict(proof), certified=proven.astype(np.uint8))
        assert only([*records, certificate]).verdict == word


def test_a_missing_rung_is_incomplete_whatever_was_broken(whole):
    records = [r for r in whole(pgd=(1, 2)) if r.get("attack", {}).get("name") != "apgd-dlr"]
    found = only(records)
    assert found.verdict == "incomplete"
    assert not found.is_settled
    assert found.broken == 2


def test_a_gate_that_failed_on_the_ladder_is_the_verdict_and_one_beside_it_is_not(whole, made):
    gate = {"name": "ball", "outcome": "fail", "evidence": "3 images lie outside."}
    beside = made.attack_record("jpeg[quality=50]", "bim", right()) | {"gates": [gate]}
    found = only([*whole(), beside])
    assert found.verdict == "unbroken"
    (complaint,) = [f for f in found.findings if f.gate == "ball"]
    assert not complaint.bars
    records = whole()
    records[2]["gates"] = [gate]
    found = only(records)
    assert found.verdict == "not ranked: BALL"
    assert found.findings[0].bars
    assert found.findings[0].evidence == "3 images lie outside."


def test_every_kind_of_attacker_has_its_rung(whole, made):
    records = whole(fgsm=(1,), pgd=(1, 2))
    for name, way, broken in (("pgd", "surrogate:soft", (3, 4, 5)), ("pgd", "learned", (6,)), ("insider", "", (7, 8))):
        more = made.attack_record("jpeg[quality=50]", name, right(*broken))
        label = f"{name} via {way}" if way else name
        more["attack"] |= {"way": way, "label": label, "core": ""}
        more |= {"cell_id": made.name_of(label), "run_key": made.name_of(label, "run")}
        records.append(more)
    found = only(records, own_rungs={"insider": OWN})
    shares = {one.name: one.share and round(N * (1 - one.share.value)) for one in found.rungs}
    assert shares == {
        "oblivious": None,
        "black-box": None,
        "white-box": 1,
        "adaptive, the usual way": 2,
        "adaptive, via learned": 1,
        "adaptive, via soft": 3,
        OWN: 2,
    }
    assert found.broken == 8


def test_a_rung_has_wilsons_interval_and_what_it_spent(whole):
    one = rung(only(whole(pgd=range(10))), "adaptive, the usual way")
    assert one.share.value == pytest.approx(0.75)
    assert (one.share.low, one.share.high) == pytest.approx((0.5981, 0.8581), abs=1e-4)  # Wilson, 30 of 40
    assert one.spent.forward == 3 * 40 * N


def test_what_broke_what_counts_the_images_that_only_one_attack_breaks(whole):
    found = {
        (b.attack, b.knowledge): (b.broken, b.alone, b.images) for b in only(whole(fgsm=(1,), pgd=(1, 2, 3))).breakers
    }
    assert found[("pgd", "adaptive")] == (3, 2, N)
    assert found[("fgsm", "white-box")] == (1, 0, N)
    assert found[("square", "adaptive")] == (0, 0, N)


def test_an_image_that_a_randomised_defense_mostly_answers_rightly_is_not_broken(made):
    draws = {"select": 16, "score": 32}
    records = [
        made.with_outcomes(
            made.base("clean", "superiot[window=3]", n=4) | {"draws": draws},
            clean_correct=np.ones(4, np.uint8),
            selected=np.full(4, 16, np.uint8),
            scored=np.array([32, 32, 32, 10], np.uint8),
        )
    ]
    attack = made.attack_record(
        "superiot[window=3]", "pgd", np.array([31, 17, 3, 0]), selected=np.array([15, 8, 1, 0]), attacked=np.ones(4)
    )
    records.append(attack | {"draws": draws})
    found = only(records, "superiot[window=3]")
    assert (found.broken, found.right) == (1, 3)


def test_what_failed_is_told_on_its_rung_and_controls_stand_apart(sample):
    found = audit(sample, "median[size=3]").settings[0]
    assert found.verdict == "incomplete"
    (gap,) = rung(found, "black-box").gaps
    assert gap.startswith("hopskipjump: failed: ContractViolation: the attack gave values that are not finite")
    assert rung(found, "adaptive, the usual way").share is None
    assert [name for name, _ in found.controls] == ["noise (white-box)", "null (white-box)"]
    assert "null" not in {b.attack for b in found.breakers}
    assert rung(found, "white-box").spent.forward == 5 * 40 * 300  # five attacks, no control


def test_a_claim_stands_beside_what_attacks_of_its_name_leave(sample):
    fgsm, pgd = audit(sample, "qusec-cq[levels=2]").settings[0].claims
    assert (fgsm.claim.attack, fgsm.claim.text) == ("fgsm", "96.3 %")
    assert set(pgd.ours) == {"oblivious", "white-box", "adaptive"}
    assert pgd.ours["adaptive"] < 0.8 < pgd.ours["white-box"]


def test_clean_accuracy_is_compared_with_the_undefended_model_and_cost_has_its_provenance(sample):
    found = audit(sample, "superiot[window=3]").settings[0]
    assert found.clean_change is not None
    assert found.clean_change.low < found.clean_change.value < 0
    assert found.provenance["energy_mj"] == "estimated-tdp, short"
    assert found.provenance["uplink_bytes"] == "counted"
    assert audit(sample, "none").settings[0].clean_change is None


def test_every_radius_has_a_verdict_and_the_curve_has_three(sample):
    found = audit(sample, "qusec-cq[levels=2]")
    assert [one.line["epsilon"] for one in found.settings if one.line["norm"] == "linf"] == [0.3, 0.1, 0.2]
    swept = [line for line in found.curve if line["source"] == "swept" and line["norm"] == "linf"]
    assert {line["defense"] for line in swept} == {"qusec-cq[levels=2]", "none"}
    assert len(swept) == 6


def test_it_is_under_a_share_only_with_its_whole_interval(whole):
    found = only(whole(pgd=range(20)))  # 50 %, 35.2 to 64.8
    assert found.is_under(0.66)
    assert not found.is_under(0.64)


def test_an_audit_without_a_number_is_under_everything(made):
    absent = made.clean_record("jpeg[quality=50]", right()) | {"status": "failed", "reason": "no codec"}
    del absent["outcomes"]
    found = only([absent])
    assert found.verdict == "incomplete"
    assert found.is_under(0.0)


def test_a_detector_is_shown_with_its_false_alarms_and_every_attack(made):
    defense, scores = "jpeg[quality=50]", np.linspace(0, 1, N)
    flags = (scores > 0.9).astype(np.uint8)
    records = [made.clean_record(defense, right()), made.attack_record(defense, "pgd", right(1, 2))]
    for record, value in zip(records, (scores, scores + 1), strict=True):
        detected = flags if record["kind"] == "clean" else np.ones(N, np.uint8)
        for name, array in (("detector", value), ("detected", detected)):
            record["outcomes"][name] = made.encode_array(array)
    (line,) = only(records).detectors
    assert (line["attack"], line["knowledge"], line["detected"]) == ("pgd", "adaptive", 1.0)
    assert line["false_positives"] == pytest.approx(flags.mean())
    assert audit(records[:1], defense).settings[0].detectors == ()


def test_images_are_counted_among_those_that_the_number_stands_on(made):
    """An attack on the first ten that breaks them all: the other thirty met less."""
    defense = "jpeg[quality=50]"
    records = [made.clean_record(defense, right(0))]
    records += [made.attack_record(defense, name, right(0), knowledge=level) for name, level in CORE.items()]
    records.append(made.attack_record(defense, "mim", np.zeros(10)))
    found = only(records, defense)
    assert (found.line["samples"], found.broken, found.right, found.clean_images) == (10, 9, 9, N)


def test_where_nothing_is_right_nothing_stayed_unbroken(whole):
    assert only(whole(wrong=range(N))).verdict == "incomplete"
