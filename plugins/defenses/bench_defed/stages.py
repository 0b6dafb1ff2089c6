"""Defed as a deployment: denoisers beside the image as it came, one classifier for all, one decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from bench.deployment import Join, Placement, Signal, Stage
from bench.deployment.stage import Surrogate
from bench_defed.detector import corrected, denoised, scores

Mode = Literal["correct", "reject", "denoise"]


class Denoise(Stage):
    """A denoiser whose output is clamped to [0, 1].

    Parameters
    ----------
    network : (B, C, H, W) to (B, C, H, W)
    """

    def __init__(self, network: nn.Module, placement: Placement) -> None:
        super().__init__()
        self.network = network
        self.placement = placement

    def transform(self, x: Tensor) -> Tensor:
        return torch.clamp(self.network(x), 0.0, 1.0)

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """The denoiser without its clamp, which has no gradient where the output leaves [0, 1] (section 8)."""
        return {"unclamped": lambda signal, progress: signal.replace(self.network(signal.x))}


class Decide(Join):
    """Defed's head: what the views' scores flag, and the label that follows.

    Takes the image, the classifier's logits of it, then each denoised image and the classifier's logits of that.

    Parameters
    ----------
    thresholds : (M,)
    alpha : weight of the cross-entropy in a score
    mode : ``correct`` lets flagged views vote on the label; ``reject`` keeps the label and sets ``rejected``, both set
        ``score``; ``denoise`` asks all views and detects nothing
    """

    macs_declared = 0  # distances of images are left out, as in section 9: they are 2 of 100,000

    def __init__(self, thresholds: Tensor, alpha: float, mode: Mode, placement: Placement) -> None:
        super().__init__()
        self.register_buffer("thresholds", thresholds.clone())
        self.alpha, self.mode, self.placement = alpha, mode, placement

    thresholds: Tensor

    @property
    def facts(self) -> Mapping[str, object]:
        """Thresholds of the scores, in the order of the denoisers."""
        if self.mode == "denoise":
            return {}
        return {f"threshold {i + 1}": float(value) for i, value in enumerate(self.thresholds)}

    def combine(self, *signals: Signal) -> Signal:
        image, answer = signals[:2]
        restored, views = signals[2::2], torch.stack([signal.x for signal in signals[3::2]], dim=1)
        if self.mode == "denoise":
            return answer.replace(denoised(views))
        changes = torch.stack([(image.x - r.x).square().flatten(1).mean(1) for r in restored], dim=1)
        excess = scores(answer.x, views, changes, self.alpha) - self.thresholds
        score = excess.amax(dim=1)
        if self.mode == "reject":
            return answer.replace(score=score, rejected=score > 0)
        return answer.replace(corrected(answer.x, views, excess > 0), score=score)
