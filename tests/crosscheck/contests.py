"""Who is compared with whom, at which radius."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.attack import Threat

from .attacks import APGD, CARLINI, ONE_CONSTANT, PGD

MNIST, CIFAR10 = "mnist, lenet5", "cifar10, resnet20"
RADII = {
    ("linf", MNIST): {"none": 26 / 255, "qusec-cq": 51 / 255, "adversarial-training": 77 / 255},
    ("l2", MNIST): {"none": 1.5, "qusec-cq": 1.5, "adversarial-training": 2.5},
    ("linf", CIFAR10): {"none": 1 / 255, "qusec-cq": 2 / 255, "adversarial-training": 8 / 255},
}
"""Radii at which some images stand and some do not: at 0 % all attacks agree.

Those in Linf are whole steps of the grid to which the device rounds: at .1, 25.5 steps, whether a corner of the ball
becomes 25 or 26 of them hangs on the last bit, and libraries that let values stand an ulp outside break 2 to 3 points
more of the undefended network.
"""


HALF = 0.5
"""Of the images, under attacks that agree on most of them and take longer: some 800 show equivalence there, by the
share that one side alone breaks; under PGD it takes 1,700 (``images_for_equivalence``, on 1,000 images of CIFAR-10)."""


@dataclass(frozen=True)
class Side:
    """One attack as one library runs it.

    Attributes
    ----------
    library : "suite", or one that a network is handed to
    attack : a selection of the suite's, or the peer's name in ``attacks.PEERS``
    share : of the images that it sees
    """

    library: str
    attack: str
    seed: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Contest:
    """Two sides on one deployment.

    Attributes
    ----------
    budget : in words
    decides : the two must agree; else the row only shows how large differences are where agreement is not expected
    subjects : data sets and models that it is made on
    """

    title: str
    budget: str
    norm: str
    ours: Side
    theirs: Side
    decides: bool = True
    subjects: tuple[str, ...] = (MNIST,)

    def threat(self, subject: str, defense: str) -> Threat:
        radius = RADII[self.norm, subject][defense]
        return Threat(norm=self.norm, epsilon=radius, domain="float")  # type: ignore[arg-type]


def contests() -> Iterator[Contest]:
    """Yield all comparisons; each is made on every deployment of its subjects.

    Those by PGD and APGD are made on both: ResNet-20 has what LeNet-5 lacks, normalisations that the suite folds and
    layers that it lays out anew. C&W's 750 steps an image would take hours there.
    """
    said = f"{PGD.steps} steps of ε/30, one random start"
    pgd = Side("suite", f"native-pgd-linf[steps={PGD.steps}]")
    for library in ("foolbox", "torchattacks"):
        yield Contest("PGD", said, "linf", pgd, Side(library, "pgd"), subjects=(MNIST, CIFAR10))
    early = Side("suite", f"native-pgd-linf[steps={PGD.steps},early=true]")
    leaving = f"{said}; of ours, what is broken leaves at once"
    yield Contest("PGD, early", leaving, "linf", early, Side("foolbox", "pgd"), subjects=(MNIST, CIFAR10))
    again = Side("suite", pgd.attack, seed=1)
    yield Contest("PGD, another seed", said, "linf", pgd, again, decides=False, subjects=(MNIST, CIFAR10))
    said = f"{APGD.steps} steps, one start"
    for loss in ("ce", "dlr"):
        native = Side("suite", f"native-apgd-{loss}[steps={APGD.steps},restarts=1]", share=HALF)
        theirs = Side("torchattacks", f"apgd-{loss}", share=HALF)
        yield Contest(f"APGD-{loss.upper()}", said, "linf", native, theirs, subjects=(MNIST, CIFAR10))
    art = Side("suite", f"apgd-ce[max_iter={APGD.steps},restarts=1]", share=HALF)
    yield Contest("APGD-CE of ART", said, "linf", art, Side("torchattacks", "apgd-ce", share=HALF))
    said = (
        f"{CARLINI.constants} constants from {CARLINI.constant:g} on, {CARLINI.steps} steps of Adam ({CARLINI.step:g})"
    )
    native = Side(
        "suite",
        f"native-cw-l2[steps={CARLINI.steps},rate={CARLINI.step},searches={CARLINI.constants},constant={CARLINI.constant}]",
        share=HALF,
    )
    yield Contest("C&W-L2", said, "l2", native, Side("foolbox", "cw-l2", share=HALF))
    steps = CARLINI.steps // 3  # a line search of five answers and two gradients a step, about
    art = Side(
        "suite",
        f"cw-l2[max_iter={steps},binary_search_steps={CARLINI.constants},learning_rate={CARLINI.step},"
        f"initial_const={CARLINI.constant}]",
        share=HALF / 4,
    )
    searched = (
        f"{CARLINI.constants} constants from {CARLINI.constant:g} on; ART: {steps} steps with a line search, Foolbox: "
        f"{CARLINI.steps} steps of Adam ({CARLINI.step:g})"
    )
    yield Contest("C&W-L2 of ART", searched, "l2", art, Side("foolbox", "cw-l2", share=HALF), decides=False)
    said = f"c = {ONE_CONSTANT.constant:g}, {ONE_CONSTANT.steps} steps of Adam ({ONE_CONSTANT.step:g})"
    one = Side(
        "suite",
        f"native-cw-l2[steps={ONE_CONSTANT.steps},rate={ONE_CONSTANT.step},searches=1,constant={ONE_CONSTANT.constant}]",
        share=HALF,
    )
    yield Contest("C&W-L2, one constant", said, "l2", one, Side("torchattacks", "cw-l2", share=HALF))
