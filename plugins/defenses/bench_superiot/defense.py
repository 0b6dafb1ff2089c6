"""SUPER-IOT as it is deployed."""

from __future__ import annotations

from torch import nn

from bench.deployment import Classify, Deployment, FitResult, Stage
from bench_superiot.drop import PixelDrop
from bench_superiot.recovery import SparseRecovery
from bench_superiot.schedule import Schedule
from bench_superiot.windows import Windows
from bench_wavelet.denoise import WaveletDenoise


class SuperIoT:
    """Pixels dropped on the device; recovery, denoising and the unchanged classifier on the server.

    Parameters
    ----------
    ratio, ws : share of the pixels dropped in each window, and its side; 0 chooses a side
    gradient, delta0, mu0, gamma, eps, max_iters : of the recovery, as in ``schedule.Schedule``
    denoise : whether the recovered image is denoised
    sigma_zeros : "skip" or "keep" exact zeros in the noise estimate; "auto" keeps them for one channel
    pattern : "random", or "regular" for evenly spaced pixels
    wire : how the image is sent, one of ``forms.FORMS``
    """

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        ws: int = 0,
        gradient: str = "textbook",
        denoise: bool = True,
        sigma_zeros: str = "auto",
        delta0: float = 0.03,
        mu0: float = 0.02,
        gamma: float = 0.01,
        eps: float = 1e-5,
        max_iters: int = 100,
        pattern: str = "random",
        wire: str = "seed",
    ) -> None:
        self.ratio, self.ws = ratio, ws
        self.schedule = Schedule(gradient, delta0, mu0, gamma, eps, max_iters)
        self.denoise, self.sigma_zeros = denoise, sigma_zeros
        self.pattern, self.wire = pattern, wire

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        """Return the deployment; nothing of it is learned.

        Raises
        ------
        UsageError : parameters that do not fit images of ``shape``
        """
        windows = Windows.of(shape, self.ws, self.ratio)
        drop = PixelDrop(windows, wire_format=self.wire, regular=self.pattern == "regular")
        stages: list[Stage] = [drop, SparseRecovery(windows, self.schedule)]
        if self.denoise:
            skip_zeros = shape[0] != 1 if self.sigma_zeros == "auto" else self.sigma_zeros == "skip"
            stages.append(WaveletDenoise(shape, skip_zeros=skip_zeros))
        return Deployment.chain(*stages, Classify(network))
