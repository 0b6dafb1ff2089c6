"""What is compared: a defense around a classifier on a data set, and the tasks that make it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from bench.data.cards import Card, card_beside, file_sha256, find_card, find_fit, images_named
from bench.errors import PluginFault, UsageError
from bench.planning.specification import RunSpecification
from bench.planning.supposition import Knowing
from bench.planning.task import Kind, Task
from bench.plugins.entries import Dataset, Defense, Model
from bench.plugins.loading import loaded
from bench.plugins.selection import Chosen
from bench.store.code import code_digest
from bench.store.keys import environment_class, key, versions
from bench.tasks.kinds import FUNCTIONS

CONDITIONS = "bench.execution.conditions:settle"
RADIUS = 8 / 255  # where a data set lists no threat in Linf


def make_task(kind: Kind, label: str, spec: Mapping[str, Any], preimage: Mapping[str, Any], **more: Any) -> Task:
    """Return a task whose key covers ``preimage``, the code of its kind and of what workers set, and the world."""
    code = {"task_code": code_digest(FUNCTIONS[kind]), "conditions": code_digest(CONDITIONS)}
    whole = {"kind": kind, **code, "world": world(), **preimage}
    name = key(whole)
    return Task(kind=kind, key=name, label=label, spec={**spec, "key": name}, preimage=whole, **more)


@cache
def world() -> str:
    """Return a digest of what surrounds the code: versions of libraries and the class of environment."""
    return key({"versions": versions(), "environment": environment_class()})


def described(chosen: Chosen) -> dict[str, Any]:
    """Return what a worker needs to build an entry's object."""
    return {"factory": chosen.found.entry.factory, "parameters": dict(chosen.parameters)}


def identity(chosen: Chosen) -> dict[str, Any]:
    """Return what names an entry in a key: what was asked, and the code that does it."""
    entry = chosen.found.entry
    return {
        "name": entry.name,
        "parameters": dict(chosen.parameters),
        "version": entry.version,
        "distribution": chosen.found.distribution,
        "factory": entry.factory,  # its code is the whole module's
        "code": code_of(entry.factory),
        "requires": {name: installed(name) for name in entry.requires},
    }


def code_of(factory: str) -> str:
    """Return the digest of an implementation; one that cannot be read fails in its worker, with the reason."""
    try:
        return code_digest(factory)
    except PluginFault as error:
        return f"unreadable: {error}"


@cache
def installed(requirement: str) -> str:
    """Return the installed version of what an entry requires."""
    try:
        return metadata.version(Requirement(requirement).name)
    except (metadata.PackageNotFoundError, InvalidRequirement):
        return "none"


def libraries(chosen: Chosen) -> dict[str, str]:
    """Return the versions of what an entry requires, by the name of the distribution."""
    return {Requirement(name).name: installed(name) for name in chosen.found.entry.requires}


def asked(chosen: Chosen) -> dict[str, Any]:
    """Return an entry as a record shows it."""
    entry, found = chosen.found.entry, chosen.found
    return {
        "name": entry.name,
        "label": chosen.label,
        "parameters": dict(chosen.parameters),
        "version": entry.version,
        "distribution": f"{found.distribution} {found.version}",
    }


@dataclass(frozen=True)
class DataSubject:
    """A data set and the two tasks that bring the images to attack into the store.

    Attributes
    ----------
    pool : "test", or the training pool whose images stand in for the test set
    """

    chosen: Chosen
    root: Path
    pool: str
    images: Task
    labels: Task

    @property
    def entry(self) -> Dataset:
        entry = self.chosen.found.entry
        assert isinstance(entry, Dataset)
        return entry

    @classmethod
    def of(cls, chosen: Chosen, root: Path, spec: RunSpecification) -> DataSubject:
        """Return the subject; raises MissingData where the files are not there and may not be downloaded."""
        entry, download = chosen.found.entry, spec.download
        assert isinstance(entry, Dataset)
        source = described(chosen)
        try:
            files = _stamps(_source(chosen).files(root), root)
            download = False
        except UsageError:
            if not download:
                raise
            files = [["to be downloaded", 0, 0]]
        except Exception as error:  # a plugin's code: anything may be raised
            raise UsageError(f"Data set {entry.name!r} cannot be found: {type(error).__name__}: {error}.") from error
        held_out = {"pool": spec.pool, "split_seed": spec.split_seed, "held_out_share": entry.held_out_share}
        part = {} if spec.pool == "test" else held_out
        reading = {"source": source, "root": str(root), "download": download, **part}
        preimage = {"source": identity(chosen), "files": files, **part}
        images = make_task("images", f"read {entry.name}", reading, preimage, seconds=3.0)
        labels = make_task(
            "labels",
            f"read labels of {entry.name}",
            reading,
            preimage,
            seconds=3.0,
            needs=(images.key,) if download else (),
        )
        return cls(chosen, root, spec.pool, images, labels)

    def asked(self, fingerprint: str) -> dict[str, Any]:
        """Return it as a record shows it; other images than the test set's are told apart by the label too."""
        shown = {**asked(self.chosen), "fingerprint": fingerprint}
        return shown if self.pool == "test" else shown | {"label": f"{shown['label']} ({self.pool})", "pool": self.pool}


