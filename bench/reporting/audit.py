"""An audit as a page to attach: tables of plain text, which Markdown, HTML and the terminal share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.analysis.audit import BROKEN, CERTIFIED, INCOMPLETE, UNBROKEN, Audit, Audited, Claimed, Finding
from bench.analysis.claims import in_words
from bench.analysis.records import KNOWLEDGE
from bench.analysis.rungs import Rung, Spent
from bench.reporting import wording

Cells = tuple[str, ...]
FAMILY: Final = ("dataset", "model", "norm", "domain", "budget")  # what one curve has in common
MOST: Final = 12  # attacks in the table of what broke what; the records have all
_COMPLAINTS: Final = ("fail", "warn")


@dataclass(frozen=True)
class Table:
    """A table of plain text.

    Attributes
    ----------
    columns : titles; those that end in a space hold numbers and are set to the right, the space is not printed
    notes : sentences below it
    """

    title: str
    columns: Cells
    rows: tuple[Cells, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """What is printed of one threat.

    Attributes
    ----------
    verdict : in words; of what is broken with what is left, which may be nearly all
    mark : of the style sheet, "pass", "warn" or "fail"
    sentences : the result in words, the verdict's reason first
    is_first : of the parts that share a curve
    """

    title: str
    verdict: str
    mark: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    setting: Mapping[str, Any]
    is_first: bool


def parts(audit: Audit) -> list[Part]:
    """Return what is printed of each threat, in order."""
    told, drawn = [], set()
    for found in audit.settings:
        family = tuple(found.line[name] for name in FAMILY)
        told.append(_part(audit, found, is_first=family not in drawn))
        drawn.add(family)
    return told


def _part(audit: Audit, found: Audited, *, is_first: bool) -> Part:
    tables = (
        _claims(found.claims, audit.source),
        _ladder(found),
        *([_radii(audit, found)] if is_first else []),
        _breakers(found),
        _detector(found.detectors),
        _gates(found.findings),
        _cost(found),
    )
    left = float(found.line["robust_accuracy"])
    mark = {UNBROKEN: "pass", CERTIFIED: "pass", INCOMPLETE: "warn"}.get(found.verdict, "fail")
    if found.verdict == BROKEN and left >= wording.LOST:
        mark = "warn"
    word = f"{BROKEN}, {wording.percent(left)} left" if found.verdict == BROKEN else found.verdict
    title = wording.setting_title(found.line)
    shown = tuple(table for table in tables if table.rows or table.notes)
    return Part(title, word, mark, tuple(_sentences(found)), shown, found.line, is_first)


def _sentences(found: Audited) -> Iterable[str]:
    line = found.line
    if line["reasons"]:
        yield f"{str(line['reasons']).rstrip('.')}."
    if line["attacks"] and not found.right:
        yield f"None of {wording.count(int(line['samples']), 'image')} is right without attack: none could be broken."
    if found.right:
        verb = "was" if found.broken == 1 else "were"
        seeds = f" under at least one of {line['seeds']} seeds" if line["seeds"] > 1 else ""
        yield (
            f"Of {wording.count(int(line['samples']), 'image')}, {found.right:,} are right without attack{seeds}; "
            f"{found.broken:,} of them {verb} broken by the worst attack on each{seeds}."
        )
    if not wording.is_missing(line["robust_accuracy"]):
        hedge = "" if found.is_settled else ", a number that is not to be relied upon"
        yield f"Robust accuracy: {_share(line, 'robust')}{hedge}."
    if not wording.is_missing(line["certified"]):
        yield f"{wording.bracket(line).capitalize()}."
        if line["certified_broken"]:
            yield f"The certificate is unsound: {int(line['certified_broken'])} certified images were broken."
    if not wording.is_missing(line["clean_accuracy"]):
        yield f"Clean accuracy: {_share(line, 'clean')}{_against_twin(found)}."
    if line["budget"]:
        yield f"Budget {line['budget']}, {wording.count(int(line['seeds']), 'seed')}; intervals are 95 %."


def _share(line: Mapping[str, Any], name: str) -> str:
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return f"{wording.percent(line[f'{name}_accuracy'])} ({wording.interval(low, high)})"


def _against_twin(found: Audited) -> str:
    moved = found.clean_change
    if moved is None:
        return ""
    return (
        f", {100 * moved.value:+.1f} points against the undefended model "
        f"({100 * moved.low:+.1f} to {100 * moved.high:+.1f}, {wording.count(moved.n, 'image')})"
    )


def _claims(claims: Sequence[Claimed], source: str) -> Table:
    rows = tuple((in_words([one.claim]), *(wording.percent(one.ours.get(k)) for k in KNOWLEDGE)) for one in claims)
    notes = [] if rows else ["No figure for this data set is on record."]
    notes += [f"Source: {source}."] if source else []
    notes += ["To the right: what attacks of that name leave here, as each attacker runs them."] if rows else []
    return Table("Claim on record", ("Claim", *(f"{level} " for level in KNOWLEDGE)), rows, tuple(notes))


def _ladder(found: Audited) -> Table:
    """Return the rungs, controls first, the worst case over all of them last."""
    line = found.line
    rows: list[Cells] = []
    clean = (wording.percent(line["clean_accuracy"]), wording.interval(line["clean_low"], line["clean_high"]))
    rows.append(("no attack", *clean, str(found.clean_images), "", "", ""))
    rows += [(f"control: {name}", wording.percent(share), "", "", "", "", "") for name, share in found.controls]
    rows += [_rung(rung) for rung in found.rungs]
    if not wording.is_missing(line["robust_accuracy"]):
        worst = (wording.percent(line["robust_accuracy"]), wording.interval(line["robust_low"], line["robust_high"]))
        attacks = wording.count(int(line["attacks"]), "attack")
        rows.append(("worst of all", *worst, str(int(line["samples"])), attacks, *_asked(found.spent)))
    gaps = [f"{rung.name}: {gap}" for rung in found.rungs for gap in rung.gaps]
    transfer = line["oblivious_is_transfer"] and any(r.name == "oblivious" and r.share for r in found.rungs)
    notes = ["Oblivious attacks were made on another network, since the defense trains its own."] if transfer else []
    notes += ["Evaluations are of images; those of the last line include controls and probes of gates."]
    return Table(
        "The ladder",
        ("Attacker", "Right ", "Interval ", "Images ", "Attacks", "Forward ", "Gradient "),
        tuple(rows),
        (*notes, *gaps),
    )


def _rung(rung: Rung) -> Cells:
    if rung.share is None:
        return (rung.name, "no number" if rung.gaps else "not run", "", "", "", *_asked(rung.spent))
    share = (wording.percent(rung.share.value), wording.interval(rung.share.low, rung.share.high))
    return (rung.name, *share, str(rung.share.n), ", ".join(rung.attacks), *_asked(rung.spent))


def _asked(spent: Spent) -> tuple[str, str]:
    return (wording.amount(spent.forward), wording.amount(spent.gradient))


def _radii(audit: Audit, found: Audited) -> Table:
    """Return accuracy at every radius that was run, of the defense and of the undefended model."""
    swept = [
        line
        for line in audit.curve
        if line["source"] == "swept" and all(line[name] == found.line[name] for name in FAMILY)
    ]
    radii = sorted({line["epsilon"] for line in swept})
    defenses = sorted({line["defense"] for line in swept}, key=lambda name: (name != audit.defense, name))
    if len(radii) < 2:
        return Table("Accuracy against epsilon", (), ())
    told = {
        (line["epsilon"], line["defense"]): f"{wording.percent(line['accuracy'])} "
        f"({wording.interval(line['low'], line['high'])})"
        for line in swept
    }
    rows = tuple((wording.radius(e), *(told.get((e, name), wording.NOTHING) for name in defenses)) for e in radii)
    return Table("Accuracy against epsilon", ("Radius ", *(f"{name} " for name in defenses)), rows)


def _breakers(found: Audited) -> Table:
    harmful = [one for one in found.breakers if one.broken]
    rows = tuple(
        (one.attack, one.knowledge, f"{one.broken:,}", f"{one.alone:,}", f"{one.images:,}") for one in harmful[:MOST]
    )
    notes = [] if rows else ["No attack broke an image."]
    if len(harmful) > MOST:
        notes.append(f"{len(harmful) - MOST} more break some; at most {max(b.broken for b in harmful[MOST:]):,} each.")
    idle = len(found.breakers) - len(harmful)
    notes += [f"{wording.count(idle, 'attack')} broke nothing."] if idle and rows else []
    columns = ("Attack", "Attacker", "Breaks ", "It alone ", "Tried on ")
    return Table("What broke what", columns, rows, tuple(notes))


def _detector(lines: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("Attack", "Attacker", "Detected ", "Interval ", "Images ", "At 5 % FPR ", "At 1 % FPR ", "AUROC ")
    rows = tuple(
        (
            str(line["attack"]),
            "nobody" if line["control"] else str(line["knowledge"]),
            wording.percent(line["detected"]),
            wording.interval(line["detected_low"], line["detected_high"]),
            str(line["images"]),
            wording.percent(line["detected_at_5"]),
            wording.percent(line["detected_at_1"]),
            wording.figure(line["auroc"]),
        )
        for line in lines
    )
    if not lines:
        return Table("Detector", columns, ())
    first, shifted = lines[0], any(line["control"] for line in lines)
    alarms = f"{wording.percent(first['false_positives'])} " + (
        f"({wording.interval(first['false_positives_low'], first['false_positives_high'])})"
    )
    return Table(
        "Detector",
        columns,
        rows,
        (
            f"Of {first['clean_images']:,} clean images it detects {alarms}.",
            *(["Where nobody attacks, the shift is harmless and a detection a false alarm."] if shifted else []),
            "Detection is shown and not counted: what counts is whether an image is answered rightly in the end.",
        ),
    )


def _gates(findings: Sequence[Finding]) -> Table:
    noted = [one for one in findings if one.outcome in _COMPLAINTS]
    rows = tuple(
        (one.outcome if one.bars or one.outcome != "fail" else "fail, bars nothing", one.gate, one.where, one.evidence)
        for one in noted
    )
    told = {one.gate for one in noted}
    notes = []
    for outcome, what in (("pass", "Passed"), ("n/a", "Did not apply")):
        names = dict.fromkeys(one.gate for one in findings if one.outcome == outcome and one.gate not in told)
        told |= set(names)
        notes += [f"{what}: {', '.join(names)}."] if names else []
    return Table("Gates that failed or warn", ("Outcome", "Gate", "Where", "Evidence"), rows, tuple(notes))


def _cost(found: Audited) -> Table:
    line = found.line
    unquiet = [wording.unquiet(line[name]) for name in ("latency_ratio_flags", "latency_flags")]
    measured = {
        "latency_ratio": f"{wording.ratio(line['latency_ratio'])}×{unquiet[0]} the undefended model{_between(line)}",
        "device_ms": f"{wording.figure(line['device_ms'])}{unquiet[1]} ms on the device",
        "server_ms": f"{wording.figure(line['server_ms'])}{unquiet[1]} ms on the server",
        "uplink_bytes": f"{wording.size(line['uplink_bytes'])} of uplink an image",
        "macs": f"{wording.amount(line['macs'])} multiply-accumulates an image",
        "model_bytes": f"{wording.size(line['model_bytes'])} of weights",
        "energy_mj": f"{wording.figure(line['energy_mj'])} mJ an image",
    }
    rows = tuple(
        (text, found.provenance.get(name, ""), str(line["hardware"]))
        for name, text in measured.items()
        if not wording.is_missing(line[name])
    )
    note = wording.note_of_unquiet([line], "latency_ratio_flags", "latency_flags")
    notes = () if rows else ("No cost was measured.",)
    return Table("Cost", ("Figure", "How", "On"), rows, (note,) if note else notes)


def _between(line: Mapping[str, Any]) -> str:
    low, high = line["latency_ratio_low"], line["latency_ratio_high"]
    return "" if wording.is_missing(low) or wording.is_missing(high) else f" ({low:.2f}–{high:.2f})"
