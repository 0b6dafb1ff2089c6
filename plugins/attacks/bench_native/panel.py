"""Asks a surface in calls of one shape, since floating point depends on the shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attack import Surface
from bench_native.losses import Objective

ROWS = 32  # images a call: with fewer a call's own cost shows, with more the layers' outputs leave the cache
MOST = 64  # rows a call with every draw counted, which bounds the memory of an average over draws


@dataclass(frozen=True)
class Ascent:
    """What one gradient call gives.

    Attributes
    ----------
    answers : float32, (B, K), further columns after the logits
    loss : float32, (B,)
    gradient : float32, (B, C, H, W), of each image's own loss
    """

    answers: Tensor
    loss: Tensor
    gradient: Tensor


class Panel:
    """A surface that is always asked for the same number of images at once.

    Parameters
    ----------
    ask : what answers a batch: logits, and after them what else the attack looks at as further columns; where nothing
        is said, the share of draws in which the image is refused, of a deployment that may refuse

    Attributes
    ----------
    rows : images a call
    padding : rows sent only to fill a call, every draw counted; the surface counts them as no queries

    Notes
    -----
    What a deterministic deployment says of an image then does not depend on how many images are asked about beside it.
    Of a randomised one it does: the surface names draws by the number of the call and of the row.
    """

    def __init__(self, surface: Surface, ask: Callable[[Tensor], Tensor] | None = None) -> None:
        self.surface = surface
        self.rows = max(1, min(ROWS, MOST // surface.expectation))
        self.padding = 0
        self._ask = self._replies if ask is None else ask

    def answers(self, x: Tensor, about: Tensor) -> Tensor:
        """Return what the surface says, float32, (B, K), further columns after the logits.

        Parameters
        ----------
        about : which of the images under attack each row is made from, int64, (B,); empty where nobody is to follow
        """
        with torch.no_grad():
            parts = [self._said(padded, about[at : at + count], count) for padded, at, count in self._calls(x)]
        return torch.cat(parts) if parts else torch.empty(0, self.surface.classes)

    def ascent(self, x: Tensor, about: Tensor, labels: Tensor, objective: Objective) -> Ascent:
        """Return answers, the objective's value and its gradient; values that are not finite as zero.

        Notes
        -----
        The surface has counted such values by then, and the suite fails the cell.
        """
        answers, losses, gradients = [], [], []
        for padded, at, count in self._calls(x):
            given = padded.detach().requires_grad_(True)
            said = self._said(given, about[at : at + count], count)
            loss = objective(said, labels[at : at + count])
            (gradient,) = torch.autograd.grad(loss.sum(), given)
            answers.append(said.detach())
            losses.append(loss.detach())
            gradients.append(gradient[:count].nan_to_num(0.0, 0.0, 0.0))
        return Ascent(torch.cat(answers), torch.cat(losses), torch.cat(gradients))

    def _replies(self, x: Tensor) -> Tensor:
        reply = self.surface.reply(x)
        return reply.logits if reply.refused is None else torch.cat([reply.logits, reply.refused[:, None]], 1)

    def _said(self, x: Tensor, about: Tensor, count: int) -> Tensor:
        """Return what is said of the first rows; the others only fill the call."""
        self.surface.about, self.surface.filling = about, len(x) - count
        said = self._ask(x)
        self.surface.about, self.surface.filling = None, 0
        return said[:count]

    def _calls(self, x: Tensor) -> Iterator[tuple[Tensor, int, int]]:
        """Yield whole calls, where each begins in ``x``, and how many of its rows count."""
        for start in range(0, len(x), self.rows):
            part = x[start : start + self.rows]
            missing = self.rows - len(part)
            self.padding += missing * self.surface.expectation
            yield (torch.cat([part, part[:1].expand(missing, -1, -1, -1)]) if missing else part), start, len(part)
