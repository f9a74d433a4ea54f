"""Gradients of each sample for opacus: those of samples alone, and training with DP-SGD."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
opacus = pytest.importorskip("opacus")
GradSampleModule: Any = pytest.importorskip("opacus.grad_sample").GradSampleModule
layers: Any = pytest.importorskip("opacus.layers")

from carrousel import nn  # noqa: E402
from carrousel.errors import InputError, SettingError  # noqa: E402
from support.case import case, each  # noqa: E402

# Hooks of torch warn for each layer that reads data, torch's own layers too.
pytestmark = pytest.mark.filterwarnings("ignore")

f64 = torch.float64
B, T = 4, 6


class Net(torch.nn.Module):
    """A layer whose loss reads the outputs, or one of the last states, or all of them."""

    def __init__(self, name: str, reads: str, **options: Any) -> None:
        super().__init__()
        self.first, self.reads = torch.nn.Linear(3, 3), reads
        self.rnn = getattr(nn, name)(3, 4, **options)

    def forward(self, x: Any, **options: Any) -> Any:
        x = self.first(x)
        if self.reads == "twice":
            (_, state), x = self.rnn(x, **options), x + 1
            out, state = self.rnn(x, state, **options)
        else:
            out, state = self.rnn(x, **options)
        if not self.rnn.batch_first:
            out = out.transpose(0, 1)
        h, c = state if isinstance(state, tuple) else (state, state)
        parts = {
            "out": out.cos().sum((1, 2)),
            "h": h.sin().sum((0, 2)),
            "c": c.exp().sum((0, 2)),
            "all": out.cos().sum((1, 2)) * h.sin().sum((0, 2)) + c.exp().sum((0, 2)),
        }
        return parts["all" if self.reads == "twice" else self.reads]


class Loop(torch.nn.Module):
    """A cell in a loop over time."""

    def __init__(self, name: str, reads: str) -> None:
        super().__init__()
        self.cell, self.reads = getattr(nn, name)(3, 4), reads

    def forward(self, x: Any) -> Any:
        state: Any = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        h = state if isinstance(state, torch.Tensor) else state[self.reads == "c"]
        return h.sin().sum(1)


def alone(model: Any, x: Any, options: dict[str, Any], axis: int) -> list[Any]:
    """Gradients of the loss of each sample, computed from a batch of that sample alone."""
    rows = []
    for b in range(B):
        one = {name: v.narrow(axis if v.dim() > 1 else 0, b, 1) for name, v in options.items()}
        loss = model(x.narrow(axis, b, 1), **one).sum()
        rows.append(torch.autograd.grad(loss, [*model.parameters()]))
    return [torch.stack(parts) for parts in zip(*rows, strict=True)]


def check(model: Any, x: Any, options: dict[str, Any], axis: int = 0, mean: bool = False) -> None:
    expected = alone(model, x, options, axis)
    reduction = "mean" if mean else "sum"
    wrapped = GradSampleModule(model, batch_first=axis == 0, loss_reduction=reduction)
    for _ in range(2):  # state left by the first pass would change the second
        loss = wrapped(x, **options)
        (loss.mean() if mean else loss.sum()).backward()
        for weight, want in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(weight.grad_sample, want)
            weight.grad_sample = None
    wrapped.remove_hooks()
    assert not any(module._forward_hooks for module in model.modules())


@each(
    "name, settings",
    [
        *((name, {}) for name in ("LSTM", "GRU", "RNN")),
        ("LSTM", {"num_layers": 2, "bidirectional": True}),
        ("LSTM", {"bias": False}),
        ("LSTM", {"proj_size": 2}),
        ("LSTM", {"cell": "peephole", "layer_norm": True, "initial_state": "learned"}),
        ("GRU", {"num_layers": 2}),
    ],
)
def test_gradients_of_samples(name, settings):
    lengths = torch.tensor([4, 6, 0, 1])
    resets = torch.rand(B, T, generator=torch.Generator().manual_seed(0)) < 0.3
    cases = [(reads, {}) for reads in ("out", "h", "c", "twice")]
    cases += [("all", {"lengths": lengths}), ("all", {"resets": resets})]
    for reads, options in cases:
        with case(reads, [*options]):
            model = Net(name, reads, batch_first=True, **settings).to(f64)
            check(model, torch.randn(B, T, 3, dtype=f64), options)


def test_gradients_of_samples_of_cells_in_loops():
    for name in ("LSTMCell", "GRUCell", "RNNCell"):
        for reads in ("h", "c"):
            with case(name, reads):
                check(Loop(name, reads).to(f64), torch.randn(B, T, 3, dtype=f64), {})


def test_layouts_means_and_frozen_weights():
    x = torch.randn(T, B, 3, dtype=f64)
    check(Net("LSTM", "all").to(f64), x, {}, axis=1)
    check(Net("GRU", "all", batch_first=True).to(f64), x.transpose(0, 1), {}, mean=True)
    model = Net("GRU", "h").to(f64)
    model.rnn.weight_ih_l0.requires_grad_(False)
    wrapped = GradSampleModule(model, batch_first=False, loss_reduction="sum")
    wrapped(x).sum().backward()
    assert model.rnn.weight_hh_l0.grad_sample.shape == (B, 12, 4)
    assert not hasattr(model.rnn.weight_ih_l0, "grad_sample")


def test_an_empty_batch_of_poisson_sampling():
    model = Net("LSTM", "out", batch_first=True)
    wrapped = GradSampleModule(model)
    wrapped(torch.randn(0, T, 3)).sum().backward()
    assert model.rnn.weight_hh_l0.grad_sample.shape == (0, 16, 4)


def test_evaluation_and_no_grad_return_what_they_return_without_opacus():
    model = Net("LSTM", "out", batch_first=True)
    x = torch.randn(B, T, 3)
    plain = model.rnn(x)
    wrapped = GradSampleModule(model)
    for train, grad in ((False, True), (False, False), (True, False), (True, True)):
        wrapped.train(train)
        with torch.set_grad_enabled(grad):
            out, (h, c) = model.rnn(x)
        assert torch.equal(out, plain[0])
        assert torch.equal(h, plain[1][0])
        assert torch.equal(c, plain[1][1])


def test_what_has_no_gradient_of_samples_is_refused():
    x = torch.randn(B, T, 3)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [6, 5, 4, 3], batch_first=True)
    for options, call, kind, message in [
        ({"zoneout": 0.1}, {}, SettingError, "zoneout"),
        ({"recurrent_dropout": 0.1}, {}, SettingError, "recurrent_dropout=0.1, expected 0"),
        ({"dropout": 0.1, "num_layers": 2}, {}, SettingError, "dropout=0.1, expected 0"),
        ({}, {"return_states": True}, SettingError, "return_states is True"),
        ({}, {"input": packed}, InputError, "got a PackedSequence"),
        ({}, {"input": x[0]}, InputError, "got a Tensor of 2 dimensions"),
    ]:
        layer = nn.LSTM(3, 4, batch_first=True, **options)
        wrapped = GradSampleModule(layer)
        with pytest.raises(kind, match=message):
            wrapped(**{"input": x, **call})
        layer.eval()
        wrapped(**{"input": x, **call})
    with pytest.raises(SettingError, match=r"with functorch.*grad_sample_mode='hooks'"):
        GradSampleModule(nn.GRU(3, 4), force_functorch=True)


class Classifier(torch.nn.Module):
    def __init__(self, rnn: Any) -> None:
        super().__init__()
        self.rnn, self.head = rnn, torch.nn.Linear(8, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[0][:, -1])


def trained(rnn: Any, weights: dict[str, Any]) -> list[float]:
    """Losses of private training from given weights of the layer."""
    model = Classifier(rnn)
    model.rnn.load_state_dict(weights)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    x = torch.randn(64, 10, 3)
    data = torch.utils.data.TensorDataset(x, (x.sum((1, 2)) > 0).long())
    engine = opacus.PrivacyEngine()
    model, optimizer, loader = engine.make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), 0.5),
        data_loader=torch.utils.data.DataLoader(data, batch_size=16),
        noise_multiplier=0.0,  # noise is drawn in the order of the parameters, which differs
        max_grad_norm=1.0,
    )
    losses = []
    for _ in range(3):
        for xs, ys in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(xs), ys)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return losses


def test_private_training_equals_that_of_opacus_own_layers():
    for ours, theirs in ((nn.LSTM, layers.DPLSTM), (nn.GRU, layers.DPGRU), (nn.RNN, layers.DPRNN)):
        with case(ours.__name__):
            torch.manual_seed(1)
            weights = ours(3, 8, batch_first=True).state_dict()
            here = trained(ours(3, 8, batch_first=True), weights)
            there = trained(theirs(3, 8, batch_first=True), weights)
            # float32 over 12 steps of training
            torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)
