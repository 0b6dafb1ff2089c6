"""What rounding may make of a lead."""

from __future__ import annotations

import pytest
import torch

from bench.attack.rounding import rounding


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_a_lead_counts_at_whatever_scale_a_network_answers(scale: float) -> None:
    logits = scale * torch.tensor([[0.5, 0.501], [0.5, 0.50001]])
    lead = logits[:, 1] - logits[:, 0]
    assert (lead > rounding(logits)).tolist() == [True, False]


def test_two_logits_that_are_nearly_zero_have_no_lead() -> None:
    """One is the other's negative, so that their difference is twice the largest."""
    logits = torch.tensor([[-1e-7, 1e-7], [0.0, 0.0], [-1e-4, 1e-4]])
    assert (logits[:, 1] - logits[:, 0] > rounding(logits)).tolist() == [False, False, True]
