"""Compiled cells against torch's autograd for the same equations, and against torch's modules."""

from __future__ import annotations

import operator

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from carrousel.nn.equations.equations import Equations
from carrousel.nn.equations.expressions import FUNCTIONS
from support.case import case
from support.nn import equation_calls as calls

EVERY_CALL = {
    **{name: f"{name}(z)" for name in FUNCTIONS if name not in ("reciprocal", "log", "sqrt")},
    "log": "log(z * z + 0.5)",
    "sqrt": "sqrt(z * z + 0.5)",
    "half power": "(z * z + 0.5) ** -1.5",
    "whole power": "z ** 5 - 3 * z ** 2 + z ** 0",
    "divide": "(1 + z) / (2 + z * c_prev * c_prev) / 3",
    "max": "max(z, c_prev, 0.1)",
    "min": "min(z, c_prev, 0.1)",
    "less": "where(z < c_prev, z * z, c_prev)",
    "at most": "where(z <= c_prev, exp(z), c_prev)",
    "more": "where(z > 0, z, 0.5)",
    "at least": "where(z >= 0, 2, 3) * z",
    "equal": "where(z == z, z, c_prev)",
    "unequal": "where(z != z, z, c_prev) + z",
    "parts": "z_x * z_r - h_prev * p",
    "silu": "silu(z)",
    "gelu": "gelu(z)",
    "softsign": "softsign(z)",
    "power of a number": "2 ** z + 0.5 ** (-z)",
    "constants": "sin(pi * z) + e ** (z / 2)",
}


def test_every_function_agrees_with_autograd():
    for name, expression in EVERY_CALL.items():
        with case(name, expression):
            cell = Equations(
                "one-call",
                net_inputs=("z",),
                states=("c",),
                unit_parameters=("p",),
                equations=f"c = {expression} + p * c_prev\nh = c * (1 + z)",
            ).cell
            calls.compare(cell, units=19, seed=0)


COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
UNARY = ("sigmoid({})", "tanh({})", "softplus({})", "sin({})", "cos({})", "relu({})", "abs({})")
BOUNDED = ("exp(-abs({}))", "log(1.5 + {0} ** 2)", "sqrt(0.5 + ({0}) ** 2)", "1 / (1 + ({0}) ** 2)")
PAIRS = ("{} + {}", "({}) - ({})", "({}) * tanh({})", "max({}, {})", "min({}, {})")
LEAVES = ("i", "z", "i_x", "z_r", "a_prev", "b_prev", "h_prev", "p", "q", "0.7", "2")


def expressions(leaves: tuple[str, ...]) -> st.SearchStrategy[str]:
    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        one = st.builds(lambda f, x: f.format(f"({x})"), st.sampled_from(UNARY + BOUNDED), inner)
        two = st.builds(lambda f, x, y: f"({f.format(x, y)})", st.sampled_from(PAIRS), inner, inner)
        choice = st.builds("where({} < {}, {}, {})".format, inner, inner, inner, inner)
        return one | two | choice

    return st.recursive(st.sampled_from(leaves), deeper, max_leaves=6)


# Without shrinking, because compiling each further example is slow.
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.data(), st.integers(1, 40))
def test_any_equations_agree_with_autograd(data: st.DataObject, units: int):
    known: list[str] = list(LEAVES)
    lines = ["i = 0.5 * i + p * z + q"]
    for name in ("u", "a", "v", "b", "h"):
        lines.append(f"{name} = {data.draw(expressions(tuple(known)))}")
        known.append(name)
    lines[-1] += " + i + z"
    cell = Equations(
        "any",
        net_inputs=("i", "z"),
        states=("a", "b"),
        unit_parameters=("p", "q"),
        equations="\n".join(lines),
    ).cell
    # Values grow from line to line and reach 1e6 here; their differences lose as many digits.
    calls.compare(cell, units, seed=3, rtol=1e-8)


@pytest.fixture(scope="module")
def lstm() -> Equations:
    return Equations("lstm", net_inputs=("i", "f", "g", "o"), states=("c",), equations=calls.LSTM)


def test_any_number_of_units(lstm: Equations):
    for units in (1, 7, 8, 15, 16, 17, 64):
        with case(units):
            calls.compare(lstm.cell, units, seed=units)


def test_position_of_a_unit_does_not_matter(lstm: Equations):
    """Results are equal to the last bit in a whole block and in the masked rest."""
    values = calls.given(lstm.cell, 33, 0, "float32")
    whole = calls.forward(lstm.cell, values)
    for first in (1, 16, 30):
        part = calls.forward(lstm.cell, calls.Given(*(each[:, first:] for each in values)))
        for mine, theirs in zip(part, whole, strict=True):
            np.testing.assert_array_equal(mine, theirs[:, first:])


