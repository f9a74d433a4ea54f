"""Errors of the read step alone, and where the loss reads."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import nn

from carrousel.inspection import state
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import record
from support.inspection.nets import B, H, I, Loop, T, data, read


def _linear(values: torch.Tensor) -> torch.Tensor:
    return (values * torch.linspace(-1.0, 2.0, values.shape[-1], dtype=values.dtype)).sum()


def _of_last(directions: int, found: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """The part of :func:`_linear` of all outputs that belongs to the last step processed."""
    forwards, *backwards = found[0].unflatten(-1, (directions, H)).unbind(-2)
    weights = torch.linspace(-1.0, 2.0, directions * H, dtype=torch.float64).split(H)
    ends = [forwards[-1], *(one[0] for one in backwards)]
    return torch.cat(
        [(end * part).sum()[None] for end, part in zip(ends, weights, strict=True)]
    ).sum()


def test_flow_of_a_loss_of_all_steps_is_that_of_the_last_step() -> None:
    # A linear loss has the same error at the last step, whatever else it reads.
    torch.manual_seed(0)
    for layer in (nn.LSTM(I, H, 2), nn.GRU(I, H, bidirectional=True), nn.RNN(I, H)):
        net, x = layer.double(), data()
        directions = 2 if net.bidirectional else 1
        every = record(Subject(net, x, lambda found: _linear(found[0])))

        last = record(Subject(net, x, partial(_of_last, directions)))
        for ours, theirs in zip(every.flow(), last.total(), strict=True):
            np.testing.assert_allclose(ours[0], theirs[0], atol=1e-14)
            np.testing.assert_allclose(ours[1], theirs[1], atol=1e-14)
        assert any(
            not torch.equal(ours[0], theirs[0])
            for ours, theirs in zip(every.total(), every.flow(), strict=True)
        )


def test_flow_of_a_loop_of_cells_with_a_loss_of_all_steps() -> None:
    torch.manual_seed(1)
    net, x = Loop().double(), data()
    every = record(Subject(net, x, lambda found: _linear(found)))
    last = record(Subject(net, x, lambda found: _linear(found[-1])))
    for ours, theirs in zip(every.flow(), last.total(), strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-14)
        np.testing.assert_allclose(ours[1], theirs[1], atol=1e-14)


def test_the_source_is_the_step_that_each_sequence_is_read_at() -> None:
    torch.manual_seed(2)
    steps = torch.tensor([6, 0, 4, 5])
    net = nn.LSTM(I, H, 2).double()
    found = record(Subject(net, data(), lambda out: read(out[0][steps, torch.arange(B)])))
    (source,) = found.sources
    assert source.track.part.name == "LSTM, layer 1"
    assert torch.equal(source.steps, steps)
    some = record(Subject(net, data(), lambda out: out[0][3, 1:].square().sum()))
    assert some.sources[0].steps.tolist() == [-1, 3, 3, 3]


def test_a_users_loop_equals_a_loop_with_leaves() -> None:
    torch.manual_seed(3)
    w, x = torch.randn(2 * H, H, dtype=torch.float64) / 2, data()

    def loop(x: torch.Tensor, *, leaves: list[torch.Tensor] | None = None) -> torch.Tensor:
        h = c = torch.zeros(B, H, dtype=torch.float64)
        for t, now in enumerate(x):
            f, g = (torch.cat([h, now, now[:, :1]], -1) @ torch.cat([w, w[:, :]], 1)).chunk(2, -1)
            c = f.sigmoid() * c + g.tanh()
            h = torch.tanh(c) * f.sigmoid()
            if leaves is None:
                h, c = state("loop", h, c)
            else:
                h, c = h + leaves[2 * t], c + leaves[2 * t + 1]
        return h

    recording = record(Subject(loop, x, read))
    leaves = [torch.zeros(B, H, dtype=torch.float64).requires_grad_() for _ in range(2 * T)]
    errors = torch.autograd.grad(
        read(loop(x, leaves=leaves)), leaves, materialize_grads=True, allow_unused=True
    )
    ((h, s),) = recording.flow()
    np.testing.assert_allclose(h, torch.stack(errors[::2]), atol=1e-14)
    np.testing.assert_allclose(s, torch.stack(errors[1::2]), atol=1e-14)
    assert recording.tracks[0].part.name == "loop"


def test_errors_by_lag_are_products_of_explicit_jacobians() -> None:
    torch.manual_seed(4)
    cell, x = nn.LSTMCell(I, H).double(), data()
    layer = nn.LSTM(I, H).double()
    for name, parameter in cell.named_parameters():
        getattr(layer, name + "_l0").data = parameter.data
    recording = record(Subject(layer, x, lambda found: found[0][-1].sum()))
    ((h, s),) = recording.flow()
    for row in range(B):
        before, jacobians = torch.zeros(2 * H, dtype=torch.float64), []
        for now in x[:, row]:

            def step(both: torch.Tensor) -> torch.Tensor:
                return torch.cat(cell(now[None], tuple(both[None].chunk(2, -1))), -1)[0]  # noqa: B023

            jacobians.append(torch.func.jacrev(step)(before).detach())
            before = step(before).detach()
        error = torch.cat([torch.ones(H), torch.zeros(H)]).double()
        for t in range(T - 1, -1, -1):
            # Errors at c(t) of the recording hold at constant h(t), those of the Jacobian too.
            np.testing.assert_allclose(torch.cat([h[t, row], s[t, row]]), error, atol=1e-14)
            error = error @ jacobians[t]


def test_the_state_before_the_first_step_has_its_own_errors() -> None:
    torch.manual_seed(5)
    h0, c0 = (torch.randn(1, B, H, dtype=torch.float64).requires_grad_() for _ in range(2))
    net, x = nn.LSTM(I, H).double(), data()
    recording = record(Subject(net, (x, (h0, c0)), lambda found: read(found[0][-1])))
    expected = torch.autograd.grad(read(net(x, (h0, c0))[0][-1]), [h0, c0])
    for ours, theirs in zip(recording.starts[0][0], expected, strict=True):
        assert ours is not None
        np.testing.assert_allclose(ours, theirs[0], atol=1e-14)
