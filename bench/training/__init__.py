"""Training of classifiers."""

from bench.training.architecture import Architecture
from bench.training.loop import train
from bench.training.recipe import Recipe

__all__ = ["Architecture", "Recipe", "train"]
