"""Checks of a deployment, whoever made it: what it declares against what is seen."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.attack.surrogate import straight_through
from bench.conformance import workbench
from bench.conformance.result import Check, Doubtful, Failed, NotApplicable
from bench.deployment import INPUT, Deployment, Node, Signal, Stage
from bench.deployment.deployment import run_node
from bench.deployment.export import Exported, export
from bench.deployment.passage import trace
from bench.deployment.slope import TOLERANCE, slope
from bench.deployment.subgraph import Subgraph, subgraphs

DRAWS = 16


def _given(count: int = 8, draw: int = 0) -> Signal:
    return workbench.signal(workbench.held_out(count)[0], draw)


def _row(given: Signal, row: int) -> Signal:
    side = {name: tensor[row : row + 1] for name, tensor in given.side.items()}
    return Signal(given.x[row : row + 1], given.draws[row : row + 1], side)


def check_range(deployment: Deployment) -> str:
    """What crosses a border in the default coding, 8 bit a value of [0, 1], fits into it."""
    _, leaving = trace(deployment, _given())
    widest = []
    for node, outgoing in leaving:
        if type(node.stage).encode is not Stage.encode:
            continue
        low, high = float(outgoing.x.min()), float(outgoing.x.max())
        if not torch.isfinite(outgoing.x).all():
            raise Failed(f"What leaves {node.name!r} is not finite.")
        if low < -1e-6 or high > 1 + 1e-6:
            raise Failed(
                f"What leaves {node.name!r} runs from {low:.3g} to {high:.3g}, and the 8-bit wire carries [0, 1]; "
                "scale it, or define encode, decode and cross."
            )
        widest.append(f"{node.name} {low:.2g} to {high:.2g}")
    if not widest:
        raise NotApplicable("No border in the default coding.")
    return f"Over the 8-bit wire: {', '.join(widest)}."


def check_repeatable(deployment: Deployment) -> str:
    """The same images and draws give the same bits, whatever the state of global generators."""
    answers = []
    for seed in (1, 1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        answers.append(deployment.answer(_given()).x)
    first, again, reseeded = answers
    if not torch.equal(first, again):
        raise Failed(
            "The same image and draws gave two answers: a stage keeps state between calls, or draws from a generator "
            "of its own; draw from signal.draws."
        )
    if not torch.equal(again, reseeded):
        raise Failed(
            "The same image and draws gave two answers, by the seed of a global generator (torch.rand, numpy.random, "
            "random); draw from signal.draws."
        )
    return "The same bits for the same images and draws."


def check_randomness(deployment: Deployment) -> str:
    """Other draws change what a stage gives exactly where it says so."""
    passages, _ = trace(deployment, _given())
    seen: list[Node] = []
    unseen: list[Node] = []
    for passage in passages:
        moved = False
        for draw in range(1, DRAWS + 1):
            others = tuple(Signal(s.x, _given(len(s.x), draw).draws, s.side) for s in passage.inputs)
            with torch.no_grad():
                moved = moved or not _same(run_node(passage.node, others), passage.output)
        if moved and not passage.node.stage.randomised:
            raise Failed(f"Stage {passage.node.name!r} gives something else on other draws; declare randomised = True.")
        (seen if moved else unseen).append(passage.node)
    idle = [node.name for node in unseen if node.stage.randomised]
    if idle:
        raise Doubtful(f"Stage {idle[0]!r} declares randomised = True, and {DRAWS} draws changed nothing.")
    return f"Draws matter in: {', '.join(node.name for node in seen) or 'none'}, as declared."


def check_derivative(deployment: Deployment) -> str:
    """Where a stage declares a derivative, autograd's agrees with finite differences."""
    passages, _ = trace(deployment, _given())
    found = []
    for passage in passages:
        if not passage.node.stage.differentiable or not passage.inputs[0].x.is_floating_point():
            continue
        seen = slope(passage)
        stage = f"Stage {passage.node.name!r}"
        advice = "declare differentiable = False and give a surrogate"
        if not seen.finite:
            raise Failed(f"{stage}: its derivative is not finite; {advice}.")
        if not seen.connected or (seen.analytic < 1e-6 < seen.numeric):
            raise Failed(f"{stage}: its derivative is zero, and it moves by {seen.numeric:.3g} a pixel; {advice}.")
        if seen.error > TOLERANCE:
            raise Failed(f"{stage}: autograd and finite differences differ by {seen.error:.0%} (median); {advice}.")
        found.append(f"{passage.node.name} within {seen.error:.1%}")
    if not found:
        raise NotApplicable("No stage declares a derivative.")
    return f"Against finite differences: {', '.join(found)}."


