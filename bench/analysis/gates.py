"""Gates: checks of a number, each a pure function of its evidence.

A failed gate bars a row from ranking; a warning is printed beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

GateOutcome = Literal["pass", "warn", "fail", "n/a"]

ZERO_SHARE = 0.5  # ours: an undefended network's input gradient is rarely zero in more than a few percent of pixels
DEAD_SHARE = 0.2  # ours: images whose whole gradient is zero
STRANGE_SHARE = 0.01  # ours: room for a hard threshold that another batch's last bit tips over


@dataclass(frozen=True)
class Verdict:
    """What a gate says of one cell.

    Attributes
    ----------
    evidence : the numbers behind it, one sentence
    """

    name: str
    outcome: GateOutcome
    evidence: str

    def as_dict(self) -> dict[str, str]:
        """Return it as a record holds it."""
        return asdict(self)


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


def ball(outside: Sequence[int], nonfinite: Sequence[int]) -> Verdict:
    """Judge whether every adversarial image was allowed: in the ball and the box, finite.

    Parameters
    ----------
    outside, nonfinite : numbers of the offending images
    """
    if not outside and not nonfinite:
        return Verdict("ball", "pass", "Every adversarial image is finite and inside the ball and the box.")
    parts = []
    if outside:
        parts.append(f"{len(outside)} outside the ball or the box (images {_some(outside)})")
    if nonfinite:
        parts.append(f"{len(nonfinite)} not finite (images {_some(nonfinite)})")
    return Verdict("ball", "fail", "; ".join(parts) + ".")


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


def determinism(declared_randomised: bool, observed_differs: bool, max_difference: float) -> Verdict:
    """Judge whether a deployment is as random as it says.

    Parameters
    ----------
    observed_differs : the same images, asked twice under different draws, got different logits
    max_difference : largest difference of a logit

    Notes
    -----
    Undeclared randomness fails: its images were scored on one draw, which a worst case over many attacks turns into
    breaks that are none. Declared randomness that does not show is only a waste of draws: a warning.
    """
    evidence = f"Largest difference of a logit between two draws: {max_difference:.3g}"
    if observed_differs and not declared_randomised:
        return Verdict("determinism", "fail", evidence + ", but the defense declares no randomness.")
    if declared_randomised and not observed_differs:
        return Verdict("determinism", "warn", evidence + ", although the defense declares randomness.")
    return Verdict("determinism", "pass", evidence + ", as declared.")


def _some(numbers: Sequence[int], limit: int = 8) -> str:
    return ", ".join(str(number) for number in numbers[:limit]) + (" …" if len(numbers) > limit else "")
