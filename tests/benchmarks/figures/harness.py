"""What the harness costs: a run against the same calls in a bare script, and the planning of 10,000 cells.

The run and the script are processes of their own, one thread each, timed from start to end with all their imports. The
networks are trained, the defenses fitted and the tests that gates make of a deployment alone done before, for both,
with the clean answers that those need. The script builds each deployment once, sends it to the same calls with the same
images, those of ART, of the probe that gates want and of the defenses' own attacks, and asks for the answers once; that
both crafted the same images is checked. All six defenses draw nothing: a randomised one is asked 48 times by protocol,
which is no cost of the harness. The suite's workers tell malloc to keep what is freed and to grow by huge pages, which
a bare script does not; how the run compares with a script that does is printed too.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.api import specification
from bench.execution.executor import LocalExecutor
from bench.execution.limits import memory_bytes
from bench.execution.progress import Silent
from bench.execution.scheduler import Scheduler
from bench.planning.plan import Plan, Planner
from bench.planning.specification import RunSpecification
from bench.planning.task import Task
from bench.plugins.registry import Registry, discover
from bench.store import Store

from ..figure import Figure
from ..subjects import KEEPING

TESTS = Path(__file__).parents[2]
SUPPORT = TESTS / "support"
FLAGS = {
    "defenses": "qusec-cq[levels=2|4|8,start=pretrained,epochs=1],qusec-tq[start=pretrained,epochs=1],"
    "superiot[pattern=regular]",
    "attacks": "bim[max_iter=40],mim[max_iter=40],pgd-linf[max_iter=40],apgd-ce[max_iter=20,restarts=1],"
    "apgd-dlr[max_iter=20,restarts=1],pgd-l2[max_iter=40],mim-l2[max_iter=40],apgd-ce-l2[max_iter=20,restarts=1]",
    "datasets": "digits",
    "hardware": "none",
    "knowledge": "adaptive",
    "budget": "standard",
    "samples": 128,
}
CELLS = 6 * 8
ROUNDS = 3
MANY = {
    "datasets": "toy",
    "defenses": "toy-round",
    "attacks": "toy-null-*",
    "norm": "linf",
    "hardware": "none",
    "eps": ",".join(str(number / 1000) for number in range(1, 86)),
}


def figures() -> list[Figure]:
    """Return the time of a run beside that of the bare script, and the time that a large plan takes."""
    return [*_thin(), _plan()]


def _thin() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-harness-") as folder:
        place = Path(folder)
        registry, store, spec = discover(), Store(place / "store"), specification(**FLAGS)
        plan = _prepared(registry, store, spec)
        crafts = [{"key": task.key, **task.spec} for task in plan.tasks.values() if task.kind == "craft"]
        assert len(crafts) >= CELLS, f"{len(crafts)} calls; expected at least {CELLS}"
        (place / "calls.json").write_text(json.dumps(crafts))
        flags = [word for name, value in FLAGS.items() for word in (f"--{name}", str(value))]
        bare = [sys.executable, "-m", __name__, "bare", str(store.root), str(place / "calls.json")]
        ours, theirs, keeping = [], [], []
        # In turn, because the machine is not equally fast all the time; the script first: what stands in the file
        # cache then stands there for both.
        for number in range(ROUNDS):
            own = Store(shutil.copytree(store.root, place / f"store-{number}"))
            told = ("--jobs", "1", "--no-html", "--store", str(own.root), "--out", str(place / f"out-{number}"))
            theirs.append(_timed(place, bare))
            ours.append(
                _timed(place, [sys.executable, "-c", "from bench.cli import main; main()", "run", *flags, *told])
            )
            keeping.append(_timed(place, bare, KEEPING))
            _same(own, place / "calls.json.digests", crafts)
    name = (
        f"harness: 6 defenses x 8 attacks, one thread, against the same {len(crafts)} calls in a bare script, "
        f"median of {ROUNDS}"
    )
    same = f"{name}, both telling malloc to keep what is freed"
    return [
        _figure(f"{name}, malloc as it comes, wall time", ours, theirs, 0, "<= 1.10"),
        _figure(f"{name}, malloc as it comes, processor time", ours, theirs, 1, ""),
        _figure(f"{same}, wall time", ours, keeping, 0, ""),
        _figure(f"{same}, processor time", ours, keeping, 1, ""),
    ]


def _figure(
    name: str, ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]], which: int, asked: str
) -> Figure:
    own, other = ([took[which] for took in times] for times in (ours, theirs))
    turns = [o / t for o, t in zip(own, other, strict=True)]
    middle = statistics.median(own), statistics.median(other)
    return Figure(name, "s", *middle, asked=asked, ratio_of="ours / theirs", turns=turns)


def _prepared(registry: Registry, store: Store, spec: RunSpecification) -> Plan:
    """Return the settled plan, all that is neither crafted nor evaluated done, with what that needs."""
    planner = Planner(registry, store, spec)
    executor = LocalExecutor(store.root, jobs=1, preload=planner.selection.preload, memory_bytes=memory_bytes() // 2)
    settled = False
    try:
        while not settled:  # once more when it is: only then the tests that gates make of each deployment are planned
            settled = (plan := planner.plan()).settled
            ready = _with_needs(plan, [k for k, task in plan.tasks.items() if task.kind not in {"craft", "evaluate"}])
            ended = Scheduler(store, executor, Silent()).execute(ready)
            assert not ended.failures, ended.failures
    finally:
        executor.close()
    return plan


def _with_needs(plan: Plan, keys: Sequence[str]) -> list[Task]:
    """Return tasks and all that they need: the test of a deployment asks for its clean answers."""
    found: dict[str, Task] = {}
    left = list(keys)
    while left:
        key = left.pop()
        if key in plan.tasks and key not in found:
            found[key] = plan.tasks[key]
            left += found[key].needs
    return list(found.values())


def _timed(place: Path, command: Sequence[str], settings: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Return wall and processor time of a process and its children, in seconds."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    environment = {**os.environ, **threads, **(settings or {}), "PYTHONPATH": str(TESTS)}  # from another folder
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once, not in every process
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr[-4000:]
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _same(store: Store, digests: Path, crafts: Sequence[Mapping[str, Any]]) -> None:
    """Raise unless the run crafted the images that the script crafted: else they are not the same calls."""
    theirs = json.loads(digests.read_text())
    for craft in crafts:
        ours = _digest(store.read(craft["key"]).tensors["x_adv"])
        assert ours == theirs[craft["key"]], f"{craft['attack']['name']} crafted other images in the bare script"


def _digest(x: Any) -> str:
    from hashlib import blake2b

    return blake2b(x.tobytes(), digest_size=16).hexdigest()


def bare(root: Path, calls: Path) -> None:
    """Do the calls one after the other, in this process, and write digests of what they gave."""
    import torch

    from bench.attack import Batch, Surface, Threat, ways
    from bench.deployment import Draws
    from bench.tasks.building import deployment_of, images_of, implementation, labels_of
    from bench.tasks.naming import names_of

    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("warn")
    store, given = Store(root), {}
    built: dict[str, Any] = {}
    for call in json.loads(calls.read_text()):
        first, last = call["block"]
        name = json.dumps(call["deployment"], sort_keys=True)
        if name not in built:
            deployment = deployment_of(store, call["deployment"])
            x, digests = images_of(store, call["images"], first, last)
            y = labels_of(store, call["labels"], first, last)
            right = torch.nonzero(_answers(deployment, x, digests) == y).flatten()
            built[name] = deployment, x, y, digests, right
        deployment, x, y, digests, rows = built[name]
        described, network = call["surface"], call["deployment"]["network"]
        block, seed = names_of(call["attack"]["name"], call["seed"], digests)
        surface = Surface(
            deployment,
            knowledge=described["knowledge"],
            access=described["access"],
            shape=tuple(network["shape"]),
            classes=network["classes"],
            backward=ways.backward(described["backward"]),
            expectation=described["expectation"],
            starts=len(rows),
            precision=described["precision"],
            settled=call["standing"] is not None,
            seed=call["seed"],
            block=block,
        )
        draws = Draws.of("craft", call["seed"], [digests[row] for row in rows.tolist()]).spawn(call["attack"]["name"])
        found = implementation(call["attack"]).run(
            surface, Batch(x[rows], y[rows], draws, seed), Threat(**call["threat"])
        )
        x_adv = x.clone()
        x_adv[rows] = found.x_adv.float().clamp(0, 1)
        _answers(deployment, x_adv, digests)
        given[call["key"]] = _digest(x_adv.numpy())
    calls.with_name(f"{calls.name}.digests").write_text(json.dumps(given))


def _answers(deployment: Any, x: Any, digests: Sequence[bytes]) -> Any:
    import torch

    from bench.deployment import Draws, Signal

    with torch.no_grad():
        return deployment.answer(Signal(x, Draws.of("score", 0, list(digests)))).x.argmax(1)


def _plan() -> Figure:
    with tempfile.TemporaryDirectory(prefix="bench-harness-") as folder, _toys() as plugin:
        _prepared(discover([plugin]), Store(Path(folder)), specification(**MANY))
        # In a process of its own, which remembers nothing of the plans before.
        command = [sys.executable, "-m", __name__, "plan", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    cells, tasks, took = json.loads(done.stdout)
    return Figure(f"harness: a plan of {cells:,} cells, {tasks:,} tasks, wall time", "s", took, asked="<= 5 s")


def plan_many(root: Path) -> None:
    """Print how many cells and tasks the large plan has, and the seconds that it took."""
    from toy_plugins import plugin

    planner = Planner(discover([plugin]), Store(root), specification(**MANY))
    start = time.perf_counter()
    plan = planner.plan()
    took = time.perf_counter() - start
    assert plan.settled
    print(json.dumps([len(plan.cells), len(plan.tasks), took]))


@contextmanager
def _toys() -> Iterator[ModuleType]:
    """Give the tests' plugin, here and in processes that are started meanwhile."""
    old = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SUPPORT), *([old] if old else [])])
    sys.path.insert(0, str(SUPPORT))
    try:
        from toy_plugins import plugin

        yield plugin
    finally:
        sys.path.remove(str(SUPPORT))
        if old is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = old


if __name__ == "__main__":
    {"bare": bare, "plan": plan_many}[sys.argv[1]](*map(Path, sys.argv[2:]))
