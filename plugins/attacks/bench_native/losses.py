"""What an attacker raises: one number an image, from logits and labels.

Labels are int64, (B,), true classes; where a loss aims at a class, (B, 2), true class and target. All losses are summed
over images by who differentiates them, so that an image's gradient does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Objective = Callable[[Tensor, Tensor], Tensor]
"""(answers, (B, K), labels, (B,) or (B, 2)) -> what is raised, (B,)"""

_TINY = 1e-12  # as in the authors' code: three equal logits must not divide by zero


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -log softmax of the true class, (B,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return max over wrong classes of z_j - z_y, (B,): above zero where the answer is wrong.

    References
    ----------
    Carlini and Wagner, S&P 2017, arXiv 1608.04644, section V.A (f6 without its floor).
    """
    true = logits.gather(1, labels[:, None]).squeeze(1)
    return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - true


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the margin divided by z_1 - z_3 of the sorted logits, (B,): blind to the logits' scale and shift.

    References
    ----------
    Croce and Hein, ICML 2020, arXiv 2003.01690, equation 6.
    """
    largest = logits.topk(3, 1).values
    return margin(logits, labels) / (largest[:, 0] - largest[:, 2] + _TINY)


def targeted_dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return z_t - z_y divided by z_1 - (z_3 + z_4) / 2, (B,); of three classes, z_3 stands for z_4.

    Parameters
    ----------
    labels : int64, (B, 2), true class and target

    References
    ----------
    Croce and Hein, ICML 2020, arXiv 2003.01690, equation 7.
    """
    largest = logits.topk(min(4, logits.shape[1]), 1).values
    gap = largest[:, 0] - (largest[:, 2] + largest[:, -1]) / 2
    return targeted_margin(logits, labels) / (gap + _TINY)


def targeted_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return z_t - z_y, (B,); ``labels``, (B, 2), are true class and target."""
    chosen = logits.gather(1, labels)
    return chosen[:, 1] - chosen[:, 0]


LOSSES: Mapping[str, Objective] = {"ce": cross_entropy, "margin": margin, "dlr": dlr}
FEWEST_CLASSES: Mapping[str, int] = {"ce": 2, "margin": 2, "dlr": 3}
