"""A training procedure, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training procedure.

    Attributes
    ----------
    optimiser : "adam" or "sgd" (Nesterov momentum 0.9)
    rate : learning rate; the peak where ``one_cycle`` is set
    weight_decay : applied to every weight but batch-norm's
    smoothing : label smoothing
    flip, shift : random horizontal flips; random shifts by at most so many pixels
    small_epochs, small_side : the first epochs see the images scaled down to this side (0: none)
    average : decay of the running average of the weights that is kept in the end (0: none)
    """

    optimiser: str = "adam"
    rate: float = 1e-3
    epochs: int = 6
    batch: int = 128
    weight_decay: float = 0.0
    smoothing: float = 0.1
    one_cycle: bool = False
    flip: bool = False
    shift: int = 0
    small_epochs: int = 0
    small_side: int = 0
    average: float = 0.0