@dataclass(frozen=True)
class ModelSubject:
    """A classifier trained on a data set."""

    data: DataSubject
    label: str
    asked: Mapping[str, Any]
    network: Mapping[str, Any]
    task: Task | None
    key: str

    @classmethod
    def of(
        cls, data: DataSubject, chosen: Chosen | str, spec: RunSpecification, meta: Mapping[str, Any]
    ) -> ModelSubject:
        """Return the subject: with the user's weights, else shipped ones whose card fits, else trained here.

        Parameters
        ----------
        chosen : a model entry, or the user's own "file.py:factory"
        meta : of the data set's images
        """
        if isinstance(chosen, str):
            architecture: dict[str, Any] = {"file": chosen}
            name = {"file": Path(chosen).name, "code": code_digest(chosen)}
            shown: dict[str, Any] = {
                "name": chosen,
                "label": chosen,
                "parameters": {},
                "version": "",
                "distribution": "user",
            }
        else:
            architecture, name, shown = described(chosen), identity(chosen), asked(chosen)
        dataset = data.entry.name
        network: dict[str, Any] = {
            "architecture": architecture,
            "dataset": dataset,
            "shape": meta["shape"],
            "classes": len(meta["class_names"]),
            "training_seed": spec.training_seed,
        }
        pools = {"split_seed": spec.split_seed, "held_out_share": data.entry.held_out_share}
        where = {"source": described(data.chosen), "root": str(data.root), **pools}
        card: Card | None = None
        images = images_named(data.entry, meta["train_fingerprint"])
        if spec.weights is not None:
            card_beside(spec.weights, split_seed=spec.split_seed)
            digest = file_sha256(spec.weights)
            origin, weights = "user", {"path": str(spec.weights), "digest": digest}
        elif not isinstance(chosen, str) and (
            card := find_card(
                _model(chosen), chosen.parameters, dataset, spec.split_seed, spec.training_seed, images=images
            )
        ):
            digest, origin = card.sha256, "shipped"
            weights = {"path": str(card.weights_path), "digest": card.sha256}
        else:
            origin = "trained"
            task = make_task(
                "train",
                f"train {shown['label']} on {dataset}",
                {"network": network, "data": where},
                {
                    "network": name,
                    "dataset": dataset,
                    "classes": network["classes"],
                    "test": meta["test_fingerprint"],
                    "shape": meta["shape"],
                    "data": meta["train_fingerprint"],
                    **pools,
                    "training_seed": spec.training_seed,
                },
                seconds=300.0,
                timeout_s=24 * 3600.0,
            )
            network["weights"] = {"key": task.key}
            return cls(data, shown["label"], {**shown, "weights": origin, "digest": task.key}, network, task, task.key)
        network["weights"] = weights
        named = key(
            {
                "network": name,
                "dataset": dataset,  # its name selects the recipe
                "classes": network["classes"],
                "weights": digest,
                "shape": meta["shape"],
                "seed": spec.training_seed,
            }
        )
        return cls(data, shown["label"], {**shown, "weights": origin, "digest": digest}, network, None, named)

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.task.key,) if self.task else ()


