"""What stages pass on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from bench.deployment.draws import Draws


@dataclass(frozen=True)
class Signal:
    """A batch on its way through a deployment.

    Attributes
    ----------
    x : float32, (B, C, H, W), in [0, 1]; at the end the logits, (B, K)
    draws : opaque source of randomness, one stream an image
    side : named tensors beside x, first dimension B: a drop mask, a code, a feature map, a score
    """

    x: Tensor
    draws: Draws
    side: Mapping[str, Tensor] = field(default_factory=dict)

    def replace(self, x: Tensor | None = None, **side: Tensor) -> Signal:
        """Return the signal with another ``x`` and with ``side`` added to its side tensors."""
        return Signal(self.x if x is None else x, self.draws, {**self.side, **side})

    def __len__(self) -> int:
        return len(self.x)
