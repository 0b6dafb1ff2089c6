"""The attacks of an audit, chosen by what entries say of themselves, and which of them have a rung of their own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from bench.plugins.entries import Attack, Defense
from bench.plugins.registry import Found, Registry

OWN, AWARE = "own attacks", "detector-aware"
AFFORDABLE_S: Final = 60.0  # ours: of one block on one core under the standard budget, as entries estimate it


class Ladder(NamedTuple):
    """What an audit runs.

    Attributes
    ----------
    selection : in the grammar of ``bench.plugins.selection``
    left_out : "name: why" of attacks that belong to it and cannot run here
    """

    selection: str
    left_out: tuple[str, ...]


def ladder(registry: Registry, norms: Collection[str] = ()) -> Ladder:
    """Return the attacks that an audit runs unless others are named.

    Parameters
    ----------
    norms : under which they count; empty for all

    Notes
    -----
    Of the attacks that are on by default: the fixed core, the controls, those that an adaptive attacker runs in every
    way to a gradient, those that look at views or a detector, and every other that follows gradients or scores image by
    image at a price of ``AFFORDABLE_S`` at most. What sees labels alone, or fits one perturbation to many images, is
    left to ``bench run``: it is slow, and is seldom the strongest against one who knows the defense.
    """
    wanted = [found for found in registry.of("attack").values() if _belongs(found, norms)]
    missing = tuple(f"{found.entry.name}: {found.unavailable}" for found in wanted if found.unavailable)
    return Ladder(",".join(found.entry.name for found in wanted if not found.unavailable), missing)


def rungs_of_their_own(registry: Registry, defense: str) -> dict[str, str]:
    """Return the name of each attack that does not stand among the usual ones -> ``OWN`` or ``AWARE``.

    Parameters
    ----------
    defense : name of the entry whose attacks count as its own
    """
    found = registry.of("attack").values()
    rungs = {f.entry.name: AWARE for f in found if isinstance(f.entry, Attack) and f.entry.wants}
    entry = registry.of("defense")[defense].entry
    assert isinstance(entry, Defense)
    return rungs | {attack.name: OWN for attack in entry.adaptive_attacks}


def _belongs(found: Found, norms: Collection[str]) -> bool:
    entry = found.entry
    if not isinstance(entry, Attack) or not entry.default or (norms and entry.norm not in {"", *norms}):
        return False
    asks = entry.access in ("gradient", "score")
    cheap = entry.separable and asks and entry.standard.seconds <= AFFORDABLE_S
    return bool(entry.core or entry.control or entry.explores or entry.wants) or cheap
