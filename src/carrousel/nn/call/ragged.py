"""Batches of unequal lengths and of several episodes: lengths, resets and packed sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.nn.utils.rnn import PackedSequence

from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.errors import InputError

Lengths = Sequence[int] | NDArray[np.integer[Any]] | Tensor
Resets = Sequence[Any] | NDArray[np.bool_] | Tensor


def read_lengths(lengths: Lengths, T: int, B: int, device: torch.device) -> Tensor:
    """Check the lengths of a batch and return them as a tensor ``[B]``.

    Values are checked in eager mode only: a compiled graph must not depend on them, and ``vmap``
    cannot read them.

    Raises:
        InputError: the lengths are not ``B`` whole numbers from 0 to ``T``.
    """
    given = _tensor("lengths", lengths, device)
    if not isinstance(lengths, Tensor) and given.shape == (0,):
        given = given.long()  # torch makes float32 of an empty list
    if given.dtype.is_floating_point or given.dtype.is_complex or given.dtype == torch.bool:
        raise InputError(
            f"lengths has type {given.dtype}, expected whole numbers",
            argument="lengths",
            fix="convert them with .long()",
        )
    if given.shape != (B,):
        raise InputError(
            f"lengths has shape {tuple(given.shape)}, expected ({B},): one for each sequence",
            argument="lengths",
        )
    if B and _has_values(given):
        low, high = (int(bound) for bound in torch.aminmax(given))
        if low < 0 or high > T:
            wrong = low if low < 0 else high
            raise InputError(
                f"lengths contains {wrong}, expected whole numbers from 0 to {T}, "
                "the steps of input",
                argument="lengths",
            )
    return given


def _has_values(tensor: Tensor) -> bool:
    """Whether the values of a tensor may be read: not in a compiled graph or under ``vmap``."""
    if torch.compiler.is_compiling() or tensor.device.type == "meta":
        return False
    return not is_functorch_wrapped_tensor(tensor)


def read_resets(
    resets: Resets, T: int, B: int, device: torch.device, *, batch_first: bool, batched: bool
) -> Tensor:
    """Check the resets of a batch and return them as a boolean tensor ``[T, B]``.

    Raises:
        InputError: the resets are not boolean, or their shape is not that of the input's steps.
    """
    given = _tensor("resets", resets, device)
    if given.dtype != torch.bool:
        raise InputError(
            f"resets has type {given.dtype}, expected torch.bool",
            argument="resets",
            fix="convert it with .bool()",
        )
    expected = (T,) if not batched else (B, T) if batch_first else (T, B)
    if given.shape != expected:
        letters = "(T,)" if not batched else "(B, T)" if batch_first else "(T, B)"
        raise InputError(
            f"resets has shape {tuple(given.shape)}, expected {letters} = {expected}",
            argument="resets",
        )
    if not batched:
        return given.unsqueeze(1)
    return given.transpose(0, 1) if batch_first else given


def _tensor(name: str, value: Any, device: torch.device) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(device)
    try:
        return torch.as_tensor(value, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name} is not a tensor, array or list of numbers: {error}", argument=name, got=value
        ) from error


def active_steps(lengths: Tensor, T: int, padding: str) -> Tensor:
    """Return a mask ``[T, B]`` that is True at the steps that are not padding.

    >>> active_steps(torch.tensor([2, 0]), 3, "left").int().T.tolist()
    [[0, 1, 1], [0, 0, 0]]
    """
    steps = torch.arange(T, device=lengths.device).unsqueeze(1)
    return steps < lengths if padding == "right" else steps >= T - lengths


def step_flags(active: Tensor | None, resets: Tensor | None, *, reverse: bool) -> Tensor | None:
    """Return the flags ``[T, B]`` for the kernels; None if all steps are active without resets.

    They are bits (uint8), or in compiled and exported graphs boolean if there are no resets, so
    that exporters can rely on it.

    A reset before step ``t`` cuts the sequence between ``t - 1`` and ``t``. A reverse direction
    therefore resets its state before it processes step ``t - 1``. Resets in padding are ignored.
    """
    if resets is None:
        if active is None or torch.compiler.is_compiling():
            return active
        return active.to(torch.uint8)
    cuts = resets if active is None else resets & active
    if reverse:
        cuts = torch.cat([cuts[1:], torch.zeros_like(cuts[:1])])
        cuts = cuts if active is None else cuts & active
    bits = cuts.to(torch.uint8) * RESET
    return bits + ACTIVE if active is None else bits + active.to(torch.uint8) * ACTIVE


def check_packed(packed: PackedSequence) -> None:
    """Check that a packed batch is one that ``pack_padded_sequence`` could have made.

    Values are checked in eager mode only.

    Raises:
        InputError: its batch sizes are not positive, increase, or do not sum to the rows of its
            data; or its indices are not a permutation and its inverse.
    """
    sizes, rows = packed.batch_sizes, packed.data.shape[0]
    if sizes.dim() != 1 or len(sizes) == 0:
        raise _malformed(f"batch_sizes has shape {tuple(sizes.shape)}", "one size for each step")
    for name in ("sorted_indices", "unsorted_indices"):
        indices = getattr(packed, name)
        if indices is not None and indices.dim() != 1:
            raise _malformed(f"{name} has shape {tuple(indices.shape)}", "one dimension")
    if not _has_values(sizes):
        return
    steps = sizes.tolist()
    if min(steps) < 1 or any(after > before for before, after in pairwise(steps)):
        wrong = next(n for n, size in enumerate(steps) if size < 1 or size > steps[max(n - 1, 0)])
        raise _malformed(
            f"batch_sizes[{wrong}] is {steps[wrong]}", "positive sizes that never increase"
        )
    if sum(steps) != rows:
        raise _malformed(f"batch_sizes has the sum {sum(steps)}", f"{rows}, the rows of data")
    order, back = packed.sorted_indices, packed.unsorted_indices
    if order is None or back is None or not _has_values(order):
        return
    count = torch.arange(steps[0], device=order.device)
    shapes = {tuple(order.shape), tuple(back.shape)}
    if shapes != {(steps[0],)} or not _is_inverse(order, back, count):
        raise _malformed(
            "sorted_indices and unsorted_indices are not inverse to each other",
            f"two permutations of the {steps[0]} sequences",
        )


def _is_inverse(order: Tensor, back: Tensor, count: Tensor) -> bool:
    """Whether two orders of sequences of equal length undo each other."""
    inside = bool(((order >= 0) & (order < len(count))).all())
    return inside and torch.equal(back[order], count)


def _malformed(problem: str, expected: str) -> InputError:
    return InputError(
        f"input is a malformed PackedSequence: {problem}, expected {expected}",
        argument="input",
        fix="make it with torch.nn.utils.rnn.pack_padded_sequence",
    )


class Packed:
    """Converts a packed batch to a padded one in packed (sorted) order, and back.

    Args:
        packed: as made by :func:`torch.nn.utils.rnn.pack_padded_sequence`.
    """

    def __init__(self, packed: PackedSequence) -> None:
        check_packed(packed)
        self.packed = packed
        sizes = packed.batch_sizes
        self.T, self.B = len(sizes), int(sizes[0])
        self.active = (torch.arange(self.B) < sizes.unsqueeze(1)).to(packed.data.device)
        # Packed data are ordered by time, then by sequence, like the active steps.
        self._rows = self.active.flatten().nonzero().squeeze(1)

    def spread(self) -> Tensor:
        """Return the data as ``[T, B, I]`` with zeros in the padding."""
        data = self.packed.data
        empty = data.new_zeros(self.T * self.B, data.shape[-1])
        return empty.index_copy(0, self._rows, data).view(self.T, self.B, -1)

    def gather(self, out: Tensor) -> PackedSequence:
        """Pack outputs ``[T, B, H]`` as the input was packed."""
        rows = out.reshape(self.T * self.B, -1).index_select(0, self._rows)
        given = self.packed
        return PackedSequence(rows, given.batch_sizes, given.sorted_indices, given.unsorted_indices)

    def sort(self, batch: Tensor, dim: int = 1) -> Tensor:
        """Reorder sequences from batch order to packed order."""
        order = self.packed.sorted_indices
        return batch if order is None else batch.index_select(dim, order)

    def unsort(self, batch: Tensor, dim: int = 1) -> Tensor:
        """Reorder sequences from packed order to batch order."""
        order = self.packed.unsorted_indices
        return batch if order is None else batch.index_select(dim, order)
