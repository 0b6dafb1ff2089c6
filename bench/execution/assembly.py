"""Put a cell's blocks together and join the labels: one record.

Workers never see labels beside answers; this process joins them, without torch.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analysis.records import encode_array
from bench.execution.executor import Finished
from bench.execution.judging import Judges
from bench.planning.cell import Cell
from bench.planning.machine import machine
from bench.store import Store
from bench.store.keys import versions
from bench.tasks.outcome import NOTED, REJECTED

Array = NDArray[Any]
PICTURES = 2


@dataclass
class Assembler:
    """Makes records of cells.

    Parameters
    ----------
    command : as the user typed it, or the call
    judges : the gates of records
    """

    store: Store
    command: str
    judges: Judges
    _clean: dict[tuple[str, ...], Array] = field(default_factory=dict)
    _labels: dict[str, Array] = field(default_factory=dict)

    def record(self, cell: Cell, failures: Mapping[str, Finished]) -> dict[str, Any]:
        """Return the record of a cell whose tasks were all tried."""
        record: dict[str, Any] = {
            "schema": 1,
            "kind": cell.kind,
            "status": cell.status or "ok",
            "reason": cell.reason,
            "cell_id": cell.cell_id,
            "run_key": cell.run_key,
            **cell.asked,
        }
        seconds = 0.0
        broken = next((failures[key] for key in cell.needs if key in failures), None)
        if cell.status:
            pass
        elif broken is not None:
            record |= {"status": broken.status, "reason": broken.reason}
        elif cell.kind == "cost":
            meta = self.store.meta(cell.profile)
            record |= {
                "measurements": meta["measurements"],
                "hardware": {**cell.asked["hardware"], "machine": meta["machine"]},
            }
            seconds = meta["seconds"]
        elif cell.kind == "certificate":
            seconds = self._certified(cell, record)
        else:
            seconds = self._outcomes(cell, record)
            if cell.binarised:
                record["evidence"]["binarisation"] = self._binarisation(cell.binarised, failures)
            record["gates"] = [verdict.as_dict() for verdict in self.judges.verdicts(record)]
        made_of = [key for key in cell.wants if key in cell.needs or key not in failures]
        record["provenance"] = {
            "versions": {**versions(), **cell.versions},
            "machine": {**machine(), "python": platform.python_version(), "system": sys.platform},
            "command": self.command,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": seconds,
            "objects": [key for key in (cell.images, cell.labels, cell.fit, cell.inspect, *made_of) if key],
        }
        return record

    def _binarisation(self, key: str, failures: Mapping[str, Finished]) -> dict[str, Any]:
        """Return what an attack's binarisation test says, or why there is none."""
        if key in failures:
            return {"reason": f"The test could not be made: {failures[key].reason}", "broken": True}
        test: dict[str, Any] = self.store.meta(key)["test"]
        return test

    def _certified(self, cell: Cell, record: dict[str, Any]) -> float:
        """Add which images are certified to be answered rightly; a certificate that has nothing to say was skipped."""
        told = [self.store.read(key) for key in cell.evaluations]
        if silent := next((block.meta["silent"] for block in told if block.meta["silent"]), ""):
            record |= {"status": "skipped", "reason": silent}
            return 0.0
        count = cell.asked["samples"]
        labels = np.concatenate([block.tensors["certified"] for block in told])[:count]
        certified = (labels == self._y(cell)[:count]).astype(np.uint8)
        seconds = sum(float(block.meta["seconds"]) for block in told)
        record |= {
            "outcomes": {"certified": encode_array(certified)},
            "aggregates": {"certified": float(certified.mean()), "seconds": seconds},
        }
        return seconds

    def _outcomes(self, cell: Cell, record: dict[str, Any]) -> float:
        count = cell.asked["samples"]
        y = self._y(cell)[:count]
        answered = [self.store.read(key) for key in cell.evaluations]
        select = np.concatenate([a.tensors["select"] for a in answered], axis=1)[:, :count]
        score = np.concatenate([a.tensors["score"] for a in answered], axis=1)[:, :count]
        selected = _withstood(select, y, attacked=cell.kind == "attack").sum(0).astype(np.uint8)
        scored = _withstood(score, y, attacked=cell.kind == "attack").sum(0).astype(np.uint8)
        clean_scored = self._clean_right(cell, y)
        clean_correct = (2 * clean_scored > len(score)).astype(np.uint8)
        seconds = sum(float(a.meta["seconds"]) for a in answered)
        outcomes: dict[str, Array] = {"clean_correct": clean_correct, "selected": selected, "scored": scored}
        aggregates: dict[str, Any] = {"accuracy": float(scored.mean() / len(score))}
        if "detector" in answered[0].tensors:
            said = np.concatenate([a.tensors["detector"] for a in answered], axis=1)[:, :count]
            outcomes |= {"detector": said.mean(0), "detected": (said > 0).sum(0).astype(np.uint8)}
            aggregates["detected"] = float((said > 0).mean())
        evidence: dict[str, Any] = {}
        traits = record["defense"]
        notes: dict[str, Any] = {
            "fit": self.store.meta(cell.fit).get("notes", {}),
            "deployed": self.store.meta(cell.inspect).get("facts", {}),
        }
        if cell.kind == "clean":
            inspected = self.store.meta(cell.inspect)
            evidence |= {name: inspected[name] for name in ("difference", "derivatives", "surrogates", "noise")}
            if cell.views:
                record["views"] = self._views(cell.views, y)
            if answered[0].meta["refuses"]:
                evidence["rejected"] = float((score == REJECTED).mean())
        else:
            crafted = [self.store.read(key) for key in cell.crafts]
            seconds += sum(float(c.meta["seconds"]) for c in crafted)
            outcomes |= self._attack_arrays(answered, crafted, y, oblivious=cell.asked["knowledge"] == "oblivious")
            if "score_float" in answered[0].tensors:
                unrounded = np.concatenate([a.tensors["score_float"] for a in answered], axis=1)[0, :count]
                aggregates["accuracy_float"] = float(
                    (_withstood(unrounded, y, attacked=True) & (clean_correct == 1)).mean()
                )
            if not traits["randomised"]:
                # An image that is wrong when clean counts as wrong, whatever an attack made of it.
                outcomes["scored"] = scored * clean_correct
                outcomes["selected"] = selected * clean_correct
            aggregates |= {
                "accuracy": float(outcomes["scored"].mean() / len(score)),
                "forward": sum(c.meta["forward"] for c in crafted),
                "gradient": sum(c.meta["gradient"] for c in crafted),
                "seconds": seconds,
                "images": sum(len(c.tensors["attacked"]) for c in crafted),
            }
            evidence["gradients"] = _summed([c.meta["tally"] for c in crafted], without="starts")
            evidence["attacked"] = sum(int(c.tensors["attacked"].sum()) for c in crafted)
            evidence["path"] = _summed([c.meta["path"] for c in crafted])
            evidence["repeated"] = _summed([c.meta["repeated"] for c in crafted])
            if all("strangers" in a.meta for a in answered):
                evidence["strangers"] = sum(a.meta["strangers"] for a in answered)
            notes["attack"] = {**_together([c.meta["notes"] for c in crafted]), **_counted(crafted, count)}
            notes["surface"] = crafted[0].meta["surface"]
            record["pictures"] = self._pictures(cell, answered[0], y, outcomes)
        record |= {
            "outcomes": {name: encode_array(array) for name, array in outcomes.items()},
            "draws": {"select": len(select), "score": len(score)},
            "aggregates": aggregates,
            "evidence": evidence,
            "notes": notes,
        }
        return seconds

    def _views(self, keys: Sequence[str], y: Array) -> dict[str, Any]:
        """Return of each node before the last that gives logits which clean images it answers rightly."""
        told = [self.store.read(key).tensors for key in keys]
        return {
            name: encode_array((np.concatenate([block[name] for block in told])[: len(y)] == y).astype(np.uint8))
            for name in told[0]
        }

    def _attack_arrays(
        self, answered: Sequence[Any], crafted: Sequence[Any], y: Array, *, oblivious: bool
    ) -> dict[str, Array]:
        count = len(y)
        distance = np.concatenate([a.tensors["distance"] for a in answered])[:count]
        attacked = np.concatenate([c.tensors["attacked"] for c in crafted])[:count]
        inside = np.concatenate([a.tensors["inside"] for a in answered])[:count]
        # A distance of 0 where an attack was tried: it gave the clean image back, it found nothing.
        nothing = (distance == 0) & (attacked == 1)
        if "anywhere" in answered[0].tensors:
            anywhere = np.concatenate([a.tensors["anywhere"] for a in answered], axis=1)[:, :count]
            nothing |= (attacked == 1) & (2 * _withstood(anywhere, y, attacked=True).sum(0) >= len(anywhere))
        found = np.where(nothing, np.inf, distance)
        arrays: dict[str, Array] = {
            "distance": found.astype(np.float32),
            "attacked": attacked.astype(np.uint8),
            "inside": inside.astype(np.uint8),
        }
        if oblivious:
            arrays["fooling"] = np.concatenate([c.tensors["fooling"] for c in crafted])[:count]
        return arrays

    def _clean_right(self, cell: Cell, y: Array) -> Array:
        """Return in how many score draws each clean image is answered rightly."""
        if cell.clean not in self._clean:
            score = np.concatenate([self.store.read(key).tensors["score"] for key in cell.clean], axis=1)
            self._clean[cell.clean] = (score == self._y(cell)[: score.shape[1]]).sum(0).astype(np.uint8)
        return self._clean[cell.clean][: len(y)]

    def _y(self, cell: Cell) -> Array:
        if cell.labels not in self._labels:
            self._labels[cell.labels] = self.store.read(cell.labels).tensors["y"]
        return self._labels[cell.labels]

    def _pictures(self, cell: Cell, first: Any, y: Array, outcomes: Mapping[str, Array]) -> list[dict[str, Any]]:
        """Return the first images of the block: clean, adversarial and as the classifier saw them."""
        if not cell.asked["attack"]["core"] or cell.asked.get("probe"):
            return []
        clean = self.store.read(cell.images).tensors["x"]
        shown = []
        for image in range(min(PICTURES, len(y), len(first.tensors["judged"]))):
            shown.append(
                {
                    "image": image,
                    "clean": encode_array(clean[image]),
                    "adversarial": encode_array(_bytes(first.tensors["judged"][image])),
                    "defended": encode_array(_bytes(first.tensors["defended"][image])),
                    "true_label": int(y[image]),
                    "answer": _most_frequent(first.tensors["score"][:, image]),
                }
            )
        return shown


