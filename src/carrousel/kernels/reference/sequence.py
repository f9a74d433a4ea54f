"""One direction of one recurrent layer, forward and backward, written to be read.

The six points of ``contracts/recurrence.py`` in NumPy float64, with derivatives derived by hand;
every other way to run a layer is measured against this one. Cells stand in
``reference_sequence_cells``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from carrousel.contracts import Recurrence, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.kernels.reference.cells import (
    CELL_STEPS,
    Around,
    Errors,
    Normed,
    Stepped,
    normed,
    normed_back,
)
from carrousel.shapes import Floats

Arrays = Mapping[str, np.ndarray]


class Options(Protocol):
    """How a call is run: the fields of ``LayerOptions`` that change a value."""

    @property
    def reverse(self) -> bool: ...

    @property
    def gradient(self) -> str: ...

    @property
    def zone_h(self) -> float: ...

    @property
    def zone_s(self) -> float: ...


class Result(NamedTuple):
    """What ``LayerResult`` holds, with states and gates of every step."""

    out: Annotated[Floats, "T B K"]
    h: Annotated[Floats, "B K"]
    s: Annotated[Floats, "B S"]
    states: Annotated[Floats, "T B S"]
    gates: Annotated[Floats, "T B N"]


class Step(NamedTuple):
    """What one step leaves for the way back; ``source`` is ``h' * drop``."""

    active: np.ndarray
    reset: np.ndarray
    x: Annotated[Floats, "B I"]
    x_norm: Normed | None
    source: Annotated[Floats, "B K"]
    r_norm: Normed | None
    stepped: Stepped


class Tape(NamedTuple):
    """All a gradient needs: inputs with every default filled in, and the steps as processed."""

    given: frozenset[str]
    p: Arrays
    recurrence: Recurrence
    options: Options
    order: range
    steps: list[Step]


