"""The ways in which an adaptive attacker gets gradients, by name.

Some rest on what a defense declares, some on nothing that it says, so that a wrong declaration buys it nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bench.attack.surrogate import Backward, as_it_is, stand_in_for, straight_through, substitute, usual, walked
from bench.deployment import Deployment, Join, Node, Signal
from bench.deployment.deployment import run_node
from bench.deployment.passage import Passage

OWN, USUAL, IDENTITY, LEARNED = "as-it-is", "straight-through", "identity", "learned"
_OFFERED = "surrogate:"


def ways(deployment: Deployment, passages: Sequence[Passage], image: Signal) -> tuple[str, ...]:
    """Return the names of all ways through a deployment that differ, the usual one first.

    Parameters
    ----------
    passages : of all nodes, for ``image``
    image : a batch; ``around`` gives one that shows what acts on clean images and what acts on noisy ones alone

    Notes
    -----
    An undefended model has one way: what leaves images as they are has no stand-in. The derivatives of the stages
    themselves are a way of their own where a deployment draws and declares that it has none: a white-box attacker
    follows them through single draws, and nobody would average them if the word were false.
    """
    first = OWN if deployment.differentiable else USUAL
    own = (OWN,) if first == USUAL and deployment.randomised else ()
    learned = transforming(passages, image)
    if not learned and not any(p.node.stage.surrogates and _acts(p) for p in passages):
        return (first, *own)
    names = dict.fromkeys(name for p in passages for name in p.node.stage.surrogates if name != IDENTITY)
    taken = [stand_in_for(p.node.stage, p.output, p.inputs[0]) for p in passages if _keeps_shape(p) and _acts(p)]
    differs = bool(taken) and (first == OWN or any(name != IDENTITY for name in taken))
    return (
        first,
        *own,
        *(f"{_OFFERED}{name}" for name in names),
        *((IDENTITY,) if differs else ()),
        *((LEARNED,) if learned else ()),
    )


def around(x: Tensor, radius: float) -> Tensor:
    """Return images, each also at a corner of its Linf ball and at one of half of it, float32, (3 B, C, H, W).

    All lie on the 8-bit grid, so that a border that rounds to it changes none of them. The noise is the same at each
    call.

    Parameters
    ----------
    x : float32, (B, C, H, W), on the 8-bit grid in [0, 1]; comes first, as it is
    radius : in pixels of [0, 1]
    """
    generator, levels = torch.Generator().manual_seed(0), torch.round(x * 255.0)
    farthest = int(radius * 255.0 + 1e-6)
    steps = (farthest, (farthest + 1) // 2)
    noisy = [levels + step * (2 * torch.randint(2, x.shape, generator=generator) - 1) for step in steps]
    return torch.cat([levels, *noisy]).clamp(0.0, 255.0) / 255.0


def backward(way: str, mimics: Mapping[str, nn.Module] | None = None) -> Backward | None:
    """Return what makes gradients in the way of that name; None for "none".

    Parameters
    ----------
    mimics : node -> a network that was taught what it gives for an image, for the way "learned"
    """
    if way.startswith(_OFFERED):
        return _offered(way.removeprefix(_OFFERED))
    if way == LEARNED:
        return _learned(mimics or {})
    return {OWN: as_it_is, USUAL: straight_through, IDENTITY: identity, "none": None}[way]


def identity(deployment: Deployment, signal: Signal, progress: float = 1.0) -> Signal:
    """Return the exact answer; backward, every stage that gives an image of the same shape is taken for the identity.

    Notes
    -----
    Also where it changed nothing in this batch: a stage that acts on some images only may lie about the others.

    References
    ----------
    Athalye, Carlini, Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018, section 4.1.
    """

    def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
        exact = run_node(node, inputs)
        if not _keeps_shape(Passage(node, inputs, exact)):
            return exact
        return exact.replace(substitute(exact.x, inputs[0].x))

    return walked(deployment, signal, apply)


def transforming(passages: Sequence[Passage], image: Signal) -> tuple[str, ...]:
    """Return the nodes that are worth imitating: those that hand changed images on, then those that reshape them.

    Parameters
    ----------
    passages : of all nodes, for ``image``

    Notes
    -----
    The first are nodes whose image has the shape of the one that came in, differs from it, and goes into what has
    another shape. The second give maps of another height, width or number of channels, (B, C', H', W'). What gives
    tokens, vectors or logits is left alone.
    """
    given = {passage.node.name: passage.output.x for passage in passages}
    shape = image.x.shape
    asked = {name for p in passages if p.output.x.shape != shape for name in p.node.inputs if name in given}
    changed = (n for n, x in given.items() if n in asked and x.shape == shape and bool((x != image.x).any()))
    return (*changed, *(n for n, x in given.items() if x.shape != shape and _is_map(x)))


def imitated(passage: Passage, image: Tensor) -> Tensor:
    """Return from what a network foretells the output of a node: from the image, or from what the node was given.

    A node that gives an image of the first shape is imitated together with all that lies before it; one that reshapes
    a map, alone.
    """
    given = passage.inputs[0].x
    alone = passage.output.x.shape != image.shape and not isinstance(passage.node.stage, Join) and _is_map(given)
    return given if alone else image


def _offered(name: str) -> Backward:
    """Return gradients through the surrogate of that name; a stage that has none of it goes the usual way."""

    def through(deployment: Deployment, signal: Signal, progress: float = 1.0) -> Signal:
        def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
            exact, stand_in = run_node(node, inputs), node.stage.surrogates.get(name)
            if stand_in is not None and not isinstance(node.stage, Join):
                return exact.replace(substitute(exact.x, stand_in(inputs[0], progress).x))
            return usual(node, inputs, exact)

        return walked(deployment, signal, apply)

    return through


def _learned(mimics: Mapping[str, nn.Module]) -> Backward:
    """Return gradients through the networks in place of what they imitate."""

    def through(deployment: Deployment, signal: Signal, progress: float = 1.0) -> Signal:
        def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
            exact = run_node(node, inputs)
            if node.name in mimics:
                shown = imitated(Passage(node, inputs, exact), signal.x)
                return exact.replace(substitute(exact.x.detach(), mimics[node.name](shown)))
            return exact

        return walked(deployment, signal, apply)

    return through


def _keeps_shape(passage: Passage) -> bool:
    return not isinstance(passage.node.stage, Join) and passage.output.x.shape == passage.inputs[0].x.shape


def _acts(passage: Passage) -> bool:
    """Whether a node gives anything else than it was given; what does not is no stage to stand in for."""
    given, output = passage.inputs[0].x, passage.output.x
    return output.shape != given.shape or not bool((output == given).all())


def _is_map(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_floating_point()
