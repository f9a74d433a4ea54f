"""Conversion of ragged sequences to padded arrays, with one axis for lanes.

Here ``N`` counts the sequences of a lane, ``B`` the lanes, ``T`` the steps of the longest sequence,
and ``steps`` those of the longest lane.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats, Ints

ROUND_TO = 16
"""Arrays are padded to a multiple of so many steps, so that few different shapes are compiled."""


class Padded(NamedTuple):
    """Sequences of each lane; the values after the end of a sequence are unspecified.

    If each sequence has one target, at its last step, ``targets`` are ``[N, B, O]`` and
    ``has_target`` is unused.
    """

    inputs: Annotated[Floats, "N T B I"] | Annotated[Ints, "N T B"]
    lengths: Annotated[Ints, "N B"]
    targets: Annotated[Floats, "N T B O"] | Annotated[Floats, "N B O"]
    has_target: Annotated[Bools, "N T B"]


class Streams(NamedTuple):
    """The concatenated sequences of each lane; there is no target after the last one."""

    inputs: Annotated[Floats, "steps B I"] | Annotated[Ints, "steps B"]
    targets: Annotated[Floats, "steps B O"]
    has_target: Annotated[Bools, "steps B"]
    ends: Annotated[Bools, "steps B"]  # whether a sequence ends with this step


def joined(parts: list[Sequences]) -> Sequences:
    """Concatenate all parts; a single part is not copied."""
    return parts[0] if len(parts) == 1 else Sequences.concatenate(parts)


def last_only(data: Sequences) -> bool:
    """Whether each sequence has exactly one target, at its last step."""
    return np.array_equal(data.target_steps, data.offsets[1:] - 1)


def pad(parts: list[Sequences], lanes: int, least: int = 0) -> Padded:
    """Pad every sequence to the longest one, or to ``least`` steps if that is more."""
    data = joined(parts)
    steps = max(least, _round_up(int(data.lengths.max()), ROUND_TO))
    lengths = data.lengths.reshape(lanes, -1).T.astype(np.int32)  # [N, B]
    starts = data.offsets[:-1].reshape(lanes, -1).T[:, None, :]
    places = np.minimum(starts + np.arange(steps)[:, None], data.n_steps - 1)  # [N, T, B]
    if last_only(data):
        rows = data.dense_targets().reshape(lanes, -1, data.n_outputs)
        targets, has = rows.swapaxes(0, 1), np.zeros((len(lengths), steps, lanes), bool)
    else:
        targets = _spread_targets(data).take(places, axis=0)
        live = np.arange(steps)[:, None] < lengths[:, None, :]
        has = data.mask.take(places) & live
    return Padded(
        inputs=data.inputs.take(places, axis=0),
        lengths=np.ascontiguousarray(lengths),
        targets=np.ascontiguousarray(targets),
        has_target=has,
    )


def join_streams(parts: list[Sequences], lanes: int, least: int = 0) -> Streams:
    """Pad every lane to the longest one, or to ``least`` steps if that is more."""
    data = joined(parts)
    offsets = data.offsets[:: len(data) // lanes]
    steps = max(least, _round_up(int(np.diff(offsets).max()), 8 * ROUND_TO))
    places = offsets[:-1] + np.arange(steps)[:, None]  # [steps, B]
    live = places < offsets[1:]
    places = np.minimum(places, data.n_steps - 1)
    ends = np.zeros(data.n_steps, bool)
    ends[data.offsets[1:] - 1] = True
    return Streams(
        inputs=data.inputs.take(places, axis=0),
        targets=_spread_targets(data).take(places, axis=0),
        has_target=data.mask.take(places) & live,
        ends=ends.take(places) & live,
    )


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _spread_targets(data: Sequences) -> Annotated[Floats, "steps O"]:
    spread = np.zeros((data.n_steps, data.n_outputs), np.float32)
    spread[data.target_steps] = data.dense_targets()
    return spread
