"""Random calls of one direction of a recurrent layer, for all of its implementations.

Arrays are float64, by field of ``LayerInputs``; options have the field names of ``LayerOptions``.
This module does not need torch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from carrousel.contracts import CELLS, Recurrence
from carrousel.contracts.recurrence import ACTIVE, RESET

FEATURES = ("bias", "unit", "norms", "fresh", "drop", "lengths", "left", "resets", "masks", "zone")
"""Optional parts of a call.

``lengths``: padding on the right, with ``left`` on the left. ``masks``: those of zoneout in
training; ``zone``: its shares otherwise.
"""

NUMBERS = (
    *("x", "w_ih", "w_hh", "h0", "s0", "bias", "unit", "w_hr"),
    *("ln_ih", "ln_hh", "ln_c", "fresh_h", "fresh_s"),
)
"""Fields that have a gradient."""

BY_STEP = ("x", "flags", "keep_h", "keep_s")
"""Fields with one entry per step."""

BY_SEQUENCE = {"x": 1, "flags": 1, "keep_h": 1, "keep_s": 1, "h0": 0, "s0": 0, "drop": 0}
"""Fields with one entry per sequence, and their axis of the batch."""


class Options(NamedTuple):
    """The fields of ``LayerOptions``."""

    reverse: bool = False
    gradient: str = "bptt"
    recompute: int = 0
    zone_h: float = 0.0
    zone_s: float = 0.0
    record: bool = True


class Case(NamedTuple):
    """One call, and random errors at its results: ``d_out``, ``d_h``, ``d_s``, ``d_states``."""

    arrays: dict[str, np.ndarray]
    recurrence: Recurrence
    options: Options
    errors: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def make_case(
    recurrence: Recurrence,
    features: frozenset[str] | set[str] = frozenset(),
    T: int = 3,
    B: int = 2,
    I: int = 2,  # noqa: E741
    seed: int = 0,
    **options: Any,
) -> Case:
    """Return a call with random numbers; the initial states are not zero."""
    rng = np.random.default_rng(seed)
    U, H, C = recurrence.n_net_inputs, recurrence.n_sources, recurrence.units
    n_states, kind = recurrence.n_states, recurrence.kind

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) * 0.7

    arrays = {"x": draw(T, B, I), "w_ih": draw(U, I), "w_hh": draw(U, H)}
    arrays |= {"h0": draw(B, H), "s0": draw(B, n_states)}
    if "bias" in features:
        arrays["bias"] = draw(U)
    if "unit" in features and kind.unit_parameters:
        arrays["unit"] = draw(len(kind.unit_parameters), C)
    if recurrence.projection:
        arrays["w_hr"] = draw(H, C)
    if "norms" in features and recurrence.layer_norm:
        arrays |= {"ln_ih": 1 + draw(U), "ln_hh": 1 + draw(U)}
        if kind.state_norm:
            arrays["ln_c"] = np.array([[1.0], [0.0]]) + draw(2, C)
    if "fresh" in features:
        arrays |= {"fresh_h": draw(H), "fresh_s": draw(n_states)}
    if "drop" in features:
        arrays["drop"] = (rng.random((B, H)) < 0.6) / 0.6
    if features & {"lengths", "resets"}:
        arrays["flags"] = _flags(rng, features, T, B)
    if "masks" in features:
        arrays["keep_h"] = (rng.random((T, B, H)) < 0.4).astype(np.uint8)
        arrays["keep_s"] = (rng.random((T, B, n_states)) < 0.4).astype(np.uint8)
    if "zone" in features:
        options |= {"zone_h": 0.3, "zone_s": 0.15}
    errors = draw(T, B, H), draw(B, H), draw(B, n_states), draw(T, B, n_states)
    return Case(arrays, recurrence, Options(**options), errors)


def _flags(rng: np.random.Generator, features: frozenset[str] | set[str], T: int, B: int) -> Any:
    """Draw flags for lengths from 0 to T; padding may be reset too."""
    lengths = rng.integers(0, T + 1, B) if "lengths" in features else np.full(B, T)
    steps = np.arange(T)[:, None]
    active = steps >= T - lengths if "left" in features else steps < lengths
    resets = (rng.random((T, B)) < 0.3) & ("resets" in features)
    return (active * ACTIVE + resets * RESET).astype(np.uint8)


def all_recurrences(units: int = 4) -> list[Recurrence]:
    """Return every cell with all its options, with and without layer normalisation."""
    shapes: list[dict[str, Any]] = [{"cell": cell} for cell in CELLS]
    shapes += [{"cell": cell, "projection": 3} for cell, kind in CELLS.items() if kind.projects]
    blocks = {"cell": "lstm97", "block_size": 2, "g_range": 1.5, "h_range": 0.5}
    shapes += [blocks, {"cell": "lstm97", "gate_sources": True}, {**blocks, "gate_sources": True}]
    return [
        Recurrence(units=units, layer_norm=n, **shape) for shape in shapes for n in (False, True)
    ]


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    cell = draw(st.sampled_from(list(CELLS)))
    more: dict[str, Any] = {"layer_norm": draw(st.booleans())}
    blocks = 1
    if cell == "lstm97":
        blocks = draw(st.integers(1, 3))
        more |= {"block_size": blocks, "gate_sources": draw(st.booleans())}
        more |= {"g_range": draw(st.sampled_from([2.0, 1.0])), "h_range": 1.5}
    if CELLS[cell].projects and not more.get("gate_sources"):
        more["projection"] = draw(st.sampled_from([0, 0, 1, 3]))
    return Recurrence(cell, blocks * draw(st.sampled_from([1, 2, 3, 5, 9])), **more)


@st.composite
def cases(draw: st.DrawFn, gradient: str | None = None, features: Any = None) -> Case:
    """Calls with random options and odd or minimal sizes.

    Args:
        gradient: gradient of all calls; None: any.
        features: features of all calls, in addition to random ones.
    """
    kinds = st.sampled_from(["bptt", "bptt", "truncated", "tbptt:1", "tbptt:2", "tbptt:3"])
    drawn = st.frozensets(st.sampled_from(FEATURES))
    return make_case(
        draw(recurrences()),
        draw(drawn) | frozenset(features or ()),
        T=draw(st.sampled_from([1, 2, 3, 5, 7])),
        B=draw(st.sampled_from([1, 2, 3, 5])),
        I=draw(st.sampled_from([1, 2, 3, 7])),
        seed=draw(st.integers(0, 2**32 - 1)),
        reverse=draw(st.booleans()),
        gradient=gradient or draw(kinds),
        recompute=draw(st.sampled_from([0, 0, 1, 2])),
    )


def replaced(case: Case, **arrays: np.ndarray) -> Case:
    """Return the same call with other arrays."""
    return case._replace(arrays=case.arrays | arrays)


def some_steps(case: Case, begin: int, end: int) -> Case:
    """Return the call on steps ``begin`` to ``end`` alone, with the errors of these steps."""
    d_out, d_h, d_s, d_states = case.errors
    arrays = {name: case.arrays[name][begin:end] for name in BY_STEP if name in case.arrays}
    errors = d_out[begin:end], d_h, d_s, d_states[begin:end]
    return replaced(case, **arrays)._replace(errors=errors)


def with_batch(case: Case, chosen: np.ndarray) -> Case:
    """Return the call on some sequences of the batch, in a given order."""
    arrays = {
        name: np.take(case.arrays[name], chosen, axis)
        for name, axis in BY_SEQUENCE.items()
        if name in case.arrays
    }
    d_out, d_h, d_s, d_states = case.errors
    errors = d_out[:, chosen], d_h[chosen], d_s[chosen], d_states[:, chosen]
    return replaced(case, **arrays)._replace(errors=errors)
