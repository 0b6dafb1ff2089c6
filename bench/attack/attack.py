"""What an attack plugin's factory returns, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from bench.attack.surface import Surface
from bench.attack.threat import Threat
from bench.deployment.draws import Draws


@dataclass(frozen=True)
class Batch:
    """The images of one block that are attacked.

    Attributes
    ----------
    x : float32, (B, C, H, W), in [0, 1]
    y : int64, (B,), true labels
    draws : the attack's own randomness, one stream an image
    seed : the attack's own randomness where it cannot be told apart by image
    start : where to set out, in the ball, float32, (B, C, H, W); None for starts of the attack's own, and always where
        its entry does not say ``takes_start``
    """

    x: Tensor
    y: Tensor
    draws: Draws
    seed: int
    start: Tensor | None = None

    def first(self, count: int) -> Batch:
        """Return the first images alone."""
        start = None if self.start is None else self.start[:count]
        return Batch(self.x[:count], self.y[:count], self.draws[:count], self.seed, start)


@dataclass(frozen=True)
class AttackResult:
    """What an attack found; judged by the suite, never believed.

    Attributes
    ----------
    x_adv : float32, (B, C, H, W); the clean image where nothing was found
    notes : for the record: figures, such as iterations, are added up over blocks; what is true of some images, bool,
        (B,), is counted, of the images that the record is of
    """

    x_adv: Tensor
    notes: Mapping[str, object] = field(default_factory=dict)


class Attack(Protocol):
    """An implementation; constructed with the entry's parameters as keyword arguments."""

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        """Return adversarial images for the batch; ``surface`` is all that may be asked of the deployment."""
        ...
