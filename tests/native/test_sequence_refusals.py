"""The sequence kernels, called with arrays that do not fit: a sentence, and nothing is written."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import sequence_runs
from carrousel.contracts import CellKind, describe_cell
from carrousel.kernels.sequence import extra_width, open_sequence
from carrousel.shapes import SettingError
from recurrent_cases import make_case
from sequence_calls import EVERYTHING, LAYERS, REFUSALS, SPOILT, B, Call, T, is_still_good, refused

pytestmark = [pytest.mark.native, pytest.mark.wrong_types]

both_layers = pytest.mark.parametrize("layer", LAYERS)
both_ways = pytest.mark.parametrize("learn", [False, True], ids=["forward", "backward"])


@both_layers
@both_ways
def test_the_calls_that_are_spoilt_below_are_good(layer, learn):
    Call(layer, learn=learn).run()


# --- arrays --------------------------------------------------------------------------------------


def array_names(layer: str, learn: bool) -> list[str]:
    return list(Call(layer, learn=learn).arrays())


EVERY_ARRAY = [
    (layer, learn, name)
    for layer in LAYERS
    for learn in (False, True)
    for name in array_names(layer, learn)
]


@pytest.mark.parametrize(("layer", "learn", "name"), EVERY_ARRAY)
def test_arrays(layer, learn, name):
    for how, spoil in SPOILT.items():
        call = Call(layer, learn=learn)
        array = call.place(name)[name]
        spoilt = spoil(array)
        if is_still_good(spoilt, array):
            continue
        call.put(name, spoilt)
        try:
            refused(call, rf"\b{name}\b")
        except BaseException as error:
            error.add_note(how)
            raise


NEEDED = {
    (False, "x"), (False, "out"), (False, "h"), (False, "s"), (False, "w_hh"),
    *[(True, name) for name in ("out", "states", "gates", "extra", "h_enter", "s_enter", "d_x",
                                "d_r", "d_projected", "h", "s", "w_hh")],
    *[(learn, name) for learn in (False, True) for name in ("w_hr", "ln_hh", "ln_c")],
}  # fmt: skip


@pytest.mark.parametrize(("layer", "learn", "name"), EVERY_ARRAY)
def test_none(layer, learn, name):
    call = Call(layer, learn=learn).put(name, None)
    needed = (learn, name) in NEEDED or (layer == "peephole" and name == "unit")
    if needed:
        refused(call)
    else:
        call.run()


@both_layers
@both_ways
def test_absent_arguments(layer, learn):
    for name in [*Call(layer, learn=learn).weights, *Call(layer, learn=learn).window]:
        call = Call(layer, learn=learn)
        del call.place(name)[name]
        if name in ("d_r", "d_projected") or name in call.opening:
            refused(call)
        else:
            refused(call, name)


OUTPUTS = {
    False: ("h", "s", "out", "states", "gates", "extra"),
    True: ("h", "s", "d_x", "d_r", "d_projected"),
}


@pytest.mark.parametrize(("layer", "learn", "name"), EVERY_ARRAY)
def test_outputs_that_may_not_be_written(layer, learn, name):
    call = Call(layer, learn=learn)
    if name not in OUTPUTS[learn]:
        return
    call.place(name)[name].setflags(write=False)
    if call.place(name)[name].size:
        refused(call, rf"\b{name}\b")


def laid_over(call: Call, one: str, other: str, offset: int) -> None:
    """Both arrays in one buffer, `one` that many bytes behind `other`."""
    arrays = call.arrays()
    a, b = arrays[one], arrays[other]
    memory = np.zeros(offset + a.nbytes + b.nbytes, np.uint8)
    for name, array, at in ((other, b, 0), (one, a, offset)):
        view = memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
        call.put(name, view)


@pytest.mark.parametrize(("layer", "learn", "name"), EVERY_ARRAY)
def test_outputs_overlap_nothing(layer, learn, name):
    for output in OUTPUTS[learn]:
        call = Call(layer, learn=learn)
        arrays = call.arrays()
        if output == name or output not in arrays or not arrays[output].size:
            continue
        if not arrays[name].size:
            continue
        for offset in (0, 8):
            call = Call(layer, learn=learn)
            laid_over(call, output, name, offset)
            if arrays[name].nbytes <= offset:
                continue
            if {output, name} == {"gates", "x"} and offset == 0:
                call.run()  # gates take the place of net inputs
            else:
                refused(call, "overlaps")


def test_gates_of_described_cells_do_not_take_the_place_of_inputs():
    describe_cell("user:refused", CellKind(("a",)))
    call = Call("gru")
    call.description |= {"kind": 8, "net_inputs": 3, "unit_parameters": 0, "tape": 1}
    call.description |= {"forward": 1, "backward": 1}  # never called
    call.weights |= {"w_hh": np.zeros((3, 3)), "bias": None, "unit": None}
    memory = np.zeros((T, B, 3))
    call.window |= {"x": memory, "gates": memory, "extra": np.zeros((T, B, 3))}
    refused(call, "overlaps")


class Temporary:
    """Speaks DLPack of a copy that nobody else holds."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.made = array, []

    def __dlpack__(self, **how: Any) -> Any:
        copy = self.array.copy()
        self.made.append(weakref.ref(copy))
        return copy.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


