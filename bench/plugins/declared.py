"""Words with which the tables of plugins declare what they offer."""

from __future__ import annotations

from bench.plugins.entries import Norm, Settings
from bench.plugins.parameters import Parameter, Value


def integer(name: str, default: int, text: str, *, minimum: int = 1, maximum: int | None = None) -> Parameter:
    """Return an integer parameter."""
    return Parameter(name=name, type=int, default=default, minimum=minimum, maximum=maximum, help=text)


def number(name: str, default: float, text: str, *, minimum: float = 0.0, maximum: float | None = None) -> Parameter:
    """Return a parameter that is any number."""
    return Parameter(name=name, type=float, default=default, minimum=minimum, maximum=maximum, help=text)


def quick(seconds: float, *, block: int = 64, samples: int = 0, **parameters: Value) -> Settings:
    """Return settings of the quick budget.

    Parameters
    ----------
    seconds : measured for one block on the undefended lenet5 at 1x32x32, CPU time of one thread of a 2-core server that
        takes 10 ms for a forward pass of 128 images
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


def suffixed(name: str, norm: Norm, headline: Norm = "linf") -> str:
    """Return the name of an attack under a norm: bare under the usual one."""
    return name if norm == headline else f"{name}-{norm}"
