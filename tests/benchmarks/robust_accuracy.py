"""How long robust accuracy takes: PGD-40, Linf 8/255, on an adversarially trained ResNet-20, beside three libraries.

All start at random, and all images that come back are judged alike: by the network itself, in float32. The suite's
attack is ``native-pgd-linf[early=true]``: an image leaves as soon as it is answered wrongly; the libraries have no such
thing. It runs twice: with the same 40 equal steps as the libraries, and with 10 falling ones, which reach the same
robust accuracy within a point. Each contestant runs as it is used: the libraries in one process with torch's threads,
the suite in one process a core with one thread. They take their turns on a quarter of the images at a time, because the
machine is not equally fast all the time; on two cores that makes batches of 125, about a block of the suite's. Starts,
imports and a first small batch are not timed.

The network is the suite's shipped fit of ``adversarial-training``. Foolbox and torchattacks come from the environment
that ``tests/crosscheck/setup`` makes, and are left out, saying so, where that is missing.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv" / "crosscheck" / "bin" / "python"
IMAGES, TURNS, WARM = int(os.environ.get("BENCH_ROBUST_IMAGES", "1000")), 4, 16
EPSILON, STEP, STEPS = 8 / 255, 2 / 255, 40  # the step: Madry et al. 2018 for CIFAR-10
OURS: dict[str, dict[str, Any]] = {
    "equal": {"steps": STEPS, "step": STEP / EPSILON, "schedule": "constant"},
    "falling": {"steps": 10, "step": 1.0, "schedule": "cosine"},
}
SAID = {"equal": f"the same {STEPS} steps", "falling": "10 falling steps to equal robust accuracy (+-1 point)"}
BATCH = 128
ASKED = {"art": ">= 10", "foolbox": ">= 8", "torchattacks": ">= 7"}
TITLE = f"surface: robust accuracy, PGD-{STEPS}, {IMAGES} CIFAR-10 images"
Work = Callable[[Tensor, Tensor], Tensor]


def figures() -> list[dict[str, Any]]:
    """Return seconds of the suite and of each library, their ratios by the clock and by processor time."""
    if not _images_file().is_file():
        return [_row(f"{TITLE}: skipped, BENCH_DATA_DIR has no CIFAR-10")]
    contestants = [*OURS, *(name for name in ASKED if name == "art" or PEERS.is_file())]
    total = {name: {"wall": 0.0, "processor": 0.0, "robust": 0} for name in contestants}
    for turn in range(TURNS):
        for name in contestants:
            python = PEERS if name in {"foolbox", "torchattacks"} else Path(sys.executable)
            done = subprocess.run([python, __file__, name, str(turn)], capture_output=True, text=True)
            assert done.returncode == 0, f"{name}: {done.stderr[-4000:]}"
            for what, value in json.loads(done.stdout.splitlines()[-1]).items():
                total[name][what] += value
    rows = []
    for name, asked in ASKED.items():
        if name not in total:
            rows.append(_row(f"{TITLE}, against {name}: skipped, tests/crosscheck/setup was not run"))
            continue
        for way, said in SAID.items():
            ours, theirs = total[way], total[name]
            for clock, bound in (("wall", asked), ("processor", "")):
                label = f"{TITLE}, against {name}, {said}, {clock} time"
                o, t = ours[clock], theirs[clock]
                rows.append({"name": label, "ours": o, "theirs": t, "ratio": t / o, "unit": "s", "asked": bound})
            shares = [100 * each["robust"] / IMAGES for each in (ours, theirs)]
            label = f"{TITLE}, against {name}, {said}: {shares[0]:.1f} and {shares[1]:.1f} % robust, difference"
            rows.append(_row(label, abs(shares[0] - shares[1]), "<= 1 points"))
    return rows


def _row(name: str, ours: float | None = None, asked: str = "") -> dict[str, Any]:
    return {"name": name, "ours": ours, "theirs": None, "ratio": None, "unit": "points", "asked": asked}


def _images_file() -> Path:
    return Path(os.environ.get("BENCH_DATA_DIR", "data")) / "cifar-10-batches-py" / "test_batch"


# ---------------------------------------------------------------------- one contestant, one turn


def contest(name: str, turn: int) -> None:
    """Print seconds of one turn and how many images withstood."""
    torch.manual_seed(turn)
    network, (x, y) = _network(), _images(turn)
    if name in OURS:
        robust, wall, processor = _ours(x, y, turn, OURS[name])
    else:
        attack: Work = {"art": _art, "foolbox": _foolbox, "torchattacks": _torchattacks}[name](network)
        attack(x[:WARM], y[:WARM])
        started, worked = time.perf_counter(), time.process_time()
        robust = _withstood(network, x, attack(x, y), y)
        wall, processor = time.perf_counter() - started, time.process_time() - worked
    print(json.dumps({"wall": wall, "processor": processor, "robust": robust}))


def _network() -> nn.Module:
    """Return the classifier of the shipped fit."""
    from safetensors.torch import load_file

    from bench.data.cards import find_card, find_fit
    from bench_baselines.plugin import bench_defenses
    from bench_models.architectures import ResNet
    from bench_models.plugin import bench_models

    model = next(entry for entry in bench_models() if entry.name == "resnet20")
    defense = next(entry for entry in bench_defenses() if entry.name == "adversarial-training")
    undefended = find_card(model, {p.name: p.default for p in model.parameters}, "cifar10", 0, 0)
    assert undefended is not None
    fitted = {p.name: p.default for p in defense.parameters if p.fits}
    card = find_fit(defense, fitted, "cifar10", undefended.sha256, 0, 0)
    assert card is not None
    network = ResNet().build((3, 32, 32), 10)
    network.load_state_dict(load_file(card.weights_path))
    return network.eval()


def _images(turn: int) -> tuple[Tensor, Tensor]:
    batch = pickle.loads(_images_file().read_bytes(), encoding="bytes")  # the data set's own format
    rows = slice(turn * IMAGES // TURNS, (turn + 1) * IMAGES // TURNS)
    x = torch.from_numpy(batch[b"data"][rows].reshape(-1, 3, 32, 32)).float() / 255.0
    return x, torch.tensor(batch[b"labels"][rows])


@torch.no_grad()
def _withstood(network: nn.Module, x: Tensor, found: Tensor, y: Tensor) -> int:
    """Return how many images are right clean and as they were found, none outside the ball."""
    assert float((found - x).abs().max()) <= EPSILON + 1e-5
    right = torch.ones(len(x), dtype=torch.bool)
    for images in (x, found):
        right &= torch.cat([network(part).argmax(1) for part in images.split(BATCH)]) == y
    return int(right.sum())


def _art(network: nn.Module) -> Work:
    import numpy as np
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    estimator = PyTorchClassifier(
        network,
        loss=nn.CrossEntropyLoss(),
        input_shape=(3, 32, 32),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    attack = ProjectedGradientDescent(
        estimator,
        norm=np.inf,
        eps=EPSILON,
        eps_step=STEP,
        max_iter=STEPS,
        num_random_init=1,
        batch_size=BATCH,
        verbose=False,
    )
    return lambda x, y: torch.from_numpy(attack.generate(x.numpy(), y=np.eye(10, dtype=np.float32)[y.numpy()]))


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


def _ours(x: Tensor, y: Tensor, turn: int, steps: dict[str, Any]) -> tuple[int, float, float]:
    """Return how many images withstood, the seconds from the first to the last of the workers, and their sum."""
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, initializer=_settle) as pool:
        list(pool.map(_warm, range(workers)))
        started = time.perf_counter()
        done = list(pool.map(_share, x.chunk(workers), y.chunk(workers), [turn] * workers, [steps] * workers))
        wall = time.perf_counter() - started
    return sum(robust for robust, _ in done), wall, sum(seconds for _, seconds in done)


def _settle() -> None:
    """Do what the suite's workers do before a task."""
    from bench.execution.zygote import _keep_freed

    torch.set_num_threads(1)
    _keep_freed()


