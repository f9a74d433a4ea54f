from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Errors, Training
from carrousel.errors import CarrouselError
from support.case import each


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
    ],
)
def test_invalid_training_settings(match, settings):
    with pytest.raises(CarrouselError, match=match):
        Training(**{"rate": 0.1, **settings})


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
