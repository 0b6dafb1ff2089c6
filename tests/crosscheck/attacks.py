"""The same attacks with the same budget, by this suite, by Foolbox and by torchattacks.

Whoever attacks gets the images in batches of ``BATCH``. The suite's attacks ask an adaptive attacker's surface, in the
precision that a run takes on this machine; the libraries get a network that was written anew, in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from bench.attack import Batch, Surface, Threat, ways
from bench.deployment import Draws
from bench.planning.attacks import precision
from bench.planning.subjects import described, identity
from bench.plugins.entries import Attack
from bench.plugins.registry import discover
from bench.plugins.selection import select
from bench.tasks.building import implementation

from .victims import Victim, WrittenAnew

BATCH = 128
Peer = Callable[[WrittenAnew, Threat, int], Callable[[Tensor, Tensor], Tensor]]
"""(network, threat, seed) -> (x, y) -> x'"""


@dataclass(frozen=True)
class Budget:
    """What both sides may spend.

    Attributes
    ----------
    steps : of gradient, of one start or for one constant
    step : of PGD, as a share of epsilon; of C&W, Adam's
    constants : that C&W tries one after the other, from ``constant`` on
    """

    steps: int
    step: float = 0.0
    constants: int = 1
    constant: float = 1.0


PGD = Budget(steps=40, step=1 / 30)  # Madry et al. 2018 for MNIST
APGD = Budget(steps=100)  # Croce and Hein 2020, section 4; one start
CARLINI = Budget(steps=150, step=0.05, constants=5, constant=1.0)
ONE_CONSTANT = Budget(steps=150, step=0.05, constant=10.0)  # torchattacks has no search for it


def by_suite(victim: Victim, rows: Tensor, selection: str, threat: Threat, seed: int) -> Tensor:
    """Return x' of some of the images, float32, (n, C, H, W), by an attack of the suite."""
    (chosen,), _ = select(discover(), "attack", selection)
    attack = implementation(described(chosen))
    found = []
    for part in rows.split(BATCH):
        digests = [victim.digests[row] for row in part.tolist()]
        block = blake2b(b"".join(digests), digest_size=8).digest()
        surface = Surface(
            victim.deployment,
            knowledge="adaptive",
            access="gradient",
            shape=tuple(victim.x.shape[1:]),  # type: ignore[arg-type]
            classes=victim.classes,
            backward=ways.backward(ways.OWN if victim.deployment.differentiable else ways.USUAL),
            precision=precision_of(selection),  # type: ignore[arg-type]
            starts=len(part),
            settled=True,
            seed=seed,
            block=block,
        )
        draws = Draws.of("craft", seed, digests).spawn(selection)
        batch = Batch(victim.x[part], victim.y[part], draws, int.from_bytes(block[:4], "little") + seed)
        found.append(attack.run(surface, batch, threat).x_adv.detach().float())
    return torch.cat(found)


def code_of(selection: str) -> dict[str, Any]:
    """Return what names an attack of the suite: its parameters and a digest of its code."""
    (chosen,), _ = select(discover(), "attack", selection)
    return identity(chosen)


def precision_of(selection: str) -> str:
    """Return what the gradients of an attack of the suite are computed in on this machine."""
    (chosen,), _ = select(discover(), "attack", selection)
    assert isinstance(chosen.found.entry, Attack)
    return precision(chosen.found.entry, "auto")


def by_peer(victim: Victim, rows: Tensor, peer: Peer, threat: Threat, seed: int) -> Tensor:
    """Return x' of some of the images by an attack of another library."""
    torch.manual_seed(seed)
    attack = peer(WrittenAnew(victim.deployment), threat, seed)
    return torch.cat([attack(victim.x[part], victim.y[part]).detach().float() for part in rows.split(BATCH)])


def _foolbox_pgd(network: WrittenAnew, threat: Threat, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    import foolbox

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=PGD.step * threat.epsilon, steps=PGD.steps, random_start=True)
    return lambda x, y: attack(model, x, y, epsilons=threat.epsilon)[1]


