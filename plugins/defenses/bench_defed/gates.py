"""Gate ``denoised``: the denoisers were trained well enough for the defense to be judged by what they do."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates import Verdict
from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.statistics import MARGIN, fewer, gains

NAME = "defed"
ERRORS = 3.0  # standard errors above the classifier that are no luck: specification section 3


def denoised() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return judge


def judge(evidence: RowEvidence) -> Verdict:
    """Judge whether the classifier recognises what each denoiser gives back as it recognises the image itself.

    Notes
    -----
    Specification section 3: accuracy on denoised clean images at least the classifier's less one point, else the
    cell's gate fails. Beyond chance that is (McNemar, divided by the number of denoisers); within it, it warns. A
    denoiser that loses more was trained too little: what an attacker leaves of it says nothing of the method. One that
    gains more than 3 standard errors of the paired difference warns too: it may have learned labels.
    """
    views = {name: left for name, left in evidence.views.items() if name.startswith("view")}
    alone = evidence.views.get("answer")
    if evidence.row.defense["name"] != NAME:
        return Verdict("denoised", "n/a", "There are no denoisers.")
    if not views or alone is None:
        return Verdict("denoised", "n/a", "What denoisers give back is not on record, or there are none.")
    told = ", ".join(f"{left.mean():.1%}" for left in views.values())
    text = f"Of {len(alone):,} clean images the classifier answers {alone.mean():.1%} rightly, denoised {told}."
    lost = {name: left for name, left in views.items() if left.mean() < alone.mean() - MARGIN}
    if any(fewer(left, alone, pairs=len(views)) for left in lost.values()):
        return Verdict("denoised", "fail", text)
    if any(gains(left, alone, ERRORS) for left in views.values()):
        return Verdict("denoised", "warn", f"Suspicious, labels may have leaked: {text}")
    return Verdict("denoised", "warn" if lost else "pass", text)
