"""The result in a few plain sentences, from the leaderboard alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from bench.reporting import wording

Row = Mapping[str, Any]

BASELINE = "none"  # the name that the undefended model has everywhere
_GAP = 0.1  # difference between attackers that is worth a sentence


def sentences(rows: Sequence[Row]) -> list[Markup]:
    """Return what an engineer should know of one setting before reading any table; safe HTML.

    Parameters
    ----------
    rows : the leaderboard's rows of one setting, in its order
    """
    told = [
        _winner(rows),
        _secret(rows),
        _masked(rows),
        _price(rows),
        _control(rows),
        _unranked(rows),
        _resolution(rows),
    ]
    return [sentence for sentence in told if sentence]


def _names(rows: Sequence[Row]) -> Markup:
    return Markup(wording.listed([str(Markup("<strong>{}</strong>").format(row["defense"])) for row in rows]))


def _ranked(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == "ranked"]


def _leaders(rows: Sequence[Row]) -> list[Row]:
    return [row for row in _ranked(rows) if row["rank_low"] == 1]


def _winner(rows: Sequence[Row]) -> Markup:
    leaders = _leaders(rows)
    if not leaders:
        if not any(row["attacks"] for row in rows):
            return Markup("No attack was run here: only clean accuracy and cost are known.")
        return Markup("No defense is ranked here, so none of these numbers may be compared yet.")
    best = leaders[0]
    bare = next((row for row in rows if row["defense"] == BASELINE and row["attacks"]), None)
    against = ""
    if bare is not None and bare is not best:
        against = Markup("; the undefended model keeps {}").format(wording.percent(bare["robust_accuracy"]))
    of = Markup("of {} {} (95 % interval {} %), whichever of {} is the worst for each image").format(
        f"{best['samples']:,}",
        "image" if best["samples"] == 1 else "images",
        wording.interval(min(row["robust_low"] for row in leaders), max(row["robust_high"] for row in leaders)),
        wording.count(best["attacks"], "attack"),
    )
    if len(leaders) > 1 and best["robust_accuracy"] < wording.LOST:
        start = Markup("Nothing holds. No defense that is ranked here keeps more than {} ").format(
            wording.percent(best["robust_accuracy"])
        )
    elif len(leaders) > 1:
        lowest = min(row["robust_accuracy"] for row in leaders)
        start = Markup("{} lead, too close to tell apart: they keep between {} and {} ").format(
            _names(leaders), wording.percent(lowest), wording.percent(best["robust_accuracy"])
        )
    elif best["robust_accuracy"] < wording.LOST:
        start = Markup("Nothing holds. Even the best, {}, keeps only {} ").format(
            _names(leaders), wording.percent(best["robust_accuracy"])
        )
    else:
        start = Markup("{} holds best: it keeps {} ").format(_names(leaders), wording.percent(best["robust_accuracy"]))
    return start + of + against + "."


def _secret(rows: Sequence[Row]) -> Markup:
    """Name the defense that loses most where it is known; a transfer from another network tells nothing of that."""
    row = _furthest([row for row in rows if not row["oblivious_is_transfer"]], "oblivious")
    if row is None:
        return Markup("")
    return Markup(
        "<strong>{}</strong> profits most from not being known: it keeps {} against an attacker who takes the network "
        "for undefended, {} against one who knows the defense."
    ).format(row["defense"], wording.percent(row["oblivious"]), wording.percent(row["adaptive"]))


def _masked(rows: Sequence[Row]) -> Markup:
    """Name the defense that white-box attackers, who do not work around it, leave most of."""
    row = _furthest(rows, "white_box")
    if row is None:
        return Markup("")
    return Markup(
        "<strong>{}</strong> misleads most: all attacks on it as it runs, by gradients and by queries, leave {}, those "
        "that work around it {}."
    ).format(row["defense"], wording.percent(row["white_box"]), wording.percent(row["adaptive"]))


def _furthest(rows: Sequence[Row], level: str) -> Row | None:
    """Return the row whose figure under one attacker lies furthest above the adaptive one, if by enough."""
    known = [row for row in rows if not wording.is_missing(row[level]) and not wording.is_missing(row["adaptive"])]
    gaps = [row for row in known if row[level] - row["adaptive"] > _GAP]
    return max(gaps, key=lambda row: float(row[level] - row["adaptive"]), default=None)


def _price(rows: Sequence[Row]) -> Markup:
    """Say what the leaders cost: of clean accuracy first, which most defenses buy robustness with."""
    bare = next((row for row in rows if row["defense"] == BASELINE), None)
    told = []
    for row in _leaders(rows):
        if row["defense"] == BASELINE:  # what the others are measured in
            continue
        parts = [_clean_loss(row, bare)] if bare is not None else []
        if not wording.is_missing(row["latency_ratio"]):
            doubt = wording.unquiet(row["latency_ratio_flags"])
            parts.append(f"{wording.ratio(row['latency_ratio'])}{doubt} times the undefended latency")
        if not wording.is_missing(row["uplink_bytes"]):
            parts.append(f"{wording.size(row['uplink_bytes'])} of uplink an image")
        if parts := [part for part in parts if part]:
            told.append(Markup("<strong>{}</strong> costs {}").format(row["defense"], wording.listed(parts)))
    price = Markup("; ").join(told) + "." if told else Markup("")
    return price + f" {wording.DOUBTFUL}" if wording.UNQUIET in price else price


def _clean_loss(row: Row, bare: Row) -> str:
    """Return how much less a row answers rightly without attack than the undefended model, "" where not known."""
    own, undefended = row["clean_accuracy"], bare["clean_accuracy"]
    if wording.is_missing(own) or wording.is_missing(undefended):
        return ""
    points = f"{100 * (undefended - own):.1f}"
    lost = "no clean accuracy" if float(points) <= 0 else f"{points} points of clean accuracy"
    return f"{lost} ({wording.percent(own)}, undefended {wording.percent(undefended)})"


def _control(rows: Sequence[Row]) -> Markup:
    """Hold what multiplies the compute against the best that needs no more of it."""
    leanest = min((row["macs"] for row in rows if row["macs"] > 0), default=0.0)
    told = []
    for row in rows:
        if row["control"] in ("", BASELINE):  # what a row has over the undefended model stands beside it
            continue
        apart = "as much, as far as can be told"
        if row["control_low"] > 0 or row["control_high"] < 0:
            apart = f"{100 * abs(row['control_difference']):.1f} points {'more' if row['control_low'] > 0 else 'less'}"
        ends = f"{100 * row['control_low']:+.1f} to {100 * row['control_high']:+.1f}"
        told.append(
            Markup(
                "<strong>{}</strong> multiplies the compute by {}; among defenses that need no more, "
                "<strong>{}</strong> keeps most: {}, {} (95 % interval of the difference {})"
            ).format(
                row["defense"],
                wording.ratio(row["macs"] / leanest),
                row["control"],
                wording.percent(row["control_accuracy"]),
                apart,
                ends,
            )
        )
    return Markup(". ").join(told) + "." if told else Markup("")


def _unranked(rows: Sequence[Row]) -> Markup:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        if row["status"] != "ranked":
            status = f"gate {row['gates'].lower()} failed" if row["gates"] else row["status"]
            grouped.setdefault(status, []).append(row)
    told = [Markup("{} ({})").format(_names(members), status) for status, members in grouped.items()]
    return Markup("Not ranked: ") + Markup(", ").join(told) + "." if told else Markup("")


def _resolution(rows: Sequence[Row]) -> Markup:
    ranked = _ranked(rows)
    if len(ranked) < 2:
        return Markup("")
    images = max(row["samples"] for row in ranked)
    points = 100 * ranked[0]["detectable_difference"]
    return Markup(
        "With {} images and {} rows, true differences below about {} points may go undetected; what cannot be told "
        "apart shares ranks."
    ).format(f"{images:,}", len(ranked), f"{points:.1f}")
