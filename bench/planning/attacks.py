"""Which attack meets which deployment under which knowledge, on which images."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import UsageError
from bench.planning.machine import gradient_precision
from bench.planning.specification import AUTO, KNOWLEDGE, RunSpecification
from bench.planning.subjects import Subject
from bench.plugins.entries import Attack, Dataset, Knowledge
from bench.plugins.selection import Chosen, choose

CLEAN_BLOCK = 128
SELECT_DRAWS, SCORE_DRAWS = 16, 32  # evaluation.md section 1: at least so many
SEARCH_DRAWS = 8  # evaluation.md, section 3: a search that compares single draws follows the noise
TRANSFER = "transfer"  # the start from what the same attack found on the twin
# Which knowledge levels an attack can have, by what it asks of the surface.
LEVELS: Mapping[str, tuple[Knowledge, ...]] = {
    "gradient": ("oblivious", "white-box", "adaptive"),
    "score": ("black-box", "adaptive"),
    "decision": ("black-box",),
    "none": ("oblivious",),
}
# Whoever may ask for answers asks the whole deployment. One who asks the undefended network alone, as some authors of
# detectors did, is run where oblivious attackers are asked for by name.
_ON_REQUEST: Mapping[str, tuple[Knowledge, ...]] = {"score": ("oblivious",), "decision": ("oblivious",)}


@dataclass(frozen=True, kw_only=True)
class ThreatPoint:
    """A norm and a radius; ``headline`` is the first of its data set."""

    norm: str
    epsilon: float
    headline: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as a record shows it."""
        return {"norm": self.norm, "epsilon": self.epsilon, "domain": "uint8", "targeted": False}


@dataclass(frozen=True)
class Assault:
    """An attack, and how it is let at a deployment.

    Attributes
    ----------
    level : of knowledge
    probe : the gate for whose sake it is run, "" for an attack that counts
    way : to a gradient, one of ``bench.attack.ways``; "" for the usual one
    start : ``TRANSFER``, or "" for starts of the attack's own
    made_on : label of another defense on which the images are made, "" for none
    own : the deployment's defense brings it
    """

    chosen: Chosen
    level: str
    point: ThreatPoint
    seed: int
    probe: str = ""
    way: str = ""
    start: str = ""
    made_on: str = ""
    own: bool = False

    @property
    def label(self) -> str:
        """Return the attack as a reader sees it, with its way, start and source where they are not the usual ones."""
        via = f" via {self.way.rpartition(':')[2]}" if self.way else ""
        start = f" from {self.start}" if self.start else ""
        return self.chosen.label + via + start + (f" made on {self.made_on}" if self.made_on else "")

    @property
    def core(self) -> str:
        """Return its place on the ladder, "" for none: the ladder is of usual ways, starts and aims."""
        return "" if self.way or self.start or self.made_on else self.entry.core

    @property
    def entry(self) -> Attack:
        """Return the attack's entry."""
        entry = self.chosen.found.entry
        assert isinstance(entry, Attack)
        return entry


def threat_points(entry: Dataset, spec: RunSpecification) -> list[ThreatPoint]:
    """Return the threats of a data set that the run asks for, the headline first.

    Raises
    ------
    UsageError : none of the norms asked for is listed, radii were given for several norms at once, or one is larger
        than the box
    """
    listed = [t for t in entry.threats if not spec.norms or t.norm in spec.norms]
    if not listed:
        known = ", ".join(t.norm for t in entry.threats)
        raise UsageError(f"Data set {entry.name!r} lists no threat under {', '.join(spec.norms)}; it lists {known}.")
    numbers = [e for e in spec.epsilons if not isinstance(e, str)]
    if numbers and len(listed) > 1:
        raise UsageError("A radius means another thing under each norm: with --eps name one norm, such as --norm linf.")
    if numbers and listed[0].norm == "linf" and (wide := next((e for e in numbers if e > 1), None)) is not None:
        meant = f" Did you mean {wide:g}/255?" if wide <= 255 else ""
        raise UsageError(f"Radius {wide:g} is more than a pixel can change: pixels are in [0, 1].{meant}")
    points = []
    for threat in listed:
        radii = numbers or (threat.epsilons if spec.epsilons else threat.epsilons[:1])
        points += [
            ThreatPoint(
                norm=threat.norm, epsilon=float(e), headline=threat is entry.threats[0] and e == threat.epsilons[0]
            )
            for e in radii
        ]
    return points


def reached(point: ThreatPoint, reach: float, shape: Sequence[int]) -> ThreatPoint:
    """Return the threat of a probe: its radius ``reach`` times the point's, but no more than the whole box has."""
    pixels = math.prod(shape)
    box = {"linf": 1.0, "l2": math.sqrt(pixels)}.get(point.norm, float(pixels))
    return ThreatPoint(
        norm=point.norm, epsilon=min(reach * point.epsilon if point.epsilon else box, box), headline=False
    )


def levels(attack: Attack, subject: Subject, spec: RunSpecification) -> Iterator[Knowledge]:
    """Yield the knowledge levels under which the attack meets the subject, among those asked for."""
    named = _ON_REQUEST.get(attack.access, ()) if "oblivious" in spec.knowledge else ()
    possible = (*LEVELS[attack.access], *named)
    for level in KNOWLEDGE:
        wanted = not spec.knowledge or level in spec.knowledge or attack.control
        # Where nothing is defended, the twin is the deployment itself.
        doubled = level == "oblivious" and subject.entry.baseline and attack.access != "none"
        blind = bool(attack.wants) and not attack.control and level != "adaptive"
        if level in possible and wanted and not doubled and not blind:
            yield level


