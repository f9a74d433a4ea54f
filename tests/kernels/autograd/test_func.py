"""The compiled layer under torch.func: derivatives of any order, and vmap over samples."""

from __future__ import annotations

from typing import Any

import pytest

from carrousel.contracts import CELLS, Recurrence
from support.case import each
from support.kernels.recurrent_cases import all_recurrences, make_case

pytest.importorskip("torch")

import torch
from torch import Tensor

from carrousel.kernels.autograd.dispatch import layer
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions
from carrousel.kernels.autograd.ops import DIFFERENTIABLE
from support.kernels.recurrent_tensors import assert_same, frozen, options, present, run, tensors

EVERYTHING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})


@each("recurrence", all_recurrences(2))
def test_second_derivatives_with_every_option(recurrence):
    """By all differentiable inputs; random numbers are not at the kink of ReLU."""
    case = make_case(recurrence, EVERYTHING, T=3, B=2, I=1, seed=3, recompute=2, record=False)
    inputs = tensors(case)
    values = {name: getattr(inputs, name) for name in DIFFERENTIABLE}
    values = {name: v for name, v in values.items() if v is not None and v.numel()}

    def loss(*given: Tensor) -> Tensor:
        changed = inputs._replace(**dict(zip(values, given, strict=True)))
        return run(case, changed).out.square().sum()

    # Second derivatives of normalised layers reach several hundreds: a step of 1e-6 leaves 1e-4.
    assert torch.autograd.gradcheck(loss, tuple(values.values()), fast_mode=True, atol=1e-4)
    assert torch.autograd.gradgradcheck(loss, tuple(values.values()), fast_mode=True, atol=1e-3)


@each("cell", CELLS)
def test_second_derivatives_equal_those_of_the_plain_path(cell):
    """By the errors of the first gradient too, and with states as results."""
    case = make_case(
        Recurrence(cell, 3, layer_norm=True), EVERYTHING, T=3, B=2, gradient="truncated"
    )
    found = []
    for path in ("native", "plain"):
        inputs, errors = tensors(case), [torch.tensor(d, requires_grad=True) for d in case.errors]
        result = run(case, inputs, path)
        results = (result.out, result.h, result.s, present(result.states))
        loss = torch.stack([(d * y).sum() for d, y in zip(errors, results, strict=True)]).sum()
        values = [
            getattr(inputs, name) for name in DIFFERENTIABLE if getattr(inputs, name) is not None
        ]
        first = torch.autograd.grad(loss, values, create_graph=True, materialize_grads=True)
        again = torch.stack([g.square().sum() for g in first]).sum()
        found.append(torch.autograd.grad(again, [*values, *errors], materialize_grads=True))
    for ours, theirs in zip(*found, strict=True):
        assert_same(ours.numpy(), theirs.numpy())


def small(cell: str, **more: Any) -> tuple[LayerInputs, Recurrence]:
    case = make_case(Recurrence(cell, 2), {"bias", "unit"}, T=3, B=2, I=1, **more)
    return frozen(tensors(case)), case.recurrence


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own forward mode
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_jacobians_and_hessians(cell):
    inputs, recurrence = small(cell)

    def out(w_hh: Tensor) -> Tensor:
        return layer(inputs._replace(w_hh=w_hh), recurrence, LayerOptions()).out

    def loss(w_hh: Tensor) -> Tensor:
        return out(w_hh).square().sum()

    w = inputs.w_hh
    jacobian: Any = torch.autograd.functional.jacobian(out, w)
    for found in (torch.func.jacrev(out)(w), torch.func.jacfwd(out)(w)):
        assert_same(found.numpy(), jacobian.numpy())
    hessian: Any = torch.autograd.functional.hessian(loss, w)
    hessian = hessian.numpy()
    assert_same(torch.func.hessian(loss)(w).numpy(), hessian)
    assert_same(torch.func.jacrev(torch.func.grad(loss))(w).numpy(), hessian)
    direction = torch.randn_like(w)
    tangent = torch.func.jvp(out, (w,), (direction,))[1]
    assert_same(tangent.numpy(), torch.einsum("tbknm,nm->tbk", jacobian, direction).numpy())


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_second_derivatives_through_jacobians(cell):
    inputs, recurrence = small(cell)

    def loss(w_hh: Tensor) -> Tensor:
        return layer(inputs._replace(w_hh=w_hh), recurrence, LayerOptions()).out.square().sum()

    w = inputs.w_hh
    expected: Any = torch.autograd.functional.hessian(loss, w)
    assert_same(torch.func.jacrev(torch.func.jacrev(loss))(w).numpy(), expected.numpy())


