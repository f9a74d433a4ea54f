"""Theorems of sensitivities moved forward: restricted ones (SnAp), and random ones (UORO)."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Gradient, Network, Simple, Training
from carrousel.kernels import ReferenceKernel
from carrousel.kernels.reference.paths import reachable
from support.case import each
from support.drawn import Kind, drawn_data
from support.kernels.second_opinion import Start, logistic, parts_of
from support.kernels.third_opinion import (
    BIASED,
    STRUCTURES,
    Case,
    case_of,
    cases,
    follow,
    learned,
    play,
)

close = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-13)


# --- SnAp: entries that a weight influences within n steps ---------------------------------------


@settings(max_examples=40)
@given(cases(), st.integers(0, 3))
def test_snap_of_the_whole_sequence_is_rtrl(case, beyond):
    close(follow(case, f"snap:{case.steps + beyond}"), follow(case, "rtrl"))


@each("f", ["logistic", "tanh"])
@each("wiring", ["full", "direct", "united"])
def test_snap_1_of_simple_units(f, wiring):
    """Each unit keeps only its own weights: ``P_l(t) = f'(net_l) (w_ll P_l(t-1) + z(t))``."""
    case = case_of(Simple(3, f), wiring, "all", np.random.default_rng(1), steps=6)
    network, parts = case.network, case.network.views(case.flat)
    w_self = np.diag(parts["hidden_recurrent"])
    p, theirs, before = np.zeros((3, 2 + 3 + 1)), np.zeros((3, 6)), case.start.y
    for t, step in enumerate(play(network, case.copies, case.inputs, case.start)):
        slope = step.y * (1 - step.y) if f == "logistic" else 1 - step.y**2
        z = np.concatenate([case.inputs[t], before, [1.0]])
        p, before = slope[:, None] * (w_self[:, None] * p + z), step.y
        if t in case.goals:
            e_k = case.goals[t] - step.y_k
            if wiring == "united":
                error = np.append(np.zeros(1), e_k)
            else:
                error = (e_k * step.y_k * (1 - step.y_k)) @ parts["output_cells"]
            theirs += error[:, None] * p
    found = network.views(follow(case, "snap:1"))
    close(found["hidden_inputs"], theirs[:, :2])
    close(found["hidden_recurrent"], theirs[:, 2:5])
    close(found["hidden_bias"], theirs[:, 5])


def influence(network: Network, steps: int) -> np.ndarray:
    """Return which activations and states a unit's weights at one step influence, ``[state, U]``.

    It is computed by perturbing a unit's bias at the first of ``steps`` steps only.
    """
    units = network.cell.n_units
    wired = Network(1, network.n_outputs, network.cell, network.wiring, "hidden")
    rng = np.random.default_rng(0)
    copies = np.empty((steps, units, wired.n_weights), complex)
    copies[:] = rng.normal(0, 0.5, wired.n_weights)
    parts_of(wired, copies[0])["hidden_bias"][:] += 1e-40j * np.eye(units)
    start = Start(rng.normal(0, 1, units), rng.normal(0, 1, network.cell.n_states))
    tape = play(wired, copies, rng.normal(0, 1, (steps, 1)), start)
    moved = [np.concatenate([step.y, step.s], axis=-1) for step in tape]
    return (np.imag(moved) != 0).any(axis=0).T


@pytest.mark.parametrize("steps", [1, 2, 3])
@each("n_inputs", [1, 1000])
@each("cell, wiring", STRUCTURES)
def test_reachable_entries(cell, wiring, n_inputs, steps):
    """They depend on the structure only, also with 1000 inputs, where units would saturate."""
    network = Network(n_inputs, 2, cell, wiring=wiring)
    np.testing.assert_array_equal(reachable(network, steps), influence(network, steps))


@settings(max_examples=30)
@given(st.sampled_from(BIASED), st.integers(1, 2), st.integers(1, 5), st.integers(0, 99))
def test_snap_masks_sensitivities_at_every_step(structure, reach, steps, seed):
    """``P(t) = M * (D(t) P(t-1) + I(t))``, with ``D`` and ``I`` by differences of a step."""
    cell, wiring, bias = structure
    case = case_of(cell, wiring, bias, np.random.default_rng(seed), steps)
    network, n_weights = case.network, case.network.n_weights
    units, size = network.cell.n_units, network.cell.n_units + network.cell.n_states
    into = influence(network, reach)[:, into_unit(network)]
    hidden = into_unit(network) >= 0

    e, p, theirs, now = 1e-40, np.zeros((size, n_weights)), np.zeros(n_weights), case.start
    for t, x in enumerate(case.inputs):
        q = np.concatenate([now.y, now.s])
        shaken = np.vstack([np.tile(q, (n_weights, 1)), q + 1j * e * np.eye(size)])
        copies = np.tile(case.flat.astype(complex), (n_weights + size, 1))
        copies[:n_weights] += 1j * e * np.eye(n_weights)
        [step] = play(network, copies[None], x[None], Start(shaken[:, :units], shaken[:, units:]))
        moved = np.imag(np.concatenate([step.y, step.s], axis=-1)) / e
        p = into * (moved[n_weights:].T @ p + moved[:n_weights].T)
        now = Start(np.real(step.y[0]), np.real(step.s[0]))
        if t in case.goals:
            theirs += by_hidden(case, t, now) @ p
    ours = follow(case, f"snap:{reach}")
    close(ours[hidden], theirs[hidden])


