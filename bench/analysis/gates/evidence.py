"""What a gate of a row is given: every attack by itself, before any pooling."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bench.analysis.groups import Row, Seeds, alike, counts, seeds_of
from bench.analysis.records import Record, decode_array
from bench.analysis.statistics import Values, fewer, pooled
from bench.analysis.worst_case import attack_candidate, detected_shares

ITERATED = ("pgd-ce", "apgd-dlr", "square")  # marks of the ladder that search: more room can only help them


@dataclass(frozen=True)
class Raw:
    """One attack at one knowledge, as it did alone.

    Attributes
    ----------
    record : of its first triple of seeds
    found : of each triple of seeds, share of right answers to this attack's x' of each image, float64, (m,)
    detected : of each triple of seeds whose deployment has a detector, share of these x' that it detects, float64, (m,)
    """

    record: Record
    found: Mapping[Seeds, Values]
    detected: Mapping[Seeds, Values]

    @cached_property
    def left(self) -> Values:
        """Return the share of right answers of each image, mean over seeds, float64, (m,)."""
        return pooled(list(self.found.values()))

    @property
    def accuracy(self) -> float:
        """Return the share of images that it leaves right."""
        return float(self.left.mean())

    @property
    def name(self) -> str:
        """Return the attack in words."""
        return f"{self.record['attack']['label']} ({self.record['knowledge']})"

    @property
    def core(self) -> str:
        """Return its place on the ladder, "" for none."""
        return str(self.record["attack"].get("core") or "")

    @property
    def knowledge(self) -> str:
        """Return what the attacker knows."""
        return str(self.record["knowledge"])

    @property
    def follows_gradients(self) -> bool:
        """Whether it differentiates the deployment itself."""
        return self.record["attack"].get("access") == "gradient" and self.knowledge in ("white-box", "adaptive")


@dataclass(frozen=True)
class RowEvidence:
    """A row, and what it is to be seen beside.

    Attributes
    ----------
    row : one defense in one setting
    family : the same defense under the same kind of threat, at every radius and budget; the row itself among them
    twin : the undefended row of the same setting, None where it was not run
    variants : the defense of that name with any parameters, under the same threat, at any budget, on the test images
        and in any pool; the row itself among them
    others : every row of the same images under the same kind of threat, at every radius and budget, of any defense and
        network; the row itself among them
    """

    row: Row
    family: tuple[Row, ...]
    twin: Row | None
    variants: tuple[Row, ...]
    others: tuple[Row, ...]

    @property
    def raw(self) -> list[Raw]:
        """Return every attack that ended well, controls left out."""
        return raw(record for part in self.row.replicates for record in part.attacks if counts(record))

    @property
    def controls(self) -> list[Raw]:
        """Return every control that ended well."""
        return controls_of(self.row)

    @property
    def clean(self) -> Values | None:
        """Return the share of right clean answers of each image, float64, (n,), mean over seeds."""
        return clean_shares(self.row)

    def over_twin(
        self, figure: Callable[[Row], Values | None], told: Callable[[Row], Collection[Seeds]]
    ) -> tuple[Values, Values] | None:
        """Return a figure of each image of the row and of its undefended twin; None where one has none.

        Of the images of both, under the seeds of both, ``told`` as ``alike`` wants it.
        """
        pair = None if self.twin is None or self.twin is self.row else alike(self.row, self.twin, told)
        if pair is None:
            return None
        own, other = map(figure, pair)
        if own is None or other is None:
            return None
        n = min(len(own), len(other))
        return own[:n], other[:n]

    @property
    def views(self) -> dict[str, Values]:
        """Return of each node before the last that gives logits what it answers rightly, as ``clean`` has it."""
        told: dict[str, list[Values]] = {}
        for part in self.row.replicates:
            for name, right in ((part.clean or {}).get("views") or {}).items():
                told.setdefault(name, []).append(decode_array(right).astype(np.float64))
        return {name: pooled(found) for name, found in told.items()}

    @property
    def randomised(self) -> bool:
        """Whether the deployment draws."""
        return any(part.randomised for part in self.row.replicates)


def controls_of(row: Row) -> list[Raw]:
    """Return every control of a row that ended well."""
    return raw(
        record
        for part in row.replicates
        for record in part.attacks
        if record["status"] == "ok" and record["attack"].get("control", False)
    )


def raw(records: Iterable[Record]) -> list[Raw]:
    """Return attacks by themselves, equal ones of several seeds as one; of several runs of one, that on most first."""
    runs: dict[tuple[str, str], dict[Seeds, list[Record]]] = {}
    for record in records:
        name = (str(record["attack"]["label"]), str(record["knowledge"]))
        runs.setdefault(name, {}).setdefault(seeds_of(record), []).append(record)
    found = []
    for parts in runs.values():
        for same in parts.values():
            same.sort(key=lambda record: -int(record["samples"]))
        for place in range(max(len(same) for same in parts.values())):
            here = {seeds: same[place] for seeds, same in parts.items() if place < len(same)}
            left = {seeds: attack_candidate(record).scored for seeds, record in here.items()}
            seen = {seeds: share for seeds, record in here.items() if (share := detected_shares(record)) is not None}
            found.append(Raw(next(iter(here.values())), left, seen))
    return found


def outdone(row: Row, first: Raw, second: Raw, *, pairs: int) -> bool:
    """Return whether one attack on a row's deployment leaves fewer images right than another that should do better.

    Of the images of both, by more than a margin and chance, of so many comparisons.

    Notes
    -----
    Where the deployment may refuse, that has to be so twice: with a refusal as a right answer, as everywhere, and with
    the refusal of an attacker who does not look at the detector as none. The further such a one goes the more he is
    refused, so that what he leaves right says nothing of how he searched. What he leaves unrefused says nothing either
    where noise alone is refused.
    """
    return fewer(*beside(first, second), pairs=pairs) and (
        not row.refuses or fewer(*beside(_unrefused(first), _unrefused(second)), pairs=pairs)
    )


def _unrefused(attack: Raw) -> Raw:
    """Return an attack with what it leaves right and is told; all that it leaves right where it knows the detector."""
    if attack.core == "detector-aware":
        return attack
    answered = {
        seeds: np.maximum(left - attack.detected[seeds], 0.0) if seeds in attack.detected else left
        for seeds, left in attack.found.items()
    }
    return replace(attack, found=answered)


def clean_shares(row: Row) -> Values | None:
    """Return the share of right clean answers of each image, mean over seeds; None where there are none."""
    found = _clean(row)
    return pooled(list(found.values())) if found else None


def harmless(row: Row, name: str) -> tuple[Raw, Values, Values] | None:
    """Return a control, and what is right without it and with it under the seeds of both; None where it was not run.

    Returns
    -------
    control, before, after : share of right answers of each image, mean over seeds, float64, (m,)
    """
    control = _control(row, name)
    common = sorted(seeds_of_harmless(row, name))
    if control is None or not common:
        return None
    before, after = (pooled([shares[seeds] for seeds in common]) for shares in (_clean(row), control.found))
    n = min(len(before), len(after))
    return control, before[:n], after[:n]


def seeds_of_harmless(row: Row, name: str) -> set[Seeds]:
    """Return the seeds under which both a control and clean images were judged."""
    control = _control(row, name)
    return set(control.found.keys() & _clean(row).keys()) if control else set()


def _control(row: Row, name: str) -> Raw | None:
    return next((attack for attack in controls_of(row) if attack.record["attack"]["name"] == name), None)


def _clean(row: Row) -> dict[Seeds, Values]:
    return {part.seeds: clean.scored for part in row.replicates if (clean := part.clean_candidate()) is not None}


def beside(first: Raw, second: Raw) -> tuple[Values, Values]:
    """Return what two attacks leave of the images that both were tried on, under the seeds that both were run under.

    Returns
    -------
    float64, (m,), twice: means over these seeds; over all of each where it has none in common with the other
    """
    common = first.found.keys() & second.found.keys()
    left = [
        pooled([shares for seeds, shares in attack.found.items() if not common or seeds in common])
        for attack in (first, second)
    ]
    n = min(len(shares) for shares in left)
    return left[0][:n], left[1][:n]


def best_beside(attacks: Iterable[Raw], other: Raw) -> Raw | None:
    """Return the attack that leaves the fewest of the images that ``other`` was tried on; None where there is none.

    Notes
    -----
    One of those that were tried on all of these images; where none was, of those that were tried on the most. Of
    attacks on different numbers of images, the few images of one may be easier than the many of another.
    """
    known = [(attack, beside(attack, other)[0]) for attack in attacks]
    seen = max((len(left) for _, left in known), default=0)
    enough = ((attack, left) for attack, left in known if len(left) >= seen)
    return min(enough, key=lambda pair: float(pair[1].mean()), default=(None, None))[0]


def side_by_side(first: Raw, second: Raw) -> str:
    """Return what two attacks leave of the images that both were tried on, in words."""
    left, other = beside(first, second)
    on = f" of {len(left):,} images" if len(first.left) != len(second.left) else ""
    return f"{first.name} leaves {left.mean():.1%}{on}, {second.name} {other.mean():.1%}"


def told(pairs: Iterable[str], limit: int = 3) -> str:
    """Return some findings as one clause."""
    found = list(pairs)
    return "; ".join(found[:limit]) + (f"; and {len(found) - limit} more" if len(found) > limit else "")
