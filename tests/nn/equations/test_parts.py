"""Scalars, initial values, matrices and several recurrent products of cells from equations."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from carrousel import nn
from carrousel.errors import CarrouselError, OptionTypeError, SettingError, UnknownNameError
from carrousel.nn import Equations
from support.case import case

PARTS: dict[str, Any] = {
    "net_inputs": ("n", "f", "m"),
    "states": ("c",),
    "unit_parameters": ("p",),
    "scalars": ("a", "b"),
    "equations": """
        mixed = m_x * m_r + a * c_prev
        n_r = (W + 0.5 * W.T - 2 * I) @ mixed
        c = sigmoid(f) * c_prev + tanh(n) + p * h_prev
        h = b * gelu(c)
    """,
}
CELL = Equations("parts", **PARTS)
"""Net inputs with the order ``f, m, n`` of their products."""


def layer_of(cell: Equations = CELL, **options: Any) -> Any:
    torch.manual_seed(0)
    return nn.LSTM(3, 4, cell=cell, dtype=torch.float64, **options)


def by_hand(layer: Any, x: torch.Tensor) -> torch.Tensor:
    p = dict(layer.named_parameters())
    bias = p["bias_ih_l0"] + p["bias_hh_l0"]
    f_x, m_x, n_x = (x @ p["weight_ih_l0"].T + bias).chunk(3, -1)
    f_w, m_w, w = p["weight_hh_l0"].chunk(3)
    w = w + 0.5 * w.T - 2 * torch.eye(4, dtype=x.dtype)
    (unit,), (a, b) = p["weight_unit_l0"], p["weight_scalar_l0"]
    h = c = x.new_zeros(x.shape[1], 4)
    outputs = []
    for t in range(len(x)):
        mixed = m_x[t] * (h @ m_w.T) + a * c
        f, n = torch.sigmoid(f_x[t] + h @ f_w.T), torch.tanh(n_x[t] + mixed @ w.T)
        c = f * c + n + unit * h
        h = b * torch.nn.functional.gelu(c)
        outputs.append(h)
    return torch.stack(outputs)


def test_layer_is_the_loop_written_by_hand():
    layer, x = layer_of(), torch.randn(6, 2, 3, dtype=torch.float64)
    assert CELL.kind.net_inputs == ("f", "m", "n")
    assert CELL.net_inputs == ("n", "f", "m")
    ours, theirs = layer(x)[0], by_hand(layer, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
    found, right = (
        torch.autograd.grad(out.square().sum(), list(layer.parameters())) for out in (ours, theirs)
    )
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own
def test_transforms():
    """compile, export, vmap of gradients, forward mode, double backward."""
    layer, x = layer_of(), torch.randn(4, 2, 3, dtype=torch.float64)
    out = layer(x)[0]
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x)[0], out)
    torch.compiler.reset()
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x)[0], out)
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}

    def loss(weights, x):
        return torch.func.functional_call(layer, weights, (x,))[0].square().sum()

    xs = torch.randn(3, 4, 2, 3, dtype=torch.float64)
    rows = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, xs)
    for k, one in enumerate(xs):
        alone = torch.func.grad(loss)(weights, one)
        for name, row in rows.items():
            torch.testing.assert_close(row[k], alone[name])
    tangent = torch.func.jvp(lambda x: loss(weights, x), (x,), (torch.ones_like(x),))[1]
    slope = torch.func.grad(loss, argnums=1)(weights, x).sum()
    torch.testing.assert_close(tangent, slope)
    torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x.requires_grad_(),), fast_mode=True)


def test_steps_and_onnx():
    layer, x = layer_of().eval(), torch.randn(5, 1, 3, dtype=torch.float64)
    stepper = nn.step(layer)
    found = torch.stack([stepper(one).clone() for one in x])
    torch.testing.assert_close(found, layer(x)[0].detach(), rtol=1e-12, atol=1e-13)


def test_onnx(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    layer, x = layer_of().eval().float(), torch.randn(5, 1, 3)
    state = nn.export_onnx(layer, tmp_path / "step.onnx")
    session = runtime.InferenceSession(tmp_path / "step.onnx")
    for one, right in zip(x.numpy(), layer(x)[0].detach().numpy(), strict=True):
        y, h, c = session.run(["y", "h_out", "c_out"], {"x": one, **state})
        np.testing.assert_allclose(y, right, rtol=1e-5, atol=1e-6)
        state = {"h_in": h, "c_in": c}


def test_halves_and_autocast():
    layer, x = layer_of().float(), torch.randn(5, 2, 3)
    right = layer(x)[0]
    torch.testing.assert_close(layer.bfloat16()(x.bfloat16())[0].float(), right, rtol=0, atol=0.1)


# --- initial values -------------------------------------------------------------------------------


def test_initial_values():
    cell = Equations(
        "parts",
        **PARTS,
        initial={
            "p": (0.25, 0.5),
            "a": 0.75,
            "f": lambda bias: torch.arange(len(bias)),
            "n": torch.nn.init.ones_,
        },
    )
    layer = layer_of(cell)
    p = dict(layer.named_parameters())
    assert ((p["weight_unit_l0"] >= 0.25) & (p["weight_unit_l0"] <= 0.5)).all()
    assert p["weight_scalar_l0"][0] == 0.75
    assert abs(p["weight_scalar_l0"][1]) <= 0.5  # drawn like the weights
    bias = p["bias_ih_l0"] + p["bias_hh_l0"]
    torch.testing.assert_close(bias[:4], torch.arange(4, dtype=torch.float64))
    assert (bias[8:] == 1).all()
    assert not (bias[4:8] == bias[4]).all()
    with torch.no_grad():
        for weights in layer.parameters():
            weights.zero_()
    layer.reset_parameters()
    assert layer.weight_scalar_l0[0] == 0.75
    assert (layer_of(cell, forget_bias=3.0).bias_ih_l0[:4] == 3).all()


def test_initial_values_are_checked():
    for initial, error, message in [
        ({"q": 1}, UnknownNameError, "initial has 'q', which is no unit parameter, scalar or"),
        ({"c": 1}, UnknownNameError, "initial has 'c'"),
        ([1], OptionTypeError, "initial is .1., expected a mapping"),
        ({"p": "1"}, OptionTypeError, "a number, a range .low, high., or a function"),
        ({"p": True}, OptionTypeError, "a number, a range"),
        ({"p": (2, 1)}, SettingError, "the lower end of a range before the upper"),
        ({"p": float("nan")}, CarrouselError, "initial.'p'."),
        ({"p": (0, float("inf"))}, CarrouselError, "initial.'p'."),
    ]:
        with case(initial), pytest.raises(error, match=message):
            Equations("parts", **PARTS, initial=initial)  # pyright: ignore[reportArgumentType]
    cell = Equations("parts", **PARTS, initial={"p": lambda p: torch.zeros(7)})
    with pytest.raises(SettingError, match=r"initial\['p'\] returned shape \(7,\), expected \(4,"):
        layer_of(cell)
    cell = Equations("parts", **PARTS, initial={"f": 1.0})
    with pytest.raises(SettingError, match="bias is False, but the cell has an initial value"):
        layer_of(cell, bias=False)
    with pytest.raises(UnknownNameError, match="initial has 'z'"):  # it has no bias
        Equations("z", net_inputs=("z", "n"), equations="h = z_r * n", initial={"z": 1})


def test_forget_bias_and_projection():
    cell = Equations(
        "janet",
        net_inputs=("g", "f"),
        states=("c",),
        equations="c = sigmoid(f) * c_prev + (1 - sigmoid(f)) * tanh(g)\nh = tanh(c)",
    )
    layer = layer_of(cell, forget_bias=2.0, proj_size=2)
    assert (layer.bias_ih_l0[4:] == 2).all()
    assert not layer.bias_hh_l0[4:].any()
    assert layer(torch.zeros(2, 1, 3, dtype=torch.float64))[0].shape == (2, 1, 2)
    light = Equations("light", net_inputs=("z",), equations="h = sigmoid(z) * h_prev + z")
    with pytest.raises(SettingError, match=r"no forget gate.*named 'f' or 'forget'.*initial=..."):
        layer_of(light, forget_bias=1.0)
    for own in (light, CELL):
        with pytest.raises(SettingError, match=r"takes no projection.*neither h_prev nor a mat"):
            layer_of(own, proj_size=2)


def test_layer_norm_needs_one_product():
    with pytest.raises(SettingError, match="several recurrent products, which cannot be norm"):
        layer_of(layer_norm=True)
    no_matrix = Equations("no_matrix", net_inputs=("z",), equations="h = tanh(z_x + h_prev)")
    layer = layer_of(no_matrix, layer_norm=True)
    assert "norm_hh_l0" not in layer.state_dict()
    layer(torch.zeros(2, 1, 3, dtype=torch.float64))[0].sum().backward()
    assert all(weights.grad is not None for weights in layer.parameters())


# --- copies ---------------------------------------------------------------------------------------


def test_files_pickles_and_copies(tmp_path):
    cell = Equations("parts", **PARTS, initial={"p": (0.25, 0.5), "a": 0.75})
    layer, x = layer_of(cell, num_layers=2), torch.randn(4, 2, 3, dtype=torch.float64)
    nn.save(layer, tmp_path / "own.safetensors")
    twins = [nn.load(tmp_path / "own.safetensors"), copy.deepcopy(layer)]
    twins.append(pickle.loads(pickle.dumps(layer)))
    for twin in twins:
        assert twin.cell == cell
        assert twin.cell.initial == {"p": (0.25, 0.5), "a": 0.75}
        torch.testing.assert_close(twin(x)[0], layer(x)[0])
        twin.reset_parameters()
        assert twin.weight_scalar_l1[0] == 0.75
    assert cell != CELL
    assert cell.recurrence_name == CELL.recurrence_name
    assert "scalars=('a', 'b'), initial={'p': (0.25, 0.5), 'a': 0.75}" in repr(cell)


def test_files_contain_no_functions(tmp_path):
    cell = Equations("parts", **PARTS, initial={"p": torch.nn.init.ones_})
    with pytest.raises(SettingError, match="the initial value of 'p' is a function"):
        nn.save(layer_of(cell), tmp_path / "own.safetensors")


def test_names_of_scalars_are_checked():
    for scalars, message in [
        (("p",), "scalars has 'p', but 'p' is already a name of unit_parameters"),
        ("a", "scalars is 'a', expected a tuple of names"),
        (("a", "b", "unused"), "'unused' changes neither h nor a state"),
    ]:
        with case(scalars), pytest.raises(SettingError, match=message):
            Equations("parts", **{**PARTS, "scalars": scalars})
    text = PARTS["equations"] + "\nb = 1"
    with pytest.raises(SettingError, match="'b' is a scalar, which is learned"):
        Equations("parts", **{**PARTS, "equations": text.replace("    ", "")})


def test_constants_are_not_numbers_of_values():
    """``f_x * z_r`` multiplies by the value with the number 2, ``2 * f_x`` by the constant."""
    cell = Equations(
        "two", net_inputs=("z", "f"), equations="h = tanh(2 * f_x) + tanh(f_x * z_r) + z + f"
    )
    torch.manual_seed(0)
    layer: Any = nn.LSTM(3, 4, cell=cell, dtype=torch.float64)
    x = torch.randn(3, 2, 3).double()
    z_w, f_w = layer.weight_hh_l0.chunk(2)
    bias = layer.bias_ih_l0 + layer.bias_hh_l0
    z_x, f_x = (x @ layer.weight_ih_l0.T + bias).chunk(2, -1)
    h, outputs = x.new_zeros(2, 4), []
    for z, f in zip(z_x, f_x, strict=True):
        recurrent = h @ z_w.T
        h = torch.tanh(2 * f) + torch.tanh(f * recurrent) + z + recurrent + f + h @ f_w.T
        outputs.append(h)
    torch.testing.assert_close(layer(x)[0], torch.stack(outputs), rtol=1e-12, atol=1e-13)


def test_state_dictionaries_with_rows_that_no_equation_uses():
    """Earlier versions had a row of ``weight_ih`` and ``weight_hh`` for every net input."""
    for equations, unused in (("h = tanh(z_x + h_prev) + f_x", "rr"), ("h = z_x + f_r * z_r", "x")):
        cell = Equations("rows", net_inputs=("z", "f"), equations=equations)
        for layer in (nn.LSTM(3, 4, cell=cell, num_layers=2), nn.LSTMCell(3, 4, cell=cell)):
            state = layer.state_dict()
            old = dict(state)
            for end in ("_l0", "_l1") if isinstance(layer, nn.LSTM) else ("",):
                if unused == "rr":
                    old[f"weight_hh{end}"] = torch.randn(8, 4)
                else:
                    for name in ("weight_ih", "bias_ih", "bias_hh"):
                        rows = state[name + end]
                        old[name + end] = torch.cat((rows, torch.randn_like(rows)))
            more: dict[str, Any] = {"num_layers": 2} if isinstance(layer, nn.LSTM) else {}
            twin = torch.nn.Sequential(type(layer)(3, 4, cell=cell, **more))
            twin.load_state_dict({f"0.{name}": one for name, one in old.items()})
            for name, one in twin[0].state_dict().items():
                assert torch.equal(one, state[name])
