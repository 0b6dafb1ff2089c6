"""The device's part: drop pixels, send the rest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from bench.deployment import Placement, Signal, Stage, Surrogate
from bench_superiot.forms import refuse_form
from bench_superiot.windows import Windows
from bench_superiot.wire import Wire


class PixelDrop(Stage):
    """Set some pixels of every window to 0 in all channels; the side tensor ``mask``, bool, (B, H, W), marks them.

    The side tensor ``mask_seed``, int64, (B,), holds the bits of the seed that the device drew; it leaves the device
    only as bytes, and the server sees the mask alone.

    Parameters
    ----------
    wire_format : default form of ``encode``, one of ``forms.FORMS``
    regular : drop evenly spaced pixels, the same in every window, instead of random ones (ours)

    Raises
    ------
    UsageError : the images cannot be sent in that form
    """

    placement: Placement = "device"
    macs_declared = 0  # random draws and byte copies only

    def __init__(self, windows: Windows, *, wire_format: str = "seed", regular: bool = False) -> None:
        super().__init__()
        self.windows, self.wire = windows, Wire(windows, regular)
        refuse_form(wire_format, windows.room)
        self.wire_formats = (wire_format, *(form for form in self.wire.forms if form != wire_format))
        self.randomised = not regular and windows.dropped > 0
        fixed = windows.mask(windows.regular_positions())
        self.lattice: Tensor
        self.levels: Tensor
        self.register_buffer("lattice", torch.from_numpy(fixed), persistent=False)
        self.register_buffer("levels", torch.arange(256, dtype=torch.float32) / 255.0, persistent=False)

    @property
    def facts(self) -> Mapping[str, object]:
        """The share that whole pixels make of each window, and the window's side."""
        return {"effective_ratio": self.windows.effective_ratio, "window": self.windows.size}

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """``identity``: the pixels that this draw drops keep their gradient, for there are other draws."""
        return {"identity": lambda signal, progress: self(signal).replace(signal.x)}

    def forward(self, signal: Signal) -> Signal:
        if self.randomised:
            seeds = signal.draws.seeds("mask")
            masks = np.stack([self.wire.drawn(int(seed)) for seed in seeds])
            mask, seed = torch.from_numpy(masks).to(signal.x.device), torch.from_numpy(seeds.view(np.int64))
        else:
            mask = self.lattice.expand(len(signal.x), -1, -1)
            seed = torch.zeros(len(signal.x), dtype=torch.int64)
        return signal.replace(signal.x.masked_fill(mask[:, None], 0.0), mask=mask, mask_seed=seed)

    def cross(self, signal: Signal) -> Signal:
        x = signal.x
        bytes_ = _to_bytes(x.detach())
        # A table, since dividing by 255 on an accelerator may differ from NumPy's division in the last bit.
        rounded = self.levels.to(x.device)[bytes_.long()]
        arrived = x + (rounded - x).detach() if torch.is_grad_enabled() and x.requires_grad else rounded
        return Signal(arrived, signal.draws, {"mask": signal.side["mask"]})

    def encode(self, signal: Signal, wire_format: str | None = None) -> list[bytes]:
        values = _to_bytes(signal.x.detach()).cpu().numpy()
        masks = signal.side["mask"].cpu().numpy()
        seeds = signal.side["mask_seed"].cpu().numpy().view(np.uint64)
        form = wire_format or self.wire_formats[0]
        return [self.wire.encode(v, m, int(s), form) for v, m, s in zip(values, masks, seeds, strict=True)]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str | None = None) -> Signal:
        form = wire_format or self.wire_formats[0]
        both = [self.wire.decode(payload, form) for payload in payloads]
        values = np.stack([value for value, _ in both]).astype(np.float32) / np.float32(255.0)
        mask = torch.from_numpy(np.stack([mask for _, mask in both]))
        return Signal(torch.from_numpy(values).to(like.x.device), like.draws, {"mask": mask.to(like.x.device)})


def _to_bytes(x: Tensor) -> Tensor:
    return torch.round(x.clamp(0, 1) * 255.0).to(torch.uint8)
