"""Reference of one direction of one recurrent layer, forward and backward, in NumPy float64.

It follows the six points of ``contracts/recurrence.py``; derivatives are derived by hand. All other
implementations of a layer are tested against it. The cells are in ``cells.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from carrousel.contracts import Recurrence, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.kernels.reference.cells import (
    CELL_STEPS,
    CellErrors,
    CellParameters,
    CellResult,
    Normalised,
    normalise,
    normalise_back,
)
from carrousel.shapes import Floats

Arrays = Mapping[str, np.ndarray]


class ResultOptions(Protocol):
    """The fields of ``LayerOptions`` that change results."""

    @property
    def reverse(self) -> bool: ...

    @property
    def gradient(self) -> str: ...

    @property
    def zone_h(self) -> float: ...

    @property
    def zone_s(self) -> float: ...


class ReferenceResult(NamedTuple):
    """The fields of ``LayerResult``, with states and gates of every step."""

    out: Annotated[Floats, "T B H"]
    h: Annotated[Floats, "B H"]
    s: Annotated[Floats, "B D*C"]
    states: Annotated[Floats, "T B D*C"]
    gates: Annotated[Floats, "T B U"]


class TapeStep(NamedTuple):
    """Values of one step for the backward pass; ``source`` is ``h' * drop``."""

    active: np.ndarray
    reset: np.ndarray
    x: Annotated[Floats, "B I"]
    x_norm: Normalised | None
    source: Annotated[Floats, "B H"]
    r_norm: Normalised | None
    stepped: CellResult


class ReferenceTape(NamedTuple):
    """Values for the backward pass: inputs with defaults filled in, and steps as processed."""

    given: frozenset[str]
    p: Arrays
    recurrence: Recurrence
    options: ResultOptions
    order: range
    steps: list[TapeStep]


def forward(
    arrays: Mapping[str, np.ndarray | None], recurrence: Recurrence, options: ResultOptions
) -> tuple[ReferenceResult, ReferenceTape]:
    """Run a layer.

    Args:
        arrays: the fields of ``LayerInputs`` by name, with the shapes stated there; fields that do
            not apply are absent or None.
        recurrence: equations (a built-in cell) and sizes.
        options: direction, gradient, shares of zoneout.

    Returns:
        The result, and the tape for :func:`backward`.

    >>> from types import SimpleNamespace
    >>> plain = SimpleNamespace(reverse=False, gradient="bptt", zone_h=0.0, zone_s=0.0)
    >>> x, state = np.ones((3, 1, 1)), np.zeros((1, 2))
    >>> arrays = {"x": x, "w_ih": np.ones((8, 1)), "w_hh": np.zeros((8, 2))}
    >>> result, tape = forward(arrays | {"h0": state, "s0": state}, Recurrence("lstm", 2), plain)
    >>> [round(float(h), 4) for h in result.out[:, 0, 0]]
    [0.3696, 0.5453, 0.6225]
    """
    given = {name: array for name, array in arrays.items() if array is not None}
    p = _filled(given, recurrence, options)
    parameters = _cell_parameters(p, recurrence, options)
    step_forward = CELL_STEPS[recurrence.cell][0]
    T, B = p["flags"].shape
    out = np.zeros((T, B, recurrence.n_sources))
    states = np.zeros((T, B, recurrence.n_states))
    gates = np.zeros((T, B, recurrence.n_net_inputs))
    order = range(T)[::-1] if options.reverse else range(T)
    h, s = p["h0"], p["s0"]
    steps = []
    for t in order:
        active, reset = ((p["flags"][t] & bit)[:, None] != 0 for bit in (ACTIVE, RESET))
        h, s = np.where(reset, p["fresh_h"], h), np.where(reset, p["fresh_s"], s)
        x_t = np.where(active, p["x"][t], 0)  # padding is never read, and may be NaN
        source = h * p["drop"]
        x, x_norm = _product(x_t @ p["w_ih"].T, p["ln_ih"], recurrence)
        r, r_norm = _product(source @ p["w_hh"].T, p["ln_hh"], recurrence)
        stepped = step_forward(x + p["bias"], r, s, h, parameters)
        h_new = _hidden(stepped, p, recurrence)
        h_new = p["keep_h"][t] * h + (1 - p["keep_h"][t]) * h_new
        s_new = p["keep_s"][t] * s + (1 - p["keep_s"][t]) * stepped.c
        h, s = np.where(active, h_new, h), np.where(active, s_new, s)
        out[t], states[t], gates[t] = np.where(active, h, 0), s, stepped.gates
        steps.append(TapeStep(active, reset, x_t, x_norm, source, r_norm, stepped))
    tape = ReferenceTape(frozenset(given), p, recurrence, options, order, steps)
    return ReferenceResult(out, h, s, states, gates), tape


