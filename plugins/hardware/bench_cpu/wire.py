"""Count the bytes that really cross the borders of a deployment, beside what plain image files would take."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data import image_digests
from bench.deployment import INPUT, Deployment, Draws, Signal, Stage
from bench.hardware import Measurement
from bench.hardware.latency import nearest_rank
from bench_cpu.pipeline import Passage, Pipeline

Counts = NDArray[np.int64]
ENOUGH: Final = 1000  # images behind a figure of bytes
_BATCH: Final = 128
_CHECKED: Final = 8  # images on which each wire format must give what the default gives


@dataclass(frozen=True)
class Border:
    """What one node sends, in each of its stage's formats.

    Attributes
    ----------
    direction : "uplink" (to the server), "downlink" (from it) or "tee" (into or out of the secure part)
    default : the format that the stage sends unasked
    counts : format -> bytes of each image, int64, (N,)
    faults : format -> why it does not carry what the default carries
    """

    node: str
    direction: str
    default: str
    counts: dict[str, Counts]
    faults: dict[str, str]


def draws_of(images: Tensor, seed: int) -> Draws:
    """Return the draws of profiling for images in [0, 1]."""
    pixels = (images * 255.0).round().to(torch.uint8).cpu().numpy()
    return Draws.of("profile", seed, image_digests(pixels))


@torch.no_grad()
def borders(deployment: Deployment, images: Tensor, seed: int) -> list[Border]:
    """Return the bytes of every signal that leaves its placement, over all images.

    Notes
    -----
    The length of what ``encode`` returns, header included. Parts behind the last border are not computed.
    """
    pipeline = Pipeline(deployment, ())
    sending = [i for i, part in enumerate(pipeline.parts) if part.leaving]
    parts = pipeline.parts[: sending[-1] + 1] if sending else ()
    found: dict[str, Border] = {}
    for start in range(0, len(images), _BATCH):
        x = images[start : start + _BATCH]
        passage = Passage({INPUT: Signal(x, draws_of(x, seed))})
        for part in parts:
            part.run(passage)
            for node, stage in part.leaving.items():
                border = found.get(node)
                if border is None:
                    direction = _direction(part.subgraph.placement, part.destinations[node])
                    border = found[node] = Border(
                        node, direction, stage.wire_formats[0], {}, _faults(stage, passage.made[node])
                    )
                _count(border, stage, passage.made[node], passage.sent[node])
    return list(found.values())


def _direction(source: str, destinations: frozenset[str]) -> str:
    if source == "server":
        return "downlink"
    return "uplink" if "server" in destinations else "tee"


def _count(border: Border, stage: Stage, signal: Signal, sent: list[bytes]) -> None:
    payloads = {border.default: sent}
    for name in stage.wire_formats[1:]:
        if name not in border.faults:
            payloads[name] = stage.encode(signal, name)
    for name, found in payloads.items():
        lengths = np.array([len(payload) for payload in found], dtype=np.int64)
        border.counts[name] = np.concatenate([border.counts.get(name, lengths[:0]), lengths])


def _faults(stage: Stage, signal: Signal) -> dict[str, str]:
    """Return the formats that do not carry the default's signal: nobody counts bytes that would not suffice."""
    first = Signal(signal.x[:_CHECKED], signal.draws[:_CHECKED], {k: v[:_CHECKED] for k, v in signal.side.items()})
    truth = stage.decode(stage.encode(first), first)
    faults = {}
    for name in stage.wire_formats:
        try:
            arrived = stage.decode(stage.encode(first, name), first, name)
        except Exception as error:  # whatever a plugin's codec does
            faults[name] = f"does_not_decode: {type(error).__name__}"
            continue
        same = torch.equal(arrived.x, truth.x) and all(
            name_ in arrived.side and torch.equal(arrived.side[name_], value) for name_, value in truth.side.items()
        )
        if not same:
            faults[name] = "carries_another_signal_than_the_default"
    return faults


