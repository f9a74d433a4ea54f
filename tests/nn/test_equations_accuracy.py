"""Vector functions of compiled cells against float64, over the whole range of float32."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.special
import torch

import equation_calls as calls
from carrousel.nn.equations import Equations

FUNCTIONS = ("exp", "tanh", "sigmoid", "softplus", "log", "sqrt", "sin", "cos")


@pytest.fixture(scope="module")
def cell():
    """One state for each function of the only input."""
    return Equations(
        "accuracy",
        net_inputs=("z",),
        states=tuple(f"s_{name}" for name in FUNCTIONS),
        equations="\n".join([*(f"s_{name} = {name}(z_x)" for name in FUNCTIONS), "h = z_x"]),
    ).cell


def evaluate(cell, x: np.ndarray) -> dict[str, np.ndarray]:
    """Every function of every number."""
    zero = np.zeros((1, x.size), x.dtype)
    states = np.zeros((len(FUNCTIONS), x.size), x.dtype)
    given = calls.Given(x[None], zero, states, zero, np.zeros((0, x.size), x.dtype))
    return dict(zip(FUNCTIONS, calls.forward(cell, given).states, strict=True))


def spread(low: float, high: float, n: int = 40_000) -> np.ndarray:
    """Numbers of float32 from a range, evenly spread by size and by exponent, ends included."""
    rng = np.random.default_rng(0)
    even = np.linspace(low, high, n)
    small = np.exp(rng.uniform(-80, math.log(max(abs(low), high)), n)) * rng.choice([-1, 1], n)
    both = np.concatenate([even, small]).astype(np.float32)
    return both[(low <= both) & (both <= high)]


EXACT: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, float, float]] = {
    "exp": (np.exp, -103.0, 88.7, 2.0),
    "tanh": (np.tanh, -20.0, 20.0, 4.0),
    "sigmoid": (scipy.special.expit, -87.0, 100.0, 3.0),
    "softplus": (lambda x: np.logaddexp(x, 0), -87.0, 1e4, 4.0),
    "log": (np.log, 1e-44, 3e38, 2.0),
    "sqrt": (np.sqrt, 0.0, 3e38, 0.5),
    "sin": (np.sin, -1e4, 1e4, 1.0),
    "cos": (np.cos, -1e4, 1e4, 1.0),
}
"""Function, range, and largest error in units in the last place.

Derived for ``exp``: the argument's reduction, the series' last sum and the scaling round once each,
at most half a unit, and the series' remainder is below a tenth. Others add a rounding or two and a
division each."""


@pytest.mark.parametrize("name", EXACT)
def test_float32_is_right_to_the_last_places(cell, name: str):
    exact, low, high, bound = EXACT[name]
    x = spread(low, high)
    found = evaluate(cell, x)[name].astype(float)
    right = exact(x.astype(float))
    # Spacing of float32 at the right value; subnormal numbers have that of the least.
    unit = np.spacing(np.abs(right).astype(np.float32)).astype(float)
    worst = np.max(np.abs(found - right) / unit)
    assert worst <= bound, f"{name}: {worst} units in the last place"


@pytest.mark.parametrize("name", EXACT)
def test_float64_agrees_with_torch(cell, name: str):
    _, low, high, bound = EXACT[name]
    high = min(high, 600.0)
    x = np.concatenate([np.linspace(low, high, 5_000), [1e-300, 1e-20, 1e-5]])
    x = x[(low <= x) & (x <= high)]
    given = torch.tensor(x)
    softplus = torch.logaddexp(given, torch.zeros(()))
    right = (softplus if name == "softplus" else getattr(torch, name)(given)).numpy()
    found = evaluate(cell, x)[name]
    # Both sides err by up to `bound` units, of 2^-52 relative to the value.
    np.testing.assert_allclose(found, right, rtol=2 * bound * 2.0**-52, atol=0)


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


def test_tanh_keeps_its_digits_near_zero(cell):
    """Relative errors, down to subnormal numbers: where (e - 1/e) / (e + 1/e) has none left."""
    x = np.array([1e-45, 1e-38, 1e-20, 1e-8, 1e-4, -1e-3, 0.01], np.float32)
    np.testing.assert_allclose(evaluate(cell, x)["tanh"], np.tanh(x.astype(float)), rtol=3e-7)


def test_way_back_of_saturated_gates_is_finite(cell):
    """Derivatives vanish at the ends; nothing becomes NaN."""
    saturating = Equations(
        "saturating", net_inputs=("z",), equations="h = sigmoid(z_x) * tanh(z) + softplus(z_r)"
    ).cell
    x = np.array([[-1e30, -200, -80, 0, 80, 200, 1e30]], np.float32)
    zero = np.zeros((1, x.size), np.float32)
    values = calls.Given(x, zero, zero[:0], zero, zero[:0])
    there = calls.forward(saturating, values)
    back = calls.backward(saturating, values, there.tape, zero + 1, zero[:0])
    assert np.isfinite(back.x).all()
    np.testing.assert_array_equal(back.x[0, [0, 6]], 0)
