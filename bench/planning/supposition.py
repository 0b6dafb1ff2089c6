"""What a plan takes for granted where nothing was read or fitted yet, so that it can show its cells beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

# Like the data sets in use: ten classes of small images, enough test images; and like most defenses: without a useful
# derivative, drawing nothing. Names and cells do not depend on it, but whether an attack needs more classes does.
_SUPPOSED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "supposed": True,
        "count": 10_000,
        "shape": [1, 32, 32],
        "class_names": [str(number) for number in range(10)],
        "fingerprint": "not read yet",
        "test_fingerprint": "not read yet",
        "train_fingerprint": "not read yet",
        "randomised": False,
        "differentiable": False,
        "ways": ("straight-through",),
        "furthest": "",
        "noise": {"agreement": 1.0, "draws": 1, "ways": {}},
        "views": 1,
        "detects": False,
    }
)


class Knowing(Protocol):
    """What planning asks of a store."""

    def has(self, key: str) -> bool:
        """Return whether an object is there."""
        ...

    def meta(self, key: str) -> Mapping[str, Any]:
        """Return what an object says of itself."""
        ...


class Supposing:
    """A store in which planning finds everything: what is there, and of the rest what is supposed.

    Attributes
    ----------
    supposed : keys of what was made up
    """

    def __init__(self, store: Knowing) -> None:
        self.store = store
        self.supposed: set[str] = set()

    def has(self, key: str) -> bool:
        """Return True."""
        return True

    def meta(self, key: str) -> Mapping[str, Any]:
        """Return what the object says of itself, else what such an object would say."""
        if self.store.has(key):
            return self.store.meta(key)
        self.supposed.add(key)
        return _SUPPOSED
