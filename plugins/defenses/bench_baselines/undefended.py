"""The undefended model."""

from __future__ import annotations

from torch import nn

from bench.deployment import Capture, Classify, Deployment, FitResult


class Undefended:
    """No defense: sensor on the device, 8-bit uplink, classifier on the server."""

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        return Deployment.chain(Capture(), Classify(network))
