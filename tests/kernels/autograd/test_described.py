"""Compiled cells from equations equal their plain path, with every option."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.case import each
from support.paths import TESTS

pytest.importorskip("torch")
pytest.importorskip("sympy")
pytest.importorskip("numba")

from carrousel.contracts import Recurrence
from carrousel.kernels.native.sequence import is_compiled
from carrousel.nn import Equations
from support.kernels.recurrent_cases import make_case
from support.kernels.recurrent_tensors import assert_paths_agree

EVERYTHING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})

OURS = {
    "two": Equations(
        "two",
        net_inputs=("f", "g"),
        states=("c",),
        equations="c = sigmoid(f) * c_prev + (1 - sigmoid(f)) * tanh(g)\nh = tanh(c)",
    ),
    "gru": Equations(
        "gru",
        net_inputs=("r", "z", "n"),
        unit_parameters=("b",),
        equations="""
            r = sigmoid(r)
            z = sigmoid(z)
            n = tanh(n_x + r * (n_r + b))
            h = n + z * (h_prev - n)
        """,
    ),
    "products": Equations(
        "products",
        net_inputs=("n", "i", "m", "k", "tied"),
        states=("c", "d"),
        unit_parameters=("p",),
        scalars=("q",),
        equations="""
            mixed = m_x * m_r + q * c_prev
            i_r = W @ mixed
            k_r = W @ mixed
            n_r = (W - W.T) @ (sigmoid(i) * d_prev + h_prev)
            tied_r = n_r
            c = sigmoid(k) * c_prev + sigmoid(i) * tanh(n)
            d = tanh(tied) + p * h_prev
            h = sin(c) + 0.3 * d
        """,
    ),
    "no hidden state": Equations(
        "no_hidden_state",
        net_inputs=("a", "b"),
        states=("c",),
        unit_parameters=("u",),
        equations="""
            a_r = u * c_prev
            b_r = W @ c_prev
            c = 0.5 * c_prev + tanh(a + b)
            h = c * sigmoid(a_x)
        """,
    ),
    "no matrix": Equations(
        "no_matrix",
        net_inputs=("z",),
        unit_parameters=("u",),
        equations="z_r = u * h_prev\nh = softsign(z)",
    ),
}


def check(cell: str, features: frozenset[str], *, units: int = 5, **more) -> None:
    options = {"record": False} | {
        name: more.pop(name) for name in ("recompute", "reverse", "gradient") if name in more
    }
    recurrence = Recurrence(OURS[cell]._name, units, **more)
    assert is_compiled(recurrence, "float64")
    case = make_case(recurrence, features, T=4, B=3, seed=2, **options)
    assert_paths_agree(case)


def in_another_process(code: str, **environment: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("cell", OURS)
@each("gradient", ["bptt", "tbptt:2"])
@each("recompute", [0, 3])
@each("reverse", [False, True])
def test_all_options(cell, gradient, recompute, reverse):
    check(cell, EVERYTHING, gradient=gradient, recompute=recompute, reverse=reverse)


@each("cell", ("products", "no hidden state"))
@each("gradient", ["truncated", "bptt"])
def test_several_products_of_few_and_many_sequences(cell, gradient):
    """One row, and more rows than a core multiplies at once."""
    recurrence = Recurrence(OURS[cell]._name, 19)
    for batch in (1, 40):
        features = frozenset({"bias", "unit"})
        case = make_case(
            recurrence, features, T=3, B=batch, seed=3, gradient=gradient, record=False
        )
        assert_paths_agree(case)


def test_projection():
    check("two", EVERYTHING, projection=3)


@each("cell", ("two", "gru", "no matrix"))
def test_layer_norm_with_a_bias(cell):
    check(cell, frozenset({"bias"}), layer_norm=True)


def test_layer_norm_of_a_cell_with_separate_net_inputs():
    check("gru", frozenset({"unit", "norms"}), layer_norm=True)


def test_layer_norm_without_a_bias():
    check("two", EVERYTHING - {"bias"}, layer_norm=True)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc fills fresh memory")
def test_projection_wider_than_the_cell():
    """With fresh memory filled by large numbers."""
    code = f"""
        import sys
        sys.path[:0] = [{str(TESTS)!r}, {str(Path(__file__).parent)!r}]
        from test_described import EVERYTHING, check
        for units in (1, 2, 3):
            check("two", EVERYTHING, projection=7, units=units)
    """
    in_another_process(code, MALLOC_PERTURB_="85")


def test_a_narrow_projection_of_a_cell_without_state():
    code = """
        import torch
        from carrousel import nn
        from carrousel.nn import Equations
        linear = Equations("linear", net_inputs=("a",), equations="h = a")
        for units in (400, 2000):
            layer = nn.LSTM(2, units, cell=linear, proj_size=1)
            layer(torch.ones(3, 2, 2))[0].sum().backward()
    """
    in_another_process(code)
