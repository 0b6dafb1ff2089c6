"""FGSM, PGD and MIM: steps along the gradient of a loss, each brought back into the ball.

Without random start each gives the images of the Adversarial Robustness Toolbox, to the bit but for the last places
that ``bench_native.balls.settle`` mends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from bench_native.balls import length, per_image, steepest, still, uniform, within
from bench_native.case import Case, Kept
from bench_native.losses import LOSSES, Objective
from bench_native.search import Search, classes_for

LAST = 1 / 16  # of a falling step, as a share of the first: ours
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: LAST + (1.0 - LAST) * (1.0 + math.cos(math.pi * progress)) / 2.0,
}
"""progress, 0 at the first step and 1 at the last -> size of the step as a share of the first"""


class Iterated(Search):
    """Gradient steps whose sizes are set beforehand.

    Parameters
    ----------
    steps, step : how many, and the size of the first as a share of epsilon
    schedule : of their sizes, one of ``SCHEDULES``
    restarts : searches, each from a start of its own, the best image of all kept; 1 returns the last iterate
    random_start : begin at a uniform point of the ball instead of the image; a start that is given comes before both,
        and is the only one
    loss : "ce", "margin" or "dlr"
    decay : of the momentum that gathers gradients divided by their L1 length; None for none (Dong et al. 2018,
        equation 6)
    early : images leave once they are answered wrongly for good, and are given back as they then are. That takes fewer
        gradients, and loses none that a later step would bring back; but such x' transfer less to another network
    """

    def __init__(
        self,
        *,
        steps: int,
        step: float,
        schedule: str = "constant",
        restarts: int = 1,
        random_start: bool = False,
        loss: str = "ce",
        decay: float | None = None,
        early: bool = False,
    ) -> None:
        self.steps, self.step, self.restarts, self.random_start = steps, step, restarts, random_start
        self.schedule, self.loss, self.decay, self.early = schedule, loss, decay, early
        self.looks = early or restarts > 1

    def needs(self) -> int:
        return classes_for(self.loss)

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        if self.restarts == 1 or case.start is not None:
            return self._once(case.part(torch.arange(len(case)), "start 0"))
        kept = Kept(case)
        for attempt in range(self.restarts):
            rows = kept.standing()
            if not len(rows):
                break
            kept.offer(rows, self._once(case.part(rows, f"start {attempt}")))
        return kept.x_adv

    def _once(self, case: Case) -> Tensor:
        epsilon, norm = float(case.threat.epsilon), case.threat.norm
        start = case.x if case.start is None else case.start
        if self.random_start and case.start is None:
            start = (case.x + uniform(case.draws, tuple(case.x.shape[1:]), epsilon, norm)).clamp(0.0, 1.0)
        return ascend(
            case,
            start,
            LOSSES[self.loss],
            sizes=[self.step * epsilon * share for share in shares(self.steps, self.schedule)],
            decay=self.decay,
            early=self.early,
        )


def shares(steps: int, schedule: str) -> list[float]:
    """Return the sizes of so many steps as shares of the first."""
    return [SCHEDULES[schedule](step / max(1, steps - 1)) for step in range(steps)]


def ascend(
    case: Case, start: Tensor, objective: Objective, *, sizes: Sequence[float], decay: float | None, early: bool
) -> Tensor:
    """Return where steps of these lengths lead, float32, (B, C, H, W).

    Parameters
    ----------
    objective : is raised; gets logits and the true labels

    Notes
    -----
    An image without a gradient stays where it is, and so do steady ones for ever: nothing more is asked about them.
    """
    epsilon, norm = float(case.threat.epsilon), case.threat.norm
    x_adv, rows = start.clone(), torch.arange(len(case))
    gathered = torch.zeros_like(start)
    for step, size in enumerate(sizes):
        if not len(rows):
            break
        case.panel.surface.progress = step / len(sizes)
        found = case.ascent(rows, x_adv[rows], case.y[rows], objective)
        gradient = found.gradient
        if early:
            stay = ~case.fallen(rows, x_adv[rows], found.answers)
            rows, gradient = rows[stay], gradient[stay]
        if decay is not None:
            weight = length(gradient, "l1")
            share = torch.where(weight == 0, weight, 1 / weight)
            gathered[rows] = decay * gathered[rows] + gradient * per_image(share, gradient)
            gradient = gathered[rows]
        x = case.x[rows]
        if norm == "l1":  # a value at the box's edge takes no further step outwards
            free = torch.where(gradient > 0, x_adv[rows] < 1, x_adv[rows] > 0)
            gradient = torch.where(free, gradient, 0.0)
        x_adv[rows] = within(x, x_adv[rows] + size * steepest(gradient, norm), epsilon, norm)
        rows = rows[~(case.steady[rows] & still(gradient))]
    return x_adv


def fgsm(*, loss: str = "ce") -> Iterated:
    """Return the fast gradient sign method: one step of epsilon."""
    return Iterated(steps=1, step=1.0, loss=loss)


def pgd(
    *, steps: int, step: float, schedule: str, restarts: int, random_start: bool, loss: str, early: bool
) -> Iterated:
    """Return projected gradient ascent."""
    return Iterated(
        steps=steps,
        step=step,
        schedule=schedule,
        restarts=restarts,
        random_start=random_start,
        loss=loss,
        early=early,
    )


def mim(*, steps: int, step: float, decay: float, loss: str, early: bool) -> Iterated:
    """Return the momentum iterative method."""
    return Iterated(steps=steps, step=step, decay=decay, loss=loss, early=early)
