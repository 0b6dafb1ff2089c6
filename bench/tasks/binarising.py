"""The binarisation test: whether an attack finds adversarial examples that are known to be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attack import Attack, Batch, Surface, Threat, ways
from bench.attack.ball import boundary_points, inner_points
from bench.attack.readout import ORDERS, Opened
from bench.attack.separation import Line, separating
from bench.deployment import Deployment, Draws, Signal
from bench.errors import Unavailable
from bench.store import Store
from bench.tasks.answering import answers, judged_images, labels, streams
from bench.tasks.building import deployment_of, images_of, implementation, labels_of
from bench.tasks.naming import names_of
from bench.tasks.outcome import Outcome
from bench.tasks.progress import report

HIDDEN = 1  # the class of the point of the border
GLANCE = 64  # ours: after so many images it is known whether enough of all of them could be testable


@dataclass(frozen=True, kw_only=True)
class Constants:
    """What the test is made with.

    Attributes
    ----------
    images : testable ones after which it stops looking
    inner : points of class 0 beside the image itself
    share : of epsilon, within which the inner points lie
    tries : points of the border that are drawn for an image before it counts as not testable
    """

    images: int
    inner: int
    share: float
    tries: int


@dataclass(frozen=True)
class Targets:
    """Images for which an adversarial example exists, and the one deployment in which each has its own read-out.

    Attributes
    ----------
    x : float32, (N, C, H, W)
    digests, draws : their names and streams
    """

    x: Tensor
    digests: Sequence[bytes]
    draws: Draws
    deployment: Deployment


class Binarisation:
    """The test of one attack on one deployment; ``spec`` as the task has it.

    References
    ----------
    Zimmermann, Brendel, Tramer, Carlini, "Increasing Confidence in Adversarial Robustness Evaluations", NeurIPS 2022.

    Raises
    ------
    Unavailable : a norm under which no points are drawn, or an attack that needs more than two classes
    """

    def __init__(self, spec: Mapping[str, Any], deployment: Deployment) -> None:
        self.spec, self.deployment = spec, deployment
        self.threat, self.constants = Threat(**spec["threat"]), Constants(**spec["constants"])
        if self.threat.norm not in ORDERS:
            raise Unavailable(f"Points of the border are drawn under {' and '.join(ORDERS)}, not {self.threat.norm}.")
        if spec["classes"] > 2:
            raise Unavailable(f"The attack needs {spec['classes']} classes; a read-out has two.")

    def hide(self, x: Tensor, digest: bytes) -> Line | None:
        """Return a line that takes a point of the border of one image for another class; None where none does.

        Parameters
        ----------
        x : float32, (1, C, H, W)

        Raises
        ------
        Unavailable : the deployment has no last linear layer that could be replaced
        """
        c, draws = self.constants, self._draws([digest])
        inner = torch.cat([x, inner_points(x, self.threat, draws, c.inner, share=c.share)])
        border = boundary_points(x, self.threat, draws, c.tries)
        opened = Opened.of(self.deployment, Signal(x, draws))
        # Of an inner point one draw will do: with so many of them, what is drawn is part of what they spread over.
        inside = self._features(opened, inner, digest, draws=1)
        outside = self._features(opened, border, digest, draws=self.spec["draws"]["select"])
        for point, line in zip(border, separating(inside, outside), strict=True):
            if line is None:
                continue
            both = torch.cat([x, point[None]])
            given = self._labels(opened.answering([line], x, self.threat), both, [digest] * 2, "select")
            if (2 * (given == np.array([0, HIDDEN])).sum(0) > len(given)).all():
                return line
        return None

    def targets(self, x: Tensor, digests: Sequence[bytes], lines: Sequence[Line]) -> Targets:
        """Return the deployment that has an adversarial example for each image."""
        draws = self._draws(digests)
        opened = Opened.of(self.deployment, Signal(x[:1], draws[:1]))
        return Targets(x, digests, draws, opened.answering(lines, x, self.threat))

    def attack(self, targets: Targets) -> tuple[NDArray[np.bool_], int]:
        """Return for which images the attack finds one of the other class, and how many it asked about for each."""
        spec, seen, name = self.spec, self.spec["surface"], self.spec["attack"]["name"]
        block, seed = names_of(name, spec["seed"], targets.digests)
        surface = Surface(
            targets.deployment,
            knowledge=seen["knowledge"],
            access=seen["access"],
            shape=tuple(spec["deployment"]["network"]["shape"]),
            classes=2,
            backward=ways.backward(seen["backward"]),
            expectation=seen["expectation"],
            starts=len(targets.x),
            precision=seen["precision"],
            settled=not targets.deployment.randomised,
            seed=spec["seed"],
            block=block,
        )
        attack: Attack = implementation(spec["attack"])
        batch = Batch(targets.x, torch.zeros(len(targets.x), dtype=torch.int64), targets.draws.spawn(name), seed)
        found = attack.run(surface, batch, self.threat).x_adv
        asked = surface.queries.forward / (seen["expectation"] * len(targets.x))
        return self._hits(targets, found.detach().float()), round(asked)

    def search(self, targets: Targets, queries: int) -> NDArray[np.bool_]:
        """Return for which images one of so many random points is of the other class."""
        found = np.zeros(len(targets.x), bool)
        points = [
            inner_points(x[None], self.threat, targets.draws[row : row + 1].spawn("search"), queries, share=1.0)
            for row, x in enumerate(targets.x)
        ]
        for each in zip(*points, strict=True):
            x = torch.stack(each)
            likely = self._labels(targets.deployment, x, targets.digests, "select", draws=1)[0] == HIDDEN
            if (likely & ~found).any():
                found |= likely & self._hits(targets, x)
        return found

    def _hits(self, targets: Targets, x_adv: Tensor) -> NDArray[np.bool_]:
        """Return which images are of the other class as they would be delivered, on most draws, bool, (N,)."""
        realised, inside = judged_images(self.threat, targets.x, x_adv)
        given = self._labels(targets.deployment, realised, targets.digests, "score")
        hits: NDArray[np.bool_] = inside.numpy() & (2 * (given == HIDDEN).sum(0) > len(given))
        return hits

    def _labels(
        self,
        deployment: Deployment,
        x: Tensor,
        digests: Sequence[bytes],
        domain: Literal["select", "score"],
        *,
        draws: int = 0,
    ) -> NDArray[np.int16]:
        """Return labels, int16, (draws, B), a refusal as the answers have it; on all draws of the domain, or the first.

        Raises
        ------
        Unavailable : more than two logits: what was replaced is not what the deployment answers with
        """
        asked = draws or self.spec["draws"][domain]
        given = list(answers(deployment, x, digests, domain, self.spec["answers"], asked))
        if given[0].logits.shape[1] != 2:
            raise Unavailable("The deployment's answer does not come from its last linear layer.")
        return labels(given)

    def _features(self, opened: Opened, x: Tensor, digest: bytes, *, draws: int) -> Tensor:
        """Return features, mean over the first selection draws, float32, (R, B, d)."""
        drawn = [
            opened.features(Signal(x, streams("select", self.spec["answers"], [digest] * len(x), x, draw)))
            for draw in range(draws)
        ]
        return torch.stack(drawn).mean(0)

    def _draws(self, digests: Sequence[bytes]) -> Draws:
        return Draws.of("craft", self.spec["seed"], digests).spawn("binarisation")


def binarise(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return for each image that was looked at whether it could be tested, and what found its adversarial example.

    Tensors
    -------
    image : int64, (n,), number of the test image, in order; testable, found, random : uint8, (n,)

    Meta
    ----
    test, the evidence of its gate
    reason : why there is no test, "" where there is one; looked_at, testable, found, random : counts; queries : an
        image, of the attack and so of the random search; the constants
    """
    deployment = deployment_of(store, spec["deployment"])
    first, last = spec["block"]
    x, digests = images_of(store, spec["images"], first, last)
    y = labels_of(store, spec["labels"], first, last).numpy()
    given = np.concatenate([store.read(key).tensors["score"] for key in spec["clean"]], axis=1)[:, first:last]
    right = np.flatnonzero(2 * (given == y).sum(0) > len(given)).tolist()
    try:
        return _outcome(Binarisation(spec, deployment), x, digests, right, first)
    except Unavailable as error:
        return Outcome(tensors={"image": np.zeros(0, np.int64)}, meta={"test": {"reason": str(error)}})


