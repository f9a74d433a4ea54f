"""Refusal of TorchScript's tracer, which cannot record the compiled kernels."""

from __future__ import annotations

from typing import NoReturn

import torch

from carrousel.errors import SettingError


def refuse_tracing() -> NoReturn:
    """Raise the error of a call under ``torch.jit.trace`` or the ONNX exporter that uses it.

    The tracer records torch's operations only. It would store the outputs of a layer as constants.

    Raises:
        SettingError: always.
    """
    if torch.onnx.is_in_onnx_export():
        raise SettingError(
            "torch.onnx.export with dynamo=False cannot export layers of carrousel.nn, because its "
            "tracer would store their outputs as constants",
            argument="dynamo",
            got=False,
            fix="call torch.onnx.export(..., dynamo=True), with dynamic_shapes in place of "
            "dynamic_axes",
        )
    raise SettingError(
        "torch.jit.trace cannot record layers of carrousel.nn, and would store their outputs as "
        "constants",
        fix="use torch.export.export, torch.onnx.export(..., dynamo=True) or torch.compile",
    )
