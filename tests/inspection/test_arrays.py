"""Calls of saved layers and cells on arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from carrousel import nn
from carrousel.errors import InputError, SettingError
from carrousel.inspection.arrays import CellLoop, Sample, call_of
from support.case import case, each

T, B = 6, 5
LENGTHS = np.array([6, 3, 6, 1, 4])


def arrays() -> tuple[np.ndarray, np.random.Generator]:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    return rng.normal(size=(T, B, 2)), rng


def layers() -> list[nn.LSTM | nn.GRU]:
    return [
        nn.LSTM(2, 4),
        nn.LSTM(2, 4, batch_first=True, bidirectional=True),
        nn.GRU(2, 3, num_layers=2, dtype=torch.float64),
        nn.LSTM(2, 4, proj_size=3, batch_first=True),
    ]


def test_without_targets_the_loss_is_the_squared_norm_of_the_last_output():
    x, _ = arrays()
    for layer in layers():
        with case(layer):
            for lengths in (LENGTHS, np.full(B, T)):
                model, inputs, loss, _ = call_of(layer, Sample(x, lengths))
                found = loss(model(**inputs))
                total = 0.0
                for n, steps in enumerate(lengths.tolist()):
                    one = torch.as_tensor(x[:steps, n], dtype=next(layer.parameters()).dtype)
                    total += layer(one)[0][-1].square().sum().item()
                np.testing.assert_allclose(found.item(), total / B, rtol=1e-5)


def test_losses_of_targets_are_those_of_torch():
    x, rng = arrays()
    layer = nn.LSTM(2, 4)
    out = layer(torch.as_tensor(x, dtype=torch.float32), lengths=torch.as_tensor(LENGTHS))[0]
    last = out[LENGTHS - 1, range(B)]
    classes, values = rng.integers(0, 4, B), rng.normal(size=(B, 4))
    steps, every = rng.integers(0, 4, (T, B)), rng.normal(size=(T, B, 4))
    padding = np.arange(T)[:, None] >= LENGTHS
    steps[padding], every[padding] = -1, np.nan
    real = torch.as_tensor(~padding)
    for targets, per_step, expected in (
        (classes, False, functional.cross_entropy(last, torch.as_tensor(classes))),
        (values, False, functional.mse_loss(last, torch.as_tensor(values).float())),
        (steps, True, functional.cross_entropy(out[real], torch.as_tensor(steps)[real])),
        (every, True, functional.mse_loss(out[real], torch.as_tensor(every)[real].float())),
    ):
        model, inputs, loss, text = call_of(layer, Sample(x, LENGTHS, targets, per_step))
        with case(text):
            np.testing.assert_allclose(loss(model(**inputs)).item(), expected.item(), rtol=1e-5)


@each("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_a_cell_is_run_over_all_steps(kind):
    x, _ = arrays()
    cell = kind(2, 4)
    model, inputs, loss, _ = call_of(cell, Sample(x, np.full(B, T)))
    assert isinstance(model, CellLoop)
    state = None
    for now in inputs:
        state = cell(now, state)
    h = state[0] if isinstance(state, tuple) else state
    assert h is not None
    assert loss(model(inputs)).item() == h.square().sum(-1).mean().item()


def test_data_that_do_not_fit():
    x, _ = arrays()
    with pytest.raises(InputError, match="3 channels, but the LSTM of the file has 2"):
        call_of(nn.LSTM(2, 4), Sample(np.zeros((T, B, 3)), LENGTHS))
    with pytest.raises(InputError, match="equal length"):
        call_of(nn.LSTMCell(2, 4), Sample(x, LENGTHS))
    with pytest.raises(SettingError, match="a class 4, but there are 4 outputs"):
        call_of(nn.LSTM(2, 4), Sample(x, LENGTHS, np.arange(B)))
    with pytest.raises(SettingError, match="1 target values, but 4 outputs"):
        call_of(nn.LSTM(2, 4), Sample(x, LENGTHS, np.zeros(B)))
