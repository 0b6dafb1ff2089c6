"""How long robust accuracy takes: PGD-40, Linf 8/255, on an adversarially trained ResNet-20, beside three libraries.

All start at random, and all images that come back are judged alike: by the network itself, in float32. The suite's
attack is ``native-pgd-linf[early=true]``: an image leaves as soon as it is answered wrongly, and what is wrong when
clean is not attacked; the libraries have no such thing. It runs three times: with the same 40 equal steps as the
libraries, in the precision that a run takes here and in float32, and with 10 falling steps. Whether the robust accuracy
is the same is measured, image by image; where it differs by more than a point, the time answers nothing.

Each contestant runs as it is used: the libraries in float32, in one process with torch's threads, the suite in one
process a core with one thread. Each library runs a second time with help: it gets only the images that are right when
clean, and its malloc is told what the suite's workers tell theirs. They take their turns on a quarter of the images at
a time, there and back, because the machine is not equally fast all the time. Starts, imports and a first small batch
are not timed.

The network is the suite's shipped fit of ``adversarial-training``. Foolbox and torchattacks come from the environment
that ``tests/crosscheck/setup`` makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..figure import Figure
from ..subjects import (
    CLASSES,
    EPSILON,
    KEEPING,
    SHAPE,
    STEP,
    adversarially_trained,
    art_estimator,
    cifar10,
    has_cifar10,
    settle,
)

PEERS = Path(__file__).parents[3] / ".venv" / "crosscheck" / "bin" / "python"
IMAGES, TURNS, WARM, STEPS, BATCH = int(os.environ.get("BENCH_ROBUST_IMAGES", "1000")), 4, 16, 40, 128
TITLE = f"surface: robust accuracy of {IMAGES} CIFAR-10 images, Linf 8/255"
Work = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Way:
    """How the suite attacks: the steps, the precision that is asked for, and how a figure calls it."""

    said: str
    steps: Mapping[str, Any]
    precision: str = "auto"


EQUAL = {"steps": STEPS, "step": STEP / EPSILON, "schedule": "constant"}
OURS = {
    "equal": Way(f"the same {STEPS} steps", EQUAL),
    "equal-fp32": Way(f"the same {STEPS} steps in float32", EQUAL, "fp32"),
    "falling": Way("10 falling steps", {"steps": 10, "step": 1.0, "schedule": "cosine"}),
}
ASKED = {"art": ">= 10", "foolbox": ">= 8", "torchattacks": ">= 7"}
HELP = "+help"
POINT = 1.0  # of robust accuracy, within which times are compared


@dataclass
class Took:
    """What a contestant took in each turn, and which images it leaves standing."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    stands: list[bool] = field(default_factory=list)

    @property
    def robust(self) -> float:
        """Return the share left standing, in percent."""
        return 100 * sum(self.stands) / len(self.stands)


def figures() -> list[Figure]:
    """Return seconds of the suite and of each library, their ratios, and how far they agree."""
    lacking = "" if has_cifar10() else "BENCH_DATA_DIR has no CIFAR-10"
    present = [] if lacking else [peer for peer in ASKED if peer == "art" or PEERS.is_file()]
    contestants = [*OURS, *(name for peer in present for name in (peer, peer + HELP))] if present else []
    total = {name: Took() for name in contestants}
    for turn in range(TURNS):
        for name in contestants if turn % 2 == 0 else reversed(contestants):
            _take_turn(name, turn, total[name])
    rows = []
    for peer, asked in ASKED.items():
        if peer in present:
            rows += _against(total, peer, asked)
        else:
            why = lacking or "tests/crosscheck/setup was not run"
            rows.append(Figure(f"{TITLE}, against {peer}: skipped, {why}", "s", asked=asked))
    return rows


