"""``nn.export_onnx``: exported models in ONNX Runtime against modules over whole sequences."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from carrousel import nn
from carrousel.errors import MissingExtraError, SettingError
from support.case import case
from support.nn.deployed import ELMAN, MODULES, drawn, earned, make, own, run_sequence, two_states

onnx = pytest.importorskip("onnx")
from carrousel.nn.onnx.cells import Value  # noqa: E402
from carrousel.nn.onnx.writer import Writer  # noqa: E402

runtime = pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


every_module = pytest.mark.parametrize("name", MODULES)
STEPS = 1000


def session(path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def stream(one: Any, start: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Run a model step by step over ``x [T, B, I]``; return all outputs and the last state."""
    names = [output.name for output in one.get_outputs()]
    state = {
        name: np.repeat(array, x.shape[1] // array.shape[1], 1) for name, array in start.items()
    }
    rows = []
    for row in x:
        found = dict(zip(names, one.run(None, {"x": row, **state}), strict=True))
        rows.append(found["y"])
        state = {name: found[name.replace("_in", "_out")] for name in state}
    return np.stack(rows), *state.values()


@every_module
def test_thousand_steps_give_the_outputs_of_the_sequence(name, tmp_path):
    module = make(name)
    start = nn.export_onnx(module, tmp_path / "m.onnx", batch_size=1)
    x = torch.randn(STEPS, 1, module.input_size)
    have = stream(session(tmp_path / "m.onnx"), start, x.numpy())
    for part, (exact, allowed) in zip(have, earned(name, x), strict=True):
        assert np.abs(part - exact.numpy()).max() <= allowed


def flat(found: tuple[torch.Tensor, tuple[torch.Tensor, ...]]) -> list[np.ndarray]:
    return [part.numpy() for part in (found[0], *found[1])]


@every_module
def test_float64_and_dynamic_batch_size(name, tmp_path):
    if name == "own":
        pytest.skip("ONNX Runtime has no softplus in float64")
    module = make(name).double()
    start = nn.export_onnx(module, tmp_path / "m.onnx")
    one = session(tmp_path / "m.onnx")
    for batch in (1, 4):
        x = torch.randn(20, batch, module.input_size, dtype=torch.float64)
        have = stream(one, start, x.numpy())
        for part, want in zip(have, flat(run_sequence(module, x)), strict=True):
            # ONNX stores the epsilon of layer normalisation in float32: 1e-5 - 2.5e-13.
            np.testing.assert_allclose(part, want, rtol=1e-8, atol=1e-8)


@every_module
def test_names_shapes_and_metadata(name, tmp_path):
    module, R = make(name), MODULES[name]().recurrence
    layers = getattr(module, "num_layers", 1)
    nn.export_onnx(module, tmp_path / "m.onnx", batch_size=2)
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)

    def shapes(values: Any) -> dict[str, tuple[int, ...]]:
        return {
            value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
            for value in values
        }

    states = {"h": (layers, 2, R.n_sources)}
    states |= {"c": (layers, 2, R.n_states)} if R.n_states else {}
    assert shapes(model.graph.input) == {"x": (2, 3)} | {f"{s}_in": w for s, w in states.items()}
    assert shapes(model.graph.output) == {"y": (2, R.n_outputs)} | {
        f"{s}_out": w for s, w in states.items()
    }
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["carrousel.cell"] == R.cell
    assert metadata["carrousel.hidden_size"] == str(R.units)
    assert metadata["carrousel.num_layers"] == str(layers)
    assert metadata["carrousel.recurrence"] == R.key
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]