def offers(traits: Mapping[str, Any], attack: Attack) -> bool:
    """Return whether a deployment has what an attack wants."""
    has: Mapping[str, bool] = {"": True, "views": traits["views"] > 1, "detector": traits["detects"]}
    return has[attack.wants]


def other_ways(attack: Attack, point: ThreatPoint, traits: Mapping[str, Any], spec: RunSpecification) -> Sequence[str]:
    """Return the ways to a gradient in which an adaptive attack is run beside the usual one.

    Notes
    -----
    All that there are, under the quick budget at the headline threat alone; elsewhere, and of an attack that does not
    explore, the one that gets clearly further than the usual one, if any does.
    """
    ways: Sequence[str] = traits["ways"]
    if attack.explores and _affords_more(point, spec):
        return ways[1:]
    return (traits["furthest"],) if traits["furthest"] and attack.access == "gradient" else ()


def other_starts(
    attack: Attack, point: ThreatPoint, met: Collection[Knowledge], spec: RunSpecification
) -> Sequence[str]:
    """Return the starts from which an adaptive attack is run beside its own, in the usual way.

    Parameters
    ----------
    met : the knowledge levels under which the attack meets the deployment: what was not found on the twin is no start
    """
    return (TRANSFER,) if attack.takes_start and "oblivious" in met and _affords_more(point, spec) else ()


def travels(attack: Attack, point: ThreatPoint, spec: RunSpecification) -> bool:
    """Return whether what an attack finds on a defense that transfers is tried on the others."""
    wanted = not spec.knowledge or "black-box" in spec.knowledge
    return wanted and attack.explores and not attack.wants and _affords_more(point, spec)


def _affords_more(point: ThreatPoint, spec: RunSpecification) -> bool:
    return point.headline or spec.budget != "quick"


def is_binarised(assault: Assault, spec: RunSpecification) -> bool:
    """Return whether an attack may be put to the binarisation test; the first that may is, once a deployment.

    Notes
    -----
    It costs as much as attacking a few hundred images: the ladder's PGD is asked, at adaptive knowledge, in the usual
    way to a gradient from a start of its own, at the headline threat, under the standard budget.
    """
    counts = assault.core == "pgd-ce" and assault.level == "adaptive" and not assault.probe
    return counts and assault.point.headline and spec.budget == "standard"


def own_attacks(subject: Subject, norm: str, spec: RunSpecification) -> list[Chosen]:
    """Return the attacks that a subject's defense brings against itself; adaptive ones, where these are asked for."""
    if spec.knowledge and "adaptive" not in spec.knowledge:
        return []
    found = subject.chosen.found
    return [
        choose(replace(found, entry=attack, unavailable=""), "attack", {})
        for attack in subject.entry.adaptive_attacks
        if attack.norm == norm
    ]


def surface(
    attack: Attack, level: str, traits: Mapping[str, Any], spec: RunSpecification, way: str = ""
) -> dict[str, Any]:
    """Return what the attacker sees; equal descriptions on one deployment are one and the same surface.

    Parameters
    ----------
    traits : of the deployment that is attacked, the twin's for an oblivious attacker
    """
    adaptive = level == "adaptive"
    backward = "none"
    if attack.access == "gradient":
        backward = way or ("straight-through" if adaptive and not traits["differentiable"] else "as-it-is")
    expectation = averaged(traits, spec, backward) if adaptive else 1
    if attack.access == "score" and traits["randomised"] and spec.budget != "quick":
        expectation = max(SEARCH_DRAWS, expectation)  # at black-box too: who may ask may ask again
    seen = (
        "black-box"
        if backward == "none"
        else "adaptive"
        if backward == "straight-through" or expectation > 1 or way or attack.wants
        else "white-box"
    )
    access = "score" if attack.access == "none" else attack.access
    return {
        "knowledge": seen,
        "access": access,
        "backward": backward,
        "expectation": expectation,
        "precision": precision(attack, spec.precision),
    }


def averaged(traits: Mapping[str, Any], spec: RunSpecification, way: str) -> int:
    """Return how many draws an adaptive attacker averages a query of a deployment.

    Scores, and gradients in a way that has to be learned first, are averaged as gradients in the usual way are.
    """
    if not traits["randomised"]:
        return 1
    if spec.expectation != AUTO:
        return spec.expectation
    noise = traits["noise"]
    draws: int = noise["ways"].get(way, noise["draws"])
    return draws


def precision(attack: Attack, asked: str) -> str:
    """Return what an attack's gradients are computed in, "fp32" or "bf16"; answers without one are always float32.

    So are those of an attack of minimum norm: its images come to rest on the boundary, where the third digit of a logit
    says on which side they are (decision 0021).
    """
    return gradient_precision(asked) if attack.access == "gradient" and not attack.minimum_norm else "fp32"


def blocks(count: int, available: int, size: int) -> list[tuple[int, int]]:
    """Return whole blocks of ``size`` images that cover the first ``count`` of ``available``."""
    return [(first, min(first + size, available)) for first in range(0, min(count, available), size)]


def excuse(chosen: Chosen, classes: int) -> str:
    """Return why an attack cannot be run on a data set at all, empty where it can."""
    entry = chosen.found.entry
    assert isinstance(entry, Attack)
    if classes < entry.classes:
        return f"needs at least {entry.classes} classes; the data set has {classes}"
    if any(s.block < 1 or CLEAN_BLOCK % s.block for s in (entry.quick, entry.standard)):
        return f"declares blocks that do not divide {CLEAN_BLOCK}"
    return ""


def attacks_under(attacks: Sequence[Chosen], norm: str) -> list[Chosen]:
    """Return the attacks that count under a norm; controls do under every one."""
    return [c for c in attacks if isinstance(c.found.entry, Attack) and c.found.entry.norm in {"", norm}]
