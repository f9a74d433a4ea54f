"""torch.ao.quantization on models with our layers: quantised as torch's, or refused."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.ao import quantization  # noqa: E402

from carrousel import nn  # noqa: E402
from carrousel.errors import SettingError  # noqa: E402
from support.case import each  # noqa: E402
from support.nn.modules import both, close  # noqa: E402

# torch announces that quantisation moves to torchao.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:Please use quant_min"),
]

NAMES = ("LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell")
DYNAMIC: Any = vars(quantization)["default_dynamic_qconfig"]


def is_quantized(module: Any) -> bool:
    return type(module).__module__.startswith("torch.ao.nn.quantized.dynamic")


@each("name", NAMES)
def test_layers_become_those_of_torch(name):
    ours, theirs = both(name, 6, 8)
    x = torch.randn(2, 6) if name.endswith("Cell") else torch.randn(5, 2, 6)
    want = quantization.quantize_dynamic(torch.nn.Sequential(theirs))
    model = torch.nn.Sequential(ours)
    specs = [{getattr(torch.nn, name)}, {getattr(nn, name)}, {"0": DYNAMIC}, None]
    for spec in specs:
        found = quantization.quantize_dynamic(model, spec)
        assert type(found[0]) is type(want[0])
        close(found(x), want(x))
        assert model[0] is ours
        assert not hasattr(ours, "qconfig")
    half = [quantization.quantize_dynamic(one, dtype=torch.float16) for one in (model, theirs)]
    assert is_quantized(half[0][0])


def test_layers_that_are_not_meant_stay():
    model = torch.nn.ModuleDict({"rnn": nn.LSTM(3, 4), "head": torch.nn.Linear(4, 2)})
    specs: list[Any] = [
        {torch.nn.Linear},
        {torch.nn.GRU},
        {torch.nn.LSTM: DYNAMIC, "rnn": None},
        {torch.nn.LSTM: DYNAMIC, nn.LSTM: None},
    ]
    for spec in specs:
        found = quantization.quantize_dynamic(model, spec)
        assert type(found["rnn"]) is nn.LSTM
        assert not hasattr(found["rnn"], "qconfig")
    assert is_quantized(quantization.quantize_dynamic(model, {torch.nn.Linear})["head"])
    kept = quantization.quantize_dynamic(with_config(model, None), {torch.nn.LSTM})
    assert type(kept["rnn"]) is nn.LSTM


def with_config(model: Any, config: Any) -> Any:
    model["rnn"].qconfig = config
    return model


def test_what_torch_cannot_quantise_is_refused():
    for layer, message in [
        (nn.LSTM(3, 4, cell="peephole"), "LSTM cannot be quantised: .*cell=peephole"),
        (nn.GRU(3, 4, layer_norm=True), "GRU cannot be quantised: .*layer_norm=True"),
        (nn.GRUCell(3, 4, zoneout=0.1), "GRUCell cannot be quantised: .*zoneout=0.1"),
    ]:
        with pytest.raises(SettingError, match=message) as caught:
            quantization.quantize_dynamic(torch.nn.Sequential(layer))
        assert "qconfig to None" in str(caught.value)
    with pytest.raises(SettingError, match="no quantised RNN"):
        quantization.quantize_dynamic(torch.nn.Sequential(nn.RNN(3, 4)), {torch.nn.RNN})


def test_quantisation_of_graphs_is_refused():
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(3, 4), torch.nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0])

    x, model = torch.randn(5, 2, 3), Model().eval()
    mapping = quantization.QConfigMapping
    for kind in (torch.nn.LSTM, nn.LSTM):
        with pytest.raises(SettingError, match="quantisation of a graph"):
            prepare_fx(model, mapping().set_object_type(kind, DYNAMIC), (x,))
    with pytest.raises(SettingError, match="static quantisation"):
        prepare_fx(model, quantization.get_default_qconfig_mapping(), (x,))
    only_head = mapping().set_object_type(torch.nn.Linear, DYNAMIC)
    for spec in (only_head, mapping().set_global(DYNAMIC).set_object_type(nn.LSTM, None)):
        found = convert_fx(prepare_fx(model, spec, (x,)))
        assert type(found.rnn) is nn.LSTM
        assert is_quantized(found.head)


def test_static_quantisation_is_refused():
    model: Any = torch.nn.ModuleDict({"rnn": nn.LSTM(3, 4), "head": torch.nn.Linear(4, 2)}).eval()
    model.qconfig = vars(quantization)["default_qconfig"]
    with pytest.raises(SettingError, match="static quantisation"):
        quantization.prepare(model)
    quantization.prepare(with_config(model, None), inplace=True)
    assert type(model["rnn"]) is nn.LSTM
