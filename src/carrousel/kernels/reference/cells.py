"""One step of every built-in cell and its derivative, derived by hand.

The equations are those of ``contracts/recurrence.py``. ``c`` is the state after a step, ``c0`` and
``h0`` are the state and the hidden state before it, ``a`` is a net input, ``sigma`` is the logistic
function. ``d_c`` is the derivative of the loss by ``c``, called the error at ``c``.

``cell(x, r, c0, h0, w)`` computes a step. Shapes: ``x [B, U]``, ``r [B, U]``, ``c0 [B, D*C]``,
``h0 [B, H]``. It returns a :class:`CellResult`.

``cell_back(d_c, d_m, d_gates, kept, w)`` computes the errors of its arguments. Shapes: ``d_c
[B, D*C]``, ``d_m [B, C]``; ``d_gates`` are the errors at gates that are fed back; ``kept`` is that
of the result. It returns :class:`CellErrors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np

from carrousel.contracts import Recurrence
from carrousel.contracts.recurrence import NORM_EPSILON
from carrousel.shapes import Floats


class CellParameters(NamedTuple):
    """Description and parameters of a cell; ``ln_c`` are scale and shift of ``L``."""

    recurrence: Recurrence
    unit: Annotated[Floats, "P C"]
    ln_c: Annotated[Floats, "2 C"]
    truncated: bool


class CellResult(NamedTuple):
    """New state ``c``, cell output ``m``, activated gates, and values for the backward pass."""

    c: Annotated[Floats, "B D*C"]
    m: Annotated[Floats, "B C"]
    gates: Annotated[Floats, "B U"]
    kept: tuple[Any, ...]


class CellErrors(NamedTuple):
    """Errors of the arguments of a step.

    ``h0`` excludes the path through ``r``. ``unit`` and ``ln_c`` are summed over the batch.
    """

    x: Annotated[Floats, "B U"]
    r: Annotated[Floats, "B U"]
    c0: Annotated[Floats, "B D*C"]
    h0: Annotated[Floats, "B H"] | float = 0.0
    unit: Annotated[Floats, "P C"] | float = 0.0
    ln_c: Annotated[Floats, "2 C"] | float = 0.0


def sigma(a: Annotated[Floats, "..."]) -> Annotated[Floats, "..."]:
    """Return the logistic function, computed by tanh, which does not overflow.

    >>> float(sigma(np.array(0.0)))
    0.5
    """
    return (1 + np.tanh(a / 2)) / 2


def sigma_slope(y: Annotated[Floats, "..."]) -> Annotated[Floats, "..."]:
    """Return the derivative of the logistic function from its value ``y``."""
    return y * (1 - y)


def tanh_slope(y: Annotated[Floats, "..."]) -> Annotated[Floats, "..."]:
    """Return the derivative of tanh from its value ``y``."""
    return 1 - y**2


class Normalised(NamedTuple):
    """``hat = (v - mean) / deviation``; layer normalisation is ``scale hat + shift``."""

    hat: Annotated[Floats, "B U"]
    deviation: Annotated[Floats, "B 1"]


def normalise(v: Annotated[Floats, "B U"]) -> Normalised:
    """Shift every row to mean 0 and scale it to variance 1 (Ba, Kiros & Hinton 2016)."""
    centred = v - v.mean(1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(1, keepdims=True) + NORM_EPSILON)
    return Normalised(centred / deviation, deviation)


def normalise_back(d_hat: Annotated[Floats, "B U"], at: Normalised) -> Annotated[Floats, "B U"]:
    """Return the error at ``v`` from that at ``hat``.

    Shifting a row does not change ``hat``, nor does scaling it, apart from epsilon. The error
    therefore has no component in these two directions.
    """
    along_shift = d_hat.mean(1, keepdims=True)
    along_size = (d_hat * at.hat).mean(1, keepdims=True)
    return (d_hat - along_shift - along_size * at.hat) / at.deviation


class SquashedState(NamedTuple):
    """The state as the output gate receives it, ``u = tanh(slope L(c))``."""

    u: Annotated[Floats, "B C"]
    norm: Normalised | None
    slope: float


def squash_state(
    c: Annotated[Floats, "B C"], w: CellParameters, slope: float = 1.0
) -> SquashedState:
    """Normalise and squash a state; slope 1/2 gives a logistic function scaled to [-1, 1]."""
    if not w.recurrence.layer_norm:
        return SquashedState(np.tanh(slope * c), None, slope)
    norm, (scale, shift) = normalise(c), w.ln_c
    return SquashedState(np.tanh(slope * (scale * norm.hat + shift)), norm, slope)


def squash_state_back(
    d_u: Annotated[Floats, "B C"], at: SquashedState, w: CellParameters
) -> tuple[Annotated[Floats, "B C"], Annotated[Floats, "2 C"] | float]:
    """Return the errors at ``c`` and at scale and shift of ``L``."""
    d_l = d_u * at.slope * tanh_slope(at.u)
    if at.norm is None:
        return d_l, 0.0
    d_ln_c = np.stack([(d_l * at.norm.hat).sum(0), d_l.sum(0)])
    return normalise_back(d_l * w.ln_c[0], at.norm), d_ln_c


def _net(x: Any, r: Any, w: CellParameters) -> list[Any]:
    return np.split(x + r, np.cumsum(w.recurrence.widths)[:-1], 1)


def _row(*parts: Any) -> Any:
    return np.concatenate(parts, 1)


def lstm(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    a_i, a_f, a_g, a_o = _net(x, r, w)
    i, f, g, o = sigma(a_i), sigma(a_f), np.tanh(a_g), sigma(a_o)
    c = f * c0 + i * g
    squashed = squash_state(c, w)
    return CellResult(c, o * squashed.u, _row(i, f, g, o), (i, f, g, o, c0, squashed))


def lstm_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    i, f, g, o, c0, squashed = kept
    d_out, d_ln_c = squash_state_back(d_m * o, squashed, w)
    d_c = d_c + d_out
    d_a_i = d_c * g * sigma_slope(i)
    d_a_f = d_c * c0 * sigma_slope(f)
    d_a_g = d_c * i * tanh_slope(g)
    d_a_o = d_m * squashed.u * sigma_slope(o)
    d_a = _row(d_a_i, d_a_f, d_a_g, d_a_o)
    return CellErrors(d_a, d_a, d_c * f, ln_c=d_ln_c)


def peephole(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    (a_i, a_f, a_g, a_o), (p_i, p_f, p_o) = _net(x, r, w), w.unit
    i, f, g = sigma(a_i + p_i * c0), sigma(a_f + p_f * c0), np.tanh(a_g)
    c = f * c0 + i * g
    o = sigma(a_o + p_o * c)
    squashed = squash_state(c, w)
    return CellResult(c, o * squashed.u, _row(i, f, g, o), (i, f, g, o, c0, c, squashed))


def peephole_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    i, f, g, o, c0, c, squashed = kept
    p_i, p_f, p_o = w.unit * (not w.truncated)  # no errors flow back through truncated peepholes
    d_a_o = d_m * squashed.u * sigma_slope(o)
    d_out, d_ln_c = squash_state_back(d_m * o, squashed, w)
    d_c = d_c + d_out + d_a_o * p_o
    d_a_i = d_c * g * sigma_slope(i)
    d_a_f = d_c * c0 * sigma_slope(f)
    d_a_g = d_c * i * tanh_slope(g)
    d_c0 = d_c * f + d_a_i * p_i + d_a_f * p_f
    d_p = np.stack([(d_a_i * c0).sum(0), (d_a_f * c0).sum(0), (d_a_o * c).sum(0)])
    d_a = _row(d_a_i, d_a_f, d_a_g, d_a_o)
    return CellErrors(d_a, d_a, d_c0, unit=d_p, ln_c=d_ln_c)


def coupled(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    a_i, a_g, a_o = _net(x, r, w)
    i, g, o = sigma(a_i), np.tanh(a_g), sigma(a_o)
    c = (1 - i) * c0 + i * g
    squashed = squash_state(c, w)
    return CellResult(c, o * squashed.u, _row(i, g, o), (i, g, o, c0, squashed))


def coupled_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    i, g, o, c0, squashed = kept
    d_out, d_ln_c = squash_state_back(d_m * o, squashed, w)
    d_c = d_c + d_out
    d_a_i = d_c * (g - c0) * sigma_slope(i)
    d_a_g = d_c * i * tanh_slope(g)
    d_a_o = d_m * squashed.u * sigma_slope(o)
    d_a = _row(d_a_i, d_a_g, d_a_o)
    return CellErrors(d_a, d_a, d_c * (1 - i), ln_c=d_ln_c)


def no_output_gate(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    a_i, a_f, a_g = _net(x, r, w)
    i, f, g = sigma(a_i), sigma(a_f), np.tanh(a_g)
    c = f * c0 + i * g
    squashed = squash_state(c, w)
    return CellResult(c, squashed.u, _row(i, f, g), (i, f, g, c0, squashed))


def no_output_gate_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    i, f, g, c0, squashed = kept
    d_out, d_ln_c = squash_state_back(d_m, squashed, w)
    d_c = d_c + d_out
    d_a_i = d_c * g * sigma_slope(i)
    d_a_f = d_c * c0 * sigma_slope(f)
    d_a_g = d_c * i * tanh_slope(g)
    d_a = _row(d_a_i, d_a_f, d_a_g)
    return CellErrors(d_a, d_a, d_c * f, ln_c=d_ln_c)


def lstm97(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    """Equations (3) to (9): gates ``i``, ``o`` of a block, copied to its cells as ``y_in, y_out``.

    Both squashing functions are ``range (2 sigma(v) - 1) = range tanh(v / 2)``.
    """
    layer = w.recurrence
    a_i, a_g, a_o = _net(x, r, w)
    i, g, o = sigma(a_i), layer.g_range * np.tanh(a_g / 2), sigma(a_o)
    y_in, y_out = (np.repeat(gate, layer.block_size, 1) for gate in (i, o))
    c = c0 + y_in * g
    squashed = squash_state(c, w, 0.5)
    m = y_out * layer.h_range * squashed.u
    return CellResult(c, m, _row(i, g, o), (i, g, o, y_in, y_out, squashed))


def lstm97_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    i, g, o, y_in, y_out, squashed = kept
    layer = w.recurrence
    d_h = d_m * layer.h_range
    d_out, d_ln_c = squash_state_back(d_h * y_out, squashed, w)
    d_c = d_c + d_out

    def of_blocks(d_copies: Any) -> Any:
        return d_copies.reshape(len(d_copies), layer.n_blocks, layer.block_size).sum(2)

    d_i, d_o = d_gates
    d_a_i = (of_blocks(d_c * g) + d_i) * sigma_slope(i)
    d_a_g = d_c * y_in * layer.g_range / 2 * tanh_slope(g / layer.g_range)
    d_a_o = (of_blocks(d_h * squashed.u) + d_o) * sigma_slope(o)
    d_a = _row(d_a_i, d_a_g, d_a_o)
    return CellErrors(d_a, d_a, d_c, ln_c=d_ln_c)  # the carrousel: c0 gets the error of c unscaled


def gru(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    (x_r, x_z, x_n), (r_r, r_z, r_n), (b,) = np.split(x, 3, 1), np.split(r, 3, 1), w.unit
    reset, z = sigma(x_r + r_r), sigma(x_z + r_z)
    n = np.tanh(x_n + reset * (r_n + b))
    return CellResult(c0, (1 - z) * n + z * h0, _row(reset, z, n), (reset, z, n, r_n + b, h0))


def gru_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    reset, z, n, inner, h0 = kept
    d_a_z = d_m * (h0 - n) * sigma_slope(z)
    d_a_n = d_m * (1 - z) * tanh_slope(n)
    d_a_r = d_a_n * inner * sigma_slope(reset)
    d_r_n = d_a_n * reset
    d_x, d_r = _row(d_a_r, d_a_z, d_a_n), _row(d_a_r, d_a_z, d_r_n)
    return CellErrors(d_x, d_r, d_c, h0=d_m * z, unit=d_r_n.sum(0, keepdims=True))


def rnn_tanh(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    m = np.tanh(x + r)
    return CellResult(c0, m, m, (m,))


def rnn_tanh_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    d_a = d_m * tanh_slope(kept[0])
    return CellErrors(d_a, d_a, d_c)


def rnn_relu(x: Any, r: Any, c0: Any, h0: Any, w: CellParameters) -> CellResult:
    m = np.maximum(x + r, 0)
    return CellResult(c0, m, m, (m,))


def rnn_relu_back(
    d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: CellParameters
) -> CellErrors:
    d_a = d_m * (kept[0] > 0)
    return CellErrors(d_a, d_a, d_c)


CELL_STEPS: Mapping[str, tuple[Callable[..., CellResult], Callable[..., CellErrors]]] = {
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