def _withstood(answers: Array, y: Array, *, attacked: bool) -> Array:
    """Return where an answer is right, bool; to reject an attacked image is right too, to reject a clean one never.

    Tramer 2022, arXiv 2107.11630: robust is an image that is answered rightly when clean, and rightly or not at all for
    every x' that was tried.
    """
    right: Array = answers == y
    return right | (answers == REJECTED) if attacked else right


def _most_frequent(answers: Array) -> int:
    labels, counts = np.unique(answers, return_counts=True)
    return int(labels[counts.argmax()])


def _counted(crafted: Sequence[Any], count: int) -> dict[str, int]:
    """Return of how many of the first ``count`` images each note of images is true, and of how many tried ones."""
    told = {}
    for name in dict.fromkeys(name for block in crafted for name in block.tensors if name.startswith(NOTED)):
        blocks = [block.tensors.get(name, np.zeros_like(block.tensors["attacked"])) for block in crafted]
        told[name.removeprefix(NOTED)] = int(np.concatenate(blocks)[:count].sum())
    if told:
        told["tried"] = int(np.concatenate([block.tensors["attacked"] for block in crafted])[:count].sum())
    return told


def _together(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the notes of all blocks: counts of whole blocks added up, of anything else the first."""
    found: dict[str, Any] = {}
    for block in notes:
        for name, value in block.items():
            counted = isinstance(value, int) and not isinstance(value, bool)
            found[name] = found.get(name, 0) + value if counted else found.get(name, value)
    return found


def _summed(tallies: Sequence[Mapping[str, Any]], *, without: str = "") -> dict[str, Any]:
    """Return the counts of all blocks."""
    return {name: sum(tally[name] for tally in tallies) for name in tallies[0] if name != without}


def _bytes(image: Array) -> Array:
    return np.clip(np.rint(image * 255.0), 0, 255).astype(np.uint8)
