"""Attacks on a classifier and its detector together, through everything that an image sets off in the deployment.

They know no defense: any graph with several nodes that give logits has views, any that sets a score has a detector.

References
----------
Carlini and Wagner, AISec 2017, arXiv 1705.07263, and arXiv 1711.08478: one loss through reformer and detector. Tramer
et al., NeurIPS 2020, arXiv 2002.08347. Bryniarski et al., ICLR 2022, arXiv 2106.15023: orthogonal projected gradients.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attack import Surface
from bench.attack.rounding import LEAD, rounding
from bench_native.balls import per_image, steepest, uniform, within
from bench_native.case import Case, Kept
from bench_native.iterated import shares
from bench_native.losses import Objective, margin
from bench_native.panel import Panel
from bench_native.search import Search
from bench_native.weighing import weights as parsed

CAP = 5.0  # of a margin, in logits: what is won by so much need not be won by more; ours
# A score is weighed by its logarithm in units of SCALE, so that its gradient is of use both far above the threshold and
# near it; REACH beyond the threshold is asked for. Ours, after the form that the specification of Defed gives.
SCALE, REACH = 0.01, 0.05
_LOWEST = -0.9 * SCALE


@dataclass(frozen=True)
class Columns:
    """What is examined, side by side as a panel hands it on: answer, views, score, whether it refuses.

    Parameters
    ----------
    answers : (B, K + V K + 2)
    classes : K
    """

    answers: Tensor
    classes: int

    @staticmethod
    def of(surface: Surface, x: Tensor) -> Tensor:
        """Return the columns of images, float32, (B, K + V K + 2)."""
        seen = surface.examine(x)
        score = torch.zeros(len(x)) if seen.score is None else seen.score
        refuses = torch.full((len(x), 1), float(seen.refuses))
        return torch.cat([seen.logits, *seen.views, score[:, None], refuses], 1)

    @property
    def logits(self) -> Tensor:
        """(B, K)."""
        return self.answers[:, : self.classes]

    @property
    def views(self) -> Tensor:
        """(B, V, K)."""
        return self.answers[:, self.classes : -2].reshape(len(self.answers), -1, self.classes)

    @property
    def score(self) -> Tensor:
        """(B,), above 0 where it detects."""
        return self.answers[:, -2]

    @property
    def refuses(self) -> Tensor:
        """Whether what is detected is not answered, bool, (B,)."""
        return self.answers[:, -1] > 0


class Aware(Search):
    """Gradient steps towards a class, from several starts, for several classes; the best image of all steps is kept.

    Parameters
    ----------
    steps, step : how many, and the size of the first as a share of epsilon
    schedule : of their sizes, one of ``bench_native.iterated.SCHEDULES``
    restarts : random starts for each class
    targets : wrong classes tried, those with the largest logits of the clean image first
    """

    def __init__(self, *, steps: int, step: float, schedule: str, restarts: int, targets: int) -> None:
        self.steps, self.step, self.schedule = steps, step, schedule
        self.restarts, self.targets = restarts, targets

    @abstractmethod
    def ascent(self, case: Case, rows: Tensor, x_adv: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """Return what is answered to candidates, (n, columns), and where to go from there, (n, C, H, W)."""

    def weights(self) -> tuple[float, ...]:
        """Return the weights with which the search is repeated."""
        return (1.0,)

    def panel(self, surface: Surface) -> Panel:
        return Panel(surface, lambda x: Columns.of(surface, x))

    def worth(self, answers: Tensor, y: Tensor) -> Tensor:
        """Return the margin, and where the deployment may refuse no more than what is left to its threshold."""
        seen = Columns(answers, self.classes)
        wrong = margin(seen.logits, y)
        return torch.where(seen.refuses, torch.minimum(wrong, -seen.score), wrong)

    def sure(self, answers: Tensor, y: Tensor) -> Tensor:
        """Return which answers are wrong, and not refused, each by more than its own rounding, bool, (B,)."""
        seen = Columns(answers, self.classes)
        wrong = margin(seen.logits, y) > rounding(seen.logits)
        return wrong & (~seen.refuses | (seen.score < -LEAD * SCALE))

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        kept = Kept(case)
        clean = Columns(case.panel.answers(case.x, case.index), self.classes).logits
        others = clean.scatter(1, case.y[:, None], -torch.inf)
        ranked = others.topk(min(self.targets, self.classes - 1), 1).indices
        for place in range(ranked.shape[1]):
            for attempt in range(self.restarts):
                for weight in self.weights():
                    rows = kept.standing()
                    if len(rows):
                        labels = torch.stack([case.y, ranked[:, place]], 1)
                        self._climb(case, kept, rows, labels, f"target {place}, start {attempt}", weight)
        notes["broken"] = kept.broken.clone()
        return kept.x_adv

    def _climb(self, case: Case, kept: Kept, rows: Tensor, labels: Tensor, label: str, weight: float) -> None:
        epsilon, norm = float(case.threat.epsilon), case.threat.norm
        part = case.part(rows, label)
        x_adv = (part.x + uniform(part.draws, tuple(part.x.shape[1:]), epsilon, norm)).clamp(0.0, 1.0)
        standing = torch.arange(len(rows))
        for index, share in enumerate(shares(self.steps, self.schedule)):
            case.panel.surface.progress = index / self.steps
            if not len(standing):
                return
            here = x_adv[standing]
            answers, towards = self.ascent(case, rows[standing], here, labels[rows[standing]], weight)
            won = case.worth(answers, case.y[rows[standing]]) > 0
            if won.any():
                kept.offer(rows[standing[won]], here[won])
            moved = here + share * self.step * epsilon * steepest(towards, norm)
            x_adv[standing] = within(part.x[standing], moved, epsilon, norm)
            standing = standing[~kept.broken[rows[standing]]]
        if len(standing):
            kept.offer(rows[standing], x_adv[standing])

    def _towards(self, answers: Tensor, labels: Tensor) -> Tensor:
        """Return how far the target leads in the answer, (B,), no further than it need."""
        return -margin(Columns(answers, self.classes).logits, labels[:, 1]).clamp(min=-CAP)

    def _hidden(self, answers: Tensor) -> Tensor:
        """Return how far the score stays under its threshold, (B,), 0 where it does by ``REACH``."""
        score = Columns(answers, self.classes).score.clamp(min=_LOWEST)
        return -torch.relu(torch.log1p(score / SCALE) + REACH)


class JointMargin(Aware):
    """All views are to agree on the target: then nothing differs that a detector could see."""

    def ascent(self, case: Case, rows: Tensor, x_adv: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        def objective(answers: Tensor, labels: Tensor) -> Tensor:
            views = Columns(answers, self.classes).views
            flat = -margin(views.flatten(0, 1), labels[:, 1].repeat_interleave(views.shape[1]))
            return flat.clamp(max=CAP).reshape(views.shape[:2]).sum(1)

        found = case.panel.ascent(x_adv, case.index[rows], labels, objective)
        return found.answers, found.gradient


class Evade(Aware):
    """The answer is to be the target, and the score below its threshold, in one loss of several weights."""

    def __init__(self, *, weights: str, **more: float) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self._weights = parsed(weights)

    def weights(self) -> tuple[float, ...]:
        return self._weights

    def ascent(self, case: Case, rows: Tensor, x_adv: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        def objective(answers: Tensor, labels: Tensor) -> Tensor:
            return self._towards(answers, labels) + weight * self._hidden(answers)

        found = case.panel.ascent(x_adv, case.index[rows], labels, objective)
        return found.answers, found.gradient


class Alternate(Aware):
    """A step for the answer while it is not the target, else one for the score, each across the other's gradient."""

    def ascent(self, case: Case, rows: Tensor, x_adv: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        hide: Objective = lambda answers, labels: -Columns(answers, self.classes).score  # noqa: E731
        answer = case.panel.ascent(x_adv, case.index[rows], labels, self._towards)
        score = case.panel.ascent(x_adv, case.index[rows], labels, hide)
        logits = Columns(answer.answers, self.classes).logits
        fooled = per_image(logits.argmax(1) == labels[:, 1], x_adv)
        wanted = torch.where(fooled, score.gradient, answer.gradient)
        other = torch.where(fooled, answer.gradient, score.gradient)
        return answer.answers, _across(wanted, other)


def _across(wanted: Tensor, other: Tensor) -> Tensor:
    """Return the part of a gradient that leaves the other alone to first order; all of it where there is no other."""
    along = (wanted * other).flatten(1).sum(1)
    size = other.square().flatten(1).sum(1)
    return wanted - per_image(torch.where(size == 0, size, along / size.clamp(min=1e-30)), wanted) * other
