"""What an attack found on the undefended twin is a start against the defense."""

from __future__ import annotations

from typing import Any

from bench.analysis.records import outcome

COMMON = ("--datasets", "toy", "--norm", "linf", "--hardware", "none", "--samples", "64", "--attacks", "toy-continues")


def test_an_adaptive_attack_is_also_run_from_what_it_found_on_the_twin(command_line: Any) -> None:
    more = ("--defenses", "none,toy-shattered", "--eps", "0.2", "--budget", "standard", "--no-html", "--out", "out")
    command_line("run", *COMMON, *more)
    found = {
        (r["defense"]["name"], r["attack"]["label"], r["knowledge"]): r
        for r in command_line.records("out")
        if r["kind"] == "attack"
    }
    name, label = "toy-shattered", "toy-continues"
    from_twin = found.pop((name, f"{label} from transfer", "adaptive"))
    assert from_twin["attack"]["start"] == "transfer"
    assert not [r for r in found.values() if r["attack"].get("start")], "once, and not where there is no twin"
    alone, transferred = found[name, label, "adaptive"], found[name, label, "oblivious"]
    assert outcome(alone, "scored").mean() > outcome(transferred, "scored").mean(), "it has no gradient of its own"
    # Only images that the defense gets right when clean are attacked by one who sees it.
    tried = outcome(from_twin, "attacked") == 1
    assert tried.any()
    assert (outcome(from_twin, "scored") == outcome(transferred, "scored"))[tried].all()


def test_no_start_is_made_where_nothing_was_found_on_the_twin(command_line: Any) -> None:
    planned = ("plan", *COMMON, "--defenses", "toy-shattered", "--json")
    assert "from transfer" in command_line(*planned).stdout
    assert "from transfer" not in command_line(*planned, "--eps", "0.2").stdout, "not the headline"
    assert "from transfer" not in command_line(*planned, "--knowledge", "white-box,adaptive").stdout
