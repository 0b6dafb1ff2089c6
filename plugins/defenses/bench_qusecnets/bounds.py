"""Sound bounds of a classifier's answers over a box of inputs, rounded outwards.

Every figure here bounds the network as float32 arithmetic evaluates it, whatever the order in which it sums. A layer
that sums n products gives W h + b + e with |e| <= k (|W| |h| + |b|), k = n u / (1 - n u), u = 2^-24 (Higham, Accuracy
and Stability of Numerical Algorithms, 2nd ed. 2002, section 3.1). Bounds treat e as one more unknown of each layer.
The rounding of the bounds themselves, computed in float64 or float32, is of the same form and is added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench_qusecnets.chain import Affine, Pool, Rectify, Reshape, Shape, Step, chain_of

_DEPLOYED = 2.0**-24  # unit roundoff of float32, in which a deployment answers
_AT_ONCE = 64  # hidden values bounded in one pass
_SLACK = 1.01  # second order: rounding of magnitudes and of the error terms themselves


@dataclass
class Box:
    """An interval for each value, (B, ...), low <= high."""

    low: Tensor
    high: Tensor

    @property
    def magnitude(self) -> Tensor:
        """The largest absolute value in each interval."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def rows(self, which: Tensor) -> Box:
        """Return some of the batch."""
        return Box(self.low[which], self.high[which])

    def around(self, dtype: torch.dtype) -> Box:
        """Return a box of another type around a float64 one."""
        return Box(outwards(self.low, dtype), -outwards(-self.high, dtype))

    def within(self, other: Box) -> Box:
        """Return the intersection of two boxes that both hold; one row of ``other`` stands for all."""
        return Box(torch.maximum(self.low, other.low), torch.minimum(self.high, other.high))


@dataclass
class Relaxed:
    """What is known of one batch of input boxes, layer by layer.

    Attributes
    ----------
    inputs : box of what enters each step
    magnitudes : of each affine step, |W| |h| + |b| at most, (B, *after), of which its rounding is a share; None for
        other steps
    columns : of one box only: the free pixels (numbers, (F,)), half their widths, (F,), and what these make of the
        first affine step's values, (F, *after)
    """

    inputs: list[Box]
    magnitudes: list[Tensor | None]
    columns: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def outputs(self) -> Box:
        """Box of the logits, (B, K)."""
        return self.inputs[-1]


