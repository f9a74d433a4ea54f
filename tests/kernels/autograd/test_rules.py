"""Operations of the compiled kernels obey the rules of torch, in graphs too."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from carrousel.contracts import CELLS, Recurrence
from carrousel.contracts.recurrence import ACTIVE
from support.case import each
from support.kernels.recurrent_cases import Case, cases, make_case

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.library import opcheck

from carrousel.kernels.autograd import compiled as autograd_native
from carrousel.kernels.autograd import ops as autograd_ops
from carrousel.kernels.autograd.dispatch import layer
from carrousel.kernels.autograd.layer import LayerOptions
from support.kernels.recurrent_tensors import (
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


class Caught:
    """Arguments that ``layer`` and its gradient pass to the operations."""

    def __init__(self, case: Case, *, learn: bool) -> None:
        self.forward: tuple[Any, ...] = ()
        self.backward: tuple[Any, ...] = ()
        inputs = tensors(case)

        def ahead(*arguments: Any) -> Any:
            self.forward = arguments
            return FORWARD(*arguments)

        def back(*arguments: Any) -> Any:
            self.backward = arguments
            return BACKWARD(*arguments)

        with (
            mock.patch(
                "carrousel.kernels.autograd.dispatch.run_forward", lambda *a: _tape(ahead(*a))
            ),
            mock.patch.object(autograd_ops, "run_backward", back),
            torch.set_grad_enabled(learn),
        ):
            result = layer(inputs, case.recurrence, options(case))
            if learn:
                loss_of(case, result).backward()


def _tape(found: Any) -> autograd_native.Tape:
    return autograd_native.Tape(*found)


# --- requirements of torch on operations ---------------------------------------------------------

RICH = {
    "lstm": (Recurrence("lstm", 3), frozenset({"bias"}), {}),
    # Without padding, where the tape is undefined.
    "almost everything": (
        Recurrence("peephole", 3, 2, layer_norm=True),
        EVERYTHING - {"lengths"},
        {"reverse": True},
    ),
    "recomputed": (Recurrence("gru", 3), EVERYTHING, {"recompute": 2, "record": False}),
    "gates feed units": (
        Recurrence("lstm97", 4, block_size=2, gate_sources=True),
        frozenset({"lengths", "zone"}),
        {"gradient": "tbptt:2"},
    ),
    "no state": (Recurrence("rnn_relu", 2), frozenset(), {"record": False}),
    "no steps": (Recurrence("lstm", 2), frozenset({"bias"}), {"T": 0}),
}


@pytest.mark.parametrize("learn", [False, True], ids=["predict", "learn"])
@pytest.mark.parametrize("what", RICH)
def test_operations_pass_opcheck(what, learn):
    """Schema, registration, fake tensors and dispatch under compilation, of both operations."""
    recurrence, features, more = RICH[what]
    case = make_case(recurrence, features, **({"T": 3, "B": 2} | more))
    caught = Caught(case, learn=learn)
    opcheck(FORWARD, leaves(caught.forward, learn=learn))
    if learn:
        opcheck(BACKWARD, leaves(caught.backward, learn=False))


def leaves(arguments: tuple[Any, ...], *, learn: bool) -> tuple[Any, ...]:
    """Return the same tensors as leaves."""
    return tuple(
        a.detach().requires_grad_(learn and a.requires_grad) if isinstance(a, Tensor) else a
        for a in arguments
    )


@pytest.fixture
def poison():
    """Fill uninitialised memory of torch with NaN."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[reportAttributeAccessIssue]
    yield
    torch.use_deterministic_algorithms(False)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_uninitialised_memory_is_not_read(poison, case):
    assert torch.empty(3).isnan().all()
    result, found = gradients(case)
    for name, tensor in result._asdict().items():
        assert torch.isfinite(tensor).all(), name
    for name, array in found.items():
        assert np.isfinite(array).all(), name


@each(
    "recurrence",
    [*[Recurrence(cell, 3) for cell in CELLS], Recurrence("lstm", 3, layer_norm=True)],
)
def test_every_result_is_written(poison, recurrence):
    case = make_case(recurrence, EVERYTHING, T=4, B=3)
    caught = Caught(case, learn=False)
    for name, tensor in zip(autograd_native.Tape._fields, FORWARD(*caught.forward), strict=True):
        assert not tensor.isnan().any(), name


# --- graphs --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_breaks(backend):
    recurrence, features, more = RICH["recomputed"]
    case = make_case(recurrence, features, T=4, **more)
    inputs = tensors(case)
    torch.compiler.reset()
    compiled = torch.compile(lambda i: run(case, i).out, fullgraph=True, backend=backend)
    out, expected = compiled(inputs), run(case, inputs).out
    assert_same(out.detach().numpy(), expected.detach().numpy())
    wanted = (inputs.w_hh, inputs.x, present(inputs.unit))
    found = torch.autograd.grad(out.square().sum(), wanted)
    for ours, theirs in zip(
        found, torch.autograd.grad(expected.square().sum(), wanted), strict=True
    ):
        assert_same(ours.numpy(), theirs.numpy())


def test_exports_as_one_operation():
    case = make_case(Recurrence("lstm", 3), {"bias", "lengths"}, T=4, B=2, record=False)
    inputs = frozen(tensors(case))

    class Layer(torch.nn.Module):
        def forward(self, x: Tensor, flags: Tensor) -> Tensor:
            return layer(inputs._replace(x=x, flags=flags), case.recurrence, LayerOptions()).out

    x, flags = inputs.x, present(inputs.flags)
    program = torch.export.export(Layer(), (x, flags))
    ops = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert FORWARD.default in ops
    other = torch.randn_like(x), torch.full_like(flags, ACTIVE)
    assert torch.equal(program.module()(*other), Layer()(*other))
