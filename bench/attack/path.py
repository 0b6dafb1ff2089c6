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
    A query is about all images at once, or the attacker says about which; others are counted and not followed. The
    measure is the margin of the true class's logit over the best other: every attack wants it below 0, whatever loss it
    climbs.
    """

    def __init__(self, x: Tensor, y: Tensor, threat: Threat) -> None:
        self._x, self._y, self._threat = x, y, threat
        self._margins: list[tuple[Tensor, Tensor]] = []  # of each gradient: images, their margins
        self._seen = torch.zeros(len(x), dtype=torch.bool)
        self._asked = torch.zeros(len(x), dtype=torch.bool)
        self._steps = 0

    @torch.no_grad()
    def add(
        self, x: Tensor, logits: Tensor, *, step: bool, about: Tensor | None = None, refused: Tensor | None = None
    ) -> None:
        """Note one query, (B', C, H, W), and its answers, (B', K).

        Parameters
        ----------
        step : a gradient was asked for
        about : the images that the first rows are about, each once, int64, (n,), n <= B'; None where nobody says
        refused : bool, (B',), images that were not answered: what is wrong with them is no success
        """
        if about is None and len(x) == len(self._x):
            about = torch.arange(len(x))
        self._steps += step * len(x if about is None else about)
        if about is None:
            return
        self._asked[about] = True
        x, y = x[: len(about)], self._y[about]
        margin = margins(logits.detach()[: len(about)], y)
        if step:
            self._margins.append((about, margin))
        new = (margin < 0) & ~self._seen[about]
        if refused is not None:
            new &= ~refused[: len(about)]
        if bool(new.any()):
            boxed = ((x >= -1e-5) & (x <= 1 + 1e-5)).flatten(1).all(1)
            self._seen[about] |= new & boxed & self._threat.contains(self._x[about], x)

    def evidence(self, returned: Tensor | None) -> dict[str, float]:
        """Return what was seen, as sums that may be added over blocks.

        Parameters
        ----------
        returned : logits of the images that the attack returned, (B, K); None where they are not to be compared

        Returns
        -------
        dict : blocks; steps, followed: gradients asked for, of each image, and those that could be followed; longest:
            those of the image that was followed most; images; standing: images that no gradient's query found wrongly
            answered, with the sums of their best margins after the first, three quarters and all of their steps (first,
            late, last); compared, lost: images returned that were compared, and those returned rightly answered
            although a query inside the ball was not
        """
        best, taken = self._best()
        found: dict[str, float] = {
            "blocks": 1, "steps": self._steps, "followed": int(taken.sum()), "longest": len(best),
            "images": len(self._x), "standing": 0, "first": 0.0, "late": 0.0, "last": 0.0, "compared": 0, "lost": 0,
        }  # fmt: skip
        if len(best):
            stands = torch.nonzero((taken > 0) & (best[-1] >= 0)).flatten()
            found["standing"] = len(stands)
            for name, step in (("first", 0 * taken), ("late", (3 * taken) // 4 - 1), ("last", taken - 1)):
                found[name] = float(best[step[stands].clamp(min=0), stands].sum())
        if returned is not None and bool(self._asked.any()):
            found["compared"] = int(self._asked.sum())
            found["lost"] = int((self._seen & (margins(returned, self._y) >= 0)).sum())
        return found

    def _best(self) -> tuple[Tensor, Tensor]:
        """Return the best margin of each image after each of its own steps, float64, (steps, B), and how many it took.

        An image that took fewer keeps its last one.
        """
        taken = torch.zeros(len(self._x), dtype=torch.int64)
        placed = []
        for about, margin in self._margins:
            placed.append((taken[about], about, margin))
            taken[about] += 1
        table = torch.full((int(taken.max()) if len(taken) else 0, len(self._x)), torch.inf, dtype=torch.float64)
        for step, about, margin in placed:
            table[step, about] = margin.double()
        return (table.cummin(0).values if len(table) else table), taken


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """Return by how much the true class's logit exceeds the best other, (B,); below 0 where the answer is wrong."""
    true = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf)
    return true - others.amax(1)