def test_a_penalty_on_per_sample_gradients():
    """The sum of their squares, differentiated by the shared weights."""
    inputs, recurrence = small("lstm")
    many = torch.stack([inputs.x, inputs.x + 1])

    def gradient(w_hh: Tensor, x: Tensor) -> Tensor:
        def loss(w: Tensor) -> Tensor:
            return layer(inputs._replace(w_hh=w, x=x), recurrence, LayerOptions()).out.sum()

        return torch.func.grad(loss)(w_hh)

    def penalty(w_hh: Tensor) -> Tensor:
        return torch.vmap(gradient, (None, 0))(w_hh, many).square().sum()

    def by_hand(w_hh: Tensor) -> Tensor:
        return torch.stack([gradient(w_hh, x).square().sum() for x in many]).sum()

    expected: Any = torch.func.grad(by_hand)(inputs.w_hh)
    assert expected.abs().max() > 1e-3
    assert_same(torch.func.grad(penalty)(inputs.w_hh).numpy(), expected.numpy())


# --- vmap over samples ---------------------------------------------------------------------------


def mapped(cell: str, features: frozenset[str], names: tuple[str, ...], n: int = 3) -> Any:
    """Return a function of some inputs, and ``n`` values of each."""
    case = make_case(Recurrence(cell, 3), features, T=4, B=2, record=False)
    inputs = frozen(tensors(case))
    torch.manual_seed(2)
    many = [torch.stack([getattr(inputs, name)] * n) for name in names]
    many = [v + torch.randn_like(v) if v.is_floating_point() else v for v in many]

    def out(*values: Tensor) -> Tensor:
        given = inputs._replace(**dict(zip(names, values, strict=True)))
        return layer(given, case.recurrence, options(case)).out

    return out, many


def one_by_one(function: Any, *many: Tensor) -> Tensor:
    return torch.stack([function(*each) for each in zip(*many, strict=True)])


NAMES = [("x",), ("w_hh",), ("x", "w_hh"), ("h0", "s0"), ("x", "flags"), ("unit",), ("bias", "x")]


@pytest.mark.parametrize("cell", ["peephole", "gru"])
@each("names", NAMES)
def test_vmap_equals_separate_calls(cell, names):
    if "s0" in names and cell == "gru":
        names = ("h0",)
    out, many = mapped(cell, EVERYTHING, names)
    assert_same(torch.vmap(out)(*many).numpy(), one_by_one(out, *many).numpy())
    if "flags" not in names:
        loss = torch.func.grad(lambda *values: out(*values).square().sum())
        assert_same(torch.vmap(loss)(*many).numpy(), one_by_one(loss, *many).numpy())


def test_nested_vmap():
    """Over inputs inside a map over weights, and along other axes than the first."""
    out, (x, w) = mapped("lstm", frozenset({"bias", "lengths"}), ("x", "w_hh"))
    nested = torch.vmap(torch.vmap(out, (3, None)), (None, 2))(x.movedim(0, 3), w.movedim(0, 2))
    expected = torch.stack([torch.stack([out(a, b) for a in x]) for b in w])
    assert_same(nested.numpy(), expected.numpy())


@pytest.mark.parametrize("recompute", [0, 3])
@each("cell", CELLS)
def test_per_sample_gradients(cell, recompute):
    case = make_case(
        Recurrence(cell, 3), {"bias", "unit"}, T=4, B=3, recompute=recompute, record=False
    )
    inputs = tensors(case)
    wanted = [n for n in ("w_ih", "w_hh", "bias", "unit") if getattr(inputs, n) is not None]

    def loss(values: dict[str, Tensor], x: Tensor, h0: Tensor, s0: Tensor) -> Tensor:
        alone = {"x": x[:, None], "h0": h0[None], "s0": s0[None]}
        given = LayerInputs(**{**detached, **values, **alone})
        return layer(given, case.recurrence, options(case)).out.square().sum()

    detached = {n: v.detach() for n, v in inputs._asdict().items() if v is not None}
    weights = {name: detached[name] for name in wanted}
    of_samples = torch.vmap(torch.func.grad(loss), (None, 1, 0, 0))
    found = of_samples(weights, detached["x"], detached["h0"], detached["s0"])
    losses = run(case, inputs).out.square().sum((0, 2))
    for b in range(3):
        expected = torch.autograd.grad(
            losses[b], [getattr(inputs, n) for n in wanted], retain_graph=True
        )
        for name, gradient in zip(wanted, expected, strict=True):
            assert_same(found[name][b].numpy(), gradient.numpy(), name)


@pytest.mark.parametrize("outer", [torch.func.grad, torch.func.jacrev])
def test_gradients_of_vmap(outer):
    """The map is inside the gradient; mapped calls must store their tape."""
    out, (x,) = mapped("lstm", frozenset({"bias"}), ("x",))

    def total(values: Tensor) -> Tensor:
        return torch.vmap(out)(values).square().sum()

    def by_hand(values: Tensor) -> Tensor:
        return one_by_one(out, values).square().sum()

    expected: Any = torch.autograd.functional.jacobian(by_hand, x)
    assert_same(outer(total)(x).numpy(), expected.numpy())
    leaf = x.clone().requires_grad_()
    total(leaf).backward()
    assert_same(present(leaf.grad).numpy(), expected.numpy())
