"""Which row of one comparison is asked the same as which row of another, and why some cannot be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from bench.analysis.generations import current
from bench.analysis.groups import Replicate, Row, Seeds, Setting, alike, place_of, seeds_of
from bench.analysis.records import Record

Key: TypeAlias = tuple[Setting, str]  # and the defense's label
Matched: TypeAlias = tuple[Key | None, Key | None, str]  # before, after, what stands between them
_SHOWN = 8  # characters of a digest


def unattacked(record: Record) -> Setting:
    """Return the setting of what no attack has a part in: clean images and costs."""
    return Setting(*place_of(record), norm="", epsilon=0.0, domain="", targeted=False, budget="")


def clean_rows(records: Iterable[Record]) -> dict[Key, Row]:
    """Return one row per defense, network and data set; of each triple of seeds the clean record of most images."""
    found: dict[Key, dict[Seeds, Record]] = defaultdict(dict)
    for record in current(records):
        if record["kind"] == "clean" and record["status"] == "ok":
            known = found[unattacked(record), str(record["defense"]["label"])]
            seeds = seeds_of(record)
            if seeds not in known or record["samples"] > known[seeds]["samples"]:
                known[seeds] = record
    made = {}
    for key, by_seeds in found.items():
        any_of_them = next(iter(by_seeds.values()))
        parts = [Replicate(seeds, clean) for seeds, clean in sorted(by_seeds.items())]
        made[key] = Row(key[0], any_of_them["dataset"], any_of_them["defense"], parts)
    return made


def match(before: Iterable[Key], after: Iterable[Key]) -> list[Matched]:
    """Return the keys of both sides in pairs, those of one side alone last.

    Notes
    -----
    What is asked in the same way is a pair. Of the rest, what agrees in data set, network, norm and defense by name is
    a pair that cannot be compared, the likest first, and says why; what then has no partner stands alone.
    """
    left, right = set(before), set(after)
    pairs: list[Matched] = [(key, key, _nameless(key[0])) for key in sorted(left & right)]
    alone: dict[tuple[str, str, str, str], tuple[list[Key], list[Key]]] = defaultdict(lambda: ([], []))
    for side, keys in enumerate((left - right, right - left)):
        for setting, label in sorted(keys):
            alone[setting.dataset, setting.model, setting.norm, label][side].append((setting, label))
    for mine, theirs in alone.values():
        candidates = sorted((len(apart(a[0], b[0])), a, b) for a in mine for b in theirs)
        for _, a, b in candidates:
            if a in mine and b in theirs:
                mine.remove(a)
                theirs.remove(b)
                pairs.append((a, b, "; ".join(apart(a[0], b[0]))))
        pairs += [(a, None, "") for a in mine] + [(None, b, "") for b in theirs]
    return pairs


def apart(before: Setting, after: Setting) -> list[str]:
    """Return in what two settings differ, one clause each."""
    told = []
    for name, what in (("data", "other test images: fingerprint"), ("weights", "other classifier weights: digest")):
        a, b = getattr(before, name), getattr(after, name)
        if a != b:
            told.append(f"{what} {_short(a)} in A, {_short(b)} in B")
    if before.budget != after.budget:
        told.append(f"budget {before.budget or 'unknown'} in A, {after.budget or 'unknown'} in B")
    if before.epsilon != after.epsilon:
        told.append(f"epsilon {before.epsilon:.4g} in A, {after.epsilon:.4g} in B")
    if before.domain != after.domain:
        told.append(f"domain {before.domain} in A, {after.domain} in B")
    if before.targeted != after.targeted:
        told.append("targeted in one of them only")
    return told


def common(before: Row, after: Row, told: Callable[[Row], Collection[Seeds]]) -> tuple[Row, Row, str]:
    """Return two rows under the seeds that a figure is of in both, and why it cannot be compared, "" for no reason.

    Parameters
    ----------
    told : the seeds that the figure of a row is of; where one row has none of it, there is nothing to compare
    """
    sides = [sorted(told(row)) for row in (before, after)]
    if not all(sides):
        return before, after, ""
    pair = alike(before, after, told)
    if pair is None:
        named = [", ".join("/".join(map(str, seeds)) for seeds in side) for side in sides]
        return before, after, f"seeds (split/training/attack) {named[0]} in A, {named[1]} in B"
    a, b = pair
    for first, second in zip(a.replicates, b.replicates, strict=True):
        records = [_any(part) for part in (first, second)]
        if records[0] and records[1] and (why := held_fixed(records[0], records[1])):
            return a, b, why
    return a, b, ""


def held_fixed(before: Record, after: Record) -> str:
    """Return which of the things that a comparison holds fixed differs between two records, "" for none.

    Notes
    -----
    The data, the network and its weights are held fixed; the defense, the attacks and the libraries are what a
    comparison is about. Weights that the suite trained are named by what they were trained with.
    """
    for part, name, what in (
        ("dataset", "version", "version of the data set"),
        ("model", "version", "version of the network"),
        ("model", "digest", "other classifier weights: digest"),
    ):
        a, b = (str(record[part].get(name) or "") for record in (before, after))
        if a != b:
            return f"{what} {_short(a)} in A, {_short(b)} in B"
    return "" if before["model"].get("digest") else "no digest tells the classifier's weights"


def _nameless(setting: Setting) -> str:
    return "" if setting.data else "no fingerprint says that the test images are the same"


def _any(part: Replicate) -> Record | None:
    return part.clean or next(iter((*part.attacks, *part.elsewhere)), None)


def _short(text: str) -> str:
    return text[:_SHOWN] or "unknown"
