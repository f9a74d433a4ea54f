"""Drawn data: calls whose arrays or numbers do not fit are refused before anything is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import _native
from support.case import case

pytestmark = pytest.mark.native

OFFSETS = np.array([0, 12, 24])
F32, I32 = np.float32, np.int32


def empty(*shape: int, dtype: Any = F32) -> np.ndarray:
    return np.full(shape, 77, dtype)


def pairs(**changed: Any) -> dict[str, Any]:
    usual = dict(
        key=1, offsets=OFFSETS, inputs=empty(24, 2), targets=empty(2, 1), length=11,
        product=False, hide_value=True, hide_marker=False, skip_first=False, second_counts=False,
    )  # fmt: skip
    return usual | changed


def two_classes(**changed: Any) -> dict[str, Any]:
    usual = dict(
        key=1, offsets=OFFSETS, inputs=empty(24, 1), targets=empty(2, 1), informative=3,
        noisy=False, deviation=0.5, first_goal=0.2, second_goal=0.8, target_deviation=0.0,
    )  # fmt: skip
    return usual | changed


def latched(**changed: Any) -> dict[str, Any]:
    usual = dict(
        key=1, offsets=OFFSETS, inputs=empty(24, 3), targets=empty(2, 1), wide=True,
        deviation=0.5, goal=0.8,
    )  # fmt: skip
    return usual | changed


def ones(**changed: Any) -> dict[str, Any]:
    usual = dict(
        key=1, offsets=OFFSETS, inputs=empty(24, 1), targets=empty(2, 1), pause=1, noise=0.5
    )
    return usual | changed


def lags(**changed: Any) -> dict[str, Any]:
    usual = dict(
        key=1, p=5, first_target=0, inputs=empty(12, dtype=I32), targets=empty(10, dtype=I32),
        target_steps=empty(10, dtype=np.int64),
    )  # fmt: skip
    return usual | changed


def long_lags(**changed: Any) -> dict[str, Any]:
    usual = dict(
        key=1, offsets=OFFSETS, p=5, inputs=empty(24, dtype=I32), targets=empty(2, dtype=I32)
    )
    return usual | changed


def order(**changed: Any) -> dict[str, Any]:
    usual = dict(
        key=1, offsets=OFFSETS, places=[(1, 3), (5, 10)], inputs=empty(24, dtype=I32),
        targets=empty(2, dtype=I32),
    )  # fmt: skip
    return usual | changed


def copies(**changed: Any) -> dict[str, Any]:
    usual = dict(
        symbols=np.arange(5, dtype=I32), set_offsets=np.array([0, 2, 5]), picks=np.array([1, 0]),
        offsets=np.array([0, 3, 5]), inputs=empty(5, dtype=I32), targets=empty(3, dtype=I32),
        target_steps=empty(3, dtype=np.int64),
    )  # fmt: skip
    return usual | changed


AFTER = np.array([[1, -1], [-1, 0]], I32)  # 0 1 0 1 ...


def walk(**changed: Any) -> dict[str, Any]:
    usual = dict(
        after=AFTER, symbols=np.array([0, 1, 0, 1], I32), offsets=np.array([0, 2, 4]),
        states=empty(4, dtype=np.int64),
    )  # fmt: skip
    return usual | changed


def judge(**changed: Any) -> dict[str, Any]:
    usual = walk() | dict(
        target_steps=np.array([0, 2]), target_offsets=np.array([0, 1, 2]),
        outputs=np.zeros((2, 2), F32), right=np.zeros(2, bool),
    )  # fmt: skip
    del usual["states"]
    return usual | changed


def normals(**changed: Any) -> dict[str, Any]:
    return dict(key=1, stream=0, deviation=1.0, values=empty(200)) | changed


def lengths(**changed: Any) -> dict[str, Any]:
    return dict(key=1, least=5, most=9, offsets=empty(4, dtype=np.int64)) | changed


def geometric(**changed: Any) -> dict[str, Any]:
    return dict(key=1, least=5, offsets=empty(4, dtype=np.int64)) | changed


def words(**changed: Any) -> dict[str, Any]:
    usual = dict(key=1, stream=0, attempt=0, number=0, words=empty(128, dtype=np.uint32))
    return usual | changed


def gaussians(**changed: Any) -> dict[str, Any]:
    usual = dict(words=np.zeros(256, np.uint32), deviation=1.0, values=empty(256))
    return usual | changed


def picks(**changed: Any) -> dict[str, Any]:
    return dict(key=1, count=3, picks=empty(4, dtype=np.int64)) | changed


CALLS = {
    _native.draw_pairs: pairs,
    _native.draw_two_classes: two_classes,
    _native.draw_latched: latched,
    _native.draw_ones: ones,
    _native.draw_lags: lags,
    _native.draw_long_lags: long_lags,
    _native.draw_order: order,
    _native.copy_strings: copies,
    _native.walk_strings: walk,
    _native.judge_strings: judge,
    _native.draw_gaussians: normals,
    _native.draw_lengths: lengths,
    _native.draw_geometric_lengths: geometric,
    _native.draw_panel: words,
    _native.gaussians: gaussians,
    _native.draw_picks: picks,
}


def written(given: dict[str, Any]) -> list[str]:
    """Names of the arrays that a call writes: they are filled with 77 before."""
    arrays = [name for name, value in given.items() if isinstance(value, np.ndarray)]
    return [name for name in arrays if (given[name] == 77).all() or name == "right"]


def refused(call: Any, given: dict[str, Any], match: str | None = None) -> None:
    """The call raises, and all arrays still have their old contents."""
    before = {name: np.array(x) for name, x in given.items() if isinstance(x, np.ndarray)}
    with case(call.__name__, given), pytest.raises((ValueError, TypeError), match=match):
        call(**given)
    for name, array in before.items():
        np.testing.assert_array_equal(given[name], array)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_good_calls_write_everything_and_nothing_else(call):
    given = CALLS[call]()
    assert written(given)
    for name in written(given):
        array = given[name]
        guarded = np.full(array.size + 32, 77).astype(array.dtype)
        given[name] = guarded[16:-16].reshape(array.shape)
    call(**given)
    for name, array in CALLS[call]().items():
        if name in written(CALLS[call]()):
            guarded = given[name].base
            assert name == "right" or not (given[name] == array).any(), name
            np.testing.assert_array_equal(guarded[:16], np.full(16, 77).astype(array.dtype))
            np.testing.assert_array_equal(guarded[-16:], np.full(16, 77).astype(array.dtype))
        elif isinstance(array, np.ndarray):
            np.testing.assert_array_equal(given[name], array)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_arrays_that_do_not_fit_are_refused(call):
    usual = CALLS[call]()
    for name in [name for name, value in usual.items() if isinstance(value, np.ndarray)]:
        array = usual[name]
        readonly = array.copy()
        readonly.setflags(write=False)
        wrong: list[Any] = [
            array.astype(np.float16),
            array.astype(">" + array.dtype.str[1:]) if array.dtype.itemsize > 1 else None,
            np.repeat(array, 2, axis=0)[::2],
            array[None],
            None,
            array.tolist(),
        ]
        free = {"symbols", "after", "words", "picks", "set_offsets", "offsets", "values"}
        if name not in free or call in (_native.draw_panel, _native.gaussians):
            wrong += [array[:-1].copy(), np.concatenate([array, array[-1:]])]
        if name in written(usual):
            wrong.append(readonly)
        for bad in wrong:
            if not (name == "after" and isinstance(bad, np.ndarray) and bad.ndim == 2):
                refused(call, CALLS[call](**{name: bad}))


def test_overlapping_arrays_are_refused():
    block = np.zeros(400, F32)
    inputs, targets = block[:48].reshape(24, 2), block[40:42].reshape(2, 1)
    refused(_native.draw_pairs, pairs(inputs=inputs, targets=targets), "overlaps")
    both = np.arange(10, dtype=I32)
    refused(_native.copy_strings, copies(symbols=both[:5], inputs=both[3:8]), "overlaps")


@pytest.mark.parametrize(
    ("call", "changed", "match"),
    [
        (_native.draw_pairs, {"offsets": np.array([0, 10, 24])}, "sequence 0"),
        (_native.draw_pairs, {"offsets": np.array([1, 12, 24])}, r"offsets\[0\] is 1"),
        (_native.draw_pairs, {"offsets": np.array([0, 24, 12])}, "sequence 1"),
        (_native.draw_pairs, {"offsets": np.array([0, 2**62, 24])}, "sequence 0"),
        (_native.draw_pairs, {"offsets": np.array([0])}, "offsets has 1 entry"),
        (_native.draw_pairs, {"length": 10}, "length is 10"),
        (_native.draw_pairs, {"length": 2**30}, "length is"),
        (_native.draw_pairs, {"length": 13}, "at least 13 steps"),
        (_native.draw_two_classes, {"informative": 0}, "informative is 0"),
        (_native.draw_two_classes, {"informative": 13}, "at least 13 steps"),
        (_native.draw_two_classes, {"deviation": -1.0}, "deviation"),
        (_native.draw_two_classes, {"deviation": np.nan}, "deviation"),
        (_native.draw_two_classes, {"first_goal": np.inf}, "first_goal"),
        (_native.draw_two_classes, {"target_deviation": 1e300}, "target_deviation"),
        (_native.draw_latched, {"wide": False}, "inputs"),
        (_native.draw_latched, {"goal": np.nan}, "goal"),
        (_native.draw_ones, {"pause": -1}, "pause is -1"),
        (_native.draw_ones, {"pause": 12}, "at least 13 steps"),
        (_native.draw_ones, {"noise": np.inf}, "noise"),
        (_native.draw_lags, {"p": 1}, "p is 1"),
        (_native.draw_lags, {"p": 2**24}, "p is"),
        (_native.draw_lags, {"first_target": 5}, "first_target is 5"),
        (_native.draw_lags, {"inputs": empty(13, dtype=I32)}, "number of inputs"),
        (_native.draw_long_lags, {"p": 0}, "p is 0"),
        (_native.draw_long_lags, {"offsets": np.array([0, 2, 24])}, "at least 3 steps"),
        (_native.draw_order, {"places": []}, "number of places is 0"),
        (_native.draw_order, {"places": [(1, 2)] * 4}, "number of places is 4"),
        (_native.draw_order, {"places": [(0, 2)]}, "a place is 0"),
        (_native.draw_order, {"places": [(1, 11)]}, "at least 13 steps"),
        (_native.draw_order, {"places": [(1, 5), (5, 7)]}, "a place is 5"),
        (_native.draw_order, {"places": [(3, 2)]}, "a place is 2"),
        (_native.copy_strings, {"picks": np.array([1, 2])}, "a pick is 2"),
        (_native.copy_strings, {"picks": np.array([1, -1])}, "a pick is -1"),
        (_native.copy_strings, {"offsets": np.array([0, 2, 5])}, "as its string"),
        (_native.walk_strings, {"symbols": np.array([0, 1, 0, 2], I32)}, "a symbol is 2"),
        (_native.walk_strings, {"symbols": np.array([0, 1, 0, -1], I32)}, "a symbol is -1"),
        (_native.walk_strings, {"after": np.array([[2, -1], [-1, 0]], I32)}, "a state is 2"),
        (_native.walk_strings, {"after": np.array([[1, -2], [-1, 0]], I32)}, "a state is -2"),
        (_native.judge_strings, {"target_offsets": np.array([0, 2, 1])}, "must ascend"),
        (_native.judge_strings, {"target_offsets": np.array([1, 1, 2])}, "must ascend"),
        (_native.judge_strings, {"target_offsets": np.array([0, 1, 5])}, "must ascend"),
        (_native.draw_gaussians, {"deviation": np.nan}, "deviation"),
        (_native.draw_lengths, {"least": 0}, "least is 0"),
        (_native.draw_lengths, {"most": 4}, "most is 4"),
        (_native.draw_lengths, {"most": 2**40}, "most is"),
        (_native.draw_geometric_lengths, {"least": 0}, "least is 0"),
        (_native.draw_picks, {"count": 0}, "count is 0"),
        (_native.draw_picks, {"count": 2**31}, "count is"),
        (_native.gaussians, {"words": np.zeros(100, np.uint32)}, "multiple of 128"),
        (_native.gaussians, {"deviation": -0.5}, "deviation"),
        (_native.draw_panel, {"instruction_set": "mmx"}, "not available"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(call, changed, match):
    refused(call, CALLS[call](**changed), match)
