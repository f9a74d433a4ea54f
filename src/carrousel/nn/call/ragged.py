"""Sequences of unequal length and of several episodes: lengths, resets and packed sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.errors import InputError

Lengths = Sequence[int] | NDArray[np.integer[Any]] | Tensor
Resets = Sequence[Any] | NDArray[np.bool_] | Tensor


def read_lengths(lengths: Lengths, T: int, B: int, device: torch.device) -> Tensor:
    """Check lengths ``[B]`` of the sequences of a batch of ``T`` steps.

    Values are looked at in eager mode only: a compiled graph must not depend on them.

    Raises:
        InputError: not one whole number from 0 to ``T`` for each sequence.
    """
    given = _tensor("lengths", lengths, device)
    if not isinstance(lengths, Tensor) and given.shape == (0,):
        given = given.long()  # an empty list has no type of its own
    if given.dtype.is_floating_point or given.dtype.is_complex or given.dtype == torch.bool:
        raise InputError(f"lengths has type {given.dtype}, expected whole numbers; see .long()")
    if given.shape != (B,):
        raise InputError(
            f"lengths has shape {tuple(given.shape)}, expected ({B},): one for each sequence"
        )
    if not torch.compiler.is_compiling() and B and given.device.type != "meta":
        low, high = (int(bound) for bound in torch.aminmax(given))
        if low < 0 or high > T:
            wrong = low if low < 0 else high
            raise InputError(
                f"lengths holds {wrong}, expected whole numbers from 0 to {T}, the steps of input"
            )
    return given


def read_resets(
    resets: Resets, T: int, B: int, device: torch.device, *, batch_first: bool, batched: bool
) -> Tensor:
    """Check where sequences start anew, and lay it out ``[T, B]``.

    Raises:
        InputError: not boolean, or not of the shape of the input's steps.
    """
    given = _tensor("resets", resets, device)
    if given.dtype != torch.bool:
        raise InputError(f"resets has type {given.dtype}, expected torch.bool; see .bool()")
    expected = (T,) if not batched else (B, T) if batch_first else (T, B)
    if given.shape != expected:
        letters = "(T,)" if not batched else "(B, T)" if batch_first else "(T, B)"
        raise InputError(f"resets has shape {tuple(given.shape)}, expected {letters} = {expected}")
    if not batched:
        return given.unsqueeze(1)
    return given.transpose(0, 1) if batch_first else given


def _tensor(name: str, value: Any, device: torch.device) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(device)
    try:
        return torch.as_tensor(value, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is no tensor, array or list of numbers: {error}") from error


def active_steps(lengths: Tensor, T: int, padding: str) -> Tensor:
    """Which steps ``[T, B]`` of padded sequences are real.

    >>> active_steps(torch.tensor([2, 0]), 3, "left").int().T.tolist()
    [[0, 1, 1], [0, 0, 0]]
    """
    steps = torch.arange(T, device=lengths.device).unsqueeze(1)
    return steps < lengths if padding == "right" else steps >= T - lengths


def step_flags(active: Tensor | None, resets: Tensor | None, *, reverse: bool) -> Tensor | None:
    """Bits ``[T, B]`` for the kernels, or None where nothing is special.

    A reset before step ``t`` cuts the sequence between ``t - 1`` and ``t``. Run backwards, the
    state therefore starts anew at ``t - 1``. Resets in padding mean nothing.
    """
    if resets is None:
        return None if active is None else active.to(torch.uint8)
    cuts = resets if active is None else resets & active
    if reverse:
        cuts = torch.cat([cuts[1:], torch.zeros_like(cuts[:1])])
        cuts = cuts if active is None else cuts & active
    bits = cuts.to(torch.uint8) * RESET
    return bits + ACTIVE if active is None else bits + active.to(torch.uint8) * ACTIVE


class Packed:
    """A packed batch spread out to ``[T, B]`` steps, in packed (sorted) order, and back.

    Args:
        packed: as made by :func:`torch.nn.utils.rnn.pack_padded_sequence`.
    """

    def __init__(self, packed: PackedSequence) -> None:
        self.packed = packed
        sizes = packed.batch_sizes
        self.T, self.B = len(sizes), int(sizes[0])
        self.active = (torch.arange(self.B) < sizes.unsqueeze(1)).to(packed.data.device)
        # Packed data run through time first and sequences second, as the steps that are set do.
        self._rows = self.active.flatten().nonzero().squeeze(1)

    def spread(self) -> Tensor:
        """The data ``[T, B, I]``, zero where there are none."""
        data = self.packed.data
        empty = data.new_zeros(self.T * self.B, data.shape[-1])
        return empty.index_copy(0, self._rows, data).view(self.T, self.B, -1)

    def gather(self, out: Tensor) -> PackedSequence:
        """Outputs ``[T, B, K]`` packed as the input was."""
        rows = out.reshape(self.T * self.B, -1).index_select(0, self._rows)
        given = self.packed
        return PackedSequence(rows, given.batch_sizes, given.sorted_indices, given.unsorted_indices)

    def sort(self, batch: Tensor, dim: int = 1) -> Tensor:
        """From the order of the batch to packed order."""
        order = self.packed.sorted_indices
        return batch if order is None else batch.index_select(dim, order)

    def unsort(self, batch: Tensor, dim: int = 1) -> Tensor:
        """From packed order to the order of the batch."""
        order = self.packed.unsorted_indices
        return batch if order is None else batch.index_select(dim, order)
