"""Torch operations of the compiled kernels: results of the plain path, threads, layouts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import CELLS, Recurrence
from support.case import each
from support.kernels.recurrent_cases import Case, cases, make_case, replaced

pytest.importorskip("torch")

import torch
from torch import Tensor

from carrousel.kernels.autograd import ops as autograd_ops
from carrousel.kernels.autograd.dispatch import layer
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions
from carrousel.kernels.autograd.ops import DIFFERENTIABLE
from carrousel.kernels.autograd.vmap import TENSORS
from support.kernels.recurrent_tensors import (
    assert_paths_agree,
    assert_same,
    frozen,
    gradients,
    loss_of,
    options,
    present,
    run,
    tensors,
)

EVERYTHING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})
FORWARD = torch.ops.carrousel.sequence_forward
BACKWARD = torch.ops.carrousel.sequence_backward


# --- against the plain path ----------------------------------------------------------------------


@settings(max_examples=150)
@given(cases(), st.booleans())
def test_any_call_equals_the_plain_path(case, record):
    assert_paths_agree(case._replace(options=case.options._replace(record=record)))


@pytest.mark.parametrize("gradient", ["bptt", "truncated", "tbptt:3"])
@each("recompute", [0, 1, 2, 3, 5, 7, 100])
@each("reverse", [False, True])
def test_recomputed_segments(recompute, reverse, gradient):
    """Lengths that do not divide T, with resets and lengths across their ends."""
    for recurrence in (Recurrence("peephole", 3, 2, layer_norm=True), Recurrence("gru", 3)):
        for features in (EVERYTHING, frozenset({"bias"})):
            case = make_case(
                recurrence,
                features,
                T=7,
                B=3,
                recompute=recompute,
                reverse=reverse,
                gradient=gradient,
                record=False,
            )
            assert_paths_agree(case)


class Saved(torch.autograd.graph.saved_tensors_hooks):
    """Counts the numbers stored for the backward pass."""

    def __init__(self) -> None:
        self.numbers = 0
        super().__init__(self.count, lambda tensor: tensor)

    def count(self, tensor: Tensor) -> Tensor:
        self.numbers += tensor.numel()
        return tensor


def test_a_recomputed_tape_is_smaller():
    """It has states before each segment, not states, gates and outputs of every step."""
    kept = {}
    for recompute in (0, 8):
        case = make_case(Recurrence("lstm", 4), T=64, recompute=recompute, record=False)
        saved = Saved()
        with saved:
            run(case)
        kept[recompute] = saved.numbers
    assert kept[8] < kept[0] / 3


@each("threads", [1, 2, 3])
def test_any_number_of_threads(threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for cell in CELLS:
            assert_paths_agree(make_case(Recurrence(cell, 4), EVERYTHING, T=5, B=7))
    finally:
        torch.set_num_threads(before)


SHARING = {"lstm": 160, "peephole": 160, "coupled": 192, "no_output_gate": 192, "gru": 192}
SHARING |= {"rnn_tanh": 288, "rnn_relu": 288}
"""Units enough for threads to share them if there are few sequences; multiples of all panels."""


@pytest.mark.parametrize("cell", SHARING)
@each("threads", [2, 5])
@each("gradient", ["bptt", "truncated", "tbptt:2"])
def test_threads_share_the_units_of_few_sequences(cell, threads, gradient):
    units, before = SHARING[cell], torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for B, reverse in ((1, False), (1, True), (3, False)):
            case = make_case(
                Recurrence(cell, units),
                {"bias", "unit"},
                T=3,
                B=B,
                gradient=gradient,
                reverse=reverse,
                record=B == 1,
                recompute=2 * reverse,
            )
            assert_paths_agree(replaced(case, w_hh=case.arrays["w_hh"] / np.sqrt(units)))
    finally:
        torch.set_num_threads(before)


def test_shared_units_in_concurrent_calls():
    """Threads wait for each other within a call, and not for those of other calls."""
    before = torch.get_num_threads()
    every = [
        make_case(Recurrence("lstm", 160), {"bias"}, T=20, B=1, seed=seed, record=False)
        for seed in range(6)
    ]
    every = [replaced(case, w_hh=case.arrays["w_hh"] / 13) for case in every]

    def found(case: Case) -> np.ndarray:
        torch.set_num_threads(2)
        return gradients(case)[1]["w_hh"]

    try:
        expected = [found(case) for case in every]
        with ThreadPoolExecutor(3) as pool:
            for ours, theirs in zip(pool.map(found, every), expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    finally:
        torch.set_num_threads(before)


def test_more_than_65536_steps():
    """A long sequence equals its two parts in turn, gradients included."""
    T = 2**16 + 3
    case = make_case(Recurrence("lstm", 2), {"bias"}, T=T, B=1, I=1, record=False)
    whole, parts = tensors(case), tensors(case)
    out = run(case, whole).out
    first = layer(parts._replace(x=parts.x[:999]), case.recurrence, options(case))
    rest = parts._replace(x=parts.x[999:], h0=first.h, s0=first.s)
    second = layer(rest, case.recurrence, options(case)).out
    assert torch.equal(out, torch.cat((first.out, second)))
    for result in (out, second):
        result[-1].sum().backward()
    for name in ("w_hh", "w_ih", "bias"):
        ours, theirs = (present(getattr(inputs, name).grad) for inputs in (whole, parts))
        assert_same(ours.numpy(), theirs.numpy())


# --- inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@each("cell", CELLS)
def test_half_precision_is_computed_in_float32(dtype, cell):
    case = make_case(Recurrence(cell, 3), EVERYTHING, T=3, record=False)
    halves = tensors(case, dtype)
    singles = {
        name: v.float().requires_grad_() if v.is_floating_point() else v
        for name, v in frozen(halves)._asdict().items()
        if v is not None
    }
    exact = LayerInputs(**singles)
    ours, theirs = (run(case, inputs) for inputs in (halves, exact))
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        assert present(one).dtype == dtype
        assert torch.equal(present(one), present(other).to(dtype))
    d = torch.randn_like(ours.out)
    ours.out.backward(d)
    theirs.out.backward(d.float())
    assert torch.equal(present(halves.w_hh.grad), present(exact.w_hh.grad).to(dtype))


def reordered(value: Tensor) -> Tensor:
    """Return the same values with the last axis first in memory."""
    return value.movedim(-1, 0).contiguous().movedim(0, -1)


@each("cell", ["peephole", "gru"])
def test_inputs_and_errors_of_any_layout(cell):
    case = make_case(Recurrence(cell, 3, layer_norm=True), EVERYTHING, T=4, B=3, record=False)
    inputs = tensors(case)
    given = frozen(inputs)._asdict().items()
    other = LayerInputs(**{name: reordered(v) for name, v in given if v is not None})
    other = other._replace(w_hh=other.w_hh.requires_grad_(), x=other.x.requires_grad_())
    ours, theirs = run(case, other), run(case, inputs)
    assert_same(ours.out.detach().numpy(), theirs.out.detach().numpy())
    d = torch.randn_like(ours.out)
    ours.out.backward(reordered(d))
    theirs.out.backward(d)
    for name in ("w_hh", "x"):
        found, expected = (present(getattr(each, name).grad) for each in (other, inputs))
        assert_same(found.numpy(), expected.numpy(), name)


def test_expanded_inputs_and_errors():
    """One sequence, one row of flags and the error of a sum, all expanded to several."""
    recurrence = Recurrence("lstm", 3)
    case = make_case(recurrence, {"bias", "lengths"}, T=4, B=3, record=False)
    inputs = tensors(case)
    one = {"x": inputs.x[:, :1], "flags": present(inputs.flags)[:, :1], "h0": inputs.h0[:1]}
    expanded = inputs._replace(
        **{name: v.expand(-1, 3, *v.shape[2:]) for name, v in one.items() if name != "h0"},
        h0=one["h0"].expand(3, -1),
    )
    dense = expanded._replace(
        **{name: getattr(expanded, name).contiguous() for name in ("x", "flags", "h0")}
    )
    found = []
    for variant in (expanded, dense):
        out = layer(variant, recurrence, LayerOptions()).out
        found.append((out, *torch.autograd.grad(out.sum(), (inputs.x, inputs.w_hh, inputs.h0))))
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)


# --- gradients -----------------------------------------------------------------------------------


@each("wanted", [("x",), ("w_hh",), ("h0",), ("bias", "w_ih"), ("fresh_s", "unit")])
@each("recompute", [0, 2])
def test_only_the_wanted_gradients_are_computed(wanted, recompute):
    recurrence = Recurrence("peephole", 3, 2)
    case = make_case(recurrence, EVERYTHING, T=5, record=False, recompute=recompute)
    every, some = tensors(case), tensors(case)
    for name, value in some._asdict().items():
        if value is not None and name not in wanted:
            value.requires_grad_(False)
    seen: list[Any] = []

    def back(*arguments: Any) -> Any:
        seen.append((arguments[-2], BACKWARD(*arguments)))
        return seen[-1][1]

    with mock.patch.object(autograd_ops, "run_backward", back):
        loss_of(case, run(case, some)).backward()
    [(needs, found)] = seen
    assert {name for bit, name in enumerate(DIFFERENTIABLE) if needs >> bit & 1} == set(wanted)
    for name, gradient in zip(DIFFERENTIABLE, found, strict=True):
        assert (gradient.numel() > 0) == (name in wanted or name in ("h0", "s0")), name
    loss_of(case, run(case, every)).backward()
    for name in wanted:
        assert torch.equal(getattr(some, name).grad, getattr(every, name).grad)
    for name in set(TENSORS) - set(wanted):
        assert getattr(some, name) is None or getattr(some, name).grad is None


def test_no_tape_without_gradients():
    case = make_case(Recurrence("lstm", 3), {"bias"}, T=4, record=False)
    for inputs, grad in ((frozen(tensors(case)), True), (tensors(case), False)):
        with (
            torch.set_grad_enabled(grad),
            mock.patch(
                "carrousel.kernels.autograd.dispatch.run_forward", wraps=autograd_ops.run_forward
            ) as spy,
        ):
            result = run(case, inputs)
        assert spy.call_args.args[-1] is False
        assert not result.out.requires_grad


def test_in_place_changes_of_saved_tensors_are_errors():
    case = make_case(Recurrence("lstm", 3), {"bias"}, T=3, record=False)
    for name in ("x", "w_hh", "out"):
        inputs = tensors(case)
        out = run(case, inputs).out
        with torch.no_grad():
            (out if name == "out" else getattr(inputs, name)).mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


@each("recompute", [0, 2])
def test_backward_twice(recompute):
    case = make_case(Recurrence("lstm", 3), EVERYTHING, T=5, record=False, recompute=recompute)
    inputs = tensors(case)
    loss = loss_of(case, run(case, inputs))
    wanted = (inputs.x, inputs.w_hh, inputs.h0)
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    second = torch.autograd.grad(loss, wanted)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, wanted)


def test_concurrent_calls():
    """Calls have separate memory; results equal those of calls in turn."""
    every = [
        make_case(Recurrence(cell, 5), EVERYTHING, T=30, B=4, seed=seed, recompute=7 * (seed % 2))
        for seed, cell in enumerate(["lstm", "gru", "peephole", "rnn_tanh"] * 4)
    ]
    expected = [gradients(case) for case in every]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(gradients, every))
    for (ours, gradient), (theirs, wanted) in zip(found, expected, strict=True):
        assert torch.equal(ours.out, theirs.out)
        for name, array in wanted.items():
            np.testing.assert_array_equal(gradient[name], array, err_msg=name)
