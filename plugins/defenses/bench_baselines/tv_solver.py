"""Total-variation minimisation over whole batches, with a fixed number of steps and their derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

# Primal steps where all pixels are known, and where values must travel into unknown ones. Ours: of .1 to 16 those that
# came nearest to the minimum in 100 steps on CIFAR-10 images, weight .03.
STEP_KNOWN: Final = 0.2
STEP_UNKNOWN: Final = 1.0
_STEPS_PRODUCT: Final = 1 / 8  # of primal and dual step: the largest for which the steps converge
_KEPT_VALUES: Final = 20_000_000  # of all steps, held at once for the derivative: 80 MB


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
    def sigma(self) -> float:
        """The dual step."""
        return _STEPS_PRODUCT / self.tau


def minimise(x: Tensor, known: Tensor, problem: Problem) -> Tensor:
    """Return denoised images, (B, C, H, W), with the derivative of the steps taken.

    Parameters
    ----------
    x : float, (B, C, H, W), in [0, 1]
    known : bool, as ``x``; where it is False, x is never looked at
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _descended(x, known, problem).clamp(0.0, 1.0)
    out: Tensor = _Minimised.apply(x, known, problem)  # type: ignore[no-untyped-call]
    return out


@torch.no_grad()
def _descended(x: Tensor, known: Tensor, problem: Problem, kept: list[tuple[Tensor, ...]] | None = None) -> Tensor:
    """Return z after all steps; ``kept`` takes the dual variables of each, and by how much they were shortened."""
    x, known = _batch_last(x), _batch_last(known)
    tau, sigma = problem.tau, problem.sigma
    gain, z = _gain(known, x, tau), x.masked_fill(~known, 0.0)
    pull = tau * gain * z
    ahead, new, size = z.clone(), z.clone(), torch.empty_like(z)
    down, right = torch.zeros_like(z), torch.zeros_like(z)
    for _ in range(problem.iterations):
        _add_difference(down, right, ahead, sigma)
        torch.mul(down, down, out=size)
        size.addcmul_(right, right).div_(problem.weight**2).clamp_(min=1.0).rsqrt_()
        down.mul_(size)
        right.mul_(size)
        if kept is not None:
            kept.append((down.clone(), right.clone(), size.clone()))
        new.copy_(z)
        _add_divergence(new, down, right, tau)
        new.mul_(gain).add_(pull)
        torch.sub(new, z, out=ahead)
        ahead.add_(new)
        z, new = new, z
    return _batch_first(z)


@torch.no_grad()
def _pulled_back(gradient: Tensor, x: Tensor, known: Tensor, problem: Problem) -> Tensor:
    """Return the derivative with respect to ``x``, (B, C, H, W), given that with respect to z: the steps backwards."""
    kept: list[tuple[Tensor, ...]] = []
    reached = _descended(x, known, problem, kept)
    of_z = _batch_last(gradient * ((reached >= 0) & (reached <= 1)))
    known = _batch_last(known)
    tau, sigma, gain = problem.tau, problem.sigma, _gain(known, of_z, problem.tau)
    of_ahead, of_down, of_right = torch.zeros_like(of_z), torch.zeros_like(of_z), torch.zeros_like(of_z)
    of_pull = torch.zeros_like(of_z)
    while kept:
        down, right, size = kept.pop()
        of_new = of_z.add_(of_ahead, alpha=2.0)
        of_pull += of_new
        of_new.mul_(gain)
        # The divergence is the negative adjoint of the difference, and the other way round.
        _add_difference(of_down, of_right, of_new, -tau)
        # Where a pair was shortened to the weight's length, only what is at right angles to it moves on, shortened too.
        along = (of_down * down).addcmul_(of_right, right).div_(-(problem.weight**2)).masked_fill_(size == 1, 0.0)
        of_down.addcmul_(along, down).mul_(size)
        of_right.addcmul_(along, right).mul_(size)
        of_z = of_new.sub_(of_ahead)
        of_ahead.zero_()
        _add_divergence(of_ahead, of_down, of_right, -sigma)
    return _batch_first((of_z + of_ahead + tau * gain * of_pull).masked_fill(~known, 0.0))


class _Minimised(torch.autograd.Function):
    """The values at once; the steps are repeated for the derivative only where one is asked for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, known: Tensor, problem: Problem) -> Tensor:
        ctx.save_for_backward(x, known)
        ctx.problem = problem
        return _descended(x, known, problem).clamp(0.0, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, known = ctx.saved_tensors
        at_once = max(1, _KEPT_VALUES // (3 * ctx.problem.iterations * x[0].numel()))
        parts = [slice(start, start + at_once) for start in range(0, len(x), at_once)]
        return torch.cat([_pulled_back(grads[0][p], x[p], known[p], ctx.problem) for p in parts]), None, None


def _gain(known: Tensor, like: Tensor, tau: float) -> Tensor:
    """Return by what the data term's proximal map multiplies."""
    return 1.0 / (1.0 + tau * known.to(like.dtype))


def _add_difference(down: Tensor, right: Tensor, z: Tensor, step: float) -> None:
    """Add the forward differences of z, (H, W, C, B), to their places; the last row and column have none."""
    down[:-1].add_(z[1:], alpha=step).sub_(z[:-1], alpha=step)
    right[:, :-1].add_(z[:, 1:], alpha=step).sub_(z[:, :-1], alpha=step)


def _add_divergence(z: Tensor, down: Tensor, right: Tensor, step: float) -> None:
    """Add the divergence of a pair that is zero in its last row and column, respectively."""
    z[:-1].add_(down[:-1], alpha=step)
    z[1:].sub_(down[:-1], alpha=step)
    z[:, :-1].add_(right[:, :-1], alpha=step)
    z[:, 1:].sub_(right[:, :-1], alpha=step)


def _batch_last(x: Tensor) -> Tensor:
    """Return (H, W, C, B): neighbours are whole blocks of memory, and twice as fast to compare."""
    return x.permute(2, 3, 1, 0).contiguous()


def _batch_first(x: Tensor) -> Tensor:
    return x.permute(3, 2, 0, 1).contiguous()
