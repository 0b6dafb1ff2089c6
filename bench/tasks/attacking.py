"""Craft adversarial images for one block against one surface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.attack import Attack, Batch, Surface, Threat, mimic, ways
from bench.attack.path import Path, margins
from bench.deployment import Draws, Signal
from bench.errors import ContractViolation
from bench.store import Store
from bench.tasks.answering import judged_images, streams
from bench.tasks.building import deployment_of, images_of, implementation, labels_of, pools_of
from bench.tasks.naming import names_of
from bench.tasks.outcome import NOTED, Outcome

TAUGHT_ON = 1024  # training images, eight times each under noise


def learn_surrogates(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return networks that foretell what a deployment hands to its classifier, and how well they do."""
    deployment = deployment_of(store, spec["deployment"])
    pool = pools_of(spec["data"])["train"]
    taught, fidelity = mimic.learn(deployment, pool.x[:TAUGHT_ON], epsilon=spec["radius"], seed=spec["seed"])
    tensors = {f"{node}/{name}": t.numpy() for node, net in taught.items() for name, t in net.state_dict().items()}
    return Outcome(tensors=tensors or {"_empty": np.zeros(1, np.float32)}, meta={"fidelity": fidelity})


def craft(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return x' for each image of a block, (B, C, H, W), checked: finite, in the box, in the ball.

    With it goes what is answered to x' in this process, on the draws that will judge it. ``under_attack``, (B, K), by
    what the attack has met: evaluation must get the same where neither labels nor an attack are about. ``fooling``,
    uint8, (B,): where what is attacked, in float32, answers the clean image rightly and x' wrongly; 0 of all where only
    images that are known to be answered rightly were tried. What the attack met on its way is evidence for gates
    (``Path``), and so is whether it finds the same again: the first ``repeat`` images are attacked twice more.

    Raises
    ------
    ContractViolation : an image outside, not finite or of another shape, or gradients that are not finite; names the
        images
    """
    first, last = spec["block"]
    x, digests = images_of(store, spec["images"], first, last)
    y = labels_of(store, spec["labels"], first, last)
    tried = _worth_trying(spec, store, y)
    threat = Threat(**spec["threat"])
    described = spec["surface"]
    name = spec["attack"]["name"]
    block, seed = names_of(name, spec["seed"], digests)
    deployment = deployment_of(store, spec["deployment"])
    mimics = mimic.load(store.read_torch(spec["mimic"]).tensors) if spec["mimic"] else None
    backward = ways.backward(described["backward"], mimics)
    rows = torch.nonzero(tried).flatten()
    path = Path(x[rows], y[rows], threat)

    def seen(starts: int, path: Path | None) -> Surface:
        return Surface(
            deployment,
            knowledge=described["knowledge"],
            access=described["access"],
            shape=tuple(spec["deployment"]["network"]["shape"]),
            classes=spec["deployment"]["network"]["classes"],
            backward=backward,
            expectation=described["expectation"],
            starts=starts,
            precision=described["precision"],
            settled=spec["standing"] is not None,
            seed=spec["seed"],
            block=block,
            path=path,
        )

    surface = seen(len(rows), path)
    x_adv, under_attack = x.clone(), torch.zeros(len(x), surface.classes)
    fooling = torch.zeros(len(x), dtype=torch.uint8)
    notes: Mapping[str, object] = {}
    returned: torch.Tensor | None = None
    repeated = {"images": 0, "differ": 0}
    if len(rows):
        attack: Attack = implementation(spec["attack"])
        own = [digests[i] for i in rows.tolist()]
        start = torch.from_numpy(store.read(spec["start"]).tensors["x_adv"])[rows] if spec["start"] else None
        batch = Batch(x[rows], y[rows], Draws.of("craft", spec["seed"], own).spawn(name), seed, start)
        result = attack.run(surface, batch, threat)
        _check(result.x_adv, x[rows], threat, (rows + first).tolist(), minimum_norm=spec["minimum_norm"])
        x_adv[rows] = result.x_adv.detach().float().clamp(0.0, 1.0)
        notes = result.notes
        if spec["mimic"]:
            learned = store.meta(spec["mimic"])["fidelity"]
            notes = {**notes, "fidelity of learned surrogates": ", ".join(f"{n}: {c:.3f}" for n, c in learned.items())}
        realised, inside = judged_images(threat, x[rows], x_adv[rows])
        judged = torch.where(inside[:, None, None, None], realised, x[rows])
        signal = Signal(judged, streams("score", spec["answers"], own, judged, 0))
        with torch.no_grad():
            met = surface.fast.deployment(signal)
            under_attack[rows] = met.x
            if not (deployment.randomised or spec["minimum_norm"]):
                # Queries are followed as they are asked, and what is judged is what a camera delivers of the last.
                found = deployment(Signal(x_adv[rows], streams("score", spec["answers"], own, x_adv[rows], 0)))
                returned = _withstands(found, y[rows]) & _withstands(met, y[rows])
            if spec["standing"] is None:  # as of an oblivious attacker, on the undefended network
                clean = deployment(Signal(x[rows], streams("score", spec["answers"], own, x[rows], 0)))
                right, wrong = clean.x.argmax(1) == y[rows], deployment(signal).x.argmax(1) != y[rows]
                fooling[rows] = (right & wrong).to(torch.uint8)
        few = batch.first(spec["repeat"])
        if len(few.x):
            twice = [
                implementation(spec["attack"]).run(seen(len(few.x), None), few, threat).x_adv.detach() for _ in range(2)
            ]
            repeated = {"images": len(few.x), "differ": int((twice[0] != twice[1]).flatten(1).any(1).sum())}
    tally = asdict(surface.gradients)
    if tally["nonfinite"]:
        raise ContractViolation(
            f"{tally['nonfinite']} gradient values are NaN or infinite; such an attack says nothing. "
            "Give the stage a stable derivative or declare differentiable=False."
        )
    return Outcome(
        tensors={
            "x_adv": x_adv.numpy(),
            "attacked": tried.numpy().astype(np.uint8),
            "under_attack": under_attack.numpy(),
            "fooling": fooling.numpy(),
            **_noted(notes, rows, len(x)),
        },
        meta={
            "forward": surface.queries.forward,
            "gradient": surface.queries.gradient,
            "tally": tally,
            "path": path.evidence(returned),
            "repeated": repeated,
            "surface": {
                "precision": surface.fast.precision,
                "folded": surface.fast.folded,
                "expectation": surface.expectation,
            },
            "notes": _plain({name: value for name, value in notes.items() if not isinstance(value, torch.Tensor)}),
        },
    )


def _withstands(said: Signal, y: torch.Tensor) -> torch.Tensor:
    """Return which images are answered rightly, or not at all, bool, (B,)."""
    right = margins(said.x, y) >= 0
    return right | said.side.get("rejected", torch.zeros_like(right))


def _worth_trying(spec: Mapping[str, Any], store: Store, y: torch.Tensor) -> torch.Tensor:
    """Return which images are attacked: those the deployment gets right when clean, where that is known, else all.

    It is not known of a randomised deployment, nor to an oblivious attacker, who has the twin only: an image that the
    twin gets wrong may well be one that the defense gets right.
    """
    standing = spec["standing"]
    if standing is None:
        return torch.ones(len(y), dtype=torch.bool)
    first, last = spec["block"]
    answers = store.read(standing["key"]).tensors["score"][0]
    start = standing["first"]
    return torch.from_numpy(answers[first - start : last - start].astype(np.int64)) == y


def _check(x_adv: torch.Tensor, x: torch.Tensor, threat: Threat, numbers: list[int], *, minimum_norm: bool) -> None:
    """Raise unless every image obeys the threat; a minimum-norm attack may leave the ball, never the box."""
    if not isinstance(x_adv, torch.Tensor) or x_adv.shape != x.shape:
        raise ContractViolation(
            f"The attack gave {getattr(x_adv, 'shape', type(x_adv))}; expected images {tuple(x.shape)}."
        )

    def named(bad: torch.Tensor) -> list[int]:
        return [numbers[i] for i in torch.nonzero(bad).flatten().tolist()]

    if nonfinite := named(~torch.isfinite(x_adv).flatten(1).all(1)):
        raise ContractViolation(f"The attack gave values that are not finite for test images {nonfinite}.")
    tolerance = 1e-5
    if outside := named(((x_adv < -tolerance) | (x_adv > 1 + tolerance)).flatten(1).any(1)):
        raise ContractViolation(f"The attack left the box [0, 1] for test images {outside}.")
    if not minimum_norm and (outside := named(~threat.contains(x, x_adv.clamp(0, 1)))):
        raise ContractViolation(
            f"The attack left the {threat.norm} ball of radius {threat.epsilon:g} for test images {outside}."
        )


def _noted(notes: Mapping[str, object], rows: torch.Tensor, count: int) -> dict[str, NDArray[np.uint8]]:
    """Return of which of the block's images each note is true that is one of images, by the tensor's name."""
    told = {}
    for name, value in notes.items():
        if isinstance(value, torch.Tensor):
            if value.dtype != torch.bool or value.shape != (len(rows),):
                raise ContractViolation(
                    f"The attack's note {name!r} is {tuple(value.shape)} {value.dtype}; expected a figure, or bool, "
                    f"({len(rows)},): one an image."
                )
            told[NOTED + str(name)] = true = np.zeros(count, dtype=np.uint8)
            true[rows.numpy()] = value.cpu().numpy()
    return told


def _plain(notes: Mapping[str, object]) -> dict[str, Any]:
    def lasts(value: object) -> bool:
        return isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))

    return {str(name): value if lasts(value) else str(value) for name, value in notes.items()}
