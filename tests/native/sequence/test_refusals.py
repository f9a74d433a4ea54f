"""The sequence kernels, called with arrays that do not fit: a sentence, and nothing is written."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from carrousel.errors import SettingError
from carrousel.kernels.native import sequence
from support.kernels.sequence_calls import LAYERS, Call, refused
from support.kernels.spoilt import SPOILT, is_still_good

pytestmark = pytest.mark.native

WAYS = [(False, 0), (False, 2), (True, 0), (True, 2)]

EVERY_ARRAY = [
    (layer, learn, recompute, name)
    for layer in LAYERS
    for learn, recompute in WAYS
    for name in Call(layer, learn=learn, recompute=recompute).arrays()
]
every_array = pytest.mark.parametrize(("layer", "learn", "recompute", "name"), EVERY_ARRAY)
every_way = pytest.mark.parametrize(("learn", "recompute"), WAYS)
every_layer = pytest.mark.parametrize("layer", LAYERS)


@every_layer
@every_way
def test_the_calls_that_are_spoilt_below_are_good(layer, learn, recompute):
    Call(layer, learn=learn, recompute=recompute).run()


@every_array
def test_arrays(layer, learn, recompute, name):
    good = Call(layer, learn=learn, recompute=recompute)
    array = good.call[name]
    for how, spoil in SPOILT.items():
        spoilt = spoil(array)
        if is_still_good(spoilt, array):
            continue
        try:
            refused(good.put(name, spoilt), rf"\b{name}\b")
        except BaseException as error:
            error.add_note(how)
            raise


NEEDED = ("x", "w_hh", "w_hr", "ln_hh", "ln_c", "h0", "s0", "out", "h", "s", "dh", "ds")


@every_array
def test_none(layer, learn, recompute, name):
    call = Call(layer, learn=learn, recompute=recompute).put(name, None)
    tape = learn and name in ("states", "gates", "extra", "marks")
    # Without weights of inputs, these should be as wide as net inputs.
    widths = name == "w_ih"
    if name in NEEDED or tape or widths or (layer == "peephole" and name == "unit"):
        refused(call)
    else:
        call.run()


@every_layer
@every_way
def test_absent_arguments(layer, learn, recompute):
    good = Call(layer, learn=learn, recompute=recompute)
    unread = {"h", "s"} if learn else {name for name in good.call if name[:2] in ("d_", "dh", "ds")}
    for name in set(good.call) - unread:
        call = Call(layer, learn=learn, recompute=recompute)
        del call.call[name]
        refused(call, name)


@every_array
def test_outputs_that_may_not_be_written(layer, learn, recompute, name):
    call = Call(layer, learn=learn, recompute=recompute)
    array = call.call[name]
    array.setflags(write=False)
    if name in call.outputs and array.size:
        refused(call, rf"\b{name}\b")


def laid_over(call: Call, one: str, other: str, offset: int) -> None:
    """Both arrays in one buffer, `one` that many bytes behind `other`."""
    a, b = call.call[one], call.call[other]
    memory = np.zeros(offset + a.nbytes + b.nbytes, np.uint8)
    for name, array, at in ((other, b, 0), (one, a, offset)):
        view = memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
        call.put(name, view)


@every_array
def test_outputs_overlap_nothing(layer, learn, recompute, name):
    good = Call(layer, learn=learn, recompute=recompute)
    for output in good.outputs:
        for offset in (0, 8):
            one, other = good.call[output], good.call[name]
            if output == name or not one.size or other.nbytes <= offset:
                continue
            laid_over(good, output, name, offset)
            refused(good, "overlaps")
            good.call |= {output: one, name: other}


class Managed(ctypes.Structure):
    """The head of what DLPack hands over: data, device, ..., and how to let go of it."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("dtype", ctypes.c_uint8 * 4),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("let_go", ctypes.c_void_p),
    )


class Lent:
    """Lends memory that is full of NaN as soon as the borrower lets go of it."""

    LET_GO = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.kept, self.is_back = array, [], False

    def __dlpack__(self, **how: Any) -> Any:
        shape = (ctypes.c_int64 * self.array.ndim)(*self.array.shape)
        back = self.LET_GO(self._back)
        lent = Managed(
            *(self.array.ctypes.data, (ctypes.c_int32 * 2)(1, 0), self.array.ndim),
            *((ctypes.c_uint8 * 4)(2, 64, 1, 0), ctypes.addressof(shape), None, 0, None),
            ctypes.cast(back, ctypes.c_void_p).value,
        )
        self.kept += [shape, back, lent]
        made = ctypes.pythonapi.PyCapsule_New
        made.restype = ctypes.py_object
        made.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return made(ctypes.addressof(lent), b"dltensor", None)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def _back(self, _: int) -> None:
        self.array.fill(np.nan)
        self.is_back = True


@pytest.mark.parametrize("name", ["x", "h0", "w_hh", "drop"])
def test_memory_that_is_lent_is_held_until_the_end(name):
    """DLPack lends memory until it is let go of: not before the last step."""
    call, expected = Call(), Call()
    expected.run()
    lent = Lent(call.call[name])
    call.put(name, lent).run()
    for result in ("out", "h", "s"):
        np.testing.assert_array_equal(call.call[result], expected.call[result])
    assert lent.is_back


@pytest.mark.parametrize("dtype", ["float16", "float", "", "Float64", "complex128"])
def test_precisions(dtype):
    for learn in (False, True):
        with pytest.raises(ValueError, match="expected 'float32' or 'float64'"):
            Call(learn=learn).run(dtype)
        with pytest.raises(ValueError, match="of this precision"):
            Call(learn=learn).run("float32")


def test_what_a_call_refused_can_be_called_again():
    call, expected = Call(), Call()
    expected.run()
    x = call.call["x"]
    refused(call.put("x", None), "x")
    call.put("x", x).run()
    np.testing.assert_array_equal(call.call["out"], expected.call["out"])


def test_the_python_side_speaks_in_our_exceptions():
    good = Call()
    sequence.forward(good.R, "float64", good.call)
    spoilt: list[dict[str, Any]] = [{"h": good.call["h"].T}, {"threads": 0}, {"cut": -2}]
    for changes in spoilt:
        with pytest.raises(SettingError, match=r"sequence kernel: .*(h|threads|cut)"):
            sequence.forward(good.R, "float64", good.call | changes)
