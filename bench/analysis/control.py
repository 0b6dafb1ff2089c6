"""What else the compute of a defense would buy: its control of equal cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.analysis.paired import paired_difference
from bench.analysis.statistics import Values

CONTROL_COLUMNS: Final = ("control", "control_accuracy", "control_difference", "control_low", "control_high")
MULTIPLIED = 2.0  # times the leanest row's multiply-accumulates from which on a defense is held against a control
SLACK = 1.05  # a control may need so much more
NOTHING: Final[Mapping[str, Any]] = {"control": "", **dict.fromkeys(CONTROL_COLUMNS[1:], math.nan)}


def controls(
    lines: Sequence[Mapping[str, Any]], ranked: Mapping[str, Values], names: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the control of each row of one setting that multiplies the compute, by the defense's label.

    Parameters
    ----------
    lines : the leaderboard's rows of one setting
    ranked : label -> correct under the worst case, for each attacked image; of the rows that are ranked
    names : label -> name of the defense, whose other settings are no controls

    Notes
    -----
    The control is the ranked row of another defense that keeps most among those that need no more multiply-accumulates,
    whatever it is: a larger network trained on attacked images where one was tried. The difference is the control's
    accuracy less the defense's, on the same images.
    """
    compute = {line["defense"]: line["macs"] for line in lines if line["macs"] > 0}
    leanest = min(compute.values(), default=0.0)
    found: dict[str, dict[str, Any]] = {}
    for label, needed in compute.items():
        others = [rival for rival in ranked if names[rival] != names[label]]
        rivals = [rival for rival in others if compute.get(rival, math.inf) <= SLACK * needed]
        if needed < MULTIPLIED * leanest or label not in ranked or not rivals:
            continue
        best = max(rivals, key=lambda rival: (float(ranked[rival].mean()), -compute[rival]))
        images = min(len(ranked[label]), len(ranked[best]))
        moved = paired_difference(ranked[label][:images], ranked[best][:images])
        found[label] = {
            "control": best,
            "control_accuracy": float(ranked[best].mean()),
            "control_difference": moved.value,
            "control_low": moved.low,
            "control_high": moved.high,
        }
    return found
