"""Compiled cascade-correlation against its NumPy reference, and calls that it must refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel import _native
from carrousel.kernels import instruction_sets
from carrousel.kernels.native.cascade import NativeCascade, distinct
from carrousel.kernels.reference import cascade as reference
from carrousel.kernels.reference.cascade import (
    CascadeData,
    activations,
    correlation_slopes,
    outcome,
    output_slopes,
    squared_error,
)
from support.case import each
from support.learners.packing import drawn_sequences, few, pack

pytestmark = pytest.mark.native

CLOSE = 1e-12
"""Sums of at most 100 products of size 1, each with a few roundings of 1.1e-16."""

batches = given(
    seed=st.integers(0, 2**32),
    n_inputs=st.integers(1, 9),
    n_outputs=st.integers(1, 17),
    grown=st.integers(0, 5),
    symbolic=st.booleans(),
    when=st.sampled_from(["end", "some", "all"]),
)


def grow(batch: CascadeData, units: list[np.ndarray], f: str, name: str = "") -> NativeCascade:
    native = NativeCascade(batch, f, name)
    for weights in units:
        native.grow(weights)
    return native


def drawn_units(rng: np.random.Generator, batch: CascadeData, grown: int) -> list[np.ndarray]:
    return [rng.uniform(-2.0, 2.0, 1 + batch.n_inputs + unit + 1) for unit in range(grown)]


@each("f", ["logistic", "tanh"])
@few
@batches
def test_results_are_those_of_the_reference(f, seed, n_inputs, n_outputs, grown, symbolic, when):
    """The same bits on every instruction set, and close to NumPy's."""
    rng = np.random.default_rng(seed)
    batch = pack(drawn_sequences(rng, n_inputs, n_outputs, symbolic, when))
    units = drawn_units(rng, batch, grown)
    hidden = activations(units, batch, f)
    weights = rng.uniform(-2.0, 2.0, (n_outputs, 1 + n_inputs + grown))
    pool = rng.uniform(-2.0, 2.0, (int(rng.integers(1, 20)), 1 + n_inputs + grown + 1))
    expected = outcome(weights, batch, hidden)
    first: list[np.ndarray] | None = None
    for name in instruction_sets():
        native = grow(batch, units, f, name)
        found = native.train_outputs(weights, offset=0.1)
        outputs = native.predict(weights)
        np.testing.assert_allclose(found.errors.T, expected.errors, atol=CLOSE)
        np.testing.assert_allclose(outputs.T, expected.errors + batch.targets, atol=CLOSE)
        slopes = output_slopes(expected, batch, hidden, offset=0.1)
        np.testing.assert_allclose(found.slopes, slopes, atol=CLOSE)
        often = np.zeros(len(batch.counts))
        often[batch.rank] = batch.times
        np.testing.assert_allclose(found.sums[2] @ often, squared_error(expected, batch))
        np.testing.assert_allclose(found.sums[:2].max(axis=1, initial=0.0), [
            np.abs(expected.errors).max(initial=0.0),
            max(
                (np.abs(expected.errors[:, batch.rank == n]).sum() for n in range(len(often))),
                default=0.0,
            ),
        ])  # fmt: skip
        results = [outputs, *found]
        for normalised in (False, True):
            merits, rising = native.train_pool(pool, found.errors, normalised)
            wanted = correlation_slopes(pool, batch, hidden, found.errors.T, f, normalised)
            np.testing.assert_allclose(merits, wanted[0], atol=CLOSE)
            if merits.min() > 1e-9:  # else the sign of a covariance is that of a rounding
                np.testing.assert_allclose(rising, wanted[1], atol=CLOSE)
            results += [merits, rising]
        if first is None:
            first = results
        for one, other in zip(results, first, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


@few
@batches
def test_distinct_sequences_are_those_of_the_reference(
    seed, n_inputs, n_outputs, grown, symbolic, when
):
    """Equal batches have equal bytes, and a batch that differs in one sequence has not."""
    rng = np.random.default_rng(seed)
    data = drawn_sequences(rng, n_inputs, n_outputs, symbolic, when)
    which, found = distinct(data)
    np.testing.assert_array_equal(which, reference.distinct(data))
    order = rng.permutation(len(data))
    mixed, same = distinct(data.take(order))
    np.testing.assert_array_equal(mixed, which[order])
    assert same == found
    assert distinct(data.take(np.array([0, 1, 2, 3])))[1] != found
    if which[0] != which[1]:
        assert distinct(data.take(np.array([0, 1, 2, 3, 0])))[1] != found


@each("name", instruction_sets())
def test_a_unit_does_not_depend_on_the_others(name):
    rng = np.random.default_rng(5)
    batch = pack(drawn_sequences(rng, 2, 3, False, "all"))
    native = grow(batch, drawn_units(rng, batch, 2), "tanh", name)
    errors = rng.uniform(-1.0, 1.0, (len(batch.at), 3))
    pool = rng.uniform(-1.0, 1.0, (21, 6))
    merits, slopes = native.train_pool(pool, errors, normalised=True)
    for some in (slice(0, 1), slice(7, 9), slice(3, 20)):
        alone = native.train_pool(pool[some], errors, normalised=True)
        np.testing.assert_array_equal(alone[0], merits[some])
        np.testing.assert_array_equal(alone[1], slopes[some])
    spoilt = pool.copy()
    spoilt[4] = np.nan
    merits_beside, slopes_beside = native.train_pool(spoilt, errors, normalised=True)
    assert np.isnan(merits_beside[4])
    for one, other in ((merits_beside, merits), (slopes_beside, slopes)):
        np.testing.assert_array_equal(np.delete(one, 4, 0), np.delete(other, 4, 0))


@each("name", instruction_sets())
@each("f", ["logistic", "tanh"])
def test_squashing_is_accurate_and_saturates(f, name):
    """Within two units in the last place, also where the function is nearly linear or constant."""
    x = np.concatenate([[0.0, 1e4, -1e4], np.linspace(-30.0, 30.0, 999), np.geomspace(1e-9, 1, 99)])
    batch = CascadeData(
        x[None], 1, ((0, len(x)),), np.zeros((1, len(x))), np.arange(len(x)),
        np.arange(len(x)), np.ones(len(x)), np.ones(len(x), np.int64),
    )  # fmt: skip
    native = grow(batch, [np.array([0.0, 1.0, 0.0])], f, name)
    # one output that reads the unit alone shows its value: logistic(net) inverts to net
    shown = native.predict(np.array([[0.0, 0.0, 1.0]]))[:, 0]
    value = np.tanh(x) if f == "tanh" else 1.0 / (1.0 + np.exp(-np.clip(x, -700, 700)))
    expected = 1.0 / (1.0 + np.exp(-value))
    np.testing.assert_allclose(shown, expected, rtol=4 * 2.0**-52)
    slopes = native.train_outputs(np.zeros((1, 3)), 0.0).slopes[0]
    np.testing.assert_allclose(slopes[2], (0.5 * 0.25 * value).mean(), rtol=1e-13, atol=1e-16)


def arrays(**changes) -> dict:
    """Three steps of two sequences, of which the second is shorter."""
    return {
        "steps": 3, "times": 2, "targets": 2, "sequences": 2, "outputs": 1, "inputs": 2,
        "symbols": np.array([0, 1, 1]), "values": None, "starts": np.array([0, 2, 3]),
        "at": np.array([1, 2]), "sequence": np.array([1, 0]), "often": np.ones(2),
        "goals": np.zeros((1, 2)), **changes,
    }  # fmt: skip


@each(
    "changes, message",
    [
        ({"symbols": np.array([0, 1, 2])}, "symbols has 2, expected 0..1"),
        ({"symbols": np.array([0, -1, 0])}, "symbols has -1"),
        ({"symbols": np.array([0, 1])}, "symbols has shape"),
        ({"symbols": np.zeros(3, np.int32)}, "symbols has the wrong type"),
        ({"symbols": None, "values": np.zeros((3, 2))}, "values has shape"),
        ({"sequence": np.array([0, 2])}, "sequence has 2, expected 0..1"),
        ({"at": np.array([1, 3])}, "at has 3, expected 0..2"),
        ({"at": np.array([2, 2])}, "at must increase"),
        ({"starts": np.array([1, 2, 3])}, "starts run from 1"),
        ({"starts": np.array([0, 2, 4])}, "expected 0 to 3"),
        ({"starts": np.array([0, 1, 3])}, "no more than the step before"),
        ({"starts": np.array([0, 3, 3])}, "at least one sequence"),
        ({"starts": np.array([0, 2**62, 3])}, "starts"),
        ({"steps": -1}, "steps is -1"),
        ({"often": np.ones(4)[::2]}, "often has the wrong type or layout"),
        ({"goals": np.zeros((2, 1))}, "goals has shape"),
    ],
)
def test_batches_that_would_be_read_out_of_bounds_are_refused(changes, message):
    _native.CascadeBatch(arrays())
    with pytest.raises(ValueError, match=message):
        _native.CascadeBatch(arrays(**changes))


def test_unknown_instruction_sets_are_refused():
    with pytest.raises(ValueError, match="'mmx' is not available"):
        _native.CascadeBatch(arrays(), "mmx")


def test_calls_with_wrong_arrays_are_refused():
    batch = _native.CascadeBatch(arrays())
    weights, errors = np.zeros((1, 3)), np.zeros((2, 1))
    with pytest.raises(ValueError, match="weights has shape"):
        batch.grow(np.zeros(3), True)
    with pytest.raises(ValueError, match="errors has shape"):
        batch.train_outputs(weights, 0.0, np.zeros((1, 2)), weights.copy(), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="overlaps"):
        batch.train_outputs(weights, 0.0, errors, weights, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="sums has shape"):
        batch.train_outputs(weights, 0.0, errors, weights.copy(), np.zeros((2, 2)))
    pool = np.zeros((5, 4))
    with pytest.raises(ValueError, match="merits has shape"):
        batch.train_pool(pool, errors, True, True, np.zeros(4), pool.copy())
    with pytest.raises(ValueError, match="weights has the wrong type"):
        batch.train_pool(pool[0], errors, True, True, np.zeros(5), pool.copy())
    with pytest.raises(ValueError, match="weights has shape"):
        batch.train_pool(pool[:, :3].copy(), errors, True, True, np.zeros(5), pool.copy())
    with pytest.raises(ValueError, match="outputs has shape"):
        batch.predict(weights, np.zeros((1, 1)))


def pieces(**changes) -> dict:
    """Two sequences of one step and two, each with one target."""
    return {
        "inputs": np.zeros((3, 4), np.uint8), "offsets": np.array([0, 1, 3]),
        "targets": np.zeros((2, 4), np.uint8), "target_offsets": np.array([0, 1, 2]),
        "target_steps": np.array([0, 2]), "which": np.zeros(2, np.int64), **changes,
    }  # fmt: skip


@each(
    "changes, message",
    [
        ({"offsets": np.array([0, 4, 3])}, r"offsets\[1\] is 4"),
        ({"offsets": np.array([0, 2, 1])}, r"offsets\[2\] is 1"),
        ({"offsets": np.array([-1, 1, 3])}, r"offsets\[0\] is -1"),
        ({"offsets": np.array([0, 1, 2])}, r"offsets\[2\] is 2"),
        ({"offsets": np.array([0, 3])}, "offsets has shape"),
        ({"target_offsets": np.array([0, 3, 2])}, r"target_offsets\[1\] is 3"),
        ({"target_steps": np.array([0])}, "target_steps has shape"),
        ({"inputs": np.zeros((3, 4))}, "inputs has the wrong type"),
        ({"which": np.zeros(2, np.int32)}, "which has the wrong type"),
    ],
)
def test_sequences_that_would_be_read_out_of_bounds_are_refused(changes, message):
    _native.distinct_sequences(**pieces())
    with pytest.raises(ValueError, match=message):
        _native.distinct_sequences(**pieces(**changes))
