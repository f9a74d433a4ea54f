"""Private training by opacus: our layer as it is, against opacus' own `DPLSTM` and `DPGRU`.

opacus refuses torch's layers, so its own layers, with the same weights, take their place.
"""

from __future__ import annotations

from typing import Any

import torch
from opacus import PrivacyEngine
from opacus.layers import DPGRU, DPLSTM

from carrousel import nn
from foreign.check import Outcome
from foreign.data import Classifier, sequences

SWAP = "`nn.replace` on the model, against opacus' `DPLSTM` and `DPGRU` with the same weights"
NAMES = {
    "hooks": "losses and weights of 12 clipped steps",
    "ghost": "losses and weights of 12 clipped steps, ghost clipping",
}
TOLERANCES: dict[str, float] = {
    f"{kind}: {name}": 1e-5 for kind in ("LSTM", "GRU") for name in NAMES.values()
}


def run(ours: bool) -> Outcome:
    values, parts = {}, torch.nn.ModuleList()
    for kind in ("LSTM", "GRU"):
        for mode, name in NAMES.items():
            model = _model(kind, ours)
            values[f"{kind}: {name}"] = _train(model, mode)
            parts.append(model)
    return Outcome(parts, values)


def _model(kind: str, ours: bool) -> Classifier:
    torch.manual_seed(0)
    model = Classifier(kind)
    if ours:
        return nn.replace(model)
    theirs = {"LSTM": DPLSTM, "GRU": DPGRU}[kind](3, 16, num_layers=2, batch_first=True)
    theirs.load_state_dict(model.rnn.state_dict())
    model.rnn = theirs
    return model


def _train(model: Classifier, mode: str) -> list[Any]:
    """Train for three epochs; returns losses and weights.

    Without noise, because it is drawn in the order of the parameters, in which the layers differ.
    """
    data = torch.utils.data.TensorDataset(*sequences())
    engine, criterion = PrivacyEngine(), torch.nn.CrossEntropyLoss()
    made: Any = engine.make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), 0.3),
        criterion=criterion,
        data_loader=torch.utils.data.DataLoader(data, batch_size=16),
        noise_multiplier=0.0,
        max_grad_norm=0.1,
        poisson_sampling=False,
        grad_sample_mode=mode,
    )
    private, optimizer, *middle, loader = made
    criterion = middle[0] if middle else criterion
    losses = []
    for _ in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(private(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    # The state dictionaries of opacus' layers have torch's names, besides their own.
    found = model.state_dict()
    weights = [found[name] for name in sorted(found) if "_l" in name or "head" in name]
    return [losses, *weights]
