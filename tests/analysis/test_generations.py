from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from bench.analysis import cells, leaderboard
from bench.analysis.generations import current, merge, newest

from .whole_ladder import first, ladder, row

DEFENSE = "jpeg[quality=50]"
Records = list[dict[str, Any]]


@pytest.fixture
def both(made: Any) -> tuple[Records, Records]:
    """A defense as it was, which fell, and as it is, which stands; the attacks of the old one found more."""
    old = [*ladder(made, DEFENSE, first(20)), made.attack_record(DEFENSE, "mim", first(0))]
    new = copy.deepcopy(ladder(made, DEFENSE, first(160)))
    for record in new:
        record["defense"] |= {"version": "2"}
        record["provenance"] |= {"finished": "2026-11-22T10:00:00+00:00"}
        record |= {"cell_id": f"2{record['cell_id'][1:]}", "run_key": f"2{record['run_key'][1:]}"}
    return old, new


def test_what_a_defense_was_does_not_count_for_what_it_is(both: tuple[Records, Records]) -> None:
    old, new = both
    assert row([*old, *new], DEFENSE)["robust_accuracy"] == row(new, DEFENSE)["robust_accuracy"] == 0.8
    assert len(leaderboard([*new, *old])) == 1
    assert set(cells([*old, *new]).accuracy) == {1.0, 0.8}


def test_what_is_left_out_is_said(both: tuple[Records, Records]) -> None:
    old, new = both
    kept, told = newest([*old, *new])
    assert kept == new
    assert told == [f"6 records of defense {DEFENSE}, version 1 (the newest is version 2)"]
    assert newest(new) == (new, [])


def test_other_weights_are_another_network(made: Any, both: tuple[Records, Records]) -> None:
    old, new = both
    for record in new:
        record["defense"]["version"] = "1"
        record["model"] = {**record["model"], "digest": "ab" * 32}
    beside = ladder(made, "none", first(0), seed=1)  # under another seed it is another network anyway
    kept, told = newest([*old, *new, *beside])
    assert kept == [*new, *beside]
    assert told == [
        "6 records of network cleverhans-cnn, version 1 with weights 00000000 (the newest is version 1 with weights "
        "abababab)"
    ]


def fitted(records: Records, shipped: str | None) -> None:
    for record in records:
        record["defense"] = {n: v for n, v in record["defense"].items() if n != "shipped"} | {"version": "1"}
        if shipped is not None:
            record["defense"]["shipped"] = shipped


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("ab" * 32, "cd" * 32, "shipped fit abababab (the newest is shipped fit cdcdcdcd)"),
        ("ab" * 32, "", "shipped fit abababab (the newest is fitted by its run)"),
        ("", "cd" * 32, "fitted by its run (the newest is shipped fit cdcdcdcd)"),
        ("", "", ""),
        (None, "cd" * 32, ""),
        ("ab" * 32, None, ""),
    ],
)
def test_of_two_fits_of_one_defense_the_newest_counts(
    made: Any, both: tuple[Records, Records], before: str | None, after: str | None, said: str
) -> None:
    old, new = both
    fitted(old, before)
    fitted(new, after)
    beside = ladder(made, DEFENSE, first(20), seed=1)  # another training fits anew anyway
    fitted(beside, "ef" * 32)
    kept, told = newest([*old, *new, *beside])
    assert kept == ([*new, *beside] if said else [*old, *new, *beside])
    assert told == ([f"6 records of defense {DEFENSE}, {said}"] if said else [])


def test_a_record_that_does_not_say_its_version_is_of_every_one(both: tuple[Records, Records]) -> None:
    old, new = both
    for record in old:
        del record["defense"]["version"]
        record["model"] = {**record["model"], "digest": ""}
    assert newest([*old, *new])[1] == []
    assert np.isclose(row([*old, *new], DEFENSE)["robust_accuracy"], 0.0)


def test_of_two_that_finished_together_the_later_in_order_stays(made: Any) -> None:
    one, other = (made.attack_record(DEFENSE, "pgd", first(n)) for n in (20, 160))
    for told in (merge, current):
        assert told([one, other]) == [other]
        assert told([other, one]) == [one]
    again = {**other, "run_key": "another"}
    assert current([one, again]) == current([again, one])


def test_what_a_defense_was_on_another_network_or_other_images_stays(made: Any, both: tuple[Records, Records]) -> None:
    _, new = both
    beside = ladder(made, DEFENSE, first(20), model="resnet18")
    images = ladder(made, DEFENSE, first(20))
    for record in images:
        record["dataset"] = {**record["dataset"], "fingerprint": "0" * 64}
    users = [ladder(made, DEFENSE, first(20)), copy.deepcopy(new)]
    for records, weights in zip(users, ("ab", "cd"), strict=True):
        for record in records:
            record["model"] = {**record["model"], "weights": "user", "digest": weights * 32}
    everything = [*new, *beside, *images, *users[0], *users[1]]
    assert newest(everything) == (everything, [])
