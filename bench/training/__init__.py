"""Training of classifiers; ``Recipe`` comes without torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.training.recipe import Recipe

if TYPE_CHECKING:
    from bench.training.architecture import Architecture
    from bench.training.loop import Loss, Progress, train

__all__ = ["Architecture", "Loss", "Progress", "Recipe", "train"]

_LAZY = {"Architecture": "architecture", "Loss": "loop", "Progress": "loop", "train": "loop"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"bench.training.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'bench.training' has no attribute {name!r}")
