"""The pointwise worst case over attacks, of deterministic and randomised deployments by one rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from scipy.special import bdtrc

from bench.analysis.paired import resampled
from bench.analysis.records import Record, outcome
from bench.analysis.statistics import ALPHA, MARGIN, Values, pooled

QUERIES = (1, 10, 100)
_TOLERANCE = (1 + 1e-5, 1e-6)  # of float32 distances at the ball's edge, as threats judge it


@dataclass(frozen=True)
class Candidate:
    """One image x' of each test image: the clean one, or what one attack found.

    Attributes
    ----------
    attack, knowledge : labels; "" for the clean image
    selected, scored : share of correct answers on the selection and on the score draws, float64, (m,), m <= n
    draws : behind each scored share
    """

    attack: str
    knowledge: str
    selected: Values
    scored: Values
    draws: int = 1

    def wrong_within(self, queries: int) -> float:
        """Return the mean over images of the chance of at least one wrong answer in so many queries."""
        return float(wrong_within(self.scored, queries, self.draws).mean())


Tried = tuple[Candidate, Sequence[Candidate]]  # the clean images, and what each attack found
Seed = TypeVar("Seed")


@dataclass(frozen=True)
class WorstCase:
    """What is left when for each image the worst candidate is taken.

    Attributes
    ----------
    scored : share of correct answers to each candidate where it is the worst, the clean image first, float64, (m, n);
        NaN where another one is
    strongest : index of the attack that is worst, alone or with others, for most images; -1 where none does any harm
    harmed : images for which ``strongest`` is worst
    draws : behind each share
    """

    scored: Values
    strongest: int
    harmed: int
    draws: int = 1

    @cached_property
    def shares(self) -> Values:
        """Probability of a correct answer to the worst x', float64, (n,)."""
        return np.asarray(np.nanmean(self.scored, axis=0))

    def wrong_within(self, queries: int) -> float:
        """Return the mean over images of the chance of at least one wrong answer in so many queries."""
        return float(np.nanmean(wrong_within(self.scored, queries, self.draws), axis=0).mean())


@dataclass(frozen=True)
class Fall:
    """What attacks on fewer images do to the number of those that were tried on more.

    Attributes
    ----------
    images : that the former were tried on, the first ones
    names : of the former
    before, after : what is left of these images without and with them, mean over seeds, float64, (images,)
    """

    images: int
    names: tuple[str, ...]
    before: Values
    after: Values

    @property
    def size(self) -> float:
        """Return by how much the mean falls."""
        return float(self.before.mean() - self.after.mean())


def falls(tried: Sequence[Tried], longest: int) -> list[Fall]:
    """Return what the attacks on fewer images than ``longest`` do, the most images first.

    Parameters
    ----------
    tried : of each triple of seeds the clean images and the attacks
    """
    counts = {len(attack.scored) for _, attacks in tried for attack in attacks if len(attack.scored) < longest}
    return [_fall(tried, n, longest) for n in sorted(counts, reverse=True)]


def known(tried: Sequence[Tried]) -> int:
    """Return on how many images, the first ones, the worst case over these attacks stands.

    Notes
    -----
    On those that any attack was tried on: where none was, nothing is known. But where attacks on fewer images leave
    fewer of those right than the others do, by over a point and more than chance, they would have left fewer of the
    rest too. What the others leave of the rest is then no worst case, and the number stands on the fewer images; unless
    these happen to be easier, and the number of all is the lower one: an attack must not raise a number.
    """
    n = longest(tried)
    while lower := [fall for fall in falls(tried, n) if is_telling(fall) and fall.after.mean() <= _left(tried, n)]:
        n = lower[0].images
    return n


def uneven(tried: Sequence[Tried]) -> Fall | None:
    """Return what attacks that not all seeds met do under one that met them; None where they do nothing telling.

    Notes
    -----
    A mean over seeds of which some met fewer attacks is then no number: the others would have fallen too.
    """
    return next((fall for _, fall in _telling(tried)), None)


