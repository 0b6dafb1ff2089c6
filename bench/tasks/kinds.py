"""Which function does the tasks of each kind. No task imports it: a new kind leaves the keys of the others alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bench.plugins.loading import loaded
from bench.tasks.outcome import Outcome

if TYPE_CHECKING:
    from bench.store import Store

FUNCTIONS: Final[Mapping[str, str]] = {
    "images": "bench.tasks.data:read_images",
    "labels": "bench.tasks.data:read_labels",
    "train": "bench.tasks.learning:train_network",
    "fit": "bench.tasks.learning:fit_defense",
    "inspect": "bench.tasks.learning:inspect_deployment",
    "mimic": "bench.tasks.attacking:learn_surrogates",
    "craft": "bench.tasks.attacking:craft",
    "binarise": "bench.tasks.binarising:binarise",
    "evaluate": "bench.tasks.evaluating:evaluate",
    "view": "bench.tasks.viewing:view",
    "certify": "bench.tasks.certifying:certify",
    "profile": "bench.tasks.profiling:profile",
}
_COMPILER: Final = ("torch._dynamo", "torch._inductor.config")  # torch imports it at an optimiser's first step
BEFOREHAND: Final[Mapping[str, tuple[str, ...]]] = {"train": _COMPILER, "fit": _COMPILER, "mimic": _COMPILER}


def function(kind: str) -> Callable[[Mapping[str, Any], Store], Outcome]:
    """Return the function that does tasks of this kind; imports torch."""
    found: Callable[[Mapping[str, Any], Store], Outcome] = loaded(FUNCTIONS[kind])
    return found
