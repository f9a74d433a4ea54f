"""The torch step of cells from equations, and the class ``Equations``."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys

import pytest
import torch

from carrousel.errors import MissingExtraError
from carrousel.nn.equations.equations import Equations
from support.nn import equation_calls as calls


@pytest.fixture(scope="module")
def lstm() -> Equations:
    return Equations("lstm", net_inputs=("i", "f", "g", "o"), states=("c",), equations=calls.LSTM)


def tensors(cell, batch: int = 3, units: int = 4) -> tuple:
    torch.manual_seed(1)
    kind = cell.kind

    def many(n):
        return tuple(torch.randn(batch, units, dtype=torch.float64) for _ in range(n))

    unit = tuple(torch.randn(units, dtype=torch.float64) for _ in kind.unit_parameters)
    return many(len(kind.net_inputs)), many(len(kind.net_inputs)), many(len(kind.states)), unit


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own
def test_torch_steps_transform(lstm: Equations):
    """vmap, forward mode, second derivatives."""
    cell = lstm.cell
    x, r, states, unit = tensors(cell)
    h = torch.zeros_like(x[0])

    def step(x, r, states, h):
        return cell.torch_step(x, r, states, h, unit)[:2]

    rows = torch.func.vmap(step)(x, r, states, h)
    whole = step(x, r, states, h)
    torch.testing.assert_close(rows, whole)

    def flat(*x):
        return step(x, r, states, h)[1]

    leaves = tuple(each.clone().requires_grad_() for each in x)
    torch.autograd.gradcheck(flat, leaves, check_forward_ad=True)
    torch.autograd.gradgradcheck(flat, leaves)


def test_torch_steps_compile_into_one_graph(lstm: Equations):
    cell = lstm.cell
    x, r, states, unit = tensors(cell)

    def step(x, r, states, h):
        return cell.torch_step(x, r, states, h, unit)

    traced = torch.compile(step, backend="eager", fullgraph=True)
    h = torch.zeros_like(x[0])
    torch.testing.assert_close(traced(x, r, states, h), step(x, r, states, h))


def test_results_have_the_batch_dimension():
    cell = Equations(
        "constant",
        net_inputs=("z",),
        states=("c", "d"),
        unit_parameters=("p",),
        equations="c = tanh(p)\nd = 2\nh = z * where(p < 0, 1, 2)",
    ).cell
    x, r, states, unit = tensors(cell)
    (c, d), h, _ = cell.torch_step(x, r, states, x[0], unit)
    assert c.shape == d.shape == h.shape == (3, 4)
    assert c.dtype == d.dtype == torch.float64
    calls.compare(cell, units=5, seed=0)


# --- class Equations ------------------------------------------------------------------------------


def test_equality_and_pickling(lstm: Equations):
    same = Equations("lstm", net_inputs=("i", "f", "g", "o"), states=("c",), equations=calls.LSTM)
    other = Equations(
        "lstm", net_inputs=("i", "f", "g", "o"), states=("c",), equations=calls.LSTM + "k = 1"
    )
    assert same == lstm
    assert hash(same) == hash(lstm)
    assert same.cell is lstm.cell
    assert other != lstm
    assert other.name == lstm.name
    assert other.recurrence_name != lstm.recurrence_name
    for twin in (pickle.loads(pickle.dumps(lstm)), copy.deepcopy(lstm)):
        assert twin == lstm
        assert twin.equations == lstm.equations


def test_code_is_compiled_once(lstm: Equations):
    assert lstm.cell.forward["float32"] == lstm.cell.forward["float32"]
    assert set(lstm.cell.forward) == {"float32", "float64"}
    with pytest.raises(KeyError):
        lstm.cell.forward["float16"]


def test_without_numba_cells_run_in_torch(monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "numba" else find(name, *a)
    )
    cell = Equations("no-numba", net_inputs=("z",), equations="h = tanh(z)").cell
    assert dict(cell.forward) == dict(cell.backward) == {}
    x, r, states, unit = tensors(cell)
    _, h, _ = cell.torch_step(x, r, states, x[0], unit)
    torch.testing.assert_close(h, torch.tanh(x[0] + r[0]))


def test_missing_sympy_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    monkeypatch.delitem(sys.modules, "carrousel.nn.equations.parse")
    with pytest.raises(MissingExtraError, match=r"carrousel\[cells\]"):
        Equations("no-sympy", net_inputs=("z",), equations="h = tanh(z)")
