"""Auto-PGD: gradient ascent that sets its own step size (Croce and Hein, ICML 2020, arXiv 2003.01690, Algorithm 1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench_native.balls import edge, per_image, steepest, still, within
from bench_native.case import Case, Kept
from bench_native.losses import LOSSES, Objective, targeted_dlr, targeted_margin
from bench_native.search import Search, classes_for

MOMENTUM = 0.75  # alpha, section 3.1
RISING = 0.75  # rho, section 3.2: share of steps of a period that must have raised the loss


def checkpoints(steps: int) -> list[int]:
    """Return after which steps the step size is looked at: w_j = ceil(p_j N), p = 0, .22, then growing by ever less.

    References
    ----------
    Section 3.3: p_(j+1) = p_j + max(p_j - p_(j-1) - .03, .06).
    """
    before, now, marks = 0.0, 0.22, [0]
    while now <= 1.0:
        marks.append(max(math.ceil(now * steps - 1e-9), marks[-1] + 1))
        before, now = now, now + max(now - before - 0.03, 0.06)
    return marks


def climb(
    case: Case, labels: Tensor, start: Tensor, objective: Objective, *, steps: int, early: bool = False
) -> Tensor:
    """Return of all iterates the one of most worth, float32, (B, C, H, W).

    Parameters
    ----------
    labels : for the objective, (B,) or (B, 2)
    objective : is raised; gets what the case's panel answers
    early : images leave once they are answered wrongly for good

    Notes
    -----
    ``steps`` gradients and ``steps`` + 1 forward passes an image, fewer where there is no gradient to follow.
    """
    epsilon, norm, count = float(case.threat.epsilon), case.threat.norm, len(case)
    current, previous = start.clone(), start.clone()
    best, best_gradient = start.clone(), torch.zeros_like(start)
    best_loss, last_loss = torch.full((count,), -torch.inf), torch.full((count,), torch.inf)
    kept, worth = start.clone(), torch.full((count,), -torch.inf)
    size = torch.full((count,), 2.0 * epsilon)
    rises = torch.zeros(count, dtype=torch.int64)
    size_before, best_before = size.clone(), best_loss.clone()
    rows, marks, mark = torch.arange(count), checkpoints(steps), 0
    for k in range(steps + 1):
        here = current[rows]
        if k < steps:
            found = case.ascent(rows, here, labels[rows], objective)
            answers, loss, gradient = found.answers, found.loss, found.gradient
        else:
            answers = case.answers(rows, here)
            loss, gradient = objective(case.logits(answers), labels[rows]), torch.zeros_like(here)
        lead = case.worth(answers, case.y[rows])
        ahead = lead > worth[rows]
        kept[rows[ahead]], worth[rows[ahead]] = here[ahead], lead[ahead]
        higher = loss > best_loss[rows]
        up = rows[higher]
        best[up], best_loss[up], best_gradient[up] = here[higher], loss[higher], gradient[higher]
        rises[rows] += loss > last_loss[rows]
        last_loss[rows] = loss
        if k == steps:
            break
        if early:
            stay = ~case.fallen(rows, here, answers)
            kept[rows[~stay]] = here[~stay]  # an earlier one may lead by more and not survive the grid
            rows, gradient = rows[stay], gradient[stay]
            if not len(rows):
                break
        if k in marks[1:]:
            stalled = rises[rows] < RISING * (k - mark)
            idle = (size[rows] == size_before[rows]) & (best_loss[rows] == best_before[rows])
            size_before, best_before = size.clone(), best_loss.clone()
            again = stalled | idle
            back = rows[again]
            size[back] /= 2
            current[back], last_loss[back] = best[back], best_loss[back]
            gradient = torch.where(per_image(again, gradient), best_gradient[rows], gradient)
            rises[rows], mark = 0, k
        x, here = case.x[rows], current[rows]
        step = within(x, here + per_image(size[rows], x) * steepest(gradient, norm), epsilon, norm)
        share = MOMENTUM if k > 0 else 1.0
        pushed = here + share * (step - here) + (1 - share) * (here - previous[rows])
        # Without a gradient, without momentum and without a better place to go back to, nothing moves any more.
        rests = still(gradient) & still(here - previous[rows]) & still(here - best[rows])
        previous[rows], current[rows] = here, within(x, pushed, epsilon, norm)
        rows = rows[~(case.steady[rows] & rests)]
        if not len(rows):
            break
    return kept


def begin(case: Case, *, random_start: bool) -> Tensor:
    """Return where a run begins: a random point on the ball's surface, cut by the box, or the image."""
    if not random_start:
        return case.x
    epsilon, norm = float(case.threat.epsilon), case.threat.norm
    return within(case.x, case.x + edge(case.draws, tuple(case.x.shape[1:]), epsilon, norm), epsilon, norm)


class Apgd(Search):
    """APGD on a loss, from several starts, on the images that still stand.

    Parameters
    ----------
    loss : "ce", "margin" or "dlr"
    early : images leave during a run too; see ``bench_native.iterated.Iterated``
    """

    def __init__(self, *, loss: str, steps: int, restarts: int, random_start: bool, early: bool) -> None:
        self.loss, self.steps, self.restarts = loss, steps, restarts
        self.random_start, self.early = random_start, early

    def needs(self) -> int:
        return classes_for(self.loss)

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        kept = Kept(case)
        for attempt in range(self.restarts):
            rows = kept.standing()
            if not len(rows):
                break
            part = case.part(rows, f"start {attempt}")
            start = begin(part, random_start=self.random_start)
            kept.offer(rows, climb(part, part.y, start, LOSSES[self.loss], steps=self.steps, early=self.early))
        return kept.x_adv


class TargetedApgd(Search):
    """APGD towards each of the most likely wrong classes in turn, on the images that still stand.

    Parameters
    ----------
    targets : wrong classes tried, most likely first, by the answer to the clean image

    Notes
    -----
    The loss is the targeted difference of logits ratio; where there are only two classes, the difference itself.
    """

    def __init__(self, *, steps: int, targets: int, random_start: bool, early: bool) -> None:
        self.steps, self.targets, self.random_start, self.early = steps, targets, random_start, early

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        kept = Kept(case)
        classes = case.panel.surface.classes
        clean = case.logits(case.panel.answers(case.x, case.index)).scatter(1, case.y[:, None], -torch.inf)
        wrong = clean.argsort(dim=1, descending=True, stable=True)[:, :-1]
        objective = targeted_dlr if classes > 2 else targeted_margin
        for rank in range(min(self.targets, classes - 1)):
            rows = kept.standing()
            if not len(rows):
                break
            part = case.part(rows, f"target {rank}")
            labels = torch.stack([part.y, wrong[rows, rank]], 1)
            start = begin(part, random_start=self.random_start)
            kept.offer(rows, climb(part, labels, start, objective, steps=self.steps, early=self.early))
        return kept.x_adv


def apgd_ce(*, steps: int, restarts: int, random_start: bool, early: bool) -> Apgd:
    """Return APGD on the cross-entropy."""
    return Apgd(loss="ce", steps=steps, restarts=restarts, random_start=random_start, early=early)


def apgd_margin(*, steps: int, restarts: int, random_start: bool, early: bool) -> Apgd:
    """Return APGD on the logit margin."""
    return Apgd(loss="margin", steps=steps, restarts=restarts, random_start=random_start, early=early)


def apgd_dlr(*, steps: int, restarts: int, random_start: bool, early: bool) -> Apgd:
    """Return APGD on the difference of logits ratio."""
    return Apgd(loss="dlr", steps=steps, restarts=restarts, random_start=random_start, early=early)
