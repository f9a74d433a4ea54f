"""The modules against torch's: one call, one state dictionary, one seed, one result."""

from __future__ import annotations

import itertools
import random
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from support.nn.modules import both, close, gradients  # noqa: E402

CHOICES = {
    "num_layers": (1, 2, 3),
    "bias": (True, False),
    "batch_first": (False, True),
    "bidirectional": (False, True),
}


def drawn_settings(name: str, n: int) -> list[dict]:
    """Every combination of the flags, or as many of them as asked for, drawn by a seed."""
    choices = dict(CHOICES)
    if name == "LSTM":
        choices["proj_size"] = (0, 2)
    if name == "RNN":
        choices["nonlinearity"] = ("tanh", "relu")
    every = [dict(zip(choices, row, strict=True)) for row in itertools.product(*choices.values())]
    return random.Random(name).sample(every, min(n, len(every)))


EVERY = [(name, s) for name in ("LSTM", "GRU", "RNN") for s in drawn_settings(name, 48)]
SOME = [(name, s) for name in ("LSTM", "GRU", "RNN") for s in drawn_settings(name, 12)]


def some_input(settings: dict, T: int = 5, B: int = 3) -> Any:
    shape = (B, T, 3) if settings.get("batch_first") else (T, B, 3)
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def some_state(name: str, settings: dict, B: int = 3) -> Any:
    rows = settings.get("num_layers", 1) * (1 + settings.get("bidirectional", False))
    h = torch.randn(rows, B, settings.get("proj_size") or 4, dtype=torch.float64)
    c = torch.randn(rows, B, 4, dtype=torch.float64)
    state = (h, c) if name == "LSTM" else (h,)
    for one in state:
        one.requires_grad_()
    return state if name == "LSTM" else state[0]


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_one_seed_gives_the_same_weights(name, settings):
    ours, theirs = both(name, 3, 4, **settings)
    here, there = ours.state_dict(), theirs.state_dict()
    assert list(here) == list(there)
    for key in here:
        assert torch.equal(here[key], there[key]), key
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    assert repr(ours).replace(", nonlinearity=relu", "") == repr(theirs)  # which hides it


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
def test_the_generator_goes_on_from_the_same_place(name):
    states = []
    for package in (nn, torch.nn):
        torch.manual_seed(3)
        getattr(package, name)(3, 4)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_values_and_gradients(name, settings):
    ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
    x, hx = some_input(settings), some_state(name, settings)
    close(gradients(ours, x, hx), gradients(theirs, x, hx))


@pytest.mark.parametrize(("name", "settings"), SOME)
def test_no_state_is_a_state_of_zeros(name, settings):
    ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
    x = some_input(settings)
    close(gradients(ours, x, None), gradients(theirs, x, None))


@pytest.mark.parametrize(("name", "settings"), SOME)
def test_unbatched(name, settings):
    ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    hx = some_state(name, settings, B=1)
    hx = tuple(h.detach().squeeze(1) for h in hx) if name == "LSTM" else hx.detach().squeeze(1)
    close(gradients(ours, x, hx), gradients(theirs, x, hx))
    close(ours(x), theirs(x))


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize(("name", "settings"), SOME)
def test_packed(name, settings, enforce_sorted):
    lengths = [6, 4, 4, 1] if enforce_sorted else [1, 4, 6, 3]
    ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
    x, hx = some_input(settings, T=6, B=4), some_state(name, settings, B=4)

    def packed(module):
        batch = torch.nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=settings["batch_first"], enforce_sorted=enforce_sorted
        )
        out, state = module(batch, hx)
        assert isinstance(out, torch.nn.utils.rnn.PackedSequence)
        assert torch.equal(out.batch_sizes, batch.batch_sizes)
        assert (out.sorted_indices is None) == enforce_sorted
        padded = torch.nn.utils.rnn.pad_packed_sequence(out)[0]
        return padded, state

    close(gradients(ours, x, hx, packed), gradients(theirs, x, hx, packed))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_float32_is_as_near_to_float64_as_torch_is(name):
    ours, theirs = both(name, 3, 4, num_layers=2)
    exact = both(name, 3, 4, num_layers=2, dtype=torch.float64)[1]
    exact.load_state_dict({key: w.double() for key, w in theirs.state_dict().items()})
    x = torch.randn(20, 8, 3)
    truth = exact(x.double())[0]
    error = (ours(x)[0] - truth).abs().max()
    # a rounding of 2**-24 for each of two layers' outputs is what nobody can avoid
    assert error <= 2 * (theirs(x)[0] - truth).abs().max() + 2 * 2**-24


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_dropout_between_layers_is_torchs_under_its_seed(name):
    ours, theirs = both(name, 3, 4, num_layers=3, dropout=0.5, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    results = []
    for module in (ours, theirs):
        torch.manual_seed(5)
        results.append(module(x))
    close(*results)
    close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_dropout_without_a_layer_to_drop_between_warns_the_caller(name):
    with pytest.warns(UserWarning, match=r"dropout=0\.5 .*num_layers=1") as record:
        getattr(nn, name)(3, 4, dropout=0.5)
    assert record[0].filename == __file__


CELLS = [
    (name, settings)
    for name in ("LSTMCell", "GRUCell", "RNNCell")
    for settings in ({}, {"bias": False}, {"nonlinearity": "relu"})
    if name == "RNNCell" or "nonlinearity" not in settings
]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(("name", "settings"), CELLS)
def test_cells(name, settings, batched):
    ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    lead = (2,) if batched else ()
    x = torch.randn(*lead, 3, dtype=torch.float64, requires_grad=True)
    h = torch.randn(*lead, 4, dtype=torch.float64, requires_grad=True)
    c = torch.randn(*lead, 4, dtype=torch.float64, requires_grad=True)
    for hx in (None, (h, c) if name == "LSTMCell" else h):
        close(gradients(ours, x, hx), gradients(theirs, x, hx))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_what_torch_code_reads_is_there(name):
    ours, theirs = both(name, 3, 4, num_layers=2, bidirectional=True, batch_first=True)
    for attribute in (
        *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"),
        *("bidirectional", "proj_size"),
    ):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert ours.flatten_parameters() is None
    for here, there in zip(ours.all_weights, theirs.all_weights, strict=True):
        close(tuple(here), tuple(there))


def test_weights_handed_over_for_one_call_are_used():
    ours, theirs = both("LSTM", 3, 4, dtype=torch.float64)
    other = {name: torch.randn_like(w) for name, w in ours.named_parameters()}
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    call = torch.func.functional_call
    close(call(ours, other, (x,)), call(theirs, other, (x,)))


def test_reparametrised_weights_are_used():
    ours, theirs = both("GRU", 3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has newer ways too, but this one is everywhere
        for module in (ours, theirs):
            torch.nn.utils.weight_norm(module, "weight_hh_l0")
    with torch.no_grad():
        ours.weight_hh_l0_g.mul_(2)
        theirs.weight_hh_l0_g.mul_(2)
    close(ours(x), theirs(x))
