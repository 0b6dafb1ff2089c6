"""Pixel deflection: some values are replaced by neighbours at random, then the image is denoised."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.deployment import Capture, Classify, Deployment, Draws, FitResult, Placement, Signal, Stage, Surrogate
from bench_baselines.sizes import deflections
from bench_wavelet.denoise import WaveletDenoise


class Deflection(Stage):
    """Copy random neighbours over random values, one after the other.

    Parameters
    ----------
    deflections : copies, over all channels; rounded up to as many for each
    window : how far a neighbour may be, in pixels along each side
    per_channel : every channel has copies of its own; else whole pixels are copied, ``deflections`` of them

    Notes
    -----
    A later copy may take what an earlier one put. The neighbour is uniform over the window's part inside the image, the
    value itself included, as in the authors' code but for the first row and column, which that code never copies from.
    Without robust activation maps: as the authors' code under ``disable_map``, every value is as likely.

    References
    ----------
    Prakash, Moran, Garber, DiLillo, Storer, "Deflecting Adversarial Attacks with Pixel Deflection", CVPR 2018,
    algorithm 1; repository iamaaditya/pixel-deflection.
    """

    placement: Placement = "server"
    randomised = True
    macs_declared = 0  # copies only

    def __init__(self, shape: tuple[int, int, int], *, deflections: int, window: int, per_channel: bool) -> None:
        super().__init__()
        self.groups = shape[0] if per_channel else 1
        self.deflections = -(-deflections // self.groups)
        self.window = window

    @property
    def facts(self) -> Mapping[str, object]:
        """Copies an image."""
        return {"deflections": self.groups * self.deflections}

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """``identity``: values that this draw copies over keep their gradient, for there are other draws."""
        return {"identity": lambda signal, progress: signal}

    def forward(self, signal: Signal) -> Signal:
        x = signal.x
        source = torch.from_numpy(self.sources(signal.draws, *x.shape[2:])).to(x.device)
        moved = x.flatten(2).gather(2, source.expand(-1, x.shape[1], -1))
        return signal.replace(moved.reshape(x.shape))

    def sources(self, draws: Draws, height: int, width: int) -> NDArray[np.int64]:
        """Return which pixel each pixel's value comes from, (B, groups, H W), groups = C or 1."""
        y, x, up, left = np.moveaxis(draws.uniform("deflection", self.groups, self.deflections, 4), 3, 0)
        y, x = (y * height).astype(np.int64), (x * width).astype(np.int64)
        replaced = y * width + x
        neighbours = _near(y, up, height, self.window) * width + _near(x, left, width, self.window)
        source = np.broadcast_to(np.arange(height * width), (len(draws), self.groups, height * width)).copy()
        for k in range(self.deflections):
            taken = np.take_along_axis(source, neighbours[..., k : k + 1], 2)
            np.put_along_axis(source, replaced[..., k : k + 1], taken, 2)
        return source


def _near(place: NDArray[np.int64], share: NDArray[np.float64], side: int, window: int) -> NDArray[np.int64]:
    """Return places in [place - window, place + window] and in the image, uniform for a uniform ``share``."""
    first, last = np.maximum(place - window, 0), np.minimum(place + window, side - 1)
    offset: NDArray[np.int64] = (share * (last - first + 1)).astype(np.int64)
    return first + offset


class PixelDeflection:
    """The image over the wire as it is; deflection, denoising and the unchanged classifier on the server.

    Parameters
    ----------
    ratio : deflections as a share of the pixels
    window : how far a neighbour may be
    per_channel : deflect values of single channels; else whole pixels
    denoise : whether the wavelet step follows
    sigma_zeros : "skip" or "keep" exact zeros in its noise estimate; "auto" keeps them for one channel
    """

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        window: int = 8,
        per_channel: bool = True,
        denoise: bool = True,
        sigma_zeros: str = "auto",
    ) -> None:
        self.ratio, self.window, self.per_channel = ratio, window, per_channel
        self.denoise, self.sigma_zeros = denoise, sigma_zeros

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        """Return the deployment; nothing of it is learned.

        Raises
        ------
        UsageError : a ratio that deflects nothing on images of ``shape``
        """
        count = deflections(self.ratio, shape)
        stages: list[Stage] = [Deflection(shape, deflections=count, window=self.window, per_channel=self.per_channel)]
        if self.denoise:
            skip_zeros = shape[0] != 1 if self.sigma_zeros == "auto" else self.sigma_zeros == "skip"
            stages.append(WaveletDenoise(shape, skip_zeros=skip_zeros))
        return Deployment.chain(Capture(), *stages, Classify(network))
