"""Modules for the tests of steppers and ONNX models, and their outputs over whole sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from carrousel import nn
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, plain_layer

TWO_STATES = """
    a = tanh(a + p * c_prev)
    b = sigmoid(b_x * b_r)
    c = b * c_prev + (1 - b) * a
    d = where(a < b, d_prev / 2, c + softplus(p))
    h = max(tanh(c), 0.1) - d * exp(-abs(a)) / 4
"""
ELMAN = "h = tanh(z)"


def own(name: str, *net_inputs: str, equations: str, **parts: Any) -> nn.Equations:
    return nn.Equations(name, net_inputs=net_inputs, equations=equations, **parts)


def two_states() -> nn.Equations:
    return own(
        "two-states",
        *("a", "b"),
        equations=TWO_STATES,
        states=("c", "d"),
        unit_parameters=("p",),
    )


BLOCKS: Any = {"cell": "lstm97", "block_size": 2, "g_range": 1.5}

MODULES: dict[str, Callable[[], Any]] = {
    "lstm": lambda: nn.LSTM(3, 5),
    "lstm, three layers, projected": lambda: nn.LSTM(3, 5, num_layers=3, proj_size=2),
    "lstm, no bias": lambda: nn.LSTM(3, 5, bias=False),
    "lstm, zoneout, learned": lambda: nn.LSTM(3, 5, zoneout=(0.1, 0.3), initial_state="learned"),
    "lstm97": lambda: nn.LSTM(3, 6, **BLOCKS),
    "lstm97, gates": lambda: nn.LSTM(3, 6, gate_sources=True, num_layers=2, **BLOCKS),
    "lstm97, norm": lambda: nn.LSTM(3, 6, gate_sources=True, layer_norm=True, **BLOCKS),
    "peephole": lambda: nn.LSTM(3, 5, cell="peephole"),
    "peephole, norm, projected": lambda: nn.LSTM(
        3, 9, cell="peephole", layer_norm=True, proj_size=4, num_layers=2
    ),
    "coupled": lambda: nn.LSTM(3, 5, cell="coupled"),
    "coupled, norm": lambda: nn.LSTM(3, 9, cell="coupled", layer_norm=True),
    "no_output_gate": lambda: nn.LSTM(3, 5, cell="no_output_gate"),
    "no_output_gate, norm": lambda: nn.LSTM(3, 9, cell="no_output_gate", layer_norm=True),
    "gru": lambda: nn.GRU(3, 5, num_layers=2),
    "gru, no bias": lambda: nn.GRU(3, 5, bias=False),
    "gru, norm": lambda: nn.GRU(3, 9, layer_norm=True),
    "rnn": lambda: nn.RNN(3, 5, zoneout=0.2),
    "rnn, relu, norm": lambda: nn.RNN(3, 9, nonlinearity="relu", layer_norm=True),
    "own": lambda: nn.LSTM(3, 5, cell=two_states(), num_layers=2, zoneout=0.1),
    "own, norm": lambda: nn.LSTM(3, 9, cell=own("elman", "z", equations=ELMAN), layer_norm=True),
    "own, projected": lambda: nn.LSTM(3, 5, cell=own("elman", "z", equations=ELMAN), proj_size=2),
    "LSTMCell": lambda: nn.LSTMCell(3, 5, cell="peephole", zoneout=0.1),
    "GRUCell": lambda: nn.GRUCell(3, 5),
    "RNNCell": lambda: nn.RNNCell(3, 5, layer_norm=True),
}


def drawn(module: Any, seed: int = 0) -> Any:
    """Return the module with larger weights, which make mistakes more visible."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.empty(parameter.shape).uniform_(-0.5, 0.5, generator=generator)
            parameter.copy_(drawn + 1.0 if name.startswith("norm_") and drawn.ndim == 1 else drawn)
    return module


def make(name: str) -> Any:
    return drawn(MODULES[name]().eval())


@torch.no_grad()
def run_sequence(module: Any, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Return output and last states ``[layers, B, *]``, computed by plain torch operations."""
    R = module.recurrence
    zone_h, zone_s = module.zoneout
    last = []
    for index in range(getattr(module, "num_layers", 1)):
        weights = module.layer_weights(index, 0)
        B = x.shape[1]
        h0 = (
            x.new_zeros(B, R.n_sources)
            if weights.fresh_h is None
            else weights.fresh_h.expand(B, -1)
        )
        s0 = (
            x.new_zeros(B, R.n_states) if weights.fresh_s is None else weights.fresh_s.expand(B, -1)
        )
        inputs = LayerInputs(x=x, h0=h0, s0=s0, **weights._asdict())
        result = plain_layer(inputs, R, LayerOptions(zone_h=zone_h, zone_s=zone_s))
        x = result.out[..., : R.n_outputs]
        last.append((result.h, result.s))
    h, s = (torch.stack(parts) for parts in zip(*last, strict=True))
    return x, (h, s) if R.n_states else (h,)


def earned(name: str, x: torch.Tensor) -> list[tuple[torch.Tensor, float]]:
    """Exact values of the output and the last states, each with the error allowed for float32.

    The allowed error is twice that of plain torch in float32, but at least eight roundings of the
    largest value. It is the worst of five runs whose inputs ``x [T, 1, I]`` differ by at most one
    rounding, because in a net that amplifies errors a single run may be accurate by chance.
    """
    generator = torch.Generator().manual_seed(1)
    moved = x.repeat(1, 5, 1)
    signs = torch.randint(-1, 2, moved[:, 1:].shape, generator=generator)
    moved[:, 1:] *= 1 + signs * torch.finfo(torch.float32).eps
    naive = run_sequence(make(name), moved)
    exact = run_sequence(make(name).double(), x.double())
    found = []
    for far, near in zip((exact[0], *exact[1]), (naive[0], *naive[1]), strict=True):
        error = float((near - far).abs().max())
        found.append((far, 2 * error + 8 * 2.0**-24 * max(1.0, float(far.abs().max()))))
    return found


def stacked(module: Any, state: Any) -> tuple[torch.Tensor, ...]:
    """Convert a state to the form of ``run_sequence``."""
    parts = state if isinstance(state, tuple) else (state,)
    return parts if hasattr(module, "num_layers") else tuple(part.unsqueeze(0) for part in parts)
