"""Export of one step of a module to ONNX, for runtimes without Python or torch."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from carrousel.checks import check_int
from carrousel.contracts import Recurrence
from carrousel.errors import MissingExtraError, SettingError
from carrousel.files import write_whole
from carrousel.nn.cells import StepCell
from carrousel.nn.equations.equations import Equations
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.step.step import check_deployable
from carrousel.nn.weights import LayerWeights

OLDEST_OPSET = 17
"""First version with LayerNormalization."""
IR_VERSION = 8
"""Version for opset 17. Older runtimes reject files of newer versions."""
MOST_BYTES = 2**31 - 2**20
"""Limit on the size of an ONNX file: less than 2 GiB."""

InitialState = dict[str, np.ndarray]


def export_onnx(
    module: Recurrent | StepCell,
    path: str | os.PathLike[str],
    *,
    batch_size: int | None = None,
    opset: int = OLDEST_OPSET,
) -> InitialState:
    """Write one step of a module as an ONNX model with the state as input and output.

    The caller keeps the state and passes it to the next step::

        x [B, I], h_in [layers, B, H], c_in [layers, B, D * C]  ->  y [B, O], h_out, c_out

    ``H = C`` without a projection. For ``lstm97`` with ``gate_sources``, ``h`` holds cells, input
    gates and output gates. Modules whose only state is ``h`` have neither ``c_in`` nor ``c_out``.
    Cells from equations have all their states side by side in ``c``. Every cell is a graph of
    standard operations. Zoneout mixes the previous and the new state, as in evaluation.

    Args:
        module: an LSTM, GRU, RNN or one of their cells in ``float32`` or ``float64``, with any
            options except ``bidirectional``. In training mode it must not have dropout or zoneout.
        path: name of the file; an existing file is replaced atomically.
        batch_size: ``B``; None: the caller of the model chooses it.
        opset: version of the ONNX operations, at least 17.

    Returns:
        The initial state by input name, ``h_in`` and ``c_in``: zero, or the learned initial state.
        Without ``batch_size`` it is that of one sequence; repeat it on axis 1.

    Raises:
        OptionTypeError: the argument is not a module of this package.
        SettingError: the module is bidirectional, would draw random numbers, is in half precision
            or larger than 2 GiB, or there is no such opset.
        UnwritableError: the file cannot be written.
        MissingExtraError: onnx is not installed.

    >>> import tempfile
    >>> from carrousel.nn import LSTM
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     start = export_onnx(LSTM(3, 4, num_layers=2), f"{folder}/lstm.onnx", batch_size=1)
    ...     size = Path(f"{folder}/lstm.onnx").stat().st_size
    >>> {name: value.shape for name, value in start.items()}
    {'h_in': (2, 1, 4), 'c_in': (2, 1, 4)}
    >>> size > 4 * (16 * (3 + 4 + 1) + 16 * (4 + 4 + 1))
    True
    """
    onnx = _needs_onnx()
    check_deployable(module, "export_onnx")
    newest = onnx.defs.onnx_opset_version()
    opset = check_int("opset", opset, minimum=OLDEST_OPSET, maximum=newest)
    if batch_size is not None:
        batch_size = check_int("batch_size", batch_size, minimum=1, maximum=2**31 - 1)
    layers = module.num_layers if isinstance(module, Recurrent) else 1
    weights = [module.layer_weights(index, 0) for index in range(layers)]
    dtype = weights[0].w_ih.dtype
    if dtype not in (torch.float32, torch.float64):
        raise SettingError(
            f"export_onnx: the module is of type {dtype}, expected float32 or float64, which all "
            "runtimes support",
            argument="module",
            fix="convert it with module.float()",
        )
    model = _model(module, weights, batch_size, opset)
    onnx.checker.check_model(model, full_check=True)
    write_whole(Path(path), model.SerializeToString())
    return _start(module.recurrence, weights, batch_size or 1)


def _model(
    module: Recurrent | StepCell, weights: list[LayerWeights], batch: int | None, opset: int
) -> Any:
    from onnx import helper

    from carrousel.nn.onnx.graph import write_layers

    R, layers = module.recurrence, len(weights)
    arrays = [_arrays(one) for one in weights]
    total = sum(array.nbytes for one in arrays for array in one.values())
    if total > MOST_BYTES:
        raise SettingError(
            f"export_onnx: the weights take {total} bytes, expected at most {MOST_BYTES}, the "
            "limit of an ONNX file",
            argument="module",
        )
    dtype = arrays[0]["w_ih"].dtype
    writer = write_layers(R, arrays, module.zoneout)
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    rows: int | str = "batch" if batch is None else batch

    def info(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [info("x", rows, module.input_size), info("h_in", layers, rows, R.n_sources)]
    outputs = [info("y", rows, R.n_outputs), info("h_out", layers, rows, R.n_sources)]
    if R.n_states:
        inputs.append(info("c_in", layers, rows, R.n_states))
        outputs.append(info("c_out", layers, rows, R.n_states))
    graph = helper.make_graph(
        writer.nodes, "carrousel_step", inputs, outputs, list(writer.constants.values())
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=max(
            IR_VERSION, helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
        ),
        producer_name="carrousel",
        producer_version=version("carrousel"),
    )
    helper.set_model_props(model, _metadata(module, layers))
    return model


def _metadata(module: Recurrent | StepCell, layers: int) -> dict[str, str]:
    """Return the metadata of the file."""
    R = module.recurrence
    metadata = {
        "version": version("carrousel"),
        "module": type(module).__name__,
        "cell": R.cell,
        "input_size": str(module.input_size),
        "hidden_size": str(R.units),
        "num_layers": str(layers),
        "recurrence": R.key,
        "states": json.dumps(list(R.kind.states)),
        "zoneout": json.dumps(module.zoneout),
    }
    if isinstance(cell := getattr(module, "cell", None), Equations):
        metadata["equations"] = cell.equations
    return {f"carrousel.{name}": text for name, text in metadata.items()}


def _start(R: Recurrence, weights: list[LayerWeights], batch: int) -> InitialState:
    """Return the state before the first step."""

    def stack(parts: list[Any], width: int) -> np.ndarray:
        rows = [np.zeros(width) if part is None else _array(part) for part in parts]
        dtype = _array(weights[0].w_ih).dtype
        whole = np.stack(rows).astype(dtype)[:, None]
        return np.repeat(whole, batch, axis=1)

    start = {"h_in": stack([one.fresh_h for one in weights], R.n_sources)}
    if R.n_states:
        start["c_in"] = stack([one.fresh_s for one in weights], R.n_states)
    return start


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return the numbers of a tensor. (``Tensor.numpy()`` would keep its storage from resizing.)"""
    return np.from_dlpack(tensor.detach().cpu())


def _arrays(weights: LayerWeights) -> dict[str, np.ndarray]:
    return {name: _array(part) for name, part in weights._asdict().items() if part is not None}


def _needs_onnx() -> ModuleType:
    try:
        import onnx
        import onnx.checker
    except ImportError as error:
        raise MissingExtraError(
            "carrousel.nn.export_onnx needs onnx, which is not installed",
            fix="pip install 'carrousel[onnx]'",
        ) from error
    return onnx