def evened(tried: Mapping[Seed, Tried]) -> dict[Seed, Tried]:
    """Return those of the seeds that met most of the attacks that not all met and that tell; all where none tells."""
    told = {name for names, _ in _telling(list(tried.values())) for name in names}
    met = {seed: len(told & _names(attacks)) for seed, (_, attacks) in tried.items()}
    return {seed: case for seed, case in tried.items() if met[seed] == max(met.values())}


def _telling(tried: Sequence[Tried]) -> Iterator[tuple[set[tuple[str, str]], Fall]]:
    """Yield of each seed the attacks that not all seeds met, and what they do, where that tells."""
    shared = set.intersection(*(_names(attacks) for _, attacks in tried)) if tried else set()
    for clean, attacks in tried:
        if alone := _names(attacks) - shared:
            n = known([(clean, attacks)])
            common = [attack for attack in attacks if (attack.attack, attack.knowledge) in shared]
            before, after = (worst_case(first(clean, n), some).shares for some in (common, attacks))
            fall = Fall(n, tuple(dict.fromkeys(attack for attack, _ in sorted(alone))), before, after)
            if is_telling(fall):
                yield alone, fall


def _names(attacks: Sequence[Candidate]) -> set[tuple[str, str]]:
    return {(attack.attack, attack.knowledge) for attack in attacks}


def worst_cases(tried: Sequence[Tried]) -> list[WorstCase]:
    """Return of each triple of seeds the worst case, on the images that it is known of under all."""
    n = known(tried) if tried else 0
    return [worst_case(first(clean, n), attacks) for clean, attacks in tried]


def longest(tried: Sequence[Tried]) -> int:
    """Return how many images at least one attack was tried on, under all seeds."""
    return min(max(len(attack.scored) for attack in attacks) for _, attacks in tried)


def is_telling(fall: Fall) -> bool:
    """Return whether a fall is over a point, and more than chance would make of a point.

    Notes
    -----
    More attacks only ever lose images, so that a test of both directions would ask for six lost images, of however few
    that were tried. Right and wrong: the images lost are more than a binomial of a point explains. Else the paired
    bootstrap of the fall lies above a point.
    """
    lost = fall.before - fall.after
    if np.all((lost == 0) | (lost == 1)):
        return float(bdtrc(float(lost.sum()) - 1, fall.images, MARGIN)) < ALPHA
    return resampled(lost, level=1 - 2 * ALPHA).low > MARGIN


def _left(tried: Sequence[Tried], images: int) -> float:
    """Return what all attacks leave of the first so many images, each of those it was tried on."""
    return float(pooled([worst_case(first(clean, images), attacks).shares for clean, attacks in tried]).mean())


def _fall(tried: Sequence[Tried], images: int, longer: int) -> Fall:
    names = dict.fromkeys(a.attack for _, attacks in tried for a in attacks if images <= len(a.scored) < longer)
    before, after = (
        pooled([worst_case(clean, [a for a in attacks if len(a.scored) >= least]).shares for clean, attacks in tried])
        for least in (longer, images)
    )
    return Fall(images, tuple(names), before[:images], after[:images])


def first(candidate: Candidate, images: int) -> Candidate:
    """Return what a candidate says of the first so many images."""
    return replace(candidate, selected=candidate.selected[:images], scored=candidate.scored[:images])


def wrong_within(shares: Values, queries: int, draws: int = 1) -> Values:
    """Return of each image the chance of a wrong answer in k queries, float64, of the shape of ``shares``.

    Parameters
    ----------
    shares : of right answers, float64, any shape, each of so many ``draws``

    Notes
    -----
    1 - C(s, k) / C(T, k), of s right answers in T draws: what k of these draws, taken at random, show; its mean is
    1 - p^k. A share put in the place of p would not do: 1 - (s / T)^k is too low on average, by an eighth at k = 10,
    p = .99 and T = 32. For more queries than draws no estimate is right on average, and that low one is what is left.
    """
    if queries > draws:
        return np.asarray(1.0 - shares**queries)
    right = np.rint(shares * draws)[..., None] - np.arange(queries)
    return np.asarray(1.0 - np.prod(np.maximum(right, 0.0) / (draws - np.arange(queries)), axis=-1))


def clean_candidate(record: Record) -> Candidate:
    """Return the clean images of a clean record as a candidate."""
    if _is_single(record) or "selected" not in record["outcomes"]:
        shares = outcome(record, "clean_correct").astype(np.float64)
        return Candidate("", "", shares, shares)
    return _drawn(record, "", "")


