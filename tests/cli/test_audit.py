"""``bench audit`` end to end, with toy attacks on the smallest data set."""

from __future__ import annotations

import json

import pytest

LADDER = "null,noise,toy-step,toy-steps,toy-steps-too,toy-signs"
QUICK = ("--datasets", "toy", "--samples", "32", "--hardware", "none", "--jobs", "1")


@pytest.fixture
def audit(command_line):
    """Return the command on the toy data set, under the toy ladder."""

    def run(*arguments, attacks=LADDER, **more):
        return command_line("audit", *arguments, *QUICK, "--attacks", attacks, **more)

    return run


def test_a_page_is_written_and_printed_and_made_again_from_the_store(audit, command_line):
    done = audit("toy-round", "--out", "page", "--eps", "0,0.1,0.2", code=None)
    text = (command_line.folder / "page" / "audit.md").read_text()
    html = (command_line.folder / "page" / "audit.html").read_text()
    for title in ("The ladder", "What broke what", "Gates that failed or warn", "Accuracy against epsilon"):
        assert title in done.stdout
        assert f"### {title}" in text
        assert f"<h3>{title}</h3>" in html
    assert done.stdout.count("Verdict: ") == text.count("Verdict: **") == html.count("Verdict: <") == 3
    assert html.count("<svg") >= 1  # three radii make a curve
    assert {r["defense"]["label"] for r in command_line.records("page")} == {"none", "toy-round"}
    again = audit("toy-round", "--out", "page", "--eps", "0,0.1,0.2", code=done.returncode)
    assert "0 tasks executed" in again.stderr
    assert again.stdout == done.stdout


def test_a_planted_gate_failure_is_the_verdict_and_ends_with_3(audit):
    done = audit("toy-secret-noise", "--json", code=3)
    (found,) = json.loads(done.stdout)["settings"]
    assert found["verdict"] == "not ranked: DETERMINISM"
    assert found["findings"][0]["gate"] == "determinism"
    assert "not ranked: DETERMINISM" in done.stderr


def test_a_hole_in_the_ladder_is_incomplete_and_ends_with_3(audit):
    done = audit("none", "--json", attacks="null,noise,toy-step,toy-steps", code=3)
    (found,) = json.loads(done.stdout)["settings"]
    assert found["verdict"] == "incomplete"
    assert "apgd-dlr not run" in found["line"]["reasons"]


def test_fail_under_ends_with_3_where_the_whole_interval_is_lower(audit):
    passed = audit("none", "--eps", "0.5", "--json", code=0)
    (found,) = json.loads(passed.stdout)["settings"]
    assert found["verdict"] == "broken"
    high = 100 * found["line"]["robust_high"]
    assert 1 < high < 99
    audit("none", "--eps", "0.5", "--fail-under", f"{high - 0.5:.2f}", code=0)
    done = audit("none", "--eps", "0.5", "--fail-under", f"{high + 0.5:.2f}", code=3)
    assert "robust accuracy is under" in done.stderr


def test_what_is_no_number_and_what_attacks_nothing_is_said_before_a_page_is_written(audit):
    assert "must be a number" in audit("none", "--fail-under", "nan", code=2).stderr
    done = audit("none", "--out", "nothing", attacks="none", code=4)
    assert "no attack was run on none" in done.stderr


def test_a_defenses_own_attack_has_a_rung(audit):
    done = audit("toy-own", "--json", code=None)
    (found,) = json.loads(done.stdout)["settings"]
    (own,) = [rung for rung in found["rungs"] if rung["name"] == "own attacks"]
    assert own["attacks"] == ["toy-insider"]


@pytest.mark.parametrize("defense", ["toy-round,toy-coin", "toy-rejects[threshold=0.1|0.2]", "toy"])
def test_several_defenses_are_refused(audit, defense):
    done = audit(defense, code=2)
    assert "An audit is of one defense" in done.stderr


def test_an_unknown_defense_is_refused_with_what_is_near(audit):
    assert "Did you mean 'toy-round'" in audit("toy-roud", code=2).stderr
