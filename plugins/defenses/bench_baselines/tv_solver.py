"""Total-variation minimisation with a fixed number of steps, and their derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor

from bench_baselines.tv_compiled import descend, pull_back

# Primal steps where all pixels are known, and where values must travel into unknown ones. Ours: of .1 to 16 those that
# came nearest to the minimum in 100 steps on CIFAR-10 images, weight .03.
STEP_KNOWN: Final = 0.2
STEP_UNKNOWN: Final = 1.0
_STEPS_PRODUCT: Final = 1 / 8  # of primal and dual step: the largest for which the steps converge


@dataclass(frozen=True)
class Problem:
    """How images are denoised: z near the minimum of sum(known (z - x)^2) / 2 + weight TV(z).

    Attributes
    ----------
    weight : of the total variation
    iterations : steps, always as many
    tau : primal step, ``STEP_KNOWN`` or ``STEP_UNKNOWN``

    Notes
    -----
    TV(z) = sum over pixels of the length of the forward difference (z[i+1, j] - z[i, j], z[i, j+1] - z[i, j]), each
    channel on its own, zero beyond the border. With all pixels known this is what
    ``skimage.restoration.denoise_tv_chambolle`` minimises, with its ``weight``. The steps are the first-order
    primal-dual algorithm's (algorithm 1, theta = 1). An image's steps do not see the others.

    References
    ----------
    Rudin, Osher, Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60, 1992. Chambolle and
    Pock, "A First-Order Primal-Dual Algorithm for Convex Problems with Applications to Imaging", JMIV 40, 2011.
    """

    weight: float
    iterations: int
    tau: float

    @property
    def steps(self) -> tuple[float, int, float, float]:
        """Weight, iterations, primal and dual step."""
        return self.weight, self.iterations, self.tau, _STEPS_PRODUCT / self.tau


def minimise(x: Tensor, known: Tensor, problem: Problem) -> Tensor:
    """Return denoised images, (B, C, H, W), with the derivative of the steps taken.

    Parameters
    ----------
    x : float, (B, C, H, W), in [0, 1]
    known : bool, as ``x``; where it is False, x is never looked at
    """
    out: Tensor = _Minimised.apply(x, known, problem)  # type: ignore[no-untyped-call]
    return out


class _Minimised(torch.autograd.Function):
    """The values at once; the steps are repeated for the derivative only where one is asked for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, known: Tensor, problem: Problem) -> Tensor:
        ctx.save_for_backward(x, known)
        ctx.problem = problem
        reached = descend(_planes(x), _planes(known), *problem.steps)
        return torch.from_numpy(reached).to(x.device).reshape(x.shape).clamp(0.0, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, known = ctx.saved_tensors
        of_x = pull_back(_planes(grads[0]), _planes(x), _planes(known), *ctx.problem.steps)
        return torch.from_numpy(of_x).to(x.device).reshape(x.shape), None, None


def _planes(x: Tensor) -> NDArray[Any]:
    """Return every channel of every image, (B C, H, W)."""
    return x.detach().cpu().contiguous().numpy().reshape(-1, *x.shape[2:])
