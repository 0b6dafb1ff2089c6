"""What a defense brings to its own examination: an attack made for it, and a certificate."""

from __future__ import annotations

import json

import pytest

from bench.analysis.records import decode_array, validate
from bench.attack import Surface
from bench.deployment import Capture, Deployment

COMMON = ("--datasets", "toy", "--models", "toy-net", "--hardware", "none", "--samples", "64")


def test_a_defense_is_attacked_by_its_own_attack_and_bracketed_by_its_certificate(command_line):
    command_line(
        *("run", *COMMON, "--defenses", "toy-own,toy-own-wrong,toy-round", "--attacks", "toy-null-00"),
        *("--norm", "linf,l2", "--out", "out"),
        code=1,
    )
    records = command_line.records("out")
    own = [r for r in records if r["kind"] == "attack" and r["attack"]["name"] == "toy-insider"]
    assert {(r["defense"]["name"], r["knowledge"], r["threat"]["norm"]) for r in own} == {
        ("toy-own", "adaptive", "linf"),
        ("toy-own-wrong", "adaptive", "linf"),
    }
    said = own[0]["notes"]["attack"]
    assert said["saw"].startswith("_Round")
    # A note of images is counted of the record's, of which a block may hold more.
    tried = int(decode_array(own[0]["outcomes"]["attacked"]).sum())
    assert 0 < said["of class 0"] < said["tried"] == tried < own[0]["evidence"]["attacked"]

    told = {
        (r["defense"]["name"], r["threat"]["norm"]): r
        for r in (validate(r, "here") for r in records)
        if r["kind"] == "certificate"
    }
    assert set(told) == {(name, norm) for name in ("toy-own", "toy-own-wrong") for norm in ("linf", "l2")}
    proven = told["toy-own", "linf"]
    flags = decode_array(proven["outcomes"]["certified"])
    assert flags.shape == (64,)
    assert proven["aggregates"]["certified"] == pytest.approx(flags.mean())
    assert (told["toy-own", "l2"]["status"], told["toy-own", "l2"]["reason"]) == ("skipped", "It knows linf only.")
    wrong = told["toy-own-wrong", "linf"]
    assert wrong["status"] == "failed"
    assert "expected a label for each of" in wrong["reason"]

    board = json.loads((command_line.folder / "out" / "leaderboard.json").read_text())
    rows = {(row["defense"], row["norm"]): row for row in board}
    row = rows["toy-own", "linf"]
    assert row["certified"] == pytest.approx(flags.mean())
    assert row["bracket_width"] == pytest.approx(row["robust_accuracy"] - flags.mean())
    assert rows["toy-round", "linf"]["certified"] is None
    page = (command_line.folder / "out" / "index.html").read_text()
    assert page.count("≤ true ≤") == 1
    cells = (command_line.folder / "out" / "cells.csv").read_text()
    assert ",certificate," in cells


@pytest.mark.parametrize("more", [("--attacks", "none"), ("--attacks", "toy-step", "--knowledge", "white-box")])
def test_where_no_adaptive_attack_is_asked_for_a_defense_brings_none(command_line, more):
    planned = command_line("plan", *COMMON, "--defenses", "toy-own", *more, "--json").stdout
    assert "toy-insider" not in planned


def test_only_an_adaptive_attacker_sees_the_deployment():
    deployment = Deployment.chain(Capture())
    for knowledge in ("black-box", "white-box", "adaptive"):
        seen = Surface(deployment, knowledge=knowledge, access="score", shape=(1, 2, 2), classes=2, backward=None)
        if knowledge == "adaptive":
            assert seen.deployment is deployment
        else:
            with pytest.raises(PermissionError):
                _ = seen.deployment
