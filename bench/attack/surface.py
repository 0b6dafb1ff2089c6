"""All that an attack may ask of a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attack.fast import Fast, Precision, fast_copy
from bench.attack.path import Path, margins
from bench.attack.rounding import rounding
from bench.attack.surrogate import Backward, reachable
from bench.attack.threat import Threat
from bench.deployment import Deployment, Draws, Node, Signal
from bench.deployment.deployment import Apply, Cross
from bench.plugins.entries import Access, Knowledge

REFUSED: Final = -1  # in the place of a label that a deployment withholds


@dataclass
class Queries:
    """What an attack spent, in images.

    Attributes
    ----------
    forward : images sent through the deployment, each draw counted
    gradient : images for which a gradient came back, each draw counted
    """

    forward: int = 0
    gradient: int = 0


@dataclass
class GradientTally:
    """What the gradients that came back looked like: the evidence of the gate on masked gradients.

    Zeros are counted where an attack sets out, in the first gradient of each image: later on an image that is already
    answered wrongly may rightly have none (a saturated loss).

    Attributes
    ----------
    starts : how many images are still to set out, so how many gradients count as first ones; an attack that takes
        images one by one says so anew for each
    values, zeros : pixels of the first gradients, those exactly zero
    images, dead_images : first gradients, those zero everywhere
    nonfinite : pixels NaN or infinite, of all gradients
    """

    starts: int
    values: int = 0
    zeros: int = 0
    nonfinite: int = 0
    images: int = 0
    dead_images: int = 0

    def add(self, gradient: Tensor) -> None:
        """Count one batch of gradients, (B, C, H, W)."""
        if not bool(torch.isfinite(gradient.sum())):  # one pass tells of all of them, nearly always
            self.nonfinite += int((~torch.isfinite(gradient)).sum())
        first = gradient[: self.starts]
        self.starts -= len(first)
        zero = first == 0
        self.values += first.numel()
        self.zeros += int(zero.sum())
        self.images += len(first)
        self.dead_images += int(zero.flatten(1).all(1).sum())


@dataclass(frozen=True)
class Examined:
    """What an image sets off in a deployment.

    Attributes
    ----------
    logits : what is answered, (B, K)
    views : the logits of every node that gives some of its own, the answer's last, (V, B, K); a node that hands on
        another's, as one that decides whether to answer, is no view beside it
    score : of its detector, (B,), above 0 where it detects; None where it has none
    refuses : it does not answer what it detects
    """

    logits: Tensor
    views: Tensor
    score: Tensor | None
    refuses: bool


@dataclass(frozen=True)
class Reply:
    """What one who asks is told.

    Attributes
    ----------
    logits : (B, K)
    refused : share of the draws in which the image was refused, float32, (B,); None where nothing ever is
    """

    logits: Tensor
    refused: Tensor | None


class Watched(Deployment):
    """A deployment that notes what its nodes give.

    Attributes
    ----------
    seen : node -> its signal of the last walk
    """

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment.nodes)
        self.seen: dict[str, Signal] = {}

    def walk(self, signal: Signal, apply: Apply, cross: Cross) -> Signal:
        def noting(node: Node, inputs: tuple[Signal, ...]) -> Signal:
            self.seen[node.name] = apply(node, inputs)
            return self.seen[node.name]

        return super().walk(signal, noting, cross)


class Surface:
    """A deployment as one attacker sees it.

    What it answers comes from a fast copy of the deployment (``bench.attack.fast``); the deployment itself says whether
    an image is broken.

    Parameters
    ----------
    knowledge : what the attacker has; an oblivious attacker's surface is built on the twin
    access : "gradient", "score" or "decision": what the answers contain
    backward : how gradients are made; None where there are none
    expectation : draws averaged per query (EOT); 1 for one draw as a user would see it
    starts : images that are attacked; see ``GradientTally``
    precision : of the products on the way to a gradient; answers without one are always float32
    settled : an image that the deployment answers wrongly once is broken for good: it draws nothing, and it is the one
        that is judged
    seed, block : name the attacker's draws, together with the number of the call and of the row
    path : follows the images through the queries

    Attributes
    ----------
    queries, gradients : what was spent and what the gradients looked like
    progress : how far the attack has come, in [0, 1]; one that says so has surrogates that grow harder with it
    about : which of the images under attack the next query is about, int64, (n,): its first n rows, others only fill
        it. None for all of them, in order; an attack that asks about some says so, that gates can follow it
    filling : how many of the last rows of the next query only fill it: they are asked about nothing, and count nowhere
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        knowledge: Knowledge,
        access: Access,
        shape: tuple[int, int, int],
        classes: int,
        backward: Backward | None,
        expectation: int = 1,
        starts: int = 1 << 30,
        precision: Precision = "fp32",
        settled: bool = False,
        seed: int = 0,
        block: bytes = b"",
        path: Path | None = None,
    ) -> None:
        self.knowledge, self.access, self.shape, self.classes = knowledge, access, shape, classes
        self.expectation, self.settled = expectation, settled
        self._precision: Precision = precision
        self.queries, self.gradients = Queries(), GradientTally(starts)
        self.progress = 1.0
        self.about: Tensor | None = None
        self.filling = 0
        self._deployment, self._backward, self._path = deployment, backward, path
        self._seed, self._block, self._calls = seed, block, 0

    @cached_property
    def fast(self) -> Fast:
        """What answers here; its ``deployment`` has met all that the attack asked."""
        return fast_copy(self._deployment, self.shape, precision=self._precision, backward=self._backward)

    @property
    def differentiable(self) -> bool:
        """Whether gradients can be asked for."""
        return self._backward is not None

    @property
    def deployment(self) -> Deployment:
        """The deployment itself, for an attack that its defense brings; what is asked past this surface is not counted.

        Raises
        ------
        PermissionError : the attacker does not know the defense
        """
        if self.knowledge != "adaptive":
            raise PermissionError(f"{self.knowledge} attackers do not see the deployment's parts")
        return self._deployment

    def begin(self) -> None:
        """Say that another search begins, from another start or for another class: gates judge each by its own way."""
        if self._path is not None:
            self._path.begin()

    def logits(self, x: Tensor) -> Tensor:
        """Return logits, float32, (B, K), averaged over ``expectation`` draws; differentiable where the surface is.

        Parameters
        ----------
        x : any float type, (B, C, H, W), in [0, 1]

        Raises
        ------
        PermissionError : the attacker sees labels only
        """
        if self.access == "decision":
            raise PermissionError("this surface answers with labels only; use predict")
        return self._logits(x)

    def reply(self, x: Tensor) -> Reply:
        """Return logits as ``logits`` does, and whether they are withheld: a wrong answer that is refused wins nothing.

        Raises
        ------
        PermissionError : the attacker sees labels only
        """
        if self.access == "decision":
            raise PermissionError("this surface answers with labels only; use predict")
        said = self._signal(x, self.fast.deployment)
        refused = said.side.get("rejected")
        return Reply(self._averaged(said.x, x), None if refused is None else self._averaged(refused.float(), x))

    def predict(self, x: Tensor) -> Tensor:
        """Return labels, int64, (B,); ``REFUSED`` where more than half of the draws withhold the answer."""
        with torch.no_grad():
            said = self._signal(x, self.fast.deployment)
            labels = self._averaged(said.x, x).argmax(1)
            refused = said.side.get("rejected")
            return labels if refused is None else labels.masked_fill(self._averaged(refused.float(), x) > 0.5, REFUSED)

    def loss_gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the gradient of the cross-entropy of each image, (B, C, H, W)."""
        x = x.detach().requires_grad_(True)
        loss = F.cross_entropy(self.logits(x), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        return gradient

    def examine(self, x: Tensor) -> Examined:
        """Return all that an image sets off in the deployment, averaged over ``expectation`` draws; differentiable.

        Raises
        ------
        PermissionError : the attacker does not know the defense
        """
        if self.knowledge != "adaptive":
            raise PermissionError(f"{self.knowledge} attackers see answers only; use logits")
        watched = Watched(self.fast.deployment)
        last = self._signal(x, watched, looks=True)
        given = [signal.x for signal in watched.seen.values() if signal.x.shape == last.x.shape]
        views = [logits for at, logits in enumerate(given) if not any(logits is later for later in given[at + 1 :])]
        logits = reachable(torch.stack(views), x)
        k, score = self.expectation, last.side.get("score")
        return Examined(
            logits=last.x.reshape(len(x), k, -1).mean(1),
            views=logits.reshape(len(logits), len(x), k, -1).mean(2),
            score=None if score is None else reachable(score.float(), x).reshape(len(x), k).mean(1),
            refuses="rejected" in last.side,
        )

    @torch.no_grad()
    def broken(self, x: Tensor, found: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """Return which images need no more work, bool, (B,): none where ``settled`` is false.

        Parameters
        ----------
        x, found : (B, C, H, W), clean images and what an attack has made of them

        Notes
        -----
        The deployment itself is asked in float32, with the images as they will be judged: on the grid of the threat's
        domain, and only where that lies in the ball. An answer that a detector withholds breaks nothing. Each image
        asked about counts as a forward query. An attack that lets such images go has lost nothing by it; ask about
        those that its last logits showed as wrong, since they cost nothing and this does.
        """
        if not self.settled:
            return torch.zeros(len(x), dtype=torch.bool)
        delivered = threat.realise(x, found.detach().float())
        self.queries.forward += len(x)
        said: Signal = self._deployment(Signal(delivered, self._draws(len(x))))
        wrong = -margins(said.x, y) > rounding(said.x)
        withheld = said.side.get("rejected", torch.zeros_like(wrong))
        return wrong & ~withheld & threat.contains(x, delivered)

    def module(self) -> SurfaceModule:
        """Return the surface as a network from x to logits, for libraries that want one; it counts queries."""
        return SurfaceModule(self)

    def _logits(self, x: Tensor) -> Tensor:
        return self._averaged(self._signal(x, self.fast.deployment).x, x)

    def _averaged(self, each: Tensor, x: Tensor) -> Tensor:
        """Return the mean over the draws of each image."""
        return each.reshape(len(x), self.expectation, *each.shape[1:]).mean(1) if self.expectation > 1 else each

    def _signal(self, x: Tensor, deployment: Deployment, *, looks: bool = False) -> Signal:
        """Return what the deployment gives for ``expectation`` draws of each image, in this surface's way.

        Parameters
        ----------
        looks : the attacker is shown what a detector says
        """
        x = x.float()
        wanted = torch.is_grad_enabled() and x.requires_grad
        if wanted and self._backward is None:
            raise PermissionError(f"{self.knowledge} attackers get no gradients")
        k = self.expectation
        many = x.repeat_interleave(k, 0) if k > 1 else x
        signal = Signal(many, self._draws(len(many)))
        asked = len(x) - self.filling
        self.queries.forward += k * asked
        if wanted:
            assert self._backward is not None
            self.queries.gradient += k * asked
            x.register_hook(lambda gradient: self.gradients.add(gradient[:asked]))  # type: ignore[no-untyped-call]
            answer = self._backward(deployment, signal, self.progress)
        else:
            with torch.no_grad():
                answer = deployment(signal)
        if self._path is not None:
            refused, score = answer.side.get("rejected"), answer.side.get("score") if looks else None
            self._path.add(
                x.detach(),
                answer.x.detach().reshape(len(x), k, -1).mean(1),
                step=wanted,
                about=self.about,
                refused=None if refused is None else refused.reshape(len(x), k).any(1),
                score=None if score is None else score.reshape(len(x), k).mean(1),
            )
        return answer

    def _draws(self, rows: int) -> Draws:
        self._calls += 1
        names: Sequence[bytes] = [self._block + f"/{self._calls}/{row}".encode() for row in range(rows)]
        return Draws.of("craft", self._seed, names)


class SurfaceModule(nn.Module):
    """A surface as a network; it casts at the door, since ART under NumPy 2 feeds float64.

    Attributes
    ----------
    refused : the label that stands for a refusal where answers are labels alone, one-hot: the true one of the images
        asked about, since an answer that is withheld is no success

    Raises
    ------
    PermissionError : an answer was withheld, and ``refused`` was not said
    """

    def __init__(self, surface: Surface) -> None:
        super().__init__()
        self._surface = surface
        self.refused: int | None = None
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        if self._surface.access != "decision":
            return self._surface.logits(x)
        labels = self._surface.predict(x)
        if bool((labels == REFUSED).any()):
            if self.refused is None:
                raise PermissionError("an answer was withheld: say by ``refused`` which label stands for that")
            labels = labels.masked_fill(labels == REFUSED, self.refused)
        return F.one_hot(labels, self._surface.classes).float()
