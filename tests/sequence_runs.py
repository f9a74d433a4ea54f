"""The compiled sequence kernels by NumPy alone: windows of steps, and the products around them.

What ``kernels/autograd_native.py`` does by torch, in a form that runs under the sanitizers. Every
array the kernels write lies between guard words and is poisoned with NaN before it is handed over.
Windows are cut where a test says, and any instruction set, precision and number of threads may run
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from carrousel import _native
from carrousel.contracts import CELLS, Recurrence, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, NORM_EPSILON
from carrousel.kernels.sequence import (
    extra_parts,
    extra_width,
    gates_width,
    has_own_errors,
    open_sequence,
)
from recurrent_cases import Case

Arrays = dict[str, np.ndarray]

WEIGHTS = ("w_hh", "bias", "unit", "w_hr", "ln_hh", "ln_c", "fresh_h", "fresh_s", "drop")
GATHERED = ("unit", "ln_hh", "ln_c", "fresh_h", "fresh_s")
MASKS = ("flags", "keep_h", "keep_s")
GUARD = 16


class Setup(NamedTuple):
    """How a call is run: ``cuts`` are steps, in the order of processing, where a window ends."""

    dtype: str = "float64"
    instruction_set: str = ""
    threads: int = 1
    cuts: tuple[int, ...] = ()


class Guarded:
    """Poisoned arrays with guard words around each."""

    WORD = 12345.0

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.blocks: list[np.ndarray] = []

    def empty(self, *shape: int) -> np.ndarray:
        size = int(np.prod(shape))
        block = np.full(size + 2 * GUARD, self.WORD, self.dtype)
        block[GUARD : GUARD + size] = np.nan
        self.blocks.append(block)
        return block[GUARD : GUARD + size].reshape(shape)

    def put(self, values: np.ndarray) -> np.ndarray:
        array = self.empty(*values.shape)
        array[...] = values
        return array

    def check(self) -> None:
        for block in self.blocks:
            np.testing.assert_array_equal(block[:GUARD], self.WORD)
            np.testing.assert_array_equal(block[-GUARD:], self.WORD)


class Tape(NamedTuple):
    """What the way forward leaves; all ``[T, B, .]`` but the last ``h`` and ``s``."""

    out: np.ndarray
    h: np.ndarray
    s: np.ndarray
    states: np.ndarray
    gates: np.ndarray
    extra: np.ndarray


def native_class(dtype: str) -> Any:
    return {"float32": _native.SequenceFloat, "float64": _native.SequenceDouble}[dtype]


def completed(case: Case, dtype: str) -> Arrays:
    """The arrays of a call in one precision, with what the kernels cannot do without."""
    R = case.recurrence
    arrays = {
        name: np.ascontiguousarray(a, dtype if a.dtype == np.float64 else a.dtype)
        for name, a in case.arrays.items()
    }
    missing: Arrays = {}
    if R.layer_norm:
        missing |= {"ln_ih": np.ones(R.n_net_inputs), "ln_hh": np.ones(R.n_net_inputs)}
        if R.kind.state_norm:
            missing["ln_c"] = np.stack([np.ones(R.units), np.zeros(R.units)])
    if R.kind.unit_parameters:
        missing["unit"] = np.zeros((len(R.kind.unit_parameters), R.units))
    return {name: a.astype(dtype) for name, a in missing.items()} | arrays


class Walk:
    """One call's weights packed for one way, and the arguments of its windows."""

    def __init__(
        self, case: Case, setup: Setup, arrays: Arrays, h: np.ndarray, s: np.ndarray, *, learn: bool
    ) -> None:
        self.case, self.R, self.arrays = case, case.recurrence, arrays
        self.T, self.B = arrays["x"].shape[:2]
        weights = {name: arrays.get(name) for name in WEIGHTS}
        if self.R.cell not in CELLS:
            weights["bias"] = None
        self.sources = "flags" in arrays or "drop" in arrays
        self.sequence = open_sequence(
            self.R,
            setup.dtype,
            weights,
            batch=self.B,
            threads=setup.threads,
            cut=gradient_cut(case.options.gradient),
            learn=learn,
            sources=self.sources,
            h=h,
            s=s,
            instruction_set=setup.instruction_set,
        )

    def window(self, window: range) -> dict[str, Any]:
        a, b, o = window.start, window.stop, self.case.options
        masks = {name: self.arrays[name][a:b] if name in self.arrays else None for name in MASKS}
        first = self.T - b if o.reverse else a
        zones = {"zone_h": o.zone_h, "zone_s": o.zone_s}
        return {"steps": b - a, "first": first, "reverse": o.reverse} | masks | zones


