"""Sequence kernels refuse wrong arrays with a message, and write nothing."""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import numpy as np
import pytest

from carrousel.errors import SettingError
from carrousel.kernels.native import sequence
from support.case import case
from support.kernels.sequence_calls import LAYERS, Call, refused
from support.kernels.spoilt import SPOILT, is_still_good

pytestmark = pytest.mark.native

WAYS = [(False, 0), (False, 2), (True, 0), (True, 2)]

every_way = pytest.mark.parametrize(("learn", "recompute"), WAYS)
every_layer = pytest.mark.parametrize("layer", LAYERS)


@every_layer
@every_way
def test_unchanged_calls_run(layer, learn, recompute):
    Call(layer, learn=learn, recompute=recompute).run()


@every_layer
@every_way
def test_arrays_of_a_wrong_type_shape_or_layout(layer, learn, recompute):
    call = Call(layer, learn=learn, recompute=recompute)
    for name, array in call.arrays().items():
        for how, spoil in SPOILT.items():
            spoilt = spoil(array)
            if not is_still_good(spoilt, array):
                with case(name, how):
                    refused(call.put(name, spoilt), rf"\b{name}\b")
        call.put(name, array)
    call.run()


NEEDED = ("x", "w_hh", "w_hr", "ln_hh", "ln_c", "h0", "s0", "out", "h", "s", "dh", "ds")


@every_layer
@every_way
def test_none_is_refused_for_arrays_that_are_needed(layer, learn, recompute):
    for name in Call(layer, learn=learn, recompute=recompute).arrays():
        call = Call(layer, learn=learn, recompute=recompute).put(name, None)
        tape = learn and name in ("states", "gates", "extra", "marks")
        # Without weights of inputs, these should be as wide as net inputs.
        widths = name == "w_ih"
        with case(name):
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
        with case(name):
            refused(call, name)


@every_layer
@every_way
def test_read_only_outputs(layer, learn, recompute):
    call = Call(layer, learn=learn, recompute=recompute)
    for name in call.outputs:
        array = call.call[name]
        if array.size:
            array.setflags(write=False)
            with case(name):
                refused(call, rf"\b{name}\b")
            array.setflags(write=True)
    call.run()


def overlap(call: Call, one: str, other: str, offset: int) -> None:
    """Put both arrays into one buffer, ``one`` ``offset`` bytes after ``other``."""
    a, b = call.call[one], call.call[other]
    memory = np.zeros(offset + a.nbytes + b.nbytes, np.uint8)
    for name, array, at in ((other, b, 0), (one, a, offset)):
        view = memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
        call.put(name, view)


@every_layer
@every_way
def test_outputs_that_overlap_other_arrays(layer, learn, recompute):
    call = Call(layer, learn=learn, recompute=recompute)
    for name, output in itertools.product(call.arrays(), call.outputs):
        for offset in (0, 8):
            one, other = call.call[output], call.call[name]
            if output == name or not one.size or other.nbytes <= offset:
                continue
            overlap(call, output, name, offset)
            with case(name, output, offset):
                refused(call, "overlaps")
            call.call |= {output: one, name: other}


class Managed(ctypes.Structure):
    """The first fields of DLPack's ``DLManagedTensor``."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("dtype", ctypes.c_uint8 * 4),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class Lent:
    """A DLPack array whose memory is filled with NaN when the borrower releases it."""

    DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.kept, self.released = array, [], False

    def __dlpack__(self, **how: Any) -> Any:
        shape = (ctypes.c_int64 * self.array.ndim)(*self.array.shape)
        deleter = self.DELETER(self._release)
        lent = Managed(
            *(self.array.ctypes.data, (ctypes.c_int32 * 2)(1, 0), self.array.ndim),
            *((ctypes.c_uint8 * 4)(2, 64, 1, 0), ctypes.addressof(shape), None, 0, None),
            ctypes.cast(deleter, ctypes.c_void_p).value,
        )
        self.kept += [shape, deleter, lent]
        made = ctypes.pythonapi.PyCapsule_New
        made.restype = ctypes.py_object
        made.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return made(ctypes.addressof(lent), b"dltensor", None)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def _release(self, _: int) -> None:
        self.array.fill(np.nan)
        self.released = True


@pytest.mark.parametrize("name", ["x", "h0", "w_hh", "drop"])
def test_dlpack_memory_is_released_after_the_last_step(name):
    call, expected = Call(), Call()
    expected.run()
    lent = Lent(call.call[name])
    call.put(name, lent).run()
    for result in ("out", "h", "s"):
        np.testing.assert_array_equal(call.call[result], expected.call[result])
    assert lent.released


@pytest.mark.parametrize("learn", [False, True], ids=["forward", "backward"])
def test_wrong_precisions(learn):
    for dtype in ("float16", "float", "", "Float64", "complex128"):
        with case(dtype), pytest.raises(ValueError, match="expected 'float32' or 'float64'"):
            Call(learn=learn).run(dtype)
    with pytest.raises(ValueError, match="of this precision"):
        Call(learn=learn).run("float32")


def test_a_call_can_be_repeated_after_an_error():
    call, expected = Call(), Call()
    expected.run()
    x = call.call["x"]
    refused(call.put("x", None), "x")
    call.put("x", x).run()
    np.testing.assert_array_equal(call.call["out"], expected.call["out"])


def test_python_functions_raise_setting_errors():
    good = Call()
    sequence.forward(good.R, "float64", good.call)
    spoilt: list[dict[str, Any]] = [{"h": good.call["h"].T}, {"threads": 0}, {"cut": -2}]
    for changes in spoilt:
        with pytest.raises(SettingError, match=r"sequence kernel: .*(h|threads|cut)"):
            sequence.forward(good.R, "float64", good.call | changes)
