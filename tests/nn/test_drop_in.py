"""The modules against torch's: the same calls, state dictionaries, seeds and results."""

from __future__ import annotations

import itertools
import random
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from support.case import case  # noqa: E402
from support.nn.modules import both, close, gradients  # noqa: E402

NAMES = ("LSTM", "GRU", "RNN")
CHOICES = {
    "num_layers": (1, 2, 3),
    "bias": (True, False),
    "batch_first": (False, True),
    "bidirectional": (False, True),
}


def drawn_settings(name: str, n: int) -> list[dict]:
    """At most ``n`` combinations of options, drawn with a fixed seed."""
    choices = dict(CHOICES)
    if name == "LSTM":
        choices["proj_size"] = (0, 2)
    if name == "RNN":
        choices["nonlinearity"] = ("tanh", "relu")
    every = [dict(zip(choices, row, strict=True)) for row in itertools.product(*choices.values())]
    return random.Random(name).sample(every, min(n, len(every)))


every_layer = pytest.mark.parametrize("name", NAMES)


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


@every_layer
def test_same_seed_gives_the_same_weights(name):
    for settings in drawn_settings(name, 48):
        with case(settings):
            ours, theirs = both(name, 3, 4, **settings)
            here, there = ours.state_dict(), theirs.state_dict()
            assert list(here) == list(there)
            for key in here:
                assert torch.equal(here[key], there[key]), key
            assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
            # torch's repr does not show the nonlinearity
            assert repr(ours).replace(", nonlinearity=relu", "") == repr(theirs)


def test_random_generator_is_in_the_same_state_after_construction():
    for name in (*NAMES, "LSTMCell", "GRUCell", "RNNCell"):
        states = []
        for package in (nn, torch.nn):
            torch.manual_seed(3)
            getattr(package, name)(3, 4)
            states.append(torch.get_rng_state())
        assert torch.equal(*states), name


@every_layer
def test_values_and_gradients(name):
    for settings in drawn_settings(name, 48):
        with case(settings):
            ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
            x, hx = some_input(settings), some_state(name, settings)
            close(gradients(ours, x, hx), gradients(theirs, x, hx))


@every_layer
def test_default_state_is_zero(name):
    for settings in drawn_settings(name, 12):
        with case(settings):
            ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
            x = some_input(settings)
            close(gradients(ours, x, None), gradients(theirs, x, None))


@every_layer
def test_unbatched(name):
    for settings in drawn_settings(name, 12):
        with case(settings):
            ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
            x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
            hx: Any = some_state(name, settings, B=1)
            states = hx if name == "LSTM" else (hx,)
            states = tuple(h.detach().squeeze(1) for h in states)
            hx = states if name == "LSTM" else states[0]
            close(gradients(ours, x, hx), gradients(theirs, x, hx))
            close(ours(x), theirs(x))


@pytest.mark.parametrize("enforce_sorted", [True, False])
@every_layer
def test_packed(name, enforce_sorted):
    for settings in drawn_settings(name, 12):
        with case(settings):
            check_packed(name, settings, enforce_sorted)


def check_packed(name, settings, enforce_sorted):
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


@every_layer
def test_float32_error_is_at_most_twice_that_of_torch(name):
    ours, theirs = both(name, 3, 4, num_layers=2)
    exact = both(name, 3, 4, num_layers=2, dtype=torch.float64)[1]
    exact.load_state_dict({key: w.double() for key, w in theirs.state_dict().items()})
    x = torch.randn(20, 8, 3)
    truth = exact(x.double())[0]
    error = (ours(x)[0] - truth).abs().max()
    # The outputs of both layers are rounded to float32 in any case, by 2**-24 each.
    assert error <= 2 * (theirs(x)[0] - truth).abs().max() + 2 * 2**-24


@every_layer
def test_dropout_between_layers_draws_torchs_masks(name):
    ours, theirs = both(name, 3, 4, num_layers=3, dropout=0.5, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    results = []
    for module in (ours, theirs):
        torch.manual_seed(5)
        results.append(module(x))
    close(*results)
    close(ours.eval()(x), theirs.eval()(x))


@every_layer
def test_dropout_with_one_layer_warns(name):
    with pytest.warns(UserWarning, match=r"dropout=0\.5 .*num_layers=1") as record:
        getattr(nn, name)(3, 4, dropout=0.5)
    assert record[0].filename == __file__


CELLS = [
    (name, settings)
    for name in ("LSTMCell", "GRUCell", "RNNCell")
    for settings in ({}, {"bias": False}, {"nonlinearity": "relu"})
    if name == "RNNCell" or "nonlinearity" not in settings
]


def test_cells():
    for name, settings in CELLS:
        for batched in (True, False):
            with case(name, settings, batched):
                check_cell(name, settings, batched)


def check_cell(name, settings, batched):
    ours, theirs = both(name, 3, 4, dtype=torch.float64, **settings)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    lead = (2,) if batched else ()
    x = torch.randn(*lead, 3, dtype=torch.float64, requires_grad=True)
    h = torch.randn(*lead, 4, dtype=torch.float64, requires_grad=True)
    c = torch.randn(*lead, 4, dtype=torch.float64, requires_grad=True)
    for hx in (None, (h, c) if name == "LSTMCell" else h):
        close(gradients(ours, x, hx), gradients(theirs, x, hx))


@every_layer
def test_attributes_of_torchs_modules_exist(name):
    ours, theirs = both(name, 3, 4, num_layers=2, bidirectional=True, batch_first=True)
    for attribute in (
        *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"),
        *("bidirectional", "proj_size"),
    ):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert ours.flatten_parameters() is None
    for here, there in zip(ours.all_weights, theirs.all_weights, strict=True):
        close(tuple(here), tuple(there))


def test_functional_call_uses_the_given_weights():
    ours, theirs = both("LSTM", 3, 4, dtype=torch.float64)
    other = {name: torch.randn_like(w) for name, w in ours.named_parameters()}
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    call = torch.func.functional_call
    close(call(ours, other, (x,)), call(theirs, other, (x,)))


def test_reparametrised_weights_are_used():
    ours, theirs = both("GRU", 3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but widely used
        for module in (ours, theirs):
            torch.nn.utils.weight_norm(module, "weight_hh_l0")
    with torch.no_grad():
        ours.weight_hh_l0_g.mul_(2)
        theirs.weight_hh_l0_g.mul_(2)
    close(ours(x), theirs(x))