def _warm(worker: int) -> None:
    x, y = _images(0)
    _pgd(x[:WARM], y[:WARM], 0, OURS["falling"])
    time.sleep(0.5)  # so that each worker gets one


def _share(x: Tensor, y: Tensor, turn: int, steps: dict[str, Any]) -> tuple[int, float]:
    worked = time.process_time()
    return _pgd(x, y, turn, steps), time.process_time() - worked


def _pgd(x: Tensor, y: Tensor, turn: int, steps: dict[str, Any]) -> int:
    """Return how many images withstand."""
    from bench.attack import Batch, Surface, Threat
    from bench.attack.surrogate import as_it_is
    from bench.deployment import Classify, Deployment, Draws
    from bench.planning.machine import gradient_precision
    from bench_native.iterated import pgd

    network = _network()
    surface = Surface(
        Deployment.chain(Classify(network)),
        knowledge="white-box",
        access="gradient",
        shape=(3, 32, 32),
        classes=10,
        backward=as_it_is,
        precision=gradient_precision("auto"),  # type: ignore[arg-type]
        settled=True,
    )
    threat = Threat(norm="linf", epsilon=EPSILON, domain="float")
    standing = ~surface.broken(x, x, y, threat)
    x, y = x[standing], y[standing]
    draws = Draws.of("craft", turn, [image.numpy().tobytes() for image in x])
    attack = pgd(**steps, restarts=1, random_start=True, loss="ce", early=True)
    return _withstood(network, x, attack.run(surface, Batch(x, y, draws, turn), threat).x_adv, y)


if __name__ == "__main__":
    contest(sys.argv[1], int(sys.argv[2]))
