"""Numbers and names as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1", "l0": "L0"}
DOMAINS = {"uint8": "8-bit images", "float": "float images"}
KNOWLEDGE = {
    "oblivious": "does not know of the defense",
    "black-box": "sees its answers only",
    "white-box": "differentiates it as it runs",
    "adaptive": "works around the defense",
}
NOTHING = "–"
UNQUIET = "‡"  # beside a time that its flags make doubtful
DOUBTFUL = f"{UNQUIET} a doubtful time: it drifted, scattered or was disturbed."
LOST = 0.1  # robust accuracy below which we say that nothing is left
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """Return text without control characters: a terminal obeys them, and so do right-to-left marks on a page."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text))


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def is_missing(value: object) -> bool:
    """Return whether a frame's value is empty."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def without_parameters(label: str) -> str:
    """Return an attack as it is named, without what it was given: the whole label stands elsewhere."""
    return re.sub(r"\[[^\]]*\]", "", label)


def level(row: Mapping[str, Any], name: str) -> str:
    """Return a leaderboard's figure of one kind of attacker with its interval, and of how many images where fewer."""
    images = int(row[f"{name}_samples"])
    if not images:
        return NOTHING
    ends = interval(row[f"{name}_low"], row[f"{name}_high"])
    return f"{percent(row[name])} ({ends}{f'; {images:,} images' if images < row['samples'] else ''})"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in [0, 1] as per cent."""
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def interval(low: float, high: float) -> str:
    """Return the ends of an interval of shares, in per cent."""
    return "" if math.isnan(low) or math.isnan(high) else f"{100 * low:.1f}–{100 * high:.1f}"


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits."""
    if value is None or math.isnan(value):
        return NOTHING
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def ratio(value: float | None) -> str:
    """Return how many times something is of another: no digit that a repetition would change."""
    return f"{value:.2f}" if value is not None and 0.01 <= abs(value) < 10 else figure(value)


def unquiet(flags: object) -> str:
    """Return the mark of a doubtful time, "" for one that was taken in quiet.

    Parameters
    ----------
    flags : as the leaderboard has them, such as "tainted drift"
    """
    return "" if is_missing(flags) else UNQUIET


def note_of_unquiet(rows: Sequence[Mapping[str, Any]], *names: str) -> str:
    """Return what the mark of ``unquiet`` means, with the flags that some rows have in these columns; "" for none."""
    flags = dict.fromkeys(flag for row in rows for name in names for flag in str(row[name]).split())
    told = ", ".join(flag.replace("_", " ") for flag in flags)
    return f"{UNQUIET} a doubtful time ({told})." if told else ""


def size(value: float | None) -> str:
    """Return bytes with a unit, decimal prefixes."""
    return _scaled(value, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)), " B")


def amount(value: float | None) -> str:
    """Return a count with a prefix: 9.4 M."""
    return _scaled(value, (("G", 1e9), ("M", 1e6), ("k", 1e3)), "")


def with_unit(value: float | None, unit: str) -> str:
    """Return a figure of cost with its unit, bytes and counts with a prefix; a ratio has none."""
    if unit == "B":
        return size(value)
    if unit == "MAC":
        return f"{amount(value)} MAC"
    return f"{figure(value)} {unit}".removesuffix(" 1").rstrip()


def _scaled(value: float | None, units: tuple[tuple[str, float], ...], unit: str) -> str:
    if value is None or math.isnan(value):
        return NOTHING
    for name, factor in units:
        if abs(value) >= factor:
            return f"{figure(value / factor)} {name}"
    return f"{value:.0f}{unit}"


def over_twin(row: Mapping[str, Any]) -> str:
    """Return what a row of the leaderboard keeps more than the undefended network, in points with an interval."""
    value, low, high = (f"{100 * row[name]:+z.1f}" for name in ("twin_difference", "twin_low", "twin_high"))
    return f"{value} points ({low} to {high}) over undefended"


def bracket(row: Mapping[str, Any]) -> str:
    """Return what is proven and what attacks found of a leaderboard row, rounded outwards."""
    low = math.floor(1000 * row["certified"] + 1e-6) / 10
    high = math.ceil(1000 * (row["certified"] + row["bracket_width"]) - 1e-6) / 10
    on = "" if row["bracket_images"] == row["samples"] else f" of {count(int(row['bracket_images']), 'image')}"
    return f"certified {low:.1f} % ≤ true ≤ {high:.1f} % attacked{on}, width {high - low:.1f} points"


def radius(epsilon: float) -> str:
    """Return epsilon as it is written in the field: 0.3, 1.5, 8/255."""
    if math.isclose(epsilon, round(epsilon, 3), abs_tol=1e-9):
        return f"{epsilon:g}"
    steps = epsilon * 255
    return f"{round(steps)}/255" if math.isclose(steps, round(steps), abs_tol=1e-4) else f"{epsilon:.4g}"


def ball(setting: Mapping[str, Any]) -> str:
    """Return norm and radius: L∞ ≤ 0.3."""
    return f"{NORMS.get(setting['norm'], setting['norm'])} ≤ {radius(setting['epsilon'])}"


def threat(setting: Mapping[str, Any]) -> str:
    """Return the threat of a leaderboard row in words."""
    if not setting["norm"]:
        return "no attack run"
    targeted = ", targeted" if setting["targeted"] else ""
    domain = DOMAINS.get(setting["domain"], setting["domain"])
    return f"{ball(setting)}, {domain}{targeted}"


def setting_title(setting: Mapping[str, Any]) -> str:
    """Return the data set, network and threat of a leaderboard row."""
    return f"{setting['dataset']} · {setting['model']} · {threat(setting)}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return "1 image", "2 images"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def resolution(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return which differences between rows of a leaderboard may go undetected, "" where that is not known.

    Parameters
    ----------
    rows : of one setting; those that are ranked are compared, and where none is, those that were attacked
    """
    compared = [row for row in rows if row["status"] == "ranked"] or [row for row in rows if row["attacks"]]
    if len(compared) < 2 or is_missing(smallest := compared[0]["detectable_difference"]):
        return ""
    return f"With {len(compared)} rows, true differences below about {100 * smallest:.1f} points may go undetected."


def strongest(row: Mapping[str, Any]) -> str:
    """Return the attack that is the worst on most images of a row of the leaderboard."""
    name = without_parameters(row["strongest_attack"])
    share = percent(row["strongest_share"], 0)
    return f"strongest attack: {name} ({row['strongest_knowledge']}), worst on {share} of images"


def facts(row: Mapping[str, Any]) -> list[str]:
    """Return what is to be known of the robust accuracy of a leaderboard row beside its figure."""
    if not row["attacks"]:
        return []
    told = [strongest(row)] if row["strongest_attack"] else []
    told += [over_twin(row)] if not is_missing(row["twin_difference"]) else []
    told += [bracket(row)] if not is_missing(row["certified"]) else []
    if not is_missing(row["seed_spread"]):
        told.append(f"± {100 * row['seed_spread']:.1f} over {row['seeds']} seeds")
    return told


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: 4 h 12 min."""
    if seconds < 60:
        return f"{figure(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def moment(text: str) -> str:
    """Return a point in time to the minute, with its zone; what is no ISO time stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at:%Y-%m-%d %H:%M} {at.tzname() or '(zone unknown)'}"


def listed(names: list[str], last: str = "and") -> str:
    """Return "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""
