"""A recorder changes nothing in a training: not one bit, no hook, no compiled graph, no memory."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from carrousel.inspection.record.recorder import Recorder
from carrousel.inspection.training import PowersOfTwo, ReachRecorder


class Noisy(nn.Module):
    """Layers that draw random numbers, change buffers, and keep what they saw."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 5))
        self.norm = nn.BatchNorm1d(5)
        self.lstm = nn.LSTM(5, 6, 2, batch_first=True, dropout=0.3, bidirectional=True)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(12, 1)
        self.calls, self.seen = 0, []

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(self.calls)
        x = self.norm(self.first(x).transpose(1, 2)).transpose(1, 2)
        x = x * (1.0 + 0.01 * random.random() + 0.01 * float(np.random.rand()))  # noqa: NPY002
        return self.last(self.drop(self.lstm(x)[0])[:, -1])


class Loop(nn.Module):
    """A loop over time of a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.GRUCell(3, 6), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 6)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.last(h)


def square(output: Tensor) -> Tensor:
    return output.square().mean()


def seed() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


def trained(kind: type[nn.Module], visit: Callable[[nn.Module, Tensor], Callable[[], object]]):
    """Train with accumulated gradients; call the visitor at every place of the loop's body."""
    seed()
    net = kind()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    call = visit(net, torch.randn(4, 9, 3))
    gradients = []
    for _ in range(2):
        call()
        for _ in range(2):
            loss = (net(torch.randn(6, 9, 3)) - torch.randn(6, 1)).square().mean()
            call()  # a graph waits for its backward pass
            loss.backward()
            call()  # gradients are half accumulated
        gradients.append([one.grad.clone() for one in net.parameters() if one.grad is not None])
        optimizer.step()
        optimizer.zero_grad()
    rest = torch.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002
    return net.state_dict(), gradients, optimizer.state_dict()["state"], rest, vars(net)


def recorded(net: nn.Module, x: Tensor) -> Callable[[], object]:
    measures = ("reach", "gates", "gradient", "memory")
    recorder = ReachRecorder(
        net, x, square, every=1, measures=measures, snapshots=PowersOfTwo(), sink=[].append,
        on_error="raise",
    )  # fmt: skip
    return recorder.step


@pytest.mark.parametrize("kind", [Noisy, Loop])
def test_a_training_is_the_same_bit_for_bit(kind):
    weights, gradients, state, rest, own = trained(kind, lambda net, x: lambda: None)
    others = trained(kind, recorded)
    for name, value in weights.items():
        np.testing.assert_array_equal(others[0][name], value, err_msg=name)
    for one, other in zip(gradients, others[1], strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    for one, other in zip(state.values(), others[2].values(), strict=True):
        for name, value in one.items():
            np.testing.assert_array_equal(other[name], value)
    assert others[3] == rest
    for name in ("calls", "seen", "training"):
        assert others[4].get(name) == own.get(name)


def test_hooks_stay_and_see_no_other_gradients():
    seed()
    net, seen = Loop(), []
    called = []
    on_weight = net.last.weight.register_hook(lambda gradient: seen.append(gradient.shape))
    on_module = net.cell.register_forward_hook(lambda *_: called.append(1))
    step = recorded(net, torch.randn(4, 5, 3))
    step()
    assert seen == []
    gradient = torch.ones(1)
    net.last.bias.grad = gradient
    step()
    assert net.last.bias.grad is gradient
    square(net(torch.randn(4, 5, 3))).backward()
    assert len(seen) == 1
    on_weight.remove()
    on_module.remove()
    called.clear()
    square(net(torch.randn(4, 5, 3))).backward()
    assert len(seen) == 1
    assert called == []


def test_a_compiled_model_is_not_compiled_again():
    seed()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    net = Loop()
    compiled = torch.compile(net, backend=backend)
    recorder = ReachRecorder(
        compiled, torch.randn(4, 5, 3), square, every=1, sink=[].append, on_error="raise"
    )
    x = torch.randn(6, 5, 3)
    square(compiled(x)).backward()
    before = len(graphs)
    assert before > 0
    for _ in range(2):
        assert recorder.step() is not None
        square(compiled(x)).backward()
    assert len(graphs) == before


@pytest.mark.parametrize("kind", [Noisy, Loop])
@pytest.mark.filterwarnings("ignore:step 0 was not")
def test_nothing_of_a_measurement_stays_in_memory(kind):
    """Also not of one that fails: a training may go on for long after its loss became NaN."""

    def recorders() -> int:
        gc.collect()
        return sum(issubclass(type(one), Recorder) for one in gc.get_objects())

    seed()
    x, net, before = torch.randn(4, 9, 3), kind(), recorders()
    for loss in (square, lambda y: y.mean() * float("nan"), lambda y: y.detach().mean()):
        recorder = ReachRecorder(
            net, x, loss, every=1, sink=[].append, snapshots=PowersOfTwo(),
            measures=("reach", "gates", "gradient", "memory"),
        )  # fmt: skip
        for _ in range(2):
            recorder.step()
        assert recorder.failures == (0 if loss is square else 4)
        assert recorders() == before
