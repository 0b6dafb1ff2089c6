"""Lines that tell one point of a ball's border from points inside it, by the features that a network gives them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 10.0  # ours: of the mean variance of a feature, added to every one, so that those that hardly move weigh little
SPREAD = 4.0  # ours: margins as of a trained network, so that no loss is saturated where an attack sets out
GAP = 1e-3  # ours: of the boundary point's distance from the middle of the inner ones; less is not told from rounding


@dataclass(frozen=True)
class Line:
    """s = weight . (features - centre) + bias, below 0 for the inner points and above 0 for the one of the border.

    Attributes
    ----------
    centre, weight : float32, (d,)
    bias : float32, ()
    """

    centre: Tensor
    weight: Tensor
    bias: Tensor


def separating(inner: Tensor, border: Tensor) -> list[Line | None]:
    """Return for each point of the border a line that tells it from all inner points; None where there is none.

    Parameters
    ----------
    inner : features of the inner points, (R, N, d): a layer that runs R times, once a view, sees a point R times
    border : of the points of the border, (R, M, d)

    Notes
    -----
    Fisher's discriminant with a ridge: weight = (S + r I)^-1 (border - mean), S the covariance of the inner points and
    r = ``RIDGE`` trace(S) / d, in float64 and by matrices of R N rows (Woodbury's identity), since d may be large. Of a
    point of the border its mean counts. The bias lies midway in the gap between all views of the one and the others; s
    differs by ``SPREAD`` between the point of the border, in the view where it is nearest, and the middle of the inner
    ones.
    """
    inner = inner.double().flatten(0, 1)
    centre = inner.mean(0)
    rest, away = inner - centre, border.double() - centre
    ridge = RIDGE * rest.square().mean() * len(rest)
    if not float(ridge) > 0:
        return [None] * away.shape[1]
    kernel = rest @ rest.T + ridge * torch.eye(len(rest), dtype=torch.float64)
    towards = away.mean(0)
    weights = towards - torch.linalg.solve(kernel, rest @ towards.T).T @ rest
    nearest, own = (weights @ rest.T).amax(1), (weights * away).sum(2).amin(0)
    found: list[Line | None] = []
    for weight, low, high in zip(weights, nearest, own, strict=True):
        apart = bool(torch.isfinite(weight).all()) and float(high - low) > GAP * float(high) > 0
        scale = SPREAD / high
        bias = -(high + low) / 2 * scale
        found.append(Line(centre.float(), (weight * scale).float(), bias.float()) if apart else None)
    return found
