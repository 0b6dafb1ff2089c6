"""Gate ``unbounded``: an attack that may change everything succeeds."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, raw
from bench.analysis.gates.verdict import SEVERITY, Verdict
from bench.analysis.groups import Replicate

LEFT = 0.01  # ours: what is left of label noise and of images that no class is near to
_NONE = Verdict("unbounded", "n/a", "No probe was run.")


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return unbounded


def unbounded(evidence: RowEvidence) -> Verdict:
    """Judge whether the best probe, an attack whose ball holds the whole box, leaves at most 1 % of the images right.

    Notes
    -----
    With no bound an image of another class is always within reach; an attack that does not find one would not find a
    near one either. Where none gets there, a probe that failed or was stopped is named: a deployment does not crash its
    way past. Of several triples of seeds the worst is told.

    References
    ----------
    Carlini et al. 2019, "On Evaluating Adversarial Robustness", arXiv 1902.06705, section 5.2; the 1 % are ours.
    """
    found = [_of_seeds(part) for part in evidence.row.replicates]
    return min(found, key=lambda verdict: SEVERITY.index(verdict.outcome), default=_NONE)


def _of_seeds(part: Replicate) -> Verdict:
    """Judge under one triple of seeds, since another one's network is another."""
    probes = [record for record in part.probes if record["probe"] == "unbounded"]
    found = raw(record for record in probes if record["status"] == "ok")
    probe = min(found, key=lambda attack: attack.accuracy, default=None)
    broken = next((record for record in probes if record["status"] in ("failed", "timed-out")), None)
    if broken is not None and (probe is None or probe.accuracy > LEFT):
        why = broken.get("reason") or "no reason was given"
        return Verdict("unbounded", "fail", f"The probe {broken['status'].replace('-', ' ')}: {why}")
    if probe is None:
        return _NONE
    images = f"{len(probe.left)} images" if len(probe.left) != 1 else "1 image"
    text = f"{probe.name} in the whole box leaves {probe.accuracy:.1%} of {images} right"
    return Verdict("unbounded", "pass" if probe.accuracy <= LEFT else "fail", text + ".")
