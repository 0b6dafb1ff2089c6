"""What share of images a network classifies correctly."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


@torch.no_grad()
def accuracy(network: nn.Module, x: Tensor, y: Tensor, *, batch: int = 500) -> float:
    """Return the share of images that the network, which is set to evaluate, classifies correctly; NaN of none.

    Parameters
    ----------
    x : uint8, (N, C, H, W)
    y : int64, (N,)
    batch : images at once
    """
    network.eval()
    parts = zip(torch.split(x, batch), torch.split(y, batch), strict=True)
    right = sum(int((network(images.float() / 255.0).argmax(1) == labels).sum()) for images, labels in parts)
    return right / len(x) if len(x) else math.nan
