"""One unit of work: a pure function of its inputs, named by a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "images",
    "labels",
    "train",
    "fit",
    "inspect",
    "mimic",
    "craft",
    "binarise",
    "evaluate",
    "view",
    "certify",
    "profile",
]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a worker is sent.

    Attributes
    ----------
    key : of everything that can change the result; the name of the object that it leaves in the store
    spec : what the function in ``bench.tasks`` is given; JSON
    needs : keys of the objects that must be in the store before
    seconds : rough cost
    exclusive : must be alone on the machine
    label : for people
    """

    kind: Kind
    key: str
    label: str
    spec: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    seconds: float = 1.0
    timeout_s: float = 1800.0
    exclusive: bool = False
    preimage: Mapping[str, Any] = field(default_factory=dict, repr=False)
