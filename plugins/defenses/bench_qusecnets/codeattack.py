"""The exact attack on a quantiser: it searches what the classifier can be shown, then makes the image that shows it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attack import AttackResult, Batch, Surface, Threat
from bench.attack.rounding import rounding
from bench.attack.surface import GradientTally
from bench.deployment import Draws
from bench.deployment.calls import calls
from bench_qusecnets.codespace import CodeSpace, parts


@dataclass
class Asked:
    """A classifier, asked in calls of one shape, and how often.

    Parameters
    ----------
    tally : sees every gradient; by default nobody's

    Attributes
    ----------
    forward, gradient : images
    """

    network: nn.Module
    tally: GradientTally = field(default_factory=lambda: GradientTally(0))
    forward: int = 0
    gradient: int = 0

    def margins(self, values: Tensor, y: Tensor) -> Tensor:
        """Return margins, float32, (B,); see ``margin``."""
        self.forward += len(values)
        with torch.no_grad():
            parts = [margin(self.network(values[rows]), y[rows])[:counting] for rows, counting in calls(len(values))]
        return torch.cat(parts)

    def slopes(self, values: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return margins and their gradients with respect to the values, (B, C, H, W); what is not finite as zero.

        The tally has counted such values by then, and the suite fails the cell.
        """
        self.forward += len(values)
        self.gradient += len(values)
        found, gradients = [], []
        for rows, counting in calls(len(values)):
            asked = values[rows].detach().requires_grad_(True)
            one = margin(self.network(asked), y[rows])
            (gradient,) = torch.autograd.grad(one.sum(), asked)
            self.tally.add(gradient[:counting])
            found.append(one.detach()[:counting])
            gradients.append(gradient[:counting].nan_to_num(0.0, 0.0, 0.0))
        return torch.cat(found), torch.cat(gradients)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return logit_y less the largest other logit and plus what rounding may hide, (B,): <= 0 is a wrong answer.

    A tie is none, and neither is a lead that the deployment, which sums in calls of another shape, may not have.
    """
    others = logits.masked_fill(F.one_hot(y, logits.shape[1]).bool(), -torch.inf)
    return logits.gather(1, y[:, None])[:, 0] - others.amax(1) + rounding(logits)


class CodeSpaceAttack:
    """Projected gradient descent over reachable codes, then flips of single codes; an adaptive attack on quantisers.

    Parameters
    ----------
    steps : of gradient descent from each start
    starts : the clean codes first, then codes drawn evenly
    flips : rounds in which the most promising single codes are tried
    tried : codes tried for an image in each round

    Notes
    -----
    Forward the classifier sees the nearest reachable value, backward the identity; a step is half the gradient over its
    largest component, of the pixels that can change. Ours are the flips: from the lowest margin found, the codes whose
    change the gradient promises most for are tried one by one, the best is kept, until none lowers the margin.
    """

    def __init__(self, *, steps: int = 30, starts: int = 2, flips: int = 12, tried: int = 16) -> None:
        self.steps, self.starts, self.flips, self.tried = steps, starts, flips, tried

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        """Return the images found; those whose margin no reachable code makes negative as low as was found."""
        stage, network = parts(surface.deployment)
        space, asked = CodeSpace.of(stage, batch.x.shape[1]), Asked(network, surface.gradients)
        ranks, found = self.search(space, asked, batch.x, batch.y, threat, batch.draws)
        surface.queries.forward += asked.forward
        surface.queries.gradient += asked.gradient
        return AttackResult(space.realise(batch.x, ranks), {"broken": found <= 0})

    def search(
        self, space: CodeSpace, asked: Asked, x: Tensor, y: Tensor, threat: Threat, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Return the ranks with the lowest margin found, int64, (B, C, H, W), and that margin, (B,)."""
        low, high = space.reach(x, threat)
        ranks = space.ranks_of(x)
        lowest = asked.margins(space.shown(ranks), y)
        # Those that are wrong as they are never set out.
        asked.tally.starts = int((lowest > 0).sum())
        for start in range(self.starts):
            ranks, lowest = self._descend(space, asked, (ranks, lowest), x, y, (low, high), draws, start)
        return self._flip(space, asked, ranks, lowest, y, (low, high))

    def _descend(
        self,
        space: CodeSpace,
        asked: Asked,
        known: tuple[Tensor, Tensor],
        x: Tensor,
        y: Tensor,
        reach: tuple[Tensor, Tensor],
        draws: Draws,
        start: int,
    ) -> tuple[Tensor, Tensor]:
        best, lowest = known[0].clone(), known[1].clone()
        floor, ceiling = space.shown(reach[0]), space.shown(reach[1])
        if start:
            drawn = torch.from_numpy(draws.uniform(f"start-{start}", *x.shape[1:])).float()
            at = floor + drawn * (ceiling - floor)
        else:
            at = space.shown(space.ranks_of(x))
        for step in range(self.steps + 1):
            rows = torch.nonzero(lowest > 0).flatten()
            if not len(rows):
                break
            here = nearest(space, at[rows], (reach[0][rows], reach[1][rows]))
            found, slope = asked.slopes(space.shown(here), y[rows])
            better = found < lowest[rows]
            best[rows[better]], lowest[rows[better]] = here[better], found[better]
            if step < self.steps:
                slope = slope.masked_fill(floor[rows] == ceiling[rows], 0.0)
                largest = slope.abs().flatten(1).amax(1).clamp(min=1e-30).reshape(-1, 1, 1, 1)
                moved = at[rows] - 0.5 * slope / largest
                at[rows] = torch.minimum(torch.maximum(moved, floor[rows]), ceiling[rows])
        return best, lowest

    def _flip(
        self,
        space: CodeSpace,
        asked: Asked,
        ranks: Tensor,
        lowest: Tensor,
        y: Tensor,
        reach: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        ranks, lowest = ranks.clone(), lowest.clone()
        open_ = torch.nonzero(lowest > 0).flatten()
        for _ in range(self.flips):
            if not len(open_):
                break
            low, high, here = reach[0][open_], reach[1][open_], ranks[open_]
            _, slope = asked.slopes(space.shown(here), y[open_])
            ends = torch.stack([low, high])
            gain = torch.stack([slope * (space.shown(here) - space.shown(end)) for end in ends])
            gain = gain.masked_fill(ends == here, -torch.inf).transpose(0, 1).flatten(1)  # (B, low then high)
            count = min(self.tried, gain.shape[1])
            promised, which = gain.topk(count, dim=1)
            pixel = which % here[0].numel()
            target = torch.where(
                which < here[0].numel(), low.flatten(1).gather(1, pixel), high.flatten(1).gather(1, pixel)
            )
            tries = here.flatten(1)[:, None].repeat(1, count, 1)
            tries.scatter_(2, pixel[..., None], target[..., None])
            tries = tries.reshape(-1, *here.shape[1:])
            found = asked.margins(space.shown(tries), y[open_].repeat_interleave(count)).reshape(-1, count)
            found = found.masked_fill(promised == -torch.inf, torch.inf)
            least, best = found.min(1)
            better = least < lowest[open_]
            chosen = tries.reshape(len(open_), count, *here.shape[1:])[torch.arange(len(open_)), best]
            ranks[open_[better]], lowest[open_[better]] = chosen[better], least[better]
            open_ = open_[better & (least > 0)]
        return ranks, lowest


def nearest(space: CodeSpace, at: Tensor, reach: tuple[Tensor, Tensor]) -> Tensor:
    """Return the reachable ranks whose values lie nearest to ``at``, int64, (B, C, H, W)."""
    between = (space.values[:, 1:] + space.values[:, :-1]) / 2
    columns = [torch.bucketize(at[:, c].contiguous(), row) for c, row in enumerate(between)]
    return torch.minimum(torch.maximum(torch.stack(columns, 1), reach[0]), reach[1])
