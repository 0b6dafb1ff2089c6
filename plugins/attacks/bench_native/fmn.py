"""FMN: the smallest perturbation, by a ball that shrinks where the image is broken and grows where it is not."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench_native.balls import dual_length, length, project, steepest
from bench_native.case import Case
from bench_native.losses import margin
from bench_native.search import Search

_LAST_SHARE = 0.01  # of the step at the end: authors' code, alpha_K = alpha_0 / 100
_LAST_GAMMA = 0.001  # same


class Fmn(Search):
    """Fast minimum norm.

    Parameters
    ----------
    steps : gradients an image
    step : L2 length of the first step; falls to a hundredth along a cosine
    gamma : relative change of the ball's radius at first; falls to .001 along a cosine
    confidence : margin of the wrong class in logits from which an image counts as broken; above 0 where a deployment is
        random, else the image found lies on the border of one draw

    Notes
    -----
    Per step: where broken, epsilon = min(epsilon, |delta|) (1 - gamma); where not, epsilon (1 + gamma), or before the
    first success (|delta| + |margin| / |gradient|_q) (1 + gamma). The last factor is ours: without it L2 searches near
    the boundary from inside, and a quarter of the images of a LeNet was never found. Then delta steps along the
    gradient over its L2 length, is projected onto the ball and cut by the box. The image asked about is the one that
    would be delivered, with the gradient taken as that of delta: distances are those of what is judged.

    References
    ----------
    Pintor, Roli, Brendel, Biggio, NeurIPS 2021, arXiv 2102.12827, Algorithm 1.
    """

    looks = False
    minimum_norm = True

    def __init__(self, *, steps: int, step: float, gamma: float, confidence: float) -> None:
        self.steps, self.step, self.gamma, self.confidence = steps, step, gamma, confidence

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        x, norm, threat = case.x, case.threat.norm, case.threat
        delta, best = torch.zeros_like(x), x.clone()
        shortest = torch.full((len(x),), torch.inf, dtype=torch.float64)
        radius = torch.full((len(x),), torch.inf)
        farthest = length(torch.maximum(x, 1 - x), norm)
        everything = torch.arange(len(x))
        for k in range(self.steps + 1):
            delivered = threat.realise(x, x + delta)
            last = k == self.steps
            if last:
                answers = case.answers(everything, delivered)
            else:
                found = case.ascent(everything, delivered, case.y, margin)
                answers = found.answers
            lead = case.worth(answers, case.y)
            distance = threat.distance(x, delivered)
            # Where answers are drawn, one wrong answer to the clean image would end the search at radius 0.
            broken = case.convincing(everything, answers) & (lead > self.confidence) & case.may_stand(distance)
            nearer = broken & (distance < shortest)
            best[nearer], shortest[nearer] = delivered[nearer], distance[nearer]
            if last:
                break
            falling = (1 + math.cos(math.pi * k / self.steps)) / 2
            gamma = _LAST_GAMMA + (self.gamma - _LAST_GAMMA) * falling
            step = self.step * (_LAST_SHARE + (1 - _LAST_SHARE) * falling)
            size = length(delta, norm)
            slope = dual_length(found.gradient, norm).clamp(min=1e-12)
            # How far the boundary is, the loss says, also of what is refused: that is worth minus infinity.
            reach = torch.where(shortest.isinf(), size + (self.confidence - found.loss).abs() / slope, radius)
            reach = reach * (1 + gamma)
            radius = torch.where(broken, torch.minimum(radius, size) * (1 - gamma), reach).clamp(max=farthest)
            moved = project(delta + step * steepest(found.gradient, "l2"), radius, norm)
            delta = (x + moved).clamp(0.0, 1.0) - x
        notes["found"] = shortest.isfinite()
        return best