def check_surrogates(deployment: Deployment) -> str:
    """Every surrogate keeps the shape and has a finite derivative that is not zero."""
    passages, _ = trace(deployment, _given())
    tried = []
    for passage in passages:
        for name, surrogate in passage.node.stage.surrogates.items():
            for progress in (0.0, 0.5, 1.0):
                x = passage.inputs[0].x.detach().clone().requires_grad_(True)
                given = passage.inputs[0].replace(x)
                with torch.enable_grad():
                    output = surrogate(given, progress).x
                owner = f"Surrogate {name!r} of {passage.node.name!r} at progress {progress:g}"
                if output.shape != passage.output.x.shape:
                    raise Failed(f"{owner} gives {tuple(output.shape)}; its stage {tuple(passage.output.x.shape)}.")
                _expect_gradient(owner, output, x)
            tried.append(f"{passage.node.name}.{name}")
    if not tried:
        raise NotApplicable("No stage has a surrogate.")
    return f"Finite and alive: {', '.join(tried)}."


def check_attackable(deployment: Deployment) -> str:
    """With stages that have no derivative taken for the identity, the exact answer comes with a useful gradient."""
    given = _given()
    x = given.x.clone().requires_grad_(True)
    with torch.enable_grad():
        logits = straight_through(deployment, given.replace(x)).x
    exact = deployment(given).x
    difference = float((logits.detach() - exact).abs().max())
    if difference > 1e-4 * max(1.0, float(exact.abs().max())):
        raise Failed(f"With a stand-in backward the answer moved by {difference:.2g}; it must stay the exact one.")
    y = exact.argmax(1)
    loss = F.cross_entropy(logits, y, reduction="sum")
    _expect_gradient("The gradient that an adaptive attacker gets", loss[None], x)
    return "An adaptive attacker's gradients are finite and not zero."


def _expect_gradient(owner: str, output: Tensor, x: Tensor) -> None:
    if not output.requires_grad:
        raise Failed(f"{owner}: autograd does not reach the image; keep to torch's operations, or give a surrogate.")
    (gradient,) = torch.autograd.grad(output.square().sum() if output.ndim > 1 else output.sum(), x, allow_unused=True)
    if gradient is None or not gradient.any():
        raise Failed(
            f"{owner}: zero everywhere; an attack would be blind, and robustness an illusion. Give a surrogate."
        )
    if not torch.isfinite(gradient).all():
        raise Failed(f"{owner}: NaN or infinite; guard divisions and roots.")


def check_wire(deployment: Deployment) -> str:
    """What is decoded from the bytes equals what ``cross`` gives, in every format, from nothing but the bytes."""
    _, leaving = trace(deployment, _given())
    if not leaving:
        raise NotApplicable("Nothing leaves its placement.")
    sizes = []
    for node, outgoing in leaving:
        for wire_format in node.stage.wire_formats:
            sizes.append(f"{node.name} {wire_format} {_round_trip(node, outgoing, wire_format):,.0f} bytes")
    return f"Mean an image: {', '.join(sizes)}."


def _round_trip(node: Node, outgoing: Signal, wire_format: str) -> float:
    stage, owner = node.stage, f"{node.name!r} in format {wire_format!r}"
    expected = stage.cross(outgoing)
    payloads = stage.encode(outgoing, wire_format)
    if len(payloads) != len(outgoing) or not all(isinstance(payload, bytes) for payload in payloads):
        raise Failed(f"{owner}: encode must give one bytes object an image.")
    # The other side knows the shape and may know the draws; values that it peeks at are poisoned.
    like = Signal(torch.full_like(outgoing.x, torch.nan), outgoing.draws)
    arrived = stage.decode(payloads, like, wire_format)
    if not torch.equal(arrived.x, expected.x.detach()):
        difference = (
            float((arrived.x - expected.x).abs().max()) if arrived.x.shape == expected.x.shape else float("nan")
        )
        raise Failed(f"{owner}: decode(encode(signal)) is not cross(signal); largest difference {difference:.3g}.")
    for name, tensor in expected.side.items():
        if name in outgoing.side and name not in arrived.side:
            continue  # what stays behind; a later stage that needs it would fail in the evaluated form
        if name not in arrived.side or not torch.equal(arrived.side[name], tensor.detach()):
            raise Failed(f"{owner}: side tensor {name!r} is not what cross gives.")
    for row in range(len(outgoing)):
        if stage.encode(_row(outgoing, row), wire_format)[0] != payloads[row]:
            raise Failed(f"{owner}: the bytes of an image depend on the others of its batch.")
    return sum(map(len, payloads)) / len(payloads)


def check_wire_form(deployment: Deployment) -> str:
    """The form that is evaluated, over real bytes, answers as the form that attacks differentiate."""
    given = _given()
    over_bytes, over_tensors = deployment.answer(given).x, deployment(given).x
    difference = float((over_bytes - over_tensors).abs().max())
    if difference > 1e-5 * max(1.0, float(over_bytes.abs().max())):
        raise Failed(
            f"Over bytes and over tensors the answers differ by {difference:.2g}; cross must equal decode(encode)."
        )
    return f"Over bytes and over tensors within {difference:.1g}."


