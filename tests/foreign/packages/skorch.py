"""A classifier of skorch: losses, probabilities, and a pickled net."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import torch
from skorch import NeuralNetClassifier

from carrousel import nn
from foreign.check import Outcome
from foreign.data import Classifier, sequences

SWAP = "`nn.replace` on the module that `NeuralNetClassifier` receives"
TOLERANCES = {
    "losses of 8 epochs": 1e-5,
    "probabilities": 1e-5,
    "after pickle": 1e-5,
    "after save_params, load_params": 1e-5,
}


def run(ours: bool) -> Outcome:
    def net() -> NeuralNetClassifier:
        torch.manual_seed(0)
        module = Classifier()
        return NeuralNetClassifier(
            nn.replace(module) if ours else module,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=1e-2,
            max_epochs=8,
            batch_size=16,
            verbose=0,
        )

    x, y = sequences()
    fitted = net().fit(x.numpy(), y.numpy())
    fresh = net().initialize()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pt"
        fitted.save_params(f_params=file)
        fresh.load_params(f_params=file)
    return Outcome(
        fitted.module_,
        {
            "losses of 8 epochs": fitted.history[:, ("train_loss", "valid_loss")],
            "probabilities": fitted.predict_proba(x.numpy()),
            "after pickle": pickle.loads(pickle.dumps(fitted)).predict_proba(x.numpy()),
            "after save_params, load_params": fresh.predict_proba(x.numpy()),
        },
    )
