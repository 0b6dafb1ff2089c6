"""How long an adaptive attack on SUPER-IOT takes: PGD-20, BPDA, gradients averaged over 16 draws, 1000 CIFAR-10 images.

``native-pgd-linf`` at 8/255 on the deployment's own straight-through gradients, in one process a core with one thread,
in blocks as a run has them. After ten minutes no further block is begun, and the figure says how many images were run.
"""

from __future__ import annotations

import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

IMAGES, BLOCK = int(os.environ.get("BENCH_SUPERIOT_IMAGES", "1000")), 50
EPSILON, STEP, STEPS, DRAWS = 8 / 255, 2 / 255, 20, 16
LIMIT_S = 600.0
TITLE = f"superiot: PGD-{STEPS} under BPDA and EOT-{DRAWS}, resnet20"


def figures() -> list[dict[str, Any]]:
    """Return the minutes that the attack takes, and how many images withstand it on one draw."""
    if not _images_file().is_file():
        return [_row(f"{TITLE}: skipped, BENCH_DATA_DIR has no CIFAR-10", None)]
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, initializer=_settle) as pool:
        list(pool.map(_warm, range(workers)))
        started = time.perf_counter()
        ends = [pool.submit(_block, first, started + LIMIT_S) for first in range(0, IMAGES, BLOCK)]
        done = [end.result() for end in ends]
        minutes = (time.perf_counter() - started) / 60
    count, stand = (sum(part) for part in zip(*done, strict=True))
    said = f"{count} of {IMAGES} images" if count < IMAGES else f"{count} CIFAR-10 images"
    return [_row(f"{TITLE}, {said}, {100 * stand / count:.1f} % stand", minutes)]


def _row(name: str, minutes: float | None) -> dict[str, Any]:
    return {"name": name, "ours": minutes, "theirs": None, "ratio": None, "unit": "min", "asked": ""}


def _images_file() -> Path:
    return Path(os.environ.get("BENCH_DATA_DIR", "data")) / "cifar-10-batches-py" / "test_batch"


def _settle() -> None:
    """Do what the suite's workers do before a task."""
    from bench.execution.zygote import _keep_freed

    torch.set_num_threads(1)
    _keep_freed()


def _warm(worker: int) -> None:
    _attack(0, 2)
    time.sleep(0.5)  # so that each worker gets one


def _block(first: int, latest: float) -> tuple[int, int]:
    """Return how many images were attacked and how many stand; none where it is too late."""
    if time.perf_counter() > latest:
        return 0, 0
    return _attack(first, min(first + BLOCK, IMAGES))


def _attack(first: int, last: int) -> tuple[int, int]:
    from importlib import import_module
    from importlib.resources import files

    from bench.attack import Batch, Surface, Threat, ways
    from bench.data import image_digests
    from bench.data.weights import load_into, load_weights
    from bench.deployment import Draws, FitResult, Signal
    from bench.planning.machine import gradient_precision
    from bench_models.architectures import ResNet
    from bench_native.iterated import pgd
    from bench_superiot.plugin import bench_defenses

    (entry,) = (entry for entry in bench_defenses() if entry.name == "superiot")
    module, _, name = entry.factory.partition(":")
    defense = getattr(import_module(module), name)(**{p.name: p.default for p in entry.parameters})
    network = ResNet().build((3, 32, 32), 10)
    weights = files("bench_models") / "weights" / "resnet20-cifar10-split0-seed0.safetensors"
    load_into(network, load_weights(weights))  # type: ignore[arg-type]
    deployment = defense.deploy(network.eval(), FitResult(public={}), (3, 32, 32)).eval().requires_grad_(False)

    batch = pickle.loads(_images_file().read_bytes(), encoding="bytes")  # the data set's own format
    pixels = batch[b"data"][first:last].reshape(-1, 3, 32, 32)
    x, y = torch.from_numpy(pixels).float() / 255.0, torch.tensor(batch[b"labels"][first:last])
    digests = image_digests(pixels)
    surface = Surface(
        deployment,
        knowledge="adaptive",
        access="gradient",
        shape=(3, 32, 32),
        classes=10,
        backward=ways.backward(ways.USUAL),
        expectation=DRAWS,
        precision=gradient_precision("auto"),  # type: ignore[arg-type]
        block=digests[0],
    )
    attack = pgd(
        steps=STEPS, step=STEP / EPSILON, schedule="constant", restarts=1, random_start=True, loss="ce", early=False
    )
    threat = Threat(norm="linf", epsilon=EPSILON)
    found = attack.run(surface, Batch(x, y, Draws.of("craft", 0, digests), 0), threat).x_adv
    judged = Signal(threat.realise(x, found), Draws.of("score", 0, digests))
    return len(x), int((deployment.answer(judged).x.argmax(1) == y).sum())
