"""Theorems of recurrent gradients: each is a certain sum of shares (see ``third_opinion``).

Sequences start at non-zero activations and cell states.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Gradient, Network, Simple, Training
from carrousel.errors import SettingError
from carrousel.kernels.reference.lanes import rule_for
from carrousel.kernels.reference.layers import Weights, forward
from carrousel.kernels.reference.paths import recurrent_paths
from carrousel.kernels.reference.truncated import advance, begin
from support.case import each
from support.drawn import seeds
from support.kernels.third_opinion import (
    BIASED,
    STRUCTURES,
    Case,
    case_of,
    cases,
    expected,
    follow,
    summed,
)

# Both sides are float64 and differ in the order of sums and in how slopes are formed: some hundred
# roundings of terms that are at most a few units in size.
close = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-13)


def assert_every_part_close(case: Case, ours: np.ndarray, theirs: np.ndarray) -> None:
    wanted = case.network.views(theirs)
    for name, part in case.network.views(ours).items():
        close(part, wanted[name], err_msg=name)


@each("cell, wiring, bias", BIASED)
def test_bptt_is_the_derivative_by_every_weight(cell, wiring, bias):
    """By finite differences of the whole loss; no derivative is zero."""
    place = BIASED.index((cell, wiring, bias))
    case = case_of(cell, wiring, bias, np.random.default_rng(place), derivative=bool(place % 2))
    theirs = summed(case)
    assert np.all(theirs)
    assert_every_part_close(case, follow(case, "bptt"), theirs)


@settings(max_examples=60)
@given(cases(), st.integers(1, 9), st.data())
def test_bptt_of_bounded_depth_drops_older_shares(case, depth, data):
    """BPTT(h; k): every k steps, the errors since the last time go back over h steps."""
    stride = data.draw(st.integers(1, depth))
    theirs = expected(case, Gradient("bptt", depth, stride))
    assert_every_part_close(case, follow(case, f"bptt:{depth}:{stride}"), theirs)


@settings(max_examples=40)
@given(cases(), st.integers(0, 3), st.data())
def test_a_depth_of_the_whole_sequence_is_exact(case, beyond, data):
    """With any stride: errors go back from several steps, and reach the first step."""
    depth = case.steps + beyond
    stride = data.draw(st.integers(1, depth))
    assert_every_part_close(case, follow(case, f"bptt:{depth}:{stride}"), follow(case, "bptt"))


@settings(max_examples=60)
@given(cases(most=12))
def test_rtrl_equals_bptt(case):
    """RTRL summed over a sequence is BPTT."""
    assert_every_part_close(case, follow(case, "rtrl"), follow(case, "bptt"))


@settings(max_examples=60)
@given(cases())
def test_truncated_is_bptt_without_the_cut_paths(case):
    """Recurrent activations are constants; inside a cell errors pass through the forget gate.

    Weights into the forget gate have a gradient too. For simple units it is one step of BPTT.
    """
    theirs = expected(case, Gradient("truncated"))
    assert_every_part_close(case, follow(case, "truncated"), theirs)
    if isinstance(case.network.cell, Simple):
        assert_every_part_close(case, follow(case, "bptt:1"), theirs)


@settings(max_examples=40)
@given(cases())
def test_the_immediate_derivative_is_one_step_of_bptt(case):
    """Errors inside cells do not pass the forget gate either."""
    theirs = expected(case, Gradient("immediate"))
    assert_every_part_close(case, follow(case, "immediate"), theirs)
    assert_every_part_close(case, follow(case, "bptt:1"), theirs)


@settings(max_examples=40)
@given(cases(), st.integers(1, 3))
def test_sparse_rtrl_is_bptt_with_other_recurrent_activations_constant(case, k):
    theirs = expected(case, Gradient("sparse", k))
    assert_every_part_close(case, follow(case, f"sparse:{k}"), theirs)


@settings(max_examples=20)
@given(cases())
def test_sparse_rtrl_with_all_connections_is_rtrl(case):
    ours = follow(case, f"sparse:{case.network.cell.n_units}")
    np.testing.assert_array_equal(ours, follow(case, "rtrl"))


@settings(max_examples=20)
@given(cases(), st.integers(1, 12), st.integers(0, 2**64 - 1))
def test_recurrent_paths(case, k, seed):
    """As many for each unit, of those fed back; more connections include the fewer."""
    network = case.network
    kept, more = (recurrent_paths(network, k + extra, seed) for extra in (0, 1))
    fed = len(network.fed_back)
    np.testing.assert_array_equal(kept.sum(axis=1), min(k, fed))
    np.testing.assert_array_equal(kept & ~more, False)
    assert set(np.flatnonzero(more.any(axis=0))) <= set(network.fed_back)


@settings(max_examples=20)
@given(cases())
def test_truncation_is_exact_if_only_cell_states_recur(case):
    """Without feedback nothing is lost; with it, paths are, in sequences of two steps or more."""
    lost = np.abs(follow(case, "truncated") - follow(case, "bptt")).max()
    if not case.network.recurrent or case.steps == 1:
        assert lost < 1e-12
    elif case.training.error_tolerance == 0.0:  # or all errors may be ignored
        assert lost > 1e-12


@each("cell, wiring", STRUCTURES)
def test_the_jacobian_of_a_step_is_its_derivative(cell, wiring):
    """``dq(t) / dq(t-1)`` by differences of the step; q has activations, then states."""
    case = case_of(cell, wiring, "none", np.random.default_rng(8))
    network, w = case.network, Weights.unpack(case.network, case.flat)
    step = forward(network, w, case.start.y, case.start.s, case.inputs[0])
    off, q = 1e-6, np.concatenate([case.start.y, case.start.s])
    columns = []
    for shift in off * np.eye(len(q)):
        sides = []
        for moved in (q + shift, q - shift):
            y, s = np.split(moved, [cell.n_units])
            side = forward(network, w, y, s, case.inputs[0])
            sides.append(np.concatenate([side.y, side.s]))
        columns.append((sides[0] - sides[1]) / (2 * off))
    # A central difference is off by off^2 |f'''| / 6, and by a rounding of q over off: 1e-10.
    theirs = np.array(columns).T
    np.testing.assert_allclose(step.jacobian(w.recurrent(network)), theirs, rtol=0, atol=1e-9)


@given(
    st.floats(0, 30), st.integers(1, 40), st.sampled_from(("full", "layered")), st.integers(1, 2),
    seeds,
)  # fmt: skip
@settings(max_examples=30)
def test_an_open_forget_gate_preserves_the_state(bias, lag, wiring, size, seed):
    """``ds(t) / ds(t-q)`` is the product of forget gates, and no less than ``1 - q exp(-net)``.

    Above a net input of 40 it is exactly 1. The perturbation of one state is an imaginary part;
    recurrent activations are constants.
    """
    rng = np.random.default_rng(seed)
    network = Network(2, 1, Cell(1, size, forget_gate=True), wiring=wiring, bias="hidden")
    flat = rng.normal(0, 0.5, network.n_weights)
    for open_by in (bias, 60.0):
        network.views(flat)["hidden_bias"][1] = open_by
        w, state = Weights.unpack(network, flat), begin(network, Training(1.0), np.float64)
        state.s = rng.normal(0, 1, size) + 1j * np.eye(size)[0]
        gates = []
        for _ in range(lag):
            advance(network, w, state, rng.uniform(-1, 1, 2))
            state.y = np.real(state.y)
            gates.append(state.y[1])
        factor = np.imag(state.s)
        close(factor, np.eye(size)[0] * np.prod(gates))
        odds = 1 / np.array(gates) - 1  # exp(-net)
        assert factor[0] >= 1 - odds.sum() - 1e-14
        if open_by == 60.0:
            np.testing.assert_array_equal(factor, np.eye(size)[0])


def test_a_closed_forget_gate_erases_state_and_traces():
    """The state then has only the input of this step, and traces are those of this step."""
    cell = Cell(1, 2, forget_gate=True)
    case = case_of(cell, "layered", "hidden", np.random.default_rng(3), steps=4)
    case.network.views(case.flat)["hidden_bias"][1] = -800.0
    last = Case(case.network, case.training, case.flat, case.inputs[-1:], {0: case.goals[3]},
                case.start)  # fmt: skip
    only = Case(case.network, case.training, case.flat, case.inputs, {3: case.goals[3]}, case.start)
    for gradient in ("truncated", "immediate", "bptt", "rtrl", "sparse:1", "snap:1"):
        close(follow(only, gradient), follow(last, gradient), err_msg=gradient)


def test_sparse_wiring_is_refused():
    network = Network(2, 1, Simple(3), wiring="sparse")
    with pytest.raises(SettingError, match="kernels run it as 'united'"):
        rule_for(network, Training(1.0), Gradient("bptt"), np.float64)
