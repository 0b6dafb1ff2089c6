"""ART's APGD, whose defects are many; ``bench_native`` has it as it was published."""

from __future__ import annotations

from bench.plugins.declared import integer, quick, standard, suffixed
from bench.plugins.entries import Norm
from bench_art.row import Row

CROCE = (
    "Croce and Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks, "
    "ICML 2020, arXiv 2003.01690"
)
_DEFECTS = (
    ("1.20.1", "judges the last iterate, not the best."),
    (
        "1.20.1",
        "gives its random start back where that last answer is right: where answers are drawn it finds little. "
        "native-apgd-ce, -dlr and -targeted do not.",
    ),
    (
        "1.20.1",
        "counts steps that beat the best loss, not the last (condition 1).",
    ),
)


def auto_projected(norm: Norm, short: str) -> Row:
    """Return the row of APGD on one loss, "ce" or "dlr"."""
    loss = {"ce": "cross_entropy", "dlr": "difference_logits_ratio"}[short]
    return Row(
        name=suffixed(f"apgd-{short}", norm),
        art="art.attacks.evasion:AutoProjectedGradientDescent",
        norm=norm,
        access="gradient",
        summary="Gradient ascent that sets its own step size, on "
        + ("the cross-entropy." if short == "ce" else "the difference of logits ratio, blind to the logits' scale."),
        source=CROCE,
        procedure="restarts",
        core="apgd-dlr" if short == "dlr" else "",
        classes=3 if short == "dlr" else 2,
        arguments=(("loss_type", loss), ("nb_random_init", 1)),
        relative=(("eps", 1.0), ("eps_step", 2.0)),  # Croce and Hein, Algorithm 1: the first step is 2 epsilon
        parameters=(
            integer("max_iter", 100, "steps (100: Croce and Hein, section 4)"),
            integer("restarts", 5, "random starts, on the images that still stand (5: Croce and Hein, Table 1)"),
        ),
        evaluations="restarts x (2 iterations + 3)",
        defects=(
            *_DEFECTS,
            *((("1.20.1", "ties of the first and third logit give NaN."),) if short == "dlr" else ()),
        ),
        quick=(
            quick(1.1, max_iter=20, restarts=1)
            if short == "dlr"
            else quick(0.2, block=16, samples=16, max_iter=20, restarts=1)
        ),
        standard=standard(8.0),
    )


def auto_targeted(norm: Norm) -> Row:
    """Return the row of APGD towards the likeliest wrong classes."""
    return Row(
        name=suffixed("apgd-targeted", norm),
        art="art.attacks.evasion:AutoProjectedGradientDescent",
        norm=norm,
        access="gradient",
        summary="APGD towards each of the most likely wrong classes in turn, on the images that still stand.",
        source=CROCE,
        procedure="targets",
        classes=3,
        arguments=(("loss_type", "difference_logits_ratio"), ("nb_random_init", 1), ("targeted", True)),
        relative=(("eps", 1.0), ("eps_step", 2.0)),
        parameters=(
            integer("max_iter", 100, "steps (100: AA standard)"),
            integer("targets", 9, "wrong classes tried, most likely first (9: AA standard)"),
        ),
        evaluations="targets x (2 iterations + 3)",
        defects=(
            *_DEFECTS,
            ("1.20.1", "drops an iterate that is answered wrongly, but not with the class aimed at."),
        ),
        quick=quick(0.2, block=16, samples=16, max_iter=10, targets=3),
        standard=standard(20.0),
    )
