"""A median filter on the device, the classifier on the server."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.deployment import Classify, Deployment, FitResult, Stage


class MedianFilter(Stage):
    """Each pixel becomes the median of the size x size pixels around it; edges are repeated."""

    placement = "device"
    macs_declared = 0  # comparisons only

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def transform(self, x: Tensor) -> Tensor:
        """Return the filtered images, float32, (B, C, H, W), in [0, 1]."""
        height, width = x.shape[2:]
        around = F.pad(x, (self.size // 2,) * 4, mode="replicate")
        shifts = [around[:, :, i : i + height, j : j + width] for i in range(self.size) for j in range(self.size)]
        return torch.stack(shifts).sort(0).values[len(shifts) // 2]


class Median:
    """The image is filtered before it leaves the device."""

    def __init__(self, size: int) -> None:
        self.size = size

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        """Return the deployment around the trained classifier."""
        return Deployment.chain(MedianFilter(self.size), Classify(network))
