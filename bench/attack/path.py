"""What an attack meets on its way: the evidence of the gates on convergence and on the image returned."""

from __future__ import annotations

from itertools import groupby
from typing import Final, NamedTuple

import torch
from torch import Tensor

from bench.attack.threat import Threat

STAGES: Final = ("first", "late", "last")  # after the first, three quarters and all of a search's steps


class Step(NamedTuple):
    """One gradient's query.

    Attributes
    ----------
    search : number of the search that it belongs to
    about : images, int64, (n,)
    margin : of each, float32, (n,)
    withheld : whether the answer was, bool, (n,)
    score : what the detector said, float32, (n,); NaN where the attacker does not look at it
    """

    search: int
    about: Tensor
    margin: Tensor
    withheld: Tensor
    score: Tensor


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
    climbs. Where a wrong answer is withheld it is the detector's score, if the attacker looks at that.
    """

    def __init__(self, x: Tensor, y: Tensor, threat: Threat) -> None:
        self._x, self._y, self._threat = x, y, threat
        self._gradients: list[Step] = []
        self._seen = torch.zeros(len(x), dtype=torch.bool)
        self._asked = torch.zeros(len(x), dtype=torch.bool)
        self._steps = self._search = 0

    def begin(self) -> None:
        """Note that another search begins: what earlier ones reached is not on its way."""
        self._search += 1

    @torch.no_grad()
    def add(
        self,
        x: Tensor,
        logits: Tensor,
        *,
        step: bool,
        about: Tensor | None = None,
        refused: Tensor | None = None,
        score: Tensor | None = None,
    ) -> None:
        """Note one query, (B', C, H, W), and its answers, (B', K).

        Parameters
        ----------
        step : a gradient was asked for
        about : the images that the first rows are about, each once, int64, (n,), n <= B'; None where nobody says
        refused : bool, (B',), images that were not answered: what is wrong with them is no success
        score : (B',), what a detector says, where the attacker looks at it
        """
        if about is None and len(x) == len(self._x):
            about = torch.arange(len(x))
        self._steps += step * len(x if about is None else about)
        if about is None:
            return
        n = len(about)
        self._asked[about] = True
        x, y = x[:n], self._y[about]
        margin = margins(logits.detach()[:n], y)
        withheld = torch.zeros(n, dtype=torch.bool) if refused is None else refused[:n]
        if step:
            told = torch.full((n,), torch.nan) if score is None else score.detach()[:n]
            self._gradients.append(Step(self._search, about, margin, withheld, told))
        new = (margin < 0) & ~withheld & ~self._seen[about]
        if bool(new.any()):
            boxed = ((x >= -1e-5) & (x <= 1 + 1e-5)).flatten(1).all(1)
            self._seen[about] |= new & boxed & self._threat.contains(self._x[about], x)

    def evidence(self, returned: Tensor | None) -> dict[str, float]:
        """Return what was seen, as sums that may be added over blocks.

        Parameters
        ----------
        returned : bool, (B,), whether the images that the attack returned withstand it, as they are and as they are
            judged; None where they are not to be compared

        Returns
        -------
        dict : blocks; steps, followed: gradients asked for, of each image, and those that could be followed; longest:
            those of the image that was followed most in one search; images; standing: images that no gradient's query
            found wrongly answered, with the sums over searches of their best margins after the first, three quarters
            and all of a search's steps (first, late, last); withheld: images of which every wrong answer was, with the
            same sums of the lowest score of a wrong one (score_first, score_late, score_last), and scored: those of
            them whose score the attacker looked at; compared, lost: images returned that were compared, and those
            returned that withstand although a query inside the ball did not
        """
        right, wrong, given = (torch.zeros(len(self._x), dtype=torch.bool) for _ in range(3))
        for step in self._gradients:
            right[step.about] |= step.margin >= 0
            wrong[step.about] |= step.margin < 0
            given[step.about] |= (step.margin < 0) & ~step.withheld
        standing, withheld = right & ~wrong, wrong & ~given
        found: dict[str, float] = {
            "blocks": 1, "steps": self._steps, "followed": sum(len(step.about) for step in self._gradients),
            "longest": 0, "images": len(self._x), "standing": int(standing.sum()), "withheld": int(withheld.sum()),
            "scored": 0, **dict.fromkeys([*STAGES, *(f"score_{stage}" for stage in STAGES)], 0.0),
            "compared": 0, "lost": 0,
        }  # fmt: skip
        scored = torch.zeros_like(wrong)
        for _, group in groupby(self._gradients, key=lambda step: step.search):
            steps = list(group)
            margin, score, taken = self._best(steps)
            found["longest"] = max(found["longest"], len(margin))
            for name, best, which in (("", margin, standing), ("score_", score, withheld)):
                followed = which & best[-1].isfinite()
                for stage, value in zip(STAGES, _reached(best[:, followed], taken[followed]), strict=True):
                    found[name + stage] += value
            scored |= withheld & score[-1].isfinite()
        found["scored"] = int(scored.sum())
        if returned is not None and bool(self._asked.any()):
            found["compared"] = int(self._asked.sum())
            found["lost"] = int((self._seen & returned).sum())
        return found

    def _best(self, steps: list[Step]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the lowest margin, and score, of each image after each of its own steps, and how many it took.

        Returns
        -------
        float64, (steps, B), twice: an image that took fewer keeps its last. Infinite before the first step, and a score
        before the first wrong answer too, or where the attacker does not look at it. int64, (B,)
        """
        taken = torch.zeros(len(self._x), dtype=torch.int64)
        places = []
        for step in steps:
            places.append(taken[step.about])
            taken[step.about] += 1
        margin, score = torch.full((2, int(taken.max()), len(self._x)), torch.inf, dtype=torch.float64)
        for place, step in zip(places, steps, strict=True):
            margin[place, step.about] = step.margin.double()
            wrong = torch.where(step.margin < 0, step.score.double(), torch.inf)
            score[place, step.about] = wrong.nan_to_num(torch.inf, torch.inf)
        return margin.cummin(0).values, score.cummin(0).values, taken


def _reached(best: Tensor, taken: Tensor) -> tuple[float, ...]:
    """Return sums over images of the lowest values so far at each of ``STAGES``, of a table that falls, (steps, n)."""
    first = torch.where(best.isfinite(), best, -torch.inf).amax(0)  # of a falling column the first that is finite
    late = best.gather(0, ((3 * taken) // 4 - 1).clamp(min=0)[None])[0]
    late = torch.where(late.isfinite(), late, first)  # all of its way was made after that
    return tuple(float(value.sum()) for value in (first, late, best[-1]))


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """Return by how much the true class's logit exceeds the best other, (B,); below 0 where the answer is wrong."""
    true = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf)
    return true - others.amax(1)
