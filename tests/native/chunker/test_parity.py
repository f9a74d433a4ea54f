"""Compiled pairs of nets against the reference; bits of lanes, threads, pauses and processors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings

from carrousel.contracts import Network, Simple
from carrousel.kernels import instruction_sets
from support.case import case
from support.drawn import Kind, drawn_data
from support.kernels.chunker_pairs import Pair, pairs

pytestmark = pytest.mark.native

COLUMNS = ("max_abs", "sum_abs", "sum_sq")


def learned(kernel: Any, pair: Pair, dtype: type[np.floating] = np.float32) -> dict[str, Any]:
    """Everything that one call gives, by name."""
    below, above = (weights.astype(dtype) for weights in pair.weights())
    data = pair.data()
    errors = [each for each in kernel.learn(below, above, data) if each is not None]
    found = {"below": below, "above": above}
    for column in COLUMNS:
        found[column] = np.concatenate([np.zeros(0), *[getattr(e, column) for e, _ in errors]])
    found["n_values"] = np.concatenate([np.zeros(0, int), *[e.n_values for e, _ in errors]])
    found["received"] = np.concatenate([np.zeros(0, int), *[counts for _, counts in errors]])
    return found


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@given(pairs())
@settings(max_examples=60)
def test_the_same_as_the_reference(pair):
    """It is as close to float64 as NumPy in float32 is, and hands the same inputs up.

    Pairs are left out where an error is so near the threshold that rounding decides.
    """
    exact = learned(pair.reference(np.float64), pair, np.float64)
    for factor in (1 - 1e-3, 1 + 1e-3):
        moved = pair.reference(np.float64, threshold=pair.threshold * factor)
        other = learned(moved, pair, np.float64)
        assume(np.array_equal(other["received"], exact["received"]))
        assume(np.array_equal(other["above"], exact["above"]))
    plain = learned(pair.reference(np.float32), pair)
    for name in instruction_sets():
        native = learned(pair.native(instruction_set=name), pair)
        for counted in ("received", "n_values"):
            np.testing.assert_array_equal(native[counted], exact[counted], err_msg=counted)
        for part in ("below", "above", *COLUMNS):
            # Single roundings may cancel in the one program and not in the other: one unit in the
            # last place of the largest number is added for each of some 10 steps.
            least = 10 * np.finfo(np.float32).eps * (1 + np.abs(exact[part]).max(initial=0.0))
            most = 4 * np.abs(plain[part] - exact[part]).max(initial=0.0) + least
            off = np.abs(native[part] - exact[part]).max(initial=0.0)
            assert off <= most, (name, part, off, most)


@given(pairs())
@settings(max_examples=30)
def test_predictions(pair):
    """Those of the reference, and those that learning with rate 0 compares with the targets."""
    below, above = pair.weights()
    data, kernel = pair.data(), pair.native(rate=0.0)
    wanted = pair.reference(np.float64).predict(below.astype(np.float64), data)
    found = kernel.learn(below.copy(), above, data)
    for got, exact, errors, part in zip(
        kernel.predict(below, data), wanted, found, data, strict=True
    ):
        if part is None or errors is None or got is None or exact is None:
            assert got is exact is errors is part
            continue
        np.testing.assert_allclose(got, exact, atol=1e-5)
        missed = np.abs(got - part.dense_targets())
        for n, worst in enumerate(errors[0].max_abs):
            own = missed[part.target_offsets[n] : part.target_offsets[n + 1]]
            assert worst == own.max(initial=0.0)


@given(pairs(lanes=4))
@settings(max_examples=30)
def test_bits_do_not_depend_on_lanes_threads_or_pauses(pair):
    whole = learned(pair.native(), pair)
    assert_same(whole, learned(pair.native(threads=3), pair))
    kernel, data = pair.native(), pair.data()
    below, above = pair.weights()
    for lane, part in enumerate(data):  # alone, and one sequence a call
        own = below[lane : lane + 1], above[lane : lane + 1]
        for one in part or ():
            kernel.learn(*own, [one])
    np.testing.assert_array_equal(below, whole["below"])
    np.testing.assert_array_equal(above, whole["above"])


@given(pairs("logistic"))
@settings(max_examples=30)
def test_bits_do_not_depend_on_the_instruction_set(pair):
    """All but plain, which has no fused operations."""
    first = learned(pair.native(), pair)
    for name in instruction_sets()[1:-1]:
        with case(name):
            assert_same(first, learned(pair.native(instruction_set=name), pair))


def test_a_net_that_diverged_spoils_no_other():
    """Not in its lane's neighbours, and not in the lanes that its thread runs next."""
    below_net = Network(7, 9, Simple(2), wiring="direct", bias="all")
    above_net = Network(7, 7, Simple(2), bias="all")
    pair = Pair(below_net, above_net, Kind(True, True, "all"), 0.5, 0.25, 3, lanes=4, seed=7)
    below, above = pair.weights()
    below[1] = np.nan
    rng = np.random.default_rng(7)
    data = [drawn_data(above_net, rng, pair.kind, [3, 5]) for _ in range(4)]
    found = pair.native().learn(below, above, data)
    alone_below, alone_above = pair.weights()
    for lane, spoilt in enumerate(found):
        assert spoilt is not None
        if lane == 1:
            assert all(np.isnan(getattr(spoilt[0], column)).all() for column in COLUMNS)
            continue
        own = alone_below[lane : lane + 1], alone_above[lane : lane + 1]
        [expected] = pair.native().learn(*own, [data[lane]])
        np.testing.assert_array_equal(below[lane], own[0][0])
        np.testing.assert_array_equal(above[lane], own[1][0])
        assert expected is not None
        np.testing.assert_array_equal(np.array(spoilt[0]), np.array(expected[0]))
