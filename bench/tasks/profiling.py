"""Measure what a deployment costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.hardware import Profile, Workload
from bench.store import Store
from bench.tasks.building import deployment_of, images_of, implementation
from bench.tasks.outcome import Outcome


def profile(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return every figure that the hardware gives for a deployment, beside its baseline in the same process.

    Arrays that it leaves in its folder are kept with them: the single runs, so that anybody can compute anew. The
    folder is the store's, which collects that of a measurement that was killed.
    """
    hardware: Profile = implementation(spec["hardware"])
    x, _ = images_of(store, spec["images"], 0, spec["count"])
    store.clear(spec["key"])
    scratch = store.scratch(spec["key"])
    try:
        workload = Workload(
            deployment=deployment_of(store, spec["deployment"]),
            baseline=deployment_of(store, spec["baseline"]),
            images=x,
            seed=0,
            scratch=scratch,
        )
        figures = hardware.measure(workload, spec["preset"])
        return Outcome(
            tensors={path.stem: np.load(path, allow_pickle=False) for path in sorted(scratch.glob("*.npy"))},
            meta={"measurements": [figure.as_dict() for figure in figures], "machine": dict(hardware.machine())},
        )
    finally:
        store.clear(spec["key"])