def _take_turn(name: str, turn: int, took: Took) -> None:
    python = PEERS if name.removesuffix(HELP) in {"foolbox", "torchattacks"} else Path(sys.executable)
    command = [str(python), "-m", __spec__.name, name, str(turn)]
    environment = {**os.environ, **(KEEPING if name.endswith(HELP) else {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{name}: {done.stderr[-4000:]}"
    told = json.loads(done.stdout.splitlines()[-1])
    took.wall.append(told["wall"])
    took.processor.append(told["processor"])
    took.stands += told["stands"]


def _against(total: Mapping[str, Took], peer: str, asked: str) -> list[Figure]:
    """Return what is said of one library: times of each way of ours beside it, and robust accuracy."""
    rows = []
    for key, way in OURS.items():
        ours, theirs = total[key], total[peer]
        apart = ours.robust - theirs.robust
        void = f"{apart:+.1f} points of robust accuracy" if abs(apart) > POINT else ""
        name = f"{TITLE}, {way.said}, against PGD-{STEPS} of {peer}"
        bound = "" if way.precision == "fp32" else asked
        rows.append(_time(f"{name}, wall time", ours.wall, theirs.wall, bound, void))
        rows.append(_time(f"{name}, processor time", ours.processor, theirs.processor))
        helped = f"{name}, which gets right images only and malloc told the same, wall time"
        rows.append(_time(helped, ours.wall, total[peer + HELP].wall))
        only_ours = sum(t and not o for o, t in zip(ours.stands, theirs.stands, strict=True))
        only_theirs = sum(o and not t for o, t in zip(ours.stands, theirs.stands, strict=True))
        said = (
            f"{name}: {ours.robust:.1f} and {theirs.robust:.1f} % robust, {only_ours} images broken by ours alone, "
            f"{only_theirs} by theirs alone; difference"
        )
        rows.append(Figure(said, "points", abs(apart), asked=f"<= {POINT:g} points"))
    return rows


def _time(name: str, ours: list[float], theirs: list[float], asked: str = "", void: str = "") -> Figure:
    turns = [t / o for o, t in zip(ours, theirs, strict=True)]
    return Figure(name, "s", sum(ours), sum(theirs), asked=asked, turns=turns, void=void)


# ---------------------------------------------------------------------- one contestant, one turn


def contest(name: str, turn: int) -> None:
    """Print seconds of one turn and which images withstood."""
    torch.manual_seed(turn)
    network, (x, y) = adversarially_trained(), _images(turn)
    if name in OURS:
        stands, wall, processor = _ours(x, y, turn, name)
    else:
        peer = name.removesuffix(HELP)
        attack: Work = {"art": _art, "foolbox": _foolbox, "torchattacks": _torchattacks}[peer](network)
        attack(x[:WARM], y[:WARM])
        started, worked = time.perf_counter(), time.process_time()
        given = torch.ones(len(x), dtype=torch.bool)
        if name.endswith(HELP):
            given = _right(network, x, y)
        found = x.clone()
        found[given] = attack(x[given], y[given])
        stands = _withstood(network, x, found, y)
        wall, processor = time.perf_counter() - started, time.process_time() - worked
    print(json.dumps({"wall": wall, "processor": processor, "stands": stands.tolist()}))


def _images(turn: int) -> tuple[Tensor, Tensor]:
    return cifar10(slice(turn * IMAGES // TURNS, (turn + 1) * IMAGES // TURNS))


@torch.no_grad()
def _right(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return torch.cat([network(part).argmax(1) for part in x.split(BATCH)]) == y


def _withstood(network: nn.Module, x: Tensor, found: Tensor, y: Tensor) -> Tensor:
    """Return which images are right clean and as they were found, none outside the ball."""
    assert float((found - x).abs().max()) <= EPSILON + 1e-5
    return _right(network, x, y) & _right(network, found, y)


def _art(network: nn.Module) -> Work:
    import numpy as np
    from art.attacks.evasion import ProjectedGradientDescent

    attack = ProjectedGradientDescent(
        art_estimator(network),
        norm=np.inf,
        eps=EPSILON,
        eps_step=STEP,
        max_iter=STEPS,
        num_random_init=1,
        batch_size=BATCH,
        verbose=False,
    )
    labels = np.eye(CLASSES, dtype=np.float32)
    return lambda x, y: torch.from_numpy(attack.generate(x.numpy(), y=labels[y.numpy()]))


def _foolbox(network: nn.Module) -> Work:
    import foolbox

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=True)

    def run(x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(x.split(BATCH), y.split(BATCH), strict=True)
        return torch.cat([attack(model, images, labels, epsilons=EPSILON)[1] for images, labels in pairs])

    return run


def _torchattacks(network: nn.Module) -> Work:
    import torchattacks

    attack = torchattacks.PGD(network, eps=EPSILON, alpha=STEP, steps=STEPS, random_start=True)
    return lambda x, y: torch.cat(
        [attack(images, labels) for images, labels in zip(x.split(BATCH), y.split(BATCH), strict=True)]
    )


# ---------------------------------------------------------------------- the suite


def _ours(x: Tensor, y: Tensor, turn: int, name: str) -> tuple[Tensor, float, float]:
    """Return which images withstood, the seconds from the first to the last of the workers, and their sum."""
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, initializer=settle) as pool:
        list(pool.map(_warm, range(workers), [name] * workers))
        started = time.perf_counter()
        done = list(pool.map(_share, x.chunk(workers), y.chunk(workers), [turn] * workers, [name] * workers))
        wall = time.perf_counter() - started
    return torch.cat([stands for stands, _ in done]), wall, sum(seconds for _, seconds in done)


_network = cache(adversarially_trained)  # read before the clock runs, as the libraries' is


def _warm(worker: int, name: str) -> None:
    x, y = _images(0)
    _pgd(x[:WARM], y[:WARM], 0, name)
    time.sleep(0.5)  # so that each worker gets one


def _share(x: Tensor, y: Tensor, turn: int, name: str) -> tuple[Tensor, float]:
    worked = time.process_time()
    return _pgd(x, y, turn, name), time.process_time() - worked


def _pgd(x: Tensor, y: Tensor, turn: int, name: str) -> Tensor:
    """Return which images withstand."""
    from bench.attack import Batch, Surface, Threat
    from bench.attack.surrogate import as_it_is
    from bench.deployment import Classify, Deployment, Draws
    from bench.planning.machine import gradient_precision
    from bench_native.iterated import pgd

    surface = Surface(
        Deployment.chain(Classify(_network())),
        knowledge="white-box",
        access="gradient",
        shape=SHAPE,
        classes=CLASSES,
        backward=as_it_is,
        precision=gradient_precision(OURS[name].precision),  # type: ignore[arg-type]
        settled=True,
    )
    threat = Threat(norm="linf", epsilon=EPSILON, domain="float")
    stands = ~surface.broken(x, x, y, threat)
    rows = torch.nonzero(stands).flatten()
    draws = Draws.of("craft", turn, [image.numpy().tobytes() for image in x[rows]])
    attack = pgd(**OURS[name].steps, restarts=1, random_start=True, loss="ce", early=True)
    found = attack.run(surface, Batch(x[rows], y[rows], draws, turn), threat).x_adv
    stands[rows] = _withstood(_network(), x[rows], found, y[rows])
    return stands


if __name__ == "__main__":
    contest(sys.argv[1], int(sys.argv[2]))
