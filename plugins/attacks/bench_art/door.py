"""The network that ART sees."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, cast

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.attack import Surface, Threat

Images = NDArray[Any]
_REMEMBERED = 64 << 20  # bytes of answers; one image of 32x32 pixels takes 12 KiB of it
MOST = 128  # images asked at once: more cost memory and gain nothing (APGD-DLR's grows with the square)


class Exhausted(Exception):
    """The queries allowed for one image are used up."""


class Nearest:
    """Of what was asked about one image and answered wrongly, the nearest to it.

    Parameters
    ----------
    x : float32, (1, C, H, W)
    label : its true one
    itself : the image itself counts, too; where answers are drawn a wrong one to it is luck, and nothing is nearer

    Attributes
    ----------
    x_adv : float32, (1, C, H, W), in [0, 1]; the image itself before anything was answered wrongly
    """

    def __init__(self, x: Tensor, label: int, threat: Threat, *, itself: bool) -> None:
        self.x_adv = x
        self._x, self._label, self._threat, self._itself = x, label, threat, itself
        self._shortest = np.inf

    def note(self, asked: Tensor, answers: Tensor) -> None:
        """Note a query, (B, C, H, W), and its answers, (B, K)."""
        wrong = asked[answers.argmax(1) != self._label].detach().float().clamp(0.0, 1.0)
        if not len(wrong):
            return
        distance = self._threat.distance(self._x, wrong)
        if not self._itself:
            distance[distance == 0] = torch.inf
        row = int(distance.argmin())
        if distance[row] < self._shortest:
            self.x_adv, self._shortest = wrong[row : row + 1].clone(), float(distance[row])


class Door(nn.Module):
    """A surface's network with a count, answering with probabilities where an attack wants them.

    Parameters
    ----------
    ceiling : queries after which it stops answering; 0 for never

    Attributes
    ----------
    nearest : what an attack that is stopped has found of the image that it is about; None where nobody said which
    """

    def __init__(self, surface: Surface, *, softmax: bool, ceiling: int = 0) -> None:
        super().__init__()
        self._answers, self._settled = surface.module(), surface.settled
        self.nearest: Nearest | None = None
        self._softmax, self._ceiling, self._asked = softmax, ceiling, 0

    def reopen(self) -> None:
        """Begin a new count."""
        self._asked = 0

    def about(self, x: Tensor, label: int, threat: Threat) -> None:
        """Say that all that is asked until further notice is about this image, (1, C, H, W), of this true label.

        A refusal counts as that label.
        """
        self._answers.refused = label
        self.nearest = Nearest(x, label, threat, itself=self._settled)

    def forward(self, x: Tensor) -> Tensor:
        self._asked += len(x)
        if self._ceiling and self._asked > self._ceiling:
            raise Exhausted
        answers: Tensor = self._answers(x)
        if self._ceiling and self.nearest is not None:
            self.nearest.note(x, answers)
        return answers.softmax(1) if self._softmax else answers


class View(PyTorchClassifier):  # type: ignore[misc]  # art is untyped
    """ART's view of the door: the same answers as ``PyTorchClassifier`` gives, with less around each call.

    Notes
    -----
    ART 1.20.1 builds a data loader for every prediction, which costs more than a small network, and asks one backward
    pass over the whole batch for each label that occurs, where one pass over all labels gives every image its gradient.
    The loss is summed, not averaged: an image's gradient then has the same bits whatever else stands in its batch.
    """

    def __init__(self, door: Door, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(
            door,
            loss=nn.CrossEntropyLoss(reduction="sum"),
            input_shape=shape,
            nb_classes=classes,
            clip_values=(0.0, 1.0),
            device_type="cpu",
        )

    def forget(self) -> None:
        """Hear that the next images have nothing to do with those before them."""

    def predict(
        self, x: Images, batch_size: int = 128, training_mode: bool = False, **kwargs: object
    ) -> NDArray[np.float32]:
        """Return answers, float32, (B, K); ``batch_size`` is not believed: some attacks ask one by one."""
        with torch.no_grad():
            answers = [
                self.model(torch.from_numpy(np.ascontiguousarray(x[i : i + MOST]))) for i in range(0, len(x), MOST)
            ]
        return torch.cat(answers).numpy().astype(np.float32, copy=False)

    def class_gradient(
        self, x: Images, label: int | list[int] | Images | None = None, training_mode: bool = False, **kwargs: object
    ) -> NDArray[np.float32]:
        """Return the gradients of one output an image, (B, 1, C, H, W), or of all outputs, (B, K, C, H, W)."""
        given = torch.from_numpy(np.ascontiguousarray(x)).float().requires_grad_(True)
        answers = self.model(given)
        if label is None:
            outputs = range(answers.shape[1])
            gradients = [torch.autograd.grad(answers[:, k].sum(), given, retain_graph=True)[0] for k in outputs]
        else:
            labels = torch.as_tensor(label).expand(len(given))
            chosen = answers.gather(1, labels.reshape(-1, 1)).sum()
            gradients = list(torch.autograd.grad(chosen, given))
        return cast("NDArray[np.float32]", torch.stack(gradients, 1).numpy())


class Recalling(View):
    """A view that answers from memory what it was asked before, of single images.

    For attacks that ask the same again and again, of surfaces that say the same again: what ART is told is what it
    would be told anyway, and only what is new counts as a query.
    """

    def __init__(self, door: Door, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(door, shape, classes)
        self._answers: dict[tuple[bytes, int | None], NDArray[np.float32]] = {}  # the one that was asked last is last
        self._most = max(1, _REMEMBERED // (4 * int(np.prod(shape))))

    def forget(self) -> None:
        """Empty the memory: the same image is answered otherwise where its label is another."""
        self._answers.clear()

    def predict(
        self, x: Images, batch_size: int = 128, training_mode: bool = False, **kwargs: object
    ) -> NDArray[np.float32]:
        return self._recalled(x, None, super().predict)

    def class_gradient(
        self, x: Images, label: int | list[int] | Images | None = None, training_mode: bool = False, **kwargs: object
    ) -> NDArray[np.float32]:
        if label is None:
            return super().class_gradient(x)
        return self._recalled(x, int(np.ravel(label)[0]), lambda x: super(Recalling, self).class_gradient(x, label))

    def _recalled(
        self, x: Images, label: int | None, ask: Callable[[Images], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        if len(x) != 1:
            return ask(x)
        key = (blake2b(np.asarray(x, np.float32).tobytes(), digest_size=16).digest(), label)
        answer = self._answers.pop(key, None)
        self._answers[key] = ask(x) if answer is None else answer
        if len(self._answers) > self._most:
            del self._answers[next(iter(self._answers))]
        return self._answers[key].copy()  # ART writes into what it gets
