"""Expert rules and delays of native streams match the reference, on every instruction set."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from carrousel.contracts import Cell, Network, Rules, Streaming
from carrousel.kernels import NativeStream, ReferenceStream, instruction_sets
from support.case import case as named
from support.kernels.rule_cases import INPUTS, RuleCase, drawn_calls, play, rule_cases, series
from support.kernels.stream_cases import EPSILON, GRADIENTS, HEADS

pytestmark = pytest.mark.native


def assert_parity(case: RuleCase) -> None:
    """Compare outputs, weights, least squares, quantiles and periods after all calls.

    Two float64 programs differ by some roundings of values up to 1e4. The inverse of least squares
    multiplies them by at most 1e5 (its condition) in directions that are rarely seen.
    """
    reference = case.open(ReferenceStream)
    wanted = play(reference, case.calls)
    for name in instruction_sets():
        native = case.open(NativeStream, dtype=np.float64, instruction_set=name)
        found = play(native, case.calls)
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-7, err_msg=name)
        np.testing.assert_allclose(native.weights, reference.weights, rtol=1e-8, atol=1e-8)
        compare_rules(native.state(), reference)
        assert native.state().get("pending_lost", 0) == reference.lost


def compare_rules(state: dict[str, np.ndarray], reference: ReferenceStream) -> None:
    rules = reference.rules
    if rules is None:
        return
    how = rules.how
    for k, fit in itertools.product(range(how.n_outputs), range(how.n_fits)):
        ours, n = rules.fits[k][fit], how.n_regressors(fit)
        theirs = state["rules_fits"][k, fit]
        np.testing.assert_allclose(theirs[0, :n], ours.weights, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(theirs[1 : n + 1, :n], ours.inverse, rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(theirs[1 : n + 1, :n], theirs[1 : n + 1, :n].T)
    if how.levels:
        np.testing.assert_allclose(state["rules_quantiles"], rules.quantiles, rtol=1e-9, atol=1e-9)
    if how.n_periods:
        periods = [rules.periods(v) for v in range(how.variables)]
        np.testing.assert_array_equal(state["rules_periods"], periods)


@settings(max_examples=30)
@given(rule_cases())
def test_any_rules_and_delays(case):
    assert_parity(case)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("delay", [0, 4])
def test_every_gradient_with_rules(gradient, delay):
    how = Streaming(
        optimizer="rmsprop", rate=0.003, epsilon=EPSILON, gradient=gradient, delay=delay,
        rules=Rules(lags=3, longest=12, inputs=INPUTS, levels=(0.8,)),
    )  # fmt: skip
    assert_parity(RuleCase(how, 2, drawn_calls(np.random.default_rng(1), how, 2, 160)))


def test_a_period_is_found_and_used():
    """Otherwise the comparisons above would not cover the search."""
    how = Streaming(rules=Rules(lags=2, longest=12), rate=0.0)
    rng = np.random.default_rng(0)
    calls = drawn_calls(rng, how, 1, 300, faults=False)
    case = RuleCase(how, 1, calls)
    native = case.open(NativeStream)
    play(native, calls)
    assert 6 in native.state()["rules_periods"]


def test_constant_series_are_forecast_exactly():
    """The net has no scale to add on, so it adds nothing: not even at the first rows."""
    rules = Rules(inputs=1, longest=8)
    network = Network(
        1 + rules.n_features, 1, Cell(2, 1, forget_gate=True), wiring="cells", bias="all"
    )
    weights = np.random.default_rng(0).normal(size=network.n_weights)
    scaled = np.ones(network.n_inputs, bool)
    kinds, values = (NativeStream, ReferenceStream), (0.0, 1e-6, 1 / 3, -1e30)
    for kind, value in itertools.product(kinds, values):
        kernel = kind(network, Streaming(rules=rules, rate=0.01), weights, scaled=scaled)
        found = []
        for _ in range(60):
            found.append(kernel.advance(0, np.ones(1))[0])
            kernel.learn(0, np.array([value]))
        with named(f"{kind.__name__} {value}"):
            assert found == [0.0] + [value] * 59
        kernel.advance(0, np.ones(1))
        kernel.learn(0, np.array([value + 1 + abs(value)]))
        assert kernel.advance(0, np.ones(1)) != value


@pytest.mark.parametrize("leads", [1, 3])
def test_single_precision_is_near(leads):
    """Rules are computed in double at any precision; only what the net adds is rounded."""
    how = Streaming(
        rate=0.003, optimizer="rmsprop", epsilon=EPSILON, clip=1.0, delay=2,
        rules=Rules(leads=leads, lags=3, longest=12),
    )  # fmt: skip
    case = RuleCase(how, 2, drawn_calls(np.random.default_rng(3), how, 2, 150, faults=False))
    wanted = play(case.open(ReferenceStream), case.calls)
    found = play(case.open(NativeStream), case.calls)
    size = np.abs(wanted).mean()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3 * size)


# --- rows in one call ----------------------------------------------------------------------------


def arguments(
    rules: Rules | None, delay: int, n: int = 120, n_streams: int = 3, seed: int = 0
) -> dict[str, Any]:
    """Rows of several streams whose targets belong to earlier rows of any stream."""
    rng = np.random.default_rng(seed)
    variables = rules.variables if rules else 1
    streams = rng.integers(0, n_streams, n)
    targets = series(rng, n, variables)
    targets[rng.random(n) < 0.1] = np.nan
    return {
        "streams": streams,
        "x": rng.normal(size=(n, INPUTS)),
        "targets": targets,
        "targets_first": True,
        "weights": rng.uniform(0, 2, n),
    }


@pytest.mark.parametrize("levels", [(), (0.5, 0.9)])
@pytest.mark.parametrize("delay", [0, 3])
def test_run_with_owners_and_bounds(levels, delay):
    """A target belongs to the oldest row of its owner that has none yet."""
    rules = Rules(lags=3, longest=0, periods=(6,), levels=levels)
    how = Streaming(rate=0.003, epsilon=EPSILON, rules=rules, delay=delay)
    case, job = RuleCase(how, 3, []), arguments(rules, delay)
    rows, learned = [0] * 3, [0] * 3
    owners, backs = np.full((2, len(job["streams"])), -1)
    for n, stream in enumerate(job["streams"].tolist()):
        owner = int(np.random.default_rng(n).integers(3))
        back = rows[owner] - 1 - learned[owner]
        if rows[owner] - learned[owner] > delay and not np.isnan(job["targets"][n]).all():
            while back > delay:  # those before will never come
                back, learned[owner] = back - 1, learned[owner] + 1
            owners[n], backs[n] = owner, back
            learned[owner] += 1
            if not delay:
                backs[n], learned[owner] = 0, rows[owner]
        rows[stream] += 1
    results = []
    for kind in (NativeStream, ReferenceStream):
        kernel = case.open(kind, dtype=np.float64)
        bounds = np.full((len(owners), 1, 2, len(levels)), np.nan)
        given = {"owners": owners, "backs": backs, "bounds": bounds if levels else None}
        results.append((kernel.run(**job, **given), bounds, kernel.weights))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    outputs, bounds, _ = results[0]
    if levels:
        # Quantiles of errors: while forecasts are biased, a forecast may lie outside its interval.
        assert (bounds[:, :, 0] <= outputs[..., None]).mean() > 0.9
        assert (bounds[:, :, 1] >= outputs[..., None]).mean() > 0.9


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("symbols", [True, False])
def test_every_head_with_a_delay(head, symbols):
    rng, delay, n = np.random.default_rng(2), 3, 60
    network = Network(3, 4, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
    weights = rng.normal(0, 0.4, network.n_weights)
    x = rng.integers(0, 3, (n, 1)).astype(float) if symbols else rng.normal(size=(n, 3))
    targets = rng.uniform(0, 1, (n, 4))
    if head == "softmax":
        targets = rng.integers(0, 4, (n, 1)).astype(float)
    for gradient in GRADIENTS:
        how = Streaming(
            head, rate=0.02, epsilon=EPSILON, delay=delay, symbols=symbols, gradient=gradient
        )
        ours, theirs = (
            kind(network, how, weights, dtype=np.float64)
            for kind in (NativeStream, ReferenceStream)
        )
        for row in range(n):
            with named(gradient, row):
                y = theirs.advance(0, x[row])
                np.testing.assert_allclose(ours.advance(0, x[row]), y, rtol=1e-9, atol=1e-9)
            if row % 4 == 3:  # the targets of four rows, the latest first
                for back in range(4):
                    ours.learn(0, targets[row - back], back=back)
                    theirs.learn(0, targets[row - back], back=back)
        np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-9, atol=1e-9)
