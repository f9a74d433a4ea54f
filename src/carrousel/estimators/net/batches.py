"""Batches: random order, series of like length together, targets with padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from carrousel.estimators.data.series import Source
from carrousel.estimators.net.augment import RandomChanges
from carrousel.estimators.net.features import Features
from carrousel.shapes import Array, Floats, Ints


@dataclass(frozen=True, eq=False)
class Batch:
    """Some series as tensors: inputs ``[T, B, F]``, lengths, targets and weights ``[B]``."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    weights: Tensor


def orders(
    lengths: Annotated[Ints, "N"], size: int, rng: np.random.Generator
) -> list[Annotated[Ints, "B"]]:
    """Return the series of each batch of an epoch: random, but of like length within a batch."""
    order = rng.permutation(len(lengths))
    found = []
    for start in range(0, len(order), 8 * size):
        some = order[start : start + 8 * size]
        some = some[np.argsort(lengths[some], kind="stable")]
        found += [some[k : k + size] for k in range(0, len(some), size)]
    return [found[k] for k in rng.permutation(len(found))]


def make_batch(
    source: Source,
    targets: Array,
    weights: Annotated[Floats, "N"],
    features: Features,
    indices: Annotated[Ints, "B"],
    per_step: bool,
    changes: RandomChanges | None = None,
) -> Batch:
    """Return series ``indices`` as one batch, with random changes if ``changes`` are given."""
    some, keep = source.take(indices), None
    if changes is not None and not some.symbolic:
        some, keep = changes.draw(some, warped=not per_step)
    inputs, lengths = features.batch(some, np.arange(len(indices)), keep)
    goal = padded(targets, source.offsets, indices) if per_step else targets[indices]
    return Batch(
        torch.from_numpy(inputs),
        torch.from_numpy(lengths),
        torch.from_numpy(goal),
        torch.from_numpy(weights[indices].astype(np.float32)),
    )


def padded(targets: Array, offsets: Annotated[Ints, "N+1"], indices: Annotated[Ints, "B"]) -> Array:
    """Return targets of every step ``[T, B, ...]``; padding is -1 (classes) or NaN (values)."""
    starts, ends = offsets[indices], offsets[indices + 1]
    none = -1 if np.issubdtype(targets.dtype, np.integer) else np.nan
    T = int((ends - starts).max())
    out = np.full((T, len(indices), *targets.shape[1:]), none, targets.dtype)
    for column, (start, end) in enumerate(zip(starts, ends, strict=True)):
        out[: end - start, column] = targets[start:end]
    return out


def in_order(lengths: Annotated[Ints, "N"], size: int) -> Iterator[Annotated[Ints, "B"]]:
    """Yield the series of each batch for prediction: sorted by length, so that padding is short."""
    order = np.argsort(lengths, kind="stable")
    return (order[k : k + size] for k in range(0, len(order), size))
