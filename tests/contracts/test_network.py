from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from carrousel.contracts import SQUASHES, Cell, Init, Network, Simple, parse_units
from carrousel.errors import CarrouselError, SettingError, UnknownNameError
from support.case import each
from support.drawn import networks

ONE = Cell(1, 1)


@each(
    "table, network, weights",
    [
        ("Table 1, 4 blocks", Network(7, 7, Cell(4, 1), bias="gates"), 264),
        ("Table 1, 3 blocks", Network(7, 7, Cell(3, 2), bias="gates"), 276),
        ("Table 2", Network(101, 101, Cell(1, 1, output_gate=False), "layered"), 10504),
        ("Table 3, p 50", Network(54, 2, Cell(2, 1)), 364),
        ("Table 3, p 100", Network(104, 2, Cell(2, 1)), 664),
        ("Table 3, p 200", Network(204, 2, Cell(2, 1)), 1264),
        ("Table 3, p 500", Network(504, 2, Cell(2, 1)), 3064),
        ("Table 3, p 1000", Network(1004, 2, Cell(2, 1)), 6064),
        ("Tables 4 to 6", Network(1, 1, Cell(3, 1), bias="hidden"), 102),
        ("Tables 7 and 8", Network(2, 1, Cell(2, 2), bias="all"), 93),
        ("Table 9, 6a", Network(8, 4, Cell(2, 2), bias="all"), 156),
        ("Table 9, 6b", Network(8, 8, Cell(3, 2), bias="all"), 308),
    ],
)
def test_weight_counts_equal_those_of_the_paper(table, network, weights):
    assert network.n_weights == weights, table


REBER = {"bias": "gates+outputs", "inputs_to_outputs": True}


@each(
    "reading, network, weights",
    [
        ("1, inputs feed biased outputs, 4 blocks", Network(7, 7, Cell(4, 1), **REBER), 320),
        ("1, inputs feed biased outputs, 3 blocks", Network(7, 7, Cell(3, 2), **REBER), 332),
        ("2c, gates alone receive", Network(54, 2, Cell(2, 1), feedback_into="gates"), 364 - 12),
        ("2c, p 1000", Network(1004, 2, Cell(2, 1), feedback_into="gates"), 6064 - 12),
        ("2c, cells alone receive", Network(54, 2, Cell(2, 1), feedback_into="cells"), 364 - 24),
        ("2c, no feedback", Network(54, 2, Cell(2, 1), feedback="none"), 364 - 36),
        ("2c, cells are fed back", Network(54, 2, Cell(2, 1), feedback="cells"), 364 - 24),
        ("2c, gates are fed back", Network(54, 2, Cell(2, 1), feedback="gates"), 364 - 12),
        ("4, no biased cells", Network(2, 1, Cell(2, 2), bias="gates+outputs"), 93 - 4),
        ("4, gates alone biased", Network(2, 1, Cell(2, 2), bias="gates"), 93 - 5),
        ("6b, cells fed back", Network(8, 8, Cell(3, 2), bias="all", feedback="cells"), 308 - 72),
    ],
)
def test_weight_counts_of_other_readings(reading, network, weights):
    """Absent weights are not counted, and not in the layout."""
    assert network.n_weights == weights, reading


@each(
    "wiring, settings",
    [
        ("layered", {"feedback": "none", "inputs_to_outputs": True}),
        ("cells", {"feedback": "cells", "inputs_to_outputs": True}),
        ("full", {"feedback": "hidden", "feedback_into": "hidden", "inputs_to_outputs": False}),
    ],
)
def test_wirings_are_names_of_settings(wiring, settings):
    cell = Cell(2, 3, forget_gate=True)
    named, spelled_out = Network(3, 2, cell, wiring), Network(3, 2, cell, **settings)
    assert named.layout == spelled_out.layout
    for what in ("fed_back", "receivers", "direct", "n_sources"):
        assert getattr(named, what) == getattr(spelled_out, what)


def test_rows_of_recurrent_weights_are_those_of_receivers():
    network = Network(1, 1, Cell(2, 2), feedback="cells", feedback_into="input_gates+output_gates")
    assert (network.receivers, network.fed_back) == ((0, 1, 6, 7), (2, 3, 4, 5))
    assert network.layout["hidden_recurrent"].shape == (4, 4)


