"""The result in a few plain sentences, from the leaderboard alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from bench.reporting import wording

Row = Mapping[str, Any]

BASELINE = "none"  # the name that the undefended model has everywhere
_LOST = 0.1  # robust accuracy below which we say that nothing is left
_GAP = 0.1  # difference between attackers that is worth a sentence


def sentences(rows: Sequence[Row]) -> list[Markup]:
    """Return what an engineer should know of one setting before reading any table; safe HTML.

    Parameters
    ----------
    rows : the leaderboard's rows of one setting, in its order
    """
    told = [_winner(rows), _blind(rows), _price(rows), _control(rows), _unranked(rows), _resolution(rows)]
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
        wording.interval(best["robust_low"], best["robust_high"]),
        wording.count(best["attacks"], "attack"),
    )
    if len(leaders) > 1 and best["robust_accuracy"] < _LOST:
        start = Markup("Nothing holds. No defense that is ranked here keeps more than {} ").format(
            wording.percent(best["robust_accuracy"])
        )
    elif len(leaders) > 1:
        lowest = min(row["robust_accuracy"] for row in leaders)
        start = Markup("{} lead, too close to tell apart: they keep between {} and {} ").format(
            _names(leaders), wording.percent(lowest), wording.percent(best["robust_accuracy"])
        )
    elif best["robust_accuracy"] < _LOST:
        start = Markup("Nothing holds. Even the best, {}, keeps only {} ").format(
            _names(leaders), wording.percent(best["robust_accuracy"])
        )
    else:
        start = Markup("{} holds best: it keeps {} ").format(_names(leaders), wording.percent(best["robust_accuracy"]))
    return start + of + against + "."


def _blind(rows: Sequence[Row]) -> Markup:
    """Name the defenses that look good only to an attacker who does not know them."""
    gaps = []
    for row in rows:
        weak = [row[level] for level in ("oblivious", "white_box") if not wording.is_missing(row[level])]
        if weak and not wording.is_missing(row["adaptive"]) and max(weak) - row["adaptive"] > _GAP:
            gaps.append((max(weak) - row["adaptive"], max(weak), row))
    if not gaps:
        return Markup("")
    _, apparent, row = max(gaps, key=lambda gap: gap[0])
    return Markup(
        "Knowing the defense matters most for <strong>{}</strong>: {} against an attacker who does not work around it, "
        "{} against one who does."
    ).format(row["defense"], wording.percent(apparent), wording.percent(row["adaptive"]))


def _price(rows: Sequence[Row]) -> Markup:
    told = []
    for row in _leaders(rows):
        if row["defense"] == BASELINE:  # what the others are measured in
            continue
        parts = []
        if not wording.is_missing(row["latency_ratio"]):
            parts.append(f"{wording.figure(row['latency_ratio'])} times the undefended latency")
        if not wording.is_missing(row["uplink_bytes"]):
            parts.append(f"{wording.size(row['uplink_bytes'])} of uplink an image")
        if parts:
            told.append(Markup("<strong>{}</strong> costs {}").format(row["defense"], wording.listed(parts)))
    return Markup("; ").join(told) + "." if told else Markup("")


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
                "<strong>{}</strong> multiplies the compute by {}; of what needs no more of it, <strong>{}</strong> "
                "keeps most: {}, {} (95 % interval of the difference {})"
            ).format(
                row["defense"],
                wording.figure(row["macs"] / leanest),
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
        "With {} images, differences under about {} points may not show; what cannot be told apart shares ranks."
    ).format(f"{images:,}", f"{points:.1f}")
