"""Attacks that ask for scores or for labels only."""

from __future__ import annotations

from bench.plugins.declared import integer, number, quick, standard
from bench.plugins.entries import Norm
from bench_art.row import Row

_EVASION = "art.attacks.evasion:"
_CEILING = "queries after which an image is left as found so far, lest random answers keep a search going (ours)"


def _square(norm: Norm) -> Row:
    return Row(
        name=f"square-{norm}",
        family="square",
        art=_EVASION + "SquareAttack",
        norm=norm,
        access="score",
        summary="Random search with square patches of shrinking size.",
        source=(
            "Andriushchenko et al., Square Attack: A Query-Efficient Black-Box Adversarial Attack via Random Search, "
            "ECCV 2020, arXiv 1912.00049"
        ),
        core="square",
        separable=False,
        loses=norm == "l2",
        relative=(("eps", 1.0),),
        parameters=(
            integer("max_iter", 5000, "steps (5000: AutoAttack)"),
            number("p_init", 0.8, "share of values changed at first (.8: AutoAttack)", minimum=0.01, maximum=0.99),
            integer("nb_restarts", 1, "restarts (1: AutoAttack)"),
        ),
        evaluations="3 x iterations",
        defects=(
            (
                "1.20.1",
                "one square for all images of a batch; three predictions a step; at L2 some images come back as NaN.",
            ),
        ),
        quick=quick(0.5, max_iter=25),
        standard=standard(150.0),
    )


def _simple(basis: str) -> Row:
    return Row(
        name=f"simba-{basis}",
        art=_EVASION + "SimBA",
        norm="l2",
        access="score",
        summary=f"Greedy steps along random {'pixels' if basis == 'px' else 'low frequencies'}, one image at a time.",
        source="Guo et al., Simple Black-box Adversarial Attacks, ICML 2019, arXiv 1905.07121",
        minimum_norm=True,
        alone=True,
        softmax=True,
        arguments=(("attack", basis), ("batch_size", 1)),
        parameters=(
            integer("max_iter", 3000, "steps (3000: ART; 10 000 in the paper, section 4)"),
            number("epsilon", 0.2, "size of a step (.2: paper, section 4)", minimum=1e-4, maximum=1.0),
        ),
        evaluations="at most 2 x iterations",
        quick=quick(0.5, block=2, samples=2, max_iter=100),
        standard=standard(60.0, block=32, samples=256),
    )


def _hop_skip_jump(norm: Norm) -> Row:
    return Row(
        name=f"hopskipjump-{norm}",
        family="hopskipjump",
        art=_EVASION + "HopSkipJump",
        norm=norm,
        access="decision",
        summary="Walks along the boundary with gradients estimated from labels, one image at a time.",
        source="Chen et al., HopSkipJumpAttack: A Query-Efficient Decision-Based Attack, S&P 2020, arXiv 1904.02144",
        minimum_norm=True,
        alone=True,
        parameters=(
            integer("max_iter", 50, "steps (50: ART; the paper runs 25 000 queries, about as many)"),
            integer("init_eval", 100, "queries of the first step (100: paper, section 5)"),
            integer("max_eval", 10000, "queries of a step at most (10 000: ART)"),
            integer("init_size", 100, "random images tried for a start (100: ART)"),
            integer("queries", 60000, _CEILING),
        ),
        evaluations="about 500 at 5 iterations",
        defects=(("1.20.1", "under NumPy 2 it asks in float64 and its start is unseeded; the adapter mends both."),),
        quick=quick(1.2, block=4, samples=4, max_iter=5, init_eval=50, max_eval=200, queries=4000),
        standard=standard(150.0, block=16, samples=128),
    )


_BOUNDARY = Row(
    name="boundary",
    art=_EVASION + "BoundaryAttack",
    norm="l2",
    access="decision",
    summary="Random walk along the boundary towards the image, one image at a time.",
    source=(
        "Brendel et al., Decision-Based Adversarial Attacks: Reliable Attacks Against Black-Box Machine Learning "
        "Models, ICLR 2018, arXiv 1712.04248"
    ),
    minimum_norm=True,
    alone=True,
    parameters=(
        integer("max_iter", 5000, "steps (5000: ART)"),
        integer("num_trial", 25, "trials a step (25: ART)"),
        integer("sample_size", 20, "samples a trial (20: ART)"),
        integer("init_size", 100, "random images tried for a start (100: ART)"),
        number("delta", 0.01, "first step across (.01: ART)", minimum=1e-6),
        number("epsilon", 0.01, "first step towards the image (.01: ART)", minimum=1e-6),
        integer("queries", 500000, _CEILING),
    ),
    evaluations="about 3000 at 100 iterations",
    defects=(("1.20.1", "under NumPy 2 it asks in float64 and its start is unseeded; the adapter mends both."),),
    quick=quick(1.3, block=4, samples=4, max_iter=30, delta=0.1, epsilon=0.1, queries=4000),
    standard=standard(150.0, block=16, samples=64, timeout_s=7200.0),
)

_SIGN = Row(
    name="sign-opt",
    art=_EVASION + "SignOPTAttack",
    norm="l2",
    access="decision",
    summary="Descends on the distance to the boundary with signs of directional derivatives, one image at a time.",
    source="Cheng et al., Sign-OPT: A Query-Efficient Hard-label Adversarial Attack, ICLR 2020, arXiv 1909.10773",
    minimum_norm=True,
    alone=True,
    parameters=(
        integer("max_iter", 1000, "steps (1000: ART, authors' code)"),
        integer("num_trial", 100, "random directions tried for a start (100: same)"),
        integer("k", 200, "directions a step (200: paper, section 4)"),
        number("alpha", 0.2, "first step of the line search (.2: authors' code)", minimum=1e-6),
        number("beta", 0.001, "tolerance of the line search (.001: same)", minimum=1e-9),
        integer("query_limit", 20000, "queries after which no further step is begun (20 000: same)"),
        integer("queries", 60000, _CEILING),
    ),
    evaluations="600-1500 at 10 iterations",
    quick=quick(0.8, block=2, samples=2, max_iter=5, num_trial=10, k=20, query_limit=600, queries=4000),
    standard=standard(150.0, block=16, samples=64, timeout_s=7200.0),
)

_SPATIAL = Row(
    name="spatial",
    art=_EVASION + "SpatialTransformation",
    norm="linf",
    access="score",
    summary="One rotation and shift for all images of a block. Bound by no ball, it counts only where the result lies "
    "in one, so it is not part of 'all': name it to see its distances.",
    source="Engstrom et al., Exploring the Landscape of Spatial Robustness, ICML 2019, arXiv 1712.02779",
    minimum_norm=True,
    whole=True,
    separable=False,
    default=False,
    parameters=(
        number("max_translation", 10.0, "largest shift, percent of the side (10: paper, section 4)", maximum=100.0),
        integer("num_translations", 5, "shifts tried along each side (5: paper)"),
        number("max_rotation", 30.0, "largest rotation, degrees (30: paper)", maximum=180.0),
        integer("num_rotations", 31, "rotations tried (31: paper)"),
    ),
    evaluations="one for each transform of the grid",
    defects=(("1.20.1", "with channels first, shifts along the rows are scaled by the number of channels."),),
    quick=quick(1.5, block=32, samples=32, num_translations=3, num_rotations=5),
    standard=standard(60.0),
)

ROWS: tuple[Row, ...] = (
    _square("linf"),
    _square("l2"),
    _simple("dct"),
    _simple("px"),
    _BOUNDARY,
    _hop_skip_jump("l2"),
    _hop_skip_jump("linf"),
    _SIGN,
    _SPATIAL,
)
