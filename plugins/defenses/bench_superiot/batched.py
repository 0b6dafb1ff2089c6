"""The recovery as operations on whole batches of tensors: for accelerators, float64 and autograd.

All windows drop the same number of pixels, so everything is dense. ``compiled`` has the form for one processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from bench_superiot.schedule import Schedule, cosine_matrix
from bench_superiot.windows import Windows

_ELEMENTS: Final = 1_000_000  # of the largest temporary: what still fits a processor's cache


@dataclass(frozen=True)
class Dropped:
    """The dropped pixels of a batch, window by window.

    Attributes
    ----------
    values : (B, C, N, n), the windows with dropped pixels at 0
    index : int64, (B, N, K), sorted
    impulses : (B, 1, N, K, n), DCT of the unit impulse at each dropped pixel
    transform : (n, n), frequencies by pixels
    """

    values: Tensor
    index: Tensor
    impulses: Tensor
    transform: Tensor

    @classmethod
    def of(cls, x: Tensor, mask: Tensor, windows: Windows) -> Dropped:
        """Return the windows of images, (B, C, H, W), whose dropped pixels ``mask``, bool, (B, H, W), marks."""
        transform = torch.from_numpy(cosine_matrix(windows.size)).to(x)
        flags = split(mask[:, None], windows)[:, 0]
        index = torch.nonzero(flags)[:, 2].reshape(len(x), windows.count, windows.dropped)
        values = split(x, windows).masked_fill(flags[:, None], 0.0)
        return cls(values, index, transform.T[index][:, None], transform)

    def __getitem__(self, rows: Tensor) -> Dropped:
        return Dropped(self.values[rows], self.index[rows], self.impulses[rows], self.transform)


def split(x: Tensor, windows: Windows) -> Tensor:
    """Return the windows of images, (B, C, N, n), of (B, C, H, W)."""
    w = windows
    inner = x[..., : w.rows * w.size, : w.columns * w.size]
    parts = inner.reshape(*x.shape[:2], w.rows, w.size, w.columns, w.size).transpose(3, 4)
    return parts.reshape(*x.shape[:2], w.count, w.pixels)


def fill(x: Tensor, mask: Tensor, index: Tensor, filled: Tensor, windows: Windows) -> Tensor:
    """Return images with dropped pixels replaced, (B, C, H, W).

    Parameters
    ----------
    filled : (B, C, N, K), the values for ``index``, (B, N, K)
    """
    w = windows
    where = index[:, None].expand(-1, filled.shape[1], -1, -1)
    flat = torch.zeros(*filled.shape[:3], w.pixels, dtype=x.dtype, device=x.device).scatter(3, where, filled)
    parts = flat.reshape(*flat.shape[:2], w.rows, w.columns, w.size, w.size).transpose(3, 4)
    inner = parts.reshape(*flat.shape[:2], w.rows * w.size, w.columns * w.size)
    border = (0, w.width - inner.shape[-1], 0, w.height - inner.shape[-2])
    return torch.where(mask[:, None], torch.nn.functional.pad(inner, border), x)


def gradient(c: Tensor, filled: Tensor, dropped: Dropped, form: str, delta: Tensor) -> Tensor:
    """Return the variant's gradient at the dropped pixels, (B, C, N, K).

    Parameters
    ----------
    c : (B, C, N, n), DCT of the windows as they are now
    filled : (B, C, N, K), the dropped pixels as they are now
    delta : (B,), the perturbation
    """
    d = dropped.impulses
    delta = delta.view(-1, 1, 1, 1)
    if form == "subgradient":
        return (torch.sign(c)[..., None, :] * d).sum(-1)
    if form == "notebook":
        up = (filled + delta).clamp(max=1.0)
        down = (up - delta).clamp(min=0.0)
        above = c[..., None, :] + torch.cumsum((up - filled)[..., None] * d, 3)
        below = c[..., None, :] + torch.cumsum((down - filled)[..., None] * d, 3)
        return (above.abs().sum(-1) - below.abs().sum(-1)) / (2 * delta)
    atoms = torch.cumsum(d, 3) if form == "release" else d
    bound = delta[..., None] * atoms.abs()
    return (torch.clamp(c[..., None, :], -bound, bound) * torch.sign(atoms)).sum(-1) / delta


def recover(x: Tensor, mask: Tensor, windows: Windows, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Return images with their dropped pixels filled in, and the iterations that each took.

    Parameters
    ----------
    x : float32 or float64, (B, C, H, W), in [0, 1]
    mask : bool, (B, H, W), the dropped pixels

    Returns
    -------
    (B, C, H, W), kept pixels as they were; int64, (B,)
    """
    if windows.dropped == 0:
        return x.clone(), torch.zeros(len(x), dtype=torch.int64)
    outs, iterations = [], []
    with torch.no_grad():
        for start in range(0, len(x), images_at_once(windows)):
            part = slice(start, start + images_at_once(windows))
            dropped = Dropped.of(x[part], mask[part], windows)
            filled, count = _descend(dropped, windows, schedule)
            outs.append(fill(x[part], mask[part], dropped.index, filled, windows))
            iterations.append(count)
    return torch.cat(outs), torch.cat(iterations)


