"""What a defense plugin's factory returns, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from bench.data.pools import PoolName
from bench.deployment.deployment import Deployment
from bench.training.recipe import Recipe

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Pool:
    """Labelled images that a defense may learn from.

    Attributes
    ----------
    x : uint8, (N, C, H, W)
    y : int64, (N,)
    """

    x: Tensor
    y: Tensor


@dataclass(frozen=True, kw_only=True)
class FitContext:
    """What a defense may use while fitting; never the test set.

    Attributes
    ----------
    network : the trained undefended classifier, a copy that may be changed
    new_network : gives an untrained classifier of the same architecture, initialised from the training seed
    pools : "train", "development", "calibration"
    recipe : how the undefended classifier was trained
    shape : (C, H, W)
    seed : the training seed
    radius : of the data set's headline threat in Linf, in [0, 1]: what a defense may be trained to withstand
    scratch : folder for what an interrupted fit goes on from; None where nothing is kept
    """

    network: nn.Module
    new_network: Callable[[], nn.Module]
    pools: Mapping[PoolName, Pool]
    recipe: Recipe
    shape: tuple[int, int, int]
    classes: int
    seed: int
    radius: float = 8 / 255
    progress: Progress = lambda share, text: None
    scratch: Path | None = None

    def checkpoint(self, name: str) -> Path | None:
        """Return the file in which one part of the fitting keeps its state, for ``bench.training.train``."""
        return self.scratch / f"{name}.safetensors" if self.scratch else None

    def part(self, start: float, end: float) -> Progress:
        """Return the progress of one part of the fitting, which says how much of itself is done."""
        return lambda share, text: self.progress(start + (end - start) * share, text)


@dataclass(frozen=True)
class FitResult:
    """What a defense learned.

    Attributes
    ----------
    public : tensors that the store keeps in clear
    sealed : tensors that never reach the store, a log or a record in clear
    notes : figures for the report, such as learned thresholds
    """

    public: Mapping[str, Tensor] = field(default_factory=dict)
    sealed: Mapping[str, Tensor] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)


class Defense(Protocol):
    """An implementation; constructed with the entry's parameters as keyword arguments.

    A defense that learns nothing leaves ``fit`` out.
    """

    def fit(self, context: FitContext) -> FitResult:
        """Return what is learned from the pools."""
        ...

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        """Return the deployment around the trained classifier.

        Parameters
        ----------
        network : the trained undefended classifier; a defense that trained its own loads ``result.public`` into it
        """
        ...
