"""The server's first part: fill in the dropped pixels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.deployment import Signal, Stage, Surrogate
from bench_superiot import batched, compiled
from bench_superiot.schedule import Schedule
from bench_superiot.windows import Windows


class SparseRecovery(Stage):
    """Give the pixels that the side tensor ``mask`` marks the values that make each window's DCT sparse.

    Runs compiled on a processor in float32, as tensor operations in float64 and on accelerators.

    Notes
    -----
    Minimises the l1 norm of the 2-D orthonormal DCT-II of every window and channel over the dropped pixels (Stanković
    and Daković, "On a Gradient-Based Algorithm for Sparse Signal Reconstruction in the Signal/Measurements Domain",
    Mathematical Problems in Engineering 2016, 6212674; repository Stanislas0/SUPER-IOT). At most
    2 K n N C max_iters + 2 C N size^3 multiply-accumulates an image of N windows of n pixels, K dropped.
    """

    # The true derivative exists almost everywhere but is shattered: it is that of clipped steps whose slopes grow a
    # thousandfold as the perturbation shrinks. The stage itself passes gradients of kept pixels and holds recovered
    # ones constant, which is not its derivative; attackers take the surrogates.
    differentiable = False

    def __init__(self, windows: Windows, schedule: Schedule) -> None:
        super().__init__()
        self.windows, self.schedule = windows, schedule
        w = windows
        per_iteration = 2 * w.dropped * w.pixels * w.count * w.channels
        first = 2 * w.channels * w.count * w.size**3
        self.macs_declared = schedule.max_iters * per_iteration + first if w.dropped else 0

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """``linear`` inpaints by least squares in closed form; ``unrolled`` takes 30 wide textbook steps."""
        return {
            "linear": lambda signal, progress: signal.replace(
                batched.inpaint(signal.x, signal.side["mask"], self.windows)
            ),
            "unrolled": lambda signal, progress: signal.replace(
                batched.unrolled(signal.x, signal.side["mask"], self.windows)
            ),
        }

    def forward(self, signal: Signal) -> Signal:
        x, mask = signal.x, signal.side["mask"]
        return signal.replace(torch.where(mask[:, None], self.recover(x.detach(), mask), x))

    def recover(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the recovered images, without derivative.

        Parameters
        ----------
        x : (B, C, H, W), in [0, 1]
        mask : bool, (B, H, W)
        """
        if x.device.type == "cpu" and x.dtype == torch.float32:
            return torch.from_numpy(compiled.recover(x.numpy(), mask.numpy(), self.windows, self.schedule)[0])
        return batched.recover(x, mask, self.windows, self.schedule)[0]
