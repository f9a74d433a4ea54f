"""Attributions of captum for a trained classifier."""

from __future__ import annotations

import torch
from captum.attr import (
    FeatureAblation,
    GradientShap,
    IntegratedGradients,
    LayerActivation,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    NeuronGradient,
    Saliency,
)

from carrousel import nn
from foreign.check import Outcome
from foreign.data import Classifier, sequences, train

SWAP = "`nn.replace` on the model"
TOLERANCES = {
    "losses of 20 steps": 1e-5,
    "IntegratedGradients": 1e-5,
    "Saliency": 1e-5,
    "GradientShap": 1e-5,
    "FeatureAblation": 1e-5,
    "LayerActivation": 1e-5,
    "LayerGradientXActivation": 1e-5,
    "LayerIntegratedGradients": 1e-5,
    "NeuronGradient": 1e-5,
}


def run(ours: bool) -> Outcome:
    model = nn.replace(Classifier("GRU")) if ours else Classifier("GRU")
    losses = train(model)
    x, y = sequences(8)
    zero = torch.zeros_like(x)
    values = {
        "losses of 20 steps": losses,
        "IntegratedGradients": IntegratedGradients(model).attribute(x, zero, target=y),
        "Saliency": Saliency(model).attribute(x.clone(), target=y),
        "FeatureAblation": FeatureAblation(model).attribute(x, target=y),
        # Hooks on the recurrent layer itself, whose output is a tuple.
        "LayerActivation": _tensors(LayerActivation(model, model.rnn).attribute(x)),
        "LayerGradientXActivation": LayerGradientXActivation(model, model.head).attribute(
            x, target=y
        ),
        "LayerIntegratedGradients": LayerIntegratedGradients(model, model.head).attribute(
            x, zero, target=y
        ),
        "NeuronGradient": NeuronGradient(model, model.head).attribute(x, 0),
    }
    torch.manual_seed(0)
    values["GradientShap"] = GradientShap(model).attribute(x, zero, target=y)
    return Outcome(model, values)


def _tensors(found: tuple[torch.Tensor, ...] | torch.Tensor) -> list[torch.Tensor]:
    return list(found) if isinstance(found, tuple) else [found]
