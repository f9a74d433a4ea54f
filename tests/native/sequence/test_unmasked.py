"""The kernel of calls without masks matches the reference, and refuses what it cannot read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import _native
from carrousel.contracts import CELLS, Recurrence, gradient_cut
from carrousel.kernels import instruction_sets
from carrousel.kernels.native.sequence import _description, extra_width, gates_width
from carrousel.kernels.reference import sequence as reference_sequence
from support.case import case as named
from support.kernels.recurrent_cases import Case, make_case
from support.kernels.sequence_runs import Guarded, completed
from support.kernels.spoilt import REFUSALS

pytestmark = pytest.mark.native

PARAMETERS = ("w_ih", "w_hh", "bias", "bias_hh", "unit", "w_hr", "ln_ih", "ln_hh", "ln_c")
RECURRENCES = (
    *(Recurrence(cell, 5) for cell in CELLS),
    Recurrence("lstm", 5, layer_norm=True),
    Recurrence("gru", 17, layer_norm=True),
    Recurrence("lstm", 18, projection=3),
    Recurrence("lstm97", 6, block_size=2, gate_sources=True),
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"reverse": True, "gradient": "tbptt:2"},
    {"zone_h": 0.3},
)
Arrays = dict[str, Any]


def two_biases(case: Case) -> Arrays:
    """Arrays of a call, whose bias is given as the two that torch's modules have."""
    arrays = completed(case, "float64")
    rng = np.random.default_rng(1)
    second = rng.normal(size=case.recurrence.n_net_inputs)
    first = arrays["bias"] - second
    if case.recurrence.cell == "gru":
        new = slice(2 * case.recurrence.units, None)
        first[new], second[new] = arrays["bias"][new], arrays.pop("unit")[0]
    return {**arrays, "bias": first, "bias_hh": second}


def tape_of(case: Case, guarded: Guarded) -> Arrays:
    R, (T, B) = case.recurrence, case.arrays["x"].shape[:2]
    widths = {"out": R.n_sources, "states": R.n_states, "gates": gates_width(R)}
    widths["extra"] = extra_width(R, sources=False, norms=R.layer_norm)
    return {name: guarded.empty(T, B, n) if n else None for name, n in widths.items()}


class Call:
    """Both passes of a call in float64."""

    def __init__(self, case: Case, instruction_set: str = "") -> None:
        self.case, self.guarded = case, Guarded("float64")
        self.layer: Any = _native.UnmaskedLayerDouble(
            _description(case.recurrence, "float64"), instruction_set
        )
        o = case.options
        self.settings: tuple[Any, ...] = (
            o.reverse,
            gradient_cut(o.gradient),
            o.zone_h,
            o.zone_s,
            1,
        )
        self.arrays, self.tape = two_biases(case), tape_of(case, self.guarded)
        B, R = case.arrays["x"].shape[1], case.recurrence
        self.last = [self.guarded.empty(B, n) for n in (R.n_sources, R.n_states)]

    @property
    def parameters(self) -> tuple[Any, ...]:
        return tuple(self.arrays.get(name) for name in PARAMETERS)

    def first(self) -> tuple[Any, ...]:
        return tuple(self.arrays[name] for name in ("x", "h0", "s0"))

    def forward(self) -> Arrays:
        t = self.tape
        outs = (t["out"], *self.last, t["states"], t["gates"], t["extra"])
        self.layer.forward(*self.first(), self.parameters, *outs, *self.settings)
        self.guarded.check()
        return {"out": t["out"], "h": self.last[0], "s": self.last[1]}

    def backward(self) -> Arrays:
        names = ("x", "h0", "s0", *PARAMETERS)
        found = {
            name: self.guarded.empty(*self.arrays[name].shape)
            for name in names
            if name in self.arrays
        }
        tape = tuple(self.tape[name] for name in ("out", "states", "gates", "extra"))
        errors = tuple(np.ascontiguousarray(e) for e in self.case.errors[:3])
        into = tuple(found.get(name) for name in names)
        self.layer.backward(*self.first(), self.parameters, tape, errors, into, *self.settings)
        self.guarded.check()
        return found