def test_float32_error_is_at_most_twice_that_of_torch(lstm: Equations):
    """Both errors are measured against float64."""
    values = calls.given(lstm.cell, 4096, 1)
    exact = calls.forward(lstm.cell, values)
    small = calls.Given(*(each.astype(np.float32) for each in values))
    exact = calls.forward(lstm.cell, calls.Given(*(each.astype(float) for each in small)))
    by = np.ones((1, 4096), np.float32)
    naive, _ = calls.by_torch(lstm.cell, small, by, by)
    mine = calls.forward(lstm.cell, small)
    for ours, theirs, right in zip(mine[:2], naive[:2], exact[:2], strict=True):
        assert np.max(np.abs(ours - right)) <= 2 * np.max(np.abs(theirs - right))


def test_nan_and_infinity_propagate(lstm: Equations):
    values = calls.given(lstm.cell, 24, 2)
    values.x[0, 3] = np.nan
    values.states[0, 5] = np.inf
    values.x[2, 17] = np.nan
    results = calls.forward(lstm.cell, values)
    by_torch, _ = calls.by_torch(lstm.cell, values, np.ones((1, 24)), np.ones((1, 24)))
    np.testing.assert_allclose(results.states, by_torch.states, rtol=1e-12)
    np.testing.assert_allclose(results.output, by_torch.output, rtol=1e-12)
    gradients = calls.backward(lstm.cell, values, results.tape, results.output, results.states)
    assert np.isnan(gradients.x[:, [3, 17]]).any(0).all()


def test_selections_propagate_nan_as_torch_does():
    """A plain comparison with NaN would select the other argument."""
    for expression in (
        *("max(a, b)", "max(b, a)", "min(a, b)", "min(b, a)"),
        *("relu(a) * b", "abs(a) - b"),
    ):
        with case(expression):
            check_nan(expression)


def check_nan(expression: str):
    cell = Equations("nan", net_inputs=("a", "b"), equations=f"h = {expression}").cell
    values = calls.given(cell, 18, 0)
    values.x[0, [1, 17]] = np.nan
    by = np.ones((1, 18))
    right, _ = calls.by_torch(cell, values, by, by[:0])
    np.testing.assert_array_equal(np.isnan(right.output[0]).nonzero()[0], [1, 17])
    np.testing.assert_allclose(calls.forward(cell, values).output, right.output, rtol=1e-14)


def test_ties_share_the_gradient_as_torch_does():
    cell = Equations(
        "ties",
        net_inputs=("a", "b"),
        equations="h = max(a_x, b_x) + 3 * min(a_x, b_x) + abs(a_r) + relu(a_r)",
    ).cell
    values = calls.given(cell, 20, 0)
    values.x[1, ::2] = values.x[0, ::2]
    values.r[0, ::3] = 0
    by = np.ones((1, 20))
    results = calls.forward(cell, values)
    gradients = calls.backward(cell, values, results.tape, by, by[:0])
    _, right = calls.by_torch(cell, values, by, by[:0])
    assert {2.0} == set(right.x[:, ::2].flat)
    np.testing.assert_array_equal(gradients.x, right.x)
    np.testing.assert_array_equal(gradients.r, right.r)


def test_comparisons_agree_with_python():
    for sign in COMPARE:
        with case(sign):
            check_comparison(sign)


def check_comparison(sign: str):
    cell = Equations("compare", net_inputs=("a",), equations=f"h = where(a_x {sign} 0.5, 3, a_r)")
    values = calls.given(cell.cell, 3, 0)
    values.x[0] = 0.25, 0.5, 0.75
    values.r[0] = 7
    by = np.ones((1, 3))
    expected = np.where(COMPARE[sign](values.x, 0.5), 3.0, 7.0)
    np.testing.assert_array_equal(calls.forward(cell.cell, values).output, expected)
    np.testing.assert_array_equal(calls.by_torch(cell.cell, values, by, by[:0])[0].output, expected)


def test_torch_softplus_is_exact_beyond_twenty():
    cell = Equations("softplus", net_inputs=("z",), equations="h = softplus(z)").cell
    zero, x = torch.zeros(1, dtype=torch.float64), torch.tensor([21.0], dtype=torch.float64)
    _, h, _ = cell.torch_step((x,), (zero,), (), zero, ())
    np.testing.assert_allclose(float(h - x), np.log1p(np.exp(-21.0)), rtol=1e-5)


def test_lstm_stores_five_values_and_its_backward_pass_calls_no_function(lstm: Equations):
    assert lstm.cell.tape == 5
    _, heading, backward = lstm.explain().partition("backward:")
    assert heading
    assert not any(name in backward for name in ("exp", "tanh("))


