"""Cells of the gallery against loops of torch operations: values, gradients and parameters."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch

from carrousel import nn
from carrousel.kernels.native.sequence import is_compiled
from support.case import case

pytest.importorskip("numba")
GALLERY = import_module("benchmarks.cells.gallery").GALLERY
SIZE = {"T": 7, "B": 3, "I": 4, "C": 5}


def layer_of(exhibit: Any, **options: Any) -> nn.LSTM:
    """A layer with random parameters, also where the cell has constant initial values."""
    torch.manual_seed(0)
    layer = nn.LSTM(SIZE["I"], SIZE["C"], cell=exhibit.cell, dtype=torch.float64, **options)
    with torch.no_grad():
        for weights in layer.parameters():
            weights.uniform_(-0.7, 0.7)
    return layer


def test_outputs_and_gradients_are_those_of_a_loop():
    for name, exhibit in GALLERY.items():
        with case(name):
            layer = layer_of(exhibit)
            assert is_compiled(layer.recurrence, "float64")
            x = torch.randn(SIZE["T"], SIZE["B"], SIZE["I"], dtype=torch.float64)
            leaves = [x.requires_grad_(), *layer.parameters()]
            ours, theirs = layer(x)[0], exhibit.loop(layer, x)
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
            weights = torch.randn_like(ours)
            for mine, right in zip(
                torch.autograd.grad((ours * weights).sum(), leaves),
                torch.autograd.grad((theirs * weights).sum(), leaves),
                strict=True,
            ):
                assert right.any()
                torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-11)


def test_layers_have_no_weights_that_no_equation_reads():
    for name in ("indrnn", "sru", "mingru"):
        with case(name):
            assert "weight_hh_l0" not in layer_of(GALLERY[name]).state_dict()
    rows = {
        name: {key: len(w) for key, w in layer_of(GALLERY[name]).state_dict().items()}
        for name in ("cornn", "antisymmetric_rnn", "recurrent_highway_network")
    }
    assert (rows["cornn"]["weight_ih_l0"], rows["cornn"]["weight_hh_l0"]) == (5, 10)
    assert rows["cornn"]["weight_scalar_l0"] == 2
    assert rows["antisymmetric_rnn"]["weight_hh_l0"] == 5
    assert rows["recurrent_highway_network"]["bias_ih_l0"] == 10
    assert rows["recurrent_highway_network"]["weight_hh_l0"] == 20


def test_every_cell_supports_the_options_of_a_layer():
    """Deep, in both directions, over ragged batches with resets: equal to the plain path."""
    for name, exhibit in GALLERY.items():
        with case(name):
            options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
            layer = layer_of(exhibit, initial_state="learned", recompute=2, **options)
            x = torch.randn(SIZE["T"], SIZE["B"], SIZE["I"], dtype=torch.float64)
            call: dict[str, Any] = {"lengths": [7, 0, 4], "resets": torch.rand(7, 3) < 0.2}
            output, _ = layer(x, **call)
            recorded, _, _ = layer(x, return_states=True, **call)  # takes the plain path
            torch.testing.assert_close(output, recorded, rtol=1e-11, atol=1e-12)
