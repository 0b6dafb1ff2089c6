"""What an attack finds on one defense is tried on the others, by an attacker who may ask those nothing."""

from __future__ import annotations

from typing import Any

from bench.analysis.records import outcome

COMMON = ("--datasets", "toy", "--norm", "linf", "--hardware", "none", "--samples", "64", "--attacks", "toy-explores")
MADE = "toy-explores made on toy-lends"


def test_images_made_on_one_defense_are_tried_on_all_others(command_line: Any) -> None:
    more = ("--defenses", "none,toy-shattered,toy-lends", "--eps", "0.2", "--budget", "standard", "--no-html")
    command_line("run", *COMMON, *more, "--knowledge", "black-box,white-box", "--out", "out")
    found = {
        (r["defense"]["name"], r["attack"]["label"]): r for r in command_line.records("out") if r["kind"] == "attack"
    }
    assert {name for name, label in found if label == MADE} == {"none", "toy-shattered"}, "not on itself"
    lent, own = found["toy-shattered", MADE], found["toy-shattered", "toy-explores"]
    assert (lent["knowledge"], lent["attack"]["made_on"], lent["attack"]["core"]) == ("black-box", "toy-lends", "")
    assert outcome(lent, "attacked").all(), "whatever is right where the images are made"
    assert outcome(lent, "scored").mean() < outcome(own, "scored").mean() - 0.1, "it has no gradient of its own"
    aimed = found["none", "toy-explores"]
    same = outcome(found["none", MADE], "scored")
    assert (same == outcome(aimed, "scored"))[outcome(aimed, "attacked") == 1].all(), "the same network stands behind"


def test_nothing_is_lent_to_attackers_who_are_not_asked_for(command_line: Any) -> None:
    planned = ("plan", *COMMON, "--defenses", "toy-shattered,toy-lends", "--json")
    assert MADE in command_line(*planned).stdout
    assert MADE not in command_line(*planned, "--eps", "0.2").stdout, "not the headline"
    assert MADE not in command_line(*planned, "--knowledge", "white-box,adaptive").stdout
