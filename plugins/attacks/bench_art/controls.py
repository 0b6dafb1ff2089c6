"""Controls: attacks that must not work."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.attack import AttackResult, Batch, Surface, Threat
from bench.attack.ball import uniform_in_ball


class Null:
    """Returns its input."""

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        return AttackResult(batch.x.clone())


class Noise:
    """One uniform draw from the ball, cut by the box; asks the deployment nothing."""

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        noise = uniform_in_ball(batch.draws.spawn("noise"), tuple(batch.x.shape[1:]), threat.norm, threat.epsilon)
        return AttackResult((batch.x.double() + torch.from_numpy(noise)).clamp(0.0, 1.0).to(batch.x.dtype))


class JpegShift:
    """Returns what a JPEG file keeps of the image, as far as the ball allows: a shift that nobody chose to do harm.

    Parameters
    ----------
    quality : of Pillow's codec; colours are subsampled as it does by default
    """

    def __init__(self, *, quality: int = 75) -> None:
        self.quality = quality

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        kept = torch.stack([self._through_a_file(image) for image in batch.x])
        shift = _shrunk((kept - batch.x).double(), threat)
        return AttackResult((batch.x.double() + shift).clamp(0.0, 1.0).to(batch.x.dtype))

    def _through_a_file(self, image: Tensor) -> Tensor:
        """Return an image, (C, H, W), C = 1 or 3; of other numbers of channels each by itself."""
        if image.shape[0] not in (1, 3):
            return torch.cat([self._through_a_file(channel[None]) for channel in image])
        values = (image * 255.0).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        file = io.BytesIO()
        Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).save(file, "JPEG", quality=self.quality)
        read = np.asarray(Image.open(file), dtype=np.float32).reshape(values.shape) / 255.0
        return torch.from_numpy(read).permute(2, 0, 1)


def _shrunk(shift: Tensor, threat: Threat) -> Tensor:
    """Return shifts, float64, (B, C, H, W), cut or shortened to the ball: Linf value by value, L0 to the largest."""
    if threat.norm == "linf":
        return shift.clamp(-threat.epsilon, threat.epsilon)
    flat = shift.flatten(1)
    if threat.norm == "l0":
        rank = flat.abs().argsort(dim=1, descending=True, stable=True).argsort(1)
        return flat.masked_fill(rank >= int(threat.epsilon), 0.0).reshape(shift.shape)
    lengths: Tensor = torch.linalg.vector_norm(flat, ord=2 if threat.norm == "l2" else 1, dim=1)
    share = (threat.epsilon / lengths.clamp(min=1e-12)).clamp(max=1.0)
    return shift * share[:, None, None, None]
