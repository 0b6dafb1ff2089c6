"""The tasks of one data set and one classifier: what must be computed so that a cell can be recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.planning.attacks import CLEAN_BLOCK, SCORE_DRAWS, SELECT_DRAWS, Assault, ThreatPoint, blocks, surface
from bench.planning.machine import machine
from bench.planning.prospects import preset_of, prospect
from bench.planning.specification import RunSpecification
from bench.planning.subjects import DataSubject, Inspected, Subject, code_of, described, identity, make_task
from bench.planning.task import Task
from bench.plugins.entries import Settings
from bench.plugins.selection import Chosen

TIMED_IMAGES = 1000
LEARNED = "learned"  # the way to a gradient that needs a task of its own
BINARISED = 4 * CLEAN_BLOCK  # images among which the binarisation test looks for those that it can be made on
# Images of the binarisation test, its inner points, the share of epsilon that holds them, and how many points of the
# border are tried: evaluation.md of this project, section 4; 200 for 999 is ours (decision 0024).
HIDING = {"images": 64, "inner": 200, "share": 0.95, "tries": 5}
REPEATED = 2  # images on which an attack of the ladder is run again, for the gate that asks whether it repeats


class Work:
    """Makes the tasks of one data set and one classifier.

    Parameters
    ----------
    fingerprint : of the images that are attacked
    available : how many of them there are
    twin : the undefended deployment
    aims : norm -> the radius at which a minimum-norm attack is run, whatever radius it is judged at
    """

    def __init__(
        self,
        spec: RunSpecification,
        data: DataSubject,
        *,
        fingerprint: str,
        available: int,
        twin: Inspected,
        aims: Mapping[str, ThreatPoint],
    ) -> None:
        self.spec, self.data, self.twin, self.aims = spec, data, twin, aims
        self.fingerprint, self.available = fingerprint, available
        self._clean: dict[tuple[str, tuple[int, int], int], Task] = {}

    def clean(self, judged: Inspected, seed: int, count: int) -> list[Task]:
        """Return the clean answers to the first ``count`` images, in whole blocks."""
        return [self._clean_block(judged, block, seed) for block in blocks(count, self.available, CLEAN_BLOCK)]

    def views(self, judged: Inspected, seed: int, count: int) -> list[Task]:
        """Return what the nodes before the last say of clean images; nothing where the last alone gives logits."""
        if judged.traits["views"] < 2:
            return []
        subject, used = judged.subject, judged.answer_seed(seed)
        return [
            make_task(
                "view",
                f"views of {subject.chosen.label}, images {block[0]}-{block[1] - 1}",
                {"deployment": subject.deployment, "images": self.data.images.key, "block": block, "seed": used},
                {"fit": subject.key, "data": self.fingerprint, "block": block, "seed": used},
                needs=(*subject.needs, self.data.images.key),
                seconds=0.3,
            )
            for block in blocks(count, self.available, CLEAN_BLOCK)
        ]

    def attack(
        self, judged: Inspected, assault: Assault, settings: Settings, count: int, source: Inspected | None = None
    ) -> list[tuple[Task, Task]]:
        """Return what crafts, and what judges, the images of each block of an attack.

        Parameters
        ----------
        source : what the images are made on, where that is neither the judged deployment nor the twin
        """
        attacked = source or (self.twin if assault.level == "oblivious" else judged)
        point, aim = assault.point, self._aim(assault)
        witnessed = attacked.subject is judged.subject and aim.as_dict() == point.as_dict()
        pairs = []
        for block in blocks(count, self.available, settings.block):
            if attacked is judged:
                standing = self._standing(judged, block, assault.seed)
                start = self._start(assault, settings, block) if assault.start else None
                craft = self._craft(judged, assault, settings, block, standing, start)
            else:
                craft = self._elsewhere(attacked, assault, settings, block)
            pairs.append((craft, self._evaluation(judged, block, assault.seed, craft, point, witnessed=witnessed)))
        return pairs

    def certificate(self, judged: Inspected, point: ThreatPoint, count: int) -> list[Task]:
        """Return what asks the defense's certificate about each block of images."""
        subject, name = judged.subject, judged.subject.entry.certificate
        return [
            make_task(
                "certify",
                f"certify {subject.chosen.label}, images {block[0]}-{block[1] - 1}",
                {
                    "certificate": name,
                    "deployment": subject.deployment,
                    "images": self.data.images.key,
                    "threat": point.as_dict(),
                    "block": block,
                },
                {
                    "certificate": {"name": name, "code": code_of(name)},
                    "fit": subject.key,
                    "data": self.fingerprint,
                    "threat": point.as_dict(),
                    "block": block,
                },
                needs=(*subject.needs, self.data.images.key),
                seconds=10.0,
            )
            for block in blocks(count, self.available, CLEAN_BLOCK)
        ]

    def profile(self, subject: Subject, hardware: Chosen) -> Task:
        """Return what measures the cost of a deployment."""
        count = min(TIMED_IMAGES, self.available)
        preset, known = preset_of(self.spec), prospect(hardware, self.spec)
        baseline = self.twin.subject
        return make_task(
            "profile",
            f"measure {subject.chosen.label} on {hardware.label}",
            {
                "hardware": described(hardware),
                "deployment": subject.deployment,
                "baseline": baseline.deployment,
                "images": self.data.images.key,
                "count": count,
                "preset": preset,
            },
            {
                "hardware": identity(hardware),
                "machine": {**machine(), "prospect": known.machine},
                "fit": subject.key,
                "baseline": baseline.key,
                "data": self.fingerprint,
                "count": count,
                "preset": preset,
            },
            needs=(*subject.needs, baseline.fit.key, self.data.images.key),
            seconds=known.seconds,
            timeout_s=known.timeout_s,
            exclusive=True,
        )

    def mimic(self, attacked: Inspected) -> Task:
        """Return what teaches an attacker the surrogates that no author declares."""
        subject = attacked.subject
        radius, seed = subject.inspect.spec["radius"], self.spec.training_seed
        return make_task(
            "mimic",
            f"learn surrogates of {subject.chosen.label}",
            {"deployment": subject.deployment, "data": subject.fit.spec["data"], "radius": radius, "seed": seed},
            {"fit": subject.key, "radius": radius, "seed": seed},
            needs=subject.needs,
            seconds=20.0,
        )

    def _aim(self, assault: Assault) -> ThreatPoint:
        """Return the threat under which images are made; one minimum-norm result is judged at every radius."""
        return self.aims[assault.point.norm] if assault.entry.minimum_norm else assault.point

    def _start(self, assault: Assault, settings: Settings, block: tuple[int, int]) -> Task:
        """Return what crafts the images of a block on the twin: the very task of the oblivious cell."""
        return self._elsewhere(self.twin, assault, settings, block)

    def _elsewhere(self, attacked: Inspected, assault: Assault, settings: Settings, block: tuple[int, int]) -> Task:
        """Return what crafts the images of a block on another deployment, whatever is right there."""
        aside = replace(assault, level="oblivious", start="", made_on="")
        return self._craft(attacked, aside, settings, block, None, None)

    def binarisation(self, judged: Inspected, assault: Assault, settings: Settings, clean: Sequence[Task]) -> Task:
        """Return what asks whether an attack finds adversarial examples that are known to be there.

        Parameters
        ----------
        clean : the answers to the images that it may be asked about
        """
        subject = judged.subject
        common = {
            "surface": surface(assault.entry, assault.level, judged.traits, self.spec),
            "classes": assault.entry.classes,
            "threat": assault.point.as_dict(),
            "block": (0, clean[-1].spec["block"][1]),
            "seed": assault.seed,
            "answers": judged.answer_seed(assault.seed),
            "draws": clean[0].spec["draws"],
            "clean": [task.key for task in clean],
            "constants": HIDING,
        }
        parameters = _parameters(assault, settings)
        return make_task(
            "binarise",
            f"binarisation test of {assault.label} on {subject.chosen.label}",
            {
                "attack": {"name": assault.entry.name, "factory": assault.entry.factory, "parameters": parameters},
                "deployment": subject.deployment,
                "images": self.data.images.key,
                "labels": self.data.labels.key,
                **common,
            },
            {
                "attack": {**identity(assault.chosen), "parameters": parameters},
                "fit": subject.key,
                "data": self.fingerprint,
                **common,
            },
            needs=(*subject.needs, *common["clean"], self.data.images.key, self.data.labels.key),
            seconds=max(30.0, 4 * settings.seconds * common["surface"]["expectation"]),
            timeout_s=settings.timeout_s,
        )

    def _craft(
        self,
        attacked: Inspected,
        assault: Assault,
        settings: Settings,
        block: tuple[int, int],
        standing: Task | None,
        start: Task | None,
    ) -> Task:
        chosen, entry, subject, aim = assault.chosen, assault.entry, attacked.subject, self._aim(assault)
        seen = surface(entry, assault.level, attacked.traits, self.spec, assault.way)
        if assault.own:
            seen = {**seen, "knowledge": "adaptive"}  # it knows the defense, whether or not it needs a stand-in
        mimic = self.mimic(attacked).key if assault.way == LEARNED else ""
        parameters = _parameters(assault, settings)
        repeat = REPEATED if assault.core and not assault.probe and block[0] == 0 else 0
        return make_task(
            "craft",
            f"{assault.label} on {subject.chosen.label} ({seen['knowledge']}), images {block[0]}-{block[1] - 1}",
            {
                "attack": {"name": entry.name, "factory": entry.factory, "parameters": parameters},
                "surface": seen,
                "mimic": mimic,
                "deployment": subject.deployment,
                "threat": aim.as_dict(),
                "block": block,
                "seed": assault.seed,
                "answers": attacked.answer_seed(assault.seed),
                "standing": standing and {"key": standing.key, "first": standing.spec["block"][0]},
                "start": start.key if start else "",
                "minimum_norm": entry.minimum_norm,
                "repeat": repeat,
                "images": self.data.images.key,
                "labels": self.data.labels.key,
            },
            {
                "attack": {**identity(chosen), "parameters": parameters},
                "surface": seen,
                **({"mimic": mimic} if mimic else {}),
                **({"start": start.key} if start else {}),
                "fit": subject.key,
                "threat": aim.as_dict(),
                "block": block,
                "seed": assault.seed,
                "data": self.fingerprint,
                "attacked": "standing" if standing else "all",
                "minimum_norm": entry.minimum_norm,
                "repeat": repeat,
            },
            needs=(
                *subject.needs,
                *((standing.key,) if standing else ()),
                *((mimic,) if mimic else ()),
                *((start.key,) if start else ()),
                self.data.images.key,
                self.data.labels.key,
            ),
            seconds=settings.seconds * seen["expectation"] * (block[1] - block[0]) / settings.block,
            timeout_s=settings.timeout_s,
        )

    def _evaluation(
        self,
        judged: Inspected,
        block: tuple[int, int],
        seed: int,
        craft: Task | None = None,
        point: ThreatPoint | None = None,
        *,
        witnessed: bool = False,
    ) -> Task:
        subject, used = judged.subject, judged.answer_seed(seed)
        random = judged.traits["randomised"]
        draws = {"select": SELECT_DRAWS, "score": SCORE_DRAWS} if random else {"select": 1, "score": 1}
        common: dict[str, Any] = {"block": block, "seed": used, "draws": draws}
        needs = [*subject.needs, self.data.images.key]
        if craft is not None and point is not None:
            common |= {
                "craft": craft.key,
                "threat": point.as_dict(),
                "minimum_norm": craft.spec["minimum_norm"],
                "witnessed": witnessed,
            }
            needs.append(craft.key)
        what = f" under {craft.label.split(' on ')[0]}" if craft else ""
        return make_task(
            "evaluate",
            f"answers of {subject.chosen.label}{what}, images {block[0]}-{block[1] - 1}",
            {"deployment": subject.deployment, "images": self.data.images.key, **common},
            {"fit": subject.key, "data": self.fingerprint, **common},
            needs=tuple(needs),
            seconds=0.3 * draws["score"] ** 0.5,
        )

    def _standing(self, judged: Inspected, block: tuple[int, int], seed: int) -> Task | None:
        """Return the clean answers that say which images of a block stand at all; None where each draw may differ."""
        if judged.traits["randomised"]:
            return None
        first = block[0] // CLEAN_BLOCK * CLEAN_BLOCK
        return self._clean_block(judged, (first, min(first + CLEAN_BLOCK, self.available)), seed)

    def _clean_block(self, judged: Inspected, block: tuple[int, int], seed: int) -> Task:
        which = (judged.subject.inspect.key, block, seed)
        if which not in self._clean:
            self._clean[which] = self._evaluation(judged, block, seed)
        return self._clean[which]


def _parameters(assault: Assault, settings: Settings) -> dict[str, Any]:
    """Return the parameters of an attack under a budget; those that the user gave stay."""
    chosen = assault.chosen
    return {**dict(chosen.parameters), **{k: v for k, v in settings.parameters if k not in chosen.given}}
