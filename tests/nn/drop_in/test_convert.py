"""Conversion of single modules from and to torch."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils import parametrizations, prune  # noqa: E402

from carrousel import nn  # noqa: E402
from carrousel.errors import SettingError  # noqa: E402
from support.case import each  # noqa: E402
from support.nn.modules import close, gradients  # noqa: E402

LAYERS = ("LSTM", "GRU", "RNN")
CELLS = ("LSTMCell", "GRUCell", "RNNCell")
EVERY: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in (*LAYERS, *CELLS)),
    *((name, {"bias": False}) for name in (*LAYERS, *CELLS)),
    *((name, {"batch_first": True, "num_layers": 2, "dropout": 0.25}) for name in LAYERS),
    *((name, {"bidirectional": True, "dtype": torch.float64}) for name in LAYERS),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "dtype": torch.float64}),
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    ("RNNCell", {"nonlinearity": "relu"}),
]


def some_input(layer: Any) -> Any:
    shape = (2, 3) if isinstance(layer, torch.nn.RNNCellBase) else (5, 2, 3)
    return torch.randn(shape, dtype=layer._parameters[next(iter(layer._parameters))].dtype)


@each("name, settings", EVERY)
def test_settings_and_parameters_go_there_and_back(name, settings):
    theirs = getattr(torch.nn, name)(3, 4, **settings).eval()
    next(theirs.parameters()).requires_grad_(False)
    before = torch.get_rng_state()
    ours = getattr(nn, name).from_torch(theirs)
    again: Any = ours.to_torch()
    assert torch.equal(torch.get_rng_state(), before)
    assert type(again) is type(theirs)
    for module in (ours, again):
        assert not module.training
        assert dict(module.named_parameters()).keys() == dict(theirs.named_parameters()).keys()
        for (_, one), (_, other) in zip(
            module.named_parameters(), theirs.named_parameters(), strict=True
        ):
            assert one is other
    assert repr(again) == repr(theirs)
    x = some_input(theirs)
    close(ours(x), theirs(x))
    close(again(x), theirs(x))
    for module in (ours, again):
        assert getattr(module, "dropout", 0) == getattr(theirs, "dropout", 0)
        assert getattr(module, "nonlinearity", 0) == getattr(theirs, "nonlinearity", 0)


def test_optimizers_and_gradients_go_on():
    theirs = torch.nn.LSTM(3, 4, batch_first=True)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1)
    ours: Any = nn.LSTM.from_torch(theirs)
    before = ours.weight_ih_l0.detach().clone()
    ours(torch.randn(2, 5, 3))[0].sum().backward()
    optimizer.step()
    assert not torch.equal(ours.weight_ih_l0, before)
    x = torch.randn(2, 5, 3, requires_grad=True)
    close(gradients(ours, x, None), gradients(theirs, x, None))


def test_hooks_and_attributes_are_carried():
    theirs, seen = torch.nn.GRU(3, 4), []
    handle = theirs.register_forward_hook(lambda module, args, out: seen.append(type(module)))
    theirs.register_full_backward_hook(lambda module, into, out: seen.append(len(into)))
    theirs.label = "encoder"  # pyright: ignore
    ours: Any = nn.GRU.from_torch(theirs)
    ours(torch.randn(5, 2, 3, requires_grad=True))[0].sum().backward()
    assert seen == [nn.GRU, 1]
    assert ours.label == ours.to_torch().label == "encoder"
    handle.remove()
    ours(torch.randn(5, 2, 3))
    assert len(seen) == 2


def test_options_that_torch_lacks():
    theirs = torch.nn.LSTM(3, 4, batch_first=True)
    for options in ({"zoneout": 0.1}, {"gradient": "tbptt:3"}, {"recompute": "auto"}):
        ours = nn.LSTM.from_torch(theirs, **options).eval()
        assert {**ours.settings(), **options} == ours.settings()
        assert ours.batch_first
        assert ours.weight_ih_l0 is theirs.weight_ih_l0
    ours: Any = nn.LSTM.from_torch(theirs.double(), cell="peephole", initial_state="learned")
    assert ours.weight_hh_l0 is theirs.weight_hh_l0
    assert ours.weight_peephole_l0.dtype == torch.float64
    assert bool(ours.weight_peephole_l0.any())
    assert nn.LSTM(3, 4, forget_bias=1.0, recompute=4).to_torch().input_size == 3


class Own(torch.nn.LSTM):
    pass


def parametrized(package: Any) -> Any:
    layer = package.LSTM(3, 4)
    return parametrizations.weight_norm(layer, "weight_hh_l0")


def pruned(package: Any) -> Any:
    layer = package.GRU(3, 4)
    prune.l1_unstructured(layer, "weight_hh_l0", 0.5)
    return layer


def reversed_forward(package: Any) -> Any:
    layer = package.RNN(3, 4)
    layer.forward = lambda x: x
    return layer


def test_refusals():
    lstm = torch.nn.LSTM(3, 4)
    for call, message in [
        (lambda: nn.LSTM.from_torch(torch.nn.GRU(3, 4)), "GRU; expected a torch.nn.LSTM"),
        (lambda: nn.LSTM.from_torch(Own(3, 4)), "a subclass, which may behave differently"),
        (lambda: nn.LSTM.from_torch(lstm, hidden_size=5), "hidden_size is 5"),
        (lambda: nn.LSTM.from_torch(lstm, forget_bias=5.0), "forget_bias is 5.0"),
        (lambda: nn.LSTM.from_torch(lstm, cell="coupled"), r"\(16, 3\), but \(12, 3\)"),
        (lambda: nn.LSTM.from_torch(lstm, cell="lstm97"), r"\(16, 3\), but \(12, 3\)"),
        (lambda: nn.LSTM.from_torch(parametrized(torch.nn)), "LSTM are parametrized"),
        (lambda: nn.GRU.from_torch(pruned(torch.nn)), "weight_hh_l0_mask"),
        (lambda: nn.RNN.from_torch(reversed_forward(torch.nn)), "an attribute forward"),
        (lambda: parametrized(nn).to_torch(), "LSTM are parametrized"),
        (lambda: pruned(nn).to_torch(), "weight_hh_l0_mask"),
        (lambda: reversed_forward(nn).to_torch(), "an attribute forward"),
        (lambda: nn.LSTM(3, 4, cell="peephole").to_torch(), "no equivalent of cell=peephole"),
        (
            lambda: nn.GRU(3, 4, layer_norm=True, zoneout=0.1).to_torch(),
            "layer_norm=True, zoneout=0.1",
        ),
        (lambda: nn.RNN(3, 4, initial_state="learned").to_torch(), "initial_state=learned"),
        (lambda: nn.LSTMCell(3, 4, zoneout=(0.1, 0.2)).to_torch(), r"zoneout=\(0.1, 0.2\)"),
    ]:
        with pytest.raises(SettingError, match=message):
            call()
