"""Export the subgraph of a placement to ONNX, and run it there.

An exported graph counts only when onnxruntime repeats torch's outputs with it on images it was not traced on: a tracer
turns whatever NumPy code or a random draw returned into a constant, without an error.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.deployment.draws import Draws
from bench.deployment.signal import Signal
from bench.deployment.subgraph import Subgraph
from bench.inference import session

OPSET: Final = 17
TOLERANCE: Final = 1e-4  # of max(1, max|torch|), as Defed asks for; wider than another order of summation in float32


@dataclass(frozen=True)
class Port:
    """One tensor of a graph: ``x`` or a side tensor of the signal of a node."""

    node: str
    tensor: str  # "x" or the name of a side tensor

    @property
    def name(self) -> str:
        return f"{self.node}.{self.tensor}"


@dataclass(frozen=True)
class Exported:
    """A subgraph in a file that onnxruntime was seen to run with torch's outputs.

    Attributes
    ----------
    shape : of the first input, with its batch of 1
    size_bytes : of the file
    difference : largest absolute difference from torch over all examples and outputs
    """

    subgraph: Subgraph
    path: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    shape: tuple[int, ...]
    size_bytes: int
    difference: float
    opset: int = OPSET


@dataclass(frozen=True)
class NotExportable:
    """A subgraph that has no ONNX form; torch is timed instead."""

    subgraph: Subgraph
    reason: str


def export(subgraph: Subgraph, examples: Sequence[Mapping[str, Signal]], folder: Path) -> Exported | NotExportable:
    """Write the subgraph as ONNX with a batch of 1, and compare it with torch on every example.

    Parameters
    ----------
    examples : what arrives at ``subgraph.inputs``, batch 1, for two or more different images; the first is traced
    folder : where ``<placement>-<crossings>.onnx`` is written

    Returns
    -------
    Exported, or NotExportable with the reason in one sentence
    """
    drawing = [node.name for node in subgraph.nodes if node.stage.randomised]
    if drawing:
        return NotExportable(subgraph, f"stage {drawing[0]!r} draws at random, and an ONNX graph has no such input")
    if len(examples) < 2:
        return NotExportable(subgraph, "one example is not enough to compare the exported graph with torch")
    path = folder / f"{subgraph.name}.onnx"
    with torch.no_grad():
        expected = [subgraph.run(example) for example in examples]
        traced = _trace(subgraph, examples[0], expected[0], path)
        if isinstance(traced, NotExportable):
            return traced
        exported, uses_numpy = traced
        outcome = _compared(exported, examples, expected)
    if isinstance(outcome, NotExportable):
        path.unlink()
        if uses_numpy:
            return NotExportable(subgraph, f"{_guilty(subgraph)} computes with NumPy, which a graph cannot hold")
    return outcome


def _trace(
    subgraph: Subgraph, example: Mapping[str, Signal], expected: Mapping[str, Signal], path: Path
) -> tuple[Exported, bool] | NotExportable:
    inputs, outputs = ports(example, subgraph.inputs), ports(expected, subgraph.outputs)
    traced = _Traced(subgraph, inputs, outputs, example)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            # The TorchScript exporter: the newer one needs onnxscript and rejects stages that branch on values.
            torch.onnx.export(
                traced,
                tuple(tensor_of(example, port) for port in inputs),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[port.name for port in inputs],
                output_names=[port.name for port in outputs],
            )
        except Exception as error:  # whatever a stage's code does under the tracer
            path.unlink(missing_ok=True)
            return NotExportable(subgraph, f"the exporter refused: {_first_line(error)}")
    shape = tuple(tensor_of(example, inputs[0]).shape)
    exported = Exported(subgraph, path, inputs, outputs, shape, path.stat().st_size, 0.0)
    # A tracer only warns where the result of NumPy becomes a constant. Whether that matters, the comparison shows.
    return exported, any("NumPy array" in str(item.message) for item in said)


def _compared(
    exported: Exported, examples: Sequence[Mapping[str, Signal]], expected: Sequence[Mapping[str, Signal]]
) -> Exported | NotExportable:
    try:
        session = OnnxSubgraph(exported)
        answers = [session.run(example) for example in examples]
    except Exception as error:  # onnxruntime raises its own classes, without a common public one
        return NotExportable(exported.subgraph, f"onnxruntime refused the graph: {_first_line(error)}")
    worst = 0.0
    for answer, truth in zip(answers, expected, strict=True):
        for port in exported.outputs:
            got, wanted = tensor_of(answer, port), tensor_of(truth, port)
            difference = _difference(got, wanted)
            bound = TOLERANCE * max(1.0, float(wanted.double().abs().max())) if wanted.is_floating_point() else 0.0
            if not difference <= bound:
                return NotExportable(
                    exported.subgraph,
                    f"onnxruntime does not repeat torch's {port.name!r}: "
                    f"difference {difference:.3g}, allowed {bound:.3g}",
                )
            worst = max(worst, difference)
    return Exported(**{**exported.__dict__, "difference": worst})


def _difference(got: Tensor, wanted: Tensor) -> float:
    if got.shape != wanted.shape:
        return float("inf")
    both = torch.stack([got.double(), wanted.double()])
    return float((both[0] - both[1]).abs().max()) if both.numel() else 0.0


class OnnxSubgraph:
    """An exported subgraph in onnxruntime; ``run`` takes and gives the same signals as ``Subgraph.run``."""

    def __init__(self, exported: Exported, *, threads: int = 1) -> None:
        self.exported = exported
        self._session = session(exported.path, threads=threads)
        # An input that no node of the graph uses is dropped by the exporter.
        known = {item.name for item in self._session.get_inputs()}
        self._inputs = tuple(port for port in exported.inputs if port.name in known)
        self._output_names = [port.name for port in exported.outputs]

    def run(self, given: Mapping[str, Signal]) -> dict[str, Signal]:
        """Return the signals of the subgraph's outputs."""
        feeds = {port.name: tensor_of(given, port).numpy() for port in self._inputs}
        arrays: list[NDArray[Any]] = self._session.run(self._output_names, feeds)
        tensors = [torch.from_numpy(np.asarray(array)) for array in arrays]
        draws = next(iter(given.values())).draws
        return _signals(self.exported.outputs, tensors, draws)


