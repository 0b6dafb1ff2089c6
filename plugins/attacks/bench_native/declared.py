"""Words with which entries are declared."""

from __future__ import annotations

from bench.plugins.entries import Norm, Settings
from bench.plugins.parameters import Parameter, Value

EARLY = Parameter(
    name="early",
    type=bool,
    default=False,
    help="images leave a run once broken, unless another deployment judges: same result, fewer gradients (ours)",
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


def integer(name: str, default: int, text: str, *, minimum: int = 1) -> Parameter:
    """Return an integer parameter."""
    return Parameter(name=name, type=int, default=default, minimum=minimum, help=text)


def number(name: str, default: float, text: str, *, minimum: float = 0.0, maximum: float | None = None) -> Parameter:
    """Return a parameter that is any number."""
    return Parameter(name=name, type=float, default=default, minimum=minimum, maximum=maximum, help=text)


def suffixed(name: str, norm: Norm) -> str:
    """Return the name of an attack under a norm: the headline's is bare."""
    return name if norm == "linf" else f"{name}-{norm}"


def quick(seconds: float, *, block: int = 64, samples: int = 0, **parameters: Value) -> Settings:
    """Return settings of the quick budget.

    Parameters
    ----------
    seconds : measured for one block on the undefended lenet5 at 1x32x32, CPU time of one thread of a 2-core server
    """
    return Settings(
        parameters=tuple(parameters.items()),
        block=block,
        samples=samples,
        seconds=seconds,
        timeout_s=max(300.0, 100 * seconds),
    )


def standard(seconds: float, *, block: int = 128, samples: int = 0, timeout_s: float = 3600.0) -> Settings:
    """Return settings of the standard budget: the entry's own defaults."""
    return Settings(block=block, samples=samples, seconds=seconds, timeout_s=timeout_s)
