"""The suite's own gates, as entries; imports none of them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Gate, GateScope, Probe
from bench.plugins.hookspecs import hookimpl


def _gate(name: str, scope: GateScope, summary: str, *probes: Probe) -> Gate:
    module = name.replace("-", "_")
    return Gate(
        name=name, factory=f"bench.analysis.gates.{module}:gate", summary=summary, scope=scope, probes=tuple(probes)
    )


@hookimpl
def bench_gates() -> Sequence[Gate]:
    """Return the gates of clean records, of attack records and of rows."""
    return [
        _gate("determinism", "clean", "The deployment is as random as it declares."),
        _gate("derivative", "clean", "Stages that declare a derivative have the one that autograd gives."),
        _gate("surrogates", "clean", "What stands in for a stage on the way back moves as the stage does."),
        _gate("false-positives", "clean", "A deployment that may refuse refuses 5 % of clean images at most."),
        _gate("gradients", "attack", "The gradients that came back are finite and not masked."),
        _gate("ball", "attack", "Every adversarial image is finite, in the ball and in the box."),
        _gate("consistency", "attack", "The deployment answers under attack as it does when it is judged."),
        _gate("convergence", "attack", "The attack had done what it could when it stopped."),
        _gate("best-seen", "attack", "The attack returns the successes that it passed through."),
        _gate("repeatable", "attack", "The attack finds the same again under the same seed."),
        _gate("binarisation", "row", "Adversarial examples that are known to be there are found."),
        _gate("monotone", "row", "No attack leaves more images right at a larger radius."),
        _gate(
            "unbounded",
            "row",
            "An attack that may change everything leaves 1 % at most.",
            Probe(core="pgd-ce"),
            Probe(core="detector-aware"),
        ),
        _gate("iterative", "row", "Many steps are no weaker than one."),
        _gate("black-box", "row", "Queries and transfer do not beat gradients."),
        _gate("adaptive", "row", "White-box attacks do not beat adaptive ones by more than 5 points."),
        _gate("noise", "row", "Noise of the same size is harmless, and weaker than every attack."),
        _gate("null", "row", "An attack that does nothing breaks nothing."),
        _gate("averaging", "row", "Attackers of what draws averaged as many draws as its noise asks for."),
        _gate("coverage", "row", "Attacks on fewer images, or under fewer seeds, would not have lowered the number."),
        _gate("certificate", "row", "No image that is certified is ever answered wrongly."),
        _gate("clean-accuracy", "row", "Clean accuracy is within 5 points of the twin's, and not suspiciously above."),
        _gate("half-radius", "row", "What refusing keeps implies no more than is known at half the radius."),
        _gate("sample-size", "row", "A difference of 5 points would show."),
        _gate("best-on-test", "row", "The best of several settings was chosen on other images."),
        _gate("seeds", "row", "What draws was run under three seeds or more."),
        _gate("ladder", "row", "The fixed core of attacks is whole, and one attack is adaptive."),
        _gate("errors", "row", "No attack failed, was stopped, or lost images."),
        _gate("budget", "row", "Accuracy does not still fall when attacks may try longer."),
    ]
