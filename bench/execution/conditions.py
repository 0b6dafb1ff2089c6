"""What every task finds set; its code stands in the key of each, as what is set can change the numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# One thread a task; and oneDNN computes in float32 where that is asked for, whatever the user's variables say.
ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")},
        **{f"{name}_DEFAULT_FPMATH_MODE": "STRICT" for name in ("ONEDNN", "DNNL")},
    }
)


def settle() -> None:
    """Set what all tasks share; ``torch.use_deterministic_algorithms`` would import the compiler, for two seconds."""
    import torch

    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("warn")


def seed(key: str) -> None:
    """Seed the global generators, for plugins that draw from them, by the key of the task."""
    import numpy
    import torch

    number = int(key[:8], 16)
    random.seed(number)
    numpy.random.seed(number)
    torch.manual_seed(number)