@given(networks())
def test_parts_tile_the_flat_vector(network):
    """Every weight belongs to exactly one part, in the order of the layout."""
    owner = np.zeros(network.n_weights, int)
    end = 0
    for part in network.layout.values():
        assert part.start == end
        assert part.stop == end + np.prod(part.shape)
        owner[part.start : part.stop] += 1
        end = part.stop
    np.testing.assert_array_equal(owner, 1)


@given(networks())
def test_absent_parts(network):
    parts = network.layout
    layered = network.wiring == "layered" if network.feedback is None else None
    direct = network.wiring in ("layered", "cells")
    if network.inputs_to_outputs is not None:
        direct = network.inputs_to_outputs
    assert ("hidden_recurrent" in parts) == (network.feedback != "none" and layered is not True)
    assert ("output_inputs" in parts) == direct
    assert ("hidden_bias" in parts) == (network.bias not in ("none", "outputs"))
    assert ("output_bias" in parts) == (network.bias == "all" or "outputs" in network.bias)


@given(networks())
def test_views_write_through(network):
    weights = np.zeros((2, 3, network.n_weights))
    for number, view in enumerate(network.views(weights).values(), start=1):
        assert view.shape[:2] == (2, 3)
        view[1, 2] = number
    assert np.all(weights[1, 2] > 0)
    assert not weights[0].any()
    assert not weights[1, :2].any()
    np.testing.assert_array_equal(np.sort(weights[1, 2]), weights[1, 2])  # in order of the layout


@given(networks())
def test_units_are_counted(network):
    cell = network.cell
    gates = cell.blocks * (2 if cell.output_gate else 1)
    assert cell.n_cells == cell.blocks * cell.block_size
    assert cell.n_units == cell.n_cells + gates
    groups = [unit for units in cell.groups.values() for unit in units]
    assert groups == list(range(cell.n_units))
    assert cell.groups["cells"] == range(cell.blocks, cell.blocks + cell.n_cells)
    named = parse_units("bias", network.bias)
    for group, units in cell.groups.items():
        assert (set(units) <= set(network.biased_units)) == (group in named)
    for units in (network.biased_units, network.fed_back, network.receivers):
        assert list(units) == sorted(set(units))


def test_squashing_functions_have_the_range_of_their_name():
    for name, scale_shift in SQUASHES.items():
        if scale_shift is not None:
            low, high = (float(end) for end in name.strip("[]").split(","))
            assert (scale_shift[1], sum(scale_shift)) == (low, high)


@each(
    "error, match, settings",
    [
        (SettingError, "blocks is 0", {"blocks": 0}),
        (SettingError, "blocks is 4097, .* from 1 to 4096", {"blocks": 4097}),
        (SettingError, "blocks is 1.5", {"blocks": 1.5}),
        (SettingError, "block_size is -1", {"block_size": -1}),
        (SettingError, "block_size is True", {"block_size": True}),
        (UnknownNameError, "g '\\[-2, 2\\]' is unknown; did you mean", {"g": "[-2, 2]"}),
        (UnknownNameError, "h 'tanh' is unknown", {"h": "tanh"}),
    ],
)
def test_invalid_cells(error, match, settings):
    with pytest.raises(error, match=match):
        Cell(**{"blocks": 1, "block_size": 1, **settings})


