"""What is proven of a quantiser in front of a chain of layers: which images keep their answer in an Linf ball."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attack import UNCERTIFIED, Threat
from bench.deployment import Deployment
from bench_qusecnets.bounds import Bounds, Box, margins
from bench_qusecnets.codespace import CodeSpace, parts
from bench_qusecnets.stages import Quantise

FEW = 100  # free pixels up to which linear bounds are tried: beyond, they prove nothing and cost seconds (ours)
_TABLE_ERROR = 1e-6  # of the soft layer's float32 sums, which may fall by their last bits where they are flat


@torch.no_grad()
def certify(deployment: Deployment, x: Tensor, threat: Threat) -> Tensor:
    """Return the label that each image keeps whatever codes an attacker reaches, int64, (B,), -1 where none is proven.

    Interval bounds in float64 first; where these prove nothing and few pixels are free, linear bounds, image by image,
    in float32. Both are widened by all rounding, the deployment's own included (``bounds``).

    Raises
    ------
    Unavailable : another threat than Linf, or a network for which there are no bounds
    """
    stage, network = parts(deployment)
    shape = tuple(x.shape[1:])
    space = CodeSpace.of(stage, shape[0])
    low, high = space.reach(x, threat)
    plain, sharp = Bounds(network, shape), Bounds(network, shape, torch.float32)
    slack = 0.0 if isinstance(stage, Quantise) else _TABLE_ERROR
    boxes = Box(space.shown(low).double() - slack, space.shown(high).double() + slack)
    labels = network(space.shown(space.ranks_of(x))).argmax(1)
    logits = plain.intervals(boxes).outputs
    rivals = logits.high.scatter(1, labels[:, None], -torch.inf).amax(1)
    proven = logits.low.gather(1, labels[:, None])[:, 0] > rivals
    goals = margins(labels, logits.low.shape[1])
    free = (high > low).flatten(1).sum(1)
    for row in torch.nonzero(~proven & (free <= FEW)).flatten().tolist():
        box = boxes.rows(torch.tensor([row]))
        found, _ = sharp.lower(goals[row : row + 1], sharp.sharpened(box.around(torch.float32)))
        proven[row] = bool((found > 0).all())
    return torch.where(proven, labels, UNCERTIFIED)
