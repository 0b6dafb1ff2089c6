"""What a hardware plugin is given and gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:  # torch takes seconds, and the process of a command reads no more than names here
    from torch import Tensor

    from bench.deployment import Deployment

Preset = Literal["quick", "default", "strict"]
Provenance = Literal[
    "measured-external", "measured-rail", "measured-rapl", "measured", "estimated-tdp", "modelled", "counted"
]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure of cost.

    Attributes
    ----------
    quantity : such as "latency_ms", "latency_ratio", "energy_mj", "uplink_bytes", "model_bytes", "peak_rss_bytes"
    statistic : such as "p50", "p90", "p99", "mean", "p95", "median", "total"
    placement : "device", "server", "tee" or "total"
    runtime : "onnxruntime", "torch" or "" where it does not matter
    value : None where it cannot be given; ``flags`` say why
    low, high : 95 % interval, None where there is none
    n : samples behind the value
    provenance, source : how it came about; the formula or instrument
    """

    quantity: str
    statistic: str
    placement: str
    value: float | None
    unit: str
    provenance: Provenance
    source: str
    runtime: str = ""
    variant: str = ""
    low: float | None = None
    high: float | None = None
    n: int = 0
    flags: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is measured.

    Attributes
    ----------
    deployment, baseline : the defended deployment; the undefended one that it is compared with, in the same process
        and on the same images
    images : float32, (N, C, H, W), in [0, 1], clean test images; latency cycles through them one by one, bytes use
        them all
    seed : of the draws
    scratch : a folder for exported files; what is left in it as NAME.npy is kept with the figures
    """

    deployment: Deployment
    baseline: Deployment
    images: Tensor
    seed: int
    scratch: Path
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What is known of a measurement while a run is planned.

    Attributes
    ----------
    machine : what identifies the machine, as JSON can hold it; enters the key of what is measured
    seconds : rough cost of one deployment
    timeout_s : a measurement that takes longer is stopped and recorded as timed out
    """

    machine: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 120.0
    timeout_s: float = 1800.0


class Foresee(Protocol):
    """What ``Hardware.prospect`` of an entry names."""

    def __call__(self, parameters: Mapping[str, Any], preset: Preset) -> Prospect:
        """Return what is known beforehand; raises ``bench.errors.UsageError`` where parameters cannot be meant.

        Parameters
        ----------
        preset : as the budget of the run has it
        """
        ...


class Profile(Protocol):
    """An implementation; constructed with the entry's parameters as keyword arguments."""

    def machine(self) -> Mapping[str, object]:
        """Return what identifies the machine: model, cores, clock source, governor; stands in the record.

        Give it in the entry's prospect too, so that what was measured under other settings is measured again.
        """
        ...

    def measure(self, workload: Workload, preset: Preset) -> Sequence[Measurement]:
        """Return every figure that this hardware can give for the workload."""
        ...
