"""What the user asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final, Literal

from bench.errors import UsageError
from bench.plugins.entries import BudgetName

KNOWLEDGE = ("oblivious", "black-box", "white-box", "adaptive")
POOLS = ("test", "development")
PRECISIONS = ("auto", "fp32", "bf16")
NORMS = ("linf", "l2", "l1", "l0")
AUTO: Final = "auto"  # of draws: as many as a deployment's noise asks for
Averaged = int | Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class RunSpecification:
    """One comparison.

    Attributes
    ----------
    defenses, attacks, datasets, models, hardware : selections in the grammar of ``bench.plugins.selection``;
        ``models`` empty takes each data set's default
    norms, knowledge : what is kept of the threats and of the knowledge levels; empty for all
    epsilons : radii in [0, 1]; empty takes the headline radius of each threat, ("all",) every one it lists
    pool : which images are attacked, one of ``POOLS``: parameters are chosen on "development", never on "test"
    samples : images; 0 takes 64 under ``quick``, 1000 under ``standard``
    uncapped : slow attacks are tried on all of them too, not on as many at most as their settings say
    seeds : attack seeds
    eot : draws that an adaptive attacker averages a query, where something is random; "auto" takes for each deployment
        what ``bench.attack.noise`` finds, 0 takes 2 under ``quick``, 16 under ``standard``
    precision : of attackers' gradients, one of ``PRECISIONS``; "auto" is bfloat16 where the processor multiplies in it
    split_seed, training_seed : which training pools, and which initialisation and order
    weights : the user's own weights for the one model selected
    """

    defenses: str = "all"
    attacks: str = "all"
    datasets: str = "digits"
    models: str = ""
    hardware: str = "cpu"
    norms: tuple[str, ...] = ()
    knowledge: tuple[str, ...] = ()
    epsilons: tuple[float | str, ...] = ()
    budget: BudgetName = "quick"
    pool: str = "test"
    samples: int = 0
    uncapped: bool = False
    seeds: tuple[int, ...] = (0,)
    eot: Averaged = 0
    precision: str = "auto"
    split_seed: int = 0
    training_seed: int = 0
    weights: Path | None = None
    data_dir: Path | None = None
    download: bool = False

    @property
    def image_count(self) -> int:
        """Return how many images are asked for."""
        return self.samples or (64 if self.budget == "quick" else 1000)

    @property
    def expectation(self) -> Averaged:
        """Return how many draws an adaptive attacker is asked to average a query."""
        return self.eot or (2 if self.budget == "quick" else 16)  # 16: SUPER-IOT's spec, section 6.2


def parse_epsilons(text: str) -> tuple[float | str, ...]:
    """Return radii written as ``8/255,0.1`` or ``all``.

    Raises
    ------
    UsageError : not a number, or below 0
    """
    if text.strip() in {"", "all"}:
        return ("all",) if text.strip() else ()
    try:
        radii = tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"Epsilon {text!r} is no list of numbers; write such as 8/255,0.1 (pixels in [0, 1])."
        ) from None
    if any(radius < 0 for radius in radii):
        raise UsageError(f"Epsilon {text!r} is below 0; it is a radius in pixels of [0, 1].")
    return radii


def _number(text: str) -> float:
    """Return a number or a fraction of two; no exponent is worked out to all its digits, as ``Fraction`` does."""
    above, slash, below = text.partition("/")
    parts = float(above), float(below) if slash else 1.0
    number = parts[0] / parts[1]
    if not all(map(isfinite, (*parts, number))):
        raise ValueError("no finite number")
    return number


def parse_words(text: str, kind: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the words of a comma-separated list, each one of ``known``; none for an empty text or ``all``."""
    from bench.errors import UnknownName

    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if words in {(), ("all",)}:
        return ()
    known = tuple(known)
    for word in words:
        if word not in known:
            raise UnknownName(kind, word, known)
    return words


def parse_averaged(text: str) -> Averaged:
    """Return a number of draws written as ``16`` or ``auto``.

    Raises
    ------
    UsageError : neither, or below 1
    """
    if text == AUTO:
        return AUTO
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UsageError(f"eot {text!r} is no number of draws; expected an integer >= 1, or auto.")
    return int(text)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return seeds written as ``0,1,2`` or ``3`` (one seed, 3)."""
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"Seeds {text!r} are no list of integers; write such as 0,1,2.") from None
    if any(seed < 0 for seed in seeds):
        raise UsageError(f"Seeds {text!r}: a seed is an integer >= 0.")
    return tuple(dict.fromkeys(seeds))
