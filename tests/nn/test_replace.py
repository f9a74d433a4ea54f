"""``nn.replace`` and ``nn.restore`` on whole models."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from carrousel.errors import SettingError  # noqa: E402
from support.nn.modules import close  # noqa: E402


class Model(torch.nn.Module):
    """Layers at several depths, one of them in two places, and tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.LSTM(3, 6, 2, batch_first=True, bidirectional=True)
        shared = torch.nn.GRU(12, 12, batch_first=True)
        self.stack = torch.nn.ModuleList([shared, torch.nn.Linear(12, 12), shared])
        self.cells = torch.nn.ModuleDict(
            {"a": torch.nn.LSTMCell(12, 4), "b": torch.nn.GRUCell(4, 4)}
        )
        self.tied = torch.nn.RNN(4, 4, nonlinearity="relu")
        self.tied.weight_hh_l0 = self.tied.weight_ih_l0

    def forward(self, x: Any) -> Any:
        x = self.encoder(x)[0]
        for layer in self.stack:
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        h, _ = self.cells["a"](x[:, -1])
        return self.tied(self.cells["b"](h).unsqueeze(0))[0]


def recurrent(model: Any) -> list[Any]:
    bases = (torch.nn.RNNBase, torch.nn.RNNCellBase)
    return [module for module in model.modules() if isinstance(module, bases)]


def test_models_give_the_same_values_there_and_back():
    model = Model().double()
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    truth, keys = model(x), list(model.state_dict())
    before = {name: id(weight) for name, weight in model.named_parameters()}
    assert nn.replace(model) is model
    assert {type(layer).__module__.split(".")[0] for layer in recurrent(model)} == {"carrousel"}
    assert model.stack[0] is model.stack[2]
    assert model.tied.weight_hh_l0 is model.tied.weight_ih_l0
    close(model(x), truth)
    assert list(model.state_dict()) == keys
    assert {name: id(weight) for name, weight in model.named_parameters()} == before
    layers = recurrent(model)
    nn.replace(model)  # nothing to do
    assert recurrent(model) == layers
    assert nn.restore(model) is model
    assert {type(layer).__module__.split(".")[0] for layer in recurrent(model)} == {"torch"}
    assert model.stack[0] is model.stack[2]
    close(model(x), truth)
    assert {name: id(weight) for name, weight in model.named_parameters()} == before


def test_a_layer_alone_is_returned():
    theirs = torch.nn.GRU(3, 4, batch_first=True)
    ours = nn.replace(theirs)
    assert type(ours) is nn.GRU
    assert ours.batch_first
    assert type(nn.restore(ours)) is torch.nn.GRU
    linear = torch.nn.Linear(2, 2)
    assert nn.replace(linear) is linear


class Own(torch.nn.LSTM):
    pass


class OwnBase(torch.nn.RNNBase):
    pass


def test_an_error_names_the_layer_and_leaves_the_model():
    model = torch.nn.ModuleDict({"a": torch.nn.GRU(3, 4), "b": torch.nn.ModuleList([Own(3, 4)])})
    before = recurrent(model)
    with pytest.raises(SettingError, match=r"model.b.0: the layer is a .*Own, a subclass.* skip"):
        nn.replace(model)
    assert recurrent(model) == before
    nn.replace(model, skip=["b.0"])
    assert type(model["a"]) is nn.GRU
    assert type(model["b"][0]) is Own
    again = torch.nn.ModuleDict({"a": torch.nn.GRU(3, 4), "b": torch.nn.ModuleList([Own(3, 4)])})
    nn.replace(again, skip="b")
    assert type(again["a"]) is nn.GRU
    with pytest.raises(SettingError, match="no module of this name"):
        nn.replace(again, skip=["c"])
    with pytest.raises(SettingError, match=r"model is \[\]"):
        nn.replace([])  # pyright: ignore
    mixed = torch.nn.Sequential(nn.LSTM(3, 4, cell="peephole"))
    with pytest.raises(SettingError, match=r"model.0: torch.nn.LSTM has no .* cell=peep"):
        nn.restore(mixed)
    own = OwnBase("GRU", 3, 4)
    assert nn.replace(own) is own  # neither LSTM nor GRU nor RNN


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_layers_compiled_by_torchscript_are_refused():
    model = torch.nn.Sequential(torch.jit.script(torch.nn.LSTM(3, 4)))
    with pytest.raises(SettingError, match=r"model\.0: the layer is a compiled LSTM"):
        nn.replace(model)
