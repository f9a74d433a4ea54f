"""Features: the inputs of a net from measured series, with gaps and irregular times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.errors import DataError
from carrousel.estimators.data.larger import Statistics
from carrousel.estimators.data.series import Series
from carrousel.shapes import Array, Bools, Floats, Ints

FARTHEST = 1e15
"""Standard deviations from the mean of training; float32 squares of larger values overflow.

``native/step/live.cc`` has the same limit.
"""


@dataclass(frozen=True, eq=False)
class Features:
    """Converts series to inputs of a net; fitted to the training series.

    Each channel gives two inputs. The first is the standardised value; a missing value is replaced
    by the last one seen in the series, or by the mean before the first. The second is 0 where the
    value is present, else ``log(1 + time since it was last seen)``, in units of a usual step.
    Irregular times add one input, ``log(1 + time since the step before)``. Symbols are passed on as
    numbers, and the net embeds them.

    Args:
        mean, scale: ``[I]`` (float64), of the values present in training.
        timed: whether times are inputs.
        unit: the median time between two steps in training.
        n_symbols: size of the alphabet; 0 for values.
    """

    mean: Annotated[Floats, "I"]
    scale: Annotated[Floats, "I"]
    timed: bool = False
    unit: float = 1.0
    n_symbols: int = 0

    @staticmethod
    def fit(series: Series) -> Features:
        """Compute means and scales of the training series."""
        if series.symbols is not None:
            return Features(np.zeros(1), np.ones(1), n_symbols=len(series.symbols))
        seen = np.isfinite(series.values)
        counts = np.maximum(seen.sum(axis=0), 1)
        mean = np.where(seen, series.values, 0.0).sum(axis=0, dtype=np.float64) / counts
        centred = np.where(seen, series.values - mean, 0.0)
        scale = np.sqrt((centred**2).sum(axis=0, dtype=np.float64) / counts)
        scale[scale <= 1e-12 * np.maximum(np.abs(mean), 1e-300)] = 1.0  # constant channels
        unit = 1.0
        if series.times is not None:
            inner = np.ones(series.n_steps, bool)
            inner[series.offsets[:-1]] = False
            steps = np.diff(series.times, prepend=0.0)[inner]
            unit = float(np.median(steps)) if len(steps) else 1.0
        return Features(mean, scale, series.times is not None, unit)

    @staticmethod
    def of(statistics: Statistics) -> Features:
        """Use the statistics of a data set."""
        return Features(statistics.mean, statistics.scale, statistics.timed, statistics.unit)

    @property
    def n_inputs(self) -> int:
        """``F``, inputs of a step; for symbols, 1: the number of the symbol."""
        return 1 if self.n_symbols else 2 * len(self.mean) + self.timed

    def batch(
        self,
        series: Series,
        indices: Annotated[Ints, "B"],
        keep: Annotated[Bools, "T B I"] | None = None,
    ) -> tuple[Annotated[Array, "T B F"], Annotated[Ints, "B"]]:
        """Return inputs of some series, padded at the end, and the lengths.

        Args:
            series: values of the fitted channels.
            indices: which series.
            keep: values to use; the others count as missing.

        Returns:
            float32 ``[T, B, F]``, or int64 ``[T, B]`` for symbols (0: missing), and int64 ``[B]``.

        Raises:
            DataError: a value is more than :data:`FARTHEST` standard deviations from the mean.
        """
        lengths = series.lengths[indices]
        T, starts = int(lengths.max()), series.offsets[indices]
        steps = np.minimum(np.arange(T)[:, None], lengths - 1) + starts  # [T, B], padding repeats
        if self.n_symbols:
            return series.values[steps].astype(np.int64) + 1, lengths
        z = (series.values[steps] - self.mean) / self.scale
        self._check_distances(z, series, indices)
        since = np.arange(T, dtype=np.float64)[:, None]
        if self.timed and series.times is not None:
            since = (series.times[steps] - series.times[starts]) / self.unit
        seen = np.isfinite(z) if keep is None else np.isfinite(z) & keep
        inputs = np.empty((*steps.shape, self.n_inputs), np.float32)
        width = z.shape[2]
        inputs[..., :width], inputs[..., width : 2 * width] = filled(
            z, seen, np.broadcast_to(since, steps.shape)
        )
        if self.timed:
            inputs[0, :, -1] = 0.0
            inputs[1:, :, -1] = np.log1p(np.maximum(np.diff(since, axis=0), 0.0))
        return inputs, lengths

    def _check_distances(
        self, z: Annotated[Floats, "T B I"], series: Series, indices: Annotated[Ints, "B"]
    ) -> None:
        """Raise DataError for a value that would overflow the float32 of the nets."""
        far = np.abs(z) > FARTHEST  # False for NaN
        if not far.any():
            return
        step, column, channel = (int(each[0]) for each in np.nonzero(far))
        n = int(indices[column])
        raise DataError(
            f"{series.name(n)}, step {step}: the value is "
            f"{series.values[series.offsets[n] + step, channel]:.6g}, more than {FARTHEST:.0e} "
            f"standard deviations from those of training ({self.mean[channel]:.6g} +- "
            f"{self.scale[channel]:.6g})",
            argument="X",
            column=series.channels[channel],
            fix="replace it by NaN if it is wrong, or train with such values",
        )


def filled(
    z: Annotated[Floats, "T B I"], seen: Annotated[Bools, "T B I"], since: Annotated[Floats, "T B"]
) -> tuple[Annotated[Floats, "T B I"], Annotated[Floats, "T B I"]]:
    """Carry the last seen values forward; return them and the logarithm of their age."""
    if seen.all():
        return z, np.zeros((1, 1, 1))
    T = len(z)
    last = np.maximum.accumulate(np.where(seen, np.arange(T)[:, None, None], -1), axis=0)
    ever, at = last >= 0, np.maximum(last, 0)
    value = np.where(ever, np.take_along_axis(np.where(seen, z, 0.0), at, axis=0), 0.0)
    clock = np.broadcast_to(since[..., None], z.shape)
    age = clock - np.where(ever, np.take_along_axis(clock, at, axis=0), -1.0)
    return value, np.log1p(age)
