"""Whether parameters go together and suit the images, asked of an entry's plugin before a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from bench.errors import BadParameter, UsageError
from bench.plugins.containment import contained
from bench.plugins.entries import Attack, Defense, Model, Shape
from bench.plugins.loading import loaded
from bench.plugins.selection import Chosen

_log: Final = logging.getLogger(__name__)


def refuse_contradictions(entries: Sequence[Chosen]) -> None:
    """Raise UsageError where parameters of one do not go together, whatever the images."""
    for chosen in entries:
        if refused := refusal(chosen):
            raise _said(chosen, "", refused)


def divide(
    entries: Sequence[Chosen], shape: Shape, dataset: str, outright: frozenset[str]
) -> tuple[list[Chosen], list[tuple[Chosen, str]]]:
    """Return the defenses, or the models, that suit images of ``shape``, and the others with the reason.

    Parameters
    ----------
    dataset : as the reason names it
    outright : names of those that the user named one by one

    Raises
    ------
    UsageError : one does not that was named outright, or of which the user set a parameter: a mistake of theirs, where
        one that "all" brought in is left out
    """
    suited: list[Chosen] = []
    others: list[tuple[Chosen, str]] = []
    for chosen in entries:
        refused = refusal(chosen, shape)
        if refused is None:
            suited.append(chosen)
        elif chosen.given or chosen.found.entry.name in outright or _is_baseline(chosen):
            raise _said(chosen, f" on {dataset}", refused)
        else:
            others.append((chosen, str(refused)))
    return suited, others


def refusal(chosen: Chosen, shape: Shape | None = None) -> UsageError | None:
    """Return what an entry's ``check`` raises, None where it raises nothing or there is none.

    A check that is itself broken refuses nothing: whether the defense works is then seen in its worker.
    """
    entry = chosen.found.entry
    if not isinstance(entry, Attack | Defense | Model) or not entry.check:
        return None

    def ask() -> UsageError | None:
        try:
            loaded(entry.check)(chosen.parameters, shape)
        except UsageError as error:
            return error
        return None

    refused: UsageError | None
    refused, fault = contained(ask)
    if fault:
        _log.info("Check %s of %s: %s", entry.check, entry.name, fault)
    return refused


def _is_baseline(chosen: Chosen) -> bool:
    return bool(getattr(chosen.found.entry, "baseline", False))


def _said(chosen: Chosen, where: str, refused: UsageError) -> UsageError:
    if isinstance(refused, BadParameter):
        return refused
    kind = type(chosen.found.entry).__name__
    return UsageError(f"{kind} {chosen.label!r} cannot be used{where}: {refused}")
