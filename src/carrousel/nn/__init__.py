"""Recurrent layers for torch: drop-in replacements for LSTM, GRU and RNN, with more variants."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401  first, so that the error below names what is missing
except ImportError as error:
    from carrousel.errors import MissingExtraError

    raise MissingExtraError(
        "carrousel.nn needs torch, which is not installed", fix="pip install 'carrousel[torch]'"
    ) from error

from carrousel.nn.call.memory import MemoryPlan as MemoryPlan
from carrousel.nn.cells import GRUCell as GRUCell
from carrousel.nn.cells import LSTMCell as LSTMCell
from carrousel.nn.cells import RNNCell as RNNCell
from carrousel.nn.checkpoint import CheckpointError as CheckpointError
from carrousel.nn.checkpoint import load as load
from carrousel.nn.checkpoint import save as save
from carrousel.nn.equations.equations import Equations as Equations
from carrousel.nn.gru import GRU as GRU
from carrousel.nn.lstm import LSTM as LSTM
from carrousel.nn.onnx.export import export_onnx as export_onnx
from carrousel.nn.onnx.translation import register as _register_with_exporter
from carrousel.nn.quantized import Quantized as Quantized
from carrousel.nn.quantized import quantize as quantize
from carrousel.nn.recurrent import StepStates as StepStates
from carrousel.nn.replace import replace as replace
from carrousel.nn.replace import restore as restore
from carrousel.nn.rnn import RNN as RNN
from carrousel.nn.step.step import Stepper as Stepper
from carrousel.nn.step.step import step as step
from carrousel.nn.weights import LayerWeights as LayerWeights

_register_with_exporter()

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "CheckpointError",
    "Equations",
    "GRUCell",
    "LSTMCell",
    "LayerWeights",
    "MemoryPlan",
    "Quantized",
    "RNNCell",
    "StepStates",
    "Stepper",
    "export_onnx",
    "load",
    "quantize",
    "replace",
    "restore",
    "save",
    "step",
]
