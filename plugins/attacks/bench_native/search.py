"""What every native attack is: a search over a case, inside the suite's contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.attack import AttackResult, Batch, Surface, Threat
from bench.attack.rounding import rounding
from bench.errors import Unavailable
from bench_native.balls import settle
from bench_native.case import Case
from bench_native.losses import FEWEST_CLASSES, margin
from bench_native.panel import Panel


class Search(ABC):
    """An attack that writes only ``search``.

    Attributes
    ----------
    looks : asks about an image in each ball twice first, unless the surface is settled, to know whose answers differ
    minimum_norm : may leave the ball of the threat
    classes : of the surface that is attacked
    """

    looks: bool = True
    minimum_norm: bool = False
    classes: int

    @abstractmethod
    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        """Return the best images found, float32, (B, C, H, W); what the record should know goes into ``notes``."""

    def needs(self) -> int:
        """Return the fewest classes with which the attack means something."""
        return 2

    def panel(self, surface: Surface) -> Panel:
        """Return how the surface is asked; overridden, like ``worth`` and ``sure``, where more than answers counts."""
        return Panel(surface)

    def worth(self, answers: Tensor, y: Tensor) -> Tensor:
        """Return how far answers are what the attacker wants, (B,), above zero where they are.

        The margin; minus infinity where the image is refused in half of the draws or more, which is as far as can be.
        """
        wrong = margin(answers[:, : self.classes], y)
        return wrong if answers.shape[1] == self.classes else torch.where(answers[:, -1] < 0.5, wrong, -torch.inf)

    def sure(self, answers: Tensor, y: Tensor) -> Tensor:
        """Return which answers are what the attacker wants by more than rounding, bool, (B,)."""
        return self.worth(answers, y) > rounding(answers[:, : self.classes])

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        """Return what the search found, inside the ball (but for a minimum-norm attack) and the box exactly.

        Raises
        ------
        Unavailable : fewer classes than the loss needs, or a targeted threat
        """
        if threat.targeted:
            raise Unavailable("The native attacks are offered untargeted only. Use an untargeted threat.")
        self.classes = surface.classes
        if surface.classes < self.needs():
            raise Unavailable(f"This attack needs at least {self.needs()} classes; there are {surface.classes}.")
        if threat.epsilon == 0 and not self.minimum_norm:  # the ball holds nothing but the image
            return AttackResult(batch.x.clone(), {"epsilon": 0.0})
        panel, notes = self.panel(surface), dict[str, object]()
        found = self.search(Case.of(panel, batch, threat, self.worth, self.sure, look=self.looks), notes)
        if not self.minimum_norm:
            found = settle(batch.x, found, float(threat.epsilon), threat.norm)
        told: Mapping[str, object] = {**notes, "padding": panel.padding}
        return AttackResult(found, told)


def classes_for(loss: str) -> int:
    """Return the fewest classes that a loss of ``bench_native.losses.LOSSES`` works with."""
    return FEWEST_CLASSES[loss]