def byte_rows(deployment: Deployment, images: Tensor, seed: int) -> list[Measurement]:
    """Return uplink, downlink and secure-part bytes with their references and ratios."""
    found = borders(deployment, images, seed)
    few = ("fewer_than_1000_images",) if len(images) < ENOUGH else ()
    raw = int(np.prod(images.shape[1:]))
    rows = []
    for direction in ("uplink", "downlink", "tee"):
        of_kind = [border for border in found if border.direction == direction]
        if not of_kind and direction != "uplink":
            continue
        whole = raw if direction == "uplink" else None
        usual = " + ".join(dict.fromkeys(border.default for border in of_kind))
        sent = _summed(of_kind, "", len(images))
        rows += _rows(direction, usual, sent, _source(of_kind, ""), (*few, "default"), whole)
        for name in dict.fromkeys(name for b in of_kind for name in (*b.counts, *b.faults)):
            if all(name == border.default for border in of_kind if name in {*border.counts, *border.faults}):
                continue
            faults = tuple(f"{b.node}: {b.faults[name]}" for b in of_kind if name in b.faults)
            counts = None if faults else _summed(of_kind, name, len(images))
            rows += _rows(direction, name, counts, _source(of_kind, name), (*few, *faults), whole)
    if found and "device" in deployment.placements:
        for name, counts in references(images).items():
            rows += _rows("uplink", name, counts, "reference: the same images as a file, not sent by anybody", few, raw)
    return rows


def _summed(found: Sequence[Border], name: str, count: int) -> Counts:
    # A node without this format sends in its own default meanwhile.
    total = np.zeros(count, dtype=np.int64)
    for border in found:
        total += border.counts.get(name, border.counts[border.default])
    return total


def _source(found: Sequence[Border], name: str) -> str:
    if not found:
        return "no border to the server: nothing is sent up"
    nodes = ", ".join(border.node for border in found)
    return f"length of what encode returns at {nodes}, {'as sent' if not name else f'format {name}'}"


def _rows(
    direction: str, variant: str, counts: Counts | None, source: str, flags: tuple[str, ...], raw: int | None
) -> list[Measurement]:
    def row(quantity: str, statistic: str, value: float | None, unit: str, spread: float = 0.0) -> Measurement:
        known = value is not None and statistic == "mean"
        return Measurement(
            quantity=quantity,
            statistic=statistic,
            placement="device" if direction != "downlink" else "server",
            variant=variant,
            value=value,
            low=value - spread if known and value is not None else None,
            high=value + spread if known and value is not None else None,
            unit=unit,
            n=0 if counts is None else len(counts),
            provenance="counted",
            source=source,
            flags=flags,
        )

    quantity = f"{direction}_bytes"
    if counts is None:
        return [row(quantity, "mean", None, "B")]
    mean = float(counts.mean())
    spread = 1.96 * float(counts.std(ddof=1)) / math.sqrt(len(counts)) if len(counts) > 1 else 0.0
    rows = [
        row(quantity, "mean", mean, "B", spread),
        row(quantity, "p50", float(nearest_rank(counts, 0.5)), "B"),
        row(quantity, "p95", float(nearest_rank(counts, 0.95)), "B"),
        row(quantity, "max", float(counts.max()), "B"),
    ]
    if raw is not None:
        rows.append(row(f"{direction}_ratio", "mean", mean / raw, "1", spread / raw))
    return rows


def references(images: Tensor) -> dict[str, Counts]:
    """Return the bytes of each image as plain 8-bit pixels, these under DEFLATE, PNG, and JPEG of quality 75 and 90.

    Images of neither one nor three channels have no such files; only their pixels are counted, in the order C, H, W.
    """
    from PIL import Image

    pixels = (images * 255.0).round().to(torch.uint8).cpu().numpy()
    result: dict[str, Counts] = {"pixels": np.full(len(pixels), pixels[0].size, dtype=np.int64)}
    result["deflate"] = np.array([len(zlib.compress(p.tobytes(), 9)) for p in pixels], dtype=np.int64)
    if pixels.shape[1] not in (1, 3):
        return result
    pictures = [Image.fromarray(p[0] if len(p) == 1 else np.ascontiguousarray(p.transpose(1, 2, 0))) for p in pixels]

    def size(picture: Image.Image, kind: str, **options: int) -> int:
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        return buffer.tell()

    result["png"] = np.array([size(p, "PNG") for p in pictures], dtype=np.int64)
    for quality in (75, 90):
        sizes = [size(p, "JPEG", quality=quality) for p in pictures]
        result[f"jpeg-q{quality}"] = np.array(sizes, dtype=np.int64)
    return result
