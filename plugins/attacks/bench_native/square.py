"""Square: random search with square patches of shrinking size (Andriushchenko et al., ECCV 2020, arXiv 1912.00049)."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from bench_native.balls import length, per_image
from bench_native.case import Case
from bench_native.losses import LOSSES
from bench_native.search import Search

AHEAD = 64  # steps for which random numbers are drawn at once
# Supplement of the paper, section "hyperparameters": the share halves at these steps of 10,000.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_TINY = 1e-12


class Square(Search):
    """Random search; asks once a step, and again for the image it has where answers are random.

    Parameters
    ----------
    steps : queries an image at most, twice as many where answers are random; images leave that are answered wrongly for
        good
    share : of values that the first squares change
    loss : "margin" or "ce"

    Notes
    -----
    Every image has squares of its own; the steps' schedule is scaled to ``steps`` as in the authors' code. Candidates
    are asked about as they would be delivered. Of two the one that is answered, and wrongly, is better, else the one of
    higher loss: what is refused is no success, but the way to one may lead through it.
    """

    def __init__(self, *, steps: int, share: float, loss: str) -> None:
        self.steps, self.share, self.loss = steps, share, loss

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        height, width = case.x.shape[2:]
        moves = _Linf(case) if case.threat.norm == "linf" else _L2(case)
        best = moves.first()
        rows = torch.arange(len(case))
        answers = case.delivered(rows, best)
        won, loss = self._said(case, rows, answers)
        rows = rows[~case.settles(rows, answers)]
        numbers = torch.empty(len(case), AHEAD, moves.numbers)
        for step in range(1, self.steps):
            if not len(rows):
                break
            if (step - 1) % AHEAD == 0:
                drawn = case.draws[rows.tolist()].spawn(f"steps {step}").uniform("square", AHEAD, moves.numbers)
                numbers[rows] = torch.from_numpy(drawn).float()
            side = self._side(step, height, width)
            proposal = moves.next(rows, best[rows], side, numbers[rows, (step - 1) % AHEAD])
            answers = case.delivered(rows, proposal)
            doubtful = ~case.steady[rows]
            if doubtful.any():  # else the luckiest draw would stand for ever
                again = rows[doubtful]
                won[again], loss[again] = self._said(case, again, case.delivered(again, best[again]))
            wins, value = self._said(case, rows, answers)
            done = case.settles(rows, answers)
            better = torch.where(wins == won[rows], value > loss[rows], wins) | done
            chosen = rows[better]
            best[chosen], won[chosen], loss[chosen] = proposal[better], wins[better], value[better]
            rows = rows[~done]
        return best

    def _said(self, case: Case, rows: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
        """Return which answers are what the attacker wants, bool, (B,), and how high the loss is, (B,)."""
        return case.worth(answers, case.y[rows]) > 0, LOSSES[self.loss](case.logits(answers), case.y[rows])

    def _side(self, step: int, height: int, width: int) -> int:
        scaled = int(step / self.steps * 10_000)
        share = self.share / 2 ** sum(scaled > at for at in _HALVINGS)
        return max(1, min(round(math.sqrt(share * height * width)), min(height, width) - 1))


class _Linf:
    """Windows at a corner of the ball: Algorithm 2."""

    def __init__(self, case: Case) -> None:
        self._case, self._epsilon = case, float(case.threat.epsilon)
        self.numbers = 2 + case.x.shape[1]

    def first(self) -> Tensor:
        """Return vertical stripes of one sign a channel."""
        channels, _, width = self._case.x.shape[1:]
        signs = _signs(torch.from_numpy(self._case.draws.uniform("stripes", channels, 1, width)).float())
        return (self._case.x + self._epsilon * signs).clamp(0.0, 1.0)

    def next(self, rows: Tensor, best: Tensor, side: int, numbers: Tensor) -> Tensor:
        """Return each image with one window moved to x ± epsilon, one sign a channel."""
        height, width = best.shape[2:]
        inside = _window(_place(numbers[:, 0], height, side), height, side)[:, None, :, None]
        inside = inside & _window(_place(numbers[:, 1], width, side), width, side)[:, None, None, :]
        corner = (self._case.x[rows] + self._epsilon * _signs(numbers[:, 2:, None, None])).clamp(0.0, 1.0)
        return torch.where(inside, corner, best)


class _L2:
    """Windows that take over the length of another one: Algorithm 3."""

    def __init__(self, case: Case) -> None:
        self._case, self._epsilon = case, float(case.threat.epsilon)
        self.numbers = 5 + case.x.shape[1]

    def first(self) -> Tensor:
        """Return a grid of five by five pairs of bumps, scaled to the ball."""
        x = self._case.x
        channels, height, width = x.shape[1:]
        side = max(min(height, width) // 5, 2)
        signs = _signs(torch.from_numpy(self._case.draws.uniform("grid", channels, height // side, width // side)))
        turned = _signs(torch.from_numpy(self._case.draws.uniform("turned", 1, height // side, width // side))) > 0
        bumps = pair_of_bumps(side)
        tiles = torch.where(turned[..., None, None], bumps, bumps.T) * signs[..., None, None]
        tall, wide = (height // side) * side, (width // side) * side
        delta = torch.zeros_like(x)
        top, left = (height - tall) // 2, (width - wide) // 2
        delta[:, :, top : top + tall, left : left + wide] = tiles.permute(0, 1, 2, 4, 3, 5).reshape(
            len(x), channels, tall, wide
        )
        return self._scaled(x, delta)

    def next(self, rows: Tensor, best: Tensor, side: int, numbers: Tensor) -> Tensor:
        """Return each image with one window emptied and its length given to bumps in another."""
        x = self._case.x[rows]
        channels, height, width = x.shape[1:]
        side = max(side, 3) // 2 * 2 + 1
        side = min(side, min(height, width) - 1 + min(height, width) % 2)
        delta = best - x
        here = _cells(numbers[:, 0], numbers[:, 1], side, channels, height, width)
        there = _cells(numbers[:, 2], numbers[:, 3], side, channels, height, width)
        flat = delta.flatten(1)
        old = flat.gather(1, here.flatten(1)).reshape(here.shape)
        both = torch.zeros_like(flat).scatter(1, here.flatten(1), 1.0).scatter(1, there.flatten(1), 1.0)
        freed = (flat * both).reshape(delta.shape).square().sum((2, 3), keepdim=True)
        spare = (self._epsilon**2 - flat.square().sum(1)).clamp(min=0)
        bumps = pair_of_bumps(side)
        turned = numbers[:, 4, None, None, None] < 0.5
        new = torch.where(turned, bumps, bumps.T) * _signs(numbers[:, 5:, None, None])
        new = new + old / (_TINY + old.square().sum((2, 3), keepdim=True).sqrt())
        new = new / (_TINY + new.square().sum((2, 3), keepdim=True).sqrt())
        new = new * (per_image(spare, new) / channels + freed).sqrt()
        flat = flat.scatter(1, there.flatten(1), 0.0).scatter(1, here.flatten(1), new.flatten(1))
        return self._scaled(x, flat.reshape(delta.shape))

    def _scaled(self, x: Tensor, delta: Tensor) -> Tensor:
        share = self._epsilon / length(delta, "l2").clamp(min=_TINY)
        return (x + delta * per_image(share, delta)).clamp(0.0, 1.0)


@cache
def pair_of_bumps(side: int) -> Tensor:
    """Return two pyramids of opposite sign, one above the other, float32, (side, side), of length 1 (equation 2)."""

    def bump(tall: int, wide: int) -> Tensor:
        layers = torch.zeros(tall, wide)
        top, left = tall // 2, wide // 2
        for ring in range(max(tall, wide) // 2 + 1):
            rows = slice(max(top - ring, 0), min(top + ring + 1, tall))
            columns = slice(max(left - ring, 0), min(left + ring + 1, wide))
            layers[rows, columns] += 1.0 / (ring + 1) ** 2
        return layers / float(layers.norm())

    both = torch.cat([bump(side // 2, side), -bump(side - side // 2, side)])
    return both / float(both.norm())


def _signs(numbers: Tensor) -> Tensor:
    return torch.where(numbers < 0.5, -1.0, 1.0)


def _place(numbers: Tensor, available: int, side: int) -> Tensor:
    return (numbers * (available - side + 1)).long().clamp(max=available - side)


def _window(start: Tensor, available: int, side: int) -> Tensor:
    at = torch.arange(available)
    return (at >= start[:, None]) & (at < start[:, None] + side)


def _cells(down: Tensor, across: Tensor, side: int, channels: int, height: int, width: int) -> Tensor:
    """Return the flat indices of one window an image, int64, (B, C, side, side)."""
    along = torch.arange(side)
    rows = _place(down, height, side)[:, None, None, None] + along[:, None]
    columns = _place(across, width, side)[:, None, None, None] + along
    planes = torch.arange(channels)[:, None, None] * (height * width)
    return planes + rows * width + columns
