"""One step of a deployed pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.deployment.signal import Signal
from bench.errors import ContractViolation

Placement = Literal["device", "server", "tee"]
Surrogate = Callable[["Signal", float], "Signal"]


class Stage(nn.Module):
    """A step of the pipeline; the common case writes only ``transform``.

    Attributes
    ----------
    placement : where the stage runs
    randomised : its output depends on the signal's draws
    differentiable : autograd through ``forward`` is its true derivative almost everywhere
    surrogates : name -> function(signal, progress in [0, 1]) with a useful derivative (BPDA); see
        ``bench.attack.surrogate.straight_through`` for which is used
    macs_declared : multiply-accumulates an image that a FLOP counter cannot see; None where it can
    wire_formats : names of ways to code what leaves the stage; the first is the default of ``encode``
    facts : what a reader of the report should know of the stage as it is deployed, name -> number or text

    Notes
    -----
    A stage holds no state that a call changes. What it declares is measured, never believed.
    """

    placement: Placement = "server"
    randomised: bool = False
    differentiable: bool = True
    macs_declared: int | None = None
    wire_formats: tuple[str, ...] = ("raw",)

    @property
    def facts(self) -> Mapping[str, object]:
        """What a parameter became, such as a rounded share."""
        return {}

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """Stand-ins whose derivative is used in place of this stage's own."""
        return {}

    def transform(self, x: Tensor) -> Tensor:
        """Return what becomes of ``x``, float32, (B, C, H, W): the one method that most defenses write."""
        raise NotImplementedError(f"{type(self).__name__} defines neither transform nor forward")

    def forward(self, signal: Signal) -> Signal:
        """Return the signal after this stage."""
        return signal.replace(self.transform(signal.x))

    def cross(self, signal: Signal) -> Signal:
        """Return what arrives when the signal leaves this stage's placement, as tensors, with a usable gradient.

        Notes
        -----
        Equals ``decode(encode(signal))`` to the bit. The default border is 8 bit a value; its rounding is
        straight-through. Side tensors pass only where the stage has a ``decode`` of its own, which finds them.
        """
        rounded = torch.round(signal.x.detach().clamp(0, 1) * 255.0) / 255.0
        passed = signal.side if type(self).decode is not Stage.decode else {}
        return Signal(signal.x + (rounded - signal.x).detach(), signal.draws, passed)

    def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
        """Return the bytes of each image that leave this placement, header included.

        Parameters
        ----------
        wire_format : one of ``wire_formats``
        """
        values = torch.round(signal.x.detach().clamp(0, 1) * 255.0).to(torch.uint8).cpu().numpy()
        return [value.tobytes() for value in values]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str = "raw") -> Signal:
        """Return the signal on the other side, from nothing but the bytes.

        Parameters
        ----------
        like : gives what both sides know beforehand: the shape of x without its batch, its device and draws; never
            its values
        """
        shape = like.x.shape[1:]
        values = np.stack([np.frombuffer(payload, dtype=np.uint8).reshape(shape) for payload in payloads])
        x = torch.from_numpy(values.astype(np.float32) / np.float32(255.0)).to(like.x.device)
        return Signal(x, like.draws)


class Capture(Stage):
    """The sensor: gives the image as it is; what follows on another placement gets it over the 8-bit border."""

    placement: Placement = "device"
    macs_declared = 0

    def transform(self, x: Tensor) -> Tensor:
        return x


class Classify(Stage):
    """A classifier as the last stage: x in [0, 1] to logits, (B, K), of the precision of x, whatever it computes in."""

    def __init__(self, network: nn.Module, placement: Placement = "server") -> None:
        super().__init__()
        self.network = network
        self.placement = placement

    def transform(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        if not isinstance(logits, Tensor):
            raise ContractViolation(
                f"The network {type(self.network).__name__} gives {type(logits).__name__}; expected logits alone, a "
                "tensor (B, K). Wrap it in a module that returns them."
            )
        return logits.to(x.dtype)
