"""Keep ART's side effects inside a call: random state, working directory, unseeded generators."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.attack.ball import uniform_in_ball
from bench.deployment import Draws
from bench.plugins.entries import Norm


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the three global generators that ART draws from; put them back afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


@contextlib.contextmanager
def scratch_directory() -> Iterator[None]:
    """Work in an empty directory: some attacks write caches there, and would read anyone's file of that name."""
    with tempfile.TemporaryDirectory(prefix="bench-art-") as folder, contextlib.chdir(folder):
        yield


@contextlib.contextmanager
def replaced(owner: ModuleType, name: str, value: object) -> Iterator[None]:
    """Give a module another object under a name for a while."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


class _SeededNumpy:
    """NumPy as one module of ART sees it: ``np.random.RandomState()`` is seeded from the global generator."""

    def __init__(self) -> None:
        members = {name: getattr(np.random, name) for name in dir(np.random) if not name.startswith("__")}
        members["RandomState"] = _random_state
        self.random = SimpleNamespace(**members)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def _random_state(seed: int | None = None) -> np.random.RandomState:
    return np.random.RandomState(int(np.random.randint(2**31 - 1)) if seed is None else seed)


@contextlib.contextmanager
def seeded_starts() -> Iterator[None]:
    """Seed the starting points of HopSkipJump and Boundary, which ART 1.20.1 draws from a fresh, unseeded generator."""
    from art.attacks.evasion import boundary, hop_skip_jump

    numpy = _SeededNumpy()
    with replaced(boundary, "np", numpy), replaced(hop_skip_jump, "np", numpy):
        yield


class Starts:
    """Stands in for ``art.utils.random_sphere``: the same distributions, drawn from one stream an image.

    Parameters
    ----------
    draws : of the images in the order in which ART gets them; call number k takes their k-th starts
    """

    def __init__(self, draws: Draws) -> None:
        self._draws, self._calls = draws, 0

    def __call__(self, nb_points: int, nb_dims: int, radius: float, norm: float | str) -> NDArray[np.float64]:
        self._calls += 1
        kind: Norm = "l2" if norm == 2 else "linf"
        return uniform_in_ball(self._draws[:nb_points].spawn(f"start {self._calls}"), (nb_dims,), kind, radius)


@contextlib.contextmanager
def own_starts(draws: Draws) -> Iterator[None]:
    """Draw the random starts of PGD and APGD per image, whatever the batch."""
    from art.attacks.evasion import auto_projected_gradient_descent as auto
    from art.attacks.evasion.projected_gradient_descent import projected_gradient_descent_pytorch as plain

    starts = Starts(draws)
    with replaced(auto, "random_sphere", starts), replaced(plain, "random_sphere", starts):
        yield
