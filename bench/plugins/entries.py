"""What a plugin's hook returns: frozen descriptions, without torch; the implementation is imported in a worker.

``factory`` is ``"package.module:callable"``. It is called with the entry's parameters as keyword arguments and
returns the object named in each class below (protocols: ``bench.deployment``, ``bench.attack``, ``bench.training``,
``bench.data``, ``bench.hardware``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from bench.plugins.parameters import Parameter, Value

Track = Literal["evasion", "protection"]
Norm = Literal["linf", "l2", "l1", "l0"]
Access = Literal["gradient", "score", "decision", "none"]
Knowledge = Literal["oblivious", "black-box", "white-box", "adaptive"]
BudgetName = Literal["quick", "standard"]
GateScope = Literal["cell", "clean", "attack", "row"]
Shape = tuple[int, int, int]  # of an image: channels, height, width
Quantity = Literal["accuracy", "clean accuracy", "detection rate", "gain"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What all plugins say of themselves.

    Attributes
    ----------
    name : as users type it; lower case, digits and dashes
    version : the entry's own semantic version; raise it when its numbers change
    requires : distributions, such as "cma>=3"; where one is missing the entry is listed as unavailable
    preload : modules that are slow to import, imported once before workers are forked; they must not need the task
    api : version of this contract
    """

    name: str
    factory: str
    summary: str
    source: str = ""
    version: str = "1"
    family: str = ""
    parameters: tuple[Parameter, ...] = ()
    requires: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    api: str = "1"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A figure that a source gives of a defense; reports set it beside ours, no computation uses it.

    What the source does not state stays at its default, and reports say so.

    Attributes
    ----------
    text : the figure, in the source's words
    dataset : "" for any
    value : the figure as a share in [0, 1]; None where it is a range, or of a unit that is not stated
    quantity : what it is of: accuracy under attack, accuracy without, share of attacked images detected, or how much
        more accuracy under attack than the undefended model has
    attack : as the field calls it: "pgd" is met by "pgd-linf" and "pgd-l2"
    norm, epsilon : the radius; None where the attack looks for the smallest perturbation, too
    knowledge : of the attacker
    model : the classifier
    parameters : of the defense
    conditions : what else one must know to read the figure, and where it stands
    """

    text: str
    dataset: str = ""
    value: float | None = None
    quantity: Quantity = "accuracy"
    attack: str = ""
    norm: Norm | Literal[""] = ""
    epsilon: float | None = None
    knowledge: Knowledge | Literal[""] = ""
    model: str = ""
    parameters: tuple[tuple[str, Value], ...] = ()
    conditions: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what is stated, as a record holds it."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in told.items() if value not in ("", None, ())} | (
            {"parameters": dict(self.parameters)} if self.parameters else {}
        )


@dataclass(frozen=True, kw_only=True)
class Defense(Entry):
    """A defense; its factory returns a ``bench.deployment.Defense``.

    Attributes
    ----------
    trains : its ``fit`` trains the classifier, so the twin is another network (oblivious numbers are a transfer)
    baseline : the undefended deployment, with which all are compared and which is part of every run; there is exactly
        one a track
    transfers : what is found on it is tried on every other defense of a run too, as by an attacker who may ask those
        nothing; of use where its gradients are smooth and so point where others' do
    published : figures that its source gives
    weights : "package:folder" of shipped fits and their cards (``bench fit``), "" for none
    checked_with : parameters that ``bench check`` uses in place of the defaults, where a whole fit would take minutes:
        a contract is kept by a poor fit as well as by a good one
    adaptive_attacks : attacks made for it, run on it alone wherever adaptive attacks are; ``surface.deployment`` shows
        them its stages
    certificate : "package.module:callable" for a sound bound, "" for none; it is called as ``bench.attack.Certify``
        says, for each threat, and what it cannot say is shown as skipped, with its reason
    check : "package.module:callable" that is called with the parameters, a mapping, and the shape of the images while
        a run is planned, "" for none. It raises ``bench.errors.UsageError`` where they do not go together, with what is
        wrong and what to do; then nothing is run. The shape is None where it is not known yet: what is wrong whatever
        the images is said then. Its module is imported in the process of the command: it must be quick to import,
        and need no torch
    """

    track: Track = "evasion"
    weights: str = ""
    checked_with: tuple[tuple[str, Value], ...] = ()
    trains: bool = False
    baseline: bool = False
    transfers: bool = False
    published: tuple[Claim, ...] = ()
    adaptive_attacks: tuple[Attack, ...] = ()
    certificate: str = ""
    check: str = ""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How an attack is run under one budget.

    Attributes
    ----------
    parameters : overrides of the entry's defaults
    block : images a task; fixed, since results of attacks that couple images depend on it
    samples : images attacked at most; 0 is all that the run asks for
    seconds : rough cost of one block on one core, before there are records to learn from
    timeout_s : a task that takes longer is stopped and recorded as timed out
    """

    parameters: tuple[tuple[str, bool | int | float | str], ...] = ()
    block: int = 128
    samples: int = 0
    seconds: float = 5.0
    timeout_s: float = 1800.0


