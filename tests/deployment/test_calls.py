"""Calls of one shape: which rows they hold, and that answers do not tell how many are asked for at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.deployment.calls import ROWS, calls


@pytest.mark.parametrize("count", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 5])
def test_every_call_has_the_same_number_of_rows_and_each_row_counts_once(count: int) -> None:
    told = list(calls(count))
    assert all(len(rows) == ROWS for rows, _ in told)
    assert [row for rows, counting in told for row in rows[:counting]] == list(range(count))
    assert all(row in rows[:counting] for rows, counting in told for row in rows), "filled up with what is asked anyway"


def test_what_is_answered_to_a_row_does_not_depend_on_those_beside_it() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)).eval()
    x = torch.rand(ROWS + 3, 1, 8, 8)

    def answered(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([network(images[rows])[:counting] for rows, counting in calls(len(images))])

    together = answered(x)
    assert torch.equal(together, torch.cat([answered(x[row : row + 1]) for row in range(len(x))]))
    assert torch.equal(together[5:], answered(x[5:]))
