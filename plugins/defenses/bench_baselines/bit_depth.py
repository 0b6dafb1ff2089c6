"""Bit-depth reduction: fewer grey levels, which the device sends in as many bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bench.deployment import Classify, Deployment, FitResult, Placement, Signal, Stage, Surrogate, with_slope
from bench.deployment.packing import pack, unpack
from bench_baselines.rounding import annealed_hardness, soft_round


class BitDepth(Stage):
    """Round every value to one of 2^bits evenly spaced ones: round(x (2^bits - 1)) / (2^bits - 1).

    On an 8-bit sensor a table of 256 bytes: one look-up a value, no multiplication.

    References
    ----------
    Xu, Evans, Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks", NDSS 2018.
    """

    placement: Placement = "device"
    differentiable = False
    macs_declared = 0

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits, self.steps = bits, 2**bits - 1

    @property
    def facts(self) -> Mapping[str, object]:
        """Levels of a value."""
        return {"levels": self.steps + 1}

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """``identity``, and the soft staircase, flat or sharpening while the attack goes on."""

        def soft(signal: Signal, hardness: float) -> Signal:
            return signal.replace(soft_round(signal.x * self.steps, hardness) / self.steps)

        return {
            "identity": lambda signal, progress: signal,
            "soft": lambda signal, progress: soft(signal, annealed_hardness(0.0)),
            "annealed": lambda signal, progress: soft(signal, annealed_hardness(progress)),
        }

    def transform(self, x: Tensor) -> Tensor:
        return with_slope(self._values(self._codes(x)), x, 0.0)

    def cross(self, signal: Signal) -> Signal:
        """Return what the server unpacks: exact values, whatever a surrogate's arithmetic left of them."""
        return signal.replace(with_slope(self._values(self._codes(signal.x)), signal.x, 1.0))

    def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
        """Return the codes of each image, ``bits`` bits each, in the order C, H, W."""
        rows = self._codes(signal.x).to(torch.uint8).flatten(1).cpu().numpy()
        return [pack(row, self.bits) for row in rows]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str = "raw") -> Signal:
        shape = like.x.shape[1:]
        rows = np.stack([unpack(payload, shape.numel(), self.bits) for payload in payloads])
        codes = torch.from_numpy(rows).reshape(-1, *shape).to(like.x.device)
        return Signal(self._values(codes), like.draws)

    def _codes(self, x: Tensor) -> Tensor:
        return torch.round(x.detach().clamp(0, 1) * self.steps)

    def _values(self, codes: Tensor) -> Tensor:
        values: Tensor = codes.float() / self.steps
        return values


class BitDepthReduction:
    """Fewer grey levels from the device, the unchanged classifier on the server.

    Parameters
    ----------
    bits : of every value, 1 to 8; 8 changes nothing
    """

    def __init__(self, *, bits: int = 4) -> None:
        self.bits = bits

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        return Deployment.chain(BitDepth(self.bits), Classify(network))
