"""The cells of one data set and one classifier, and the tasks they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.planning.attacks import (
    CLEAN_BLOCK,
    SCORE_DRAWS,
    SELECT_DRAWS,
    ThreatPoint,
    attacks_under,
    blocks,
    excuse,
    levels,
    surface,
    threat_points,
)
from bench.planning.cell import Cell, CellKind
from bench.planning.machine import machine
from bench.planning.subjects import Subject, asked, described, identity, make_task, world
from bench.planning.task import Task
from bench.plugins.entries import Attack, Settings
from bench.plugins.selection import Chosen
from bench.store.code import code_digest
from bench.store.keys import key

if TYPE_CHECKING:
    from bench.planning.plan import Plan, Planner


class Grid:
    """The cells of one data set and one classifier.

    Parameters
    ----------
    absent : subjects that were asked for and cannot run here, with the reason
    """

    def __init__(
        self,
        planner: Planner,
        plan: Plan,
        subjects: Sequence[Subject],
        absent: Sequence[tuple[Subject, str]],
        meta: Mapping[str, Any],
    ) -> None:
        self.planner, self.plan, self.meta = planner, plan, meta
        self.subjects, self.absent = subjects, absent
        self.spec, self.store = planner.spec, planner.store
        self.twin = next(s for s in subjects if s.entry.baseline)
        self.data = self.twin.model.data
        self.available = int(meta["count"])
        self.count = min(self.spec.image_count, self.available)
        self.headlines: dict[str, ThreatPoint] = {
            threat.norm: ThreatPoint(norm=threat.norm, epsilon=float(threat.epsilons[0]), headline=False)
            for threat in reversed(self.data.entry.threats)
        }
        self.clean: dict[tuple[str, tuple[int, int], int], Task] = {}
        self.bases: dict[tuple[str, int, int], tuple[dict[str, Any], str]] = {}
        self.attacks: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def fill(self) -> None:
        twin_traits = self.twin.traits(self.store)
        for subject in self.subjects:
            traits = subject.traits(self.store)
            fail = self.planner.failed(subject.fit.key, subject.inspect.key, *subject.model.needs)
            fail = fail or self.planner.failed(self.twin.fit.key, self.twin.inspect.key)
            if traits is None or twin_traits is None:
                self.plan.settled = self.plan.settled and fail is not None
            for seed in self.spec.seeds:
                if fail is not None:
                    self.plan.cells.append(self._cell("clean", self._base(subject, None, seed, self.count), fail=fail))
                elif traits is not None and twin_traits is not None:
                    self._clean(subject, traits, seed)
                    self._attacks(subject, traits, twin_traits, seed)
            if fail is None and traits is not None and twin_traits is not None:
                self._cost(subject, traits)
        for subject, reason in self.absent:
            for seed in self.spec.seeds:
                self.plan.cells.append(self._cell("clean", self._base(subject, None, seed, self.count), skipped=reason))

    # -- the three kinds of cells --------------------------------------------------------------------------------------

    def _clean(self, subject: Subject, traits: Mapping[str, Any], seed: int) -> None:
        keys = self._clean_blocks(subject, traits, seed, self.count)
        self.plan.cells.append(
            self._cell(
                "clean",
                self._base(subject, traits, seed, self.count),
                clean=keys,
                evaluations=keys,
                fit=subject.fit.key,
                inspect=subject.inspect.key,
            )
        )

    def _attacks(self, subject: Subject, traits: Mapping[str, Any], twin: Mapping[str, Any], seed: int) -> None:
        for point in threat_points(self.data.entry, self.spec):
            for chosen in attacks_under(self.planner.selection.attacks, point.norm):
                reason = excuse(chosen, len(self.meta["class_names"]))
                for level in self._levels(chosen, subject):
                    if reason:
                        self._skip(subject, traits, chosen, level, point, seed, reason)
                    else:
                        self._attack(subject, traits, twin, chosen, level, point, seed)
            for chosen, reason in self.planner.selection.skipped:
                if isinstance(chosen.found.entry, Attack) and chosen.found.entry.norm in {"", point.norm}:
                    for level in self._levels(chosen, subject):
                        self._skip(subject, traits, chosen, level, point, seed, reason)

    def _levels(self, chosen: Chosen, subject: Subject) -> Iterator[str]:
        entry = chosen.found.entry
        assert isinstance(entry, Attack)
        return levels(entry, subject, self.spec)

    def _skip(
        self,
        subject: Subject,
        traits: Mapping[str, Any],
        chosen: Chosen,
        level: str,
        point: ThreatPoint,
        seed: int,
        reason: str,
    ) -> None:
        too = {"attack": self._attack_entry(chosen)[0], "knowledge": level, "threat": point.as_dict()}
        base = self._base(subject, traits, seed, 0)
        self.plan.cells.append(self._cell("attack", base, asked_too=too, headline=point.headline, skipped=reason))

    def _attack(
        self,
        subject: Subject,
        traits: Mapping[str, Any],
        twin: Mapping[str, Any],
        chosen: Chosen,
        level: str,
        point: ThreatPoint,
        seed: int,
    ) -> None:
        entry = chosen.found.entry
        assert isinstance(entry, Attack)
        settings = entry.settings(self.spec.budget)
        target, seen = (self.twin, twin) if level == "oblivious" else (subject, traits)
        count = min(self.count, settings.samples or self.count)
        described_surface = surface(entry, level, seen, self.spec)
        crafts, evaluations = [], []
        for block in blocks(count, self.available, settings.block):
            # One minimum-norm result is judged at every radius.
            aim = self.headlines[point.norm] if entry.minimum_norm else point
            standing = None if level == "oblivious" else self._standing(subject, traits, block, seed)
            craft = self._craft(target, seen, chosen, settings, described_surface, aim, block, seed, standing)
            witnessed = target is subject and aim.as_dict() == point.as_dict()
            evaluation = self._evaluation(subject, traits, block, seed, craft, point, witnessed=witnessed)
            self.plan.add(craft, evaluation)
            crafts.append(craft.key)
            evaluations.append(evaluation.key)
        clean = self._clean_blocks(subject, traits, seed, count)
        too = {"attack": self._attack_entry(chosen)[0], "knowledge": level, "threat": point.as_dict()}
        self.plan.cells.append(
            self._cell(
                "attack",
                self._base(subject, traits, seed, count),
                asked_too=too,
                headline=point.headline,
                clean=clean,
                crafts=tuple(crafts),
                evaluations=tuple(evaluations),
                fit=subject.fit.key,
                inspect=subject.inspect.key,
            )
        )

    def _cost(self, subject: Subject, traits: Mapping[str, Any]) -> None:
        for chosen in self.planner.selection.hardware:
            count = min(1000, self.available)
            preset = "quick" if self.spec.budget == "quick" else "default"
            task = make_task(
                "profile",
                f"measure {subject.chosen.label} on {chosen.label}",
                {
                    "hardware": described(chosen),
                    "deployment": subject.deployment,
                    "baseline": self.twin.deployment,
                    "images": self.data.images.key,
                    "count": count,
                    "preset": preset,
                },
                {
                    "hardware": identity(chosen),
                    "machine": machine(),
                    "fit": subject.fit.key,
                    "baseline": self.twin.fit.key,
                    "data": self.meta["test_fingerprint"],
                    "count": count,
                    "preset": preset,
                },
                needs=(
                    subject.fit.key,
                    subject.inspect.key,
                    self.twin.fit.key,
                    *subject.model.needs,
                    self.data.images.key,
                ),
                seconds=10.0 if preset == "quick" else 120.0,
                exclusive=True,
            )
            self.plan.add(task)
            base, too = self._base(subject, traits, 0, count), {"hardware": asked(chosen)}
            self.plan.cells.append(
                self._cell(
                    "cost", base, asked_too=too, profile=task.key, fit=subject.fit.key, inspect=subject.inspect.key
                )
            )

    # -- their tasks ---------------------------------------------------------------------------------------------------

    def _craft(
        self,
        target: Subject,
        seen: Mapping[str, Any],
        chosen: Chosen,
        settings: Settings,
        described_surface: Mapping[str, Any],
        point: ThreatPoint,
        block: tuple[int, int],
        seed: int,
        standing: Task | None,
    ) -> Task:
        entry = chosen.found.entry
        assert isinstance(entry, Attack)
        parameters = {**dict(chosen.parameters), **{k: v for k, v in settings.parameters if k not in chosen.given}}
        cost = settings.seconds * described_surface["expectation"] * (block[1] - block[0]) / settings.block
        return make_task(
            "craft",
            f"{chosen.label} on {target.chosen.label} ({described_surface['knowledge']}), "
            f"images {block[0]}-{block[1] - 1}",
            {
                "attack": {"name": entry.name, "factory": entry.factory, "parameters": parameters},
                "surface": described_surface,
                "deployment": target.deployment,
                "threat": point.as_dict(),
                "block": block,
                "seed": seed,
                "answers": _answer_seed(seen, seed),
                "standing": standing and {"key": standing.key, "first": standing.spec["block"][0]},
                "minimum_norm": entry.minimum_norm,
                "images": self.data.images.key,
                "labels": self.data.labels.key,
            },
            {
                "attack": {**self._attack_entry(chosen)[1], "parameters": parameters},
                "surface": dict(described_surface),
                "fit": target.fit.key,
                "threat": point.as_dict(),
                "block": block,
                "seed": seed,
                "data": self.meta["test_fingerprint"],
                "attacked": "standing" if standing else "all",
            },
            needs=(
                target.fit.key,
                target.inspect.key,
                *target.model.needs,
                *((standing.key,) if standing else ()),
                self.data.images.key,
                self.data.labels.key,
            ),
            seconds=cost,
            timeout_s=settings.timeout_s,
        )

    def _evaluation(
        self,
        subject: Subject,
        traits: Mapping[str, Any],
        block: tuple[int, int],
        seed: int,
        craft: Task | None = None,
        point: ThreatPoint | None = None,
        *,
        witnessed: bool = False,
    ) -> Task:
        random = traits["randomised"]
        draws = {"select": SELECT_DRAWS, "score": SCORE_DRAWS} if random else {"select": 1, "score": 1}
        used = _answer_seed(traits, seed)
        spec: dict[str, Any] = {
            "deployment": subject.deployment,
            "images": self.data.images.key,
            "block": block,
            "seed": used,
            "draws": draws,
        }
        preimage: dict[str, Any] = {
            "fit": subject.fit.key,
            "data": self.meta["test_fingerprint"],
            "block": block,
            "seed": used,
            "draws": draws,
        }
        needs = [subject.fit.key, subject.inspect.key, *subject.model.needs, self.data.images.key]
        if craft is not None and point is not None:
            judged = {
                "craft": craft.key,
                "threat": point.as_dict(),
                "minimum_norm": craft.spec["minimum_norm"],
                "witnessed": witnessed,
            }
            spec |= judged
            preimage |= judged
            needs.append(craft.key)
        what = f" under {craft.label.split(' on ')[0]}" if craft else ""
        return make_task(
            "evaluate",
            f"answers of {subject.chosen.label}{what}, images {block[0]}-{block[1] - 1}",
            spec,
            preimage,
            needs=tuple(needs),
            seconds=0.3 * draws["score"] ** 0.5,
        )

    def _standing(self, subject: Subject, traits: Mapping[str, Any], block: tuple[int, int], seed: int) -> Task | None:
        """Return the clean answers that say which images of a block stand at all; None where each draw may differ."""
        first = block[0] // CLEAN_BLOCK * CLEAN_BLOCK
        if traits["randomised"]:
            return None
        return self._clean_block(subject, traits, (first, min(first + CLEAN_BLOCK, self.available)), seed)

    def _clean_block(self, subject: Subject, traits: Mapping[str, Any], block: tuple[int, int], seed: int) -> Task:
        which = (subject.inspect.key, block, seed)
        if which not in self.clean:
            self.clean[which] = self._evaluation(subject, traits, block, seed)
            self.plan.add(self.clean[which])
        return self.clean[which]

    def _clean_blocks(self, subject: Subject, traits: Mapping[str, Any], seed: int, count: int) -> tuple[str, ...]:
        return tuple(
            self._clean_block(subject, traits, block, seed).key for block in blocks(count, self.available, CLEAN_BLOCK)
        )

    # -- their records -------------------------------------------------------------------------------------------------

    def _base(
        self, subject: Subject, traits: Mapping[str, Any] | None, seed: int, count: int
    ) -> tuple[dict[str, Any], str]:
        """Return what all records of a subject have in common, and a digest of it."""
        which = (subject.inspect.key, seed, count)
        if which not in self.bases:
            entry = subject.entry
            defense = {
                **asked(subject.chosen),
                "family": entry.family,
                "trains": entry.trains,
                "baseline": entry.baseline,
            }
            named: dict[str, Any] = {
                "track": entry.track,
                "dataset": {**asked(self.data.chosen), "fingerprint": self.meta["test_fingerprint"]},
                "model": dict(subject.model.asked),
                "defense": defense,
                "budget": self.spec.budget,
                "seeds": {"split": self.spec.split_seed, "training": self.spec.training_seed, "attack": seed},
                "samples": count,
            }
            shown = {
                "published": [list(row) for row in entry.published],
                "randomised": bool(traits["randomised"]) if traits else None,
                "differentiable": bool(traits["differentiable"]) if traits else None,
            }
            digest = key({name: _lasting(value) for name, value in named.items()})
            self.bases[which] = ({**named, "defense": {**defense, **shown}}, digest)
        return self.bases[which]

    def _attack_entry(self, chosen: Chosen) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return an attack as a record shows it, and as a key names it."""
        if chosen.label not in self.attacks:
            entry = chosen.found.entry
            assert isinstance(entry, Attack)
            shown = {
                **asked(chosen),
                "norm": entry.norm,
                "access": entry.access,
                "minimum_norm": entry.minimum_norm,
                "core": entry.core,
                "control": entry.control,
            }
            self.attacks[chosen.label] = (shown, identity(chosen))
        return self.attacks[chosen.label]

    def _cell(
        self,
        kind: CellKind,
        base: tuple[dict[str, Any], str],
        *,
        asked_too: Mapping[str, Any] | None = None,
        headline: bool | None = None,
        fail: tuple[str, str] | None = None,
        skipped: str = "",
        **parts: Any,
    ) -> Cell:
        status, reason = fail or ("skipped" if skipped else "", skipped)
        asked_too = asked_too or {}
        named = {name: _lasting(value) for name, value in asked_too.items()}
        if asked_too.get("knowledge") == "adaptive":
            named["expectation"] = self.spec.expectation
        cell_id = key({"kind": kind, "base": base[1], **named})
        run_key = key(
            {
                "cell": cell_id,
                "parts": parts,
                "status": status,
                "reason": reason,
                "world": world(),
                "assembly": code_digest("bench.execution.assembly:Assembler"),
                "gates": self.planner.gates,
            }
        )
        asked_for = {**base[0], **asked_too, **({} if headline is None else {"headline": headline})}
        return Cell(
            kind=kind,
            asked=asked_for,
            cell_id=cell_id,
            run_key=run_key,
            images=self.data.images.key,
            labels=self.data.labels.key,
            status=status,
            reason=reason,
            **parts,
        )


def _answer_seed(traits: Mapping[str, Any], seed: int) -> int:
    """Return the seed of answers: a deployment that draws nothing answers alike under every seed."""
    return seed if traits["randomised"] else 0


def _lasting(value: Any) -> Any:
    """Return what of a record's field says what was asked, whatever release answered it and on which machine."""
    if not isinstance(value, dict):
        return value
    passing = {"distribution"} if value.get("weights", "user") == "user" else {"distribution", "digest", "weights"}
    return {name: part for name, part in value.items() if name not in passing}
