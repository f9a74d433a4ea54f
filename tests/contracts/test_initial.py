from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given

from carrousel.contracts import Cell, Init, Network, Simple
from carrousel.contracts.initial import initial_weights
from carrousel.experiments.store.settings import describe
from support.case import each
from support.drawn import networks, seeds


@given(networks(), seeds)
def test_weights_are_in_their_range(network, seed):
    flat = initial_weights(network, np.random.default_rng(seed))
    assert flat.shape == (network.n_weights,)
    assert flat.dtype == np.float32
    assert np.abs(flat).max(initial=0.0) <= np.float32(0.1)


def test_weights_are_uniform():
    """Means of 10,000 draws on [-r, r]: 0 and r/2, with standard error r/173 and r/346."""
    network = Network(101, 90, Cell(1, 1), "layered", init=Init(range=0.2))
    flat = initial_weights(network, np.random.default_rng(0))[:10_000]
    assert len(flat) > 9_000
    assert abs(flat.mean()) < 5 * 0.2 / 173
    assert abs(np.abs(flat).mean() - 0.1) < 5 * 0.2 / 346


@given(seeds)
def test_a_seed_determines_the_weights(seed):
    network = Network(2, 1, Cell(2, 2), bias="all")
    draws = [initial_weights(network, np.random.default_rng(s)) for s in (seed, seed, seed + 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@each("bias", ["gates", "hidden", "all"])
@each("output_gate", [True, False])
@each("how", ["set", "added"])
def test_initial_gate_biases(bias, output_gate, how):
    """The input gate of block j is unit j, its output gate is unit blocks + cells + j."""
    into, out = (-1.0, -3.0, -5.0), (-2.0, -4.0, -6.0) if output_gate else ()
    cell = Cell(3, 2, output_gate=output_gate)
    init = Init(0.1, input_gate_bias=into, output_gate_bias=out, gate_bias=how)
    network = Network(2, 1, cell, bias=bias, init=init)
    left = Network(2, 1, cell, bias=bias)
    ours = network.views(initial_weights(network, np.random.default_rng(3)))
    random = left.views(initial_weights(left, np.random.default_rng(3)))
    expected = random["hidden_bias"].copy()
    starts = dict(enumerate(into)) | {9 + j: start for j, start in enumerate(out)}
    for unit, start in starts.items():
        place = network.biased_units.index(unit)
        expected[place] = start + (random["hidden_bias"][place] if how == "added" else 0)
    np.testing.assert_array_equal(ours["hidden_bias"], expected)
    for name in ours.keys() - {"hidden_bias"}:
        np.testing.assert_array_equal(ours[name], random[name])


def parts_of(init: Init, seed: int = 3, **settings) -> dict[str, np.ndarray]:
    """Return a network's initial weights by name; by default of memory cells."""
    network = Network(
        **{"n_inputs": 4, "n_outputs": 3, "cell": Cell(2, 2), "init": init} | settings
    )
    return network.views(initial_weights(network, np.random.default_rng(seed)))


@given(networks(), seeds)
def test_default_weights_of_a_seed_never_change(network, seed):
    """All weights are one uniform draw, bit by bit."""
    rng = np.random.default_rng(seed)
    plain = replace(network, init=Init())
    expected = rng.uniform(-0.1, 0.1, plain.n_weights).astype(np.float32)
    found = initial_weights(plain, np.random.default_rng(seed))
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


@each("bias", ["none", "gates", "all"])
@each("wiring", ["full", "layered", "cells"])
def test_input_gate_weights_are_shifted(wiring, bias):
    """Rows 0 and 1 are those of the two input gates."""
    plain = parts_of(Init(0.2), wiring=wiring, bias=bias)
    lower = parts_of(Init(0.2, input_gate_weights=-3.0), wiring=wiring, bias=bias)
    assert plain.keys() == lower.keys()
    assert ("hidden_recurrent" in plain) == (wiring != "layered")
    for name, before in plain.items():
        expected = before.copy()
        if name in ("hidden_inputs", "hidden_recurrent"):
            expected[:2] += np.float32(-3.0)
        np.testing.assert_array_equal(lower[name], expected)


@each("into", ["gates", "cells", "input_gates+cells", "cells+output_gates"])
def test_input_gate_weights_are_shifted_where_they_exist(into):
    plain = parts_of(Init(0.2), feedback_into=into)["hidden_recurrent"]
    init = Init(0.2, input_gate_weights=-3.0)
    lower = parts_of(init, feedback_into=into)["hidden_recurrent"]
    gates = 2 if into.startswith(("gates", "input_gates")) else 0
    np.testing.assert_array_equal(lower[gates:], plain[gates:])
    np.testing.assert_array_equal(lower[:gates], plain[:gates] + np.float32(-3.0))


def test_input_gate_weights_do_not_shift_biases():
    init = Init(0.2, input_gate_bias=(-1.0, -2.0), input_gate_weights=-3.0)
    parts = parts_of(init, bias="gates")
    np.testing.assert_array_equal(parts["hidden_bias"][:2], [-1.0, -2.0])
    assert parts["hidden_inputs"][:2].max() < -2.7


@each("output_range", [0.0, 0.05, 0.2, 1.0])
@each(
    "settings",
    [
        {"bias": "all"},
        {"wiring": "layered", "bias": "none"},
        {"cell": Simple(3), "wiring": "direct", "bias": "all"},
    ],
)
def test_output_range_scales_the_same_draws(settings, output_range):
    plain = parts_of(Init(0.2), **settings)
    other = parts_of(Init(0.2, output_range=output_range), **settings)
    assert sum(name.startswith("output") for name in plain) >= 2
    for name, before in plain.items():
        if name.startswith("output"):
            scaled = before * np.float32(output_range / 0.2)
            np.testing.assert_allclose(other[name], scaled, rtol=1e-6, atol=1e-9)
        else:
            np.testing.assert_array_equal(other[name], before)


@each("settings", [{}, {"feedback_into": "gates"}, {"cell": Simple(3)}])
def test_recurrent_range_scales_the_same_draws(settings):
    plain = parts_of(Init(0.2), bias="all" if settings else "none", **settings)
    init = Init(0.2, recurrent_range=0.05)
    other = parts_of(init, bias="all" if settings else "none", **settings)
    for name, before in plain.items():
        scaled = before * np.float32(0.25 if name == "hidden_recurrent" else 1)
        np.testing.assert_allclose(other[name], scaled, rtol=1e-6, atol=1e-9)


def test_cell_and_output_biases_start_at_a_value():
    plain = parts_of(Init(0.2), bias="all")
    init = Init(0.2, cell_bias=0.0, output_bias=-0.5, gate_bias="added")
    other = parts_of(init, bias="all")
    np.testing.assert_array_equal(other["hidden_bias"][2:6], 0.0)
    np.testing.assert_array_equal(other["output_bias"], -0.5)
    for name, before in plain.items():
        if name not in ("hidden_bias", "output_bias"):
            np.testing.assert_array_equal(other[name], before)
    np.testing.assert_array_equal(
        other["hidden_bias"][[0, 1, 6, 7]], plain["hidden_bias"][[0, 1, 6, 7]]
    )


def test_output_weights_alone_may_be_random():
    parts = parts_of(Init(0.0, output_range=1.0), bias="all")
    assert not parts["hidden_inputs"].any()
    assert not parts["hidden_bias"].any()
    assert np.abs(parts["output_cells"]).min() > 0.0
    assert np.abs(parts["output_cells"]).max() > 0.5


def test_later_settings_are_omitted_from_fingerprints():
    """Trials stored before these settings existed belong to the same experiment."""
    plain = describe(Init(0.2))
    later = {"input_gate_weights", "output_range", "recurrent_range", "cell_bias", "output_bias"}
    assert not later & plain.keys()
    changed = describe(Init(0.2, input_gate_weights=-3.0, output_range=0.2))
    assert (changed["input_gate_weights"], changed["output_range"]) == (-3, 0.2)