def _is_hopeless(test: Binarisation, testable: int, looked_at: int, of: int) -> bool:
    """Return whether, as it has gone so far, not half as many images as are needed would be testable."""
    return looked_at >= GLANCE and 2 * testable * of < test.constants.images * looked_at


def _outcome(test: Binarisation, x: Tensor, digests: Sequence[bytes], right: Sequence[int], first: int) -> Outcome:
    """Return the outcome of a test among the images that are answered rightly."""
    looked_at: list[int] = []
    lines: dict[int, Line] = {}
    for image in right:
        if len(lines) == test.constants.images or _is_hopeless(test, len(lines), len(looked_at), len(right)):
            break
        # Whoever looks for the example of one must not come into the ball of another.
        reached = test.threat.distance(x[image].expand(len(lines), *x.shape[1:]), x[list(lines)])
        if bool((reached <= 2.01 * test.threat.epsilon).any()):
            continue
        looked_at.append(image)
        line = test.hide(x[image : image + 1], digests[image])
        if line is not None:
            lines[image] = line
            report(len(lines) / test.constants.images, "binarisation test")
    testable = np.isin(looked_at, list(lines))
    found, random, queries = np.zeros(len(looked_at), bool), np.zeros(len(looked_at), bool), 0
    if lines:
        targets = test.targets(x[list(lines)], [digests[image] for image in lines], list(lines.values()))
        found[testable], queries = test.attack(targets)
        random[testable] = test.search(targets, queries)
    told = {"testable": testable, "found": found, "random": random}
    return Outcome(
        tensors={
            "image": np.array(looked_at, np.int64) + first,
            **{name: which.astype(np.uint8) for name, which in told.items()},
        },
        meta={
            "test": {
                "reason": "",
                "looked_at": len(looked_at),
                **{name: int(which.sum()) for name, which in told.items()},
                "queries": queries,
                "constants": asdict(test.constants),
            }
        },
    )
