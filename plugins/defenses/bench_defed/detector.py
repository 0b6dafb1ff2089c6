"""Scores of the denoised views, what they flag, and the label that follows (specification sections 1 and 4).

In all functions: B images, M denoisers, K classes; ``logits``, (B, K), are the classifier's of the image as it came;
``views``, (B, M, K), those of the denoised ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def scores(logits: Tensor, views: Tensor, changes: Tensor, alpha: float) -> Tensor:
    """Return alpha * CE(view, label of the image as it came) + mean squared change, (B, M), in nats.

    Parameters
    ----------
    changes : (B, M), mean over pixels of (x - denoised)^2
    """
    label = logits.argmax(dim=1)
    surprise = -views.log_softmax(dim=2).gather(2, label[:, None, None].expand(-1, views.shape[1], 1)).squeeze(2)
    return alpha * surprise + changes


def corrected(logits: Tensor, views: Tensor, flagged: Tensor) -> Tensor:
    """Return logits, (B, K): the classifier's own where nothing is flagged, else of the flagged views' vote.

    The vote is the sum of the flagged views' softmax; its logarithm has the same argmax, and is finite.

    Parameters
    ----------
    flagged : bool, (B, M)
    """
    lowest = torch.finfo(views.dtype).min
    # A row without a flag would be empty; it is not used, yet must not make NaN gradients.
    votes = (flagged | ~flagged.any(dim=1, keepdim=True))[:, :, None]
    vote = views.log_softmax(dim=2).masked_fill(~votes, lowest).logsumexp(dim=1)
    return torch.where(flagged.any(dim=1, keepdim=True), vote, logits)


def denoised(views: Tensor) -> Tensor:
    """Return logits, (B, K), of the mean of the views' softmax: every view votes, nothing is detected."""
    return views.log_softmax(dim=2).logsumexp(dim=1) - math.log(views.shape[1])
