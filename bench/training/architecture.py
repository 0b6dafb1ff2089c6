"""What a model plugin's factory returns."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from bench.training.recipe import Recipe


class Architecture(Protocol):
    """A family of networks; constructed with the entry's parameters as keyword arguments."""

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return an untrained network: x in [0, 1], float32, (B, C, H, W), to logits, (B, K); it normalises inside.

        Its randomness comes from torch's generator, which the caller seeds.
        """
        ...

    def recipe(self, dataset: str) -> Recipe:
        """Return how it is trained on ``dataset``."""
        ...
