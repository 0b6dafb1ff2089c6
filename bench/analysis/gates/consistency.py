"""Gate ``consistency``: a deployment answers while it is attacked as it does when it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

STRANGE_SHARE = 0.01  # ours: room for a hard threshold that another batch's last bit tips over


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""
    return _judge


def _judge(record: Mapping[str, Any]) -> Verdict:
    evidence = record["evidence"]
    if "strangers" not in evidence:
        return Verdict("consistency", "n/a", "The attack met another network, or another ball, than what is judged.")
    return consistency(evidence["strangers"], evidence["attacked"])


def consistency(strangers: int, attacked: int) -> Verdict:
    """Judge whether a deployment answers while it is attacked as it does when it is judged.

    Parameters
    ----------
    strangers, attacked : images whose x' was answered otherwise in the process that attacked it, on equal draws; of
        how many

    Notes
    -----
    Where it does not, the deployment looked for labels, for the rows' order or for its own past, which are about while
    an attack runs and not when it is judged: the attack was led astray by something that no device has.
    """
    evidence = f"{strangers} of {attacked:,} images were answered otherwise while attacked than when judged"
    if strangers > STRANGE_SHARE * attacked:
        return Verdict("consistency", "fail", evidence + ": the attack did not meet what is deployed.")
    return Verdict("consistency", "pass", evidence + ".")
