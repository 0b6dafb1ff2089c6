"""The cells of one data set and one classifier, and the tasks they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.planning.asking import Asking
from bench.planning.attacks import (
    Assault,
    ThreatPoint,
    attacks_under,
    excuse,
    is_binarised,
    levels,
    offers,
    other_starts,
    other_ways,
    own_attacks,
    reached,
    threat_points,
    travels,
)
from bench.planning.subjects import Inspected, Subject, libraries
from bench.planning.task import Task
from bench.planning.work import BINARISED, LEARNED, Work
from bench.plugins.entries import Attack
from bench.plugins.selection import Chosen

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
        self.spec, self.selection = planner.spec, planner.selection
        self.twin = next(s for s in subjects if s.entry.baseline)
        self.data = self.twin.model.data
        self.available = int(meta["count"])
        self.count = min(self.spec.image_count, self.available)
        self._binarised: set[tuple[str, int]] = set()
        self._sources: dict[str, Inspected] = {}  # label -> defense whose attacks are tried on the others
        self.asking = Asking(self.spec, self.data, fingerprint=meta["fingerprint"], gates=planner.gates)

    def fill(self) -> None:
        """Add to the plan what is known of the cells and of their tasks."""
        twin = self._inspected(self.twin)
        work = self._work(twin) if twin else None
        sources = [s for s in self.subjects if s.entry.transfers and not self._failed(s)]
        self._sources = {s.chosen.label: seen for s in sources if (seen := self._inspected(s)) is not None}
        for subject in self.subjects:
            judged = self._inspected(subject)
            if fail := self._failed(subject):
                self._unanswered(subject, *fail)
            elif judged is None or work is None:
                self.plan.settled = False
            else:
                for seed in self.spec.seeds:
                    self._clean(work, judged, seed)
                    self._attacks(work, judged, seed)
                    self._probes(work, judged, seed)
                    self._certificates(work, judged, seed)
                self._costs(work, judged)
        for subject, reason in self.absent:
            self._unanswered(subject, "skipped", reason)

    def _inspected(self, subject: Subject) -> Inspected | None:
        traits = subject.traits(self.planner.store)
        return None if traits is None else Inspected(subject, traits)

    def _failed(self, subject: Subject) -> tuple[str, str] | None:
        return self.planner.failed(*subject.needs, self.twin.fit.key, self.twin.inspect.key)

    def _work(self, twin: Inspected) -> Work:
        aims: dict[str, ThreatPoint] = {
            threat.norm: ThreatPoint(norm=threat.norm, epsilon=float(threat.epsilons[0]), headline=False)
            for threat in reversed(self.data.entry.threats)
        }
        return Work(
            self.spec,
            self.data,
            fingerprint=self.meta["fingerprint"],
            available=self.available,
            twin=twin,
            aims=aims,
        )

    def _unanswered(self, subject: Subject, status: str, reason: str) -> None:
        for seed in self.spec.seeds:
            self.plan.cells.append(self.asking.clean(subject, None, seed, self.count, status=status, reason=reason))

    def _clean(self, work: Work, judged: Inspected, seed: int) -> None:
        keys = self._added(work.clean(judged, seed, self.count))
        views = self._added(work.views(judged, seed, self.count))
        made = _made_of(judged.subject, clean=keys, evaluations=keys, views=views)
        self.plan.cells.append(self.asking.clean(judged.subject, judged.traits, seed, self.count, **made))

    def _attacks(self, work: Work, judged: Inspected, seed: int) -> None:
        for point in threat_points(self.data.entry, self.spec):
            for chosen in attacks_under(self.selection.attacks, point.norm):
                reason = excuse(chosen, len(self.meta["class_names"]))
                for assault in self._assaults(chosen, judged, point, seed):
                    if reason:
                        self._skip(judged, assault, reason)
                    else:
                        self._attack(work, judged, assault)
            for chosen in own_attacks(judged.subject, point.norm, self.spec) if self.selection.attacks else ():
                self._attack(work, judged, Assault(chosen, "adaptive", point, seed, own=True))
            for chosen, reason in self.selection.skipped:
                if isinstance(chosen.found.entry, Attack) and chosen.found.entry.norm in {"", point.norm}:
                    for assault in self._assaults(chosen, judged, point, seed):
                        self._skip(judged, assault, reason)

    def _probes(self, work: Work, judged: Inspected, seed: int) -> None:
        """Add what gates want tried: each at one radius a norm, by the first selected attack that has the rung."""
        tried: set[tuple[object, ...]] = set()
        for point in threat_points(self.data.entry, self.spec):
            for gate, probe in self.planner.probes:
                aim = reached(point, probe.reach, self.meta["shape"])
                for chosen in attacks_under(self.selection.attacks, point.norm):
                    entry = chosen.found.entry
                    assert isinstance(entry, Attack)
                    which = (gate, probe.core, probe.level, aim)
                    met = probe.level in levels(entry, judged.subject, self.spec) and offers(judged.traits, entry)
                    wanted = entry.core == probe.core and met and not excuse(chosen, len(self.meta["class_names"]))
                    if wanted and which not in tried:
                        tried.add(which)
                        self._attack(work, judged, Assault(chosen, probe.level, aim, seed, gate), probe.samples)

    def _certificates(self, work: Work, judged: Inspected, seed: int) -> None:
        subject = judged.subject
        if not subject.entry.certificate or not self.selection.attacks:
            return
        for point in threat_points(self.data.entry, self.spec):
            clean = self._added(work.clean(judged, seed, self.count))
            keys = self._added(work.certificate(judged, point, self.count))
            made = _made_of(subject, clean=clean, evaluations=keys)
            self.plan.cells.append(self.asking.certificate(subject, judged.traits, point, seed, self.count, **made))

    def _assaults(self, chosen: Chosen, judged: Inspected, point: ThreatPoint, seed: int) -> Iterator[Assault]:
        entry = chosen.found.entry
        assert isinstance(entry, Attack)
        if not offers(judged.traits, entry):
            return
        met = tuple(levels(entry, judged.subject, self.spec))
        for level in met:
            yield Assault(chosen, level, point, seed)
            if level == "adaptive":
                for way in other_ways(entry, point, judged.traits, self.spec):
                    yield Assault(chosen, level, point, seed, way=way)
                for start in other_starts(entry, point, met, self.spec):
                    yield Assault(chosen, level, point, seed, start=start)
        for label, source in self._sources.items():
            if source.subject is not judged.subject and travels(entry, point, self.spec):
                yield Assault(chosen, "black-box", point, seed, made_on=label)

    def _skip(self, judged: Inspected, assault: Assault, reason: str) -> None:
        cell = self.asking.attack(judged.subject, judged.traits, assault, 0, status="skipped", reason=reason)
        self.plan.cells.append(cell)

    def _attack(self, work: Work, judged: Inspected, assault: Assault, most: int = 0) -> None:
        settings = assault.entry.settings(self.spec.budget)
        cap = 0 if self.spec.uncapped else settings.samples
        count = min(self.count, cap or self.count, most or self.count)
        clean = self._added(work.clean(judged, assault.seed, count))
        pairs = work.attack(judged, assault, settings, count, self._sources.get(assault.made_on))
        mimic = [work.mimic(judged)] if assault.way == LEARNED else []
        self._added([*mimic, *(task for pair in pairs for task in pair)])
        tested, subject = {}, (judged.subject.inspect.key, assault.seed)
        if is_binarised(assault, self.spec) and subject not in self._binarised:
            self._binarised.add(subject)
            looked_at = work.clean(judged, assault.seed, BINARISED)
            self._added(looked_at)
            tested["binarised"] = self._added([work.binarisation(judged, assault, settings, looked_at)])[0]
        made = _made_of(
            judged.subject,
            **tested,
            clean=clean,
            crafts=tuple(craft.key for craft, _ in pairs),
            evaluations=tuple(evaluation.key for _, evaluation in pairs),
        )
        self.plan.cells.append(self.asking.attack(judged.subject, judged.traits, assault, count, **made))

    def _costs(self, work: Work, judged: Inspected) -> None:
        subject = judged.subject
        for hardware in self.selection.hardware:
            task = work.profile(subject, hardware)
            made = {**_made_of(subject, profile=task.key), "versions": libraries(hardware)}
            self._added([task])
            self.plan.cells.append(self.asking.cost(subject, judged.traits, hardware, task.spec["count"], **made))

    def _added(self, tasks: Sequence[Task]) -> tuple[str, ...]:
        self.plan.add(*tasks)
        return tuple(task.key for task in tasks)


def _made_of(subject: Subject, **keys: Any) -> dict[str, Any]:
    """Return the keys that a record is made of, those of the deployment among them."""
    return {"fit": subject.fit.key, "inspect": subject.inspect.key, **keys}
