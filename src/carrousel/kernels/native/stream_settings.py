"""Settings of the compiled kernel for streams."""

from __future__ import annotations

from typing import Any

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import SQUASHES, Cell, Gradient, Network, Rules, Streaming
from carrousel.contracts.streaming import LARGEST_SENSITIVITY
from carrousel.kernels.reference.paths import reachable, recurrent_paths

_HEADS = ("linear", "logistic", "logistic97", "softmax")
_OPTIMIZERS = ("sgd", "rmsprop", "adam")
_RULES = {"truncated": 0, "immediate": 1, "rtrl": 2, "sparse": 2, "snap": 2, "uoro": 4}


def _reach(network: Network, gradient: Gradient) -> np.ndarray | None:
    """Return which sensitivities are kept, uint8 ``[U + C, U]``; None if there are none."""
    units = network.cell.n_units
    if gradient.kind in ("rtrl", "sparse"):
        return np.ones((units + network.cell.n_states, units), np.uint8)
    if gradient.kind == "snap":
        return reachable(network, gradient.depth or 1).astype(np.uint8)
    return None


def _paths(network: Network, gradient: Gradient, seed: int) -> np.ndarray | None:
    """Return the paths of sparse RTRL; None of other gradients.

    They are int64 ``[blocks, k]``: the units from which a block receives, as positions among those
    fed back.
    """
    if gradient.kind != "sparse":
        return None
    assert isinstance(network.cell, Cell)
    cells = list(network.cell.read_units)[:: network.cell.block_size]  # the first of each block
    kept = recurrent_paths(network, gradient.depth or 1, seed)[np.ix_(cells, network.fed_back)]
    return np.ascontiguousarray(np.nonzero(kept)[1].reshape(len(cells), -1), np.int64)


def stream_settings(network: Network, how: Streaming, n_streams: int, seed: int) -> dict[str, Any]:
    """Return the settings of a compiled kernel for streams, by their names in C++."""
    cell, gradient = network.cell, Gradient.named(how.gradient)
    assert isinstance(cell, Cell)
    squashes, seed = list(SQUASHES), check_int("seed", seed, minimum=0, maximum=2**64 - 1)
    paths = _paths(network, gradient, seed)
    return {
        "rule": _RULES[gradient.kind],
        "reach": _reach(network, gradient),
        "paths": paths,
        "n_paths": 0 if paths is None else paths.shape[1],
        "bound": LARGEST_SENSITIVITY,
        "seed": seed,
        "inputs": network.n_inputs,
        "outputs": network.n_outputs,
        "blocks": cell.blocks,
        "block_size": cell.block_size,
        "forget_gate": cell.forget_gate,
        "gates_fed_back": network.wiring == "full",
        "direct": network.direct,
        "g": squashes.index(cell.g),
        "h": squashes.index(cell.h),
        "head": _HEADS.index(how.head),
        "optimizer": _OPTIMIZERS.index(how.optimizer),
        "streams": n_streams,
        "rate": float(how.rate),
        "decay": float(how.decay),
        "momentum": float(how.momentum),
        "second": float(how.second),
        "epsilon": float(how.epsilon),
        "clip": float("inf") if how.clip is None else float(how.clip),
        "horizon": float(how.horizon),
        "largest": float(how.largest),
        "symbols": how.symbols,
        "scale_targets": how.scale_targets,
        "missing": how.missing,
        "by_key": how.by_key,
        "experts": how.experts,
        "delay": how.delay,
        "rules": None if how.rules is None else _rules(how.rules),
    }


def _rules(rules: Rules) -> dict[str, Any]:
    return {
        "variables": rules.variables,
        "leads": rules.leads,
        "inputs": rules.inputs,
        "lags": rules.lags,
        "longest": rules.longest,
        "periods": list(rules.periods),
        "levels": [float(level) for level in rules.levels],
    }
