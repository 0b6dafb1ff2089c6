"""Controls: attacks that must not work."""

from __future__ import annotations

import torch

from bench.attack import AttackResult, Batch, Surface, Threat
from bench_art.balls import uniform_in_ball


class Null:
    """Returns its input."""

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        return AttackResult(batch.x.clone())


class Noise:
    """One uniform draw from the ball, cut by the box; asks the deployment nothing."""

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        noise = uniform_in_ball(batch.draws.spawn("noise"), tuple(batch.x.shape[1:]), threat.norm, threat.epsilon)
        return AttackResult((batch.x.double() + torch.from_numpy(noise)).clamp(0.0, 1.0).to(batch.x.dtype))
