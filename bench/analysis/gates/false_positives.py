"""Gate ``false-positives``: a deployment that may refuse does not refuse clean images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict
from bench.analysis.statistics import wilson

RATE = 0.05  # this project's list: detectors are ranked at a clean false-positive rate of 5 %


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of a clean record."""
    return _judge


def _judge(record: Mapping[str, Any]) -> Verdict:
    if "rejected" not in record["evidence"]:
        return Verdict("false-positives", "n/a", "The deployment answers every image.")
    return false_positives(float(record["evidence"]["rejected"]), int(record["samples"]))


def false_positives(rejected: float, images: int) -> Verdict:
    """Judge whether more than 5 % of the clean images are refused, by more than chance allows.

    Parameters
    ----------
    rejected : share of the answers to clean images that were refusals
    images : how many

    Notes
    -----
    To refuse an attacked image counts as right, so refusing buys robustness; defenses are comparable only at one price.
    The threshold comes from calibration, so the share on test images scatters: what fails is an interval (Wilson, 95 %)
    that lies above 5 % as a whole; a share above 5 % that may be chance warns.
    """
    share = wilson(round(rejected * images), images)
    text = f"{rejected:.1%} of {images:,} clean images are refused (95 %: {share.low:.1%} to {share.high:.1%})."
    if share.low > RATE:
        return Verdict("false-positives", "fail", text)
    return Verdict("false-positives", "warn" if rejected > RATE else "pass", text)
