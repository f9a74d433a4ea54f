"""One step of every built-in cell and its derivative, by hand, in the symbols of the equations.

The equations stand in ``contracts/recurrence.py``. ``c`` is the state after a step and ``c0``
before it, ``h0`` the hidden state before it; ``a`` is a net input, ``sigma`` the logistic function.
``d_c`` and so on is the derivative of the loss by ``c``: the error that arrives there.

``cell(x, r, c0, h0, w)`` returns the new state, the cell output ``m``, the activated gates
``[B, N]`` and what its derivative needs. ``cell_back(d_c, d_m, d_gates, kept, w)`` takes the errors
that arrive at the three (``d_gates`` at gates that are recurrent sources) and sends them on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np

from carrousel.contracts import Recurrence
from carrousel.contracts.recurrence import NORM_EPSILON
from carrousel.shapes import Floats


class Around(NamedTuple):
    """What a cell has besides net inputs and states; ``ln_c`` is scale and shift of ``L``."""

    recurrence: Recurrence
    unit: Annotated[Floats, "P M"]
    ln_c: Annotated[Floats, "2 M"]
    truncated: bool


class Stepped(NamedTuple):
    """The new state, the cell output, activated gates and what the way back needs."""

    c: Annotated[Floats, "B S"]
    m: Annotated[Floats, "B M"]
    gates: Annotated[Floats, "B N"]
    kept: tuple[Any, ...]


class Errors(NamedTuple):
    """Errors that leave a step backwards; ``h0`` is the direct way alone, not that through ``r``.

    ``unit`` and ``ln_c`` are summed over the batch.
    """

    x: Annotated[Floats, "B N"]
    r: Annotated[Floats, "B N"]
    c0: Annotated[Floats, "B S"]
    h0: Annotated[Floats, "B M"] | float = 0.0
    unit: Annotated[Floats, "P M"] | float = 0.0
    ln_c: Annotated[Floats, "2 M"] | float = 0.0


def sigma(a: Annotated[Floats, "..."]) -> Annotated[Floats, "..."]:
    """The logistic function, by way of tanh, which never overflows.

    >>> float(sigma(np.array(0.0)))
    0.5
    """
    return (1 + np.tanh(a / 2)) / 2


def sigma_slope(y: Annotated[Floats, "..."]) -> Annotated[Floats, "..."]:
    """Slope of the logistic function where its value is ``y``."""
    return y * (1 - y)


def tanh_slope(y: Annotated[Floats, "..."]) -> Annotated[Floats, "..."]:
    """Slope of tanh where its value is ``y``."""
    return 1 - y**2


class Normed(NamedTuple):
    """``hat = (v - mean) / deviation``, by which a layer normalisation is ``scale hat + shift``."""

    hat: Annotated[Floats, "B N"]
    deviation: Annotated[Floats, "B 1"]


def normed(v: Annotated[Floats, "B N"]) -> Normed:
    """Centre every row on zero and bring it to unit variance (Ba, Kiros & Hinton 2016)."""
    centred = v - v.mean(1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(1, keepdims=True) + NORM_EPSILON)
    return Normed(centred / deviation, deviation)


def normed_back(d_hat: Annotated[Floats, "B N"], at: Normed) -> Annotated[Floats, "B N"]:
    """The error at ``v``: no shift of a row and (but for epsilon) no stretch changes ``hat``."""
    along_shift = d_hat.mean(1, keepdims=True)
    along_size = (d_hat * at.hat).mean(1, keepdims=True)
    return (d_hat - along_shift - along_size * at.hat) / at.deviation


class Left(NamedTuple):
    """The state on its way out, ``u = tanh(slope L(c))``."""

    u: Annotated[Floats, "B M"]
    norm: Normed | None
    slope: float


def leave(c: Annotated[Floats, "B M"], w: Around, slope: float = 1.0) -> Left:
    """Normalise and squash a state; a logistic function is a tanh of half the slope."""
    if not w.recurrence.layer_norm:
        return Left(np.tanh(slope * c), None, slope)
    norm, (scale, shift) = normed(c), w.ln_c
    return Left(np.tanh(slope * (scale * norm.hat + shift)), norm, slope)


def leave_back(
    d_u: Annotated[Floats, "B M"], at: Left, w: Around
) -> tuple[Annotated[Floats, "B M"], Annotated[Floats, "2 M"] | float]:
    """Errors at ``c`` and at scale and shift of ``L``."""
    d_l = d_u * at.slope * tanh_slope(at.u)
    if at.norm is None:
        return d_l, 0.0
    d_ln_c = np.stack([(d_l * at.norm.hat).sum(0), d_l.sum(0)])
    return normed_back(d_l * w.ln_c[0], at.norm), d_ln_c


def _net(x: Any, r: Any, w: Around) -> list[Any]:
    return np.split(x + r, np.cumsum(w.recurrence.widths)[:-1], 1)


def _row(*parts: Any) -> Any:
    return np.concatenate(parts, 1)


def lstm(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    a_i, a_f, a_g, a_o = _net(x, r, w)
    i, f, g, o = sigma(a_i), sigma(a_f), np.tanh(a_g), sigma(a_o)
    c = f * c0 + i * g
    left = leave(c, w)
    return Stepped(c, o * left.u, _row(i, f, g, o), (i, f, g, o, c0, left))


def lstm_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around) -> Errors:
    i, f, g, o, c0, left = kept
    d_out, d_ln_c = leave_back(d_m * o, left, w)
    d_c = d_c + d_out
    d_a_i = d_c * g * sigma_slope(i)
    d_a_f = d_c * c0 * sigma_slope(f)
    d_a_g = d_c * i * tanh_slope(g)
    d_a_o = d_m * left.u * sigma_slope(o)
    d_a = _row(d_a_i, d_a_f, d_a_g, d_a_o)
    return Errors(d_a, d_a, d_c * f, ln_c=d_ln_c)


def peephole(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    (a_i, a_f, a_g, a_o), (p_i, p_f, p_o) = _net(x, r, w), w.unit
    i, f, g = sigma(a_i + p_i * c0), sigma(a_f + p_f * c0), np.tanh(a_g)
    c = f * c0 + i * g
    o = sigma(a_o + p_o * c)
    left = leave(c, w)
    return Stepped(c, o * left.u, _row(i, f, g, o), (i, f, g, o, c0, c, left))


def peephole_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around) -> Errors:
    i, f, g, o, c0, c, left = kept
    p_i, p_f, p_o = w.unit * (not w.truncated)  # as ways back, which the truncated gradient cuts
    d_a_o = d_m * left.u * sigma_slope(o)
    d_out, d_ln_c = leave_back(d_m * o, left, w)
    d_c = d_c + d_out + d_a_o * p_o
    d_a_i = d_c * g * sigma_slope(i)
    d_a_f = d_c * c0 * sigma_slope(f)
    d_a_g = d_c * i * tanh_slope(g)
    d_c0 = d_c * f + d_a_i * p_i + d_a_f * p_f
    d_p = np.stack([(d_a_i * c0).sum(0), (d_a_f * c0).sum(0), (d_a_o * c).sum(0)])
    d_a = _row(d_a_i, d_a_f, d_a_g, d_a_o)
    return Errors(d_a, d_a, d_c0, unit=d_p, ln_c=d_ln_c)


def coupled(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    a_i, a_g, a_o = _net(x, r, w)
    i, g, o = sigma(a_i), np.tanh(a_g), sigma(a_o)
    c = (1 - i) * c0 + i * g
    left = leave(c, w)
    return Stepped(c, o * left.u, _row(i, g, o), (i, g, o, c0, left))


def coupled_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around) -> Errors:
    i, g, o, c0, left = kept
    d_out, d_ln_c = leave_back(d_m * o, left, w)
    d_c = d_c + d_out
    d_a_i = d_c * (g - c0) * sigma_slope(i)
    d_a_g = d_c * i * tanh_slope(g)
    d_a_o = d_m * left.u * sigma_slope(o)
    d_a = _row(d_a_i, d_a_g, d_a_o)
    return Errors(d_a, d_a, d_c * (1 - i), ln_c=d_ln_c)


def no_output_gate(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    a_i, a_f, a_g = _net(x, r, w)
    i, f, g = sigma(a_i), sigma(a_f), np.tanh(a_g)
    c = f * c0 + i * g
    left = leave(c, w)
    return Stepped(c, left.u, _row(i, f, g), (i, f, g, c0, left))


def no_output_gate_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around
) -> Errors:
    i, f, g, c0, left = kept
    d_out, d_ln_c = leave_back(d_m, left, w)
    d_c = d_c + d_out
    d_a_i = d_c * g * sigma_slope(i)
    d_a_f = d_c * c0 * sigma_slope(f)
    d_a_g = d_c * i * tanh_slope(g)
    d_a = _row(d_a_i, d_a_f, d_a_g)
    return Errors(d_a, d_a, d_c * f, ln_c=d_ln_c)


def lstm97(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    """Equations (3) to (9): gates ``i``, ``o`` of a block, copied to its cells as ``y_in, y_out``.

    Both squashers are ``range (2 sigma(v) - 1) = range tanh(v / 2)``.
    """
    layer = w.recurrence
    a_i, a_g, a_o = _net(x, r, w)
    i, g, o = sigma(a_i), layer.g_range * np.tanh(a_g / 2), sigma(a_o)
    y_in, y_out = (np.repeat(gate, layer.block_size, 1) for gate in (i, o))
    c = c0 + y_in * g
    left = leave(c, w, 0.5)
    m = y_out * layer.h_range * left.u
    return Stepped(c, m, _row(i, g, o), (i, g, o, y_in, y_out, left))


def lstm97_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around) -> Errors:
    i, g, o, y_in, y_out, left = kept
    layer = w.recurrence
    d_h = d_m * layer.h_range
    d_out, d_ln_c = leave_back(d_h * y_out, left, w)
    d_c = d_c + d_out

    def of_blocks(d_copies: Any) -> Any:
        return d_copies.reshape(len(d_copies), layer.n_blocks, layer.block_size).sum(2)

    d_i, d_o = d_gates
    d_a_i = (of_blocks(d_c * g) + d_i) * sigma_slope(i)
    d_a_g = d_c * y_in * layer.g_range / 2 * tanh_slope(g / layer.g_range)
    d_a_o = (of_blocks(d_h * left.u) + d_o) * sigma_slope(o)
    d_a = _row(d_a_i, d_a_g, d_a_o)
    return Errors(d_a, d_a, d_c, ln_c=d_ln_c)  # the carrousel: c0 gets the error of c unscaled


def gru(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    (x_r, x_z, x_n), (r_r, r_z, r_n), (b,) = np.split(x, 3, 1), np.split(r, 3, 1), w.unit
    reset, z = sigma(x_r + r_r), sigma(x_z + r_z)
    n = np.tanh(x_n + reset * (r_n + b))
    return Stepped(c0, (1 - z) * n + z * h0, _row(reset, z, n), (reset, z, n, r_n + b, h0))


def gru_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around) -> Errors:
    reset, z, n, inner, h0 = kept
    d_a_z = d_m * (h0 - n) * sigma_slope(z)
    d_a_n = d_m * (1 - z) * tanh_slope(n)
    d_a_r = d_a_n * inner * sigma_slope(reset)
    d_r_n = d_a_n * reset
    d_x, d_r = _row(d_a_r, d_a_z, d_a_n), _row(d_a_r, d_a_z, d_r_n)
    return Errors(d_x, d_r, d_c, h0=d_m * z, unit=d_r_n.sum(0, keepdims=True))


def rnn_tanh(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    m = np.tanh(x + r)
    return Stepped(c0, m, m, (m,))


def rnn_tanh_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around) -> Errors:
    d_a = d_m * tanh_slope(kept[0])
    return Errors(d_a, d_a, d_c)


def rnn_relu(x: Any, r: Any, c0: Any, h0: Any, w: Around) -> Stepped:
    m = np.maximum(x + r, 0)
    return Stepped(c0, m, m, (m,))


def rnn_relu_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Around) -> Errors:
    d_a = d_m * (kept[0] > 0)
    return Errors(d_a, d_a, d_c)


CELL_STEPS: Mapping[str, tuple[Callable[..., Stepped], Callable[..., Errors]]] = {
    "lstm": (lstm, lstm_back),
    "lstm97": (lstm97, lstm97_back),
    "peephole": (peephole, peephole_back),
    "coupled": (coupled, coupled_back),
    "no_output_gate": (no_output_gate, no_output_gate_back),
    "gru": (gru, gru_back),
    "rnn_tanh": (rnn_tanh, rnn_tanh_back),
    "rnn_relu": (rnn_relu, rnn_relu_back),
}
"""Step and derivative of every built-in cell."""
