"""Exchanged histories are those of a call with exchanged inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import carrousel.nn as cn
from carrousel.inspection import state
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import record
from carrousel.inspection.record.swap import swapped
from support.inspection.nets import B, H, I, Loop, T, data, read


def _exchanged(x: Tensor, lag: int) -> Tensor:
    """Inputs of the next sequence before the last ``lag + 1`` steps."""
    return torch.cat([x[: T - lag - 1].roll(-1, 1), x[T - lag - 1 :]])


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(I + H, H)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(B, H)
        for now in x:
            h = state("loop", torch.tanh(self.cell(torch.cat([now, h], -1))))
        return h


def _nets() -> list[tuple[nn.Module, bool]]:
    return [
        (nn.LSTM(I, H), True),
        (nn.GRU(I, H, num_layers=2), True),
        (nn.RNN(I, H), True),
        (nn.LSTM(I, H + 1, proj_size=H), True),
        (cn.LSTM(I, H, cell="peephole", layer_norm=True), True),
        (cn.LSTM(I, H, zoneout=(0.2, 0.3)).eval(), True),
        (cn.GRU(I, H, gradient="tbptt:2"), True),
        (Loop(), False),
        (Named(), False),
    ]


def test_exchange_equals_a_call_with_exchanged_inputs() -> None:
    torch.manual_seed(0)
    for net, is_layer in _nets():
        net, x = net.double(), data()

        def loss(found: Any) -> Tensor:
            out = found[0] if is_layer else found  # noqa: B023
            return read(out[-1] if out.dim() == 3 else out)

        recording = record(Subject(net, x, loss))
        for lag in range(T - 1):
            ours, windows = swapped(recording, lag)
            with torch.no_grad():
                theirs = loss(net(_exchanged(x, lag)))
            np.testing.assert_allclose(ours, float(theirs), rtol=1e-13)
            assert all(len(window.rows) == B for window in windows)


def test_masks_and_resets_act_after_the_exchange_too() -> None:
    torch.manual_seed(1)
    x, cuts = data(), torch.zeros(T, B, dtype=torch.bool)
    cuts[4, 1] = cuts[5, 2] = True
    for net, arguments in (
        (cn.LSTM(I, H), {"resets": cuts}),
        (cn.GRU(I, H, zoneout=0.4), {}),
        (cn.LSTM(I, H, zoneout=(0.3, 0.2)), {}),
        (cn.GRU(I, H, recurrent_dropout=0.3), {}),
    ):
        net = net.double()
        subject = Subject(net, {"input": x, **arguments}, lambda found: read(found[0][-1]))
        recording = record(subject)
        loss, _ = swapped(recording, T)  # longer than all: nothing is exchanged
        assert loss == pytest.approx(float(recording.loss.detach()), rel=1e-13)
        if net.recurrent_dropout or (not arguments and net.zoneout[0] == 0.4):
            continue  # masks of the other sequence's past differ from those of an exchanged input
        for lag in range(1, T - 1):
            if arguments:
                theirs = subject.value(inputs={"input": _exchanged(x, lag), "resets": cuts})
                if not bool(cuts[: T - lag].any()):
                    np.testing.assert_allclose(swapped(recording, lag)[0], float(theirs.detach()))


def test_windows_of_undisturbed_states_return_the_recorded_ones() -> None:
    """Twins with the same past stay the same: masks, resets and zoneout are replayed."""
    torch.manual_seed(2)
    one = data(T, 1, I)
    x, cuts = one.expand(T, B, I).clone(), torch.zeros(T, B, dtype=torch.bool)
    cuts[4] = True
    for net in (
        cn.LSTM(I, H, recurrent_dropout=0.0),
        cn.LSTM(I, H, gradient="truncated", bidirectional=True),
        cn.GRU(I, H, layer_norm=True),
    ):
        subject = Subject(net.double(), {"input": x, "resets": cuts}, lambda f: read(f[0][-1]))
        recording = record(subject)
        for lag in range(T - 1):
            loss, windows = swapped(recording, lag)
            np.testing.assert_allclose(loss, float(recording.loss.detach()), rtol=1e-13)
            for window in windows:
                if window.h is not None and len(window.rows):
                    np.testing.assert_allclose(window.h, window.recorded()[0], atol=1e-14)


def test_sequences_no_longer_than_the_lag_stay_as_they_are() -> None:
    torch.manual_seed(3)
    lengths = torch.tensor([3, 7, 5, 6])
    x = pack_padded_sequence(data(), lengths, enforce_sorted=False)
    net = nn.LSTM(I, H, bidirectional=True).double()
    recording = record(Subject(net, (x,), lambda found: read(found[1][0].transpose(0, 1))))
    rows = [len(swapped(recording, lag)[1][0].rows) for lag in range(T)]
    assert rows == [4, 4, 4, 3, 3, 2, 1][: len(rows)] or rows == [4, 4, 3, 3, 2, 1, 0]


def test_dropout_between_layers_is_the_same_in_every_run() -> None:
    torch.manual_seed(4)
    net = nn.LSTM(I, H, num_layers=3, dropout=0.5).double()
    recording = record(Subject(net, data(), lambda found: read(found[0][-1])))
    assert swapped(recording, T)[0] == float(recording.loss.detach())
