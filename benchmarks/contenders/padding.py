"""Ragged sequences as the rectangles that array programs need, lanes side by side.

Letters: ``N`` sequences of a lane, ``B`` lanes, ``T`` time steps of the longest sequence, ``K``
time steps of the longest lane.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from carrousel.sequences import Sequences
from carrousel.shapes import Bool, Float, Int

ROUND_TO = 16
"""Steps to whose multiple rectangles are filled up, so that few different shapes are compiled."""


class Padded(NamedTuple):
    """Sequence by sequence; what lies behind the end of a sequence is 0."""

    inputs: Float[np.ndarray, "N T B I"] | Int[np.ndarray, "N T B"]
    lengths: Int[np.ndarray, "N B"]
    targets: Float[np.ndarray, "N T B O"] | Float[np.ndarray, "N B O"]  # the latter: last step only
    has_target: Bool[np.ndarray, "N T B"]


class Streams(NamedTuple):
    """The sequences of each lane joined end to end; what lies behind the last one is 0."""

    inputs: Float[np.ndarray, "K B I"] | Int[np.ndarray, "K B"]
    targets: Float[np.ndarray, "K B O"]
    has_target: Bool[np.ndarray, "K B"]
    ends: Bool[np.ndarray, "K B"]  # whether a sequence ends with this step


def joined(parts: list[Sequences]) -> Sequences:
    """All sequences in one container; a single part is not copied."""
    return parts[0] if len(parts) == 1 else Sequences.concatenate(parts)


def last_only(data: Sequences) -> bool:
    """Whether each sequence has one target, at its last step."""
    return np.array_equal(data.target_steps, data.offsets[1:] - 1)


def pad(parts: list[Sequences], lanes: int) -> Padded:
    """Fill every sequence up to the longest."""
    data = joined(parts)
    steps = -(-int(data.lengths.max()) // ROUND_TO) * ROUND_TO
    places, live = _places(data.offsets, data.n_steps, steps)

    def turn(rows: np.ndarray) -> np.ndarray:  # [B N, ...] -> [N, ..., B, ...]
        rows = rows.reshape(lanes, -1, *rows.shape[1:])
        return np.ascontiguousarray(np.moveaxis(rows, 0, 2))

    if last_only(data):
        rows = data.dense_targets().reshape(lanes, -1, data.n_outputs)
        targets = np.ascontiguousarray(rows.swapaxes(0, 1))
    else:
        targets = turn(_spread_targets(data)[places] * live[..., None])
    return Padded(
        inputs=turn(_blank(data.inputs[places], live)),
        lengths=np.ascontiguousarray(data.lengths.reshape(lanes, -1).T.astype(np.int32)),
        targets=targets,
        has_target=turn(data.mask[places] & live),
    )


def join_streams(parts: list[Sequences], lanes: int) -> Streams:
    """Fill every lane up to the one with most steps."""
    data = joined(parts)
    offsets = data.offsets[:: len(data) // lanes]
    steps = -(-int(np.diff(offsets).max()) // (8 * ROUND_TO)) * 8 * ROUND_TO
    places, live = _places(offsets, data.n_steps, steps)
    ends = np.zeros(data.n_steps, bool)
    ends[data.offsets[1:] - 1] = True

    def turn(rows: np.ndarray) -> np.ndarray:  # [B, K, ...] -> [K, B, ...]
        return np.ascontiguousarray(rows.swapaxes(0, 1))

    return Streams(
        inputs=turn(_blank(data.inputs[places], live)),
        targets=turn(_spread_targets(data)[places] * live[..., None]),
        has_target=turn(data.mask[places] & live),
        ends=turn(ends[places] & live),
    )


def _places(offsets: np.ndarray, n_steps: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each step of each row lies among all steps, and whether it exists."""
    places = offsets[:-1, None] + np.arange(steps)
    live = places < offsets[1:, None]
    return np.minimum(places, n_steps - 1), live


def _blank(inputs: np.ndarray, live: np.ndarray) -> np.ndarray:
    return inputs * (live if inputs.ndim == 2 else live[..., None])


def _spread_targets(data: Sequences) -> Float[np.ndarray, "steps O"]:
    spread = np.zeros((data.n_steps, data.n_outputs), np.float32)
    spread[data.target_steps] = data.dense_targets()
    return spread
