"""Rows of the compatibility matrix: features for sequences, most of which torch lacks."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from carrousel import nn
from support.nn.compatibility.cases import BATCH, STEPS, Case, same_gradients
from support.nn.modules import close

LENGTHS = (2, 0, 4)
RESETS = ((0, 2), (1,), ())
"""Steps at which the state of each sequence is reset."""


def any_lengths(case: Case) -> None:
    """Unsorted lengths, one of them zero; each sequence must give the same as alone."""
    module, x = case.module(), case.leaf()
    if case.is_ours:
        out = module(x, lengths=LENGTHS)[0]
    else:
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        out = pad_packed_sequence(module(packed)[0], total_length=STEPS)[0]
    for b, length in enumerate(LENGTHS):
        if length:
            close(out[:length, b], module(x[:length, b])[0])
        assert not out[length:, b].any()


def left_padding(case: Case) -> None:
    module, x = case.module(), case.leaf()
    out = module(x, lengths=LENGTHS, padding="left")[0]
    for b, length in enumerate(LENGTHS):
        if length:
            close(out[STEPS - length :, b], module(x[STEPS - length :, b])[0])
        assert not out[: STEPS - length, b].any()


def resets(case: Case) -> None:
    """Pieces between resets must give the same as alone."""
    module, leaf = case.module(), case.leaf()
    marks = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    for b, steps in enumerate(RESETS):
        marks[list(steps), b] = True
    found = case.call(module, leaf, resets=marks)[0]
    x, out = _padded(case, leaf), _padded(case, found)
    lengths = case.lengths(STEPS, BATCH) if case.mode.feed != "padded" else [STEPS] * BATCH
    for b, length in enumerate(lengths):
        cuts = sorted({0, length, *(step for step in RESETS[b] if step < length)})
        for begin, end in pairwise(cuts):
            close(out[begin:end, b], module(x[begin:end, b])[0])


def _padded(case: Case, values: Tensor) -> Tensor:
    """Values of steps as ``[T, B, ...]``."""
    if case.mode.feed != "packed":
        return values
    padded = values.new_zeros(STEPS, BATCH, values.shape[-1])
    rows = iter(values)
    for step in range(STEPS):
        for b, length in enumerate(case.lengths(STEPS, BATCH)):
            if step < length:
                padded[step, b] = next(rows)
    return padded


def states_and_gates(case: Case) -> None:
    """States and gates of every layer and direction; the last states must equal ``c_n``."""
    module, leaf = case.module(), case.leaf().requires_grad_()
    kept: list[Any] = []

    def keeping(*args: Any, **kwargs: Any) -> Any:
        found = module(*args, return_states=True, **kwargs)
        kept.extend(found[2])
        return found

    _, *last = case.call(keeping, leaf)
    assert len(kept) == len(last[0])
    lengths = case.lengths(STEPS, BATCH) if case.mode.feed != "padded" else [STEPS] * BATCH
    for which, one in enumerate(kept):
        assert tuple(one.gates) == module.recurrence.kind.net_inputs
        for name, gate in one.gates.items():
            assert gate.shape == (STEPS, BATCH, module.hidden_size)
            assert (gate.abs() < 1).all()
            assert name in ("cell", "new", "net") or (gate >= 0).all()
        for state in one.states.values():
            reverse = module.bidirectional and which % 2
            ends = [0 if reverse else length - 1 for length in lengths]
            close(state[ends, range(BATCH)], last[1][which])
            assert torch.autograd.grad(state.sum(), leaf, retain_graph=True)[0].any()


def truncated(case: Case) -> None:
    """The truncated gradient differs from the full one, unless no weight leads from an output to
    a net input. Outputs are always the same."""
    cut, whole, leaf = case.module(gradient="truncated"), case.module(), case.leaf()
    one, other = case.gradients(cut, leaf), case.gradients(whole, leaf)
    outputs = len(case.call(whole, leaf))
    close(one[:outputs], other[:outputs])
    assert not torch.allclose(one[outputs], other[outputs])
    for module in (cut, whole):
        with torch.no_grad():
            for name, weight in module.named_parameters():
                if "weight_hh" in name or "peephole" in name:
                    weight.zero_()
    same_gradients(case, cut, whole)


def cut_every_k(case: Case) -> None:
    """No gradient crosses a cut; between two cuts the gradient is the full one."""
    leaf = case.leaf().requires_grad_()
    seen = {}
    for gradient in ("bptt", "tbptt:2", f"tbptt:{STEPS}"):
        out = case.call(case.module(gradient=gradient), leaf)[0]
        seen[gradient] = torch.autograd.grad(case.at(out, STEPS - 1).sum(), leaf)[0]
    close(seen["bptt"], seen[f"tbptt:{STEPS}"])
    whole, cut = seen["bptt"], seen["tbptt:2"]
    for step in (0, 1):
        assert case.at(whole, step).all()
        assert not case.at(cut, step).any()
    assert case.at(cut, STEPS - 2).all()


def recomputed(case: Case) -> None:
    for recompute in (1, 3, "auto"):
        same_gradients(case, case.module(recompute=recompute), case.module())


def _repeats(case: Case, module: Any) -> None:
    module, leaf, found = module.train(), case.leaf(), []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        found.append(case.gradients(module, leaf))
    assert all(torch.equal(one, other) for one, other in zip(found[0], found[1], strict=True))
    assert not torch.equal(found[0][0], found[2][0])


def dropout_between(case: Case) -> None:
    _repeats(case, case.module(dropout=0.5))


def dropout_inside(case: Case) -> None:
    _repeats(case, case.module(recurrent_dropout=0.5))
    _repeats(case, case.module(zoneout=0.5))


def own_cell(case: Case) -> None:
    """The equations of the LSTM must give the built-in module."""
    equations = case.own("Equations")(
        "compatible_lstm",
        net_inputs=("i", "f", "g", "o"),
        states=("c",),
        equations="""
        i = sigmoid(i)
        f = sigmoid(f)
        g = tanh(g)
        o = sigmoid(o)
        c = f * c_prev + i * g
        h = o * tanh(c)
        """,
    )
    own, ordinary = case.module(cell=equations), case.module()
    own.load_state_dict(ordinary.state_dict())
    same_gradients(case, own, ordinary)


def rebuilt_from_file(case: Case) -> None:
    """Constructor arguments and weights, without pickle."""
    module = case.module()
    with tempfile.TemporaryDirectory() as folder:
        case.own("save")(module, f"{folder}/module.safetensors")
        again = nn.load(f"{folder}/module.safetensors")
    assert repr(again) == repr(module)
    same_gradients(case, module, again.train(module.training))


def one_step_a_call(case: Case) -> None:
    module, x = case.module().eval(), case.leaf()
    stepper = case.own("step")(module, batch_size=BATCH)
    found = torch.stack([stepper(one).clone() for one in x])
    with torch.no_grad():
        close(found, case.call(module, x)[0])
