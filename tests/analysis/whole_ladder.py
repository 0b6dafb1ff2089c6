"""Records of a defense whose ladder is whole, and its row of the leaderboard."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.analysis import leaderboard

N = 200
CORE = {"fgsm": "white-box", "pgd": "adaptive", "apgd-dlr": "adaptive", "square": "black-box"}


def ladder(made: Any, defense: str, right: np.ndarray, **kwargs: Any) -> list[dict[str, Any]]:
    """A clean record and a whole ladder in which every attack leaves the same images right."""
    records = [made.clean_record(defense, np.ones(len(right)), **kwargs)]
    return records + [made.attack_record(defense, a, right, knowledge=k, **kwargs) for a, k in CORE.items()]


def first(count: int, n: int = N) -> np.ndarray:
    return (np.arange(n) < count).astype(np.uint8)


def row(records: list[dict[str, Any]], defense: str = "none", setting: int = 0) -> dict[str, Any]:
    board = leaderboard(records)
    return dict(board[(board.defense == defense) & (board.setting == setting)].iloc[0])
