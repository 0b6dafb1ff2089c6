"""Carlini and Wagner's smallest L2 perturbation: Adam in tanh space, and a search for the constant of each image."""

from __future__ import annotations

import torch
from torch import Tensor

from bench_native.balls import per_image
from bench_native.case import Case
from bench_native.losses import margin
from bench_native.search import Search

_INSIDE = 0.999999  # keeps values of 0 and 1 at finite places of the tanh space: authors' code, l2_attack
_BETA_1, _BETA_2, _TINY = 0.9, 0.999, 1e-8  # Adam's defaults: Kingma and Ba 2015, Algorithm 1


class CarliniL2(Search):
    """Least |x' - x|^2 + c max(confidence - margin, 0) over w, x' = (1 + tanh w) / 2.

    Parameters
    ----------
    steps : of Adam for each constant
    rate : Adam's
    searches : constants c tried for each image, one after the other: ten times the last until one breaks it, then the
        middle between the largest that did not and the smallest that did
    constant : the first c
    confidence : margin of the wrong class in logits that is aimed at

    Notes
    -----
    The image asked about is the one that would be delivered; the gradient is taken as that of x'. Of all steps of all
    searches the nearest broken image is kept.

    References
    ----------
    Carlini and Wagner, S&P 2017, arXiv 1608.04644, sections V.B (f6), V.D (constant) and VI.A.
    """

    looks = False
    minimum_norm = True

    def __init__(self, *, steps: int, rate: float, searches: int, constant: float, confidence: float) -> None:
        self.steps, self.rate, self.searches = steps, rate, searches
        self.constant, self.confidence = constant, confidence

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        count = len(case)
        best, shortest = case.x.clone(), torch.full((count,), torch.inf, dtype=torch.float64)
        low, high = torch.zeros(count), torch.full((count,), torch.inf)
        constants = torch.full((count,), self.constant)
        for _ in range(self.searches):
            found, distance = self._descend(case, constants)
            nearer = distance < shortest
            best[nearer], shortest[nearer] = found[nearer], distance[nearer]
            broke = distance.isfinite()
            high = torch.where(broke, constants, high)
            low = torch.where(broke, low, constants)
            constants = torch.where(high.isinf(), 10 * constants, (low + high) / 2)
        notes["found"] = shortest.isfinite()
        return best

    def _descend(self, case: Case, constants: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest broken image of one search, and how far it lies: infinity where there is none."""
        case.panel.surface.begin()
        x, threat = case.x, case.threat
        w = torch.atanh(_INSIDE * (2 * x - 1))
        origin = (1 + torch.tanh(w)) / 2
        first, second = torch.zeros_like(w), torch.zeros_like(w)
        best, shortest = x.clone(), torch.full((len(x),), torch.inf, dtype=torch.float64)
        everything = torch.arange(len(x))
        for step in range(self.steps):
            case.panel.surface.progress = step / self.steps
            moved = torch.tanh(w)
            x_adv = (1 + moved) / 2
            delivered = threat.realise(x, x_adv)
            found = case.ascent(everything, delivered, case.y, self._reached)
            broken = case.convincing(everything, found.answers)
            broken &= case.worth(found.answers, case.y) >= self.confidence
            distance = threat.distance(x, delivered)
            nearer = broken & (distance < shortest) & case.may_stand(distance)
            best[nearer], shortest[nearer] = delivered[nearer], distance[nearer]
            slope = 2 * (x_adv - origin) - per_image(constants, x) * found.gradient
            slope = slope * (1 - moved.square()) / 2
            first = _BETA_1 * first + (1 - _BETA_1) * slope
            second = _BETA_2 * second + (1 - _BETA_2) * slope.square()
            mean, spread = first / (1 - _BETA_1 ** (step + 1)), second / (1 - _BETA_2 ** (step + 1))
            w = w - self.rate * mean / (spread.sqrt() + _TINY)
        return best, shortest

    def _reached(self, answers: Tensor, labels: Tensor) -> Tensor:
        """Return the margin as far as it is asked for: beyond the confidence it has no slope."""
        return margin(answers, labels).clamp(max=self.confidence)
