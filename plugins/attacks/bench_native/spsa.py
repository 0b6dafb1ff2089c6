"""SPSA: gradients estimated from scores along random directions (Uesato et al., ICML 2018, arXiv 1802.05666)."""

from __future__ import annotations

import torch
from torch import Tensor

from bench_native.balls import steepest, within
from bench_native.case import Case, Kept
from bench_native.losses import LOSSES
from bench_native.search import Search

_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8  # Adam's decays and guard: Kingma and Ba, ICLR 2015, Algorithm 1


class Spsa(Search):
    """Adam on estimated gradients, from the image; in L2 steps along their running mean.

    Parameters
    ----------
    steps, step : how many, and Adam's rate, in L2 the step's length, as a share of epsilon
    directions : random sign vectors a step, each asked about on both sides
    width : how far along a direction, pixels in [0, 1]
    loss : "margin" or "ce"

    Notes
    -----
    gradient = mean over v of (L(x + c v) - L(x - c v)) / (2 c) v. A step costs 2 ``directions`` + 1 queries. Images
    leave once they are answered wrongly for good. What is refused is never kept, but the estimate follows the loss of
    what is answered and refused alike: a refusal does not say on which side of it a success lies.
    """

    def __init__(self, *, steps: int, step: float, directions: int, width: float, loss: str) -> None:
        self.steps, self.step, self.directions, self.width, self.loss = steps, step, directions, width, loss

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        epsilon, norm = float(case.threat.epsilon), case.threat.norm
        kept, x_adv = Kept(case), case.x.clone()
        first, second = torch.zeros_like(x_adv), torch.zeros_like(x_adv)
        for step in range(1, self.steps + 1):
            rows = kept.standing()
            if not len(rows):
                break
            gradient = torch.stack([self._estimate(case, x_adv[row], int(row), step) for row in rows])
            first[rows] = _FIRST * first[rows] + (1 - _FIRST) * gradient
            second[rows] = _SECOND * second[rows] + (1 - _SECOND) * gradient.square()
            mean, spread = first[rows] / (1 - _FIRST**step), second[rows] / (1 - _SECOND**step)
            # Adam moves every value by about the same, which in L2 is a step far beyond the ball.
            way = mean / (spread.sqrt() + _TINY) if norm == "linf" else steepest(mean, norm)
            moved = x_adv[rows] + self.step * epsilon * way
            x_adv[rows] = within(case.x[rows], moved, epsilon, norm)
            kept.offer(rows, x_adv[rows])
        return kept.x_adv

    def _estimate(self, case: Case, here: Tensor, row: int, step: int) -> Tensor:
        """Return the estimated gradient at one image, (C, H, W)."""
        drawn = case.draws[[row]].spawn(f"step {step}").uniform("directions", self.directions, *here.shape)[0]
        signs = torch.where(torch.from_numpy(drawn) < 0.5, -1.0, 1.0)
        around = torch.cat([here + self.width * signs, here - self.width * signs]).clamp(0.0, 1.0)
        labels = case.y[row].expand(len(around))
        value = LOSSES[self.loss](case.logits(case.panel.answers(around, torch.arange(0))), labels)
        rise = (value[: self.directions] - value[self.directions :]) / (2 * self.width)
        return (rise[:, None, None, None] * signs).mean(0)
