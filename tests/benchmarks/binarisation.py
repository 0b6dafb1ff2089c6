"""The binarisation test of one attack on one deployment, by itself: what it says, and how long it takes.

    BENCH_DATA_DIR=data python tests/benchmarks/binarisation.py --dataset mnist --model lenet5 \
        --defense adversarial-training --attacks native-pgd-linf,pgd-linf --level adaptive

The deployment is made as a run would make it; seconds are the processor's, of the test alone. A run takes 64 images
from the first on and the adaptive level.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from typing import Any

import torch

from bench import api
from bench.planning.attacks import Assault, surface, threat_points
from bench.planning.plan import Planner
from bench.planning.work import HIDING
from bench.plugins.registry import discover
from bench.plugins.selection import select
from bench.tasks.binarising import binarise


def main() -> None:
    """Print one line of JSON an attack."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("dataset", "mnist"),
        ("model", "cleverhans-cnn"),
        ("defense", "none"),
        ("attacks", "native-pgd-linf"),
        ("level", "adaptive"),
        ("store", ""),
    ):
        asked.add_argument(f"--{name}", default=default)
    for name, number in (("first", 0), ("look-at", 256), ("eot", 2), ("images", HIDING["images"])):
        asked.add_argument(f"--{name}", type=int, default=number)
    given = asked.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        measure(given, given.store or folder)


def measure(given: argparse.Namespace, folder: str) -> None:
    """Make the deployment and its clean answers in a store, then the tests in this process."""
    flags = {
        "defenses": given.defense,
        "datasets": given.dataset,
        "models": given.model,
        "attacks": "none",
        "hardware": "none",
        "norm": "linf",
        "budget": "standard",
        "eot": given.eot,
        "data_dir": os.environ["BENCH_DATA_DIR"],
        "samples": given.first + given.look_at,
    }
    api.run(store=folder, quiet=True, jobs=1, **flags)
    store, registry, spec = api.open_store(folder), discover(), api.specification(**flags)
    plan = Planner(registry, store, spec).plan()
    cell = [cell for cell in plan.cells if cell.kind == "clean"][-1]  # the undefended deployment comes first
    answered = plan.tasks[cell.evaluations[0]].spec
    traits = store.meta(cell.inspect)
    point = threat_points(registry.of("dataset")[given.dataset].entry, spec)[0]
    for chosen in select(registry, "attack", given.attacks)[0]:
        assault = Assault(chosen, given.level, point, 0)
        told: dict[str, Any] = {
            "attack": {"name": assault.entry.name, "factory": assault.entry.factory, "parameters": chosen.parameters},
            "deployment": answered["deployment"],
            "images": cell.images,
            "labels": cell.labels,
            "surface": surface(assault.entry, given.level, traits, spec),
            "classes": assault.entry.classes,
            "threat": point.as_dict(),
            "block": (given.first, given.first + given.look_at),
            "seed": 0,
            "answers": answered["seed"],
            "draws": answered["draws"],
            "clean": cell.evaluations,
            "constants": {**HIDING, "images": given.images},
        }
        begun = time.process_time()
        test = binarise(told, store).meta["test"]
        took = time.process_time() - begun
        who = {"dataset": given.dataset, "model": given.model, "defense": given.defense, "attack": chosen.label}
        print(
            json.dumps({**who, "backward": told["surface"]["backward"], **test, "seconds": round(took, 1)}), flush=True
        )


if __name__ == "__main__":
    main()
