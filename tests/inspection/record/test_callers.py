"""Models and callers of all kinds: modes, types, wrappers, frozen weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import carrousel.nn as cn
from carrousel.inspection import inspect
from support.inspection.nets import B, H, I, T, data, read


def last(found: Any) -> Tensor:
    return read(found[0][-1])


def _curve(*arguments: Any) -> np.ndarray:
    return inspect(*arguments).read_reach().curve()


def test_callers_without_gradients_get_the_same_report() -> None:
    torch.manual_seed(0)
    net, x = nn.LSTM(I, H).double(), data()
    expected = _curve(net, x, last)
    with torch.no_grad():
        np.testing.assert_array_equal(_curve(net, x, last), expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(_curve(net, x, last), expected)
        np.testing.assert_array_equal(_curve(net, (x * 1.0,), last), expected)
        packed = pack_padded_sequence(x * 1.0, [T] * B)
        found = _curve(net, (packed,), lambda out: read(out[1][0][0]))
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    np.testing.assert_array_equal(_curve(net, x, last), expected)
    assert inspect(net, x, last).gradients.norms == {}


def test_types_of_weights() -> None:
    torch.manual_seed(1)
    for kind in (nn.LSTM, nn.GRU):
        net, x = kind(I, H).double(), data()
        expected = _curve(net, x, last)
        for dtype, tolerance in (
            (torch.float32, 1e-5),
            (torch.bfloat16, 0.1),
            (torch.float16, 0.02),
        ):
            report = inspect(net.to(dtype), x.to(dtype), last)
            np.testing.assert_allclose(report.read_reach().curve(), expected, rtol=tolerance)
            assert report.used is not None
            net = net.double()
        net32 = net.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert len(_curve(net32, x.float(), last)) == T


def test_wrappers() -> None:
    torch.manual_seed(2)
    net, x = nn.Sequential(nn.LSTM(I, H)).double(), data()
    expected = _curve(net, x, last)
    compiled: Any = torch.compile(net, backend="eager")
    np.testing.assert_array_equal(_curve(compiled, x, last), expected)
    inside = nn.Sequential(compiled)
    np.testing.assert_array_equal(_curve(inside, x, last), expected)
    function: Any = torch.compile(lambda x: net(x), backend="eager")
    assert callable(function)
    np.testing.assert_array_equal(_curve(nn.DataParallel(net), x, last), expected)
    in_place = nn.Sequential(nn.LSTM(I, H)).double()
    in_place.load_state_dict(net.state_dict())
    in_place.compile(backend="eager")
    np.testing.assert_array_equal(_curve(in_place, x, last), expected)


def test_one_sequence_alone_has_no_exchanged_histories() -> None:
    report = inspect(nn.GRU(I, H).double(), data(T, 1, I), last)
    assert report.used is None
    assert report.unit_memory == ()
    unbatched = inspect(nn.GRU(I, H).double(), data(T, I), lambda found: found[0][-1].sum())
    assert unbatched.used is None


def test_several_losses_and_a_shared_layer() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(I, H)

        def forward(self, x: Tensor, y: Tensor) -> Any:
            return self.layer(x)[0][-1], self.layer(y)[0]

    torch.manual_seed(3)
    report = inspect(
        Two().double(),
        (data(), data(5, B, I)),
        lambda found: read(found[0]) + 0.1 * found[1].square().mean(),
    )
    assert [one.part for one in report.reach] == ["layer", "layer, call 2"]


def test_one_step_alone() -> None:
    for net in (nn.LSTM(I, H), cn.GRU(I, H), nn.RNN(I, H)):
        report = inspect(net.double(), data(1, B, I), last)
        assert len(report.read_reach().curve()) == 1
        assert report.used is None


@pytest.mark.parametrize("kind", ["layer", "cell"])
def test_a_long_sequence(kind: str) -> None:
    torch.manual_seed(4)
    steps = 3000

    class Cells(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(I, H)

        def forward(self, x: Tensor) -> Any:
            state, outs = None, []
            for now in x:
                state = self.cell(now, state)
                outs.append(state[0])
            return (torch.stack(outs),)

    net = nn.LSTM(I, H) if kind == "layer" else Cells()
    report = inspect(net.double(), data(steps if kind == "layer" else 1000, 2, I), last)
    assert report.read_reach().n_lags in (steps, 1000)
