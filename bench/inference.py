"""onnxruntime as every figure uses it. Imports no torch, so that a process that measures memory holds nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def session(path: Path, *, threads: int = 1) -> Any:
    """Return an onnxruntime session on the CPU: ``threads`` threads, operators one after the other, no spinning."""
    import onnxruntime  # 0.2 s, and only where a graph is run

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning burns energy
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