def attack_candidate(record: Record) -> Candidate:
    """Return what the attack of an attack record found, as judged in the ball of its own epsilon."""
    attack, knowledge = str(record["attack"]["label"]), str(record["knowledge"])
    if _is_single(record):
        shares = outcome(record, "scored").astype(np.float64)
        return Candidate(attack, knowledge, shares, shares)
    return _drawn(record, attack, knowledge)


def detected_shares(record: Record) -> Values | None:
    """Return of each image the share of score draws in which it is detected, float64, (m,); None without a detector."""
    if "detected" not in record["outcomes"]:
        return None
    share: Values = outcome(record, "detected").astype(np.float64) / int((record.get("draws") or {}).get("score", 1))
    return share


def found_distances(record: Record, clean: Values) -> Values:
    """Return how far away a minimum-norm attack found a wrong answer, float64, (m,): 0 where the clean one is wrong.

    Notes
    -----
    An attack that found nothing gives inf, or the clean image itself at distance 0: both count as nothing found. On
    images whose clean answer is not known it tells nothing.
    """
    distance = outcome(record, "distance").astype(np.float64)[: len(clean)]
    right = clean[: len(distance)] > 0
    attacked = outcome(record, "attacked")[: len(clean)] > 0 if "attacked" in record["outcomes"] else right
    distance = np.where(attacked & np.isfinite(distance) & (distance > 0), distance, np.inf)
    return np.where(right, distance, 0.0)


def at_epsilon(record: Record, clean: Values, epsilon: float) -> Candidate:
    """Return what a minimum-norm attack, run once, says at another epsilon against a deterministic deployment."""
    factor, slack = _TOLERANCE
    shares = (found_distances(record, clean) > epsilon * factor + slack).astype(np.float64)
    return Candidate(str(record["attack"]["label"]), str(record["knowledge"]), shares, shares)


def worst_case(clean: Candidate, attacks: Sequence[Candidate]) -> WorstCase:
    """Return the worst case over the clean images and all attacks.

    Notes
    -----
    For each image x' = argmin over the candidates of the share correct on the selection draws, scored on disjoint
    draws: the worst of many is only apparently so, and scoring it on the draws that chose it would manufacture breaks.
    Of several that are equally bad there, the one is taken that leaves least on the selection draws of all images, the
    clean one where it was not tried: an attack that had luck once must not stand for one that always breaks. Of equal
    ones the share is the mean, so that the order of the attacks changes nothing. With one draw this is the conjunction:
    right under every attack. An attack that was run on fewer images lowers only those: ``known`` says on how many the
    number stands.
    """
    n = len(clean.scored)
    selected = np.full((1 + len(attacks), n), np.inf)
    scored = np.zeros((1 + len(attacks), n))
    selected[0], scored[0] = clean.selected, clean.scored
    for row, candidate in enumerate(attacks, 1):
        m = min(n, len(candidate.selected))
        selected[row, :m], scored[row, :m] = candidate.selected[:m], candidate.scored[:m]
    worst = selected.min(0)
    harmed = ((selected[1:] == worst) & (worst < selected[0])).sum(1) if attacks else np.zeros(0, dtype=np.int64)
    strongest = int(harmed.argmax()) if len(harmed) and harmed.max() > 0 else -1
    overall = np.where(np.isfinite(selected), selected, clean.selected).mean(1)[:, None]
    strength = np.where(selected == worst, overall, np.inf)
    left = np.where(strength == strength.min(0), scored, np.nan)
    return WorstCase(left, strongest, int(harmed[strongest]) if strongest >= 0 else 0, clean.draws)


def _is_single(record: Record) -> bool:
    return int((record.get("draws") or {}).get("score", 1)) == 1


def _drawn(record: Record, attack: str, knowledge: str) -> Candidate:
    draws = record["draws"]
    selected = outcome(record, "selected").astype(np.float64) / draws["select"]
    scored = outcome(record, "scored").astype(np.float64) / draws["score"]
    return Candidate(attack, knowledge, selected, scored, int(draws["score"]))
