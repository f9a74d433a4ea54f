"""Small tasks that the checks share."""

from __future__ import annotations

import torch


def sequences(
    count: int = 64, steps: int = 12, inputs: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw sequences of two classes: whether the first input is above zero in most steps."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, steps, inputs, generator=generator)
    return x, (x[..., 0].sum(1) > 0).long()


class Classifier(torch.nn.Module):
    """Two stacked layers of torch, read at the last step."""

    def __init__(self, kind: str = "LSTM", inputs: int = 3, units: int = 16) -> None:
        super().__init__()
        self.rnn = getattr(torch.nn, kind)(inputs, units, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(units, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def train(model: torch.nn.Module, steps: int = 20) -> list[float]:
    """Train a classifier on `sequences`; returns the losses."""
    x, y = sequences()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
