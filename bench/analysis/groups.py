"""Which records are compared with which: settings, and within each the rows of the leaderboard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bench.analysis.generations import current
from bench.analysis.records import NORMS, Record
from bench.analysis.statistics import Values, pooled
from bench.analysis.worst_case import (
    Candidate,
    Tried,
    WorstCase,
    at_epsilon,
    attack_candidate,
    clean_candidate,
    evened,
    worst_cases,
)

Seeds = tuple[int, int, int]


@dataclass(frozen=True, order=True)
class Setting:
    """What must be equal for numbers to be compared.

    Attributes
    ----------
    data, weights : tell apart data sets and users' own weights of the same label
    norm : "" where no attack was run
    """

    dataset: str
    data: str
    model: str
    weights: str
    norm: str
    epsilon: float
    domain: str
    targeted: bool
    budget: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Return what clean and cost records share with attack records: the data and the network."""
        return (self.dataset, self.data, self.model, self.weights)


@dataclass
class Replicate:
    """One defense under one triple of seeds.

    Attributes
    ----------
    attacks : every attack record of the setting, whatever its status, controls included
    elsewhere : minimum-norm records of the same threat at other radii
    certificate : what the defense's own certificate says in the setting, whatever its status
    probes : attacks that were run for a gate's sake, under the same norm at radii of their own
    """

    seeds: Seeds
    clean: Record | None = None
    attacks: list[Record] = field(default_factory=list)
    elsewhere: list[Record] = field(default_factory=list)
    certificate: Record | None = None
    probes: list[Record] = field(default_factory=list)

    def clean_candidate(self) -> Candidate | None:
        """Return the clean images, None where they were not judged."""
        return clean_candidate(self.clean) if self.clean is not None and self.clean["status"] == "ok" else None

    def candidates(self, setting: Setting, clean: Values, knowledge: str = "") -> list[Candidate]:
        """Return what each attack found, of one knowledge or of all; never a control."""
        chosen = [r for r in self.attacks if counts(r) and knowledge in ("", r["knowledge"])]
        found = [attack_candidate(record) for record in chosen]
        if not self.randomised:
            have = {(record["attack"]["label"], record["knowledge"]) for record in chosen}
            for record in self.elsewhere:
                name = (record["attack"]["label"], record["knowledge"])
                if name not in have and knowledge in ("", record["knowledge"]):
                    have.add(name)
                    found.append(at_epsilon(record, clean, setting.epsilon))
        return found

    @property
    def rejected(self) -> float | None:
        """Return the share of answers to clean images that were refusals, None where nothing may be refused."""
        share = (self.clean or {}).get("evidence", {}).get("rejected")
        return None if share is None else float(share)

    @property
    def randomised(self) -> bool:
        """Whether answers were drawn more than once."""
        known = [r for r in (self.clean, *self.attacks) if r is not None and r["status"] == "ok"]
        return any(int((r.get("draws") or {}).get("score", 1)) > 1 for r in known)


@dataclass
class Row:
    """One defense in one setting, with a replicate for each triple of seeds.

    Attributes
    ----------
    dataset, defense : as a record shows them
    """

    setting: Setting
    dataset: dict[str, Any]
    defense: dict[str, Any]
    replicates: list[Replicate]
    headline: bool = False

    @property
    def label(self) -> str:
        """Return the defense with its parameters, as it was asked for."""
        return str(self.defense["label"])

    @property
    def pool(self) -> str:
        """Return where the images are from: "test", or a pool of training images."""
        return str(self.dataset.get("pool", "test"))

    @property
    def refuses(self) -> bool:
        """Whether the deployment may refuse to answer."""
        return any(part.rejected is not None for part in self.replicates)

    def met(self, knowledge: str = "") -> dict[Seeds, Tried]:
        """Return of each triple of seeds that was attacked the clean images and what each attack found.

        Notes
        -----
        Of one knowledge, where attacks that not all seeds met tell: of the seeds that met the most of these.
        """
        found: dict[Seeds, Tried] = {
            part.seeds: (clean, attacks)
            for part in self.replicates
            if (clean := part.clean_candidate()) is not None
            and (attacks := part.candidates(self.setting, clean.scored, knowledge))
        }
        return evened(found) if knowledge else found

    def tried(self, knowledge: str = "") -> list[Tried]:
        """Return what ``met`` has, without the seeds."""
        return list(self.met(knowledge).values())

    def judged(self) -> list[Seeds]:
        """Return the triples of seeds of which clean images were judged."""
        return [part.seeds for part in self.replicates if part.clean_candidate() is not None]

    def worst_cases(self, knowledge: str = "") -> list[WorstCase]:
        """Return of each of ``tried`` the worst case, on the images that it is known of under all seeds."""
        return worst_cases(self.tried(knowledge))

    def left(self, knowledge: str = "") -> Values | None:
        """Return what attackers of one knowledge, or all, leave right of each image that this is known of.

        Returns
        -------
        float64, (n,), mean over seeds; None where no attack gave a number
        """
        cases = self.worst_cases(knowledge)
        return pooled([case.shares for case in cases]) if cases else None

    @cached_property
    def worst_shares(self) -> Values | None:
        """Return what all attackers together leave right, as ``left`` has it."""
        return self.left()

    @property
    def records(self) -> list[Record]:
        """Return every record behind the row."""
        return [r for part in self.replicates for r in (part.clean, *part.attacks) if r is not None]