def check_export(deployment: Deployment) -> str:
    """Each placement's part as ONNX repeats torch's outputs, or says why it has no ONNX form."""
    images = workbench.held_out(3)[0]
    examples = [workbench.signal(images[row : row + 1]) for row in range(3)]
    said, refused = [], []
    with TemporaryDirectory() as folder:
        for subgraph in subgraphs(deployment):
            inputs = [_arriving(deployment, subgraph, example) for example in examples]
            written = export(subgraph, inputs, Path(folder))
            if isinstance(written, Exported):
                said.append(f"{subgraph.name} within {written.difference:.1g} of torch, {written.size_bytes:,} bytes")
            else:
                refused.append(f"{subgraph.name}: {written.reason}")
    if refused:
        raise Doubtful(f"Not exportable, so torch is timed instead: {'; '.join(refused)}.")
    return f"{'; '.join(said)}."


def _arriving(deployment: Deployment, subgraph: Subgraph, example: Signal) -> dict[str, Signal]:
    """Return the signals of a subgraph's inputs, as they arrive."""
    members = {node.name for node in subgraph.nodes}
    passages, _ = trace(deployment, example)
    return {
        name: arrived
        for passage in passages
        if passage.node.name in members
        for name, arrived in zip(passage.node.inputs, passage.inputs, strict=True)
        if name in subgraph.inputs
    }


def check_batch(deployment: Deployment) -> str:
    """An image gets the same answer alone, in a batch and in another order."""
    given = _given(8)
    together = deployment.answer(given).x
    order = [5, 2, 7, 0, 3, 6, 1, 4]
    shuffled = deployment.answer(Signal(given.x[order], given.draws[order])).x
    alone = torch.cat([deployment.answer(_row(given, row)).x for row in range(len(given))])
    bound = 1e-4 * max(1.0, float(together.abs().max()))  # float arithmetic is not batch-invariant
    for how, other, expected in (("in another order", shuffled, together[order]), ("alone", alone, together)):
        difference = float((other - expected).abs().max())
        if difference > bound:
            raise Failed(f"Answers {how} differ by {difference:.2g}; an image must not see the rest of its batch.")
    return f"Alone, together and in another order within {float((alone - together).abs().max()):.1g}."


def check_memory(deployment: Deployment) -> str:
    """No call leaves anything behind that a later call can see, nor writes into its input."""
    given, other = _given(4), workbench.signal(1.0 - workbench.held_out(4)[0], draw=3)
    before = {name: value.clone() for name, value in deployment.state_dict().items()}
    first = deployment.answer(given).x
    deployment.answer(other)
    deployment(other)
    if written := _written(deployment, given):
        raise Failed(f"The stage of node {written[0]!r} wrote into its input; work on a copy.")
    again = deployment.answer(given).x
    if not torch.equal(first, again):
        raise Failed(
            "The same image gets another answer after other images were seen; a stage keeps state between calls."
        )
    changed = [name for name, value in deployment.state_dict().items() if not torch.equal(value, before[name])]
    if changed:
        raise Failed(f"A call changed the buffer {changed[0]!r}.")
    return "The same answer before and after other images."


@torch.no_grad()
def _written(deployment: Deployment, given: Signal) -> list[str]:
    """Return the nodes that take the image itself and write into it."""
    writing = []

    def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
        before = [signal.x.clone() for signal in inputs]
        result = run_node(node, inputs)
        if INPUT in node.inputs and not all(torch.equal(s.x, x) for s, x in zip(inputs, before, strict=True)):
            writing.append(node.name)
        return result

    deployment.walk(given, apply, lambda node, leaving: node.stage.cross(leaving))
    return writing


def _same(one: Signal, other: Signal) -> bool:
    return torch.equal(one.x, other.x) and all(torch.equal(one.side[name], other.side[name]) for name in other.side)


CHECKS: Final[Mapping[str, Check[Deployment]]] = {
    "range": check_range,
    "randomness as declared": check_randomness,
    "derivative as declared": check_derivative,
    "surrogates": check_surrogates,
    "gradients for an adaptive attacker": check_attackable,
    "wire round trip": check_wire,
    "wire and tensors agree": check_wire_form,
    "ONNX export": check_export,
    "batch": check_batch,
    "no memory": check_memory,
}
# What these see is the difference of two answers, which says nothing where answers do not repeat.
COMPARING: Final = frozenset(
    {
        "state",
        "randomness as declared",
        "derivative as declared",
        "gradients for an adaptive attacker",
        "wire and tensors agree",
        "ONNX export",
        "batch",
        "no memory",
    }
)