def _torchattacks_pgd(network: WrittenAnew, threat: Threat, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    import torchattacks

    size = PGD.step * threat.epsilon
    return torchattacks.PGD(network, eps=threat.epsilon, alpha=size, steps=PGD.steps, random_start=True)


def _torchattacks_apgd(loss: str) -> Peer:
    def make(network: WrittenAnew, threat: Threat, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
        import torchattacks

        return torchattacks.APGD(network, norm="Linf", eps=threat.epsilon, steps=APGD.steps, seed=seed, loss=loss)

    return make


def _foolbox_carlini(network: WrittenAnew, threat: Threat, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    import foolbox

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=CARLINI.constants,
        steps=CARLINI.steps,
        stepsize=CARLINI.step,
        initial_const=CARLINI.constant,
        abort_early=False,  # it looks at the sum over the batch
    )

    def run(x: Tensor, y: Tensor) -> Tensor:
        found, _, success = attack(model, x, y, epsilons=None)
        return torch.where(success[:, None, None, None], found, x)

    return run


def _torchattacks_carlini(network: WrittenAnew, threat: Threat, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    import torchattacks

    class Carlini(torchattacks.CW):  # type: ignore[misc,name-defined]
        def f(self, outputs: Tensor, labels: Tensor) -> Tensor:
            """Return equation f6; theirs takes 0 for logits where all that it looks at are negative."""
            other = outputs.scatter(1, labels[:, None], -torch.inf).amax(1)
            lead: Tensor = outputs.gather(1, labels[:, None])[:, 0] - other
            return lead.clamp(min=-self.kappa)

    attack = Carlini(network, c=ONE_CONSTANT.constant, steps=_Steps(ONE_CONSTANT.steps), lr=ONE_CONSTANT.step)
    asked: list[int] = []
    network.register_forward_hook(lambda *_: asked.append(1))

    def run(x: Tensor, y: Tensor) -> Tensor:
        asked.clear()
        # Values of exactly 0 and 1 lie at infinity of its tanh space, where it never moves them.
        found: Tensor = attack(x.clamp(1e-6, 1 - 1e-6), y)
        assert len(asked) == ONE_CONSTANT.steps, f"torchattacks' C&W ended after {len(asked)} steps"
        return found

    return run


class _Steps(int):
    """A number of steps without looks at the sum over the batch, at every tenth of which torchattacks' C&W may end."""

    def __floordiv__(self, other: int) -> int:
        return int(self)


PEERS: dict[tuple[str, str], Peer] = {
    ("foolbox", "pgd"): _foolbox_pgd,
    ("torchattacks", "pgd"): _torchattacks_pgd,
    ("torchattacks", "apgd-ce"): _torchattacks_apgd("ce"),
    ("torchattacks", "apgd-dlr"): _torchattacks_apgd("dlr"),
    ("foolbox", "cw-l2"): _foolbox_carlini,
    ("torchattacks", "cw-l2"): _torchattacks_carlini,
}


def right(victim: Victim) -> Tensor:
    """Return the images that are answered rightly without attack, int64, (n,)."""
    return torch.nonzero(victim.answers(victim.x).argmax(1) == victim.y).flatten()


def stands(victim: Victim, rows: Tensor, found: Tensor, threat: Threat) -> Tensor:
    """Return of all images whether they stand, bool, (n,).

    The deployment itself answers, in float32, over its border; what lies outside the ball breaks nothing.

    Parameters
    ----------
    rows : images that are right when clean; found : x' of them
    """
    x_adv = victim.x.clone()
    x_adv[rows] = found.clamp(0.0, 1.0)
    broken = threat.contains(victim.x, x_adv) & (victim.answers(x_adv).argmax(1) != victim.y)
    standing = torch.zeros(len(x_adv), dtype=torch.bool)
    standing[rows] = True
    return standing & ~broken
