"""How long an adaptive attack on SUPER-IOT takes: PGD-20, BPDA, gradients averaged over 16 draws, 1000 CIFAR-10 images.

``native-pgd-linf`` at 8/255 on the deployment's own straight-through gradients, in one process a core with one thread,
in blocks as a run has them. After ten minutes no further block is begun, and the figure says how many images were run.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor

import torch

from ..figure import Figure
from ..subjects import CLASSES, EPSILON, SHAPE, STEP, cifar10_pixels, has_cifar10, settle, undefended

IMAGES, BLOCK = int(os.environ.get("BENCH_SUPERIOT_IMAGES", "1000")), 50
STEPS, DRAWS = 20, 16
LIMIT_S = 600.0
TITLE = f"superiot: PGD-{STEPS} under BPDA and EOT-{DRAWS}, Linf 8/255, ResNet-20"


def figures() -> list[Figure]:
    """Return the minutes that the attack takes, and how many images withstand it on one draw."""
    from bench.planning.machine import gradient_precision

    if not has_cifar10():
        return [Figure(f"{TITLE}: skipped, BENCH_DATA_DIR has no CIFAR-10", "min", asked="<= 10 min")]
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, initializer=settle) as pool:
        list(pool.map(_warm, range(workers)))
        started = time.perf_counter()
        ends = [pool.submit(_block, first, started + LIMIT_S) for first in range(0, IMAGES, BLOCK)]
        done = [end.result() for end in ends]
        minutes = (time.perf_counter() - started) / 60
    count, right, stand = (sum(part) for part in zip(*done, strict=True))
    said = f"{count} of {IMAGES} images" if count < IMAGES else f"{count} CIFAR-10 images"
    how = f"{gradient_precision('auto')}, {workers} processes, wall time"
    shares = f"{100 * right / count:.1f} % right when clean and {100 * stand / count:.1f} % under attack, on one draw"
    void = f"{count} of {IMAGES} images in ten minutes" if count < IMAGES else ""
    return [Figure(f"{TITLE}, {said}, {how}: {shares}", "min", minutes, asked="<= 10 min", void=void)]


def _warm(worker: int) -> None:
    _attack(0, 2)
    time.sleep(0.5)  # so that each worker gets one


def _block(first: int, latest: float) -> tuple[int, int, int]:
    """Return how many images were attacked, are right and stand; none where it is too late."""
    if time.perf_counter() > latest:
        return 0, 0, 0
    return _attack(first, min(first + BLOCK, IMAGES))


def _attack(first: int, last: int) -> tuple[int, int, int]:
    from importlib import import_module

    from bench.attack import Batch, Surface, Threat, ways
    from bench.data import image_digests
    from bench.deployment import Draws, FitResult, Signal
    from bench.planning.machine import gradient_precision
    from bench_native.iterated import pgd
    from bench_superiot.plugin import bench_defenses

    (entry,) = (entry for entry in bench_defenses() if entry.name == "superiot")
    module, _, name = entry.factory.partition(":")
    defense = getattr(import_module(module), name)(**{p.name: p.default for p in entry.parameters})
    deployment = defense.deploy(undefended(), FitResult(public={}), SHAPE).eval().requires_grad_(False)

    pixels, y = cifar10_pixels(slice(first, last))
    x = torch.from_numpy(pixels).float() / 255.0
    digests = image_digests(pixels)
    surface = Surface(
        deployment,
        knowledge="adaptive",
        access="gradient",
        shape=SHAPE,
        classes=CLASSES,
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
    right, stand = (
        int((deployment.answer(Signal(images, Draws.of("score", 0, digests))).x.argmax(1) == y).sum())
        for images in (x, threat.realise(x, found))
    )
    return len(x), right, stand
