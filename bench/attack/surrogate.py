"""How an attacker gets gradients: through the deployment as it is, or with stand-ins where it has none (BPDA)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bench.deployment import Deployment, Join, Node, Signal, Stage
from bench.deployment.deployment import Apply, run_node

Backward = Callable[[Deployment, Signal, float], Signal]  # the last: how far the attack has come, in [0, 1]


def as_it_is(deployment: Deployment, signal: Signal, progress: float = 1.0) -> Signal:
    """Return the deployment's answer with its own derivative."""
    result: Signal = deployment(signal)
    return result.replace(reachable(result.x, signal.x))


def straight_through(deployment: Deployment, signal: Signal, progress: float = 1.0) -> Signal:
    """Return the exact answer; backward, stages without a useful derivative are replaced.

    Notes
    -----
    A stage that declares no derivative is taken for the identity; so is one that offers ``identity`` among its
    surrogates, whatever it declares: with what follows it, it may be closer to that than its own derivative says. Where
    the shape changes, the first surrogate that the stage offers stands in.

    References
    ----------
    Athalye, Carlini, Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018, section 4.1.
    """

    def apply(node: Node, inputs: tuple[Signal, ...]) -> Signal:
        return usual(node, inputs, run_node(node, inputs))

    return walked(deployment, signal, apply)


def usual(node: Node, inputs: tuple[Signal, ...], exact: Signal) -> Signal:
    """Return what a node gives, with the derivative that straight-through gradients take for its own."""
    name = "" if isinstance(node.stage, Join) else stand_in_for(node.stage, exact, inputs[0])
    if name == "identity":
        return exact.replace(substitute(exact.x, inputs[0].x))
    return exact.replace(substitute(exact.x, node.stage.surrogates[name](inputs[0], 0.0).x)) if name else exact


def stand_in_for(stage: Stage, exact: Signal, given: Signal) -> str:
    """Return the name of what straight-through gradients put in a stage's place, "" for its own derivative."""
    if stage.differentiable and "identity" not in stage.surrogates:
        return ""
    return "identity" if exact.x.shape == given.x.shape else next(iter(stage.surrogates), "")


def walked(deployment: Deployment, signal: Signal, apply: Apply) -> Signal:
    """Return the answer with ``apply`` run at every node, and with a derivative, if only zero."""
    answer = deployment.walk(signal, apply, lambda node, leaving: node.stage.cross(leaving))
    return answer.replace(reachable(answer.x, signal.x))


def reachable(answer: Tensor, image: Tensor) -> Tensor:
    """Return what is answered; where nothing on the way to it has a derivative, with the honest one, zero.

    Gates must see that zero; autograd alone would raise.
    """
    return answer if answer.requires_grad else answer + 0.0 * image.sum()


def substitute(exact: Tensor, surrogate: Tensor) -> Tensor:
    """Return a tensor with the value of ``exact`` and the derivative of ``surrogate``."""
    return surrogate + (exact - surrogate).detach()
