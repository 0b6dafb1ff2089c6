"""Gate ``derivative``: a stage that declares a derivative has one, and autograd gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

TOLERANCE = 0.1  # ours: relative, median over images and directions; a ReLU's kinks cost a few per cent
NOTHING = 1e-6  # of a change that floating point alone can make


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of a clean record."""
    return lambda record: derivative(record["evidence"].get("derivatives", {}))


def derivative(seen: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Judge whether autograd's directional derivatives agree with finite differences.

    Parameters
    ----------
    seen : node -> fields of ``bench.deployment.slope.Slope``, of the stages that declare a derivative

    Notes
    -----
    An attacker differentiates what declares a derivative, and uses surrogates for the rest. A derivative that is not
    what the stage does (shattered, zero, not finite) blinds white-box and adaptive attacks alike: fail.
    """
    if not seen:
        return Verdict("derivative", "n/a", "No stage declares a derivative.")
    faults = [f"{node}: {fault}" for node, slope in seen.items() if (fault := _fault(slope))]
    if faults:
        return Verdict("derivative", "fail", "; ".join(faults) + ".")
    worst = max(float(slope["error"]) for slope in seen.values())
    return Verdict("derivative", "pass", f"Within {worst:.1%} of finite differences at {len(seen)} stages.")


def _fault(slope: Mapping[str, Any]) -> str:
    if not slope["finite"] or slope["error"] is None:
        return "its derivative is not finite"
    if not slope["connected"] or slope["analytic"] < NOTHING < slope["numeric"]:
        return f"its derivative is zero, and it moves by {slope['numeric']:.3g} a pixel"
    if slope["error"] > TOLERANCE:
        return f"autograd and finite differences differ by {slope['error']:.0%}"
    return ""
