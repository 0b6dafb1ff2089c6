from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.training import accuracy


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_it_is_the_share_of_right_answers_in_evaluation_whatever_the_batch(batch: int) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(1, 2, bias=False)).train()
    network[2].weight = nn.Parameter(torch.tensor([[0.0], [1.0]]))  # class 1 unless black
    x = torch.tensor([0, 1, 0, 255, 7], dtype=torch.uint8).reshape(5, 1, 1, 1)
    assert accuracy(network, x, torch.tensor([0, 1, 1, 1, 0]), batch=batch) == 0.6
    assert math.isnan(accuracy(network, x[:0], torch.zeros(0, dtype=torch.int64), batch=batch))
