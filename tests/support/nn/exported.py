"""Whole models through ``torch.onnx.export``, and their outputs in ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Arguments = tuple[Tensor, ...]


class Calls(torch.nn.Module):
    """A model that calls modules by functions ``call(module, *arguments)``; returns all tensors."""

    def __init__(self, parts: dict[str, tuple[torch.nn.Module, Callable[..., Any]]]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList([module for module, _ in parts.values()])
        self.calls = [call for _, call in parts.values()]

    def forward(self, *arguments: Tensor) -> Arguments:
        found: list[Tensor] = []
        for module, call in zip(self.parts, self.calls, strict=True):
            _collect(call(module, *arguments), found)
        return tuple(found)


def _collect(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    else:
        for one in value.values() if isinstance(value, dict) else value:
            _collect(one, found)


def export(model: Any, arguments: Arguments, path: Path, shapes: Any = None, **more: Any) -> Any:
    """Export a model with the new exporter, and return the checked file as an ONNX model."""
    import onnx

    with torch.no_grad(), warnings.catch_warnings():  # without gradients the export is faster
        warnings.simplefilter("ignore")  # torch's own deprecations
        torch.onnx.export(
            model, arguments, path, dynamo=True, dynamic_shapes=shapes, verbose=False, **more
        )
    written = onnx.load(path)
    onnx.checker.check_model(written, full_check=True)
    return written


def operators(model: Any) -> dict[str, int]:
    """Return how often the recurrent operators occur in a model."""
    names = [node.op_type for node in model.graph.node]
    return {name: names.count(name) for name in ("LSTM", "GRU", "RNN", "Scan") if name in names}


def session(path: Path) -> Any:
    """Open a model in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def differences(opened: Any, model: Any, arguments: Arguments) -> list[float]:
    """Return the largest difference of each output, relative to the larger of 1 and its value."""
    names = [given.name for given in opened.get_inputs()]
    have = opened.run(None, dict(zip(names, (a.numpy() for a in arguments), strict=True)))
    with torch.no_grad():
        want = model(*arguments)
    found = []
    for one, other in zip(have, (value.numpy() for value in want), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        scale = np.maximum(1.0, np.abs(other))
        found.append(float((np.abs(one - other) / scale).max(initial=0.0)))
        assert np.isfinite(found[-1])
    return found
