"""Fit one defense here and write what it learned with a card, for a plugin to ship."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from bench.data import image_digests
from bench.data.cards import HALF_TOLERANCE, FitCard, file_sha256, images_named, write_card
from bench.deployment import Deployment, FitResult
from bench.deployment.calls import ROWS
from bench.errors import UsageError
from bench.planning.selected import Selection
from bench.planning.specification import RunSpecification
from bench.planning.subjects import DataSubject, ModelSubject, Subject
from bench.plugins.registry import Registry
from bench.plugins.selection import select
from bench.store import Store
from bench.store.keys import key
from bench.tasks.answering import answers, labels
from bench.tasks.building import implementation, network_of
from bench.tasks.data import read_images
from bench.tasks.learning import learned
from bench.training import Progress


def subject_of(registry: Registry, spec: RunSpecification, store: Store) -> Subject:
    """Return the one defense on one classifier and one data set that a specification names.

    Raises
    ------
    UsageError : it names none or several, or a classifier without weights that others have too
    """
    chosen = [c for c in Selection.of(registry, spec).defenses if not c.found.entry.baseline]  # type: ignore[attr-defined]
    datasets, _ = select(registry, "dataset", spec.datasets)
    if len(chosen) != 1 or len(datasets) != 1:
        raise UsageError("bench fit takes one defense and one data set, such as: bench fit defed --datasets mnist.")
    data = DataSubject.of(datasets[0], spec.data_dir or Path("data"), spec)
    meta = read_images(data.images.spec, store).meta
    models = Selection.of(registry, spec).models or select(registry, "model", data.entry.default_model)[0]
    if len(models) != 1:
        raise UsageError("bench fit takes one classifier; name it with --models.")
    model = ModelSubject.of(data, models[0], spec, meta)
    if model.task is not None:
        raise UsageError(
            f"Classifier {model.label!r} on {data.entry.name!r} has no shipped weights: what is learned in front of it "
            "would fit nobody else's. Give its weights with --weights."
        )
    return Subject.of(model, chosen[0], spec, meta)


def fit(subject: Subject, store: Store, out: Path, *, device: str, command: str, progress: Progress) -> FitCard:
    """Fit the defense and write NAME.safetensors and NAME.json into ``out``; an interrupted fit goes on.

    Tensors of two dimensions and more, the bulk of a file, are written as float16 where that moves the clean accuracy
    by less than .05 point; the card's accuracy is that of what was written.

    Parameters
    ----------
    device : a torch device, such as "cpu" or "cuda"
    command : that makes it again, for the card

    Raises
    ------
    UsageError : the defense learns nothing, or another process is at the same fit
    """
    place = _place(subject, device)
    lease = store.claim(place)
    if lease is None:
        raise UsageError(f"{subject.fit.label} is being done by another process already. Wait for it, or end it first.")
    with lease:
        card = _written(subject, store, out, store.scratch(place), device=device, command=command, progress=progress)
        store.clear(place)
    return card


def _place(subject: Subject, device: str) -> str:
    """Return the key under which the fit keeps its state, which no run goes on from: its key says nothing of either."""
    return key({"fitted": subject.fit.key, "device": _described(device), "threads": torch.get_num_threads()})


def _written(
    subject: Subject, store: Store, out: Path, scratch: Path, *, device: str, command: str, progress: Progress
) -> FitCard:
    """Return the card of the fit, having written it and its file into ``out``."""
    began = time.perf_counter()
    spec = subject.fit.spec
    result = learned(spec, store, scratch, device=device, progress=progress)
    exact = {name: value.detach().cpu().contiguous() for name, value in result.public.items()}
    if not exact:
        raise UsageError(f"Defense {subject.chosen.label!r} learns nothing; there is nothing to ship.")
    seconds = time.perf_counter() - began
    progress(1.0, "answers to the official test set")
    stored, right, count = _as_stored(subject, FitResult(public=exact, notes=result.notes), store, spec)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{_file_name(subject, spec)}.safetensors"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(save(stored))
    temporary.replace(path)
    card = FitCard(
        defense=subject.entry.name,
        parameters={p.name: subject.chosen.parameters[p.name] for p in subject.entry.parameters if p.fits},
        dataset=subject.model.data.entry.name,
        images=_images(subject),
        classifier=str(subject.model.asked["digest"]),
        model=subject.model.label,
        split_seed=spec["data"]["split_seed"],
        held_out_share=spec["data"]["held_out_share"],
        training_seed=spec["network"]["training_seed"],
        notes=dict(result.notes),
        clean_accuracy=right / count,
        test_images=count,
        fit_seconds=round(seconds, 1),
        device=_described(device),
        command=command,
        sha256=file_sha256(path),
        versions={name: version(name) for name in ("torch", "numpy")},
        weights_path=path,
    )
    write_card(card)
    return card


def _as_stored(
    subject: Subject, result: FitResult, store: Store, spec: Mapping[str, Any]
) -> tuple[dict[str, Tensor], int, int]:
    """Return the tensors as they are to be written, and how they answer: see ``_right``."""
    halves = {
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in result.public.items()
    }
    read_back = {name: value.to(result.public[name].dtype) for name, value in halves.items()}
    right, count = _right(subject, result, store, spec)
    right_of_halves, _ = _right(subject, FitResult(public=read_back, notes=result.notes), store, spec)
    if abs(right_of_halves - right) < HALF_TOLERANCE * count:
        return halves, right_of_halves, count
    return dict(result.public), right, count


def _right(subject: Subject, result: FitResult, store: Store, spec: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many official test images the deployment answers rightly on one draw, and how many there are."""
    network = network_of(store, spec["network"])
    deployment: Deployment = implementation(subject.deployment["defense"]).deploy(
        network, result, tuple(spec["network"]["shape"])
    )
    tested = implementation(spec["data"]["source"]).load(Path(spec["data"]["root"]), "test")
    right = 0
    for first in range(0, len(tested.x), 32 * ROWS):
        x = torch.from_numpy(tested.x[first : first + 32 * ROWS].astype(np.float32) / np.float32(255.0))
        digests = image_digests(tested.x[first : first + 32 * ROWS])
        said = labels(answers(deployment.eval(), x, digests, "score", 0, 1))[0]
        right += int((said == tested.y[first : first + 32 * ROWS]).sum())
    return right, len(tested.x)


def _file_name(subject: Subject, spec: Mapping[str, Any]) -> str:
    marks = "".join(
        f"-{p.name}-{subject.chosen.parameters[p.name]}"
        for p in subject.entry.parameters
        if p.fits and subject.chosen.parameters[p.name] != p.default
    )
    seed = spec["network"]["training_seed"]
    where = "-".join(filter(None, (subject.model.label, subject.model.data.entry.name, _images(subject)[:8])))
    return f"{subject.entry.name}{marks}-{where}-split{spec['data']['split_seed']}-seed{seed}".replace("/", "-")


def _images(subject: Subject) -> str:
    """Return what names the training images on the card."""
    return images_named(subject.model.data.entry, str(subject.fit.preimage["data"]))


def _described(device: str) -> str:
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    return f"cpu, {torch.get_num_threads()} threads"
