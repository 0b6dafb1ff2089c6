"""The entries of a run, resolved from what was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bench.errors import Unavailable, UsageError
from bench.planning.own_model import check_own_model, check_weights, is_own_model
from bench.planning.prospects import prospect
from bench.planning.specification import NORMS, RunSpecification
from bench.planning.suited import refuse_contradictions
from bench.plugins.entries import Attack, Defense
from bench.plugins.registry import Kind, Registry
from bench.plugins.selection import Chosen, named_outright, select

_INSTEAD: Final[dict[Kind, str]] = {
    "defense": ", or none for the undefended model alone", "attack": ", or none for no attack",
    "hardware": ", or none for no cost",
}  # fmt: skip
_NORM: Final = re.compile(rf"-({'|'.join(NORMS)})$")  # as attacks that exist under several end in theirs


class NothingSelected(UsageError):
    """A selection is empty; exit code 4."""


@dataclass
class Selection:
    """The entries of a run, resolved.

    Attributes
    ----------
    skipped : entries that were selected by a pattern and cannot run here, with the reason
    """

    defenses: list[Chosen]
    attacks: list[Chosen]
    datasets: list[Chosen]
    models: list[Chosen | str]
    hardware: list[Chosen]
    skipped: list[tuple[Chosen, str]]

    @classmethod
    def of(cls, registry: Registry, spec: RunSpecification) -> Selection:
        """Return what the specification selects; every name is checked before anything runs."""
        skipped: list[tuple[Chosen, str]] = []

        def pick(kind: Kind, text: str) -> list[Chosen]:
            if text == "none" and kind in {"attack", "hardware"}:
                return []
            known, missing = select(registry, kind, text)
            chosen = [c for c in known if getattr(c.found.entry, "track", "evasion") == "evasion"]
            if not chosen and not missing:
                flag = kind if kind == "hardware" else f"{kind}s"
                raise NothingSelected(f"--{flag} {text!r} selects nothing. Name one{_INSTEAD.get(kind, '')}.")
            skipped.extend(missing)
            return chosen

        defenses = pick("defense", spec.defenses)
        baselines = [
            f.entry for f in registry.of("defense").values() if isinstance(f.entry, Defense) and f.entry.baseline
        ]
        if not baselines:
            raise Unavailable("No plugin offers the undefended baseline. `bench plugins` shows what is broken.")
        baseline = baselines[0]
        if all(c.found.entry.name != baseline.name for c in defenses):
            defenses = [*select(registry, "defense", baseline.name)[0], *defenses]
        defenses.sort(key=lambda c: not c.found.entry.baseline)  # type: ignore[attr-defined]
        if own := is_own_model(spec.models):
            check_own_model(spec.models)
        elif spec.models.endswith(".py"):
            raise UsageError(f"Model {spec.models!r} must be written FILE.py:FACTORY, such as nets.py:make_net.")
        named = [] if own or not spec.models else pick("model", spec.models)
        models: list[Chosen | str] = [spec.models] if own else [*named]
        if spec.weights is not None and len(models) != 1:
            raise UsageError("--weights goes with one --models; name the network that the weights are for.")
        if spec.weights is not None:
            check_weights(spec.weights)
        attacks, hardware = pick("attack", spec.attacks), pick("hardware", spec.hardware)
        refuse_contradictions([*defenses, *named, *attacks])
        for one in hardware:
            prospect(one, spec)
        _refuse_other_norms(registry, attacks, spec)
        return cls(
            defenses,
            attacks,
            pick("dataset", spec.datasets),
            models,
            hardware,
            skipped,
        )

    @property
    def preload(self) -> tuple[str, ...]:
        """Return the slow libraries that the selected entries want imported once."""
        entries = [c.found.entry for c in (*self.defenses, *self.attacks, *self.datasets, *self.hardware)]
        return tuple(dict.fromkeys(("torch", *(name for entry in entries for name in entry.preload))))


def _refuse_other_norms(registry: Registry, attacks: Iterable[Chosen], spec: RunSpecification) -> None:
    """Raise UsageError where an attack was named outright that counts under none of the norms asked for.

    What "all", a family or a pattern brings in is left out without a word: there the norms are the choice.
    """
    outright = named_outright(registry, "attack", spec.attacks)
    for entry in (chosen.found.entry for chosen in attacks):
        assert isinstance(entry, Attack)
        if entry.name in outright and entry.norm and spec.norms and entry.norm not in spec.norms:
            siblings = _under(registry, entry.name, spec.norms)
            add = f"add {entry.norm} to --norm"
            advice = f"Use {siblings}, or {add}." if siblings else f"{add.capitalize()}, or leave {entry.name!r} out."
            raise UsageError(
                f"Attack {entry.name!r} is for {entry.norm}, and --norm is {','.join(spec.norms)}. {advice}"
            )


def _under(registry: Registry, name: str, norms: Iterable[str]) -> str:
    """Return the attacks that are the named one under other norms, in words; "" for none."""
    found = (f.entry for f in registry.of("attack").values() if not f.unavailable)
    like = [e.name for e in found if isinstance(e, Attack) and e.norm in norms and _stem(e.name) == _stem(name)]
    return " or ".join(repr(one) for one in like)


def _stem(name: str) -> str:
    return _NORM.sub("", name)
