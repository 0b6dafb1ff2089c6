"""ART's attacks as the suite runs them.

Nothing that ART says of its own success is used: the suite judges every image itself. ART turns NaN gradients into
zeros; the surface has counted them by then, and the suite fails the cell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.attack import AttackResult, Batch, Surface, Threat
from bench.errors import Unavailable
from bench.plugins.parameters import Value, resolve
from bench_art.door import MOST, Door, Exhausted, Recalling, View
from bench_art.isolation import scratch_directory, seeded, seeded_starts
from bench_art.procedures import PROCEDURES, Craft, FloatImages
from bench_art.row import Row
from bench_art.table import BY_NAME


class ArtAttack:
    """One row of the table, with its parameters.

    Parameters
    ----------
    parameters : of the row's entry, by name; those left out have the entry's defaults

    Raises
    ------
    UnknownName, BadParameter : a parameter that the entry does not declare, or a value outside its schema
    """

    def __init__(self, row: Row, **parameters: Value) -> None:
        self.row = row
        self.parameters = resolve(f"attack {row.name!r}", row.parameters, parameters)

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        """Return what ART found, (B, C, H, W); the clean image where it found nothing.

        Of an image that it may ask no more about, the nearest query that was answered wrongly; the notes say of which.

        Raises
        ------
        Unavailable : fewer classes than the attack's loss needs, or a targeted threat
        """
        if threat.targeted:
            raise Unavailable(f"Attack {self.row.name!r} is offered untargeted only. Use an untargeted threat.")
        if surface.classes < self.row.classes:
            raise Unavailable(
                f"Attack {self.row.name!r} needs at least {self.row.classes} classes; there are {surface.classes}."
            )
        if threat.epsilon == 0:  # APGD and Square would raise; the ball holds nothing but the image
            return AttackResult(batch.x.clone(), {"epsilon": 0.0})
        x = batch.x.detach().cpu().numpy().astype(np.float32)
        door = Door(surface, softmax=self.row.softmax, ceiling=int(self.parameters.get("queries", 0)))
        recalls = self.row.repeats and _answers_alike(surface, batch.x)
        view = (Recalling if recalls else View)(door, surface.shape, surface.classes)
        found, given_up = np.empty_like(x), torch.zeros(len(x), dtype=torch.bool)
        # Square at L2 divides zero by zero; what comes back is judged by the suite.
        with scratch_directory(), seeded_starts(), np.errstate(divide="ignore", invalid="ignore"):
            for rows, seed in self._portions(batch):
                y, draws = batch.y[rows].numpy().astype(np.int64), batch.draws[rows]
                craft = Craft(self.row, self.parameters, surface, threat, view, x[rows].copy(), y, draws)
                door.reopen()
                view.forget()
                if self.row.alone:
                    surface.gradients.starts = len(craft.x)
                    door.about(batch.x[rows], int(y[0]), threat)
                with seeded(seed):
                    try:
                        answer: FloatImages = PROCEDURES[self.row.procedure](craft)
                    except Exhausted:
                        answer = x[rows] if door.nearest is None else door.nearest.x_adv.numpy()
                        given_up[rows] = True
                found[rows] = np.asarray(answer, dtype=np.float32)
        notes = {"given_up": given_up} if given_up.any() else {}
        broken = ~np.isfinite(found).all(axis=(1, 2, 3))
        if self.row.loses and broken.any():  # from anything else the suite refuses such an image
            found[broken] = x[broken]
            notes["not_finite"] = torch.from_numpy(broken)
        return AttackResult(torch.from_numpy(found), notes)

    def _portions(self, batch: Batch) -> list[tuple[slice, int]]:
        """Return which images ART gets together, and the seed of each call."""
        if self.row.alone:  # ART loops over images anyway; one by one each has its own seed
            return [(slice(i, i + 1), int(seed)) for i, seed in enumerate(batch.draws.seeds(self.row.name))]
        size = len(batch.x) if self.row.whole else MOST
        return [(slice(i, i + size), batch.seed + i) for i in range(0, len(batch.x), size)]


def _answers_alike(surface: Surface, x: Tensor) -> bool:
    """Return whether the same is answered twice; of what says that it draws, two equal answers would be luck.

    What is asked about lies off the images: a deployment may draw only for what looks attacked. It is no try of the
    attack: what it shows wrong inside the ball, the attack has not lost.
    """
    if surface.fast.deployment.randomised:
        return False
    faded = (x + 0.5) / 2
    surface.about = torch.empty(0, dtype=torch.int64)
    with torch.no_grad():
        alike = torch.equal(surface.logits(faded), surface.logits(faded))
    surface.about = None
    return alike


def __getattr__(name: str) -> Callable[..., ArtAttack]:
    """Return the factory of an attack: ``bench_art.adapter:pgd_linf``."""
    row = BY_NAME.get(name.replace("_", "-"))
    if row is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(ArtAttack, row)
