from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given

from carrousel.contracts import Cell, Errors, Network, RateFactors, Simple, Training
from carrousel.errors import CarrouselError, SettingError
from carrousel.experiments.store.settings import describe
from support.case import each
from support.drawn import networks, rate_factors


@each(
    "match, settings",
    [
        ("rate is -0.1, expected a finite number of at least 0", {"rate": -0.1}),
        ("rate is nan", {"rate": float("nan")}),
        ("rate is '1'", {"rate": "1"}),
        ("update 'sequences' is unknown; did you mean 'sequence'", {"update": "sequences"}),
        ("update None", {"update": None}),
        ("cells_added_after is -1", {"cells_added_after": -1}),
        ("cells_added_after is 1.0", {"cells_added_after": 1.0}),
        ("initial_activation is inf", {"initial_activation": float("inf")}),
        ("derivative_floor is -0.1", {"derivative_floor": -0.1}),
        ("derivative_offset is nan", {"derivative_offset": float("nan")}),
        ("error_tolerance is '0.3'", {"error_tolerance": "0.3"}),
        (
            "derivative_floor is 0.02, but output_derivative is False; set derivative_floor=0 or",
            {"derivative_floor": 0.02, "output_derivative": False},
        ),
        (
            "derivative_offset is 0.1, but output_derivative is False",
            {"derivative_offset": 0.1, "output_derivative": False},
        ),
        ("factors is 0.1, expected a carrousel.contracts.RateFactors", {"factors": 0.1}),
    ],
)
def test_invalid_training_settings(match, settings):
    with pytest.raises(CarrouselError, match=match):
        Training(**{"rate": 0.1, **settings})


@each("factor", [-0.1, float("nan"), "1", None])
@each("name", [each.name for each in fields(RateFactors)])
def test_invalid_factors(name, factor):
    with pytest.raises(CarrouselError, match=f"factors.{name} is"):
        RateFactors(**{name: factor})


@given(networks(), rate_factors())
def test_every_weight_has_the_factor_of_its_group(network, factors):
    parts, biased = network.views(factors.by_weight(network)), network.biased_units
    for name, part in parts.items():
        group = {
            "hidden_inputs": factors.inputs,
            "hidden_recurrent": factors.recurrent,
            "output_bias": factors.output_biases,
        }.get(name, factors.outputs)
        if name == "hidden_bias":
            for unit, factor in zip(biased, part.tolist(), strict=True):
                of_cell = unit in network.cell.read_units
                assert factor == (factors.cell_biases if of_cell else factors.gate_biases)
        else:
            np.testing.assert_array_equal(part, group)


@each(
    "name, network",
    [
        ("recurrent", Network(1, 1, Cell(1, 1), "layered")),
        ("gate_biases", Network(1, 1, Cell(1, 1), bias="cells")),
        ("gate_biases", Network(1, 1, Simple(1), bias="all")),
        ("cell_biases", Network(1, 1, Cell(1, 1), bias="gates")),
        ("outputs", Network(1, 1, Simple(1), wiring="united")),
        ("output_biases", Network(1, 1, Cell(1, 1), bias="hidden")),
    ],
)
def test_factors_of_absent_weights_are_refused(name, network):
    with pytest.raises(SettingError, match=f"factors.{name} is 0.5, expected 1.0, since"):
        RateFactors(**{name: 0.5}).check(network)
    RateFactors(inputs=0.5).check(network)


def test_later_settings_are_omitted_from_fingerprints():
    """Trials stored before these settings existed belong to the same experiment."""
    plain = describe(Training(0.5))
    later = {"derivative_floor", "derivative_offset", "error_tolerance", "factors"}
    assert not later & plain.keys()
    assert describe(Training(0.5, factors=RateFactors(inputs=1.0))) == plain
    changed = describe(Training(0.5, factors=RateFactors(recurrent=0.1)))
    assert changed["factors"] == {"kind": "RateFactors", "recurrent": 0.1}
    network = describe(Network(1, 1, Cell(1, 1)))
    assert not {"feedback", "feedback_into", "inputs_to_outputs"} & network.keys()


def test_a_rate_of_zero_is_allowed():
    assert Training(rate=0).rate == 0


def errors() -> Errors:
    counts = np.array([2, 0, 4])
    return Errors(np.array([0.5, 0.0, 1.0]), np.array([0.8, 0.0, 2.0]), np.ones(3), counts)


def test_mean_errors_divide_by_the_number_of_values():
    np.testing.assert_allclose(errors().mean_abs, [0.4, 0.0, 0.5], rtol=1e-15)


def test_slices_of_errors_are_errors():
    part = errors()[1:]
    assert isinstance(part, Errors)
    np.testing.assert_array_equal(part.max_abs, [0.0, 1.0])
    np.testing.assert_array_equal(part.n_values, [0, 4])
    np.testing.assert_array_equal(errors()[0], [0.5, 0.0, 1.0])
    max_abs, _, _, n_values = errors()
    assert (len(max_abs), len(n_values)) == (3, 3)
