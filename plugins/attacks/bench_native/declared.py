"""Parameters that several of these attacks have."""

from __future__ import annotations

from bench.plugins.parameters import Parameter

EARLY = Parameter(
    name="early",
    type=bool,
    default=False,
    help="images leave a run as they are when they break, unless another deployment judges, not as the last step "
    "leaves them: fewer gradients, and no fewer broken (ours)",
)


def random_start(default: bool, source: str) -> Parameter:
    """Return whether a search begins at a random point of the ball."""
    return Parameter(
        name="random_start", type=bool, default=default, help=f"begin at a random point of the ball ({source})"
    )


def loss(*choices: str, source: str) -> Parameter:
    """Return which loss is raised; the first is the default."""
    return Parameter(name="loss", type=str, default=choices[0], choices=choices, help=f"what is raised ({source})")


def schedule(default: str, source: str) -> Parameter:
    """Return how the sizes of steps fall."""
    return Parameter(
        name="schedule",
        type=str,
        default=default,
        choices=("constant", "cosine"),
        help=f"equal steps, or such as fall to a sixteenth of the first along half a cosine ({source}; cosine: ours)",
    )
