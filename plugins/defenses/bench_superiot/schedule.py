"""Settings of the recovery, and the windows' cosine transform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

GRADIENTS: Final = ("textbook", "release", "notebook", "subgradient")


@dataclass(frozen=True)
class Schedule:
    """How the l1 norm of a window's DCT is brought down.

    Attributes
    ----------
    gradient : "textbook" is the central difference, each pixel perturbed alone; "release" and "notebook" are what the
        authors' two code files compute; "subgradient" is textbook's limit
    delta0, mu0 : first perturbation and first step, pixels in [0, 1]
    gamma : both are divided by 10 when an image's mean squared step falls below gamma times its largest so far
    eps : the image is finished when that happens with a mean squared step below eps
    max_iters : at most so many iterations
    """

    gradient: str = "textbook"
    delta0: float = 0.03
    mu0: float = 0.02
    gamma: float = 0.01
    eps: float = 1e-5
    max_iters: int = 100

    @property
    def form(self) -> int:
        """Position of ``gradient`` in ``GRADIENTS``: compiled code knows numbers only."""
        return GRADIENTS.index(self.gradient)


def cosine_matrix(size: int) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II of a window, (n, n): frequencies by row-major pixels.

    Equals ``scipy.fft.dctn(norm="ortho")`` on the window as a square.
    """
    i = np.arange(size)
    one = np.sqrt(2 / size) * np.cos(np.pi * (2 * i[None, :] + 1) * i[:, None] / (2 * size))
    one[0] = np.sqrt(1 / size)
    return np.kron(one, one)
