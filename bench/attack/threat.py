"""Threats: which perturbations are allowed, and whether an image obeys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.plugins.entries import Norm

Domain = Literal["uint8", "float"]


@dataclass(frozen=True, kw_only=True)
class Threat:
    """A ball around each image, cut by the box [0, 1].

    Attributes
    ----------
    epsilon : radius in the norm, pixels in [0, 1]
    domain : "uint8" is what a camera can deliver: images on the grid v/255; "float" any number
    """

    norm: Norm
    epsilon: float
    targeted: bool = False
    domain: Domain = "uint8"

    def distance(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the distance of each image, float64, (B,), in this threat's norm."""
        delta = (x_adv.double() - x.double()).flatten(1)
        if self.norm == "linf":
            return delta.abs().amax(1)
        if self.norm == "l2":
            return delta.square().sum(1).sqrt()
        return delta.abs().sum(1) if self.norm == "l1" else (delta != 0).sum(1).double()

    def contains(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return which images lie in the ball, bool, (B,), within the tolerance of float32."""
        return self.distance(x, x_adv) <= self.epsilon * (1 + 1e-5) + 1e-6

    def realise(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the images of this threat's domain that stand for ``x_adv``, still no farther from ``x``'s ball.

        Parameters
        ----------
        x, x_adv : float32, (B, C, H, W), in [0, 1]; x on the grid v/255

        Notes
        -----
        Values are rounded to the nearest grid point; where that leaves the ball, towards x, which only shrinks every
        difference. Images of which x_adv already lies outside are rounded to the nearest and stay outside.
        """
        x_adv = x_adv.clamp(0, 1)
        if self.domain == "float":
            return x_adv
        clean = torch.round(x * 255.0)
        nearest = torch.round(x_adv * 255.0)
        inwards = clean + torch.trunc((x_adv * 255.0 - clean) * (1 + 1e-6))
        if self.norm == "linf":
            steps = int(self.epsilon * 255.0 + 1e-4)
            bounded = torch.minimum(torch.maximum(nearest, clean - steps), clean + steps)
            chosen = torch.where(self.contains(x, x_adv)[:, None, None, None], bounded, nearest)
        else:
            leaves = self.contains(x, x_adv) & ~self.contains(x, nearest / 255.0)
            chosen = torch.where(leaves[:, None, None, None], inwards, nearest)
        return chosen / 255.0
