"""Learners by gradient: memory, names, refusals, states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel import memory
from carrousel.contracts import Cell, Gradient, Init, Network, Simple, Training
from carrousel.errors import SettingError, UnknownNameError
from carrousel.kernels import ReferenceKernel, default_kernel
from carrousel.learners import LEARNERS, GradientLearner, learner_named
from carrousel.sequences import Sequences
from support.case import case, each
from support.drawn import Kind, drawn_data
from support.kernels.third_opinion import BIASED

NETWORK = Network(2, 1, Cell(1, 2, forget_gate=True), bias="all")
STEP, SEQUENCE = Training(0.5, "step"), Training(0.5)
NAMES = ["truncated", "bptt", "bptt:3", "bptt:3:2", "rtrl", "snap:1", "snap:2", "uoro"]
names = each("name", NAMES)


def batch(seed: int = 0, n: int = 3, network: Network = NETWORK) -> Sequences:
    rng = np.random.default_rng(seed)
    return drawn_data(network, rng, Kind(when="all"), rng.integers(1, 9, n).tolist())


def started(name: str, lanes: int = 1, network: Network = NETWORK, training: Training = SEQUENCE):
    learner = GradientLearner(network, training, lanes, ReferenceKernel(), name)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(lane))
    return learner


# --- memory --------------------------------------------------------------------------------------


def of_the_formula(network: Network, name: str, longest: int) -> int:
    """Numbers kept between time steps, counted array by array."""
    cell, inputs = network.cell, network.n_inputs
    units, states = cell.n_units, cell.n_cells
    recurrent = {"layered": 0, "cells": states}.get(network.wiring, units)
    sources = inputs + recurrent + 1
    if name == "truncated" and isinstance(cell, Cell):
        by_input_gate = by_cell = cell.n_cells * sources
        by_forget_gate = cell.n_cells * sources if cell.forget_gate else 0
        return by_input_gate + by_cell + by_forget_gate
    if name == "truncated":
        return 0
    if name.startswith("bptt"):
        steps = min([longest, *[int(depth) for depth in name.split(":")[1:2]]])
        seen, slopes = inputs + units, units
        of_a_cell = 6  # ds by dnet of its gates and itself, by ds before; dy by ds and by dnet_out
        return steps * (seen + slopes + of_a_cell * states)
    if name == "rtrl":
        return (units + states) * units * sources
    if name == "uoro":
        state_part, weight_part = units + states, units * sources
        return state_part + weight_part
    assert name == "snap:1"
    if isinstance(cell, Simple):
        return units * sources  # each unit its own weights
    gates_of_state = 1 + cell.forget_gate  # their weights reach themselves, and each cell and state
    reach = cell.blocks * gates_of_state * (1 + 2 * cell.block_size)
    reach += 2 * states  # weights into a cell reach its output and its state
    reach += cell.blocks * cell.output_gate * (1 + cell.block_size)  # an output gate, no state
    return reach * sources


@each("name", ["truncated", "bptt", "bptt:3", "rtrl", "snap:1", "uoro"])
@settings(max_examples=40)
@given(structure=st.sampled_from(BIASED), lanes=st.integers(1, 3), steps=st.integers(1, 9))
def test_bytes_are_weights_and_what_is_kept_between_steps(name, structure, lanes, steps):
    cell, wiring, bias = structure
    network = Network(2, 2, cell, wiring=wiring, bias=bias)
    learner = GradientLearner(network, SEQUENCE, lanes, ReferenceKernel(), name)
    for longest in (0, steps):
        kept = of_the_formula(network, name, longest)
        assert learner.nbytes == lanes * 8 * (network.n_weights + kept)
        data = drawn_data(network, np.random.default_rng(0), Kind(when="end"), [1, steps])
        learner.learn([data] + [None] * (lanes - 1))


@names
def test_only_back_propagation_through_time_needs_more_for_longer_sequences(name):
    learner, sizes = started(name), []
    for steps in (50, 100, 20):
        data = drawn_data(NETWORK, np.random.default_rng(0), Kind(when="end"), [steps])
        learner.learn([data])
        sizes.append(learner.nbytes - 8 * NETWORK.n_weights)
    assert sizes[2] == sizes[1] == (2 * sizes[0] if name == "bptt" else sizes[0])


def test_orders_of_magnitude():
    """With twice the units, O(W) is four times and O(n W) eight times as much."""
    growth = {}
    for name in ("snap:1", "uoro", "rtrl"):
        small, large = (
            GradientLearner(net, SEQUENCE, 1, ReferenceKernel(), name).nbytes - 8 * net.n_weights
            for net in (Network(1, 1, Simple(300)), Network(1, 1, Simple(600)))
        )
        growth[name] = round(large / small, 1)
    assert growth["snap:1"] == growth["uoro"] == 4.0
    assert growth["rtrl"] == 8.0


# --- kernels and names ---------------------------------------------------------------------------


@each("name", ["truncated", "bptt", "bptt:20:5", "rtrl", "snap:1", "uoro", "snap:2"])
def test_every_gradient_runs_in_native_lanes(name):
    learner = learner_named(name)(NETWORK, SEQUENCE, 2)
    assert isinstance(learner, GradientLearner)
    assert learner.kernel.name == default_kernel().name == "native"
    assert learner.weights.dtype == learner.kernel.dtype
    assert learner.gradient.name == name


@each("name", ["truncated", "bptt", "rtrl", "snap:1", "uoro"])
def test_every_name_makes_a_learner_of_that_gradient(name):
    assert name in LEARNERS
    learner = learner_named(name)(NETWORK, SEQUENCE, 2)
    assert isinstance(learner, GradientLearner)
    assert learner.gradient == Gradient.named(name)
    assert learner.n_lanes == 2
    assert learner.measures(0) == {}


def test_unknown_names_get_the_nearest_right_ones():
    for wrong, meant in (
        ("truncate", "truncated"), ("rtlr", "rtrl"), ("bbtt", "bptt"), ("elmann", "elman"),
        ("snap", "snap:1"), ("uro", "uoro"),
    ):  # fmt: skip
        with (
            case(wrong),
            pytest.raises((UnknownNameError, SettingError), match=rf"{wrong}.*'{meant}'"),
        ):
            learner_named(wrong)(NETWORK, SEQUENCE, 1)


@each("name", ["", "backprop", "bptt:", "bptt:x", "bptt:1:1:1", "bptt:-1"])
def test_names_of_no_gradient(name):
    with pytest.raises(UnknownNameError, match=f"learner '{name}' is unknown"):
        learner_named(name)
    with pytest.raises(UnknownNameError, match=f"gradient '{name}' is unknown"):
        GradientLearner(NETWORK, SEQUENCE, gradient=name)


# --- refusals at construction --------------------------------------------------------------------


def test_unbounded_back_propagation_cannot_update_at_each_step():
    with pytest.raises(SettingError, match=r"use 'bptt:h' or update='sequence'"):
        GradientLearner(NETWORK, STEP, gradient="bptt")
    for name in ("bptt:9", "rtrl", "snap:1", "uoro", "truncated"):
        GradientLearner(NETWORK, STEP, kernel=ReferenceKernel(), gradient=name)


def test_more_memory_than_there_is_is_refused_before_it_is_allocated():
    network = Network(1, 1, Simple(2**12))
    wanted = 8 * 2**24 * (1 + 2**12 + 1)
    with pytest.raises(SettingError, match="gradient is rtrl") as refusal:
        learner_named("rtrl")(network, SEQUENCE, 1)
    assert f"would need {wanted / 2**30:,.0f} GiB, but this process may use" in str(refusal.value)
    for other in ("'truncated'", "'bptt'", "'snap:1'", "'uoro'"):
        assert other in str(refusal.value)
    with pytest.raises(SettingError, match=f"n_lanes is {10**10}"):
        GradientLearner(NETWORK, STEP, 10**10)


def test_a_sequence_that_back_propagation_cannot_remember_is_refused(monkeypatch):
    learner = GradientLearner(NETWORK, SEQUENCE, gradient="bptt")
    data = [batch()]
    before = learner.nbytes
    monkeypatch.setattr(memory, "usable_bytes", lambda: before)
    with pytest.raises(SettingError, match="a sequence of"):
        learner.learn(data)


@names
def test_sparse_wiring_is_for_guessing(name):
    with pytest.raises(SettingError, match=r"wiring is 'sparse'.*'guess'.*'united'"):
        GradientLearner(Network(2, 1, Simple(3), wiring="sparse"), SEQUENCE, gradient=name)


@names
def test_united_outputs_need_their_derivative(name):
    network = Network(2, 1, Simple(3), wiring="united")
    with pytest.raises(SettingError, match=r"output_derivative is False.*use True"):
        GradientLearner(network, Training(0.5, output_derivative=False), gradient=name)


def test_settings_of_the_wrong_type():
    with pytest.raises(
        SettingError, match=r"training is .*expected a carrousel\.contracts\.Training"
    ):
        GradientLearner(NETWORK, {"rate": 0.5})  # type: ignore[arg-type]


# --- states --------------------------------------------------------------------------------------


@names
def test_a_restored_lane_continues_to_the_last_bit(name):
    """In another lane of another learner, random signs included; the first one does not change."""
    first = started(name)
    first.learn([batch(1)])
    state = first.state(0)
    second = started(name, 3)
    second.restore(2, state)
    for seed in (2, 3):
        first.learn([batch(seed)])
        second.learn([None, None, batch(seed)])
        ours, theirs = second.state(2), first.state(0)
        random = {"random"} if name == "uoro" else set()
        assert set(ours) == set(theirs) == {"weights", "seen", "rate", "schedule"} | random
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    assert np.any(state["weights"] != first.weights[0])


@names
def test_a_state_survives_a_file(name, tmp_path):
    """Arrays of plain types only: no pickle is needed to store them."""
    learner = started(name)
    learner.learn([batch(1)])
    np.savez(tmp_path / "state.npz", **learner.state(0))  # type: ignore[arg-type]
    with np.load(tmp_path / "state.npz", allow_pickle=False) as stored:
        again = started(name)
        again.restore(0, dict(stored))
    for item in (learner, again):
        item.learn([batch(2)])
    np.testing.assert_array_equal(learner.weights, again.weights)


@given(seed=st.integers(0, 2**32 - 1), halves=st.integers(0, 3))
def test_a_generator_is_stored_to_its_last_bit(seed, halves):
    """Including a buffered half word: three 32-bit numbers leave one."""
    learner, twin = started("uoro"), started("uoro")
    learner.begin(0, np.random.default_rng(seed))
    learner._lanes.rngs[0].integers(0, 9, halves, dtype=np.int32)
    twin.restore(0, learner.state(0))
    ours, theirs = (item._lanes.rngs[0].bit_generator.state for item in (learner, twin))
    np.testing.assert_equal(ours, theirs)


def test_a_lane_draws_its_own_signs():
    """The generator of a lane depends on the one passed to begin, not on neighbours or position."""
    learner = started("uoro", 3)
    learner.begin(2, np.random.default_rng(0))
    learner.learn([batch(1), None, batch(1)])
    np.testing.assert_array_equal(learner.weights[0], learner.weights[2])
    other = started("uoro", 2)
    other.learn([None, batch(1)])
    assert np.any(other.weights[1] != learner.weights[0])


def test_beginning_again_resets_the_random_signs():
    learner = started("uoro")
    learner.learn([batch(1)])
    learner.begin(0, np.random.default_rng(0))
    learner.learn([batch(2)])
    fresh = started("uoro")
    fresh.learn([batch(2)])
    np.testing.assert_array_equal(learner.weights, fresh.weights)


# --- learning ------------------------------------------------------------------------------------


@each("name", ["bptt", "bptt:5:2", "rtrl", "snap:2", "uoro"])
def test_it_learns_the_input_of_two_steps_ago(name):
    rate = 0.3 if name == "uoro" else 2.0
    network = Network(4, 1, Simple(4, "tanh"), bias="all", init=Init(range=1.0))
    learner = started(name, network=network, training=Training(rate))
    cues = np.random.default_rng(2).integers(0, 2, 400)
    data = Sequences.from_lists(
        [[cue, 2, 3] for cue in cues], [[[float(cue)]] for cue in cues], n_inputs=4
    )
    [errors] = learner.learn([data])
    assert errors is not None
    assert errors.mean_abs[:20].mean() > 0.3
    assert errors.mean_abs[-50:].mean() < 0.1
