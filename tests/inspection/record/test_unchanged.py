"""An inspection changes nothing of the model, also if the call raises."""

from __future__ import annotations

import random
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from carrousel.inspection import inspect
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import record
from carrousel.nn.call.observe import current
from support.inspection.nets import NETS, B, H, I, Net, data, read


class Untidy(nn.Module):
    """A model that keeps much and draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.LSTM(I, H, num_layers=2, dropout=0.3), nn.BatchNorm1d(H)
        self.kept: Any = None
        self.seen: list[int] = []
        self.recent: deque[int] = deque(maxlen=2)
        self.counts: dict[str, Any] = {"calls": 0}
        self.register_buffer("total", torch.zeros(()))
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        out, state = self.layer(x, self.kept)
        self.kept = tuple(one.detach() for one in state)
        self.seen.append(len(self.seen))
        self.recent.append(len(self.recent))
        self.counts["calls"] += 1
        self.counts["noise"] = torch.rand(())
        self.total += out.detach().sum()
        self.extra = out
        self.train()
        if self.fails and len(self.seen) > 1:
            raise RuntimeError("as it should")
        return self.norm(out[-1])


class Last(nn.Module):
    """An LSTM read at its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(I, H)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0][-1]


def _snapshot(model: nn.Module) -> Any:
    held = []
    for name, one in model.named_modules():
        for key, value in one.__dict__.items():
            held.append((name, key, id(value), _plain(value)))
    weights = [(n, id(p), p.detach().clone(), p.grad) for n, p in model.named_parameters()]
    buffers = [(n, id(b), b.clone()) for n, b in model.named_buffers()]
    return held, weights, buffers, torch.get_rng_state()


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone().numpy().tobytes()
    if isinstance(value, dict):
        return {str(k): id(v) for k, v in value.items()}
    if isinstance(value, list | set | tuple | deque):
        return [id(v) for v in value]
    return repr(value)


def _assert_same(one: Any, other: Any) -> None:
    assert one[0] == other[0]
    for pairs in (zip(one[1], other[1], strict=True), zip(one[2], other[2], strict=True)):
        for before, after in pairs:
            assert before[:2] == after[:2]
            assert torch.equal(before[2], after[2])
    for before, after in zip(one[1], other[1], strict=True):
        assert before[3] is after[3]
    assert torch.equal(one[3], other[3])


@given(net=st.sampled_from(NETS), seed=st.integers(0, 99), mode=st.booleans(), grads=st.booleans())
@settings(max_examples=12, deadline=None)
def test_nothing_of_a_model_changes(net: Net, seed: int, mode: bool, grads: bool) -> None:
    torch.manual_seed(seed)
    model, inputs, loss = net()
    model.train(mode)
    if grads:
        Subject(model, inputs, loss).value().backward()
    before = _snapshot(model)
    inspect(model, inputs, loss)
    _assert_same(before, _snapshot(model))


def test_an_untidy_model_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    model, x = Untidy().double(), data()
    model(x)
    del model.extra
    handle = model.layer.register_forward_hook(lambda *_: None)
    before = _snapshot(model)
    inspect(model, x, read)
    _assert_same(before, _snapshot(model))
    handle.remove()
    assert not model.layer._forward_hooks


def test_a_model_that_raises_is_left_as_it_was() -> None:
    torch.manual_seed(1)
    model, x = Untidy().double(), data()
    model(x)
    del model.extra
    model.fails = True
    before = _snapshot(model)
    with pytest.raises(RuntimeError, match="as it should"):
        inspect(model, x, read)
    _assert_same(before, _snapshot(model))
    model.fails = False
    before = _snapshot(model)
    with pytest.raises(ZeroDivisionError):
        inspect(model, x, lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    _assert_same(before, _snapshot(model))


def test_every_run_starts_from_the_same_state_and_random_numbers() -> None:
    torch.manual_seed(2)
    model, x = Untidy().double(), data()
    model(x)
    subject = Subject(model, x, read)
    first, second = (float(record(subject).loss.detach()) for _ in range(2))
    assert first == second
    assert subject.value().detach() == pytest.approx(first, rel=1e-13)
    assert B == len(model.kept[0][0])


def test_inputs_that_a_model_changes_are_left_as_they_were() -> None:
    class Doubling(Last):
        def forward(self, x: Tensor) -> Tensor:
            x.mul_(2)
            return self.layer(x)[0][-1]

    torch.manual_seed(3)
    model, x = Doubling().double(), data()
    before = x.clone()
    found = inspect(model, x, read)
    assert torch.equal(x, before)
    assert found.loss == pytest.approx(float(read(model(x)).detach()), rel=1e-12)


def test_generators_of_a_model_draw_the_same_again() -> None:
    class Noisy(Last):
        def __init__(self) -> None:
            super().__init__()
            self.torch_ = torch.Generator().manual_seed(0)
            self.numpy, self.python = np.random.default_rng(0), random.Random(0)

        def draws(self) -> list[float]:
            drawn = torch.rand((), generator=self.torch_)
            return [float(drawn), self.numpy.random(), self.python.random()]

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x + sum(self.draws()))[0][-1]

    model = Noisy().double()
    inspect(model, data(), read)
    assert model.draws() == Noisy().draws()


def test_threads_inspect_one_after_another() -> None:
    model, x = Last().double(), data()
    layer = model.layer

    def curve(_: int) -> bytes:
        return inspect(model, x, read).read_reach().curve().tobytes()

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(curve, range(6)))) == 1
    assert model.layer is layer
    assert "forward" not in layer.__dict__


def test_an_inspection_within_an_inspection() -> None:
    model, x = Last().double(), data()

    def nested(output: Tensor) -> Tensor:
        assert len(inspect(model, x, read).reach) == 1
        return read(output)

    before = _snapshot(model)
    outer = inspect(model, x, nested).read_reach().curve()
    assert outer == pytest.approx(inspect(model, x, read).read_reach().curve(), rel=1e-12)
    _assert_same(before, _snapshot(model))


@pytest.mark.parametrize("call", [1, 2, 5, 9])
def test_an_interrupted_inspection_leaves_the_model_and_no_observer(call: int) -> None:
    n = 0

    def interrupted(output: Tensor) -> Tensor:
        nonlocal n
        n += 1
        if n == call:
            raise KeyboardInterrupt
        return read(output)

    model, x = Last().double(), data()
    before = _snapshot(model)
    try:
        inspect(model, x, interrupted)
    except KeyboardInterrupt:
        assert current() is None
    _assert_same(before, _snapshot(model))


def test_weights_that_a_call_changes_are_left_as_they_were() -> None:
    class Bounded(Last):
        def __init__(self) -> None:
            super().__init__()
            self.symbols = nn.Embedding(5, I, max_norm=0.1)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.symbols(x))

    model, x = Bounded().double(), torch.randint(0, 5, (6, 3))
    before = _snapshot(model)
    inspect(model, x, lambda output: output.square().mean())
    _assert_same(before, _snapshot(model))