@dataclass(frozen=True)
class Subject:
    """A fitted defense around a classifier; ``inspect`` leaves its traits.

    Attributes
    ----------
    key : names the fit and the parameters that the fit does not depend on
    shipped : digest of the shipped fit that stands in for one made here, "" where there is none
    """

    model: ModelSubject
    chosen: Chosen
    fit: Task
    inspect: Task
    deployment: Mapping[str, Any] = field(repr=False)
    key: str
    shipped: str

    @property
    def entry(self) -> Defense:
        entry = self.chosen.found.entry
        assert isinstance(entry, Defense)
        return entry

    @classmethod
    def of(cls, model: ModelSubject, chosen: Chosen, spec: RunSpecification, meta: Mapping[str, Any]) -> Subject:
        """Return the subject with its tasks."""
        pools = {"split_seed": spec.split_seed, "held_out_share": model.data.entry.held_out_share}
        where = {"source": described(model.data.chosen), "root": str(model.data.root), **pools}
        entry = chosen.found.entry
        assert isinstance(entry, Defense)
        worn = {p.name: chosen.parameters[p.name] for p in entry.parameters if not p.fits}
        defaults = {p.name: p.default for p in entry.parameters if not p.fits}
        fitted = replace(chosen, parameters={**chosen.parameters, **defaults})
        shipped = find_fit(
            entry,
            {p.name: chosen.parameters[p.name] for p in entry.parameters if p.fits},
            model.data.entry.name,
            str(model.asked["digest"]),
            spec.split_seed,
            spec.training_seed,
            images=images_named(model.data.entry, meta["train_fingerprint"]),
        )
        headline = next((t for t in model.data.entry.threats if t.norm == "linf"), None)
        radius = headline.epsilons[0] if headline else RADIUS
        fit = make_task(
            "fit",
            f"fit {chosen.label} on {model.data.entry.name}",
            {
                "defense": described(fitted),
                "network": model.network,
                "data": where,
                "radius": radius,
                "shipped": shipped and {"path": str(shipped.weights_path), "digest": shipped.sha256},
            },
            {
                "defense": identity(fitted),
                "network": model.key,
                "data": meta["train_fingerprint"],
                "test": meta["test_fingerprint"],  # pools leave out what stands in the test set
                "radius": radius,
                **pools,
                **({"shipped": shipped.sha256} if shipped else {}),
            },
            needs=model.needs,
            seconds=60.0 if entry.trains and not shipped else 3.0,
            timeout_s=24 * 3600.0,
        )
        deployment = {"defense": described(chosen), "network": model.network, "fit": fit.key}
        name = key({"fit": fit.key, "worn": worn}) if worn else fit.key
        inspect = make_task(
            "inspect",
            f"inspect {chosen.label}",
            {"deployment": deployment, "images": model.data.images.key, "radius": radius},
            {"fit": name, "data": meta["fingerprint"], "radius": radius},
            needs=(fit.key, *model.needs, model.data.images.key),
            seconds=3.0,
        )
        return cls(model, chosen, fit, inspect, deployment, name, shipped.sha256 if shipped else "")

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.fit.key, self.inspect.key, *self.model.needs)

    def traits(self, store: Knowing) -> Mapping[str, Any] | None:
        """Return what the deployment declares and shows, None before it was inspected."""
        return store.meta(self.inspect.key) if store.has(self.inspect.key) else None


@dataclass(frozen=True)
class Inspected:
    """A subject, and what was seen of its deployment.

    Attributes
    ----------
    traits : "randomised" and "differentiable", of the meta of its inspection
    """

    subject: Subject
    traits: Mapping[str, Any]

    def answer_seed(self, seed: int) -> int:
        """Return the seed of its answers: a deployment that draws nothing answers alike under every seed."""
        return seed if self.traits["randomised"] else 0


def _model(chosen: Chosen) -> Model:
    entry = chosen.found.entry
    assert isinstance(entry, Model)
    return entry


def _source(chosen: Chosen) -> Any:
    """Return the data set's source object, in this process: its module keeps torch out of ``files``."""
    return loaded(chosen.found.entry.factory)(**chosen.parameters)


def _stamps(files: Sequence[Path], root: Path) -> list[list[Any]]:
    stamps = []
    for file in files:
        status = file.stat()
        stamps.append(
            [
                str(file.relative_to(root)) if file.is_relative_to(root) else str(file),
                status.st_size,
                status.st_mtime_ns,
            ]
        )
    return stamps
