"""Batches: random order, series of like length together, random gaps and cuts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from carrousel.estimators.data.series import Series
from carrousel.estimators.net.features import Features
from carrousel.shapes import Array, Bools, Floats, Ints


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training series.

    Args:
        gaps: largest share of values removed at random; half of the series lose some. 0: none.
        noise: standard deviation of independent noise, in units of the standardised channels.
        offset: standard deviation of an offset of each channel and series.
    """

    gaps: float = 0.6
    noise: float = 0.0
    offset: float = 0.0


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
    series: Series,
    targets: Array,
    weights: Annotated[Floats, "N"],
    features: Features,
    indices: Annotated[Ints, "B"],
    per_step: bool,
    augmentation: Augmentation | None = None,
    rng: np.random.Generator | None = None,
) -> Batch:
    """Return series ``indices`` as one batch, with random changes if ``augmentation`` is given."""
    keep = None
    if augmentation and rng and augmentation.gaps and not series.symbolic:
        keep = random_gaps(series, indices, augmentation.gaps, rng)
    inputs, lengths = features.batch(series, indices, keep)
    if augmentation and rng and not series.symbolic:
        _disturb(inputs[..., : series.n_channels], augmentation, rng)
    goal = padded(targets, series, indices) if per_step else targets[indices]
    return Batch(
        torch.from_numpy(inputs),
        torch.from_numpy(lengths),
        torch.from_numpy(goal),
        torch.from_numpy(weights[indices].astype(np.float32)),
    )


def random_gaps(
    series: Series, indices: Annotated[Ints, "B"], most: float, rng: np.random.Generator
) -> Annotated[Bools, "T B I"]:
    """Return which values to keep: half of the series lose a share of up to ``most``."""
    B, T = len(indices), int(series.lengths[indices].max())
    share = rng.uniform(0.0, most, B) * (rng.random(B) < 0.5)
    return rng.random((T, B, series.n_channels)) >= share[:, None]


def _disturb(values: np.ndarray, how: Augmentation, rng: np.random.Generator) -> None:
    if how.offset:
        values += rng.normal(0.0, how.offset, (1, *values.shape[1:])).astype(np.float32)
    if how.noise:
        values += rng.standard_normal(values.shape, np.float32) * np.float32(how.noise)


def padded(targets: Array, series: Series, indices: Annotated[Ints, "B"]) -> Array:
    """Return targets of every step ``[T, B, ...]``; padding is -1 (classes) or NaN (values)."""
    lengths = series.lengths[indices]
    none = -1 if np.issubdtype(targets.dtype, np.integer) else np.nan
    out = np.full((int(lengths.max()), len(indices), *targets.shape[1:]), none, targets.dtype)
    for column, n in enumerate(indices):
        out[: lengths[column], column] = targets[series.offsets[n] : series.offsets[n + 1]]
    return out


def in_order(lengths: Annotated[Ints, "N"], size: int) -> Iterator[Annotated[Ints, "B"]]:
    """Yield the series of each batch for prediction: sorted by length, so that padding is short."""
    order = np.argsort(lengths, kind="stable")
    return (order[k : k + size] for k in range(0, len(order), size))