@dataclass(frozen=True, kw_only=True)
class Attack(Entry):
    """An attack; its factory returns a ``bench.attack.Attack``.

    Attributes
    ----------
    norm : of the threat under which it counts; "" for controls, which run under every threat
    access : what it asks of the surface
    minimum_norm : it looks for the smallest perturbation; success at epsilon means distance <= epsilon
    core : its place on the fixed ladder of a threat ("fgsm", "pgd-ce", "apgd-dlr", "square"), or that of deployments
        that may refuse ("detector-aware"); else ""
    control : checks the harness or a detector ("null", "noise", "jpeg-shift"), never part of the worst case
    classes : fewest classes it works with
    explores : an adaptive attacker runs it in every way to a gradient that there is, see ``bench.attack.ways``
    takes_start : it sets out from ``Batch.start`` where one is given, so an adaptive attacker also runs it from what it
        found on the twin
    wants : what a deployment must have to be attacked by it: several nodes that give logits, or a detector; "" for
        nothing. It looks inside, so it is run at adaptive knowledge alone; a control does not
    separable : the result for an image does not depend on the others of its block
    check : "package.module:callable" that refuses parameters which do not go together, as ``Defense.check`` does, ""
        for none; the shape is always None
    """

    norm: Norm | Literal[""]
    access: Access
    minimum_norm: bool = False
    core: str = ""
    control: bool = False
    separable: bool = True
    classes: int = 2
    default: bool = True
    explores: bool = False
    takes_start: bool = False
    wants: Literal["", "views", "detector"] = ""
    check: str = ""
    quick: Settings = Settings()
    standard: Settings = Settings()

    def settings(self, budget: BudgetName) -> Settings:
        """Return how the attack is run under ``budget``."""
        return self.quick if budget == "quick" else self.standard


@dataclass(frozen=True, kw_only=True)
class NotOffered(Entry):
    """An attack that exists in a library but is not offered here; ``summary`` says why."""

    factory: str = ""


@dataclass(frozen=True, kw_only=True)
class Model(Entry):
    """A classifier; its factory returns a ``bench.training.Architecture``.

    Attributes
    ----------
    weights : "package:folder" of shipped weights and their cards, "" for none
    check : "package.module:callable" that refuses images which the network does not take, as ``Defense.check`` does, ""
        for none
    """

    weights: str = ""
    check: str = ""


@dataclass(frozen=True, kw_only=True)
class ThreatSpec:
    """A threat that a data set carries: a norm and the radii at which it is judged, the headline first."""

    norm: Norm
    epsilons: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Dataset(Entry):
    """A data set; its factory returns a ``bench.data.Source``.

    Attributes
    ----------
    threats : the headline threat first
    default_model : used where the user names none
    embedded : needs no file from outside the package
    shape : (C, H, W) of its images, None where it depends on a parameter or a file; defenses that do not suit it are
        then refused before it is read
    held_out_share : of the training images, for the development pool and again for the calibration pool
    """

    threats: tuple[ThreatSpec, ...]
    default_model: str
    embedded: bool = False
    shape: Shape | None = None
    held_out_share: float = 0.02


@dataclass(frozen=True, kw_only=True)
class Hardware(Entry):
    """Something that cost is measured on; its factory returns a ``bench.hardware.Profile``.

    Attributes
    ----------
    prospect : "package.module:callable" that says while a run is planned what is known of a measurement, such as the
        machine's settings, as ``bench.hardware.Foresee`` says, "" for none. It raises ``bench.errors.UsageError`` where
        the parameters cannot be meant. Its module is imported in the process of the command, as that of
        ``Defense.check`` is
    """

    prospect: str = ""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """An attack that is run for a gate's sake: its cell is marked as a probe, and is never part of a worst case.

    Attributes
    ----------
    core : mark of the ladder whose attack is run, such as "pgd-ce"
    level : knowledge at which it is run
    reach : its radius in units of the threat's; infinity for the whole box, so that every image can be reached
    samples : images at most
    """

    core: str
    level: Knowledge = "adaptive"
    reach: float = math.inf
    samples: int = 128


@dataclass(frozen=True, kw_only=True)
class Gate(Entry):
    """A check of a number; its factory returns ``judge(evidence) -> Verdict`` (``bench.analysis.gates``).

    Attributes
    ----------
    scope : what ``judge`` is given. "clean" and "attack": a record of that kind that ended well, as
        ``docs/reference/records.md`` has it; "cell": both; "row": a ``bench.analysis.gates.evidence.RowEvidence``, all
        attacks on one defense in one setting, each by itself
    bars_ranking : a "fail" keeps the row from being ranked; else it is shown as a warning
    probes : cells that the planner adds; a row's gate finds them in its evidence

    Notes
    -----
    ``judge`` is asked in the process of the command: keep it quick. One that raises or hangs is shown as such. Verdicts
    on records stand in the record; verdicts on rows are given anew by every report.
    """

    scope: GateScope = "cell"
    bars_ranking: bool = True
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportSection(Entry):
    """A section of the HTML report; its factory returns ``render(board, cells) -> str``.

    Notes
    -----
    ``board`` and ``cells`` are the frames of ``leaderboard.csv`` and ``cells.csv``. What comes back is HTML for the
    inside of one section, and the author escapes what it did not write. It closes what it opens, runs no script and
    loads nothing; a section that raises, is slow or breaks this is shown as failed, with the reason.
    """