def ports(signals: Mapping[str, Signal], names: Sequence[str]) -> tuple[Port, ...]:
    """Return the tensors of the named signals in a fixed order: x, then side tensors by name."""
    return tuple(Port(name, tensor) for name in names for tensor in ("x", *sorted(signals[name].side)))


def tensor_of(signals: Mapping[str, Signal], port: Port) -> Tensor:
    """Return the tensor behind a port."""
    signal = signals[port.node]
    return signal.x if port.tensor == "x" else signal.side[port.tensor]


def _signals(order: Sequence[Port], tensors: Sequence[Tensor], draws: Draws) -> dict[str, Signal]:
    grouped: dict[str, dict[str, Tensor]] = {}
    for port, tensor in zip(order, tensors, strict=True):
        grouped.setdefault(port.node, {})[port.tensor] = tensor
    return {
        name: Signal(found["x"], draws, {k: v for k, v in found.items() if k != "x"}) for name, found in grouped.items()
    }


class _Traced(nn.Module):
    """The subgraph as a function of tensors; its stages are registered, so that weights become initialisers."""

    def __init__(
        self, subgraph: Subgraph, inputs: Sequence[Port], outputs: Sequence[Port], like: Mapping[str, Signal]
    ) -> None:
        super().__init__()
        self.subgraph, self.inputs, self.outputs = subgraph, inputs, outputs
        self.draws = next(iter(like.values())).draws
        self.stages = nn.ModuleList(dict.fromkeys(node.stage for node in subgraph.nodes))
        self.eval()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = self.subgraph.run(_signals(self.inputs, tensors, self.draws))
        return tuple(tensor_of(found, port) for port in self.outputs)


def _guilty(subgraph: Subgraph) -> str:
    names = ", ".join(repr(node.name) for node in subgraph.nodes)
    return f"stage {names}" if len(subgraph.nodes) == 1 else f"one of {names}"


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160]}" if text else type(error).__name__
