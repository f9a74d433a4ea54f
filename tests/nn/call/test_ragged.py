"""Lengths and resets against calls with each sequence, or each piece of a sequence, alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from support.case import case  # noqa: E402
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
    """The state of the forward directions."""
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
def test_padded_sequences_agree_with_single_ones(name, bidirectional, lengths, padding, with_state):
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


def test_contents_of_padding_do_not_matter():
    for name in MODULES:
        with case(name):
            check_padding(name)


def check_padding(name):
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
def test_resets_cut_sequences(name, bidirectional, cuts, left):
    """Resets of one sequence must not change the other sequence or the padding."""
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
        state = _first_state(module, own, number, len(pieces), cuts[left])
        alone, end = module(x[piece, 1], state)
        close(out[piece, 1], alone)
        ends.append(end)
    directions = module.num_directions
    for got, first, final in zip(flat(one_of(last, 1)), flat(ends[0]), flat(ends[-1]), strict=True):
        close(got[::directions], final[::directions])  # forward: the last piece
        if directions == 2:
            close(got[1::directions], first[1::directions])  # reverse: the first piece


def _first_state(module, own, number: int, pieces: int, cut_at_first: bool):
    """The state with which a piece starts: the caller's at the end of the sequence, else learned.

    A forward direction starts at the first piece, and a reverse direction at the last. If the first
    piece begins with a reset, its forward state is the learned one.
    """
    directions = module.num_directions
    weights = [
        module.layer_weights(k, d) for k in range(module.num_layers) for d in range(directions)
    ]
    h = torch.stack([w.fresh_h for w in weights])
    s = torch.stack([w.fresh_s for w in weights]) if module.recurrence.n_states else None
    here = [h] if s is None else [h, s]
    for state, passed in zip(here, flat(own), strict=True):
        if number == 0 and not cut_at_first:
            state[::directions] = passed[::directions]
        if number == pieces - 1 and directions == 2:
            state[1::directions] = passed[1::directions]
    return here[0] if s is None else (here[0], here[1])


@pytest.mark.parametrize("batch_first", [False, True])
def test_types_of_lengths_and_resets(batch_first):
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


def test_resets_and_states_of_a_packed_batch_are_in_batch_order():
    for name in MODULES:
        with case(name):
            check_packed(name)


def check_packed(name):
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


def test_empty_batches():
    for name in MODULES:
        with case(name):
            check_empty(name)


def check_empty(name):
    module = made(name, bidirectional=True)
    x = torch.randn(3, 0, 2, dtype=torch.float64)
    for more in ({}, {"lengths": []}, {"lengths": torch.zeros(0, dtype=torch.int64)}):
        out, last = module(x, **more)
        assert out.shape == (3, 0, 2 * module.recurrence.n_outputs)
        assert all(one.shape[1] == 0 for one in flat(last))
        out.sum().backward()


@pytest.mark.parametrize("padding", ["right", "left"])
def test_lengths_that_vmap_maps(padding):
    """Each sample has its own lengths, which ``vmap`` does not let a check read."""
    module = made("LSTM", bidirectional=True)
    x, lengths = torch.randn(3, 6, 2, 2), torch.tensor([[6, 1], [0, 4], [3, 3]])
    x = x.to(next(module.parameters()).dtype)

    def call(x, lengths):
        return flat(module(x, lengths=lengths, padding=padding))

    found = torch.func.vmap(call)(x, lengths)
    for sample in range(3):
        close([one[sample] for one in found], call(x[sample], lengths[sample]))