def backward(
    tape: ReferenceTape,
    d_out: Annotated[Floats, "T B H"],
    d_h: Annotated[Floats, "B H"],
    d_s: Annotated[Floats, "B D*C"],
    d_states: Annotated[Floats, "T B D*C"],
) -> dict[str, np.ndarray]:
    """Compute the gradient of a loss with respect to the inputs, from that for the results.

    Args:
        tape: that of :func:`forward`.
        d_out, d_h, d_s, d_states: derivatives of the loss with respect to these results.

    Returns:
        Derivatives with respect to the given fields of ``LayerInputs``, except flags and masks.
    """
    p, recurrence, cut = tape.p, tape.recurrence, gradient_cut(tape.options.gradient)
    parameters = _cell_parameters(p, recurrence, tape.options)
    step_back = CELL_STEPS[recurrence.cell][1]
    d = {name: np.zeros_like(array) for name, array in p.items()}
    for n in reversed(range(len(tape.steps))):
        t, step = tape.order[n], tape.steps[n]
        d_s = d_s + d_states[t]
        # Point 6: at inactive steps errors pass unchanged. Point 5: zoneout divides them.
        d_h_new, d_h = _split_error(step.active, d_h + d_out[t], d_h, p["keep_h"][t])
        d_s_new, d_s = _split_error(step.active, d_s, d_s, p["keep_s"][t])
        # Points 4 and 3.
        d_m, d_gates = _hidden_back(d_h_new, step, d, p, recurrence)
        errors: CellErrors = step_back(d_s_new, d_m, d_gates, step.stepped.kept, parameters)
        d["unit"] += errors.unit
        d["ln_c"] += errors.ln_c
        d["bias"] += errors.x.sum(0)
        d_s = d_s + errors.c0
        d_h = d_h + errors.h0
        # Point 2.
        d_product = _product_back(errors.x, step.x_norm, "ln_ih", d, p)
        d["w_ih"] += d_product.T @ step.x
        d["x"][t] = np.where(step.active, d_product @ p["w_ih"], 0)
        d_product = _product_back(errors.r, step.r_norm, "ln_hh", d, p)
        d["w_hh"] += d_product.T @ step.source
        if cut >= 0:  # the truncated gradient stops at net inputs
            d_h = d_h + d_product @ p["w_hh"] * p["drop"]
        # Point 1.
        d["fresh_h"] += np.where(step.reset, d_h, 0).sum(0)
        d["fresh_s"] += np.where(step.reset, d_s, 0).sum(0)
        d_h, d_s = np.where(step.reset, 0, d_h), np.where(step.reset, 0, d_s)
        if cut > 0 and n and n % cut == 0:
            d_h, d_s = np.zeros_like(d_h), np.zeros_like(d_s)
    d["h0"], d["s0"] = d_h, d_s
    return {name: d[name] for name in sorted(tape.given - _CONSTANT)}


_CONSTANT = frozenset({"flags", "keep_h", "keep_s", "drop"})


