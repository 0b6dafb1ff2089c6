"""Gate ``gradients``: an attack got gradients that could lead it somewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

ZERO_SHARE = 0.5  # ours: an undefended network's input gradient is rarely zero in more than a few percent of pixels
DEAD_SHARE = 0.2  # ours: images whose whole gradient is zero


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""
    return lambda record: gradients(record["evidence"].get("gradients", {}), record.get("knowledge", ""))


def gradients(tally: Mapping[str, int], knowledge: str) -> Verdict:
    """Judge whether the gradients that an attack got could have led it anywhere.

    Parameters
    ----------
    tally : values, zeros (pixels of each image's first gradient), nonfinite (of all gradients), images, dead_images
        (first gradients that are zero everywhere)
    knowledge : of the attacker

    Notes
    -----
    - NaN or infinite values fail at every level: what an attack does with them is not defined.
    - More than half of the pixels zero, or more than a fifth of the images with no gradient at all, is *masking*. What
      follows depends on the level. A white-box attacker differentiates the deployment as it runs, and a quantiser
      rightly has a derivative of zero: a warning there, since that number says little but the adaptive one beside it
      counts. An adaptive attacker has surrogates precisely against this; if they are dead too, the number that ranks
      the row came from an attack that could not move: fail.
    - An oblivious attacker's gradients are the undefended twin's: dead ones mean that the twin, or the attack, is
      saturated (a cross-entropy that underflows): a warning, the number never ranks alone.
    - Where an attack asked for no gradient there is nothing to judge.
    """
    images, values = tally.get("images", 0), tally.get("values", 0)
    if images == 0 or values == 0:
        return Verdict("gradients", "n/a", "No gradient was asked for.")
    nonfinite = tally.get("nonfinite", 0)
    if nonfinite:
        return Verdict("gradients", "fail", f"{nonfinite:,} gradient values are NaN or infinite.")
    zero, dead = tally.get("zeros", 0) / values, tally.get("dead_images", 0) / images
    evidence = f"{zero:.1%} of the pixels and {dead:.1%} of {images:,} first gradients as a whole are exactly zero"
    if zero <= ZERO_SHARE and dead <= DEAD_SHARE:
        return Verdict("gradients", "pass", evidence + ".")
    if knowledge == "adaptive":
        return Verdict("gradients", "fail", evidence + ": masked, although the attacker used surrogates.")
    return Verdict("gradients", "warn", evidence + ": masked; read the adaptive number.")