@each(
    "error, match, settings",
    [
        (SettingError, "n_inputs is 0", {"n_inputs": 0}),
        (SettingError, "n_inputs is 16777217", {"n_inputs": 2**24 + 1}),
        (SettingError, "n_outputs is 2.0", {"n_outputs": 2.0}),
        (UnknownNameError, "wiring 'ful' is unknown; did you mean 'full'", {"wiring": "ful"}),
        (UnknownNameError, "bias 'gate' is unknown; did you mean 'gates'", {"bias": "gate"}),
        (UnknownNameError, "bias None", {"bias": None}),
        (SettingError, "bias is 'outputs.gates'; write 'gates.outputs'", {"bias": "outputs+gates"}),
        (SettingError, "have no forget gates; leave 'forget", {"bias": "input_gates+forget_gates"}),
        (UnknownNameError, "feedback 'outputs' is unknown", {"feedback": "outputs"}),
        (UnknownNameError, "feedback '' is unknown", {"feedback": ""}),
        (UnknownNameError, "feedback_into 'all' is unknown", {"feedback_into": "all"}),
        (SettingError, "have no forget gates", {"feedback_into": "forget_gates"}),
        (SettingError, "feedback_into is 'none', .* set feedback", {"feedback_into": "none"}),
        (
            SettingError,
            "feedback_into is 'gates', but no unit is fed back",
            {"wiring": "layered", "feedback_into": "gates"},
        ),
        (SettingError, "inputs_to_outputs is 1, expected True", {"inputs_to_outputs": 1}),
        (
            SettingError,
            "feedback is 'cells', expected None for simple units",
            {"feedback": "cells", "cell": Simple(1)},
        ),
        (
            SettingError,
            "bias is 'outputs', but outputs are hidden units",
            {"bias": "outputs", "cell": Simple(1), "wiring": "united"},
        ),
        (
            SettingError,
            "bias is 'gates.outputs', but simple units have no gates",
            {"bias": "gates+outputs", "cell": Simple(1)},
        ),
        (SettingError, "cell_bias is 0.0, .*no such bias", {"init": Init(cell_bias=0.0)}),
        (
            SettingError,
            "output_bias is 0.0, .*no such bias",
            {"init": Init(output_bias=0.0), "bias": "hidden"},
        ),
        (
            SettingError,
            "recurrent_range is 0.0, expected None",
            {"init": Init(recurrent_range=0.0), "wiring": "layered"},
        ),
        (SettingError, "input_gate_bias is .*no such bias", {"init": Init(1, (1.0,))}),
        (
            SettingError,
            "input_gate_bias has 2 values, expected one for each of 1 blocks",
            {"init": Init(1, (1.0, 2.0)), "bias": "gates"},
        ),
        (
            SettingError,
            "output_gate_bias .*no such bias",
            {
                "init": Init(1, (), (1.0,)),
                "bias": "all",
                "cell": Cell(1, 1, output_gate=False),
            },
        ),
        (
            SettingError,
            "input_gate_weights is -3.0, expected 0.0, since simple units have no gates",
            {"init": Init(1, input_gate_weights=-3.0), "cell": Simple(1)},
        ),
        (
            SettingError,
            "output_range is 0.5, expected None, since with 'united' wiring",
            {"init": Init(1, output_range=0.5), "cell": Simple(1), "wiring": "united"},
        ),
    ],
)
def test_invalid_networks(error, match, settings):
    with pytest.raises(error, match=match):
        Network(**{"n_inputs": 1, "n_outputs": 1, "cell": ONE, **settings})


@each(
    "settings",
    [
        {"range": -0.1},
        {"range": np.nan},
        {"range": "0.1"},
        {"input_gate_bias": (np.inf,)},
        {"output_gate_bias": ("1",)},
        {"gate_bias": "add"},
        {"input_gate_weights": np.nan},
        {"input_gate_weights": "-3"},
        {"output_range": -0.1},
        {"output_range": np.inf},
        {"recurrent_range": -0.1},
        {"cell_bias": np.nan},
        {"output_bias": "0"},
    ],
)
def test_invalid_initial_weights(settings):
    with pytest.raises(CarrouselError):
        Init(**settings)


def test_descriptions_are_frozen_and_equal_by_value():
    assert Network(1, 1, Cell(1, 1)) == Network(1, 1, Cell(1, 1))
    assert hash(Network(1, 1, Cell(1, 1))) == hash(Network(1, 1, Cell(1, 1)))
    for description in (ONE, Init(), Network(1, 1, ONE)):
        field = dataclasses.fields(description)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(description, field, 2)


def test_a_cell_given_by_name_is_refused():
    wrong: Any = "lstm"
    with pytest.raises(SettingError, match="cell is 'lstm', expected a Cell or Simple"):
        Network(1, 1, wrong)