def test_composed_functions_are_those_of_torch():
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    zero = torch.zeros_like(x)
    right = {
        "silu": torch.nn.functional.silu,
        "swish": torch.nn.functional.silu,
        "gelu": torch.nn.functional.gelu,
        "softsign": torch.nn.functional.softsign,
        "erf": torch.erf,
    }
    for name, function in right.items():
        with case(name):
            cell = Equations("one-call", net_inputs=("z",), equations=f"h = {name}(z_x)").cell
            _, h, _ = cell.torch_step((x,), (zero,), (), zero, ())
            torch.testing.assert_close(h, function(x), rtol=1e-14, atol=1e-15)
    for text, value in (("pi", np.pi), ("e", np.e), ("2 ** z_x", 2**x), ("e ** z_x", x.exp())):
        with case(text):
            cell = Equations(
                "constant", net_inputs=("z",), equations=f"h = where(z_x < 9, z_r, 0) + {text}"
            ).cell
            _, h, _ = cell.torch_step((x,), (zero,), (), zero, ())
            torch.testing.assert_close(h, zero + value, rtol=1e-14, atol=0)


def test_constants_yield_to_names_of_the_user():
    cell = Equations("own-e", net_inputs=("e",), equations="pi = 2 * e\nh = pi").cell
    x = torch.ones(1, dtype=torch.float64)
    assert float(cell.torch_step((x,), (x,), (), x, ())[1]) == 4.0


def test_code_is_vectorised(lstm: Equations):
    """The code has vector instructions and no call of a mathematical library."""
    for functions in (lstm.cell.forward, lstm.cell.backward):
        text = functions.assembly("float32")  # pyright: ignore[reportAttributeAccessIssue]
        assert any(register in text for register in ("zmm", "ymm", "xmm", ".4s"))
        assert not any(name in text for name in ("expf", "tanhf", "logf"))


# --- known cells ----------------------------------------------------------------------------------


def layer(cell, weights: list[torch.Tensor], inputs: torch.Tensor, units: int) -> torch.Tensor:
    """Run the torch step over ``[T, B, I]`` with torch's weights and b_hn as unit parameter."""
    w_ih, w_hh, b_ih, b_hh = weights
    kind, batch = cell.kind, inputs.shape[1]
    h = inputs.new_zeros(batch, units)
    states = tuple(inputs.new_zeros(batch, units) for _ in kind.states)
    unit: tuple[torch.Tensor, ...] = ()
    if kind.unit_parameters:
        unit, b_hh = (b_hh[2 * units :],), torch.cat([b_hh[: 2 * units], 0 * b_hh[2 * units :]])
    out = []
    for row in inputs:
        x = (row @ w_ih.T + b_ih + b_hh).split(units, -1)
        states, h, _ = cell.torch_step(x, (h @ w_hh.T).split(units, -1), states, h, unit)
        out.append(h)
    return torch.stack(out)


GRU = """
r = sigmoid(r)
z = sigmoid(z)
n = tanh(n_x + r * (n_r + b))
h = (1 - z) * n + z * h_prev
"""
GRU_CELL = {"net_inputs": ("r", "z", "n"), "unit_parameters": ("b",), "equations": GRU}


def test_lstm_and_gru_agree_with_torch(lstm: Equations):
    gru = Equations("gru", **GRU_CELL)
    torch.manual_seed(0)
    inputs = torch.randn(5, 3, 4, dtype=torch.float64)
    for cell, kind in ((lstm.cell, torch.nn.LSTM), (gru.cell, torch.nn.GRU)):
        module = kind(4, 6, dtype=torch.float64)
        expected, _ = module(inputs)
        mine = layer(cell, list(module.parameters()), inputs, 6)
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)
        loss = torch.randn_like(mine)
        theirs = torch.autograd.grad((expected * loss).sum(), list(module.parameters()))
        ours = torch.autograd.grad((mine * loss).sum(), list(module.parameters()))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    calls.compare(gru.cell, units=18, seed=1)
    assert lstm.kind.projects
    assert not gru.kind.projects


def test_peepholes():
    """Gers, Schraudolph & Schmidhuber 2002: the output gate reads the new state."""
    cell = Equations(
        "peephole",
        net_inputs=("i", "f", "g", "o"),
        states=("c",),
        unit_parameters=("p_i", "p_f", "p_o"),
        equations="""
            i = sigmoid(i + p_i * c_prev)
            f = sigmoid(f + p_f * c_prev)
            g = tanh(g)
            c = f * c_prev + i * g
            o = sigmoid(o + p_o * c)
            h = o * tanh(c)
        """,
    ).cell
    calls.compare(cell, units=21, seed=4)
    values = calls.given(cell, 9, 5)
    a, (c,), (p_i, p_f, p_o) = values.x + values.r, values.states, values.unit

    def sigma(x):
        return 1 / (1 + np.exp(-x))

    new = sigma(a[1] + p_f * c) * c + sigma(a[0] + p_i * c) * np.tanh(a[2])
    results = calls.forward(cell, values)
    np.testing.assert_allclose(results.states[0], new, rtol=1e-13)
    np.testing.assert_allclose(
        results.output[0], sigma(a[3] + p_o * new) * np.tanh(new), rtol=1e-13
    )