@pytest.mark.xfail(
    strict=True,
    reason="Arrays::take holds the object, not the array it imported: memory that the object made "
    "for the occasion is freed before the kernel reads and writes it",
)
@pytest.mark.parametrize("name", ["h", "s", "w_hh", "drop"])
def test_memory_made_for_the_occasion_lives_as_long_as_the_call(name):
    call = Call()
    given = Temporary(call.place(name)[name])
    call.put(name, given)
    sequence = call.open()
    gc.collect()
    alive = [memory() is not None for memory in given.made]
    del sequence
    assert alive
    assert all(alive)


# --- the order of calls --------------------------------------------------------------------------


@both_layers
def test_one_way_does_not_go_the_other(layer):
    ahead, back = Call(layer), Call(layer, learn=True)
    with pytest.raises(ValueError, match="made for the way forward"):
        ahead.open().backward(back.window)
    with pytest.raises(ValueError, match="made for the way back"):
        back.open().forward(ahead.window)
    with pytest.raises(ValueError, match="only the way back"):
        ahead.open().collect(dict.fromkeys(sequence_runs.GATHERED))


@pytest.mark.parametrize("name", ["flags", "drop"])
@both_ways
def test_sources_must_be_kept_for_flags_and_dropout(name, learn):
    call = Call(learn=learn).put("sources", False)
    other = "drop" if name == "flags" else "flags"
    call.put(other, None)
    width = extra_width(call.R, False)
    refused(
        call.put("extra", np.zeros((T, B, width))), f"{name} needs? sources|{name} need sources"
    )


def test_errors_are_gathered_in_arrays_that_fit():
    sequence = Call(learn=True).open()
    good = {name: None for name in sequence_runs.GATHERED}
    sequence.collect(good)
    shapes = {"unit": (3, 3), "ln_hh": (12,), "ln_c": (2, 3), "fresh_h": (2,), "fresh_s": (3,)}
    for name, shape in shapes.items():
        sequence.collect(good | {name: np.zeros(shape)})
        for how, spoil in SPOILT.items():
            if shape[0] == 1 and how in ("backwards", "strided"):
                continue
            with pytest.raises(REFUSALS, match=rf"\b{name}\b"):
                sequence.collect(good | {name: spoil(np.zeros(shape))})
        with pytest.raises(KeyError, match=name):
            sequence.collect({key: None for key in good if key != name})


@pytest.mark.xfail(strict=True, reason="collect compares its arrays with nothing")
def test_errors_are_not_gathered_over_one_another():
    call = Call(learn=True)
    good: dict[str, Any] = dict.fromkeys(sequence_runs.GATHERED)
    for into in ({"unit": call.weights["unit"]}, {"fresh_s": call.weights["fresh_s"]}):
        with pytest.raises(REFUSALS, match="overlaps"):
            call.open().collect(good | into)


def test_a_refused_window_leaves_the_call_usable():
    call = Call()
    expected = Call()
    expected.run()
    sequence = call.open()
    with pytest.raises(ValueError, match="x"):
        sequence.forward(call.window | {"x": None})
    sequence.forward(call.window)
    np.testing.assert_array_equal(call.window["out"], expected.window["out"])


def test_the_python_side_speaks_in_our_exceptions():
    case = make_case(LAYERS["gru"], EVERYTHING, T=T, B=B)
    arrays = sequence_runs.completed(case, "float64")
    weights = {name: arrays.get(name) for name in sequence_runs.WEIGHTS}
    good: dict[str, Any] = {"batch": B, "threads": 1, "cut": 0, "learn": False, "sources": True}
    good |= {"h": arrays["h0"], "s": arrays["s0"]}
    open_sequence(LAYERS["gru"], "float64", weights, **good)
    spoilt: list[dict[str, Any]] = [
        {"batch": 3},
        {"threads": 0},
        {"h": arrays["h0"].T},
        {"cut": -2},
    ]
    for changes in spoilt:
        with pytest.raises(SettingError, match=r"sequence kernel: .*(h|threads|cut)"):
            open_sequence(LAYERS["gru"], "float64", weights, **(good | changes))
