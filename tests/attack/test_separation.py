from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.attack.separation import SPREAD, Line, separating


def side(line: Line, features: Tensor) -> Tensor:
    return (features - line.centre) @ line.weight + line.bias


def test_a_line_has_inner_points_on_one_side_and_the_border_point_on_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    inner = torch.randn((200, 20), generator=generator)
    outer = torch.cat([4 * torch.randn((3, 20), generator=generator), inner.mean(0, keepdim=True), inner[:1]])
    found = separating(inner[None], outer[None])
    for point, line in zip(outer[:3], found[:3], strict=True):
        assert line is not None
        inside, outside = side(line, inner), side(line, point[None])[0]
        assert float(outside) > 0 > float(inside.max())
        assert float(outside) == pytest.approx(-float(inside.max()), rel=1e-3)  # midway
        middle = side(line, inner.mean(0, keepdim=True))[0]
        assert float(outside - middle) == pytest.approx(SPREAD, rel=1e-3)
    assert found[3] is None  # the middle of the inner ones
    assert separating(inner[:1].expand(1, 9, -1), outer[None]) == [None] * 5  # features that do not move


def test_a_line_has_every_view_of_a_point_on_its_side() -> None:
    generator = torch.Generator().manual_seed(0)
    inner = torch.randn((3, 100, 20), generator=generator)
    outer = 5 * torch.randn((1, 4, 20), generator=generator) + torch.randn((3, 4, 20), generator=generator)
    for row, line in enumerate(separating(inner, outer)):
        assert line is not None
        assert float(side(line, outer[:, row]).min()) == pytest.approx(-float(side(line, inner).max()), rel=1e-3)
        assert float(side(line, outer[:, row]).min()) > 0
    assert separating(inner, outer * torch.tensor([1.0, 1.0, 0.0])[:, None, None]) == [None] * 4
