"""The ways in which an adaptive attacker gets gradients, by name.

Some rest on what a defense declares, some on nothing that it says, so that a wrong declaration buys it nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from bench.attack.surrogate import Backward, as_it_is, stand_in_for, straight_through, substitute, usual
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

    Notes
    -----
    An undefended model has one way: what leaves images as they are has no stand-in.
    """
    first = OWN if deployment.differentiable else USUAL
    if not transforming(passages, image):
        return (first,)
    names = dict.fromkeys(name for p in passages for name in p.node.stage.surrogates if name != IDENTITY)
    taken = [stand_in_for(p.node.stage, p.output, p.inputs[0]) for p in passages if _from_image_to_image(p)]
    everywhere = first == USUAL and all(name == IDENTITY for name in taken)
    return (first, *(f"{_OFFERED}{name}" for name in names), *(() if everywhere else (IDENTITY,)), LEARNED)


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

    References
    ----------
    Athalye, Carlini, Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018, section 4.1.
    """

    def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
        exact = run_node(node, inputs)
        if not _from_image_to_image(Passage(node, inputs, exact)):
            return exact
        return exact.replace(substitute(exact.x, inputs[0].x))

    return _reachable(deployment.walk(signal, apply, _cross), signal)


def transforming(passages: Sequence[Passage], image: Signal) -> tuple[str, ...]:
    """Return the nodes whose image goes into what is no image any more, and differs from the one that came in.

    Parameters
    ----------
    passages : of all nodes, for ``image``
    """
    given = {passage.node.name: passage.output.x for passage in passages}
    shape = image.x.shape
    asked = {name for p in passages if p.output.x.shape != shape for name in p.node.inputs if name in given}
    return tuple(n for n, x in given.items() if n in asked and x.shape == shape and bool((x != image.x).any()))


def _offered(name: str) -> Backward:
    """Return gradients through the surrogate of that name; a stage that has none of it goes the usual way."""

    def through(deployment: Deployment, signal: Signal, progress: float = 1.0) -> Signal:
        def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
            exact, stand_in = run_node(node, inputs), node.stage.surrogates.get(name)
            if stand_in is not None and not isinstance(node.stage, Join):
                return exact.replace(substitute(exact.x, stand_in(inputs[0], progress).x))
            return usual(node, inputs, exact)

        return _reachable(deployment.walk(signal, apply, _cross), signal)

    return through


def _learned(mimics: Mapping[str, nn.Module]) -> Backward:
    """Return gradients through the networks in place of all that lies between the image and their nodes."""

    def through(deployment: Deployment, signal: Signal, progress: float = 1.0) -> Signal:
        def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
            exact = run_node(node, inputs)
            if node.name in mimics:
                return exact.replace(substitute(exact.x.detach(), mimics[node.name](signal.x)))
            return exact

        return _reachable(deployment.walk(signal, apply, _cross), signal)

    return through


def _from_image_to_image(passage: Passage) -> bool:
    """Whether a node gives another image of the same shape; what hands it on unchanged is no stage to stand in for."""
    given, output = passage.inputs[0].x, passage.output.x
    return (
        not isinstance(passage.node.stage, Join) and output.shape == given.shape and not bool((output == given).all())
    )


def _reachable(answer: Signal, image: Signal) -> Signal:
    """Return the answer, with the zero derivative that it has where nothing on the way has another."""
    return (
        answer if answer.x.requires_grad else answer.replace(answer.x + 0.0 * image.x.flatten(1).sum(1, keepdim=True))
    )


def _cross(node: Node, leaving: Signal) -> Signal:
    return node.stage.cross(leaving)
