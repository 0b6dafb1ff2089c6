"""``strong``: four attacks in a row, each on the images that still stand; the best image of each is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bench_native.apgd import Apgd, TargetedApgd
from bench_native.case import Case, Kept
from bench_native.search import Search
from bench_native.square import Square

DRAWS = 8  # evaluation.md, section 3: a search that compares single draws follows the noise


@dataclass(frozen=True)
class _AskedAgain(Case):
    """A case whose answers are means over several askings."""

    times: int = 1

    def answers(self, rows: Tensor, x_adv: Tensor) -> Tensor:
        return torch.stack([Case.answers(self, rows, x_adv) for _ in range(self.times)]).mean(0)


class Strong(Search):
    """APGD on two losses, APGD towards classes, and Square; not AutoAttack, whose FAB it lacks.

    Parameters
    ----------
    steps, restarts : of APGD on the cross-entropy and on the difference of logits ratio
    targets : wrong classes that targeted APGD tries
    queries : of Square
    early : images leave during a run of APGD too; see ``bench_native.iterated.Iterated``

    Notes
    -----
    Images that a deterministic deployment answers wrongly leave the later members. Of a randomised one every member
    sees every image, with gradients and scores averaged over the surface's draws, those that Square compares over eight
    at least, and the image of the largest mean margin is kept. With two classes there is no ratio: the margin takes its
    place.
    """

    def __init__(self, *, steps: int, restarts: int, targets: int, queries: int, early: bool) -> None:
        self.steps, self.restarts, self.targets, self.queries, self.early = steps, restarts, targets, queries, early

    def search(self, case: Case, notes: dict[str, object]) -> Tensor:
        members = self._members(case.panel.surface.classes)
        kept, winner = Kept(case), [""] * len(case)
        for name, member in members.items():
            rows = kept.standing()
            notes[f"tried {name}"] = torch.isin(torch.arange(len(case)), rows)
            if not len(rows):
                continue
            part = case.part(rows, name)
            if name == "square":
                part = self._compared(part)
            better = kept.offer(rows, member.search(part, notes))
            for row in rows[better].tolist():
                winner[row] = name
        for name in members:
            notes[f"kept {name}"] = won = torch.tensor([w == name for w in winner])
            notes[f"broken {name}"] = won & kept.broken.cpu()
        notes["budget"] = (
            f"apgd {self.steps} x {self.restarts} on two losses, {self.steps} x {self.targets} towards classes, "
            f"square {self.queries}"
        )
        return kept.x_adv

    @staticmethod
    def _compared(case: Case) -> Case:
        """Return the case as a search that compares scores should ask about it."""
        surface = case.panel.surface
        if not surface.fast.deployment.randomised or surface.expectation >= DRAWS:
            return case
        return _AskedAgain(**vars(case), times=math.ceil(DRAWS / surface.expectation))

    def _members(self, classes: int) -> dict[str, Search]:
        second = "dlr" if classes > 2 else "margin"
        members: dict[str, Search] = {
            f"apgd-{loss}": Apgd(
                loss=loss, steps=self.steps, restarts=self.restarts, random_start=True, early=self.early
            )
            for loss in ("ce", second)
        }
        members["apgd-targeted"] = TargetedApgd(
            steps=self.steps, targets=self.targets, random_start=True, early=self.early
        )
        members["square"] = Square(steps=self.queries, share=0.8, loss="margin")
        return members
