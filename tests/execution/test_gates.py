"""Planted faults trip the gates that stand for them, and nothing trips one on a healthy run."""

from __future__ import annotations

import csv
from typing import Any

BASE = ("run", "--datasets", "toy", "--norm", "linf", "--hardware", "none", "--samples", "64", "--no-html")
Outcomes = dict[tuple[str, str, str], tuple[str, str]]


def verdicts(command_line: Any, epsilon: float) -> Outcomes:
    """Return (defense, gate, where) -> (outcome, evidence), at one radius."""
    with (command_line.folder / "out" / "gates.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if float(line["epsilon"]) == epsilon]
    return {(v["defense"], v["gate"], v["where"]): (v["outcome"], v["evidence"]) for v in lines}


def tripped(found: Outcomes, defense: str) -> set[str]:
    """Return the gates of a defense that warn or fail, without the one of the toy plugins that always breaks."""
    of = {(gate, outcome) for (name, gate, _), (outcome, _) in found.items() if name == defense}
    of.discard(("toy-gate-raises", "warn"))
    return {f"{gate} {outcome}" for gate, outcome in of if outcome in ("warn", "fail")}


def test_a_healthy_run_trips_nothing_but_the_number_of_images(command_line: Any) -> None:
    attacks = "toy-step,toy-steps,toy-steps-too,toy-signs,null,noise"
    command_line(*BASE, "--defenses", "none", "--attacks", attacks, "--eps", "0.05,0.1", "--out", "out")
    found = verdicts(command_line, 0.1)
    assert tripped(found, "none") == {"sample-size warn"}
    for gate in ("monotone", "unbounded", "iterative", "black-box", "adaptive", "noise", "null", "ladder", "errors"):
        assert found["none", gate, "row"][0] == "pass", gate
    for gate in ("gradients", "ball", "consistency", "convergence", "best-seen", "repeatable"):
        assert found["none", gate, "toy-steps (adaptive)"][0] == "pass", gate
    for gate in ("determinism", "derivative"):
        assert found["none", gate, "clean"][0] == "pass", gate
    records = command_line.records("out")
    probes = [r for r in records if r.get("probe")]
    assert {(r["probe"], r["attack"]["name"], r["threat"]["epsilon"]) for r in probes} == {
        ("unbounded", name, 1.0) for name in ("toy-steps",)
    }
    # What is tried for a gate's sake is not run again for another's.
    assert {r["evidence"]["repeated"]["images"] for r in probes} == {0}


def test_an_adversarially_trained_network_trips_nothing_but_the_number_of_images(command_line: Any) -> None:
    """A real network that is robust for a real reason, under the standard budget, hidden examples among the gates."""
    attacks = (
        "null,noise,native-fgsm,native-pgd-linf[steps=20,step=0.1],native-apgd-dlr[steps=40,restarts=1],"
        "native-square-linf[steps=200]"
    )
    command_line(
        *("run", "--datasets", "digits", "--models", "lenet5", "--defenses", "adversarial-training", "--norm", "linf"),
        *("--attacks", attacks, "--eps", "0.1,0.2", "--knowledge", "black-box,white-box,adaptive"),
        *("--budget", "standard", "--samples", "128", "--hardware", "none", "--no-html", "--out", "out"),
    )
    for epsilon in (0.1, 0.2):
        found = verdicts(command_line, epsilon)
        assert tripped(found, "adversarial-training") == {"sample-size warn"}
        row = ("unbounded", "iterative", "black-box", "adaptive", "noise", "null", "coverage", "ladder", "errors")
        for gate in (*row, "clean-accuracy", *(["monotone"] if epsilon == 0.2 else [])):
            assert found["adversarial-training", gate, "row"][0] == "pass", gate
        for gate in ("gradients", "ball", "consistency", "convergence", "best-seen", "repeatable"):
            where = "native-pgd-linf[steps=20,step=0.1] (adaptive)"
            assert found["adversarial-training", gate, where][0] == "pass", gate
    headline = verdicts(command_line, 0.2)
    tested = headline["adversarial-training", "binarisation", "row"]
    assert tested[0] == "pass", tested


def test_faulty_attacks_are_found_out(command_line: Any) -> None:
    attacks = "toy-step,toy-idle,toy-clocked,toy-outside,noise"
    command_line(*BASE, "--defenses", "none", "--attacks", attacks, "--eps", "0.2", "--out", "out", code=1)
    found = verdicts(command_line, 0.2)
    # One that returns its input: one step beats it, and it breaks nothing even without a bound.
    assert found["none", "iterative", "row"][0] == "fail"
    assert found["none", "best-seen", "toy-step (adaptive)"][0] == "pass"
    # One that draws from the clock.
    assert found["none", "repeatable", "toy-clocked (black-box)"][0] == "fail"
    assert found["none", "repeatable", "toy-step (adaptive)"][0] == "pass"
    # One that leaves the ball has no number at all.
    assert "toy-outside (black-box) failed" in found["none", "errors", "row"][1]


def test_attacks_that_could_have_found_more_are_found_out(command_line: Any) -> None:
    """Without one of their rung that did find it, beside which they would be warnings."""
    command_line(*BASE, "--defenses", "none", "--attacks", "toy-early,toy-forgets", "--eps", "0.2", "--out", "out")
    found = verdicts(command_line, 0.2)
    # One that stops early.
    outcome, evidence = found["none", "convergence", "toy-early (adaptive)"]
    assert outcome == "fail", evidence
    assert "last quarter" in evidence
    # One that comes back from a success.
    assert found["none", "best-seen", "toy-forgets (adaptive)"][0] == "fail"


def test_faulty_deployments_are_found_out(command_line: Any) -> None:
    defenses = "toy-shattered,toy-secret-noise,toy-turned,toy-rejects[threshold=2],toy-round"
    command_line(*BASE, "--defenses", defenses, "--attacks", "toy-step,toy-idle", "--out", "out")
    found = verdicts(command_line, 0.1)
    assert found["toy-shattered", "derivative", "clean"][0] == "fail"
    assert found["toy-shattered", "gradients", "toy-step (adaptive)"][0] == "fail"
    assert found["toy-secret-noise", "determinism", "clean"][0] == "fail"
    outcome, evidence = found["toy-turned", "surrogates", "clean"]
    assert outcome == "warn"
    assert "identity -" in evidence
    assert found["toy-round", "surrogates", "clean"][0] == "pass"
    assert found["toy-rejects[threshold=2]", "false-positives", "clean"][0] == "fail"
    assert found["toy-rejects[threshold=2]", "clean-accuracy", "row"][0] == "warn"
    # An attack that returns its input leaves everything also where it may change everything.
    assert found["none", "unbounded", "row"][0] == "fail"
    # A plugin's gate of rows, which bars nothing.
    assert found["toy-round", "toy-gate-row", "row"] == ("warn", found["toy-round", "toy-gate-row", "row"][1])
    assert "toy-step (adaptive)" in found["toy-round", "toy-gate-row", "row"][1]