def windows(steps: int, setup: Setup, reverse: bool) -> list[range]:
    """Windows in the order of processing; each is a range of rising steps."""
    edges = sorted({0, steps, *(cut for cut in setup.cuts if 0 < cut < steps)})
    found = [range(a, b) for a, b in pairwise(edges)]
    return [range(steps - w.stop, steps - w.start) for w in found] if reverse else found


def net_inputs(arrays: Arrays, R: Recurrence) -> np.ndarray:
    """``LN(w_ih x)``; with the bias where the cell is described."""
    x = arrays["x"] @ arrays["w_ih"].T
    if R.layer_norm:
        if "flags" in arrays:
            x = np.where((arrays["flags"] & ACTIVE).astype(bool)[:, :, None], x, 0)
        x = (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + NORM_EPSILON)
        x = x * arrays["ln_ih"]
    if R.cell not in CELLS and "bias" in arrays:
        x = x + arrays["bias"]
    return np.ascontiguousarray(x, arrays["x"].dtype)


def forward(case: Case, setup: Setup = Setup(), *, keep: bool = True) -> Tape:  # noqa: B008
    """Run a call; ``keep``: write the tape, else only the outputs."""
    arrays, R, guarded = completed(case, setup.dtype), case.recurrence, Guarded(setup.dtype)
    T, B = arrays["x"].shape[:2]
    widths = (R.n_states, gates_width(R), extra_width(R, "flags" in arrays or "drop" in arrays))
    tape = Tape(
        guarded.empty(T, B, R.n_sources),
        guarded.put(arrays["h0"]),
        guarded.put(arrays["s0"]),
        *(guarded.empty(T if keep else 0, B, width) for width in widths),
    )
    walk = Walk(case, setup, arrays, tape.h, tape.s, learn=False)
    x = net_inputs(arrays, R)
    for window in windows(T, setup, case.options.reverse):
        part = slice(window.start, window.stop)
        of_window: dict[str, Any] = {"x": x[part], "out": tape.out[part]}
        for name in ("states", "gates", "extra"):
            of_window[name] = getattr(tape, name)[part] if keep else None
        if keep and R.cell in CELLS:  # gates take the place of net inputs
            tape.gates[part] = x[part]
            of_window["x"] = tape.gates[part]
        walk.sequence.forward(walk.window(window) | of_window)
    guarded.check()
    return tape


class Back(NamedTuple):
    """What the way back leaves: errors of net inputs, of ``w_hh h``, of ``w_hr m``, of the first
    states, and of what all steps share."""

    d_x: np.ndarray
    d_r: np.ndarray
    d_projected: np.ndarray | None
    h0: np.ndarray
    s0: np.ndarray
    shared: Arrays


Errors = Sequence[np.ndarray | None]


