"""How noisy a randomised deployment's gradient is, and how many draws an attacker must average to see through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import torch
from torch import Tensor

from bench.attack.surrogate import Backward
from bench.deployment import Deployment, Draws, Signal

ENOUGH: Final = 0.95  # ours: within 18 degrees of the true gradient; measured in docs/explanation/knowledge.md
MOST: Final = 64  # ours: four times the literature's usual count
_MEASURED: Final = 16  # draws; 120 pairs an image


@dataclass(frozen=True)
class Noise:
    """What the gradients of several draws have in common.

    Attributes
    ----------
    agreement : share of one draw's squared gradient that is the true, mean gradient's, in [0, 1]; 1 without noise

    Notes
    -----
    With S the squared length of the mean gradient over all draws and V the trace of the covariance of one draw's, the
    mean over k draws has an expected squared length of S + V / k, of which S lies along the true one. So the cosine
    between the two is about sqrt(S / (S + V / k)); agreement is S / (S + V).
    """

    agreement: float

    def cosine(self, draws: int) -> float:
        """Return the predicted cosine between the mean gradient over ``draws`` draws and the true one."""
        return sqrt(self.agreement / (self.agreement + (1.0 - self.agreement) / draws))

    @property
    def draws(self) -> int:
        """How many draws to average: the smallest power of two with ``ENOUGH`` cosine, ``MOST`` where none has it."""
        k = 1
        while k < MOST and self.cosine(k) < ENOUGH:
            k *= 2
        return k


def gradient_noise(
    deployment: Deployment,
    through: Backward,
    x: Tensor,
    names: Sequence[bytes],
    logits: Tensor,
    *,
    draws: int = _MEASURED,
) -> Noise:
    """Return how much gradients of independent draws agree; wholly where nothing is drawn.

    Parameters
    ----------
    through : the way to a gradient, see ``bench.attack.ways``
    x : float32, (B, C, H, W), in [0, 1]
    names : of the images, for their draws
    logits : the deployment's usual answer, (B, K), K >= 2
    draws : measured, 2 or more

    Notes
    -----
    The gradient is that of the margin between the two classes that lead in ``logits``. It is linear in the logits, as
    cross-entropy is not, so that the mean over draws of its gradient is the gradient of the mean logits' margin, which
    is what a surface gives (decision 0025); and it does not fade where the answer is sure. S is estimated without bias
    by the mean dot product of the gradients of two different draws, S + V by their mean squared length; agreement is
    the mean over images of the quotient, floored at 0. An image without a finite gradient other than zero is left out;
    where all are, there is no agreement. Cost: ``draws`` backward passes an image.
    """
    if not deployment.randomised:
        return Noise(1.0)
    first, second = logits.topk(2, dim=1).indices.T
    total = torch.zeros_like(x, dtype=torch.float64).flatten(1)
    squares = torch.zeros(len(x), dtype=torch.float64)
    for draw in range(draws):
        image = x.detach().requires_grad_(True)
        answer = through(deployment, Signal(image, Draws.of("probe", 0, names, draw)), 1.0).x
        margin = answer.gather(1, first[:, None]) - answer.gather(1, second[:, None])
        gradient = torch.autograd.grad(margin.sum(), image)[0].double().flatten(1)
        total += gradient
        squares += gradient.square().sum(1)
    alive = torch.isfinite(squares) & (squares > 0)
    if not bool(alive.any()):
        return Noise(0.0)
    shared = (total.square().sum(1) - squares) / (draws * (draws - 1))
    agreement = float((shared / (squares / draws))[alive].mean())
    return Noise(min(max(agreement, 0.0), 1.0))