def images_at_once(windows: Windows) -> int:
    """Return how many images keep the largest temporary near ``_ELEMENTS``."""
    one = windows.channels * windows.count * windows.dropped * windows.pixels
    return max(1, _ELEMENTS // max(one, 1))


def _descend(dropped: Dropped, windows: Windows, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Return the recovered values, (B, C, N, K), and the iterations, (B,)."""
    values = windows.channels * windows.height * windows.width
    c = dropped.values @ dropped.transform.T
    result = c.new_zeros(*c.shape[:3], windows.dropped)
    iterations = torch.full((len(c),), schedule.max_iters, dtype=torch.int64)
    rows, filled = torch.arange(len(c), device=c.device), result.clone()
    delta, mu = c.new_full((len(c),), schedule.delta0), c.new_full((len(c),), schedule.mu0)
    largest = c.new_zeros(len(c))
    for count in range(1, schedule.max_iters + 1):
        slope = gradient(c, filled, dropped, schedule.gradient, delta)
        moved = (filled - mu.view(-1, 1, 1, 1) * slope).clamp(0.0, 1.0)
        step, filled = moved - filled, moved
        c = c + (step[..., None] * dropped.impulses).sum(3)
        mse = step.square().flatten(1).sum(1) / values
        grown = mse > largest
        shrunk = ~grown & (mse < schedule.gamma * largest)
        finished = shrunk & (mse < schedule.eps)
        delta, mu = torch.where(shrunk, delta / 10, delta), torch.where(shrunk, mu / 10, mu)
        largest = torch.where(grown | shrunk, mse, largest)
        if finished.any():
            result[rows[finished]] = filled[finished]
            iterations[rows[finished].cpu()] = count
            left = ~finished
            rows, filled, c, dropped = rows[left], filled[left], c[left], dropped[left]
            delta, mu, largest = delta[left], mu[left], largest[left]
            if not len(rows):
                break
    result[rows] = filled
    return result, iterations


def inpaint(x: Tensor, mask: Tensor, windows: Windows) -> Tensor:
    """Return images with dropped pixels at the minimum of the l2 norm of diag(lam) T x: linear in what is kept.

    lam(u, v) = sqrt(u^2 + v^2), lam(0, 0) = .05, hence x_D = -M_DD^-1 M_DK x_K with M = T^t diag(lam^2) T: one
    solution of K equations a window. Differentiable; ours.
    """
    if windows.dropped == 0:
        return x
    dropped = Dropped.of(x, mask, windows)
    u = torch.arange(windows.size, dtype=torch.float64)
    squares = (u[:, None].square() + u[None].square()).flatten()
    squares[0] = 0.05**2
    transform = torch.from_numpy(cosine_matrix(windows.size))
    energy = (transform.T @ (squares[:, None] * transform)).to(x)
    index = dropped.index
    system = energy[index[..., :, None], index[..., None, :]]  # (B, N, K, K)
    pull = (dropped.values @ energy).gather(3, index[:, None].expand(-1, x.shape[1], -1, -1))
    filled = -torch.linalg.solve(system, pull.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return fill(x, mask, index, filled, windows)


def unrolled(x: Tensor, mask: Tensor, windows: Windows, *, iterations: int = 30) -> Tensor:
    """Return images after a few smooth, wide steps of the textbook recovery, with autograd through them.

    The perturbation stays at .3, the step at .03, and nothing is clipped: with the true schedule the slope of the
    saturation grows as the perturbation shrinks, and the derivative explodes. Ours.
    """
    if windows.dropped == 0:
        return x
    chunk = images_at_once(windows)
    return torch.cat(
        [_unrolled(x[i : i + chunk], mask[i : i + chunk], windows, iterations) for i in range(0, len(x), chunk)]
    )


def _unrolled(x: Tensor, mask: Tensor, windows: Windows, iterations: int) -> Tensor:
    dropped = Dropped.of(x, mask, windows)
    start = dropped.values @ dropped.transform.T
    filled = start.new_zeros(*start.shape[:3], windows.dropped)
    delta = start.new_full((len(x),), 0.3)

    def iterate(start: Tensor, filled: Tensor) -> Tensor:
        c = start + (filled[..., None] * dropped.impulses).sum(3)
        return filled - 0.03 * gradient(c, filled, dropped, "textbook", delta)

    for _ in range(iterations):
        # Recomputed in the backward pass: the temporaries of all iterations together would fill the memory.
        filled = checkpoint(iterate, start, filled, use_reentrant=False) if x.requires_grad else iterate(start, filled)
    return fill(x, mask, dropped.index, filled, windows)