class Bounds:
    """Bounds of one network.

    Parameters
    ----------
    network : a chain of layers (``chain.chain_of`` says which)
    shape : of one image
    dtype : in which bounds are computed; float32 is several times faster, and as sound, since it widens them
    """

    def __init__(self, network: torch.nn.Module, shape: Shape, dtype: torch.dtype = torch.float64) -> None:
        self.steps: Sequence[Step] = chain_of(network, shape, dtype)
        self.dtype = dtype
        self.unit = torch.finfo(dtype).eps / 2

    @torch.no_grad()
    def intervals(self, box: Box, known: Relaxed | None = None) -> Relaxed:
        """Propagate a batch of boxes of images, (B, C, H, W), through the layers: interval arithmetic.

        Parameters
        ----------
        known : bounds that hold for boxes around these, to intersect with
        """
        return self._propagate([Box(box.low.to(self.dtype), box.high.to(self.dtype))], [], known)

    def _propagate(self, inputs: list[Box], magnitudes: list[Tensor | None], known: Relaxed | None) -> Relaxed:
        """Go on from the boxes that are there to the last step's output."""
        for number in range(len(magnitudes), len(self.steps)):
            step, box, magnitude = self.steps[number], inputs[number], None
            if isinstance(step, Affine):
                middle, radius = (box.low + box.high) / 2, (box.high - box.low) / 2
                magnitude = step.magnitude(box.magnitude)
                centre, reach = step(middle), step.spread(radius) + self._forwards_error(step) * magnitude
                box = Box(centre - reach, centre + reach)
            elif isinstance(step, Rectify):
                box = Box(box.low.clamp(min=0), box.high.clamp(min=0))
            elif isinstance(step, Reshape):
                box = Box(box.low.reshape(-1, *step.after), box.high.reshape(-1, *step.after))
            else:
                box = Box(step(box.low), step(box.high))
            inputs.append(box if known is None else box.within(known.inputs[number + 1]))
            magnitudes.append(magnitude)
        return Relaxed(inputs, magnitudes)

    def _forwards_error(self, step: Affine) -> float:
        """Return k of the module's docstring for intervals: the deployment's, and that of a centre and a reach."""
        return _SLACK * (_share(step.sums) + (2 * step.sums + 32) * self.unit)

    def _backwards_error(self, step: Affine) -> float:
        """Return k for linear bounds: the deployment's, that of a transposed sum, and of sums over a whole layer.

        The last are taken in float64, but for those over the places of one channel.
        """
        size = max(torch.Size(step.before).numel(), torch.Size(step.after).numel())
        places = torch.Size(step.after[1:]).numel()
        own = (step.transposed_sums + 2 * places + 32) * self.unit + 4 * size * 2.0**-53
        return _SLACK * (_share(step.sums) + own)

    @torch.no_grad()
    def lower(self, goals: Tensor, known: Relaxed, until: int | None = None) -> tuple[Tensor, Tensor]:
        """Return lower bounds of linear functions of the logits, and their slope with respect to each pixel.

        Parameters
        ----------
        goals : (B, S, *shape): S functions for each box
        known : intervals of the same boxes
        until : number of the step whose output the functions are of; all steps by default

        Returns
        -------
        float64, (B, S), and (B, S, C, H, W)

        References
        ----------
        Zhang, Weng, Chen, Hsieh, Daniel, "Efficient Neural Network Robustness Certification with General Activation
        Functions", NeurIPS 2018 (CROWN), section 3, with the lower slope that leaves the smaller area.
        """
        batch, count = goals.shape[:2]
        g = goals.to(self.dtype)
        constant = torch.zeros(batch, count, dtype=torch.float64)
        last = len(self.steps) if until is None else until + 1
        for number in reversed(range(last)):
            step, box, magnitude = self.steps[number], known.inputs[number], known.magnitudes[number]
            if isinstance(step, Affine):
                assert magnitude is not None
                # A sum of positive terms in the type of the bounds: its own rounding is within the slack.
                rounding = torch.matmul(g.abs().flatten(2), magnitude.flatten(1)[:, :, None])[:, :, 0]
                constant -= self._backwards_error(step) * rounding.double()
                if number == 0 and known.columns is not None:
                    return self._at_pixels(step, g, known, constant - self._forwards_error(step) * rounding.double())
                constant += step.against_offset(g)
                g = step.transposed(g.flatten(0, 1)).reshape(batch, count, *step.before)
            elif isinstance(step, Reshape):
                g = g.reshape(batch, count, *step.before)
            elif isinstance(step, Rectify):
                below, above, offset = _lines(box)
                constant += _dot(g.clamp(max=0), offset)
                g = g * torch.where(g > 0, below[:, None], above[:, None])
            else:
                constant, g = _through_pool(step, box, g, constant)
        box = known.inputs[0]
        least = torch.where(g > 0, box.low[:, None], box.high[:, None])
        constant += (g.double() * least.double()).flatten(2).sum(2) - 2.0**-40 * _dot(g.abs(), box.magnitude)
        return constant, g

    def _at_pixels(self, step: Affine, g: Tensor, known: Relaxed, constant: Tensor) -> tuple[Tensor, Tensor]:
        """Return bounds and slopes from functions g of the first affine step's values, of one box with few free pixels.

        As ``transposed`` would give them, but that the fixed pixels, which are nearly all, are taken together.
        """
        assert known.columns is not None
        box, (free, radius, columns) = known.inputs[0], known.columns
        centre = step((box.low + box.high) / 2)[0]
        by_channel = torch.einsum("sc...,c...->sc", g[0], centre)
        moved = g[0].flatten(1) @ columns.flatten(1).T
        constant = constant + (by_channel.double().sum(1) - moved.double().abs().sum(1))[None]
        slope = torch.zeros(g.shape[1], box.low[0].numel(), dtype=g.dtype)
        slope[:, free] = moved / radius
        return constant, slope.reshape(1, -1, *step.before)

    @torch.no_grad()
    def sharpened(self, box: Box, around: Relaxed | None = None, *, deep: bool = True) -> Relaxed:
        """Return intervals of one box, each hidden layer's values bounded as linear functions of the pixels.

        Parameters
        ----------
        box : of one image, (1, C, H, W), most of its pixels fixed
        around : what is known of a box around this one
        deep : bound backwards too, which is most of the work

        Notes
        -----
        Interval arithmetic forgets that neighbouring values depend on the same pixels; after two layers its bounds say
        nothing. Here each layer is bounded again before the next is. Where two affine steps follow each other with
        one rectifier between, the second is bounded forwards, one column a free pixel: there are few of these and
        many values. Elsewhere only values that may be of either sign are, backwards: of the others the rectifier is
        exact.
        """
        known = self.intervals(box, around)
        known.columns = self._columns(known.inputs[0])
        hidden = [n for n, step in enumerate(self.steps) if isinstance(step, Affine)][1:-1]
        for number in hidden:
            if number == 2 and isinstance(self.steps[0], Affine) and isinstance(self.steps[1], Rectify):
                tight = self._forwards(known)
            elif deep:
                tight = self._backwards(known, number)
            else:
                continue
            known = self._onwards(known, number + 1, tight.within(known.inputs[number + 1]))
        return known

    def _columns(self, box: Box) -> tuple[Tensor, Tensor, Tensor] | None:
        first = self.steps[0]
        if not isinstance(first, Affine):
            return None
        radius = ((box.high - box.low)[0] / 2).flatten()
        free = torch.nonzero(radius).flatten()
        alone = torch.zeros(len(free), len(radius), dtype=self.dtype)
        alone[torch.arange(len(free)), free] = radius[free]
        return free, radius[free], first.linear(alone.reshape(-1, *first.before))

    def _forwards(self, known: Relaxed) -> Box:
        """Return a box of the second affine step's values: relu(z) = s z + [0, t], s z in one column a pixel."""
        first, second = self.steps[0], self.steps[2]
        before, after = known.magnitudes[0], known.magnitudes[2]
        assert isinstance(first, Affine)
        assert isinstance(second, Affine)
        assert before is not None
        assert after is not None
        assert known.columns is not None
        box, columns = known.inputs[0], known.columns[2]
        _, slope, offset = _lines(known.inputs[1])
        centre = second(slope * first((box.low + box.high) / 2) + offset / 2)
        uncertain = offset / 2 + slope * self._forwards_error(first) * before
        reach = second.spread(uncertain) + self._forwards_error(second) * after
        if len(columns):
            # A sum of F positive terms, in whatever order, is off by less than F u of itself. Rounding of the terms is
            # a share of |W| |h|, as that of a reach is.
            moved = second.linear(slope * columns).abs().sum(0, keepdim=True)
            reach = reach + moved * (1 + _SLACK * len(columns) * self.unit)
        return Box(centre - reach, centre + reach)

    def _backwards(self, known: Relaxed, number: int) -> Box:
        """Return a box of an affine step's values, better than the known one where they may be of either sign."""
        box, step = known.inputs[number + 1], self.steps[number]
        assert isinstance(step, Affine)
        low, high = box.low.clone().flatten(), box.high.clone().flatten()
        unsure = torch.nonzero((low < 0) & (high > 0)).flatten()
        for part in torch.split(unsure, _AT_ONCE):
            goals = torch.zeros(1, 2 * len(part), len(low), dtype=self.dtype)
            row = torch.arange(len(part))
            goals[0, row, part] = 1.0
            goals[0, row + len(part), part] = -1.0
            found, _ = self.lower(goals.reshape(1, -1, *step.after), known, until=number)
            down, up = outwards(found[0], self.dtype).chunk(2)
            low[part], high[part] = down, -up
        return Box(low.reshape(1, *step.after), high.reshape(1, *step.after))

    def _onwards(self, known: Relaxed, number: int, box: Box) -> Relaxed:
        """Return what is known with a better box in front of step ``number``, and what follows from it."""
        found = self._propagate([*known.inputs[:number], box], list(known.magnitudes[:number]), known)
        found.columns = known.columns
        return found


