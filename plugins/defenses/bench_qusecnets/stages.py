"""The quantiser as a stage of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.deployment import Placement, Signal, Stage, Surrogate, with_slope
from bench_qusecnets import wire
from bench_qusecnets.quantiser import codes, soft_values, values

# Hardness of the stand-ins an attacker gets: ours. Steeper ones are dead where it counts: at 6/h from a threshold
# the derivative is 1 % of its peak.
_SURROGATE_HARDNESS = (4.0, 10.0, 25.0)
_ANNEALED = (4.0, 100.0)


class _Thresholded(Stage):
    """What both forms share: thresholds, levels, and soft stand-ins for the backward pass."""

    thresholds: Tensor

    def __init__(self, thresholds: Tensor, levels: int) -> None:
        super().__init__()
        self.register_buffer("thresholds", thresholds.detach().clone())
        self.levels = levels

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """Soft quantisers of constant hardness, and one whose hardness grows while the attack goes on."""

        def annealed(signal: Signal, progress: float) -> Signal:
            start, end = _ANNEALED
            return self._soften(signal, progress, hardness=start * (end / start) ** progress)

        constant = {f"soft-{h:g}": partial(self._soften, hardness=h) for h in _SURROGATE_HARDNESS}
        return {**constant, "annealed": annealed}

    def _soften(self, signal: Signal, progress: float, hardness: float) -> Signal:
        return signal.replace(soft_values(signal.x, self.thresholds, hardness, self.levels))


class Quantise(_Thresholded):
    """The hard quantiser on the device: x = code/(levels - 1); only codes leave it.

    Parameters
    ----------
    thresholds : float32, (levels - 1,) or (C, levels - 1), ascending
    coding : the default of ``encode``, one of ``wire.CODINGS``

    Notes
    -----
    On an 8-bit sensor it is a table of 256 bytes: one look-up a value, no multiplication.
    """

    placement: Placement = "device"
    differentiable = False
    macs_declared = 0

    def __init__(self, thresholds: Tensor, levels: int, coding: str = "packed") -> None:
        super().__init__(thresholds, levels)
        self.wire_formats = (coding, *(other for other in wire.CODINGS if other != coding))

    def transform(self, x: Tensor) -> Tensor:
        quantised = values(codes(x, self.thresholds), self.levels)
        return with_slope(quantised, x, 0.0)

    def cross(self, signal: Signal) -> Signal:
        """Return what the server unpacks: exact values, whatever a surrogate's arithmetic left of them."""
        return signal.replace(with_slope(values(self._codes(signal.x), self.levels), signal.x, 1.0))

    def encode(self, signal: Signal, wire_format: str | None = None) -> list[bytes]:
        """Return the codes of each image as bytes."""
        rows = self._codes(signal.x).to(torch.uint8).flatten(1).cpu().numpy()
        return [wire.encode(row, self.levels, wire_format or self.wire_formats[0]) for row in rows]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str | None = None) -> Signal:
        """Return code/(levels - 1) from nothing but the bytes."""
        shape = like.x.shape[1:]
        count, coding = int(np.prod(shape)), wire_format or self.wire_formats[0]
        rows = [wire.decode(payload, count, self.levels, coding).reshape(shape) for payload in payloads]
        return Signal(values(torch.from_numpy(np.stack(rows)).to(like.x.device), self.levels), like.draws)

    def _codes(self, x: Tensor) -> Tensor:
        return torch.round(x.detach().clamp(0, 1) * (self.levels - 1))


class SoftQuantise(_Thresholded):
    """The authors' layer, a sum of sigmoids in front of the classifier, on the server; the image travels as it is.

    Parameters
    ----------
    thresholds : float32, (N,) or (C, N); N = levels in the reference form
    """

    placement: Placement = "server"
    # One sigmoid a threshold and value: no multiply-accumulates in the sense of the other stages.
    macs_declared = 0

    def __init__(self, thresholds: Tensor, levels: int, hardness: float) -> None:
        super().__init__(thresholds, levels)
        self.hardness = hardness
        # Steeper than the stand-ins, the float32 derivative is near zero or zero on most pixels. Declared as none,
        # so that the attacker's identity is tried as well.
        self.differentiable = hardness <= max(_SURROGATE_HARDNESS)

    def transform(self, x: Tensor) -> Tensor:
        return soft_values(x, self.thresholds, self.hardness, self.levels)
