"""What an attack meets on its way: the evidence of the gates on convergence and on the image returned."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attack.threat import Threat


class Path:
    """Follows the images of one block through an attack's queries.

    Parameters
    ----------
    x : clean images, float32, (B, C, H, W)
    y : true labels, int64, (B,)

    Notes
    -----
    Rows can be told apart only in queries about all images at once; others are counted and not followed. The measure is
    the margin of the true class's logit over the best other: every attack wants it below 0, whatever loss it climbs.
    """

    def __init__(self, x: Tensor, y: Tensor, threat: Threat) -> None:
        self._x, self._y, self._threat = x, y, threat
        self._margins: list[Tensor] = []
        self._seen = torch.zeros(len(x), dtype=torch.bool)
        self._steps = self._followed = 0

    @torch.no_grad()
    def add(self, x: Tensor, logits: Tensor, *, step: bool) -> None:
        """Note one query, (B', C, H, W), and its answers, (B', K).

        Parameters
        ----------
        step : a gradient was asked for
        """
        self._steps += step
        if len(x) != len(self._x):
            return
        self._followed += 1
        margin = margins(logits.detach(), self._y)
        if step:
            self._margins.append(margin)
        new = (margin < 0) & ~self._seen
        if bool(new.any()):
            boxed = ((x >= -1e-5) & (x <= 1 + 1e-5)).flatten(1).all(1)
            self._seen |= new & boxed & self._threat.contains(self._x, x)

    def evidence(self, returned: Tensor | None) -> dict[str, float]:
        """Return what was seen, as sums that may be added over blocks.

        Parameters
        ----------
        returned : logits of the images that the attack returned, (B, K); None where they are not to be compared

        Returns
        -------
        dict : blocks; steps, followed: gradients asked for, and those that could be followed; images; standing: images
            that no gradient's query found wrongly answered, with the sums of their best margins after the first, three
            quarters and all of the steps (first, late, last); compared, lost: images returned that were compared, and
            those returned rightly answered although a query inside the ball was not
        """
        found: dict[str, float] = {
            "blocks": 1, "steps": self._steps, "followed": len(self._margins), "images": len(self._x), "standing": 0,
            "first": 0.0, "late": 0.0, "last": 0.0, "compared": 0, "lost": 0,
        }  # fmt: skip
        if self._margins:
            best = torch.stack(self._margins).double().cummin(0).values
            stands = best[-1] >= 0
            found["standing"] = int(stands.sum())
            for name, step in (("first", 0), ("late", (3 * len(best)) // 4 - 1), ("last", -1)):
                found[name] = float(best[max(step, -1)][stands].sum())
        if returned is not None and self._followed:
            found["compared"] = len(self._x)
            found["lost"] = int((self._seen & (margins(returned, self._y) >= 0)).sum())
        return found


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """Return by how much the true class's logit exceeds the best other, (B,); below 0 where the answer is wrong."""
    true = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf)
    return true - others.amax(1)
