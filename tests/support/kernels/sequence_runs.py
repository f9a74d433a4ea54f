"""The compiled sequence kernels, called with NumPy arrays.

This does the same as ``kernels/autograd/compiled.py`` without torch, so that it runs under the
sanitizers. Arrays that the kernels write have guard words around them, and hold NaN before the
call, except for sums, which start from zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from carrousel.contracts import CELLS, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, NORM_EPSILON
from carrousel.kernels.native import sequence
from carrousel.kernels.native.sequence import extra_width, gates_width
from support.kernels.recurrent_cases import Case

Arrays = dict[str, np.ndarray]

WEIGHTS = ("w_ih", "w_hh", "bias", "unit", "w_hr", "ln_hh", "ln_c", "fresh_h", "fresh_s", "drop")
MASKS = ("flags", "keep_h", "keep_s")
BY_SAMPLE = ("w_ih", "w_hh", "bias", "w_hr")
GUARD = 16


class Setup(NamedTuple):
    """How to run a call. ``window``: steps of a window, 0: the kernel chooses."""

    dtype: str = "float64"
    instruction_set: str = ""
    threads: int = 1
    window: int = 0


class Guarded:
    """Arrays of NaN with guard words around them."""

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
    """Results ``out [T, B, H]``, last ``h`` and ``s``; the tape, or states before segments."""

    out: np.ndarray
    h: np.ndarray
    s: np.ndarray
    states: np.ndarray | None = None
    gates: np.ndarray | None = None
    extra: np.ndarray | None = None
    marks: np.ndarray | None = None

    @property
    def kept(self) -> Arrays:
        """Arrays that the backward pass needs, including ``out``."""
        names = ("out", "states", "gates", "extra", "marks")
        return {name: array for name in names if (array := getattr(self, name)) is not None}


def completed(case: Case, dtype: str) -> Arrays:
    """The arrays of a call in one precision, with defaults for those the kernels need."""
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


class Normed(NamedTuple):
    """``LN(w_ih x)`` before its scale, 1 / deviation, and inputs with zeros in padding."""

    hat: np.ndarray
    rate: np.ndarray
    x: np.ndarray


def normed(arrays: Arrays) -> Normed:
    x = arrays["x"]
    if "flags" in arrays:
        x = np.where((arrays["flags"] & ACTIVE).astype(bool)[:, :, None], x, 0)
    product = x @ arrays["w_ih"].T
    rate = 1 / np.sqrt(product.var(2, keepdims=True) + NORM_EPSILON)
    return Normed((product - product.mean(2, keepdims=True)) * rate, rate, x)


def prepared(case: Case, setup: Setup) -> dict[str, Any]:
    """Arguments of both passes. The normalisation of ``w_ih x`` is done here."""
    arrays, R, o = completed(case, setup.dtype), case.recurrence, case.options
    names = ("x", *WEIGHTS, *MASKS, "h0", "s0")
    call: dict[str, Any] = {name: arrays[name] for name in names if name in arrays}
    if R.layer_norm:
        net = normed(arrays).hat * arrays["ln_ih"]
        if R.cell not in CELLS:
            net = net + call.pop("bias", 0)
        call["x"] = np.ascontiguousarray(net, setup.dtype)
        del call["w_ih"]
    settings = {"threads": setup.threads, "window": setup.window, "reverse": o.reverse}
    settings |= {"zone_h": o.zone_h, "zone_s": o.zone_s, "cut": gradient_cut(o.gradient)}
    return call | settings | {"instruction_set": setup.instruction_set}


DEFAULT = Setup()


def forward(case: Case, setup: Setup = DEFAULT, *, keep: bool = True, recompute: int = 0) -> Tape:
    """Run a call. ``keep``: write the tape, or the state before segments of ``recompute`` steps."""
    R, guarded, call = case.recurrence, Guarded(setup.dtype), prepared(case, setup)
    T, B = case.arrays["x"].shape[:2]
    H, states = R.n_sources, R.n_states
    tape = Tape(guarded.empty(T, B, H), guarded.empty(B, H), guarded.empty(B, states))
    if keep and recompute:
        tape = tape._replace(marks=guarded.empty(-(-T // recompute), B, H + states))
    elif keep:
        widths = {"states": states, "gates": gates_width(R), "extra": extra_width(R, sources(case))}
        tape = tape._replace(**{name: guarded.empty(T, B, n) for name, n in widths.items()})
    call |= tape.kept | {"h": tape.h, "s": tape.s, "recompute": recompute if keep else 0}
    sequence.forward(R, setup.dtype, call)
    guarded.check()
    return tape


def sources(case: Case) -> bool:
    """Whether the tape keeps the factors of ``w_hh``."""
    return "flags" in case.arrays or "drop" in case.arrays


Errors = Sequence[np.ndarray | None]


def backward(
    case: Case,
    tape: Tape,
    errors: Errors | None = None,
    setup: Setup = DEFAULT,
    *,
    recompute: int = 0,
) -> Arrays:
    """Run the backward pass for errors of ``out``, last ``h`` and ``s``, and ``states``.

    Returns:
        Derivatives by the name of the kernels' arguments.
    """
    R, guarded, call = case.recurrence, Guarded(setup.dtype), prepared(case, setup)
    d_out, d_h, d_s, d_states = (
        None if e is None else np.ascontiguousarray(e, setup.dtype) for e in errors or case.errors
    )
    found = {
        "h0": guarded.put(np.zeros_like(call["h0"]) if d_h is None else d_h),
        "s0": guarded.put(np.zeros_like(call["s0"]) if d_s is None else d_s),
        "x": guarded.empty(*call["x"].shape),
    }
    into = {"dh": found["h0"], "ds": found["s0"], "d_x": found["x"]}
    for name in WEIGHTS[:-1]:
        if name in call:
            found[name] = guarded.put(np.zeros_like(call[name]))
            into[f"d_{name}"] = found[name][None] if name in BY_SAMPLE else found[name]
    call |= tape.kept | into | {"d_out": d_out, "d_states": d_states, "recompute": recompute}
    sequence.backward(R, setup.dtype, call)
    guarded.check()
    return found


def gradients(case: Case, found: Arrays, dtype: str = "float64") -> Arrays:
    """Derivatives by the fields of ``LayerInputs``, including normalisation of ``w_ih x``."""
    arrays, R = completed(case, dtype), case.recurrence
    found = dict(found)
    if R.layer_norm:
        d_x, (hat, rate, x) = found["x"], normed(arrays)
        found.setdefault("bias", d_x.sum((0, 1)))
        found["ln_ih"] = (d_x * hat).sum((0, 1))
        d = d_x * arrays["ln_ih"]
        along = (d * hat).mean(2, keepdims=True)
        d = rate * (d - d.mean(2, keepdims=True) - hat * along)
        found["x"] = d @ arrays["w_ih"]
        found["w_ih"] = np.einsum("tbn,tbi->ni", d, x)
    return {name: found[name] for name in case.arrays if name in found}


def run(case: Case, setup: Setup = DEFAULT) -> tuple[Tape, Arrays]:
    """Both passes of a call: results, and derivatives of their product with the errors."""
    tape, again = forward(case, setup), case.options.recompute
    short = forward(case, setup, recompute=again) if again else tape
    found = backward(case, short, None, setup, recompute=again)
    return tape, gradients(case, found, setup.dtype)
