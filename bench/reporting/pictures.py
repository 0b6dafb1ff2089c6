"""Arrays as PNG pictures inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.analysis.records import Array, Record, decode_array
from bench.tasks.outcome import REJECTED

BUDGET_BYTES = 1_300_000  # of base64 text: leaves more than half of 3 MB to the rest of the page
_LARGEST = 128  # pixels; what is larger is thinned out, never smoothed: that would hide the perturbation


@dataclass(frozen=True)
class Strip:
    """One image in its four states.

    Attributes
    ----------
    images : (title, PNG as a data URI) in reading order
    fooled : the answer differs from the true label
    amplified : by how much the difference was multiplied
    """

    defense: str
    attack: str
    knowledge: str
    threat: dict[str, Any]
    number: int
    true_label: str
    answer: str
    fooled: bool
    amplified: float
    images: tuple[tuple[str, str], ...]


def strips(records: Iterable[Record]) -> list[Strip]:
    """Return one picture of each defense, by name: the strongest attacker's, a fooled image where there is one.

    Notes
    -----
    Pictures that cannot be read are left out: a page must not fail for one of them.
    """
    order = {"adaptive": 0, "white-box": 1, "black-box": 2, "oblivious": 3}
    chosen = [r for r in records if r["kind"] == "attack" and r["status"] == "ok" and r.get("pictures")]
    chosen.sort(
        key=lambda r: (
            not r.get("headline", False),
            order[r["knowledge"]],
            float((r.get("aggregates") or {}).get("accuracy") or 0.0),
            r["defense"]["label"],
            r["attack"]["label"],
        )
    )
    found: dict[str, Strip] = {}
    spent = 0
    for record in chosen:
        pictures = [picture for picture in record["pictures"] if isinstance(picture, Mapping)]
        if record["defense"]["label"] in found or not pictures:
            continue
        strip = _strip(record, min(pictures, key=lambda picture: not _is_wrong(picture)))
        cost = sum(len(uri) for _, uri in strip.images) if strip else 0
        if strip is not None and spent + cost <= BUDGET_BYTES:
            spent += cost
            found[strip.defense] = strip
    return sorted(found.values(), key=lambda strip: strip.defense)


def _strip(record: Record, picture: Mapping[str, Any]) -> Strip | None:
    try:
        clean, adversarial, defended = (_pixels(picture[name]) for name in ("clean", "adversarial", "defended"))
        if clean.shape != adversarial.shape:
            return None
        difference, factor = _difference(clean, adversarial)
        images = (
            ("clean", png(clean)),
            ("attacked", png(adversarial)),
            ("as the network sees it", png(defended)),
            (f"difference ×{factor:.3g}", png(difference)),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return Strip(
        defense=record["defense"]["label"],
        attack=record["attack"]["label"],
        knowledge=record["knowledge"],
        threat=record["threat"] | {"targeted": bool(record["threat"].get("targeted", False))},
        number=int(picture.get("image", 0)),
        true_label=str(picture.get("true_label", "")),
        answer="rejected" if picture.get("answer") == REJECTED else str(picture.get("answer", "")),
        fooled=_is_wrong(picture),
        amplified=factor,
        images=images,
    )


def _is_wrong(picture: Mapping[str, Any]) -> bool:
    return picture.get("answer") not in (picture.get("true_label"), REJECTED)


def _pixels(encoded: Mapping[str, Any]) -> Array:
    """Return (C, H, W) as uint8; floats are in [0, 1]."""
    array = decode_array(encoded)
    if array.ndim != 3 or array.shape[0] not in (1, 3) or not array.size:
        raise ValueError("no picture")
    if array.dtype != np.uint8:
        array = np.round(np.clip(np.nan_to_num(array.astype(np.float64)), 0.0, 1.0) * 255.0).astype(np.uint8)
    step = -(-max(array.shape[1:]) // _LARGEST)
    return array[:, ::step, ::step]


def _difference(clean: Array, adversarial: Array) -> tuple[Array, float]:
    """Return the difference around middle grey, multiplied so that the largest one reaches black or white."""
    delta = adversarial.astype(np.float64) - clean.astype(np.float64)
    largest = float(np.abs(delta).max())
    factor = 127.0 / largest if largest else 1.0
    return np.clip(np.round(127.5 + delta * factor), 0, 255).astype(np.uint8), factor


def png(array: Array) -> str:
    """Return a picture, uint8, (C, H, W), as a data URI."""
    from PIL import Image

    pixels = array[0] if array.shape[0] == 1 else np.moveaxis(array, 0, 2)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
