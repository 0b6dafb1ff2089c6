"""The attack of one who knows which pixels will be dropped: what the secrecy of SUPER-IOT's masks is worth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attack import AttackResult, Batch, Surface, Threat, ways
from bench.attack.surrogate import Backward
from bench.deployment import Deployment, Draws, Signal
from bench.deployment.calls import calls
from bench_native.balls import settle, steepest, uniform, within
from bench_native.losses import margin

TRAVEL = 2.5  # the steps of a start together, in units of epsilon: Madry et al. 2018 as the specification has it


@dataclass(frozen=True)
class Known:
    """A deployment whose draws the attacker knows: one mask for each image, the same whenever it is asked.

    Parameters
    ----------
    surface : counts what is asked
    draws : the one stream of each image
    """

    surface: Surface
    deployment: Deployment
    backward: Backward
    draws: Draws

    def margins(self, x: Tensor, y: Tensor) -> Tensor:
        """Return by how much a wrong class leads under the known mask, (B,): above zero where the answer is wrong."""
        self.surface.queries.forward += len(x)
        with torch.no_grad():
            parts = [
                margin(self.deployment(Signal(x[rows], self.draws[rows])).x, y[rows])[:counting]
                for rows, counting in calls(len(x))
            ]
        return torch.cat(parts)

    def slopes(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return these margins and their gradients, (B, C, H, W)."""
        self.surface.queries.forward += len(x)
        self.surface.queries.gradient += len(x)
        found, gradients = [], []
        for rows, counting in calls(len(x)):
            given = x[rows].detach().requires_grad_(True)
            leads = margin(self.backward(self.deployment, Signal(given, self.draws[rows]), 1.0).x, y[rows])
            (gradient,) = torch.autograd.grad(leads.sum(), given)
            self.surface.gradients.add(gradient[:counting])
            found.append(leads.detach()[:counting])
            gradients.append(gradient[:counting])
        return torch.cat(found), torch.cat(gradients)


class FixedMaskAttack:
    """Projected gradient ascent on the margin under one mask that the attacker knows beforehand.

    Parameters
    ----------
    steps : gradients of each start; 2.5 epsilon / steps is the length of one
    starts : the image itself, then points drawn from the ball
    surrogate : what is differentiated in the recovery's place, "linear", "unrolled" or "identity"

    Notes
    -----
    The suite judges x' like any other, on masks that nobody knew, so its accuracy is comparable with that of other
    attacks. What is left under the known mask stands in the notes: the difference is what the mask's secrecy is worth.
    No image leaves once it is answered wrongly: the larger the lead under one mask, the more other masks it survives.
    """

    def __init__(self, *, steps: int = 100, starts: int = 2, surrogate: str = "linear") -> None:
        self.steps, self.starts = steps, starts
        self.way = ways.IDENTITY if surrogate == "identity" else f"surrogate:{surrogate}"

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        """Return the images with the largest lead of a wrong class, each under its own mask.

        Raises
        ------
        PermissionError : the attacker does not know the defense
        """
        backward = ways.backward(self.way)
        assert backward is not None
        known = Known(surface, surface.deployment, backward, batch.draws.spawn("known mask"))
        found = batch.x
        if threat.epsilon > 0:
            found = settle(batch.x, self._search(known, batch, threat), threat.epsilon, threat.norm)
        lost = known.margins(threat.realise(batch.x, found), batch.y) > 0
        return AttackResult(found, {"broken under the known mask": lost})

    def _search(self, known: Known, batch: Batch, threat: Threat) -> Tensor:
        epsilon, norm = threat.epsilon, threat.norm
        best, leads = batch.x.clone(), torch.full((len(batch.x),), -torch.inf)
        for start in range(self.starts):
            x_adv = batch.x
            if start:
                drawn = uniform(batch.draws.spawn(f"start {start}"), tuple(batch.x.shape[1:]), epsilon, norm)
                x_adv = within(batch.x, batch.x + drawn, epsilon, norm)
            for step in range(self.steps + 1):
                last = step == self.steps
                lead, slope = (known.margins(x_adv, batch.y), None) if last else known.slopes(x_adv, batch.y)
                better = lead > leads
                best[better], leads[better] = x_adv[better], lead[better]
                if slope is not None:
                    moved = x_adv + TRAVEL * epsilon / self.steps * steepest(slope, norm)
                    x_adv = within(batch.x, moved, epsilon, norm)
        return best