def alike(row: Row, other: Row, told: Callable[[Row], Collection[Seeds]]) -> tuple[Row, Row] | None:
    """Return two rows under the seeds that a figure is of in both, in the same order; None where they share none.

    Another seed may be another network, which is no twin of this one.

    Parameters
    ----------
    told : the seeds that the figure of a row is of
    """
    seen = [one.seeds for one in (*row.replicates, *other.replicates)]
    common = set(told(row)) & set(told(other))
    if not common:
        return None
    first, second = (
        replace(one, replicates=sorted((p for p in one.replicates if p.seeds in common), key=lambda p: p.seeds))
        for one in (row, other)
    )
    return (first, second) if common.issuperset(seen) else alike(first, second, told)  # of fewer it may be of fewer


def counts(record: Record) -> bool:
    """Return whether an attack record may lower a number."""
    return record["status"] == "ok" and not record["attack"].get("control", False) and not record.get("probe")


def place_of(record: Record) -> tuple[str, str, str, str]:
    """Return the data and the network of a record; a user's own weights are a network of their own."""
    dataset, model = record["dataset"], record["model"]
    own = str(model.get("digest") or "") if model.get("weights") == "user" else ""
    return (str(dataset["label"]), str(dataset.get("fingerprint") or ""), str(model["label"]), own)


def setting_of(record: Record) -> Setting:
    """Return the setting of an attack's or a certificate's record."""
    threat = record["threat"]
    return Setting(
        *place_of(record),
        norm=str(threat["norm"]),
        epsilon=float(threat["epsilon"]),
        domain=str(threat["domain"]),
        targeted=bool(threat.get("targeted", False)),
        budget=str(record.get("budget", "")),
    )


def seeds_of(record: Record) -> Seeds:
    """Return the seeds of a record: split, training, attack."""
    seeds = record["seeds"]
    return (int(seeds["split"]), int(seeds["training"]), int(seeds["attack"]))


def rows(records: Iterable[Record]) -> list[Row]:
    """Return every row of every setting, headline settings first, then by data set, network and threat.

    A defense that was judged clean but not attacked in a setting still has a row there: a comparison shows its holes.
    """
    known = current(records)
    evasion = [r for r in known if r["kind"] in ("clean", "attack")]
    attacks = [r for r in evasion if r["kind"] == "attack"]
    proofs = [r for r in known if r["kind"] == "certificate"]
    settings = {setting_of(record) for record in attacks if not record.get("probe")}
    for record in evasion:
        if not any(setting.place == place_of(record) for setting in settings):
            settings.add(Setting(*place_of(record), "", 0.0, "", False, str(record.get("budget", ""))))
    found = [row for setting in settings for row in _rows_of(setting, evasion, proofs)]
    leading = {row.setting for row in found if row.headline}

    def order(row: Row) -> tuple[object, ...]:
        setting = row.setting
        norm = NORMS.index(setting.norm) if setting.norm in NORMS else len(NORMS)
        return (setting not in leading, setting.place, norm, setting.domain != "uint8", setting, row.label)

    return sorted(found, key=order)


def _rows_of(setting: Setting, evasion: list[Record], proofs: list[Record]) -> list[Row]:
    here = [record for record in evasion if place_of(record) == setting.place]
    by_defense: dict[str, Row] = {}
    parts: dict[tuple[str, Seeds], Replicate] = {}
    for record in here:
        threat = setting_of(record) if record["kind"] == "attack" else None
        label, seeds = str(record["defense"]["label"]), seeds_of(record)
        row = by_defense.setdefault(label, Row(setting, record["dataset"], record["defense"], []))
        if (label, seeds) not in parts:
            parts[label, seeds] = Replicate(seeds)
            row.replicates.append(parts[label, seeds])
        part = parts[label, seeds]
        if threat is None:
            part.clean = _better(part.clean, record, setting)
        elif record.get("probe"):
            if _same_but_epsilon(threat, setting):
                part.probes.append(record)
        elif threat == setting:
            part.attacks.append(record)
            row.headline = row.headline or bool(record.get("headline", False))
        elif _same_but_epsilon(threat, setting) and counts(record) and record["attack"].get("minimum_norm", False):
            part.elsewhere.append(record)
    for record in proofs:
        name = (str(record["defense"]["label"]), seeds_of(record))
        if name in parts and setting_of(record) == setting:
            parts[name].certificate = _better(parts[name].certificate, record, setting)
    for row in by_defense.values():
        attacked = [part for part in row.replicates if part.attacks or part.elsewhere]
        row.replicates = sorted(attacked or row.replicates, key=lambda part: part.seeds)
        for part in row.replicates:
            part.attacks.sort(key=lambda r: (r["attack"]["label"], r["knowledge"], r["cell_id"]))
            part.probes.sort(key=lambda r: (r["probe"], r["attack"]["label"], r["cell_id"]))
            part.elsewhere.sort(key=lambda r: (abs(r["threat"]["epsilon"] - setting.epsilon), r["cell_id"]))
    return list(by_defense.values())


def _same_but_epsilon(first: Setting, second: Setting) -> bool:
    return (first.place, first.norm, first.domain, first.targeted, first.budget) == (
        second.place,
        second.norm,
        second.domain,
        second.targeted,
        second.budget,
    )


def _better(known: Record | None, record: Record, setting: Setting) -> Record:
    """Prefer what was judged, then the setting's own budget, then more images."""

    def merit(candidate: Record) -> tuple[bool, bool, int]:
        own = str(candidate.get("budget", "")) == setting.budget
        return (candidate["status"] == "ok", own, int(candidate.get("samples", 0)))

    return record if known is None or merit(record) > merit(known) else known
