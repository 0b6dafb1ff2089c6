"""Write what cards of methods say from the entries of plugins: ``python docs/method_cards.py``.

A card is a page under docs/reference/methods. What stands between its two marks is made from the entry and from the
published comparisons, so that they cannot disagree; what is below is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.claims import in_words
from bench.plugins.entries import Attack, Defense
from bench.reporting import wording

FOLDER = Path(__file__).parent / "reference" / "methods"
REPORTS = Path(__file__).parent.parent / "reports"
SAID = Path(__file__).parent / "decisions" / "0015-what-the-published-comparisons-say.md"
START, END = "<!-- From the entry, by docs/method_cards.py -->", "<!-- By hand from here -->"
DEFENSES = ("bench_superiot", "bench_qusecnets", "bench_defed", "bench_baselines")
NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1", "l0": "L0", "": "any"}


def defenses() -> list[Defense]:
    """Return the entries of the suite's own defenses, the undefended model left out."""
    found = [entry for package in DEFENSES for entry in import_module(f"{package}.plugin").bench_defenses()]
    return [entry for entry in found if not entry.baseline]


def attacks(package: str) -> list[Attack]:
    """Return the attacks that a plugin offers, controls left out."""
    entries = import_module(f"{package}.plugin").bench_attacks()
    return [entry for entry in entries if isinstance(entry, Attack) and not entry.control]


def blocks() -> dict[str, str]:
    """Return name of a card -> what its entry says."""
    native = attacks("bench_native")
    own: dict[str, dict[str, Attack]] = {}  # card -> name -> attack
    for attack in (attack for entry in defenses() for attack in entry.adaptive_attacks):
        own.setdefault(_card_of(attack), {})[attack.name] = attack
    return {
        **{entry.name: _of_defense(entry) for entry in defenses()},
        "art": _table(attacks("bench_art")),
        "native": _table(entry for entry in native if entry.family != "detector-aware"),
        "detector-aware": _table(entry for entry in native if entry.family == "detector-aware"),
        **{name: _table(found.values()) for name, found in own.items()},
    }


def _card_of(attack: Attack) -> str:
    """Return the card of an attack that a defense brings: one for all norms."""
    return attack.name.removesuffix(f"-{attack.norm}")


def card(text: str, block: str) -> str:
    """Return a card with its entry's part made anew."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{block}\n{rest[rest.index(END) :]}"


def _of_defense(entry: Defense) -> str:
    claims = groupby(entry.published, key=lambda claim: claim.dataset)
    told = [f"{dataset}: {in_words(group)}" for dataset, group in claims] or ["none that could be read"]
    own = ", ".join(f"[`{attack.name}`]({_card_of(attack)}.md)" for attack in entry.adaptive_attacks)
    lines = [
        entry.summary,
        "",
        f"- **Source** (`bench cite {entry.name}`): {entry.source}",
        f"- **Claims on record**: {'; '.join(told)}",
        f"- **Trains** the classifier: {'yes' if entry.trains else 'no'}; "
        f"**fits** {'may be shipped' if entry.weights else 'nothing'}",
        f"- **Brings** attacks made for it: {own or 'none'}; a certificate: {'yes' if entry.certificate else 'no'}",
        *_published(entry.name),
    ]
    return "\n".join(lines)


def comparisons() -> list[str]:
    """Return the names of the published comparisons: a run of one's own may lie beside them."""
    return sorted(set(re.findall(r"<!-- \w+ of reports/(\w+),", SAID.read_text(encoding="utf-8"))))


def _published(defense: str) -> list[str]:
    """Return what the published comparisons say of a defense under their headline threats."""
    told = []
    for name in comparisons():
        rows = wording.rows_of(pd.read_csv(REPORTS / name / "leaderboard.csv"))
        for row in rows:
            if row["defense"].split("[")[0] == defense and row["headline"] and row["pool"] == "test":
                told.append(f"| [`{name}`](../../decisions/{SAID.name}) | {_figures(row)} |")
    if not told:
        return ["", "No published comparison has it yet."]
    titles = ("ours", "defense", "network", "ball", "clean", "oblivious", "white-box", "adaptive", "worst case (95 %)")
    return ["", f"| {' | '.join(titles)} |", f"| {' | '.join('---' for _ in titles)} |", *told]


def _figures(row: Mapping[str, Any]) -> str:
    shares = [wording.percent(row["clean_accuracy"])]
    shares += [wording.level(row, name) for name in ("oblivious", "white_box", "adaptive")]
    worst = f"{wording.percent(row['robust_accuracy'])} ({wording.interval(row['robust_low'], row['robust_high'])})"
    rank = "" if row["status"] == "ranked" else f", {row['status']}"
    return " | ".join([f"`{row['defense']}`", f"`{row['model']}`", wording.ball(row), *shares, worst + rank])


def _table(entries: Iterable[Attack]) -> str:
    """Return attacks with their sources, those of several norms in one line."""
    lines = ["| name | norm | asks for | what it does | source |", "| --- | --- | --- | --- | --- |"]

    def same(entry: Attack) -> tuple[str, ...]:
        return (entry.access, entry.summary, entry.source)

    grouped: dict[tuple[str, ...], list[Attack]] = {}
    for entry in entries:
        grouped.setdefault(same(entry), []).append(entry)
    for (access, summary, source), group in grouped.items():
        names = ", ".join(f"`{entry.name}`" for entry in group)
        norms = ", ".join(dict.fromkeys(NORMS[entry.norm] for entry in group))
        lines.append(f"| {names} | {norms} | {access} | {summary} | {source} |")
    return "\n".join(lines)


if __name__ == "__main__":
    for name, block in blocks().items():
        path = FOLDER / f"{name}.md"
        path.write_text(card(path.read_text(encoding="utf-8"), block), encoding="utf-8")
