"""How well detectors detect: shares of clean and attacked images, and the area under the ROC curve.

Shown beside a row, never ranked: what counts is whether an image is answered rightly in the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.groups import Replicate, Row, counts, rows
from bench.analysis.records import KNOWLEDGE, Record, outcome
from bench.analysis.statistics import Values, estimate

DETECTION_COLUMNS = (
    "dataset", "model", "norm", "epsilon", "domain", "budget", "defense", "attack", "knowledge", "control",
    "clean_images", "false_positives", "false_positives_low", "false_positives_high",
    "images", "detected", "detected_low", "detected_high",
    "fooling_images", "fooling_detected", "fooling_detected_low", "fooling_detected_high",
    "wrong_images", "wrong_detected", "wrong_detected_low", "wrong_detected_high",
    "auroc", "detected_at_5", "detected_at_1", "accuracy", "accuracy_low", "accuracy_high",
)  # fmt: skip
ROC_COLUMNS = (
    *DETECTION_COLUMNS[:6], "defense", "attack", "knowledge", "images", "auroc", "false_positives", "detected",
)  # fmt: skip
FEWEST = 32  # images of a curve, or of a rate that is held against a claim
POINTS = 64  # thresholds of a curve


def detection(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row for each attack on each deployment that has a detector, of the first triple of seeds.

    Notes
    -----
    ``false_positives`` is the share of all clean images that are detected, ``detected`` that of the x' that were tried
    and count at this epsilon. ``fooling_detected`` is the share among those x' of an oblivious attacker that the
    undefended network, which they were made for, answers wrongly, and their clean images rightly: what papers call the
    detection rate, and no measure of robustness. ``wrong_detected`` is the share among those x' that are answered
    wrongly in the end or refused: of what the attacker achieved, how much the detector saw. ``auroc`` is the chance
    that x' has a higher score than a clean image, ties counted half. ``detected_at_5`` and ``detected_at_1`` are the
    share detected if the threshold were moved to where 5 and 1 % of these clean images are: points of the ROC curve,
    which compare detectors of different thresholds.
    The calibrated threshold, which no test image has moved, gives the other columns.
    ``accuracy`` is that of the final answer under this attack, as in ``cells``.
    Controls that move images (noise, JPEG) are rows too, ``control`` true: nobody means harm there, so what is
    ``detected`` are false alarms under a shift that cameras and codecs make.
    """
    found = [line for row in rows(list(records)) for line in of_row(row)]
    frame = pd.DataFrame(found, columns=list(DETECTION_COLUMNS))
    return frame.sort_values(list(DETECTION_COLUMNS[:9]), kind="stable").reset_index(drop=True)


def roc(records: Iterable[Record]) -> pd.DataFrame:
    """Return ROC curves: of each detector, against the attack of each knowledge that gets most past it.

    Returns
    -------
    DataFrame : setting, ``defense``, ``attack``, ``knowledge``, ``images``, ``auroc``; at each threshold in turn
        ``false_positives``, the share of clean images above it, and ``detected``, that of the images attacked, from
        (0, 0) to (1, 1)

    Notes
    -----
    The curve is of x' that are answered wrongly in the end or refused: one that is answered rightly breaks nothing, and
    to a detector that lets it pass nothing can be objected. The attack is the one of which the most images are answered
    wrongly and not detected, of those with ``FEWEST`` such x' or more. Every score that a clean or an attacked image
    has is a threshold; of more than ``POINTS`` some are left out, which a picture does not show.
    """
    found = [line for row in rows(list(records)) for line in _curves(row)]
    return pd.DataFrame(found, columns=list(ROC_COLUMNS))


def _curves(row: Row) -> Iterator[dict[str, Any]]:
    part = row.replicates[0]
    if part.clean is None or part.clean["status"] != "ok" or "detector" not in part.clean["outcomes"]:
        return
    clean = outcome(part.clean, "detector").astype(np.float64)
    worst: dict[str, tuple[float, str, Values]] = {}
    for record in part.attacks:
        if not counts(record) or "detector" not in record["outcomes"]:
            continue
        wrong = _wrong(record, refuses=row.refuses)
        if wrong.sum() >= FEWEST:
            level, seen = str(record["knowledge"]), outcome(record, "detected") > 0
            scores = outcome(record, "detector").astype(np.float64)[wrong]
            told = (-float((wrong & ~seen).mean()), str(record["attack"]["label"]), scores)
            if level not in worst or told[:2] < worst[level][:2]:
                worst[level] = told
    common = {name: getattr(row.setting, name) for name in DETECTION_COLUMNS[:6]} | {"defense": row.label}
    for level in sorted(worst, key=KNOWLEDGE.index):
        _, attack, scores = worst[level]
        area = auroc(clean, scores)
        thresholds = np.unique(np.concatenate([clean, scores]))[::-1]
        chosen = np.unique(np.linspace(0, len(thresholds) - 1, POINTS).round().astype(int))
        for threshold in [np.inf, *thresholds[chosen], -np.inf]:
            yield common | {
                "attack": attack,
                "knowledge": level,
                "images": len(scores),
                "auroc": area,
                "false_positives": float((clean > threshold).mean()),
                "detected": float((scores > threshold).mean()),
            }


def without_variant(label: str) -> str:
    """Return an attack without its way to a gradient and its start; what it was made on stays."""
    return re.sub(r" (via|from) \S+", "", label)


