from __future__ import annotations

import pytest
import torch

from bench.attack import Threat
from bench.attack.ball import boundary_points, inner_points
from bench.deployment import Draws

LINF = Threat(norm="linf", epsilon=8 / 255)


@pytest.mark.parametrize("threat", [LINF, Threat(norm="l2", epsilon=0.5)], ids=lambda t: t.norm)
def test_points_lie_on_the_grid_in_the_box_and_in_their_balls(threat: Threat) -> None:
    x = torch.rand((1, 1, 4, 4), generator=torch.Generator().manual_seed(1))
    x = torch.round(x * 255) / 255
    draws = Draws.of("probe", 0, [b"image"])
    inner = inner_points(x, threat, draws, 50, share=0.95)
    border = boundary_points(x, threat, draws, 20)
    for points in (inner, border):
        assert torch.equal(points, torch.round(points * 255) / 255)
        assert bool(((points >= 0) & (points <= 1)).all())
        assert bool(threat.contains(x.expand_as(points), points).all())
        assert len({p.numpy().tobytes() for p in points}) == len(points)
    if threat.norm == "linf":
        assert float(threat.distance(x.expand_as(inner), inner).max()) == pytest.approx(
            7 / 255, rel=1e-5
        )  # .95 * 8 steps
        free = (x > 8 / 255) & (x < 247 / 255)
        steps = torch.round((border - x).abs() * 255)[free.expand_as(border)]
        assert bool((steps == 8).all())
    assert torch.equal(inner, inner_points(x, threat, draws, 50, share=0.95))
    other = Draws.of("probe", 0, [b"another"])
    assert not torch.equal(inner, inner_points(x, threat, other, 50, share=0.95))