def test_dynamic_batch_size_has_a_name(tmp_path):
    nn.export_onnx(nn.GRU(3, 4), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    for value, axis in zip((*model.graph.input, *model.graph.output), (0, 1, 0, 1), strict=True):
        assert value.type.tensor_type.shape.dim[axis].dim_param == "batch"


def test_opsets(tmp_path):
    module = drawn(nn.LSTM(3, 4, cell="lstm97", block_size=2, layer_norm=True))
    x = torch.randn(5, 1, 3)
    for opset in (17, 18, 20, 21):
        with case(opset):
            start = nn.export_onnx(module, tmp_path / "m.onnx", opset=opset)
            have = stream(session(tmp_path / "m.onnx"), start, x.numpy())
            np.testing.assert_allclose(have[0], run_sequence(module, x)[0].numpy(), atol=1e-5)


CALLS = """
    a = sqrt(abs(z_x)) + log(2 + sin(z_r)) - cos(z) / 3
    b = where(z <= 0, relu(a), min(a, 1.5)) + where(z != 0, 1, 0) * where(z == 0, 2, 0.5)
    c = where(a < b, exp(-c_prev ** 2), 1 / (1 + c_prev ** 2))
    h = tanh(b - c) ** 3 + softplus(c) * 0.1
"""


def test_every_function_of_equations(tmp_path):
    cell = own("calls", "z", equations=CALLS, states=("c",))
    module = drawn(nn.LSTM(3, 6, cell=cell))
    start = nn.export_onnx(module, tmp_path / "m.onnx")
    x = torch.randn(40, 2, 3)
    have = stream(session(tmp_path / "m.onnx"), start, x.numpy())
    for part, want in zip(have, flat(run_sequence(module, x)), strict=True):
        np.testing.assert_allclose(part, want, atol=1e-5)


def test_outputs_that_depend_on_parameters_alone(tmp_path):
    cell = own(
        "still", "z", equations="c = p\nh = tanh(z) * c_prev", states=("c",), unit_parameters=("p",)
    )
    module = drawn(nn.LSTM(3, 6, cell=cell))
    start = nn.export_onnx(module, tmp_path / "m.onnx")
    x = torch.randn(4, 2, 3)
    have = stream(session(tmp_path / "m.onnx"), start, x.numpy())
    for part, want in zip(have, flat(run_sequence(module, x)), strict=True):
        np.testing.assert_allclose(part, want, atol=1e-6)


def test_equations_are_in_the_file(tmp_path):
    nn.export_onnx(nn.LSTM(3, 4, cell=two_states()), tmp_path / "m.onnx")
    metadata = {e.key: e.value for e in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert metadata["carrousel.equations"] == two_states().equations
    assert metadata["carrousel.states"] == '["c", "d"]'


def test_initial_state(tmp_path):
    module = drawn(nn.LSTM(3, 4, num_layers=2, initial_state="learned"))
    start = nn.export_onnx(module, tmp_path / "m.onnx", batch_size=3)
    for layer in (0, 1):
        for row in range(3):
            for name in ("h", "c"):
                learned = getattr(module, f"initial_{name}_l{layer}").detach().numpy()
                np.testing.assert_array_equal(start[f"{name}_in"][layer, row], learned)
    start = nn.export_onnx(nn.RNN(3, 4), tmp_path / "m.onnx")
    assert list(start) == ["h_in"]
    np.testing.assert_array_equal(start["h_in"], np.zeros((1, 1, 4), np.float32))


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_failure_keeps_the_old_file(failing, tmp_path, monkeypatch):
    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="the disk is full"):
        nn.export_onnx(nn.LSTM(3, 4), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_modules(tmp_path):
    path = tmp_path / "m.onnx"
    with pytest.raises(SettingError, match="bidirectional"):
        nn.export_onnx(nn.GRU(3, 4, bidirectional=True), path)
    with pytest.raises(SettingError, match=r"zoneout=.*module.eval"):
        nn.export_onnx(nn.GRU(3, 4, zoneout=0.5), path)
    with pytest.raises(TypeError, match="Linear"):
        nn.export_onnx(torch.nn.Linear(3, 4), path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingError, match=r"bfloat16.*module.float"):
        nn.export_onnx(nn.GRU(3, 4, dtype=torch.bfloat16), path)
    assert not path.exists()


def test_cell_given_by_its_name(tmp_path):
    known: Any = own("elman", "z", equations=ELMAN).recurrence_name
    module = drawn(nn.LSTM(3, 4, cell=known))
    start = nn.export_onnx(module, tmp_path / "m.onnx")
    x = torch.randn(20, 2, 3)
    have = stream(session(tmp_path / "m.onnx"), start, x.numpy())
    np.testing.assert_allclose(have[0], run_sequence(module, x)[0].numpy(), atol=1e-6)


def test_function_without_an_operator_is_refused():
    g = Writer(np.dtype(np.float32))
    with pytest.raises(SettingError, match=r"'gelu', which has no operator.*torch\.onnx\.export"):
        torch.nn.functional.gelu(Value(g, "x", 3))  # pyright: ignore[reportArgumentType]


def test_wrong_opsets_and_batch_sizes(tmp_path):
    wrong: list[tuple[str, Any]] = [
        *(("opset", opset) for opset in (16, 0, -1, 10_000, 17.0, "17", None, True)),
        *(("batch_size", batch) for batch in (0, -1, 1.5, "1", True, 2**31)),
    ]
    for name, value in wrong:
        with case(name, value), pytest.raises(SettingError, match=name):
            nn.export_onnx(nn.GRU(3, 4), tmp_path / "m.onnx", **{name: value})


def test_missing_onnx_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[onnx\]'"):
        nn.export_onnx(nn.GRU(3, 4), tmp_path / "m.onnx")