def worst_variants(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of several variants of an attack at one knowledge the one that leaves the fewest right.

    Parameters
    ----------
    rows : of ``bench.analysis.detection``; of two runs of one attack that on more images counts

    Returns
    -------
    list : the rows left, each with ``asked``, the attack without its variant
    """
    longest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        place = (row["defense"], row["norm"], row["epsilon"], row["knowledge"])
        run = (*place, row["attack"])
        if run not in longest or row["images"] > longest[run]["images"]:
            longest[run] = row
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (*at, attack), row in longest.items():
        asked = without_variant(attack)
        key = (*at, asked)
        if key not in found or row["accuracy"] < found[key]["accuracy"]:
            found[key] = {**row, "asked": asked}
    return list(found.values())


def auroc(clean: Values, attacked: Values) -> float:
    """Return the chance that a score of an attacked image exceeds that of a clean one, ties counted half."""
    if not len(clean) or not len(attacked):
        return float("nan")
    ordered = np.sort(clean)
    below = np.searchsorted(ordered, attacked, side="left") + np.searchsorted(ordered, attacked, side="right")
    return float(below.mean() / (2 * len(clean)))


def detected_at(rate: float, clean: Values, attacked: Values) -> float:
    """Return the share of attacked images whose score exceeds all but ``rate`` of the clean ones.

    Notes
    -----
    The threshold is the highest clean score that at most ``rate`` of the clean scores exceed; detection is above it.
    """
    if not len(clean) or not len(attacked):
        return float("nan")
    allowed = int(np.floor(rate * len(clean) + 1e-9))
    threshold = np.sort(clean)[len(clean) - 1 - allowed]
    return float((attacked > threshold).mean())


def of_row(row: Row) -> list[dict[str, Any]]:
    """Return the lines of ``detection`` of one row, none where it has no detector."""
    part: Replicate = row.replicates[0]
    clean = part.clean
    if clean is None or clean["status"] != "ok" or "detector" not in clean["outcomes"]:
        return []
    setting = row.setting
    names = ("dataset", "model", "norm", "epsilon", "domain", "budget")
    common = {name: getattr(setting, name) for name in names} | {"defense": row.label}
    flagged = _share(clean, "detected", np.ones(int(clean["samples"]), dtype=bool))
    common |= {"clean_images": flagged["n"], **_named("false_positives", flagged)}
    scores = outcome(clean, "detector").astype(np.float64)
    return [
        common | _of_attack(record, scores, refuses=row.refuses)
        for record in part.attacks
        if (counts(record) or _shifts(record)) and "detector" in record["outcomes"]
    ]


def _shifts(record: Record) -> bool:
    """Return whether a record is of a control that changes images."""
    control = record["status"] == "ok" and record["attack"].get("control", False)
    if not control or "distance" not in record["outcomes"]:
        return False
    distance = outcome(record, "distance")
    return bool(np.any(np.isfinite(distance) & (distance > 0)))  # infinite where the clean image came back


def _of_attack(record: Record, clean: Values, *, refuses: bool) -> dict[str, Any]:
    tried = _tried(record)
    detected = _share(record, "detected", tried)
    wrong = _share(record, "detected", _wrong(record, refuses=refuses))
    scores = outcome(record, "detector").astype(np.float64)[tried]
    line = {
        "attack": record["attack"]["label"],
        "knowledge": record["knowledge"],
        "control": bool(record["attack"].get("control", False)),
        "images": detected["n"],
        **_named("detected", detected),
        "wrong_images": wrong["n"],
        **_named("wrong_detected", wrong),
        "auroc": auroc(clean, scores),
        "detected_at_5": detected_at(0.05, clean, scores),
        "detected_at_1": detected_at(0.01, clean, scores),
        **_named("accuracy", _share(record, "scored", np.ones(len(tried), dtype=bool))),
    }
    if "fooling" in record["outcomes"]:
        fooling = _share(record, "detected", tried & (outcome(record, "fooling") > 0))
        line |= {"fooling_images": fooling["n"], **_named("fooling_detected", fooling)}
    return line


def _tried(record: Record) -> NDArray[np.bool_]:
    """Return which images were attacked with an x' that counts."""
    tried: NDArray[np.bool_] = (outcome(record, "attacked") > 0) & (outcome(record, "inside") > 0)
    return tried


def _wrong(record: Record, *, refuses: bool) -> NDArray[np.bool_]:
    """Return which x' that count are answered wrongly in some draw, or refused by a deployment that may."""
    right = outcome(record, "scored") > 0
    refused = right & (outcome(record, "detected") > 0) if refuses else np.zeros_like(right)
    draws = int((record.get("draws") or {}).get("score", 1))
    return _tried(record) & ((outcome(record, "scored") < draws) | refused)


def _share(record: Record, name: str, chosen: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of the chosen images of which an outcome holds, each counted by its share of draws."""
    draws = int((record.get("draws") or {}).get("score", 1))
    share = estimate(outcome(record, name).astype(np.float64)[chosen] / draws)
    return {"n": share.n, "": share.value, "_low": share.low, "_high": share.high}


def _named(name: str, share: dict[str, float]) -> dict[str, float]:
    return {name + suffix: share[suffix] for suffix in ("", "_low", "_high")}
