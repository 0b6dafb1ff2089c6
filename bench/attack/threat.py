"""Threats: which perturbations are allowed, and whether an image obeys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
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
        return self.distance(x, x_adv) <= self._limit

    @property
    def _limit(self) -> float:
        return self.epsilon * (1 + 1e-5) + 1e-6

    def greys(self) -> tuple[Tensor, Tensor]:
        """Return the darkest and the brightest grey that an Linf ball allows in place of each, int64, (256,).

        Just what ``contains`` accepts of images on the grid v/255, whose float32 steps are not all of one length.
        """
        darkest, brightest = _greys(self._limit)
        return darkest.clone(), brightest.clone()

    def realise(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """Return the images of this threat's domain that stand for ``x_adv``; what lies in the ball stays in it.

        Parameters
        ----------
        x, x_adv : float32, (B, C, H, W), in [0, 1]; x on the grid v/255

        Notes
        -----
        Values are rounded to the nearest grid point. Where that leaves the ball, as few of them as need be are rounded
        towards x instead, which only shrinks differences: in Linf those at its border, in L2 and L1 first those that
        lie nearly in the middle of two grid points. Images of which x_adv already lies outside are rounded to the
        nearest and stay outside.
        """
        x_adv = x_adv.clamp(0, 1)
        if self.domain == "float":
            return x_adv
        clean = torch.round(x * 255.0)
        nearest = torch.round(x_adv * 255.0)
        if self.norm == "linf":
            darkest, brightest = self._ends(clean)
            bounded = torch.minimum(torch.maximum(nearest, darkest), brightest)
            chosen = torch.where(self.contains(x, x_adv)[:, None, None, None], bounded, nearest)
        else:
            chosen = nearest.clone()
            leaves = self.contains(x, x_adv) & ~self.contains(x, nearest / 255.0)
            if leaves.any():
                chosen[leaves] = self._drawn_in(clean[leaves], 255.0 * x_adv[leaves], nearest[leaves])
        return chosen / 255.0

    def _ends(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``greys`` of each value, in steps of the grid; beyond the box where the ball is."""
        steps = _steps(self._limit)
        if steps is not None:  # nearly always, and several times faster
            return clean - steps, clean + steps
        darkest, brightest = (side.to(clean)[clean.long()] for side in _greys(self._limit))
        return darkest, brightest

    def _drawn_in(self, clean: Tensor, wanted: Tensor, nearest: Tensor) -> Tensor:
        """Return the nearest grid points, as many of them one step nearer to ``clean`` as bring them into the ball.

        Parameters
        ----------
        clean, wanted, nearest : (B, C, H, W), in steps of the grid

        Notes
        -----
        A value that was rounded outwards by r < 1/2 steps is off by 1 - r when it goes a step back: its square grows by
        1 - 2r, and its part of the length shrinks by 2n - 1 in L2, n steps before, and by 1 in L1. The cheapest first.
        """
        steps = (nearest - clean).flatten(1).double()
        outwards = steps.abs() - (wanted - clean).flatten(1).double().abs()
        saved = 2 * steps.abs() - 1 if self.norm == "l2" else torch.ones_like(steps)
        price = torch.where(outwards > 0, (1 - 2 * outwards) / saved, torch.inf)
        order = price.argsort(dim=1, stable=True)
        length = steps.square().sum(1) if self.norm == "l2" else steps.abs().sum(1)
        radius = 255.0 * self.epsilon
        excess = length - (radius**2 if self.norm == "l2" else radius)
        won = torch.where(outwards > 0, saved, 0.0).gather(1, order).cumsum(1)
        needed = won - saved.gather(1, order) < excess[:, None]  # what was won before does not do
        back = torch.zeros_like(needed).scatter(1, order, needed) & (outwards > 0)
        return nearest - (back * steps.sign()).float().reshape(nearest.shape)


@cache
def _greys(limit: float) -> tuple[Tensor, Tensor]:
    """Return the darkest and the brightest grey no further than ``limit`` from each, (256,); not to be written to."""
    values = (torch.arange(256, dtype=torch.float32) / 255.0).double()
    near = (values[:, None] - values[None]).abs() <= limit
    darkest = near.int().argmax(1)
    return darkest, darkest + near.sum(1) - 1


@cache
def _steps(limit: float) -> int | None:
    """Return how many steps of the grid are within ``limit`` from every grey; None where they are not as many."""
    darkest, brightest = _greys(limit)
    number = torch.arange(256)
    steps = int((brightest - number).max())
    alike = torch.equal(brightest, (number + steps).clamp(max=255)) and torch.equal(
        darkest, (number - steps).clamp(min=0)
    )
    return steps if alike else None
