"""Calls of ``recurrent_cases`` in torch, by every implementation of a layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.dispatch import layer
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, LayerResult
from carrousel.kernels.autograd.plain import plain_layer
from support.kernels.recurrent_cases import NUMBERS, Case

Path = Callable[[LayerInputs, Recurrence, LayerOptions], LayerResult]

PATHS: dict[str, Path] = {"plain": plain_layer, "native": layer}
"""Plain torch operations, and the dispatcher, which uses compiled kernels where possible."""


def assert_same(ours: np.ndarray, theirs: np.ndarray, what: str = "") -> None:
    """Compare float64 sums of a few hundred terms in different orders.

    Layer normalisation amplifies them by at most 300, if a deviation is near the root of epsilon.
    """
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11, err_msg=what)


def present(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def tensors(case: Case, dtype: torch.dtype = torch.float64) -> LayerInputs:
    """Return the arrays of a call as tensors; float arrays require a gradient."""
    return LayerInputs(
        **{
            name: torch.tensor(array, dtype=dtype, requires_grad=name in NUMBERS)
            if array.dtype == np.float64
            else torch.tensor(array)
            for name, array in case.arrays.items()
        }
    )


def frozen(inputs: LayerInputs) -> LayerInputs:
    """Return the same tensors without required gradients."""
    return LayerInputs(**{n: v.detach() for n, v in inputs._asdict().items() if v is not None})


def options(case: Case) -> LayerOptions:
    return LayerOptions(**case.options._asdict())


def run(case: Case, inputs: LayerInputs | None = None, path: str = "native") -> LayerResult:
    return PATHS[path](inputs or tensors(case), case.recurrence, options(case))


def loss_of(case: Case, result: LayerResult) -> Tensor:
    """Return the scalar product of the results with the errors of the call."""
    results = (result.out, result.h, result.s, result.states)
    pairs = [(d, y) for d, y in zip(case.errors, results, strict=True) if y is not None]
    return torch.stack([(torch.tensor(d) * y).sum() for d, y in pairs]).sum()


def gradients(case: Case, path: str = "native") -> tuple[LayerResult, dict[str, np.ndarray]]:
    """Return all results, and the derivatives of their product with the errors of the call."""
    inputs = tensors(case)
    result = run(case, inputs, path)
    wanted = {name: tensor for name in NUMBERS if (tensor := getattr(inputs, name)) is not None}
    loss = loss_of(case, result)
    found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    return result, {
        name: np.zeros(tensor.shape) if gradient is None else gradient.numpy()
        for (name, tensor), gradient in zip(wanted.items(), found, strict=True)
    }


def assert_paths_agree(case: Case) -> None:
    """Compare compiled kernels with plain torch operations, gradients included."""
    (ours, found), (theirs, expected) = gradients(case, "native"), gradients(case, "plain")
    for name, one, other in zip(LayerResult._fields, ours, theirs, strict=True):
        assert (one is None) == (other is None), name
        if one is not None and name != "gates":  # undefined in padding
            assert_same(one.detach().numpy(), present(other).detach().numpy(), name)
    for name, gradient in expected.items():
        assert_same(found[name], gradient, name)
