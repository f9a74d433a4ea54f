"""Contenders that run one LSTM step at batch 1: ours, torch's and ONNX Runtime's.

All have the same weights and one thread. Each is a function ``advance(x [1, I]) -> y [1, H]`` of
NumPy arrays or torch tensors that keeps its state between calls.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from carrousel import nn

Advance = Callable[[Any], Any]


class Contender(NamedTuple):
    """One way to run a step.

    ``advance`` is timed. ``between`` is called while waiting for the next input, and is not timed.
    ``takes_tensors`` says whether inputs are torch tensors instead of NumPy arrays. Outputs differ
    from float64 by ``tolerance`` at most.
    """

    advance: Advance
    takes_tensors: bool
    between: Callable[[], None] | None = None
    tolerance: float = 1e-5
    """Twenty times the difference of torch's own float32 cell from float64 in these nets."""


STORED = {"bfloat16": 0.01, "float16": 0.001, "int8": 0.02}
"""Types of stored weights, and the tolerance of each."""


def contenders(layer: torch.nn.LSTM, folder: Path) -> dict[str, Contender]:
    """Make all contenders from the weights of a unidirectional layer."""
    inputs, units = layer.input_size, layer.hidden_size
    ours = nn.LSTM(inputs, units)
    ours.load_state_dict(layer.state_dict())
    nn.export_onnx(ours, folder / "exported.onnx", batch_size=1)
    onnx.save(_fused(layer), folder / "fused.onnx")
    return {
        "carrousel.nn.step": Contender(nn.step(ours), True),
        "carrousel.nn.step, prepared": _prepared(ours),
        "carrousel.nn.step, arrays": Contender(_arrays(nn.step(ours)), False),
        **{
            f"carrousel.nn.step, {storage}": Contender(
                _arrays(nn.step(ours, storage=storage)), False, tolerance=tolerance
            )
            for storage, tolerance in STORED.items()
        },
        "torch.nn.LSTMCell": Contender(_cell(layer), True),
        "torch.nn.LSTM": Contender(_layer(layer), True),
        "onnxruntime, exported": Contender(_run(folder / "exported.onnx"), False),
        "onnxruntime, exported, bound": Contender(_bound(folder / "exported.onnx"), False),
        "onnxruntime, LSTM": Contender(_run(folder / "fused.onnx"), False),
        "onnxruntime, LSTM, bound": Contender(_bound(folder / "fused.onnx"), False),
    }


def _prepared(module: nn.LSTM) -> Contender:
    stepper = nn.step(module)
    return Contender(stepper, True, stepper.prepare)


def _arrays(stepper: nn.Stepper) -> Advance:
    x, y, advance = stepper.input, stepper.output, stepper.advance

    def one(given: np.ndarray) -> np.ndarray:
        x[...] = given
        advance()
        return y

    return one


def _cell(layer: torch.nn.LSTM) -> Advance:
    """Torch's cell; the caller enables inference mode."""
    cell = torch.nn.LSTMCell(layer.input_size, layer.hidden_size)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    state = (torch.zeros(1, layer.hidden_size),) * 2

    def one(x: torch.Tensor) -> torch.Tensor:
        nonlocal state
        state = cell(x, state)
        return state[0]

    return one


def _layer(layer: torch.nn.LSTM) -> Advance:
    state = (torch.zeros(1, 1, layer.hidden_size),) * 2

    def one(x: torch.Tensor) -> torch.Tensor:
        nonlocal state
        y, state = layer(x[None], state)
        return y[0]

    return one


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(path: Path) -> Advance:
    """ONNX Runtime with dictionaries of arrays, as in its manual."""
    session = _session(path)
    h, c = (np.zeros(session.get_inputs()[k].shape, np.float32) for k in (1, 2))

    def one(x: np.ndarray) -> np.ndarray:
        nonlocal h, c
        y, h, c = session.run(None, {"x": x, "h_in": h, "c_in": c})
        return y

    return one


def _bound(path: Path) -> Advance:
    """Inputs and outputs bound beforehand; two bindings, so that states change places."""
    session = _session(path)

    def value(shape: Any) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))

    x, y = value(session.get_inputs()[0].shape), value(session.get_outputs()[0].shape)
    shapes = [session.get_inputs()[k].shape for k in (1, 2)]
    sides = [[value(shape) for shape in shapes] for _ in range(2)]
    bindings = []
    for here, there in (sides, sides[::-1]):
        binding = session.io_binding()
        for name, one in zip(("x", "h_in", "c_in"), (x, *here), strict=True):
            binding.bind_ortvalue_input(name, one)
        for name, one in zip(("y", "h_out", "c_out"), (y, *there), strict=True):
            binding.bind_ortvalue_output(name, one)
        bindings.append(binding)
    turn = 0

    def one(given: np.ndarray) -> np.ndarray:
        nonlocal turn
        x.update_inplace(given)
        session.run_with_iobinding(bindings[turn])
        turn = 1 - turn
        return y.numpy()

    return one


def _fused(layer: torch.nn.LSTM) -> onnx.ModelProto:
    """One step of ONNX's own LSTM, whose gate order is input, output, forget, cell."""
    inputs, units = layer.input_size, layer.hidden_size

    def reordered(name: str) -> np.ndarray:
        i, f, g, o = getattr(layer, name).detach().numpy().reshape(4, units, -1)
        return np.concatenate((i, o, f, g))[None]

    bias = np.concatenate((reordered("bias_ih_l0"), reordered("bias_hh_l0")), 1)[..., 0]
    weights = {"W": reordered("weight_ih_l0"), "R": reordered("weight_hh_l0"), "B": bias}

    def info(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def constant(name: str, value: np.ndarray) -> onnx.TensorProto:
        return numpy_helper.from_array(np.ascontiguousarray(value), name)

    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["sequence"]),
        helper.make_node(
            "LSTM",
            ["sequence", "W", "R", "B", "", "h_in", "c_in"],
            ["", "h_out", "c_out"],
            hidden_size=units,
        ),
        helper.make_node("Squeeze", ["h_out", "axis"], ["y"]),
    ]
    states = [info(f"{name}", 1, 1, units) for name in ("h_in", "c_in", "h_out", "c_out")]
    graph = helper.make_graph(
        nodes,
        "fused",
        [info("x", 1, inputs), *states[:2]],
        [info("y", 1, units), *states[2:]],
        [constant("axis", np.array([0])), *(constant(k, v) for k, v in weights.items())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model