def forward(
    arrays: Mapping[str, np.ndarray | None], recurrence: Recurrence, options: Options
) -> tuple[Result, Tape]:
    """Run a layer.

    Args:
        arrays: the fields of ``LayerInputs`` by name, shapes as there; what does not apply is
            absent or None.
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
    around, step_forward = _around(p, recurrence, options), CELL_STEPS[recurrence.cell][0]
    T, B = p["flags"].shape
    K, S, N = recurrence.n_sources, recurrence.n_states, recurrence.n_net_inputs
    out, states, gates = np.zeros((T, B, K)), np.zeros((T, B, S)), np.zeros((T, B, N))
    order = range(T)[::-1] if options.reverse else range(T)
    h, s = p["h0"], p["s0"]
    steps = []
    for t in order:
        active, reset = ((p["flags"][t] & bit)[:, None] != 0 for bit in (ACTIVE, RESET))
        h, s = np.where(reset, p["fresh_h"], h), np.where(reset, p["fresh_s"], s)
        x_t = np.where(active, p["x"][t], 0)  # what stands in padding, even NaN, is never read
        source = h * p["drop"]
        x, x_norm = _product(x_t @ p["w_ih"].T, p["ln_ih"], recurrence)
        r, r_norm = _product(source @ p["w_hh"].T, p["ln_hh"], recurrence)
        stepped = step_forward(x + p["bias"], r, s, h, around)
        h_new = _hidden(stepped, p, recurrence)
        h_new = p["keep_h"][t] * h + (1 - p["keep_h"][t]) * h_new
        s_new = p["keep_s"][t] * s + (1 - p["keep_s"][t]) * stepped.c
        h, s = np.where(active, h_new, h), np.where(active, s_new, s)
        out[t], states[t], gates[t] = np.where(active, h, 0), s, stepped.gates
        steps.append(Step(active, reset, x_t, x_norm, source, r_norm, stepped))
    tape = Tape(frozenset(given), p, recurrence, options, order, steps)
    return Result(out, h, s, states, gates), tape


def backward(
    tape: Tape,
    d_out: Annotated[Floats, "T B K"],
    d_h: Annotated[Floats, "B K"],
    d_s: Annotated[Floats, "B S"],
    d_states: Annotated[Floats, "T B S"],
) -> dict[str, np.ndarray]:
    """Send the errors at the results back to the inputs.

    Args:
        tape: of :func:`forward`.
        d_out, d_h, d_s, d_states: derivatives of a loss by the results of those names.

    Returns:
        Derivatives by field of ``LayerInputs``: all that were given, but for flags and masks.
    """
    p, recurrence, cut = tape.p, tape.recurrence, gradient_cut(tape.options.gradient)
    around, step_back = _around(p, recurrence, tape.options), CELL_STEPS[recurrence.cell][1]
    d = {name: np.zeros_like(array) for name, array in p.items()}
    for n in reversed(range(len(tape.steps))):
        t, step = tape.order[n], tape.steps[n]
        d_s = d_s + d_states[t]
        # Point 6: where the step is not active, errors pass it by; 5: zoneout divides them.
        d_h_new, d_h = _parted(step.active, d_h + d_out[t], d_h, p["keep_h"][t])
        d_s_new, d_s = _parted(step.active, d_s, d_s, p["keep_s"][t])
        # Points 4 and 3.
        d_m, d_gates = _hidden_back(d_h_new, step, d, p, recurrence)
        errors: Errors = step_back(d_s_new, d_m, d_gates, step.stepped.kept, around)
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
        if cut >= 0:  # else errors that have reached a net input go no further
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


def _filled(given: Arrays, recurrence: Recurrence, options: Options) -> Arrays:
    """Every input in float64; in place of one that is absent what leaves the equations alone.

    ``keep_h`` and ``keep_s`` become shares of the old value: 0, 1, or those of zoneout's mean.
    """
    T, B, _ = given["x"].shape
    M, N, K = recurrence.units, recurrence.n_net_inputs, recurrence.n_sources
    absent = {
        "bias": np.zeros(N),
        "unit": np.zeros((len(recurrence.kind.unit_parameters), M)),
        "w_hr": np.eye(M),
        "ln_ih": np.ones(N),
        "ln_hh": np.ones(N),
        "ln_c": np.stack([np.ones(M), np.zeros(M)]),
        "fresh_h": np.zeros(K),
        "fresh_s": np.zeros(recurrence.n_states),
        "drop": np.ones((B, K)),
        "keep_h": np.full((T, B, K), options.zone_h),
        "keep_s": np.full((T, B, recurrence.n_states), options.zone_s),
    }
    flags = given.get("flags", np.full((T, B), ACTIVE)).astype(np.uint8)
    numbers = {name: np.asarray(array, np.float64) for name, array in given.items()}
    return {**absent, **numbers, "flags": flags}


def _around(p: Arrays, recurrence: Recurrence, options: Options) -> Around:
    return Around(recurrence, p["unit"], p["ln_c"], gradient_cut(options.gradient) < 0)


def _product(
    product: Annotated[Floats, "B N"], scale: Annotated[Floats, "N"], recurrence: Recurrence
) -> tuple[Annotated[Floats, "B N"], Normed | None]:
    """Normalise a product with weights, all its rows as one vector, if the layer does so."""
    if not recurrence.layer_norm:
        return product, None
    norm = normed(product)
    return scale * norm.hat, norm


def _product_back(
    d_net: Annotated[Floats, "B N"],
    norm: Normed | None,
    scale: str,
    d: dict[str, np.ndarray],
    p: Arrays,
) -> Annotated[Floats, "B N"]:
    if norm is None:
        return d_net
    d[scale] += (d_net * norm.hat).sum(0)
    return normed_back(d_net * p[scale], norm)


def _hidden(stepped: Stepped, p: Arrays, recurrence: Recurrence) -> Annotated[Floats, "B K"]:
    """``h``: the cell output, projected, or with the gates ``(m, i, o)``."""
    if recurrence.gate_sources:
        i, _, o = np.split(stepped.gates, np.cumsum(recurrence.widths)[:-1], 1)
        return np.concatenate([stepped.m, i, o], 1)
    return stepped.m @ p["w_hr"].T if recurrence.projection else stepped.m


def _hidden_back(
    d_h: Annotated[Floats, "B K"],
    step: Step,
    d: dict[str, np.ndarray],
    p: Arrays,
    recurrence: Recurrence,
) -> tuple[Annotated[Floats, "B M"], tuple[Any, Any]]:
    """Errors at the cell output and at gates that are sources (0.0 where they are not)."""
    if recurrence.gate_sources:
        M, blocks = recurrence.units, recurrence.n_blocks
        return d_h[:, :M], (d_h[:, M : M + blocks], d_h[:, M + blocks :])
    if recurrence.projection:
        d["w_hr"] += d_h.T @ step.stepped.m
        return d_h @ p["w_hr"], (0.0, 0.0)
    return d_h, (0.0, 0.0)


def _parted(
    active: np.ndarray,
    arrived: Annotated[Floats, "B K"],
    passing: Annotated[Floats, "B K"],
    share: Annotated[Floats, "B K"],
) -> tuple[Annotated[Floats, "B K"], Annotated[Floats, "B K"]]:
    """Divide an error between the new value and the old one, whose share ``share`` is."""
    old = np.where(active, share * arrived, passing)
    return np.where(active, (1 - share) * arrived, 0), old
