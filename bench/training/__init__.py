"""Training of classifiers; ``Recipe`` comes without torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.training.recipe import Recipe

if TYPE_CHECKING:
    from bench.training.architecture import Architecture
    from bench.training.evaluation import accuracy
    from bench.training.loop import Loss, Progress, train

__all__ = ["Architecture", "Loss", "Progress", "Recipe", "accuracy", "train"]


def __getattr__(name: str) -> Any:
    # Written out, since the names of modules are what the digest of code follows.
    if name == "Architecture":
        return import_module("bench.training.architecture").Architecture
    if name == "accuracy":
        return import_module("bench.training.evaluation").accuracy
    if name in ("Loss", "Progress", "train"):
        return getattr(import_module("bench.training.loop"), name)
    raise AttributeError(f"module 'bench.training' has no attribute {name!r}")
