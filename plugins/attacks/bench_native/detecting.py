"""Entries of the attacks on a classifier and its detector together."""

from __future__ import annotations

from bench.plugins.declared import integer, number, standard, suffixed
from bench.plugins.entries import Attack, Norm, Settings
from bench.plugins.parameters import Parameter, Value
from bench_native.declared import schedule

# The specification of Defed, section 8: at least 5 starts, 200 steps, the top 3 of the wrong classes.
_SAID = "after Carlini and Wagner 2017; ours"
_QUICK: tuple[tuple[str, Value], ...] = (("steps", 20), ("restarts", 1), ("targets", 1))
_WEIGHTS = Parameter(
    name="weights", type=str, default="0.1+1+10", help="of the score beside the margin, each a search of its own (ours)"
)
# Between wrong and unseen there is little room: steps have to be large to get there and small to stay. Of 128 images of
# Defed on MNIST that refuses, at .3, sixty equal steps of .05 leave 69, such as fall from .4 leave 55; ours.
_FALLING, _EQUAL = ("cosine", 0.4), ("constant", 0.02)
_NORMS: tuple[Norm, ...] = ("linf", "l2")


def _aware(name: str, norm: Norm, summary: str, source: str, *, core: str = "", weighted: bool = False) -> Attack:
    falls, step = _FALLING if weighted else _EQUAL
    return Attack(
        name=suffixed(name, norm),
        family="detector-aware",
        factory=f"bench_native.aware:{''.join(word.title() for word in name.split('-'))}",
        summary=summary,
        source=source,
        parameters=(
            integer("steps", 200, f"steps of a search ({_SAID})"),
            number("step", step, f"size of the first step as a share of epsilon ({_SAID})", minimum=1e-4),
            schedule(falls, "equal: Carlini and Wagner 2017"),
            integer("restarts", 5, f"random starts for each class ({_SAID})"),
            integer("targets", 3, f"wrong classes tried, most likely first ({_SAID})"),
            *((_WEIGHTS,) if weighted else ()),
        ),
        norm=norm,
        core=core,
        access="gradient",
        explores=True,
        wants="views" if name == "joint-margin" else "detector",
        check="bench_native.weighing:check" if weighted else "",
        quick=Settings(
            parameters=(*_QUICK, ("weights", "1") if weighted else ("step", 0.1)),
            block=64,
            seconds=8.0,
            timeout_s=900.0,
        ),
        standard=standard(400.0, timeout_s=6 * 3600.0),
    )


ENTRIES: tuple[Attack, ...] = tuple(
    entry
    for norm in _NORMS
    for entry in (
        _aware(
            "joint-margin",
            norm,
            "All views of an image are led to one wrong class, so that none differs from the answer.",
            (
                "Carlini and Wagner, MagNet and 'Efficient Defenses Against Adversarial Attacks' are Not Robust to "
                "Adversarial Examples, 2017, arXiv 1711.08478; Tramer et al., On Adaptive Attacks to Adversarial "
                "Example Defenses, NeurIPS 2020, arXiv 2002.08347"
            ),
        ),
        _aware(
            "evade",
            norm,
            "A wrong class, and a score under the threshold, in one loss of several weights.",
            (
                "Carlini and Wagner, Adversarial Examples Are Not Easily Detected: Bypassing Ten Detection Methods, "
                "AISec 2017, arXiv 1705.07263"
            ),
            core="detector-aware",
            weighted=True,
        ),
        _aware(
            "alternate",
            norm,
            "Steps for the class and for the score in turn, each across the other's gradient.",
            (
                "Bryniarski et al., Evading Adversarial Example Detection Defenses with Orthogonal Projected Gradient "
                "Descent, ICLR 2022, arXiv 2106.15023"
            ),
        ),
    )
)
