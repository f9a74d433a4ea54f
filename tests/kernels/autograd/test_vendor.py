"""Torch's fused kernel has the values and gradients of the plain path."""

from __future__ import annotations

import pytest

from carrousel.contracts import Recurrence
from support.case import each
from support.kernels.recurrent_cases import make_case

pytest.importorskip("torch")

import torch

from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions
from carrousel.kernels.autograd.plain import plain_layer
from carrousel.kernels.autograd.vendor import vendor_fits, vendor_layer


def inputs_of(recurrence: Recurrence, features: set[str]) -> LayerInputs:
    case = make_case(recurrence, features, T=5, B=3)
    return LayerInputs(
        **{
            name: torch.tensor(a, requires_grad=a.dtype == "float64")
            for name, a in case.arrays.items()
        }
    )


@pytest.mark.parametrize(
    "recurrence",
    [
        *(Recurrence(c, 4) for c in ("lstm", "gru", "rnn_tanh", "rnn_relu")),
        Recurrence("lstm", 4, 3),
    ],
    ids=lambda r: r.key,
)
@each("features", [set(), {"bias"}, {"bias", "unit"}])
@each("reverse", [False, True])
def test_values_and_gradients_equal_the_plain_path(recurrence, reverse, features):
    inputs, options = inputs_of(recurrence, features), LayerOptions(reverse=reverse)
    assert vendor_fits(inputs, recurrence, options)
    given = [v for v in inputs if v is not None]
    found = []
    for run in (vendor_layer, plain_layer):
        result = run(inputs, recurrence, options)
        results = [result.out, result.h, result.s]
        loss = torch.cat([(r * (1 + i)).flatten() for i, r in enumerate(results)]).square().sum()
        found.append([*results, *torch.autograd.grad(loss, given, allow_unused=True)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@each(
    "recurrence, features, options",
    [
        (Recurrence("peephole", 4), set(), {}),
        (Recurrence("lstm", 4, layer_norm=True), {"norms"}, {}),
        (Recurrence("lstm", 4), {"lengths"}, {}),
        (Recurrence("lstm", 4), {"drop"}, {}),
        (Recurrence("lstm", 4), {"masks"}, {}),
        (Recurrence("lstm", 4), set(), {"gradient": "truncated"}),
        (Recurrence("lstm", 4), set(), {"zone_h": 0.1}),
        (Recurrence("lstm", 4), set(), {"record": True}),
        (Recurrence("lstm", 4), set(), {"recompute": 2}),
    ],
)
def test_unsupported_calls_are_recognised(recurrence, features, options):
    inputs = inputs_of(recurrence, features)
    assert not vendor_fits(inputs, recurrence, LayerOptions(**options))
