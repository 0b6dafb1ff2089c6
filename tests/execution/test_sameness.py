"""Same seed, same numbers; and what a number may not depend on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.analysis.records import decode_array

BASE = ("run", "--datasets", "toy", "--norm", "linf", "--hardware", "none", "--no-html")


def share(record, name="scored"):
    return float(np.mean(decode_array(record["outcomes"][name])) / record["draws"]["score"])


@pytest.mark.parametrize(
    ("defenses", "attacks", "samples"),
    [("toy-noise", "toy-step,toy-null-00", "128"), ("superiot[ratio=0.3]", "pgd-linf,hopskipjump-linf", "64")],
)
def test_two_fresh_runs_give_identical_records_for_any_number_of_jobs(command_line, defenses, attacks, samples):
    arguments = (*BASE, "--defenses", defenses, "--attacks", attacks, "--samples", samples)
    command_line(*arguments, "--jobs", "1", "--out", "one", "--store", "store-1")
    command_line(*arguments, "--jobs", "2", "--out", "two", "--store", "store-2")
    assert all('"status": "ok"' in record for record in command_line.lasting("one"))
    assert command_line.lasting("one") == command_line.lasting("two")


def test_more_samples_compute_exactly_the_missing_blocks(command_line):
    arguments = (*BASE, "--defenses", "none", "--attacks", "toy-null-00", "--knowledge", "black-box", "--out", "out")
    command_line(*arguments, "--samples", "100")
    more = command_line(*arguments, "--samples", "200")
    # Images 128-255: clean answers, crafted images, answers to them.
    assert "\n3 tasks executed" in "\n" + more.stderr
    again = command_line(*arguments, "--samples", "200")
    assert "\n0 tasks executed" in "\n" + again.stderr


def test_what_was_lost_and_made_again_is_what_the_record_tells_of(command_line):
    arguments = (*BASE, "--defenses", "none", "--attacks", "toy-null-00", "--knowledge", "black-box", "--samples", "64")

    def told() -> dict:
        return next(r for r in command_line.records("out") if r["kind"] == "attack")

    command_line(*arguments, "--out", "out")
    before = told()
    store = command_line.folder / "store"
    preimages = [store / "preimages" / key[:2] / f"{key}.json" for key in before["provenance"]["objects"]]
    (crafted,) = (p.stem for p in preimages if '"kind":"craft"' in p.read_text())
    command_line(*arguments, "--out", "out")
    assert told() == before
    (store / "objects" / crafted[:2] / f"{crafted}.safetensors").unlink()
    assert "\n1 tasks executed" in "\n" + command_line(*arguments, "--out", "out").stderr
    after = told()
    assert after["outcomes"] == before["outcomes"]
    assert after["aggregates"]["seconds"] != before["aggregates"]["seconds"]


def test_a_coin_flip_under_thirty_null_attacks_scores_its_clean_accuracy(command_line):
    nulls = ",".join(f"toy-null-{i:02}" for i in range(30))
    command_line(
        *BASE,
        "--defenses",
        "toy-coin",
        "--attacks",
        nulls,
        "--knowledge",
        "black-box",
        "--samples",
        "256",
        "--out",
        "out",
    )
    records = command_line.records("out")
    clean = {r["defense"]["name"]: share(r) for r in records if r["kind"] == "clean"}
    assert clean["none"] == 1.0
    assert abs(clean["toy-coin"] - 0.95) < 0.01
    board = json.loads((command_line.folder / "out" / "leaderboard.json").read_text())
    row = next(r for r in board if r["defense"] == "toy-coin")
    assert abs(row["robust_accuracy"] - clean["toy-coin"]) < 0.01


@pytest.mark.parametrize("cheat", ["toy-cheat-labels", "toy-cheat-rows", "toy-cheat-memory", "toy-cheat-draws"])
def test_a_cheat_gains_nothing(command_line, cheat):
    (command_line.folder / "notes").mkdir()
    command_line.environment["BENCH_CHEAT_FOLDER"] = str(command_line.folder / "notes")
    command_line(
        *BASE,
        "--defenses",
        cheat,
        "--attacks",
        "toy-step",
        "--knowledge",
        "oblivious",
        "--eps",
        "0.9",
        "--samples",
        "256",
        "--out",
        "out",
    )
    records = {(r["defense"]["name"], r["kind"]): r for r in command_line.records("out")}
    attacked = records[cheat, "attack"]
    if cheat == "toy-cheat-rows":
        assert share(records[cheat, "clean"]) < 0.5  # rows are shuffled: its knowledge of the order is worth nothing
    else:
        assert share(records[cheat, "clean"]) == 1.0
        assert share(attacked) < 0.2  # an undefended linear layer falls to one step of this size


# The one that knows its draws gives no gradient, which is another gate's business.
@pytest.mark.parametrize("cheat", ["toy-cheat-labels", "toy-cheat-rows", "toy-cheat-memory"])
def test_a_cheat_that_leads_an_attack_astray_is_not_ranked(command_line, cheat):
    (command_line.folder / "notes").mkdir()
    command_line.environment["BENCH_CHEAT_FOLDER"] = str(command_line.folder / "notes")
    command_line(
        *(*BASE, "--defenses", cheat, "--attacks", "toy-step", "--knowledge", "white-box", "--eps", "0.9"),
        *("--samples", "256", "--out", "out"),
    )
    records = {(r["defense"]["name"], r["kind"]): r for r in command_line.records("out")}
    attacked = records[cheat, "attack"]
    gates = {g["name"]: g["outcome"] for g in attacked["gates"]}
    assert {g["name"]: g["outcome"] for g in records["none", "attack"]["gates"]}["consistency"] == "pass"
    board = json.loads((command_line.folder / "out" / "leaderboard.json").read_text())
    row = next(r for r in board if r["defense"] == cheat)
    # Either the attack found what it finds without a defense, or the row says that it met something else.
    assert share(attacked) < 0.2 or (gates["consistency"] == "fail" and "CONSISTENCY" in row["status"])