def outwards(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return lower bounds in another type, none above what it was."""
    cast = values.to(dtype)
    return torch.where(cast.double() > values, torch.nextafter(cast, torch.full_like(cast, -torch.inf)), cast)


def margins(labels: Tensor, classes: int) -> Tensor:
    """Return the functions logit_y - logit_j of all other classes j, float64, (B, K - 1, K)."""
    identity = torch.eye(classes, dtype=torch.float64)
    rows = []
    for label in labels.tolist():
        others = [j for j in range(classes) if j != label]
        rows.append(identity[label] - identity[others])
    return torch.stack(rows)


def _share(sums: int) -> float:
    """Return the relative error of a sum of so many products in the deployment's float32."""
    return sums * _DEPLOYED / (1 - sums * _DEPLOYED)


def _dot(g: Tensor, values: Tensor) -> Tensor:
    """Return the sums of g v over each image's values, float64, (B, S), for g (B, S, ...) and v (B, ...)."""
    rows, column = g.flatten(2), values.flatten(1)
    used = torch.nonzero(column.abs().amax(0)).flatten()
    return torch.matmul(rows[:, :, used].double(), column[:, used, None].double())[:, :, 0]


def _lines(box: Box) -> tuple[Tensor, Tensor, Tensor]:
    """Return slopes and an offset with below z <= max(z, 0) <= above z + offset for all z of the box."""
    low, high = box.low, box.high
    above = torch.where(low >= 0, torch.ones_like(low), torch.where(high <= 0, 0.0, high / (high - low)))
    above = torch.nan_to_num(above, nan=1.0).clamp(0, 1)
    # A line above both ends is above a convex function; so rounding of the slope costs no soundness.
    offset = torch.maximum(-above * low, (1 - above) * high).clamp(min=0)
    offset = torch.where((low >= 0) | (high <= 0), torch.zeros_like(offset), offset)
    below = torch.where(low >= 0, 1.0, torch.where(high <= 0, 0.0, (high > -low).to(low.dtype)))
    return below, above, offset


def _through_pool(step: Pool, box: Box, g: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bound below a pooling: the window's value with the highest floor, or the window's ceiling.

    Where no other value of a window reaches the highest floor, the pooling is that value. Elsewhere it is at least
    that value, and at most the highest ceiling.
    """
    floor, place = F.max_pool2d(box.low, step.module.kernel_size, return_indices=True)
    rivals = box.high.flatten(2).scatter(2, place.flatten(2), -torch.inf).reshape(box.high.shape)
    free = ~(step(rivals) <= floor)[:, None]  # a bound that is no number may be anything
    fixed = torch.where(free, g.clamp(max=0), torch.zeros_like(g))
    spread = torch.zeros(*g.shape[:2], *step.before, dtype=g.dtype).flatten(3)
    spread.scatter_(3, place[:, None].expand(g.shape).flatten(3), (g - fixed).flatten(3))
    return constant + _dot(fixed, step(box.high)), spread.reshape(*g.shape[:2], *step.before)
