"""What a defense's certificate is: a sound lower bound on its robust accuracy."""

from __future__ import annotations

from typing import Final, Protocol

from torch import Tensor

from bench.attack.threat import Threat
from bench.deployment import Deployment

UNCERTIFIED: Final = -1  # in place of a label


class Certify(Protocol):
    """A certificate: which images are answered alike whatever an attacker within the threat does.

    It gets no labels: it says what the answer is, and the suite whether that is right.
    """

    def __call__(self, deployment: Deployment, x: Tensor, threat: Threat) -> Tensor:
        """Return for each image the label that every x' within the threat is answered with, int64, (B,).

        Parameters
        ----------
        x : float32, (B, C, H, W), on the grid v/255

        Returns
        -------
        Tensor : ``UNCERTIFIED`` where nothing is proven

        Raises
        ------
        Unavailable : it has nothing to say of this deployment or this threat, and why
        """
        ...
