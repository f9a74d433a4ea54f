"""From the parts of an any-time net to the compiled live step, which computes one row.

The equations of a step are in ``native/step/live.cc``. They repeat those of
:class:`carrousel.estimators.net.net.AnytimeNet` and
:class:`carrousel.estimators.net.features.Features` for one row. :func:`check_structure` refuses a
net with parts that are unknown there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from carrousel.errors import SettingError
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.net import AnytimeNet, SeededDropout
from carrousel.kernels.native.live import Live, open_live
from carrousel.nn import LSTM, step

PARTS: dict[str, type[nn.Module]] = {
    "embedding": nn.Embedding,
    "convolution": nn.Linear,
    "norm": nn.LayerNorm,
    "lstm": LSTM,
    "dropout": SeededDropout,
    "readout": nn.Linear,
}
"""The parts of a net that a live step computes."""


def check_structure(net: AnytimeNet) -> None:
    """Check that a net consists of the parts that a live step computes.

    Raises:
        SettingError: the net reads series from their end, or has other parts.
    """
    if net.config.bidirectional:
        raise SettingError(
            "the net is bidirectional: its second direction starts at the end of a series",
            argument="bidirectional",
            got=True,
            fix="train with bidirectional=False",
        )
    parts = {name: type(part) for name, part in net.named_children()}
    wrong = sorted(name for name, kind in parts.items() if PARTS.get(name) is not kind)
    own = sorted(name for name, _ in net.named_parameters(recurse=False))
    widths = (net.readout.in_features, 2 * net.lstm.hidden_size + net.lstm.input_size)
    if wrong or own or widths[0] != widths[1]:
        raise SettingError(
            f"the net has parts that a live step does not compute: {wrong + own or widths}",
            argument="ensemble",
        )


def open_ensemble(ensemble: Ensemble, temperature: float) -> Live:
    """Return the live step of an ensemble. Weights are copied.

    Args:
        ensemble: its nets read forwards.
        temperature: of the softmax whose mean is the answer; 0: the mean of the outputs.

    Raises:
        SettingError: a net has parts that a live step does not compute.
    """
    nets = [_net(member.net) for member in ensemble.members]
    return open_live(_features(ensemble.features), nets, temperature=temperature)


def _features(features: Features) -> dict[str, Any]:
    return {
        "symbols": features.n_symbols,
        "channels": len(features.mean),
        "mean": np.array(features.mean, np.float64),
        "scale": np.array(features.scale, np.float64),
        "timed": bool(features.timed),
        "unit": float(features.unit),
    }


def _net(net: AnytimeNet) -> dict[str, Any]:
    check_structure(net)
    given: dict[str, Any] = {
        "step": step(net.lstm.eval()).kernel,
        "width": net.config.n_inputs,
        "window": 0,
        "dilation": net.config.dilation,
        "outputs": net.readout.out_features,
        "readout": _array(net.readout.weight),
        "readout_bias": _array(net.readout.bias),
    }
    if net.embedding is not None:
        given |= {
            "embedding": _array(net.embedding.weight),
            "width": net.embedding.embedding_dim,
        }
    if net.convolution is not None and net.norm is not None:
        w = _array(net.convolution.weight, np.float64)
        b = _array(net.convolution.bias, np.float64)
        # The norm subtracts the mean over filters, which is linear: it is folded into the weights.
        given |= {
            "window": net.config.window,
            "filters": (w - w.mean(axis=0)).astype(np.float32),
            "bias": (b - b.mean()).astype(np.float32),
            "gain": _array(net.norm.weight),
            "shift": _array(net.norm.bias),
            "epsilon": float(net.norm.eps),
        }
    return given


def _array(tensor: Tensor, dtype: Any = np.float32) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy(), dtype, order="C")
