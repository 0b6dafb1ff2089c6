"""What one line of the attack table says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.plugins.entries import Access, Attack, Norm, Settings
from bench.plugins.parameters import Parameter, Value

Procedure = Literal["generate", "restarts", "starts", "targets", "saliency", "universal", "patch", "ensemble"]

# Parameters that the adapter reads itself; every other one is an argument of ART's class by the same name.
OURS = frozenset({"step", "restarts", "targets", "target", "queries", "square_iter", "inner_iter", "inner_step"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attack of the Adversarial Robustness Toolbox (ART), as data.

    Attributes
    ----------
    name : as users type it; the headline norm has the bare name, the other one a suffix
    art : "module:Class"
    procedure : how the class is driven, one function each in ``bench_art.procedures``
    arguments : constants given to the class, where ART's default is not the literature's
    relative : (argument, factor): arguments in units of the threat's epsilon; the factor may name a parameter
    alone : ART takes the images one by one; the adapter does so too, each with its own seed
    repeats : ART asks the same again and again; what was answered is remembered where it would be answered again
    whole : one call for the whole block, since the images share what is found
    family : name that selects this row together with others, such as the same attack in another norm
    loses : a known defect gives some images back as NaN; they count as not found, and the record says how many
    softmax : wants probabilities instead of logits
    evaluations : forward samples an image, in words, from runs
    defects : (ART version, what is known to be wrong)
    """

    name: str
    art: str
    norm: Norm
    access: Access
    summary: str
    source: str
    procedure: Procedure = "generate"
    arguments: tuple[tuple[str, Value], ...] = ()
    relative: tuple[tuple[str, float | str], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    alone: bool = False
    repeats: bool = False
    whole: bool = False
    loses: bool = False
    family: str = ""
    softmax: bool = False
    minimum_norm: bool = False
    core: str = ""
    separable: bool = True
    classes: int = 2
    default: bool = True
    requires: tuple[str, ...] = ()
    evaluations: str = ""
    defects: tuple[tuple[str, str], ...] = ()
    quick: Settings
    standard: Settings

    def entry(self) -> Attack:
        """Return the row as the suite's registry wants it."""
        return Attack(
            name=self.name,
            family=self.family,
            factory=f"bench_art.adapter:{self.name.replace('-', '_')}",
            summary=" ".join([self.summary, *(f"ART {version}: {text}" for version, text in self.defects)]),
            source=self.source,
            parameters=self.parameters,
            requires=("adversarial-robustness-toolbox>=1.20,<2", *self.requires),
            preload=("art.attacks.evasion", "bench_art.adapter"),  # ART takes seconds to import
            norm=self.norm,
            access=self.access,
            minimum_norm=self.minimum_norm,
            core=self.core,
            separable=self.separable,
            classes=self.classes,
            default=self.default,
            quick=self.quick,
            standard=self.standard,
        )
