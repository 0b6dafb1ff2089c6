"""What a task leaves in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NOTED: Final = "note: "  # begins the name of a tensor that says of which images an attack's note is true
REJECTED: Final = -1  # in place of a label, of an image that a deployment refuses to answer


@dataclass(frozen=True)
class Outcome:
    """Tensors and figures of one task.

    Attributes
    ----------
    tensors : name -> array of any type that safetensors holds
    meta : JSON
    """

    tensors: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
