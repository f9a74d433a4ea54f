"""``torch.onnx.export`` of models with our layers: equal outputs in ONNX Runtime."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from carrousel import nn
from carrousel.errors import SettingError
from support.case import case
from support.nn.deployed import drawn, own, two_states
from support.nn.exported import Arguments, Calls, differences, export, operators, session

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ALLOWED = 1e-5
"""Allowed difference, over 100 roundings of float32. Layers with normalisation have nine units,
because a normalisation over fewer values amplifies roundings more."""
SHAPES = ((2, 7), (1, 1), (5, 30), (3, 2), (4, 100), (1, 1000))
"""``(B, T)``; the first is that of the export."""

STILL: dict[str, Any] = {"states": ("c",), "unit_parameters": ("p",)}
PLAIN = {
    "lstm": lambda: nn.LSTM(3, 5, num_layers=2, bidirectional=True, dropout=0.5),
    "gru": lambda: nn.GRU(3, 5, initial_state="learned"),
    "gru, no bias": lambda: nn.GRU(3, 4, bias=False),
    "tanh": lambda: nn.RNN(3, 4),
    "relu": lambda: nn.RNN(3, 4, nonlinearity="relu", bias=False),
}
VARIANTS = {
    "lstm97": lambda: nn.LSTM(
        3, 6, cell="lstm97", block_size=2, gate_sources=True, g_range=1.5, layer_norm=True
    ),
    "peephole": lambda: nn.LSTM(3, 5, cell="peephole", proj_size=2, bidirectional=True),
    "coupled": lambda: nn.LSTM(3, 9, cell="coupled", layer_norm=True, initial_state="learned"),
    "no output gate": lambda: nn.LSTM(3, 5, cell="no_output_gate", zoneout=(0.1, 0.3)),
    "gru": lambda: nn.GRU(3, 9, layer_norm=True),
    "own": lambda: nn.LSTM(3, 5, cell=two_states(), zoneout=0.1),
    "still": lambda: nn.LSTM(
        3, 4, cell=own("still", "z", equations="c = p\nh = tanh(z) * c_prev", **STILL)
    ),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def all_shapes(model: Any, draw: Any, path: Any) -> None:
    opened = session(path)
    for shape in SHAPES:
        with case(shape):
            assert max(differences(opened, model, draw(*shape))) <= ALLOWED


def steps_first(B: int, T: int) -> Arguments:
    return (torch.randn(T, B, 3),)


@pytest.mark.parametrize("family", ["plain", "variants"])
def test_every_cell_at_shapes_not_seen_at_export(family, tmp_path):
    made = PLAIN if family == "plain" else VARIANTS
    model = Calls({n: (drawn(make()), lambda m, x: m(x)) for n, make in made.items()}).eval()
    shapes = ({0: "T", 1: "B"},)
    written = export(model, steps_first(*SHAPES[0]), tmp_path / "m.onnx", (shapes,))
    found = {"LSTM": 4, "GRU": 2, "RNN": 2} if family == "plain" else {"Scan": 8}
    assert operators(written) == found
    assert not written.functions
    all_shapes(model, steps_first, tmp_path / "m.onnx")


def ragged(B: int, T: int) -> Arguments:
    """Input with NaN in the padding, lengths from 0 to ``T``, resets."""
    lengths = torch.randint(0, T + 1, (B,))
    x = torch.randn(B, T, 3)
    x[torch.arange(T) >= lengths.unsqueeze(1)] = torch.nan
    return x, lengths, torch.rand(B, T) < 0.3


def test_lengths_resets_and_a_head(tmp_path):
    def make(kind: Any, **more: Any) -> Any:
        return drawn(kind(3, 4, batch_first=True, **{"bidirectional": True, **more}))

    def right(module: Any, x: Tensor, n: Tensor, resets: Tensor) -> Any:
        return module(x, lengths=n)

    def left(module: Any, x: Tensor, n: Tensor, resets: Tensor) -> Any:
        return module(x.flip(1), lengths=n, padding="left")

    def headed(net: Any, x: Tensor, n: Tensor, resets: Tensor) -> Any:
        output, state = left(net[0], x, n, resets)
        return net[1](output), state

    def episodes(module: Any, x: Tensor, n: Tensor, resets: Tensor) -> Any:
        return module(x, lengths=n, resets=resets)

    head = torch.nn.Linear(8, 2)
    parts = {
        "right": (make(nn.LSTM), right),
        "left": (torch.nn.Sequential(make(nn.GRU, initial_state="learned"), head), headed),
        "variant": (make(nn.LSTM, cell="coupled", bidirectional=False), left),
        "resets": (make(nn.LSTM, initial_state="learned"), episodes),
    }
    model = Calls(parts).eval()
    shapes = ({0: "B", 1: "T"}, {0: "B"}, {0: "B", 1: "T"})
    written = export(model, ragged(*SHAPES[0]), tmp_path / "m.onnx", (shapes,))
    assert operators(written) == {"LSTM": 2, "GRU": 2, "Scan": 3}
    all_shapes(model, ragged, tmp_path / "m.onnx")


def test_states_of_every_step_and_the_callers_state(tmp_path):
    def recorded(module: Any, x: Tensor, h: Tensor, c: Tensor) -> Any:
        output, state, steps = module(x, (h, c), return_states=True)
        return output, state, [(one.states, one.gates) for one in steps]

    def draw(B: int, T: int) -> Arguments:
        return torch.randn(T, B, 3), torch.randn(1, B, 4), torch.randn(1, B, 4)

    blocks: Any = {"cell": "lstm97", "block_size": 2}
    parts = {
        "lstm": (drawn(nn.LSTM(3, 4)), recorded),
        "lstm97": (drawn(nn.LSTM(3, 4, **blocks)), recorded),
    }
    model, shapes = Calls(parts).eval(), ({0: "T", 1: "B"}, {1: "B"}, {1: "B"})
    export(model, draw(*SHAPES[0]), tmp_path / "m.onnx", (shapes,))
    all_shapes(model, draw, tmp_path / "m.onnx")


def test_cells_in_a_loop_need_no_scan(tmp_path):
    def loop(cell: Any, x: Tensor) -> Any:
        state = None
        for row in x:
            state = cell(row, state)
        return state

    cells = {
        "lstm": nn.LSTMCell(3, 4),
        "gru": nn.GRUCell(3, 4),
        "peephole": nn.LSTMCell(3, 4, cell="peephole", zoneout=0.1),
    }
    model = Calls({name: (drawn(cell), loop) for name, cell in cells.items()}).eval()
    written = export(model, (torch.randn(2, 3, 3),), tmp_path / "m.onnx", (({1: "B"},),))
    assert operators(written) == {"LSTM": 2, "GRU": 2}
    for batch in (1, 3, 8):
        x = torch.randn(2, batch, 3)
        assert max(differences(session(tmp_path / "m.onnx"), model, (x,))) <= ALLOWED


def test_float64_and_programs_of_torch_export(tmp_path):
    """ONNX Runtime has no LSTM, GRU or RNN in float64, so these are a Scan too."""
    parts = {"lstm": nn.LSTM(3, 4, bidirectional=True), "gru": nn.GRU(3, 4)}
    model = Calls({n: (drawn(m).double(), lambda m, x: m(x)) for n, m in parts.items()}).eval()
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    dims = {0: torch.export.Dim("T", min=2), 1: torch.export.Dim("B")}
    program = torch.export.export(model, (x,), dynamic_shapes=((dims,),))
    kept = [node for node in program.graph.nodes if "sequence_forward" in str(node.target)]
    assert len(kept) == 3  # the operation is translated by the exporter only
    written = export(program, (), tmp_path / "m.onnx")
    assert operators(written) == {"Scan": 3}
    for shape in ((30, 5, 3), (2, 1, 3)):
        y = torch.randn(shape, dtype=torch.float64)
        assert max(differences(session(tmp_path / "m.onnx"), model, (y,))) <= 1e-13


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch itself
def test_other_decompositions_keep_the_operation():
    program = torch.export.export(nn.GRU(3, 4), (torch.randn(5, 2, 3),))
    table = dict(torch._decomp.decomposition_table)  # pyright: ignore[reportAttributeAccessIssue]
    whole = program.run_decompositions(table)
    assert any("sequence_forward" in str(node.target) for node in whole.graph.nodes)


def test_older_exporter_writes_plain_layers_and_refuses_others(tmp_path):
    class Headed(torch.nn.Module):
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.layer, self.head = layer, torch.nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Arguments:
            return (self.head(self.layer(x)[0]),)

    def write(model: Any) -> None:
        axes = {"x": {0: "T", 1: "B"}}
        x, path = torch.randn(5, 2, 3), tmp_path / "m.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names: Any = {"input_names": ["x"], "dynamic_axes": axes}
            torch.onnx.export(model.eval(), (x,), path, dynamo=False, **names)

    variant = drawn(nn.LSTM(3, 4, cell="coupled"))
    for model in (Headed(variant), variant):
        with pytest.raises(SettingError, match=r"torch\.onnx\.export\(\.\.\., dynamo=True\)"):
            write(model)
    assert not list(tmp_path.iterdir())
    for kind in (nn.LSTM, nn.GRU):
        write(model := Headed(drawn(kind(3, 4))))
        for shape in SHAPES:
            with case(kind, shape):
                opened = session(tmp_path / "m.onnx")
                assert max(differences(opened, model, steps_first(*shape))) <= ALLOWED


def test_random_numbers_are_refused(tmp_path):
    model = nn.GRU(3, 4, zoneout=0.5).train()
    with pytest.raises(RuntimeError, match=r"call model\.eval\(\) first"):
        export(model, (torch.randn(5, 2, 3),), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_packed_sequences_are_refused(tmp_path):
    class Packing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(3, 4)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.layer(pack_padded_sequence(x, lengths))[1]

    given = torch.randn(5, 2, 3), torch.tensor([5, 3])
    for call in (
        lambda: torch.export.export(Packing(), given),
        lambda: export(Packing(), given, tmp_path / "m.onnx"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(RuntimeError, match="pass a padded tensor and lengths"):
                call()
    assert not list(tmp_path.iterdir())
