"""torch.fx and torch.jit record models with our layers as they record torch's, or refuse."""

from __future__ import annotations

import io
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from carrousel import nn  # noqa: E402
from carrousel.errors import SettingError  # noqa: E402
from support.case import each  # noqa: E402
from support.nn.modules import both, close, gradients  # noqa: E402

# torch.jit is deprecated. torch hides the warnings of the tracer about its own layers, which the
# filters of pytest show again.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

every_layer = each(
    "name, settings",
    [
        ("LSTM", {"num_layers": 2, "bidirectional": True}),
        ("LSTM", {"proj_size": 2, "batch_first": True}),
        ("GRU", {"bias": False}),
        ("RNN", {"nonlinearity": "relu"}),
    ],
)
X = torch.randn(5, 2, 3, dtype=torch.float64)
LONGER = torch.randn(9, 3, 3, dtype=torch.float64)


class Net(torch.nn.Module):
    """A layer whose state of one call starts the next, and a cell."""

    def __init__(self, package: Any, **options: Any) -> None:
        super().__init__()
        self.rnn = package.LSTM(3, 4, **options)
        self.cell = package.GRUCell(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out, state = self.rnn(x)
        again, (h, _) = self.rnn(x, state)
        return self.cell(h[-1], out[-1]) + again.sum(0)


def net(**options: Any) -> Net:
    torch.manual_seed(0)
    return Net(nn, **options).double()


@every_layer
def test_a_traced_layer_computes_other_shapes_and_gradients(name, settings):
    ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
    traced = torch.jit.trace(ours, X)
    x = LONGER.clone().requires_grad_()
    close(gradients(traced, x, None, lambda layer: layer(x)), gradients(theirs, x, None))
    assert any("lstm" in kind or "gru" in kind or "rnn" in kind for kind in kinds(traced))


def kinds(traced: Any) -> list[str]:
    return [node.kind() for node in traced.inlined_graph.nodes()]


def test_traced_and_scripted_models_are_saved():
    ours = net()
    for make in (lambda: torch.jit.trace(ours, X), lambda: torch.jit.script(ours)):
        file = io.BytesIO()
        torch.jit.save(make(), file)
        file.seek(0)
        close(torch.jit.load(file)(LONGER), ours(LONGER))
    scripted = torch.jit.script(ours)
    assert scripted.rnn.weight_ih_l0 is not None
    with torch.no_grad():
        ours.rnn.weight_ih_l0.zero_()
    close(scripted(LONGER), ours(LONGER))


def test_a_traced_layer_with_parametrized_weights():
    ours = torch.nn.utils.parametrizations.weight_norm(nn.GRU(3, 4).double(), "weight_hh_l0")
    traced = torch.jit.trace(ours, X)
    close(traced(LONGER), ours(LONGER))
    with torch.no_grad():
        ours.parametrizations.weight_hh_l0.original0.mul_(2)
    close(traced(LONGER), ours(LONGER))


def test_what_torch_cannot_express_is_refused():
    sizes = torch.tensor([5, 2])

    class WithLengths(Net):
        def forward(self, x: Tensor) -> Any:
            return self.rnn(x, lengths=sizes)[0]

    for call, text in [
        (lambda: torch.jit.trace(net(zoneout=0.1), X), "LSTM with zoneout=0.1"),
        (lambda: torch.jit.trace(net(cell="coupled"), X), "LSTM with cell=coupled"),
        (lambda: torch.jit.trace(WithLengths(nn).double(), X), "LSTM with lengths"),
        (lambda: torch.jit.script(net(layer_norm=True)), "no equivalent of layer_norm=True"),
        (lambda: torch.jit.trace(nn.LSTMCell(3, 4, cell="peephole"), X[0]), "cell=peephole"),
    ]:
        with pytest.raises(SettingError, match=text) as caught:
            call()
        assert "torch.export" in str(caught.value)


def test_fx_has_one_node_for_a_layer():
    class Model(Net):
        def forward(self, x: Tensor, sizes: Any = None) -> Any:
            out, (h, c) = self.rnn(x, lengths=sizes, padding="left")
            return self.cell(h[-1]) + out.sum(0) + c[-1]

    ours = Model(nn, cell="peephole").double()
    graph = torch.fx.symbolic_trace(ours)
    calls = [node for node in graph.graph.nodes if node.op == "call_module"]
    assert [node.target for node in calls] == ["rnn", "cell"]
    assert set(calls[0].kwargs) == {"lengths", "padding"}
    sizes = torch.tensor([9, 4, 0])
    assert torch.equal(graph(LONGER, sizes), ours(LONGER, sizes))
    plain = net()
    assert torch.equal(torch.fx.symbolic_trace(plain)(LONGER), plain(LONGER))
    for alone in (nn.GRU(3, 4), nn.RNNCell(3, 4)):
        with pytest.raises(SettingError, match="trace a model that contains"):
            torch.fx.symbolic_trace(alone)


@pytest.mark.filterwarnings("ignore:Exporting a model to ONNX with a batch_size")
def test_the_old_exporter_writes_the_model(tmp_path):
    pytest.importorskip("onnx")
    session_of = pytest.importorskip("onnxruntime").InferenceSession
    torch.manual_seed(0)
    model = torch.nn.Sequential(nn.LSTM(3, 4, num_layers=2, bidirectional=True)).eval()
    file, axes = str(tmp_path / "model.onnx"), {"x": {0: "T", 1: "B"}}
    torch.onnx.export(model, (X.float(),), file, dynamo=False, input_names=["x"], dynamic_axes=axes)
    x = LONGER.float()
    found = session_of(file).run(None, {"x": x.numpy()})
    close([torch.as_tensor(one) for one in found], model(x))
    bare: Any = nn.LSTM(3, 4).eval()
    torch.onnx.export(bare, (X.float(),), file, dynamo=False, input_names=["x"], dynamic_axes=axes)
    found = session_of(file).run(None, {"x": x.numpy()})
    close([torch.as_tensor(one) for one in found], bare(x))
    with pytest.raises(SettingError, match="dynamo=True"):
        torch.onnx.export(nn.GRU(3, 4, layer_norm=True), (X.float(),), file, dynamo=False)