def _filled(given: Arrays, recurrence: Recurrence, options: ResultOptions) -> Arrays:
    """Return every input in float64, with neutral values for absent ones.

    ``keep_h`` and ``keep_s`` become shares of the old value: 0, 1, or the fixed shares of zoneout.
    """
    T, B, _ = given["x"].shape
    C, U, H = recurrence.units, recurrence.n_net_inputs, recurrence.n_sources
    absent = {
        "bias": np.zeros(U),
        "unit": np.zeros((len(recurrence.kind.unit_parameters), C)),
        "w_hr": np.eye(C),
        "ln_ih": np.ones(U),
        "ln_hh": np.ones(U),
        "ln_c": np.stack([np.ones(C), np.zeros(C)]),
        "fresh_h": np.zeros(H),
        "fresh_s": np.zeros(recurrence.n_states),
        "drop": np.ones((B, H)),
        "keep_h": np.full((T, B, H), options.zone_h),
        "keep_s": np.full((T, B, recurrence.n_states), options.zone_s),
    }
    flags = given.get("flags", np.full((T, B), ACTIVE)).astype(np.uint8)
    numbers = {name: np.asarray(array, np.float64) for name, array in given.items()}
    return {**absent, **numbers, "flags": flags}


def _cell_parameters(p: Arrays, recurrence: Recurrence, options: ResultOptions) -> CellParameters:
    return CellParameters(recurrence, p["unit"], p["ln_c"], gradient_cut(options.gradient) < 0)


def _product(
    product: Annotated[Floats, "B U"], scale: Annotated[Floats, "U"], recurrence: Recurrence
) -> tuple[Annotated[Floats, "B U"], Normalised | None]:
    """Normalise a product with weights over all its components, if the layer does so."""
    if not recurrence.layer_norm:
        return product, None
    norm = normalise(product)
    return scale * norm.hat, norm


def _product_back(
    d_net: Annotated[Floats, "B U"],
    norm: Normalised | None,
    scale: str,
    d: dict[str, np.ndarray],
    p: Arrays,
) -> Annotated[Floats, "B U"]:
    if norm is None:
        return d_net
    d[scale] += (d_net * norm.hat).sum(0)
    return normalise_back(d_net * p[scale], norm)


def _hidden(stepped: CellResult, p: Arrays, recurrence: Recurrence) -> Annotated[Floats, "B H"]:
    """Return ``h``: the cell output, projected, or with the gates ``(m, i, o)``."""
    if recurrence.gate_sources:
        i, _, o = np.split(stepped.gates, np.cumsum(recurrence.widths)[:-1], 1)
        return np.concatenate([stepped.m, i, o], 1)
    return stepped.m @ p["w_hr"].T if recurrence.projection else stepped.m


def _hidden_back(
    d_h: Annotated[Floats, "B H"],
    step: TapeStep,
    d: dict[str, np.ndarray],
    p: Arrays,
    recurrence: Recurrence,
) -> tuple[Annotated[Floats, "B C"], tuple[Any, Any]]:
    """Return the errors at the cell output and at gates that are fed back (else 0.0)."""
    if recurrence.gate_sources:
        C, blocks = recurrence.units, recurrence.n_blocks
        return d_h[:, :C], (d_h[:, C : C + blocks], d_h[:, C + blocks :])
    if recurrence.projection:
        d["w_hr"] += d_h.T @ step.stepped.m
        return d_h @ p["w_hr"], (0.0, 0.0)
    return d_h, (0.0, 0.0)


def _split_error(
    active: np.ndarray,
    arrived: Annotated[Floats, "B H"],
    passing: Annotated[Floats, "B H"],
    share: Annotated[Floats, "B H"],
) -> tuple[Annotated[Floats, "B H"], Annotated[Floats, "B H"]]:
    """Divide an error between the new value and the old one, whose share is ``share``."""
    old = np.where(active, share * arrived, passing)
    return np.where(active, (1 - share) * arrived, 0), old
