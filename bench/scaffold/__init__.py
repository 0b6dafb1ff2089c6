"""Writes complete plugin packages to start from."""

from bench.scaffold.defense import new_defense

__all__ = ["new_defense"]
