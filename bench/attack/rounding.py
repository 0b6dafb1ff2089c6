"""By how much an answer must be wrong to be wrong for good."""

from __future__ import annotations

from typing import Final

from torch import Tensor

# Ours. An answer is judged in another shape of call, and by another copy of the deployment, than that which an attack
# asks: sums then differ in their last places, by 1e-7 of logits of the order of one as was seen.
LEAD: Final = 1e-4  # of the largest logit
_LEAST: Final = 1e-6  # two logits of opposite signs lead by twice the largest, however near to each other they are


def rounding(logits: Tensor) -> Tensor:
    """Return how far one logit may lead another by rounding alone, (B,); no gradient flows through it.

    Parameters
    ----------
    logits : (B, K)
    """
    return _LEAST + LEAD * logits.detach().abs().amax(1)
