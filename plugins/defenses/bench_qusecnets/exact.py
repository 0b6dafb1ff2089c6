"""The exact answer for one image of a fitted deployment, as a worker of ``truth`` gives it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.attack import Threat
from bench.deployment import Deployment, Draws
from bench.store import Store
from bench.tasks.answering import answers
from bench.tasks.building import deployment_of, images_of, labels_of
from bench_qusecnets.bounds import Bounds
from bench_qusecnets.codeattack import Asked, CodeSpaceAttack
from bench_qusecnets.codespace import CodeSpace, parts
from bench_qusecnets.search import BranchAndBound, Verdict

_QUICK = 7  # boxes: most images are proven robust by these, before an attack on them would have ended


@dataclass(frozen=True)
class ImageTruth:
    """What is true of one test image.

    Attributes
    ----------
    verdict : "robust" (proven), "broken" (an image that is answered wrongly is known) or "open"
    by : what settled it: "clean" (wrong as it is), "attack" (the code-space attack), "search", or "" where open
    free : pixels that can be given another code
    nodes, leaves : boxes bounded, and inputs judged one by one, in the search
    budget : nodes allowed
    seconds : of one core
    """

    image: int
    verdict: Verdict
    by: str
    free: int
    nodes: int
    leaves: int
    budget: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as a line of the progress file holds it."""
        return asdict(self)


class ExactAnswers:
    """Solves images of one deployment under one threat.

    Parameters
    ----------
    deployment : a hard quantiser in front of a chain of layers
    x, y, digests : test images on the grid v/255, labels, and names
    """

    def __init__(self, deployment: Deployment, x: Tensor, y: Tensor, digests: list[bytes], threat: Threat) -> None:
        self.deployment, self.x, self.y, self.digests, self.threat = deployment, x, y, digests, threat
        stage, self.network = parts(deployment)
        shape = tuple(x.shape[1:])
        with torch.no_grad():
            self.classes = self.network(x[:1]).shape[1]
        self.space = CodeSpace.of(stage, shape[0])
        self.bounds = Bounds(self.network, shape, torch.float32)
        self.attack = CodeSpaceAttack()

    @classmethod
    def of(cls, store: Path, described: Mapping[str, Any]) -> ExactAnswers:
        """Return the solver of a description: ``{"deployment", "images", "labels", "count", "epsilon"}``."""
        opened = Store(store)
        x, digests = images_of(opened, described["images"], 0, described["count"])
        y = labels_of(opened, described["labels"], 0, described["count"])
        threat = Threat(norm="linf", epsilon=described["epsilon"])
        return cls(deployment_of(opened, described["deployment"]), x, y, digests, threat)

    def solve(self, image: int, budget: int) -> ImageTruth:
        """Return what is true of one image; ``budget`` is the number of boxes that may be bounded."""
        begun = time.process_time()
        x, y, digest = self.x[image : image + 1], self.y[image : image + 1], self.digests[image]
        low, high = self.space.reach(x, self.threat)
        free = int((high > low).sum())

        def right(ranks: Tensor) -> Tensor:
            """Answer as the deployment is judged: its own bytes, batches and arithmetic."""
            judged = self.space.realise(x.expand(len(ranks), -1, -1, -1), ranks)
            (said,) = answers(self.deployment, judged, [digest] * len(judged), "score", 0, 1)
            return said.logits.argmax(1) == y

        def told(verdict: Verdict, by: str, nodes: int = 0, leaves: int = 0) -> ImageTruth:
            seconds = round(time.process_time() - begun, 3)
            return ImageTruth(image, verdict, by, free, nodes, leaves, budget, seconds)

        if not bool(right(self.space.ranks_of(x))[0]):
            return told("broken", "clean")
        label = int(y)
        quick = self._search(min(_QUICK, budget)).solve(low[0], high[0], label, right)
        if quick.verdict != "open" or budget <= _QUICK:
            return told(quick.verdict, "" if quick.verdict == "open" else "search", quick.nodes, quick.leaves)
        draws = Draws.of("craft", 0, [digest])
        ranks, _ = self.attack.search(self.space, Asked(self.network), x, y, self.threat, draws)
        if not bool(right(ranks)[0]):
            return told("broken", "attack")
        found = self._search(budget).solve(low[0], high[0], label, right)
        return told(found.verdict, "" if found.verdict == "open" else "search", found.nodes, found.leaves)

    def _search(self, nodes: int) -> BranchAndBound:
        return BranchAndBound(self.space, self.bounds, self.classes, nodes=nodes)