def expected(case: Case) -> tuple[Arrays, Arrays]:
    result, tape = reference_sequence.forward(case.arrays, case.recurrence, case.options)
    found = reference_sequence.backward(tape, *case.errors[:3], np.zeros_like(case.errors[3]))
    if case.recurrence.cell == "gru":
        new = 2 * case.recurrence.units
        found["bias_hh"] = np.concatenate([found["bias"][:new], found.pop("unit")[0]])
    else:
        found["bias_hh"] = found["bias"]
    return result._asdict(), found


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_both_passes_match_the_reference(instruction_set: str):
    for R in RECURRENCES:
        for T, B in ((1, 1), (1, 4), (1, 7), (1, 35), (3, 2), (4, 9)):
            for options in OPTIONS:
                case = make_case(R, {"bias", "unit", "norms"}, T=T, B=B, I=19, **options)
                with named(R, T, B, options):
                    call = Call(case, instruction_set)
                    results, gradients = expected(case)
                    found = call.forward()
                    for name, array in found.items():
                        np.testing.assert_allclose(array, results[name], 1e-9, 1e-11, err_msg=name)
                    for name, array in call.backward().items():
                        np.testing.assert_allclose(
                            array, gradients[name], 1e-9, 1e-11, err_msg=name
                        )


def test_what_is_absent_is_zero_or_not_written():
    case = make_case(Recurrence("lstm", 5), {"bias"}, T=1, B=3, I=4)
    case.arrays["h0"][:], case.arrays["s0"][:] = 0, 0
    full, lean = Call(case), Call(case)
    results = full.forward()
    lean.arrays["h0"] = lean.arrays["s0"] = None
    t = lean.tape
    lean.layer.forward(
        *lean.first(),
        lean.parameters,
        t["out"],
        None,
        None,
        t["states"],
        None,
        None,
        *lean.settings,
    )
    np.testing.assert_array_equal(t["out"][0], results["h"])
    np.testing.assert_array_equal(t["states"][0], results["s"])


def spoilt(call: Call) -> dict[str, Any]:
    """Calls with one wrong argument, by what is wrong."""
    arrays, out = call.arrays, call.tape["out"]
    narrow, other = np.zeros((3, 2)), np.zeros((1, 3, 5), "float32")
    wrong: dict[str, dict[str, Any]] = {
        "inputs": {"x": np.zeros((1, 3, 3))},
        "axes": {"x": np.zeros(4)},
        "type": {"x": other},
        "layout": {"x": np.zeros((4, 3, 1)).T},
        "state": {"h0": narrow},
        "weights": {"w_hh": narrow},
        "lacking": {"w_hh": None},
        "second bias alone": {"bias": None},
        "overlap": {"h0": out[0]},
        "object": {"x": "x"},
    }
    return {what: {**arrays, **change} for what, change in wrong.items()}


def test_wrong_arguments_are_refused_and_nothing_is_written():
    case = make_case(Recurrence("lstm", 5), {"bias"}, T=1, B=3, I=4)
    for what, arrays in spoilt(Call(case)).items():
        with named(what):
            call = Call(case)
            if what == "overlap":
                arrays["h0"] = call.tape["out"][0]
            call.arrays = arrays
            with pytest.raises(REFUSALS):
                call.forward()
            assert np.isnan(call.tape["out"]).all()


def test_wrong_settings_and_tuples_are_refused():
    case = make_case(Recurrence("gru", 5), {"bias", "unit"}, T=2, B=3, I=4)
    for place, value in ((1, -2), (2, 1.5), (2, float("nan")), (3, -0.1), (4, 0), (4, 2000)):
        call = Call(case)
        settings = list(call.settings)
        settings[place] = value
        call.settings = tuple(settings)
        with pytest.raises(REFUSALS):
            call.forward()
    call = Call(case)
    call.forward()
    for lacking in ("gates", "extra"):
        call.tape, kept = {**call.tape, lacking: None}, call.tape
        with pytest.raises(REFUSALS, match="missing"):
            call.backward()
        call.tape = kept
    with pytest.raises(REFUSALS):
        call.layer.forward(*call.first(), call.parameters[:4], *[None] * 6, *call.settings)
    with pytest.raises(REFUSALS):
        call.layer.backward(*call.first(), call.parameters, (), (), (), *call.settings)
