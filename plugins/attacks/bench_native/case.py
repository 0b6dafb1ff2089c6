"""The images that a search works on, and what it has found of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.attack import Batch, Threat
from bench.deployment import Draws
from bench_native.balls import uniform
from bench_native.losses import Objective
from bench_native.panel import Ascent, Panel

LOOKS = 4  # answers averaged where the same image is not answered twice the same


@dataclass(frozen=True)
class Case:
    """Images under attack.

    Attributes
    ----------
    x, y, draws : as in ``bench.attack.Batch``
    index : which of the images under attack these are, int64, (B,)
    steady : bool, (B,), images that were answered twice the same, so that a wrong answer can be relied on; False where
        nobody looked
    worth : how far an answer is what the attacker wants: above zero where it is
    sure : whether it is by more than rounding, bool, (B,)
    start : where to set out; None for starts of the attack's own
    """

    panel: Panel
    x: Tensor
    y: Tensor
    draws: Draws
    index: Tensor
    threat: Threat
    steady: Tensor
    worth: Objective
    sure: Callable[[Tensor, Tensor], Tensor]
    start: Tensor | None = None

    @classmethod
    def of(
        cls,
        panel: Panel,
        batch: Batch,
        threat: Threat,
        worth: Objective,
        sure: Callable[[Tensor, Tensor], Tensor],
        *,
        look: bool,
    ) -> Case:
        """Return the case of a whole batch; ``look`` asks about an image in each ball twice, unless that is settled.

        Of a deployment that says that it draws, two equal answers are luck. One may draw only for what looks attacked,
        so it is not the clean image that is asked about.
        """
        index = torch.arange(len(batch.x))
        steady = torch.full((len(batch.x),), look and panel.surface.settled)
        if look and not panel.surface.settled and not panel.surface.fast.deployment.randomised:
            moved = uniform(batch.draws.spawn("look"), tuple(batch.x.shape[1:]), float(threat.epsilon), threat.norm)
            near = threat.realise(batch.x, (batch.x + moved).clamp(0.0, 1.0))
            steady = (panel.answers(near, index) == panel.answers(near, index)).all(1)
        return cls(panel, batch.x, batch.y, batch.draws, index, threat, steady, worth, sure, batch.start)

    def __len__(self) -> int:
        return len(self.x)

    def part(self, rows: Tensor, label: str) -> Case:
        """Return the case of some of the images, for a search of its own, with draws of its own."""
        self.panel.surface.begin()
        draws = self.draws[rows.tolist()].spawn(label)
        start = None if self.start is None else self.start[rows]
        x, y, index, steady = self.x[rows], self.y[rows], self.index[rows], self.steady[rows]
        return replace(self, x=x, y=y, draws=draws, index=index, steady=steady, start=start)

    def answers(self, rows: Tensor, x_adv: Tensor) -> Tensor:
        """Return what the surface says of candidates for some of the images, (B, K) or more columns."""
        return self.panel.answers(x_adv, self.index[rows])

    def logits(self, answers: Tensor) -> Tensor:
        """Return the logits among what the surface says, (B, K)."""
        return answers[:, : self.panel.surface.classes]

    def ascent(self, rows: Tensor, x_adv: Tensor, labels: Tensor, objective: Objective) -> Ascent:
        """Return answers, the value of an objective of logits and its gradient at candidates for some of the images."""
        return self.panel.ascent(
            x_adv, self.index[rows], labels, lambda answers, labels: objective(self.logits(answers), labels)
        )

    def delivered(self, rows: Tensor, x_adv: Tensor) -> Tensor:
        """Return what the surface says of candidates for some of the images as they would be delivered, (B, K).

        In the domain uint8 a camera's grid may take back what a perturbation gained.
        """
        return self.answers(rows, self.threat.realise(self.x[rows], x_adv))

    def fallen(self, rows: Tensor, x_adv: Tensor, answers: Tensor) -> Tensor:
        """Return which candidates are answered wrongly for good, bool, (B,), so that their images may leave.

        Parameters
        ----------
        answers : what the surface said of the candidates
        """
        wrong = self.settles(rows, answers)
        suspects = torch.nonzero(wrong).flatten()
        if len(suspects) and self.panel.surface.fast.precision == "fp32":
            # Where the candidate is what would be delivered, the answers to it are there.
            realised = self.threat.realise(self.x[rows[suspects]], x_adv[suspects])
            suspects = suspects[(realised != x_adv[suspects]).flatten(1).any(1)]
        if len(suspects):
            wrong[suspects] = self.convincing(rows[suspects], self.delivered(rows[suspects], x_adv[suspects]))
        return wrong

    def settles(self, rows: Tensor, answers: Tensor) -> Tensor:
        """Return which answers to images as they would be delivered end the search for them, bool, (B,).

        None does where the surface is not settled, such as where another deployment judges: what has just broken a
        stand-in lies at its boundary, and moves to another deployment badly.
        """
        if not self.panel.surface.settled:
            return torch.zeros(len(rows), dtype=torch.bool)
        return self.steady[rows] & self.convincing(rows, answers)

    def may_stand(self, distance: Tensor) -> Tensor:
        """Return which images at these distances from the clean ones may be the nearest broken ones, bool, (B,).

        The clean image itself only where the surface is settled: where answers are drawn a wrong one is luck, and
        nothing that is found later would be nearer.
        """
        return (distance > 0) | self.panel.surface.settled

    def convincing(self, rows: Tensor, answers: Tensor) -> Tensor:
        """Return which answers are what the attacker wants by more than rounding, bool, (B,)."""
        return self.sure(answers, self.y[rows])


class Kept:
    """The best that was found for each image, judged as it would be delivered.

    Attributes
    ----------
    x_adv : float32, (B, C, H, W); the clean image where nothing was offered
    worth : float32, (B,), the case's worth of the answers to them
    broken : bool, (B,), answered wrongly for good
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self.x_adv = case.x.clone()
        self.worth = torch.full((len(case),), -torch.inf)
        self.broken = torch.zeros(len(case), dtype=torch.bool)

    def standing(self) -> Tensor:
        """Return the images that an attack may still gain from, int64, (n,)."""
        return torch.nonzero(~self.broken).flatten()

    def offer(self, rows: Tensor, x_adv: Tensor) -> Tensor:
        """Keep candidates that are better than what is there; return which were, bool, (n,)."""
        case = self._case
        said = case.delivered(rows, x_adv)
        if not bool(case.steady.all()):
            said = torch.stack([said, *(case.delivered(rows, x_adv) for _ in range(LOOKS - 1))]).mean(0)
        worth = case.worth(said, case.y[rows])
        better = worth > self.worth[rows]
        chosen = rows[better]
        self.x_adv[chosen], self.worth[chosen] = x_adv[better], worth[better]
        self.broken[rows] |= case.settles(rows, said)
        return better
