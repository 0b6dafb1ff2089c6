"""The comparison as files: CSV, JSON, Markdown, records, page; each appears whole or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis import cells, detection, detector_ranks, leaderboard, reproduction, verdicts
from bench.analysis.generations import merge
from bench.analysis.records import Record
from bench.errors import UsageError
from bench.reporting import claims, costs, wording
from bench.reporting.wording import rows_of

if TYPE_CHECKING:
    import pandas as pd

_ADVICE = "Choose another folder with --out; finished cells are in the store, nothing is computed again."
_FORMULA = ("=", "+", "@", "\t", "\r")  # what spreadsheets execute when a cell begins with it


def prepare(out: Path) -> None:
    """Make the output folder and see that it can be written to.

    Raises
    ------
    UsageError : it cannot
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out, prefix=".bench-"):
            pass
    except OSError as error:
        raise _unwritable(out, error) from None


@contextmanager
def reserved(out: Path) -> Iterator[None]:
    """Hold the output folder; see ``bench.reporting.reserved``."""
    made = [folder for folder in (out, *out.parents) if not os.path.lexists(folder)]
    try:
        prepare(out)
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # what holds something stays, and what it lies in
                folder.rmdir()


def write(records: list[Record], out: Path, *, html: bool, command: str, cache: Path | None) -> dict[str, Path]:
    """Write everything; see ``bench.reporting.write``."""
    prepare(out)
    records = merge(records)
    board, every, detectors, judged = leaderboard(records), cells(records), detection(records), verdicts(records)
    claimed, ranks = reproduction(records), detector_ranks(records)
    claimed["differs"] = [claims.differs(row) for row in rows_of(claimed)]
    measured = costs.frame(records)
    texts = {
        "leaderboard.csv": as_csv(board),
        "leaderboard.json": as_json(board),
        "leaderboard.md": _board_markdown(board),
        "cells.csv": as_csv(every),
        "cells.json": as_json(every),
        "cells.md": _cells_markdown(every),
        "gates.csv": as_csv(judged),
        "records.jsonl": "".join(json_line(record) for record in records),
    }
    if len(detectors):
        texts |= {"detection.csv": as_csv(detectors), "detectors.csv": as_csv(ranks)}
    if len(measured):
        texts["costs.csv"] = as_csv(measured)
    if len(claimed):
        texts |= {"claims.csv": as_csv(claimed), "claims.md": _claims_markdown(claimed)}
    if html:
        from bench.plugins.registry import discover
        from bench.reporting.html import page
        from bench.reporting.sections import installed, render

        added = render(installed(), board, every)
        texts["index.html"] = page(
            records, board, every, detectors, ranks, judged, claimed, registry=discover(), command=command,
            cache=cache, added=added,
        )  # fmt: skip
    names = {"records.jsonl": "records", "index.html": "html"}
    written = {}
    for name, text in texts.items():
        written[names.get(name, name)] = write_whole(out / name, text)
    return written


def write_whole(path: Path, text: str, *, advice: str = "") -> Path:
    """Write a file so that readers see the old one or the new one, never a part.

    Parameters
    ----------
    advice : what to do where it cannot be written, for the error
    """
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            temporary = file.name
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise _unwritable(path, error, advice) from None
    return path


def _unwritable(path: Path, error: OSError, advice: str = "") -> UsageError:
    return UsageError(f"Cannot write the report to {path}: {error.strerror or error}. {advice or _ADVICE}")


def as_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV in which no cell is a formula."""
    safe = frame.copy()
    for name in safe.columns:
        if not _is_number(safe[name]):
            safe[name] = [f"'{v}" if isinstance(v, str) and v.startswith(_FORMULA) else v for v in safe[name]]
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _is_number(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "biuf"


def as_json(frame: pd.DataFrame) -> str:
    """Return a frame as a JSON list of rows; what is not a finite number is null."""
    rows = [{str(name): _scalar(value) for name, value in row.items()} for row in frame.to_dict("records")]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _scalar(value: object) -> object:
    import pandas as pd

    if value is None or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_line(record: Record) -> str:
    """Return a record as a line of ``records.jsonl``."""
    try:
        return json.dumps(record, sort_keys=True, allow_nan=False) + "\n"
    except ValueError:
        return json.dumps(_finite(record), sort_keys=True, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Return JSON without NaN and infinity, which other readers refuse."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def escaped(text: object) -> str:
    """Return text that Markdown prints as it is, on one line."""
    line = " ".join(wording.plain(text).split())
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "\\`"), ("[", "\\[")):
        line = line.replace(sign, instead)
    return line


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _board_markdown(board: pd.DataFrame) -> str:
    parts = ["# Leaderboard\n"]
    for _, group in board.groupby("setting", sort=False):
        parts.append(f"## {escaped(wording.setting_title(rows_of(group)[0]))}\n")
        titles = ["rank", "defense", "robust accuracy", "clean", "oblivious", "black-box", "white-box", "adaptive"]
        titles += ["strongest attack", "latency ×", "uplink", "status"]
        rows = []
        for row in rows_of(group):
            worst = (
                f"{wording.percent(row['robust_accuracy'])} ({wording.interval(row['robust_low'], row['robust_high'])})"
            )
            levels = [wording.level(row, level) for level in ("oblivious", "black_box", "white_box", "adaptive")]
            strongest = (
                f"{escaped(row['strongest_attack'])} ({row['strongest_knowledge']})" if row["strongest_attack"] else ""
            )
            status = row["status"] + (f" ({escaped(row['reasons'])})" if row["reasons"] else "")
            rows.append(
                [
                    row["rank"] or wording.NOTHING,
                    escaped(row["defense"]),
                    worst if row["attacks"] else wording.NOTHING,
                    wording.percent(row["clean_accuracy"]),
                    *levels,
                    strongest,
                    wording.ratio(row["latency_ratio"]) + wording.unquiet(row["latency_ratio_flags"]),
                    wording.size(row["uplink_bytes"]),
                    status,
                ]
            )
        parts.append(markdown_table(titles, rows))
        if told := wording.resolution(rows_of(group)):
            parts.append(f"{told}\n")
        if told := wording.note_of_unquiet(rows_of(group), "latency_ratio_flags"):
            parts.append(f"{told}\n")
    parts.append(
        "Robust accuracy is the share of all images answered correctly under the worst attack on each image; "
        "intervals are 95 %. Only rows with the whole ladder of attacks, adaptive ones included, are ranked.\n"
    )
    return "\n".join(parts)


def _claims_markdown(claimed: pd.DataFrame) -> str:
    rows = [[escaped(value) for value in claims.cells(row)] for row in rows_of(claimed)]
    return f"# Claims on record\n\n{claims.CAPTION}\n\n" + markdown_table(claims.TITLES, rows)


def _cells_markdown(every: pd.DataFrame) -> str:
    titles = [
        "data set",
        "network",
        "threat",
        "defense",
        "attack",
        "knowledge",
        "accuracy",
        "images",
        "status",
        "reason",
    ]
    rows = []
    for row in rows_of(every):
        threat = (
            f"{wording.NORMS.get(row['norm'], row['norm'])} {wording.radius(row['epsilon'])}" if row["norm"] else ""
        )
        name = row["attack"] or row["kind"]
        told = [row["dataset"], row["model"], threat, row["defense"], name, row["knowledge"]]
        last = [wording.percent(row["accuracy"]), str(row["samples"]), row["status"], row["reason"]]
        rows.append([escaped(value) for value in [*told, *last]])
    return "# Cells\n\n" + markdown_table(titles, rows)
