"""Accuracy of the vector functions of compiled cells over the whole range of float32."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from carrousel.nn.equations.equations import Equations
from support.case import case
from support.nn import equation_calls as calls

FUNCTIONS = ("exp", "tanh", "sigmoid", "softplus", "log", "sqrt", "sin", "cos", "erf")


@pytest.fixture(scope="module")
def cell():
    """A cell that computes each function of its only input as a state."""
    return Equations(
        "accuracy",
        net_inputs=("z",),
        states=tuple(f"s_{name}" for name in FUNCTIONS),
        equations="\n".join([*(f"s_{name} = {name}(z_x)" for name in FUNCTIONS), "h = z_x"]),
    ).cell


def evaluate(cell, x: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every function for every number."""
    zero = np.zeros((1, x.size), x.dtype)
    states = np.zeros((len(FUNCTIONS), x.size), x.dtype)
    given = calls.Given(x[None], zero, states, zero, np.zeros((0, x.size), x.dtype))
    return dict(zip(FUNCTIONS, calls.forward(cell, given).states, strict=True))


def spread(low: float, high: float, n: int = 40_000) -> np.ndarray:
    """float32 numbers of a range with its ends: half evenly spaced, half with random exponents."""
    rng = np.random.default_rng(0)
    even = np.linspace(low, high, n)
    small = np.exp(rng.uniform(-80, math.log(max(abs(low), high)), n)) * rng.choice([-1, 1], n)
    both = np.concatenate([even, small]).astype(np.float32)
    return both[(low <= both) & (both <= high)]


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


EXACT: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, float, float]] = {
    "exp": (np.exp, -103.0, 88.7, 1.5),
    "tanh": (np.tanh, -20.0, 20.0, 3.5),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -87.0, 100.0, 3.0),
    "softplus": (softplus, -87.0, 1e4, 3.0),
    "log": (np.log, 1e-44, 3e38, 2.0),
    "sqrt": (np.sqrt, 0.0, 3e38, 0.51),
    "sin": (np.sin, -1e4, 1e4, 1.0),
    "cos": (np.cos, -1e4, 1e4, 1.0),
    "erf": (np.vectorize(math.erf, otypes=[np.longdouble]), -6.0, 6.0, 1.5),
}
"""Function, range, and largest error in units in the last place.

For ``exp``: the last sum of the series and the scaling round by at most half a unit each. The rest
of the series and the reduced argument are multiplied by less than 0.35 and add less than another
half. Other functions add a sum, a product or a division. That may double an earlier error where the
value crosses a power of two."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_in_units_in_the_last_place(cell, dtype: type):
    for name in EXACT:
        with case(name):
            check_accuracy(cell, name, dtype)


def check_accuracy(cell, name: str, dtype: type):
    exact, low, high, bound = EXACT[name]
    x = spread(low, high).astype(dtype)
    if dtype is np.float64:
        x *= 1 + 1e-9 * np.random.default_rng(1).random(x.size)
        x = x[(low <= x) & (x <= high)]
    found = evaluate(cell, x)[name].astype(np.longdouble)
    right = exact(x.astype(np.longdouble))
    # The unit in the last place of the right value; it is constant for subnormal numbers.
    unit = np.spacing(np.abs(right).astype(dtype)).astype(np.longdouble)
    worst = float(np.max(np.abs(found - right) / unit))
    assert worst <= bound, f"{name}: {worst} units in the last place"


def test_ends_of_the_range(cell):
    inf, nan = math.inf, math.nan
    for dtype in (np.float32, np.float64):
        x = np.array([-inf, -1e30, -0.0, 0.0, 1e30, inf, nan, -1.0], dtype)
        found = evaluate(cell, x)
        expected = {
            "exp": [0, 0, 1, 1, inf, inf, nan],
            "tanh": [-1, -1, 0, 0, 1, 1, nan],
            "sigmoid": [0, 0, 0.5, 0.5, 1, 1, nan],
            "softplus": [0, 0, math.log(2), math.log(2), x[4], inf, nan],
            "log": [nan, nan, -inf, -inf, math.log(1e30), inf, nan],
            "sqrt": [nan, nan, 0, 0, 1e15, inf, nan],
        }
        for name, right in expected.items():
            values = found[name][: len(right)]
            np.testing.assert_allclose(values, right, rtol=1e-6, err_msg=name)
        assert math.copysign(1, found["tanh"][2]) == -1


def test_relative_error_of_tanh_near_zero(cell):
    """Down to subnormal numbers, where (e - 1/e) / (e + 1/e) would lose all digits."""
    x = np.array([1e-45, 1e-38, 1e-20, 1e-8, 1e-4, -1e-3, 0.01], np.float32)
    np.testing.assert_allclose(evaluate(cell, x)["tanh"], np.tanh(x.astype(float)), rtol=3e-7)


def test_gradient_of_saturated_gates_is_finite(cell):
    """Derivatives are zero at the ends of the range; none is NaN."""
    saturating = Equations(
        "saturating", net_inputs=("z",), equations="h = sigmoid(z_x) * tanh(z) + softplus(z_r)"
    ).cell
    x = np.array([[-1e30, -200, -80, 0, 80, 200, 1e30]], np.float32)
    zero = np.zeros((1, x.size), np.float32)
    values = calls.Given(x, zero, zero[:0], zero, zero[:0])
    results = calls.forward(saturating, values)
    gradients = calls.backward(saturating, values, results.tape, zero + 1, zero[:0])
    assert np.isfinite(gradients.x).all()
    np.testing.assert_array_equal(gradients.x[0, [0, 6]], 0)
