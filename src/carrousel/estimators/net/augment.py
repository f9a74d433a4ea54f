"""Random changes of training series: gaps, warped time, noise and offsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.shapes import Bools, Floats, Ints

_KNOTS = 8  # stretches of a series whose speed changes independently
_FULL = 300  # series up to which changes have full size
_SAMPLE = 2000  # series that statistics are computed from


@dataclass(frozen=True)
class Augmentation:
    """Sizes of the random changes, which relate to the data and are the same for all data.

    Many series need less of it: beyond 300 series, all but the gaps shrink with the square root of
    the number of series.

    Args:
        gaps: largest share of values removed at random; half of the series lose some. 0: none.
        warp: standard deviation of the logarithm of the speed with which a series runs through an
            eighth of its length.
        noise: standard deviation of independent noise at each step, in units of the root mean
            square difference between two steps of the channel. Smooth channels get little.
        offset: standard deviation of an offset of each series and channel, in units of the
            standard deviation between the means of series. Series that were standardised one by
            one get none.
    """

    gaps: float = 0.6
    warp: float = 0.1
    noise: float = 0.5
    offset: float = 0.35


class RandomChanges:
    """Draws random changes in units of the training series."""

    def __init__(
        self,
        how: Augmentation,
        take: Callable[[Annotated[Ints, "indices"]], Series],
        learned: Annotated[Ints, "learned"],
        seed: int,
    ) -> None:
        """Compute statistics of a sample of the series that are learned.

        Args:
            how: sizes of the changes.
            take: returns series by their positions.
            learned: positions of the series that are learned.
            seed: of the random changes.
        """
        share = min(1.0, (_FULL / max(len(learned), 1)) ** 0.5)
        self.how = Augmentation(how.gaps, how.warp * share, how.noise * share, how.offset * share)
        self._rng = np.random.default_rng(seed)
        sample = take(learned[:: -(-len(learned) // _SAMPLE)])
        if not sample.symbolic:
            self._roughness, self._spread = _statistics(sample)

    def draw(
        self, some: Series, *, warped: bool
    ) -> tuple[Series, Annotated[Bools, "T B I"] | None]:
        """Return changed copies of series of values, and which of them to keep (None: all).

        Args:
            some: the series of a batch.
            warped: whether time may be warped; not if each step has a target.
        """
        rng, how = self._rng, self.how
        values, lengths = some.values.astype(np.float64), some.lengths
        if warped and how.warp:
            values = _warped(values, some, how.warp, rng)
        if how.offset and self._spread.any():
            drawn = rng.normal(0.0, how.offset, (len(some), values.shape[1])) * self._spread
            values += np.repeat(drawn, lengths, axis=0)
        if how.noise:
            values += rng.standard_normal(values.shape) * (how.noise * self._roughness)
        keep = None
        if how.gaps:
            share = rng.uniform(0.0, how.gaps, len(some)) * (rng.random(len(some)) < 0.5)
            keep = rng.random((int(lengths.max()), *share.shape, values.shape[1])) >= share[:, None]
        return replace(some, values=values), keep


def _statistics(series: Series) -> tuple[Annotated[Floats, "I"], Annotated[Floats, "I"]]:
    """Return the root mean square difference of two steps, and the deviation of series' means."""
    values = series.values.astype(np.float64)
    change = np.diff(values, axis=0)
    change[series.offsets[1:-1] - 1] = np.nan  # from one series to the next
    squares, known = np.nan_to_num(change**2).sum(axis=0), np.isfinite(change).sum(axis=0)
    seen = np.isfinite(values)
    starts = series.offsets[:-1]
    sums = np.add.reduceat(np.where(seen, values, 0.0), starts, axis=0)
    counts = np.add.reduceat(seen, starts, axis=0, dtype=np.int64)
    means, ever = sums / np.maximum(counts, 1), counts > 0
    n = np.maximum(ever.sum(axis=0), 1)
    centre = np.where(ever, means, 0.0).sum(axis=0) / n
    spread = np.sqrt((np.where(ever, means - centre, 0.0) ** 2).sum(axis=0) / n)
    return np.sqrt(squares / np.maximum(known, 1)), spread


def _warped(
    values: Annotated[Floats, "steps I"], series: Series, size: float, rng: np.random.Generator
) -> Annotated[Floats, "steps I"]:
    """Run through each series at a random, changing speed; lengths and ends stay.

    A value between two steps is interpolated. If one of the two is missing, it is missing.
    """
    lengths, starts = series.lengths, series.offsets[:-1]
    within = np.arange(series.n_steps) - np.repeat(starts, lengths)
    owner = np.repeat(np.arange(len(series)), lengths)
    speeds = np.exp(rng.normal(0.0, size, (len(series), _KNOTS)))
    speed = speeds[owner, within * _KNOTS // np.repeat(lengths, lengths)]
    speed[starts] = 0.0
    position = np.cumsum(speed)
    position -= np.repeat(position[starts], lengths)
    last = np.repeat(lengths - 1, lengths)
    whole = np.repeat(np.maximum(position[series.offsets[1:] - 1], 1e-9), lengths)
    pace = np.repeat(np.exp(rng.normal(0.0, size / 4, len(series))), lengths)
    position = np.minimum(position / whole * last * pace, last)
    low = position.astype(np.int64)
    share = (position - low)[:, None]
    low += np.repeat(starts, lengths)
    high = np.minimum(low + 1, series.n_steps - 1)  # the next series only with a share of 0
    between = values[low] * (1.0 - share) + values[high] * share
    return np.where(share == 0.0, values[low], between)
