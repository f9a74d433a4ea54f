"""Sequences: slicing, joining, conversion from and to lists, and refused calls."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network
from carrousel.errors import CarrouselError, DataError, ShapeError
from carrousel.sequences import Sequences, within
from support.case import case
from support.drawn import Kind, drawn_data, kinds, seeds

FIELDS = [field.name for field in dataclasses.fields(Sequences)]


def assert_same(one: Sequences, two: Sequences) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
        assert (
            getattr(one, name) is getattr(two, name)
            or np.asarray(getattr(one, name)).dtype == np.asarray(getattr(two, name)).dtype
        )


@st.composite
def batches(draw: st.DrawFn, *, least: int = 0) -> Sequences:
    """Up to 6 sequences of up to 5 steps: values or symbols, targets at any steps."""
    network = Network(draw(st.integers(1, 3)), draw(st.integers(1, 3)), Cell(1, 1))
    lengths = draw(st.lists(st.integers(1, 5), min_size=least, max_size=6))
    return drawn_data(network, np.random.default_rng(draw(seeds)), draw(kinds), lengths)


def as_lists(data: Sequences) -> list[tuple[list, list, list]]:
    """Each sequence as plain lists: inputs, targets, and the steps of these within it."""
    found = []
    for n in range(len(data)):
        a, b = data.offsets[n], data.offsets[n + 1]
        inside = (a <= data.target_steps) & (data.target_steps < b)
        steps = data.target_steps[inside] - a
        found.append((data.inputs[a:b].tolist(), data.targets[inside].tolist(), steps.tolist()))
    return found


@given(batches(), st.data())
def test_a_slice_is_the_slice_of_a_list(data, draw):
    part = draw.draw(st.slices(len(data)).filter(lambda s: s.step in (None, 1)))
    sliced = data[part]
    assert as_lists(sliced) == as_lists(data)[part]
    assert len(sliced) == len(sliced.lengths) == len(range(len(data))[part])


@given(batches(least=1))
def test_slices_copy_nothing(data):
    part = data[: len(data)]
    for name in ("inputs", "targets"):
        whole, view = getattr(data, name), getattr(part, name)
        assert np.shares_memory(whole, view) or not whole.size
    with pytest.raises(ShapeError, match="take no step, got 2; use take"):
        data[::2]
    for index in (0, -1, np.int64(0), [0]):
        with case(index), pytest.raises(ShapeError, match="Sequences take slices, got"):
            data[index]


@given(batches(least=1), st.data())
def test_take_picks_sequences_like_a_list(data, draw):
    picks = draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=8))
    taken = data.take(np.array(picks, np.int64))
    assert as_lists(taken) == [as_lists(data)[n] for n in picks]
    for name in ("inputs", "targets"):
        assert not np.shares_memory(getattr(taken, name), getattr(data, name))


@given(batches(), st.data())
def test_take_refuses_indices_out_of_range(data, draw):
    wrong = draw.draw(st.integers(-3, len(data) + 3).filter(lambda n: not 0 <= n < len(data)))
    with pytest.raises(DataError, match=rf"indices must lie in 0\.\.{len(data) - 1}"):
        data.take(np.array([wrong]))


@given(batches(least=1), st.data())
def test_concatenate_undoes_slicing(data, draw):
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert_same(Sequences.concatenate(parts), data)
    assert_same(Sequences.concatenate(list(data)), data)


def test_concatenate_needs_parts_of_one_kind():
    one = Sequences.from_lists([[0, 1]], [[1]], n_inputs=2, n_outputs=2)
    with pytest.raises(DataError, match="at least one part"):
        Sequences.concatenate([])
    for other in (
        Sequences.from_lists([[0, 1]], [[1]], n_inputs=3, n_outputs=2),
        Sequences.from_lists([[0, 1]], [[1]], n_inputs=2, n_outputs=3),
        Sequences.from_lists([[0, 1]], [[[1.0, 2.0]]], n_inputs=2),
    ):
        with pytest.raises(ShapeError, match="parts differ in kind"):
            Sequences.concatenate([one, other])


@given(batches())
def test_mask_marks_the_steps_of_targets(data):
    mask = data.mask
    assert mask.shape == (data.n_steps,)
    np.testing.assert_array_equal(np.flatnonzero(mask), data.target_steps)
    counts = [mask[a:b].sum() for a, b in zip(data.offsets, data.offsets[1:], strict=False)]
    np.testing.assert_array_equal(np.diff(data.target_offsets), counts)


@given(batches())
def test_counts_and_bytes(data):
    assert data.n_steps == data.lengths.sum() == len(data.inputs)
    arrays = [getattr(data, name) for name in FIELDS if not name.startswith("n_")]
    assert data.nbytes == sum(array.itemsize * array.size for array in arrays)
    assert data.symbolic == (data.inputs.dtype == np.int32)


@given(batches())
def test_dense_rows_are_one_hot(data):
    for dense, units, width in (
        (data.dense_inputs(), data.inputs, data.n_inputs),
        (data.dense_targets(), data.targets, data.n_outputs),
    ):
        assert dense.shape == (len(units), width)
        assert dense.dtype == np.float32
        expected = np.eye(width, dtype=np.float32)[units] if units.ndim == 1 else units
        np.testing.assert_array_equal(dense, expected)


@given(batches(least=1))
def test_from_lists_restores_sequences(data):
    """Where targets belong to the last steps of each sequence, lists contain everything."""
    parts = as_lists(data)
    ends = [len(inputs) for inputs, _, _ in parts]
    late = all(
        steps == list(range(end - len(steps), end))
        for end, (_, _, steps) in zip(ends, parts, strict=True)
    )
    if not late or not len(data.targets):
        return
    inputs = [np.array(part[0], data.inputs.dtype) for part in parts]
    width = data.targets.shape[1:]
    targets = [np.array(part[1], data.targets.dtype).reshape(-1, *width) for part in parts]
    sizes = {"n_inputs": data.n_inputs, "n_outputs": data.n_outputs}
    assert_same(Sequences.from_lists(inputs, targets, **sizes), data)


def test_from_lists_distinguishes_symbols_from_values():
    symbols = Sequences.from_lists([[0, 2]], [[1]])
    assert (symbols.symbolic, symbols.n_inputs, symbols.n_outputs) == (True, 3, 2)
    values = Sequences.from_lists([[0.0, 2.0]], [[1.0]])
    assert (values.symbolic, values.n_inputs, values.n_outputs) == (False, 1, 1)
    truth = Sequences.from_lists([[True, False]], [[True]])
    assert truth.inputs.tolist() == [1, 0]
    wide = Sequences.from_lists([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], [[0.5], []])
    assert (wide.n_inputs, wide.lengths.tolist()) == (2, [1, 2])
    assert wide.target_steps.tolist() == [0]


def test_there_may_be_no_sequences():
    none = Sequences.from_lists([], [])
    assert (len(none), none.n_steps, list(none), none.lengths.tolist()) == (0, 0, [], [])
    assert len(none.take(np.zeros(0, np.int64))) == len(none[0:0]) == 0


REFUSED = (
    ([[1.0]], [], {}, ShapeError, "1 input sequences but 0 target sequences"),
    ([[1.0]], [[1.0, 2.0]], {}, ShapeError, "sequence 0 has 1 steps but 2 targets"),
    ([[1.0], []], [[1.0], []], {}, DataError, "sequence 1 is empty"),
    ([[1.0], [1]], [[1.0], [1.0]], {}, ShapeError, "inputs mix"),
    ([[[1.0, 2.0]], [[1.0]]], [[1.0], [1.0]], {}, ShapeError, "inputs mix"),
    ([[np.nan]], [[1.0]], {}, DataError, r"inputs\[0\] = \[nan\] is not finite"),
    ([[1.0]], [[-np.inf]], {}, DataError, r"targets\[0\] .* is not finite"),
    ([[-1]], [[1.0]], {}, DataError, r"inputs\[0\] holds a symbol outside"),
    ([[2**31]], [[1.0]], {}, DataError, r"inputs\[0\] holds a symbol outside"),
    ([[3]], [[1.0]], {"n_inputs": 3}, DataError, r"inputs\[0\] = 3 .* alphabet 0\.\.2"),
    ([[0]], [[2]], {"n_outputs": 2}, DataError, r"targets\[0\] = 2 .* alphabet 0\.\.1"),
    ([[1.0]], [[1.0]], {"n_inputs": 2}, ShapeError, "n_inputs = 2"),
    ([[[0, 1]]], [[1.0]], {}, ShapeError, "symbols take one dimension"),
    ([[[[1.0]]]], [[1.0]], {}, ShapeError, "shape"),
    ([1.0], [[1.0]], {}, ShapeError, "shape"),
    ([["a"]], [[1.0]], {}, ShapeError, r"inputs\[0\] holds text"),
    ([[1j]], [[1.0]], {}, ShapeError, "type complex128"),
    ([[None]], [[1.0]], {}, ShapeError, "type object"),
    # numbers and text in place of lists
    (1, 2, {}, ShapeError, "inputs is 1, expected a list with one entry for each sequence"),
    ([[1.0]], 2, {}, ShapeError, "targets is 2, .* pass \\[\\[target\\] for target in targets"),
    (np.array(1.0), [[1]], {}, ShapeError, "inputs is array"),
    ("ab", [[1], [1]], {}, ShapeError, "inputs is 'ab'"),
    ({0: [1.0]}, [[1]], {}, ShapeError, "inputs is {0"),
    ((row for row in [[1.0]]), [[1]], {}, ShapeError, "inputs is <generator"),
    ([[1.0]], None, {}, ShapeError, "targets is None"),
    # one label per sequence, without its list
    ([[1.0], [2.0]], [0, 1], {}, ShapeError, r"targets\[0\] is the number 0"),
    ([[1.0], [2.0]], np.array([0.5, 1]), {}, ShapeError, r"targets\[0\] is the number 0\.5"),
    ([[1.0], [2.0]], ["no", "yes"], {}, ShapeError, r"targets\[0\] holds text"),
    ([[1.0]], [["yes"]], {}, ShapeError, "number the classes: names = sorted"),
    ([[1.0]], [["yes", None]], {}, ShapeError, "number the classes: names = sorted"),
    ([[b"a"]], [[1.0]], {}, ShapeError, "replace each symbol by its index"),
    # in any case an error of ours
    ([[[1.0], [1.0, 2.0]]], [[1.0]], {}, CarrouselError, "ragged"),
    ([np.zeros((3, 0))], [[1.0]], {}, CarrouselError, r"shape \(3, 0\)"),
    ([[1e300]], [[1.0]], {}, CarrouselError, "not finite"),  # beyond float32
    ([[0, 1]], [[1.0]], {"n_inputs": "two"}, CarrouselError, "n_inputs is 'two'"),
    ([[0, 1]], [[1.0]], {"n_inputs": 2.5}, CarrouselError, r"n_inputs is 2\.5"),
)


def test_from_lists_refuses():
    refused: Any = REFUSED
    for inputs, targets, sizes, error, match in refused:
        with case(inputs, targets, sizes), pytest.raises(error, match=match) as caught:
            Sequences.from_lists(inputs, targets, **sizes)
        with case(inputs, targets, sizes):
            assert caught.value.argument in ("inputs", "targets", "n_inputs", "n_outputs")


def valid() -> dict:
    return {
        "inputs": np.zeros((5, 2), np.float32),
        "n_inputs": 2,
        "offsets": np.array([0, 2, 5]),
        "targets": np.zeros((2, 1), np.float32),
        "n_outputs": 1,
        "target_steps": np.array([1, 4]),
    }


WRONG_FIELDS = (
    ("inputs", [[0.0, 0.0]] * 5, ShapeError, "inputs is a list, expected a NumPy array"),
    ("inputs", None, ShapeError, "NoneType"),
    ("inputs", np.zeros((5, 2)), ShapeError, r"inputs has shape \(5, 2\) and type float64"),
    ("inputs", np.zeros((5, 3), np.float32), ShapeError, "n_inputs = 2"),
    ("inputs", np.zeros((5, 2, 1), np.float32), ShapeError, r"\(5, 2, 1\)"),
    ("inputs", np.zeros(5, np.int64), ShapeError, "int32 symbols"),
    ("inputs", np.zeros(5, np.float32), ShapeError, "int32 symbols"),
    ("inputs", np.zeros((4, 2), np.float32), DataError, "offsets must run from 0 to .* 4"),
    ("n_inputs", 3, ShapeError, "n_inputs = 3"),
    ("n_inputs", 0, ShapeError, "n_inputs = 0"),
    ("n_inputs", -2, ShapeError, "n_inputs = -2"),
    ("targets", np.zeros((2, 1)), ShapeError, "targets has shape"),
    ("targets", np.zeros((3, 1), np.float32), ShapeError, "2 entries for 3 targets"),
    ("n_outputs", 2, ShapeError, "n_outputs = 2"),
    ("offsets", [0, 2, 5], ShapeError, "offsets must be a one-dimensional int64 array"),
    ("offsets", np.array([0, 2, 5], np.int32), ShapeError, "got int32"),
    ("offsets", np.array([[0, 5]]), ShapeError, "one-dimensional"),
    ("offsets", np.zeros(0, np.int64), DataError, "offsets must run"),
    ("offsets", np.array([0, 2, 4]), DataError, "offsets must run from 0"),
    ("offsets", np.array([1, 2, 5]), DataError, "offsets must run from 0"),
    ("offsets", np.array([0, 0, 5]), DataError, "sequence 0 is empty"),
    ("offsets", np.array([0, 5, 5]), DataError, "sequence 1 is empty"),
    ("offsets", np.array([0, 7, 5]), DataError, "sequence 1 is empty"),
    ("offsets", np.array([0, -(2**63), 5]), DataError, "is empty"),
    ("target_steps", np.array([1.0, 4.0]), ShapeError, "got float64"),
    ("target_steps", np.array([1]), ShapeError, "1 entries for 2 targets"),
    ("target_steps", np.array([-1, 4]), DataError, r"must lie in 0\.\.4"),
    ("target_steps", np.array([1, 5]), DataError, r"must lie in 0\.\.4"),
    ("target_steps", np.array([4, 1]), DataError, "must ascend"),
    ("target_steps", np.array([4, 4]), DataError, "must ascend"),
    ("n_inputs", "two", ShapeError, "n_inputs = two"),
)


def test_the_constructor_refuses():
    Sequences(**valid())
    for name, value, error, match in WRONG_FIELDS:
        with case(name, value), pytest.raises(error, match=match):
            Sequences(**{**valid(), name: value})


positions = st.lists(st.integers(-2, 7) | st.sampled_from([2**63 - 1, -(2**63)]), max_size=6)


@given(positions, positions)
def test_positions_are_accepted_only_where_they_fit(offsets, steps):
    """Whatever the constructor accepts can be sliced into its sequences."""
    given_ = {
        "offsets": np.array(offsets, np.int64),
        "target_steps": np.array(steps, np.int64),
        "targets": np.zeros((len(steps), 1), np.float32),
    }
    fits = offsets[:1] == [0] and offsets[-1] == 5 and sorted(set(offsets)) == offsets
    fits = fits and sorted(set(steps)) == steps and all(0 <= step < 5 for step in steps)
    if not fits:
        with pytest.raises(DataError):
            Sequences(**{**valid(), **given_})
        return
    data = Sequences(**{**valid(), **given_})
    assert sum(one.n_steps for one in data) == 5
    assert sum(len(one.targets) for one in data) == len(steps)


def test_positions_whose_differences_overflow():
    for name in ("offsets", "target_steps"):
        far = np.array([0, 2**63 - 1, -(2**63), -1, 4 + (name == "offsets")])
        targets = np.zeros((5 if name == "target_steps" else 2, 1), np.float32)
        with case(name), pytest.raises(DataError):
            Sequences(**{**valid(), "targets": targets, name: far})


def test_contents_are_checked_on_request():
    data = Sequences(**{**valid(), "inputs": np.full((5, 2), np.inf, np.float32)})
    with pytest.raises(DataError, match=r"inputs\[0\] = \[inf, inf\] is not finite"):
        data.check_contents()
    drawn_data(Network(2, 2, Cell(1, 1)), np.random.default_rng(0), Kind(), [3]).check_contents()


@given(data=batches(), tolerance=st.floats(0.05, 0.5), seed=seeds)
def test_within_against_a_slow_loop(data, tolerance, seed):
    """Outputs off by a little less than the tolerance, and by more in places."""
    rng = np.random.default_rng(seed)
    wanted = data.dense_targets().astype(np.float64)
    off = rng.choice([-1.0, 1.0], wanted.shape) * tolerance
    off *= rng.choice([0.99, 1.01], wanted.shape, p=[0.9, 0.1])
    outputs = wanted + off
    kept = outputs.copy()
    expected = [
        all(abs(y - w) < tolerance for y, w in zip(row, goal, strict=True))
        for row, goal in zip(outputs.tolist(), wanted.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(within(outputs, data, tolerance), expected)
    np.testing.assert_array_equal(outputs, kept)
    nan = np.full_like(outputs, np.nan)
    assert not within(nan, data, tolerance).any()
    with pytest.raises(ShapeError, match="one row for each target"):
        within(outputs[:, :0], data, tolerance)