def backward(
    case: Case,
    tape: Tape,
    errors: Errors | None = None,
    setup: Setup = Setup(),  # noqa: B008
) -> Back:
    """Send errors of ``out``, last ``h`` and ``s``, and ``states`` back; None: zero."""
    arrays, R, guarded = completed(case, setup.dtype), case.recurrence, Guarded(setup.dtype)
    d_out, d_h, d_s, d_states = (
        None if e is None else np.ascontiguousarray(e, setup.dtype) for e in errors or case.errors
    )
    T, B = arrays["x"].shape[:2]
    N, K = R.n_net_inputs, R.n_sources
    h = guarded.put(np.zeros_like(arrays["h0"]) if d_h is None else d_h)
    s = guarded.put(np.zeros_like(arrays["s0"]) if d_s is None else d_s)
    d_x = guarded.empty(T, B, N)
    d_r = guarded.empty(T, B, N) if has_own_errors(R) else None
    projected = guarded.empty(T, B, K) if R.projection else None
    walk = Walk(case, setup, arrays, h, s, learn=True)
    done = windows(T, setup, case.options.reverse)
    for number in range(len(done) - 1, -1, -1):
        window = done[number]
        part = slice(window.start, window.stop)
        before = window.stop if case.options.reverse else window.start - 1
        enter = (arrays["h0"], arrays["s0"])
        if number:
            enter = tape.out[before], tape.states[before]
        cut = {"out": tape.out, "states": tape.states, "gates": tape.gates, "extra": tape.extra}
        cut |= {"d_out": d_out, "d_states": d_states}
        cut |= {"d_x": d_x, "d_r": d_r, "d_projected": projected}
        of_window = {name: None if a is None else a[part] for name, a in cut.items()}
        of_window |= {"h_enter": enter[0], "s_enter": enter[1]}
        walk.sequence.backward(walk.window(window) | of_window)
    into: dict[str, Any] = {
        name: guarded.put(np.zeros_like(arrays[name])) if name in arrays else None
        for name in GATHERED
    }
    walk.sequence.collect(into)
    guarded.check()
    shared = {name: array for name, array in into.items() if array is not None}
    return Back(d_x, d_x if d_r is None else d_r, projected, h, s, shared)


def gradients(case: Case, tape: Tape, back: Back, dtype: str = "float64") -> Arrays:
    """Derivatives by field of ``LayerInputs``, from the errors of net inputs."""
    arrays, R = completed(case, dtype), case.recurrence
    sources = "flags" in arrays or "drop" in arrays
    parts = extra_parts(R, sources)
    x = arrays["x"]
    if "flags" in arrays:
        x = np.where((arrays["flags"] & ACTIVE).astype(bool)[:, :, None], x, 0)
    found = {"h0": back.h0, "s0": back.s0, **back.shared, "bias": back.d_x.sum((0, 1))}
    d_product = back.d_x
    if R.layer_norm:
        product = x @ arrays["w_ih"].T
        rate = 1 / np.sqrt(product.var(2, keepdims=True) + NORM_EPSILON)
        hat = (product - product.mean(2, keepdims=True)) * rate
        found["ln_ih"] = (back.d_x * hat).sum((0, 1))
        d = back.d_x * arrays["ln_ih"]
        along = (d * hat).mean(2, keepdims=True)
        d_product = rate * (d - d.mean(2, keepdims=True) - hat * along)
    found["x"] = d_product @ arrays["w_ih"]
    found["w_ih"] = np.einsum("tbn,tbi->ni", d_product, x)
    if sources:
        source = tape.extra[..., parts["source"]] * arrays.get("drop", 1)
    else:
        entering = arrays["h0"][None]
        source = [tape.out[1:], entering] if case.options.reverse else [entering, tape.out[:-1]]
        source = np.concatenate(source)[: len(x)]
    found["w_hh"] = np.einsum("tbn,tbk->nk", back.d_r, source)
    if back.d_projected is not None:
        output = tape.extra[..., parts["output"]]
        found["w_hr"] = np.einsum("tbk,tbm->km", back.d_projected, output)
    return {name: found[name] for name in case.arrays if name in found}


def run(case: Case, setup: Setup = Setup()) -> tuple[Tape, Arrays]:  # noqa: B008
    """Both ways of a call: results, and derivatives of their product with its errors."""
    tape = forward(case, setup)
    return tape, gradients(case, tape, backward(case, tape, None, setup), setup.dtype)


def described(case: Case) -> Mapping[str, Any]:
    """For messages: what a call is."""
    return {"recurrence": case.recurrence.key, "options": case.options, "has": set(case.arrays)}
