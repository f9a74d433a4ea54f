"""Reference layer: theorems, and gradients by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import CELLS, Cell, Network, Recurrence
from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.kernels.reference.layers import Weights
from carrousel.kernels.reference.layers import forward as one_step
from carrousel.kernels.reference.sequence import ReferenceResult, backward, forward
from support.case import each
from support.kernels.recurrent_cases import (
    NUMBERS,
    Case,
    all_recurrences,
    cases,
    make_case,
    replaced,
    some_steps,
    with_batch,
)

TRAINING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})


def assert_same(ours: np.ndarray, theirs: np.ndarray, what: str = "") -> None:
    """Compare float64 sums of a few hundred terms in different orders.

    Layer normalisation amplifies them by at most 300, if a deviation is near the root of epsilon.
    """
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12, err_msg=what)


def run(case: Case) -> ReferenceResult:
    return forward(case.arrays, case.recurrence, case.options)[0]


def gradients(case: Case, *errors: np.ndarray) -> dict[str, np.ndarray]:
    tape = forward(case.arrays, case.recurrence, case.options)[1]
    return backward(tape, *(errors or case.errors))


def loss(case: Case) -> float:
    """Return a random linear function of all differentiable results."""
    return sum(float((d * y).sum()) for d, y in zip(case.errors, run(case), strict=False))


def slope(case: Case, name: str, direction: np.ndarray, step: float = 2e-6) -> float:
    """Return a central difference of fourth order.

    Layer normalisation of a vector near zero has the largest derivatives: the n-th one has the size
    ``epsilon ** (-n / 2)``, 316 ** n. A difference of second order would be off by 4e-7.
    """

    def there(distance: float) -> float:
        return loss(replaced(case, **{name: case.arrays[name] + distance * direction}))

    near, far = there(step) - there(-step), there(2 * step) - there(-2 * step)
    return (8 * near - far) / (12 * step)


def check_slopes(case: Case, seed: int = 0) -> None:
    """Compare each field's gradient with the slope of the loss along random directions.

    A loss of size 10 has a rounding of 1e-14; divided by the step of 2e-6 this is 1e-8.
    """
    rng, found = np.random.default_rng(seed), gradients(case)
    assert set(found) == set(NUMBERS) & set(case.arrays)
    for name, gradient in found.items():
        for _ in range(2):
            direction = rng.normal(size=gradient.shape)
            expected = slope(case, name, direction)
            np.testing.assert_allclose(
                (gradient * direction).sum(), expected, rtol=1e-6, atol=1e-7, err_msg=name
            )


@pytest.mark.parametrize("features", [TRAINING, TRAINING - {"masks"} | {"left", "zone"}])
@each("recurrence", all_recurrences())
def test_gradients_agree_with_finite_differences(recurrence, features):
    check_slopes(make_case(recurrence, features, T=4, B=3, I=2, seed=7, reverse="left" in features))


@each("recurrence", all_recurrences())
def test_every_entry_agrees_with_finite_differences(recurrence):
    case = make_case(recurrence, {"bias", "unit", "norms"}, T=2, B=1, I=1, seed=11)
    for name, gradient in gradients(case).items():
        expected = np.zeros_like(gradient)
        for index in np.ndindex(gradient.shape):
            unit = np.zeros_like(gradient)
            unit[index] = 1
            expected[index] = slope(case, name, unit)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7, err_msg=name)


@settings(max_examples=40)
@given(cases(gradient="bptt"))
def test_gradients_of_any_call_agree_with_finite_differences(case):
    check_slopes(case)


@pytest.mark.parametrize("reverse", [False, True])
@each("cell", CELLS)
@each("k", [1, 2, 3])
def test_tbptt_is_bptt_of_separate_segments(cell, k, reverse):
    case = make_case(Recurrence(cell, 3), TRAINING, T=7, B=2, reverse=reverse, seed=k)
    case = case._replace(options=case.options._replace(gradient=f"tbptt:{k}"))
    total = {name: np.zeros_like(g) for name, g in gradients(case).items()}
    at, T = case, len(case.arrays["x"])
    for start in range(0, T, k):
        end = min(T, start + k)
        begin, end = (T - end, T - start) if reverse else (start, end)
        part = some_steps(case, begin, end)
        part = replaced(part, h0=at.arrays["h0"], s0=at.arrays["s0"])
        part = part._replace(options=part.options._replace(gradient="bptt"))
        if start + k < T:
            d_out, d_h, d_s, d_states = part.errors
            part = part._replace(errors=(d_out, 0 * d_h, 0 * d_s, d_states))
        for name, gradient in gradients(part).items():
            if name == "x":
                total[name][begin:end] = gradient
            elif start == 0 or name not in ("h0", "s0"):
                total[name] += gradient
        result = run(part)
        at = replaced(case, h0=result.h, s0=result.s)
    for name, gradient in gradients(case).items():
        assert_same(gradient, total[name], name)


@settings(max_examples=25)
@given(cases(gradient="bptt"))
def test_tbptt_of_the_whole_sequence_is_bptt(case):
    late = case._replace(options=case.options._replace(gradient=f"tbptt:{len(case.arrays['x'])}"))
    for name, gradient in gradients(case).items():
        np.testing.assert_array_equal(gradient, gradients(late)[name])


@each("recurrence", [r for r in all_recurrences() if not r.layer_norm])
# Without layer normalisation, which normalises the two products separately.
def test_truncated_is_bptt_with_hidden_states_as_inputs(recurrence):
    """Errors stop at net inputs, as they do at inputs."""
    case = make_case(recurrence, {"bias", "drop", "lengths", "resets", "masks"}, T=5, B=3, seed=2)
    case = case._replace(options=case.options._replace(gradient="truncated"))
    w_ih, w_hh, inputs = case.arrays["w_ih"], case.arrays["w_hh"], case.arrays["x"].shape[2]
    known = recurrence.n_net_inputs
    if (
        recurrence.cell == "gru"
    ):  # the two products of the new state are not added, so one is omitted
        known = 2 * recurrence.units
        w_hh[known:] = 0
    steps = forward(case.arrays, recurrence, case.options)[1].steps
    sources = np.stack([step.source for step in steps])
    fed = replaced(
        case,
        x=np.concatenate([case.arrays["x"], sources], 2),
        w_ih=np.concatenate([w_ih, w_hh], 1),
        w_hh=0 * w_hh,
    )
    fed = fed._replace(options=fed.options._replace(gradient="bptt"))
    assert_same(run(fed).out, run(case).out)
    found, expected = gradients(case), gradients(fed)
    assert_same(found["w_hh"][:known], expected["w_ih"][:known, inputs:])
    assert_same(found["w_ih"], expected["w_ih"][:, :inputs])
    assert_same(found["x"], expected["x"][:, :, :inputs])
    for name in ("h0", "s0", "bias"):
        assert_same(found[name], expected[name], name)


def test_truncated_peepholes_learn_and_pass_no_error():
    case = make_case(Recurrence("peephole", 5), {"bias", "unit"}, T=1, B=3, gradient="truncated")
    d_s = case.errors[2]
    by_state = gradients(case, *(0 * d for d in case.errors[:2]), d_s, 0 * case.errors[3])
    full = case._replace(options=case.options._replace(gradient="bptt"))
    expected = gradients(full, *(0 * d for d in case.errors[:2]), d_s, 0 * case.errors[3])
    assert_same(by_state["unit"], expected["unit"])
    assert np.all(by_state["unit"][:2] != 0)
    forget = run(case).gates[0, :, 5:10]
    assert_same(by_state["s0"], d_s * forget)


@settings(max_examples=20)
@given(st.integers(1, 3), st.booleans(), st.integers(1, 40))
def test_cell_states_pass_errors_unscaled(block_size, gate_sources, T):
    recurrence = Recurrence("lstm97", 6, block_size=block_size, gate_sources=gate_sources)
    case = make_case(recurrence, {"bias"}, T=T, gradient="truncated")
    d_out, d_h, d_s, d_states = case.errors
    np.testing.assert_array_equal(gradients(case, 0 * d_out, 0 * d_h, d_s, 0 * d_states)["s0"], d_s)


@settings(max_examples=25)
@given(cases(), st.randoms(use_true_random=False))
def test_permuting_the_batch_permutes_the_result(case, random):
    B = len(case.arrays["h0"])
    order = np.array(random.sample(range(B), B))
    mixed = with_batch(case, order)
    for ours, theirs, axis in zip(run(case), run(mixed), (1, 0, 0, 1, 1), strict=True):
        assert_same(np.take(ours, order, axis), theirs)
    found = gradients(mixed)
    for name, gradient in gradients(case).items():
        if name in ("x", "h0", "s0"):
            gradient = np.take(gradient, order, 1 if name == "x" else 0)
        assert_same(found[name], gradient, name)


@settings(max_examples=25)
@given(cases(), st.integers(0, 7))
def test_a_sequence_can_be_run_in_two_parts(case, where):
    T = len(case.arrays["x"])
    where = min(where, T)
    parts = [some_steps(case, 0, where), some_steps(case, where, T)]
    first, second = reversed(parts) if case.options.reverse else parts
    one = run(first)
    two = run(replaced(second, h0=one.h, s0=one.s))
    whole = run(case)
    np.testing.assert_array_equal(two.h, whole.h)
    np.testing.assert_array_equal(two.s, whole.s)
    in_time = (two, one) if case.options.reverse else (one, two)
    for name in ("out", "states", "gates"):
        joined = np.concatenate([getattr(part, name) for part in in_time])
        np.testing.assert_array_equal(joined, getattr(whole, name))


@settings(max_examples=25)
@given(cases(features={"lengths"}))
def test_padding_is_never_read(case):
    inactive = (case.arrays["flags"] & ACTIVE) == 0
    poisoned = replaced(case, x=np.where(inactive[:, :, None], np.nan, case.arrays["x"]))
    for ours, theirs in zip(run(case), run(poisoned), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    found = gradients(poisoned)
    for name, gradient in gradients(case).items():
        np.testing.assert_array_equal(found[name], gradient, err_msg=name)
    assert np.all(run(case).out[inactive] == 0)
    assert np.all(found["x"][inactive] == 0)


@settings(max_examples=25)
@given(cases(features={"lengths"}))
def test_padding_does_not_change_a_sequence(case):
    """Each sequence equals the same sequence without padding."""
    whole = run(replaced(case, flags=case.arrays["flags"] & ~np.uint8(RESET)))
    for b in range(len(case.arrays["h0"])):
        steps = (case.arrays["flags"][:, b] & ACTIVE) != 0
        alone = with_batch(case, np.array([b]))
        short = {
            name: alone.arrays[name][steps]
            for name in ("x", "keep_h", "keep_s")
            if name in alone.arrays
        }
        short["flags"] = np.full((steps.sum(), 1), ACTIVE, np.uint8)
        result = run(replaced(alone, **short))
        assert_same(whole.out[steps, b], result.out[:, 0])
        assert_same(whole.h[b], result.h[0])
        assert_same(whole.s[b], result.s[0])


@settings(max_examples=25)
@given(cases(features={"fresh"}), st.integers(0, 6))
def test_a_reset_erases_the_past(case, where):
    T, B = case.arrays["x"].shape[:2]
    where = min(where, T - 1)
    flags = case.arrays.get("flags", np.full((T, B), ACTIVE, np.uint8)).copy()
    flags[where] |= RESET
    case = replaced(case, flags=flags)
    after = slice(0, where + 1) if case.options.reverse else slice(where, T)
    other = replaced(case, h0=case.arrays["h0"] + 1, s0=case.arrays["s0"] - 1)
    np.testing.assert_array_equal(run(case).out[after], run(other).out[after])
    np.testing.assert_array_equal(run(case).h, run(other).h)
    last = np.zeros_like(case.errors[0])
    last[after] = case.errors[0][after]
    found = gradients(case, last, *case.errors[1:3], 0 * case.errors[3])
    np.testing.assert_array_equal(found["h0"], 0)
    np.testing.assert_array_equal(found["s0"], 0)


def test_no_steps_leave_the_state_unchanged():
    case = make_case(Recurrence("lstm", 3), {"bias"}, T=0)
    result = run(case)
    np.testing.assert_array_equal(result.h, case.arrays["h0"])
    assert result.out.shape == (0, 2, 3)
    np.testing.assert_array_equal(gradients(case)["s0"], case.errors[2])


@each("block_size", [1, 2, 3])
def test_lstm97_with_gate_sources_is_the_net_of_1997(block_size):
    """Compared with the reference for lanes.

    Its units are in the order of net inputs (i, cells, o); the hidden state is (cells, i, o).
    """
    blocks, cells, T = 2, 2 * block_size, 6
    recurrence = Recurrence("lstm97", cells, block_size=block_size, gate_sources=True)
    case = make_case(recurrence, {"bias"}, T=T, B=1, seed=block_size)
    units = np.concatenate([cells + np.arange(blocks), np.arange(cells), np.arange(-blocks, 0)])
    arrays, (d_out, d_h, d_s, d_states) = case.arrays, case.errors
    hidden = [arrays["w_ih"], arrays["w_hh"][:, units], arrays["bias"][:, None]]
    weights = Weights(np.hstack(hidden), np.zeros((1, 1)))
    network = Network(2, 1, Cell(blocks, block_size))
    y, s, steps = arrays["h0"][0, units], arrays["s0"][0], []
    for x in arrays["x"][:, 0]:
        steps.append(one_step(network, weights, y, s, x))
        y, s = steps[-1].y, steps[-1].s
    result = run(case)
    assert_same(result.out[:, 0, units], np.stack([step.y for step in steps]))
    assert_same(result.states[:, 0], np.stack([step.s for step in steps]))

    e, d_weights = np.concatenate([d_h[0, units], d_s[0]]), np.zeros_like(weights.hidden)
    for t in reversed(range(T)):
        e = e + np.concatenate([d_out[t, 0, units], d_states[t, 0]])
        d_weights += np.outer(steps[t].by_net.T @ e, steps[t].sources)
        e = steps[t].jacobian(weights.recurrent(network)).T @ e
    found = gradients(case)
    ours = [found["w_ih"], found["w_hh"][:, units], found["bias"][:, None]]
    assert_same(np.hstack(ours), d_weights)
    assert_same(np.concatenate([found["h0"][0, units], found["s0"][0]]), e)
