"""One epoch of ragged sequences, packed by time step for cascade-correlation."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.kernels.reference.cascade import CascadeData
from carrousel.sequences import Sequences
from carrousel.shapes import Ints


def packed(
    data: Sequences, which: Annotated[Ints, "sequences"]
) -> tuple[CascadeData, Annotated[Ints, "targets"]]:
    """Pack sequences.

    Args:
        data: the sequences, in any order.
        which: the place of each among the distinct ones, longest first.

    Returns:
        the batch, and for each target of the data its index in the batch.
    """
    often = np.bincount(which)
    lengths = np.zeros(len(often), np.int64)
    lengths[which] = data.lengths
    longest = int(lengths.max(initial=0))
    running = (lengths[:, None] > np.arange(longest)).sum(axis=0)
    starts = np.concatenate([[0], np.cumsum(running)])
    time = np.arange(data.n_steps) - np.repeat(data.offsets[:-1], data.lengths)
    sequence = np.repeat(which, data.lengths)
    place = starts[time] + sequence
    at, first, index = np.unique(place[data.target_steps], return_index=True, return_inverse=True)
    rank = sequence[data.target_steps][first]
    batch = CascadeData(
        inputs=_spread(data.inputs, place, int(starts[-1])),
        n_inputs=data.n_inputs,
        spans=tuple(zip(starts[:-1].tolist(), running.tolist(), strict=True)),
        targets=np.ascontiguousarray(data.dense_targets()[first].T, np.float64),
        at=at,
        rank=rank,
        times=often[rank].astype(np.float64),
        counts=np.bincount(rank, minlength=len(often)),
    )
    return batch, index


def _spread(inputs: np.ndarray, place: np.ndarray, steps: int) -> np.ndarray:
    """Arrange inputs by place; equal sequences share one."""
    if inputs.ndim == 1:
        symbols = np.zeros(steps, np.int64)
        symbols[place] = inputs
        return symbols
    values = np.zeros((inputs.shape[1], steps))
    values[:, place] = inputs.T
    return values
