"""Measures of nets whose dynamics are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import carrousel.nn as cn
from carrousel.inspection import Report, inspect
from carrousel.inspection.measures.memory import UnitMemory
from support.inspection.nets import B, H, I, T, data, read


def last(found: Any) -> Tensor:
    return read(found[0][-1])


def _linear_net(factor: float) -> Any:
    """A relu net whose units all stay positive: the error shrinks by a factor at every step."""
    net: Any = nn.RNN(1, 2, nonlinearity="relu").double()
    with torch.no_grad():
        net.weight_hh_l0.copy_(factor * torch.eye(2, dtype=torch.float64))
        net.weight_ih_l0.fill_(0.1)
        net.bias_ih_l0.fill_(1.0)
        net.bias_hh_l0.zero_()
    return net


def _steady(forget: float) -> Any:
    """An LSTM whose gates do not depend on anything."""
    net: Any = nn.LSTM(1, 2).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.weight_ih_l0[4:6] = torch.tensor([[0.5], [-0.3]])
        net.bias_ih_l0[:2] = 2.0
        net.bias_ih_l0[2:4] = math.log(forget / (1 - forget))
        net.bias_ih_l0[6:] = 1.0
    return net


def _report(net: nn.Module, steps: int = 30, **options: Any) -> Report:
    torch.manual_seed(0)
    return inspect(net, torch.rand(steps, 6, 1, dtype=torch.float64), last, **options)


def test_of_a_linear_net_everything_is_known() -> None:
    report = _report(_linear_net(0.9))
    reach, (dynamics,) = report.read_reach(), report.dynamics
    np.testing.assert_allclose(reach.curve(), 0.9 ** np.arange(30), rtol=1e-12)
    assert reach.rate() == pytest.approx(0.9)
    assert reach.rate(5, 9) == pytest.approx(0.9)
    assert reach.half_life() == pytest.approx(math.log(0.5) / math.log(0.9))
    assert dynamics.spectral_radius == pytest.approx(0.9)
    assert dynamics.lyapunov == pytest.approx(math.log(0.9))
    assert dynamics.initial == pytest.approx(0.9**30)
    (memory,) = report.unit_memory
    assert memory.state == "h"
    np.testing.assert_allclose(memory.half_lives(), 7.0)  # 0.9 ** 7 < 0.5 < 0.9 ** 6
    squares = 0.81 ** np.arange(30)
    assert reach.within(4) == pytest.approx(math.sqrt(squares[:4].sum() / squares.sum()))
    assert reach.within(30) == 1.0


def test_a_steady_lstm_keeps_errors_in_its_carrousel_alone() -> None:
    reach = _report(_steady(0.95)).read_reach()
    assert reach.s is not None
    assert reach.carrousel is not None
    np.testing.assert_allclose(reach.carrousel[1:], reach.s[1:], rtol=1e-12)
    assert reach.rate(2) == pytest.approx(0.95, rel=1e-3)
    (memory,) = _report(_steady(0.95)).unit_memory
    assert memory.state == "c"
    np.testing.assert_allclose(memory.half_lives(), math.ceil(math.log(0.5) / math.log(0.95)))


def test_small_forget_gates_do_not_start_the_carrousel_anew() -> None:
    reach = _report(_steady(1e-12)).read_reach()
    assert reach.carrousel is not None
    assert (np.diff(reach.carrousel[1:], axis=0) <= 0).all()
    assert reach.half_life() < 1.0


def test_the_carrousel_is_cut_by_resets_and_truncation() -> None:
    torch.manual_seed(1)
    x, cuts = data(), torch.zeros(T, B, dtype=torch.bool)
    cuts[4] = True
    for net, inputs in (
        (cn.LSTM(I, H), {"input": x, "resets": cuts}),
        (cn.LSTM(I, H, gradient="tbptt:4"), x),
        (cn.GRU(I, H, gradient="tbptt:4"), x),
    ):
        reach = inspect(net.double(), inputs, last).read_reach()
        assert reach.carrousel is not None
        assert (reach.carrousel[1:3] > 0).all()
        assert not reach.carrousel[3:].any()
        assert not reach.total()[3:].any()


def test_the_exponent_is_that_of_products_of_jacobians() -> None:
    torch.manual_seed(2)
    for factor, steps in ((1.0, 200), (3.0, 400)):
        net: Any = nn.RNN(I, 6).double()
        with torch.no_grad():
            net.weight_hh_l0.mul_(factor)
        x = data(steps, 8, I)
        exponent = inspect(net, x, last).dynamics[0].lyapunov
        assert exponent is not None
        expected = []
        for row in range(8):
            h = torch.zeros(6, dtype=torch.float64)
            basis, logs = torch.eye(6, dtype=torch.float64), 0.0
            for now in x[:, row]:
                h = torch.tanh(
                    net.weight_ih_l0 @ now + net.bias_ih_l0 + net.bias_hh_l0 + net.weight_hh_l0 @ h
                ).detach()
                jacobian = (1 - h**2)[:, None] * net.weight_hh_l0.detach()
                basis, upper = torch.linalg.qr(jacobian @ basis)
                logs += math.log(abs(float(upper[0, 0])))
            expected.append(logs / steps)
        assert exponent == pytest.approx(np.mean(expected), abs=4.0 / steps)


def test_errors_of_many_orders_of_magnitude() -> None:
    report = _report(_linear_net(1e-3).float().double(), steps=60)
    assert report.read_reach().rate() == pytest.approx(1e-3)
    torch.manual_seed(3)
    single = inspect(_linear_net(1e-3).float(), torch.rand(60, 3, 1), last)
    assert single.read_reach().rate() == pytest.approx(1e-3, rel=1e-4)
    assert single.dynamics[0].lyapunov == pytest.approx(math.log(1e-3), rel=1e-4)


def test_half_lives_hold_for_good() -> None:
    differences = np.array(
        [[4.0, 4.0, 0.0, 4.0], [1.0, 4.0, 0.0, 3.0], [3.0, 4.0, 0.0, 1.0], [1.0, 4.0, 0.0, 1.0]]
    )
    found = UnitMemory("a", "h", differences).half_lives()
    np.testing.assert_array_equal(found, [3.0, math.inf, math.nan, 2.0])


def test_lags_of_ragged_sequences_end_at_their_first_step() -> None:
    torch.manual_seed(4)
    lengths = [3, 7, 5, 1]
    net = cn.LSTM(I, H, bidirectional=True).double()
    for padding in ("right", "left"):
        inputs = {"input": data(), "lengths": lengths, "padding": padding}
        report = inspect(net, inputs, lambda f: read(f[1][0].transpose(0, 1)))
        for reach in report.reach:
            counts = np.isfinite(reach.h).sum(axis=0)
            np.testing.assert_array_equal(counts, lengths)
            assert reach.is_read


def test_abused_cells_are_found() -> None:
    net = _steady(0.999999)
    with torch.no_grad():
        net.weight_ih_l0[4:6] = torch.tensor([[0.0], [0.0]])
        net.bias_ih_l0[4:6] = torch.tensor([0.5, 0.5])
    found = _report(net, steps=100).units[0]
    assert found.abused() == {1: "double", 0: "drift"}
    net = _steady(0.5)
    h0 = torch.zeros(1, 6, 2, dtype=torch.float64)
    with torch.no_grad():
        net.weight_ih_l0[4] = 0.0
        net.bias_ih_l0[4] = 1.0
    kept = float(torch.tensor(2.0).sigmoid() * torch.tensor(1.0).tanh() / 0.5)
    c0 = torch.full_like(h0, kept)
    x = torch.rand(30, 6, 1, dtype=torch.float64)
    assert inspect(net, (x, (h0, c0)), last).units[0].abused() == {0: "bias"}


def test_gradients_by_block_add_up() -> None:
    torch.manual_seed(5)
    net: Any = nn.Sequential(cn.LSTM(I, H, num_layers=2, bidirectional=True)).double()
    found = inspect(net, data(), last, clip=1e-3).gradients
    assert len(found.blocks) == 16
    for name, blocks in found.blocks.items():
        assert set(blocks) == {"input", "forget", "cell", "output"}
        assert math.hypot(*blocks.values()) == pytest.approx(found.norms[name])
    assert found.total == pytest.approx(math.hypot(*found.norms.values()))
    assert found.kept() == pytest.approx(1e-3 / found.total)


def test_the_lag_is_found_from_targets() -> None:
    torch.manual_seed(6)
    x = torch.randn(64, 20, 1)
    y, net = x[:, 5], nn.LSTM(1, 3, batch_first=True)

    def loss(found: Any) -> Tensor:
        return (found[0][:, -1] - y).square().mean()

    assert inspect(net, x, loss, targets=y).lag == 14
    assert inspect(net, x, loss, targets=torch.randn(64)).lag is None
    assert inspect(net, x, loss, lag=3, targets=y).lag == 3
    turned = inspect(
        nn.LSTM(1, 3), x.transpose(0, 1), lambda f: (f[0][-1] - y).square().mean(), targets=y
    )
    assert turned.lag == 14
