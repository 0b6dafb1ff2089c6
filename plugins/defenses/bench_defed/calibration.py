"""Thresholds of the detector from its scores on benign images (specification section 4)."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from bench.errors import UsageError

DEVIATIONS: Final = 3.0  # the released code's comment: 2 or 3


def joint_quantile(scores: Tensor, fpr: float, *, strict: bool = False) -> Tensor:
    """Return thresholds that all denoisers together exceed on a share ``fpr`` of images like these.

    Split-conformal: each score is replaced by its rank among the scores of its denoiser, an image by its largest rank
    R; the q-th smallest R with q = ceil((n + 1) (1 - fpr)) gives the rank at which each denoiser's threshold lies.

    Parameters
    ----------
    scores : (n, M), of images that fitted neither a denoiser nor the classifier
    strict : one rank more: the rate holds exactly for any M, not for M = 1 alone

    Returns
    -------
    thresholds, (M,)

    Raises
    ------
    UsageError : fewer than ceil(1 / fpr) - 1 images, or where strict fewer than ceil((M + 1) / fpr) - 1; strict and so
        many of the largest scores equal that there is no rank more

    Notes
    -----
    Where scores differ, at most M images have a denoiser's largest one, so that q < n once floor((n + 1) fpr) > M. The
    refusal depends on n alone, so the rate holds given that there are thresholds. With fewer images the specification
    has infinity at times: a detector that never flags, and a score that is no number.
    """
    n = _enough(scores, fpr, 1 + scores.shape[1] * strict)
    ordered = scores.sort(dim=0).values
    ranks = torch.searchsorted(ordered.T.contiguous(), scores.T.contiguous(), right=True)
    q = int(ranks.amax(dim=0).sort().values[_place(n, fpr)]) + strict
    if q > n:
        raise UsageError(
            "Too many calibration images have equal scores for the strict joint quantile: there is no larger one to "
            "take. Ask without strict."
        )
    return ordered[q - 1].clone()


def quantile(scores: Tensor, fpr: float) -> Tensor:
    """Return each denoiser's own threshold at ``fpr / M``; arguments and errors as ``joint_quantile``."""
    denoisers = scores.shape[1]
    share = fpr / denoisers
    n = _enough(scores, fpr, denoisers, f", {share:g} for each of {denoisers} denoisers,")
    return scores.sort(dim=0).values[_place(n, share)].clone()


def mean_deviations(scores: Tensor, deviations: float = DEVIATIONS) -> Tensor:
    """Return mean + k standard deviations (n - 1) of each denoiser's scores: what the released code does.

    Raises
    ------
    UsageError : fewer than 2 images
    """
    if len(scores) < 2:
        raise UsageError(
            f"A standard deviation needs at least 2 calibration images; there are {len(scores)}. Give more images."
        )
    return scores.mean(dim=0) + deviations * scores.std(dim=0)


def _enough(scores: Tensor, fpr: float, images: int = 1, shared: str = "") -> int:
    """Return n if at least ``images`` of n + 1 may be flagged at that rate; ``shared`` says how it is shared out."""
    n, needed = len(scores), math.ceil(images / fpr - 1e-9) - 1
    if n < needed:
        raise UsageError(
            f"A false-positive rate of {fpr:g}{shared} needs at least {needed} calibration images; there are {n}. "
            "Ask for a larger rate or give more images."
        )
    return n


def _place(n: int, fpr: float) -> int:
    """Return the index, from 0, of the quantile of split-conformal prediction among n."""
    return math.ceil((n + 1) * (1 - fpr) - 1e-9) - 1