def into_unit(network: Network) -> np.ndarray:
    """Return the hidden unit that each weight leads to, ``[W]``; -1 for output weights."""
    units = np.full(network.n_weights, -1)
    parts = parts_of(network, units)
    for name in {"hidden_inputs", "hidden_recurrent"} & set(parts):
        parts[name][:] = np.arange(network.cell.n_units)[:, None]
    if network.biased_units:
        parts["hidden_bias"][:] = network.biased_units
    return units


def by_hidden(case: Case, t: int, now: Start) -> np.ndarray:
    """Return minus the derivative of the loss of step t by the full state at t, ``[state]``."""
    network, back = case.network, np.zeros(len(now.y) + len(now.s))
    read, parts = np.array(network.cell.read_units), network.views(case.flat)
    if network.united:
        back[len(now.y) - 2 : len(now.y)] = case.goals[t] - now.y[-2:]
        return back
    net_k = parts["output_cells"] @ now.y[read] + parts.get("output_bias", 0)
    y = logistic(net_k + (parts["output_inputs"] @ case.inputs[t] if network.direct else 0))
    back[read] = ((case.goals[t] - y) * y * (1 - y)) @ parts["output_cells"]
    return back


# --- UORO: unbiased ------------------------------------------------------------------------------


class Scripted(np.random.Generator):
    """Generator that returns signs from a list."""

    def __init__(self, signs: np.ndarray) -> None:
        super().__init__(np.random.SFC64(0))
        self._signs = iter(signs)

    def choice(self, a, size=None, replace=True, p=None, axis=0, shuffle=True):
        np.testing.assert_array_equal(a, [-1, 1])
        sign = next(self._signs)
        assert sign.shape == (size,)
        return sign


def every_sign(steps: int, size: int) -> np.ndarray:
    """Return all sequences of sign vectors, ``[2 ** (steps * size), steps, size]``."""
    patterns = itertools.product((-1.0, 1.0), repeat=steps * size)
    return np.array(list(patterns)).reshape(-1, steps, size)


@pytest.mark.parametrize(
    ("cell", "wiring", "steps"),
    [
        (Simple(2), "full", 4),
        (Simple(2, "tanh"), "united", 4),
        (Simple(3), "direct", 3),
        (Cell(1, 1, output_gate=False), "full", 3),
        (Cell(1, 1, forget_gate=True), "full", 2),
    ],
)
def test_the_mean_of_uoro_over_all_signs_is_the_gradient(cell, wiring, steps):
    """It is exact: over all sequences of signs, cross terms cancel in pairs."""
    case = case_of(cell, wiring, "hidden", np.random.default_rng(6), steps)
    signs = every_sign(steps, cell.n_units + cell.n_states)
    estimates = np.array([follow(case, "uoro", Scripted(each)) for each in signs])
    # The mean of up to 512 terms, which are some ten times larger than itself.
    np.testing.assert_allclose(estimates.mean(axis=0), follow(case, "rtrl"), rtol=0, atol=1e-13)
    noise = case.network.views(estimates.std(axis=0))
    assert noise["hidden_inputs"].min() > 0


def test_uoro_is_unbiased_and_noisy():
    """By ``learn`` with one generator per lane; the mean of 600 seeds within its standard error."""
    rng, lanes = np.random.default_rng(4), 600
    network = Network(1, 1, Simple(2), bias="all")
    training = Training(1.0, initial_activation=0.5)
    data = drawn_data(network, rng, Kind(when="end"), [4])
    flat = rng.normal(0, 1, network.n_weights)
    weights = np.tile(flat, (lanes, 1))
    rngs = [np.random.default_rng([7, lane]) for lane in range(lanes)]
    ReferenceKernel().learn(
        network, training, weights, np.ones(lanes), np.zeros(lanes, np.int64), [data] * lanes,
        Gradient("uoro"), rngs,
    )  # fmt: skip
    exact = learned(ReferenceKernel(), network, training, flat, data, "rtrl") - flat
    found = weights - flat
    noisy = found.std(axis=0) > 1e-12
    np.testing.assert_array_equal(np.flatnonzero(noisy), np.arange(8))  # all but output weights
    close(found[:, ~noisy], np.tile(exact[~noisy], (lanes, 1)))
    z = (found.mean(axis=0) - exact)[noisy] / (found.std(axis=0)[noisy] / np.sqrt(lanes))
    assert np.abs(z).max() < 4.2  # 8 entries, each beyond it once in 37,000 times
    assert (found.std(axis=0)[noisy] > 0.05 * np.abs(exact[noisy])).all()


def test_uoro_of_one_unit_and_step_is_exact():
    """Because ``v v' = 1``."""
    case = case_of(Simple(1), "full", "hidden", np.random.default_rng(2), steps=1)
    close(follow(case, "uoro", np.random.default_rng(5)), follow(case, "rtrl"))
