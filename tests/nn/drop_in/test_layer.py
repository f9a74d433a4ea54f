"""What programs ask of a recurrent layer: the attributes and methods of torch's classes."""

from __future__ import annotations

import copy
import pickle
from abc import ABC
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from support.case import each  # noqa: E402
from support.nn.modules import both, close  # noqa: E402

LAYERS = ("LSTM", "GRU", "RNN")
SETTINGS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True},
]
every_layer = each(
    "name, settings",
    [(name, settings) for name in LAYERS for settings in SETTINGS]
    + [("LSTM", {"proj_size": 2, "bidirectional": True}), ("RNN", {"nonlinearity": "relu"})],
)


@every_layer
def test_attributes_are_those_of_torch(name, settings):
    ours, theirs = both(name, 3, 4, **settings)
    assert isinstance(ours, torch.nn.RNNBase)
    assert [*vars(theirs)] != []
    for attribute in torch.nn.RNNBase.__constants__:
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    for attribute in ("_all_weights", "_flat_weights_names"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert [len(part) for part in ours.all_weights] == [len(part) for part in theirs.all_weights]
    close(ours.all_weights, theirs.all_weights)
    close(ours._flat_weights, theirs._flat_weights)
    public = {key for key in dir(theirs) if not key.startswith("__")}
    # torch's second list of the weights, which has no use here
    assert public - set(dir(ours)) <= {"_flat_weight_refs"}
    ours.flatten_parameters()


@every_layer
def test_checks_of_arguments_are_those_of_torch(name, settings):
    ours, theirs = both(name, 3, 4, **settings)
    x, packed = torch.zeros(5, 2, 3), torch.zeros(7, 3)
    sizes = torch.tensor([3, 2, 2])
    rows = theirs.get_expected_hidden_size(x, None)[0]
    for batch, given in ((x, None), (packed, sizes)):
        assert ours.get_expected_hidden_size(batch, given) == theirs.get_expected_hidden_size(
            batch, given
        )
        if name == "LSTM":
            assert ours.get_expected_cell_size(batch, given) == theirs.get_expected_cell_size(
                batch, given
            )
    B = theirs.get_expected_hidden_size(x, None)[1]
    h = torch.randn(theirs.get_expected_hidden_size(x, None))
    hx: Any = (h, torch.randn(rows, B, 4)) if name == "LSTM" else h
    order = torch.arange(B).flip(0)
    close(ours.permute_hidden(hx, order), theirs.permute_hidden(hx, order))
    assert ours.permute_hidden(hx, None) is hx
    ours.check_forward_args(x, hx, None)
    wrong = (h[1:], h) if name == "LSTM" else h[1:]
    for arguments in ((x[..., 1:], hx, None), (x, wrong, None), (x.double(), hx, None)):
        with pytest.raises((RuntimeError, ValueError)) as here:
            ours.check_forward_args(*arguments)
        with pytest.raises(type(here.value)) as there:
            theirs.check_forward_args(*arguments)
        assert str(here.value) == str(there.value)


@each("name", LAYERS)
def test_initialisers_reach_the_layer(name):
    def initialise(module):
        if isinstance(module, torch.nn.RNNBase):
            for part in module._all_weights:
                for key in part:
                    if "weight" in key:
                        torch.nn.init.orthogonal_(getattr(module, key))
            for weight in module._flat_weights:
                if weight.dim() == 1:
                    torch.nn.init.zeros_(weight)

    results = []
    for module in both(name, 3, 4, num_layers=2):
        torch.manual_seed(1)
        model = torch.nn.Sequential(module).apply(initialise)
        results.append([*model.parameters()])
    close(*results)
    assert not results[0][2].any()


def test_flat_weights_can_be_assigned():
    ours, theirs = both("GRU", 3, 4)
    new = [torch.nn.Parameter(torch.randn_like(weight)) for weight in ours._flat_weights]
    x = torch.randn(5, 2, 3)
    for layer in (ours, theirs):
        layer._flat_weights = list(new)
        layer._flat_weights[1] = new[1]
        layer._flat_weights[2:] = new[2:]
    assert ours.weight_ih_l0 is new[0]
    assert ours.weight_hh_l0 is new[1]
    close(ours(x), theirs(x))
    with pytest.raises(TypeError, match="cannot assign"):  # torch would use it until the next .to()
        ours._flat_weights[0] = torch.zeros(12, 3)


def test_cells_are_instances_of_the_base_class_of_cells():
    for name in ("LSTMCell", "GRUCell", "RNNCell"):
        ours, theirs = both(name, 3, 4, bias=False)
        assert isinstance(ours, torch.nn.RNNCellBase)
        for attribute in (*torch.nn.RNNCellBase.__constants__, "bias_ih", "bias_hh"):
            assert getattr(ours, attribute) == getattr(theirs, attribute)


class Mixed(ABC, torch.nn.RNNBase):
    """As pytorch-forecasting and others extend torch's layers: a mixin above the layer."""

    def last(self, x, hx=None):
        return super().forward(x, hx)[0][-1]


def test_layers_can_be_extended_by_mixins():
    class Ours(Mixed, nn.LSTM):  # pyright: ignore[reportIncompatibleMethodOverride]
        pass

    class Theirs(Mixed, torch.nn.LSTM):
        pass

    x, made = torch.randn(5, 2, 3), []
    kinds: tuple[Any, ...] = (Ours, Theirs)
    for kind in kinds:
        torch.manual_seed(0)
        made.append(kind(3, 4, num_layers=2))
    close(made[0].last(x), made[1].last(x))
    close(made[0].last(x, made[0](x)[1]), made[1].last(x, made[1](x)[1]))


def test_modes_of_variants_show_the_form_of_the_state():
    assert nn.LSTM(3, 4, cell="lstm97").mode == "LSTM"
    layer = nn.LSTM(3, 4, cell="lstm97", gate_sources=True)
    x = torch.zeros(5, 2, 3)
    h, c = layer(x)[1]
    assert layer.get_expected_hidden_size(x, None) == h.shape
    assert layer.get_expected_cell_size(x, None) == c.shape


def test_copies_hold_the_same_attributes_as_before():
    """The list of weights is not stored, so checkpoints and pickles keep their form."""
    layer = nn.LSTM(3, 4, num_layers=2)
    x = torch.randn(5, 2, 3)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert vars(again).keys() == vars(layer).keys()
        assert again.weight_ih_l0 is not layer.weight_ih_l0
        assert again._flat_weights[0] is again.weight_ih_l0
        close(again(x), layer(x))
    assert not [key for key in vars(layer) if "flat" in key or "all_weights" in key]
    layer.double()
    assert layer._flat_weights[0].dtype == torch.float64
    assert (
        torch.func.functional_call(
            layer, {"weight_ih_l0": torch.zeros(16, 3).double()}, (x.double(),)
        )[0].dtype
        == torch.float64
    )


def test_warning_of_dropout_is_that_of_torch():
    texts = []
    for package in (nn, torch.nn):
        with pytest.warns(UserWarning, match="dropout option adds dropout") as caught:
            package.GRU(3, 4, dropout=0.5)
        texts += [str(one.message) for one in caught]
    assert texts[0] == texts[1]
    assert len(texts) == 2
