"""Training of classifiers; ``Recipe`` comes without torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.training.recipe import Recipe

if TYPE_CHECKING:
    from bench.training.architecture import Architecture
    from bench.training.loop import train

__all__ = ["Architecture", "Recipe", "train"]


def __getattr__(name: str) -> Any:
    if name == "Architecture":
        return import_module("bench.training.architecture").Architecture
    if name == "train":
        return import_module("bench.training.loop").train
    raise AttributeError(f"module 'bench.training' has no attribute {name!r}")
