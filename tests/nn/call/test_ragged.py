"""Lengths and resets against what they stand for: each sequence, and each piece of it, alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from support.nn.modules import close, flat  # noqa: E402

MODULES = {
    "LSTM": lambda **more: nn.LSTM(2, 3, num_layers=2, dtype=torch.float64, **more),
    "GRU": lambda **more: nn.GRU(2, 3, num_layers=2, dtype=torch.float64, **more),
    "RNN": lambda **more: nn.RNN(2, 3, num_layers=2, dtype=torch.float64, **more),
    "lstm97": lambda **more: nn.LSTM(
        2, 4, cell="lstm97", block_size=2, gate_sources=True, dtype=torch.float64, **more
    ),
    "peephole": lambda **more: nn.LSTM(
        2, 3, cell="peephole", layer_norm=True, proj_size=2, dtype=torch.float64, **more
    ),
}


def made(name: str, **more):
    """A module with random learned initial states."""
    torch.manual_seed(1)
    module = MODULES[name](initial_state="learned", **more)
    with torch.no_grad():
        for key, weight in module.named_parameters():
            if "initial" in key:
                weight.normal_()
    return module


def first_states(module, B: int):
    r, rows = module.recurrence, module.num_layers * module.num_directions
    h = torch.randn(rows, B, r.n_sources, dtype=torch.float64)
    c = torch.randn(rows, B, r.n_states, dtype=torch.float64)
    return (h, c) if r.n_states else h


def one_of(state, b: int):
    """The state of one sequence of a batch."""
    return tuple(one[:, b] for one in state) if isinstance(state, tuple) else state[:, b]


def forwards(hx, module):
    """The state of the forward directions alone."""
    rows = slice(None, None, module.num_directions)
    return tuple(one[rows] for one in hx) if isinstance(hx, tuple) else hx[rows]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", MODULES)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    padding=st.sampled_from(["right", "left"]),
    with_state=st.booleans(),
)
@settings(max_examples=8)
def test_a_padded_sequence_is_the_sequence_alone(name, bidirectional, lengths, padding, with_state):
    module, T = made(name, bidirectional=bidirectional), 5
    x = torch.randn(T, len(lengths), 2, dtype=torch.float64)
    hx = first_states(module, len(lengths)) if with_state else None
    out, last = module(x, hx, lengths=lengths, padding=padding)
    for b, length in enumerate(lengths):
        steps = slice(0, length) if padding == "right" else slice(T - length, T)
        state = None if hx is None else one_of(hx, b)
        if length:
            alone, end = module(x[steps, b], state)
            close((out[steps, b], one_of(last, b)), (alone, end))
        elif state is not None:
            close(one_of(last, b), state)
        else:
            learned = [module.layer_weights(k, 0).fresh_h for k in range(module.num_layers)]
            close(forwards(flat(last)[0][:, b], module), torch.stack(learned))
        empty = out[length:, b] if padding == "right" else out[: T - length, b]
        assert torch.equal(empty, torch.zeros_like(empty))


@pytest.mark.parametrize("name", MODULES)
def test_padding_may_hold_anything(name):
    module = made(name, bidirectional=True)
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    dirty = x.clone()
    dirty[3:, 0] = torch.nan
    results = []
    for batch in (x, dirty):
        batch.requires_grad_()
        out, last = module(batch, lengths=[3, 5])
        loss = sum((one**2).sum() for one in flat((out, last)))
        leaves = [batch, *module.parameters()]
        results.append((out, last, *torch.autograd.grad(loss, leaves, materialize_grads=True)))
    close(*results)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", MODULES)
@given(cuts=st.lists(st.booleans(), min_size=6, max_size=6), left=st.integers(0, 3))
@settings(max_examples=8)
def test_a_reset_cuts_the_sequence(name, bidirectional, cuts, left):
    """One sequence of the batch is cut; its neighbour and the padding show nothing of it."""
    module, T = made(name, bidirectional=bidirectional), 6
    x = torch.randn(T, 2, 2, dtype=torch.float64)
    hx = first_states(module, 2)
    resets = np.zeros((T, 2), dtype=bool)
    resets[:, 1] = cuts
    out, last = module(x, hx, resets=resets, lengths=[T, T - left], padding="left")
    alone, end = module(x[:, 0], one_of(hx, 0))
    close((out[:, 0], one_of(last, 0)), (alone, end))
    starts = [left, *(t for t in range(left + 1, T) if cuts[t])]
    pieces = [slice(a, b) for a, b in zip(starts, [*starts[1:], T], strict=True)]
    own = one_of(hx, 1)
    ends = []
    for number, piece in enumerate(pieces):
        state = _entering(module, own, number, len(pieces), cuts[left])
        alone, end = module(x[piece, 1], state)
        close(out[piece, 1], alone)
        ends.append(end)
    D = module.num_directions
    for got, first, final in zip(flat(one_of(last, 1)), flat(ends[0]), flat(ends[-1]), strict=True):
        close(got[::D], final[::D])  # forwards, the last piece is the end
        if D == 2:
            close(got[1::D], first[1::D])


def _entering(module, own, number: int, pieces: int, cut_at_first: bool):
    """The state with which a piece starts: handed over at the ends of the sequence, else learned.

    Forwards the sequence enters at the first piece, unless that begins with a reset; backwards at
    the last.
    """
    D = module.num_directions
    weights = [module.layer_weights(k, d) for k in range(module.num_layers) for d in range(D)]
    h = torch.stack([w.fresh_h for w in weights])
    s = torch.stack([w.fresh_s for w in weights]) if module.recurrence.n_states else None
    here = [h] if s is None else [h, s]
    for state, handed in zip(here, flat(own), strict=True):
        if number == 0 and not cut_at_first:
            state[::D] = handed[::D]
        if number == pieces - 1 and D == 2:
            state[1::D] = handed[1::D]
    return here[0] if s is None else (here[0], here[1])


@pytest.mark.parametrize("batch_first", [False, True])
def test_forms_of_lengths_and_resets(batch_first):
    torch.manual_seed(0)
    module = nn.LSTM(2, 3, batch_first=batch_first)
    x = torch.randn((2, 4, 2) if batch_first else (4, 2, 2))
    marks = np.zeros((2, 4) if batch_first else (4, 2), dtype=bool)
    marks[1, 1] = True
    expected = module(x, lengths=[2, 4], resets=marks)
    for lengths in (np.array([2, 4]), torch.tensor([2, 4], dtype=torch.int32), (2, 4)):
        for resets in (torch.tensor(marks), marks.tolist()):
            for one, other in zip(
                flat(module(x, lengths=lengths, resets=resets)), flat(expected), strict=True
            ):
                assert torch.equal(one, other)


def test_resets_of_one_sequence():
    module = made("LSTM")
    x = torch.randn(5, 2, dtype=torch.float64)
    out, _ = module(x, resets=[False, False, True, False, False])
    close(out[2:], module(x[2:])[0])


@pytest.mark.parametrize("name", MODULES)
def test_resets_and_states_of_a_packed_batch_are_in_batch_order(name):
    module = made(name, bidirectional=True)
    x, lengths = torch.randn(5, 3, 2, dtype=torch.float64), [2, 5, 3]
    resets = torch.rand(5, 3) < 0.4
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    hx = first_states(module, 3)
    out, last, steps = module(packed, hx, resets=resets, return_states=True)
    out = torch.nn.utils.rnn.pad_packed_sequence(out)[0]
    expected = module(x, hx, lengths=lengths, resets=resets, return_states=True)
    gates = [list(one.gates.values()) for one in steps]
    close((out, last, gates), (*expected[:2], [list(one.gates.values()) for one in expected[2]]))


@pytest.mark.parametrize("name", MODULES)
def test_a_batch_may_be_empty(name):
    module = made(name, bidirectional=True)
    x = torch.randn(3, 0, 2, dtype=torch.float64)
    for more in ({}, {"lengths": []}, {"lengths": torch.zeros(0, dtype=torch.int64)}):
        out, last = module(x, **more)
        assert out.shape == (3, 0, 2 * module.recurrence.n_outputs)
        assert all(one.shape[1] == 0 for one in flat(last))
        out.sum().backward()
