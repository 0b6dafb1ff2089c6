"""The entries of a run, resolved from what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import Unavailable, UsageError
from bench.planning.specification import RunSpecification
from bench.plugins.entries import Defense
from bench.plugins.registry import Kind, Registry
from bench.plugins.selection import Chosen, select


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
            if not text or (text == "none" and kind in {"attack", "hardware"}):
                return []
            chosen, missing = select(registry, kind, text)
            skipped.extend(missing)
            return chosen

        defenses = [c for c in pick("defense", spec.defenses) if c.found.entry.track == "evasion"]  # type: ignore[attr-defined]
        baselines = [
            f.entry for f in registry.of("defense").values() if isinstance(f.entry, Defense) and f.entry.baseline
        ]
        if not baselines:
            raise Unavailable("No plugin offers the undefended baseline. `bench plugins` shows what is broken.")
        baseline = baselines[0]
        if all(c.found.entry.name != baseline.name for c in defenses):
            defenses = [*select(registry, "defense", baseline.name)[0], *defenses]
        defenses.sort(key=lambda c: not c.found.entry.baseline)  # type: ignore[attr-defined]
        own_model = spec.models.count(":") == 1 and ".py:" in spec.models
        models: list[Chosen | str] = [spec.models] if own_model else [*pick("model", spec.models)]
        if spec.weights is not None and len(models) != 1:
            raise UsageError("--weights goes with one --models; name the network that the weights are for.")
        return cls(
            defenses,
            pick("attack", spec.attacks),
            pick("dataset", spec.datasets),
            models,
            pick("hardware", spec.hardware),
            skipped,
        )

    @property
    def preload(self) -> tuple[str, ...]:
        """Return the slow libraries that the selected entries want imported once."""
        entries = [c.found.entry for c in (*self.defenses, *self.attacks, *self.datasets, *self.hardware)]
        return tuple(dict.fromkeys(("torch", *(name for entry in entries for name in entry.preload))))
