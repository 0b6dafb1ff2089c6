"""Gate ``coverage``: attacks that were tried on fewer images would not have lowered the number of the others."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.statistics import MARGIN
from bench.analysis.worst_case import falls, is_telling, known, longest, uneven


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return coverage


def coverage(evidence: RowEvidence) -> Verdict:
    """Judge whether what is left of the images that every attack was tried on is what is left of all images.

    Notes
    -----
    An attack that was run on the first hundred images lowers those alone; over all images the number would be a mixture
    of images that met all attacks and of images that met some. Looked at are the images that a shorter attack was tried
    on: those right under the attacks that were tried on all images, and those right under the shorter ones too. Where
    the second are fewer by more than a point and more than chance, so would be the rest: the number stands on these
    images alone, with the interval that they give (``known``), and this warns. Where it may be chance it warns too, and
    where the number of all images is lower all the same.

    Seeds that met fewer attacks than others raise their mean: where the attacks that not all met lower the number of
    those that met them in this way, the row's is known to be too high: fail.
    """
    tried = evidence.row.tried()
    if not tried:
        return Verdict("coverage", "n/a", "No attack was run.")
    if fall := uneven(tried):
        return Verdict(
            "coverage",
            "fail",
            f"{told(fall.names, limit=2)} was not tried under all seeds: where it was, {fall.after.mean():.1%} of "
            f"{fall.images:,} images are left with it, {fall.before.mean():.1%} without: the mean is too high.",
        )
    every = longest(tried)
    found = falls(tried, every)
    if not found:
        return Verdict("coverage", "pass", f"Every attack was tried on all {every:,} images.")
    fall = max(found, key=lambda one: one.size)
    text = (
        f"Of the first {fall.images:,} images attacks on all {every:,} leave {fall.before.mean():.1%}, with those on "
        f"fewer ({told(fall.names, limit=2)}) {fall.after.mean():.1%}"
    )
    stands = known(tried)
    if stands < every:
        return Verdict("coverage", "warn", f"{text}: the number is that of the first {stands:,} images.")
    if is_telling(fall):
        kept = "the number of all is lower than that of these and stands, but it is too high"
        return Verdict("coverage", "warn", f"{text}: {kept}.")
    if fall.size > MARGIN:
        return Verdict("coverage", "warn", f"{text}, which may be chance: the number may be too high.")
    return Verdict("coverage", "pass", text + ".")
