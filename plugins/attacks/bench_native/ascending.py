"""Entries of the attacks that climb along gradients.

Budgets of "standard" are those of ``bench_art``'s entries of like names, so that the two can be compared; each
parameter's help names its source: CH is CleverHans (v2.1.0), AA is AutoAttack (Croce and Hein 2020).
"""

from __future__ import annotations

from bench.plugins.declared import integer, number, quick, standard, suffixed
from bench.plugins.entries import Attack, Norm
from bench_native.declared import EARLY, loss, random_start, schedule

_MADRY = "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, arXiv 1706.06083"
_TRAMER = (
    "Tramer and Boneh, Adversarial Training and Robustness for Multiple Perturbations, NeurIPS 2019, arXiv 1904.13000"
)
_SQUARE = (
    "Andriushchenko et al., Square Attack: A Query-Efficient Black-Box Adversarial Attack via Random Search, "
    "ECCV 2020, arXiv 1912.00049"
)
_CROCE = (
    "Croce and Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks, "
    "ICML 2020, arXiv 2003.01690"
)
_LOSSES = ("ce", "margin", "dlr")


def _fgsm(norm: Norm) -> Attack:
    return Attack(
        name=suffixed("native-fgsm", norm),
        family="native",
        factory="bench_native.iterated:fgsm",
        summary="One step of epsilon along the loss gradient; equal to fgsm.",
        source="Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015, arXiv 1412.6572",
        parameters=(loss(*_LOSSES, source="ce: Goodfellow et al."),),
        norm=norm,
        access="gradient",
        core="fgsm",
        default=False,
        quick=quick(0.1),
        standard=standard(0.1),
    )


def _pgd(norm: Norm) -> Attack:
    share = {"linf": 1 / 30, "l2": 0.0625, "l1": 0.05}.get(norm, 0.05)
    said = {"linf": "CH MadryEtAl .01/.3", "l2": "2.5/iterations, Madry et al. 2018"}.get(norm, "ours")
    sparse = "; each step moves the hundredth of the values with the largest gradients" if norm == "l1" else ""
    return Attack(
        name=f"native-pgd-{norm}",
        family="native",
        factory="bench_native.iterated:pgd",
        summary=f"Projected gradient ascent{sparse}.",
        source=f"{_MADRY}; {_TRAMER}" if norm == "l1" else _MADRY,
        parameters=(
            integer("steps", 40, "steps (40: CH MadryEtAl nb_iter)"),
            number("step", share, f"size of the first step as a share of epsilon ({said})", minimum=1e-4),
            schedule("constant", "Madry et al."),
            integer("restarts", 1, "searches, the best image kept (1: CH)"),
            random_start(norm != "l1", "CH rand_init" if norm != "l1" else "none: Tramer and Boneh"),
            loss(*_LOSSES, source="ce: Madry et al."),
            EARLY,
        ),
        norm=norm,
        access="gradient",
        core="" if norm == "l1" else "pgd-ce",
        default=norm != "l1",
        explores=norm != "l1",
        takes_start=norm != "l1",
        quick=quick(0.7, steps=20, step=0.1),
        standard=standard(1.4),
    )


def _mim(norm: Norm) -> Attack:
    return Attack(
        name=suffixed("native-mim", norm),
        family="native",
        factory="bench_native.iterated:mim",
        summary="Iterated gradient steps with momentum, without random start; equal to mim.",
        source="Dong et al., Boosting Adversarial Attacks with Momentum, CVPR 2018, arXiv 1710.06081",
        parameters=(
            integer("steps", 10, "steps (10: CH nb_iter)"),
            number("step", 0.2, "step size as a share of epsilon (CH .06/.3)", minimum=1e-4),
            number("decay", 1.0, "momentum (1: CH decay_factor; Dong et al., section 4.1)"),
            loss(*_LOSSES, source="ce: Dong et al."),
            EARLY,
        ),
        norm=norm,
        access="gradient",
        default=False,
        quick=quick(0.4),
        standard=standard(0.4),
    )


def _apgd(norm: Norm, short: str) -> Attack:
    raised = {"ce": "the cross-entropy", "margin": "the logit margin", "dlr": "the difference of logits ratio"}[short]
    return Attack(
        name=suffixed(f"native-apgd-{short}", norm),
        family="native",
        factory=f"bench_native.apgd:apgd_{short}",
        summary=f"Gradient ascent that sets its own step size, on {raised}; keeps the best iterate.",
        source=_CROCE,
        parameters=(
            integer("steps", 100, "steps (100: Croce and Hein, section 4)"),
            integer("restarts", 5, "starts, on the images that still stand (5: Croce and Hein, Table 1)"),
            random_start(True, "Croce and Hein, released code"),
            EARLY,
        ),
        norm=norm,
        access="gradient",
        core="apgd-dlr" if short == "dlr" else "",
        classes=3 if short == "dlr" else 2,
        default=False,
        quick=quick(0.9, steps=20, restarts=1),
        standard=standard(8.0),
    )


def _targeted(norm: Norm) -> Attack:
    return Attack(
        name=suffixed("native-apgd-targeted", norm),
        family="native",
        factory="bench_native.apgd:TargetedApgd",
        summary="APGD towards each of the most likely wrong classes in turn, on the images that still stand.",
        source=_CROCE,
        parameters=(
            integer("steps", 100, "steps (100: AA standard)"),
            integer("targets", 9, "wrong classes tried, most likely first (9: AA standard)"),
            random_start(True, "Croce and Hein, released code"),
            EARLY,
        ),
        norm=norm,
        access="gradient",
        default=False,
        quick=quick(0.6, steps=10, targets=3),
        standard=standard(20.0),
    )


def _strong(norm: Norm) -> Attack:
    return Attack(
        name=suffixed("strong", norm),
        factory="bench_native.strong:Strong",
        summary="APGD on the cross-entropy and on the difference of logits ratio, APGD towards classes, and Square, "
        "each on the images that still stand. Not the literature's AutoAttack, whose FAB it lacks.",
        source=f"{_CROCE}; {_SQUARE}",
        parameters=(
            integer("steps", 100, "steps of APGD (100: AA standard)"),
            integer("restarts", 1, "starts of APGD on either loss (1: AA standard)"),
            integer("targets", 9, "wrong classes that targeted APGD tries (9: AA standard)"),
            integer("queries", 5000, "queries of Square (5000: AA standard)"),
            EARLY,
        ),
        norm=norm,
        access="gradient",
        quick=quick(1.5, steps=15, targets=2, queries=40, early=True),
        standard=standard(60.0, timeout_s=7200.0),
    )


_NORMS: tuple[Norm, ...] = ("linf", "l2")
ENTRIES: tuple[Attack, ...] = (
    *(_fgsm(norm) for norm in _NORMS),
    *(_pgd(norm) for norm in (*_NORMS, "l1")),
    *(_mim(norm) for norm in _NORMS),
    *(_apgd(norm, short) for short in ("ce", "margin", "dlr") for norm in _NORMS),
    *(_targeted(norm) for norm in _NORMS),
    *(_strong(norm) for norm in _NORMS),
)
