"""Series: a ragged batch of measured series, with gaps, times and names."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Protocol, TypeVar

import numpy as np

from carrousel.arrays import runs
from carrousel.errors import DataError, ShapeError
from carrousel.shapes import Array, Floats, Ints


class Source(Protocol):
    """Series in memory (:class:`Series`), or read when they are taken (``TableDataset``)."""

    @property
    def offsets(self) -> Annotated[Ints, "N+1"]: ...
    @property
    def lengths(self) -> Annotated[Ints, "N"]: ...
    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def n_channels(self) -> int: ...
    @property
    def n_steps(self) -> int: ...
    def __len__(self) -> int: ...
    def name(self, n: int, /) -> str: ...
    def take(self, indices: Annotated[Ints, "indices"], /) -> Series: ...


AnySource = TypeVar("AnySource", bound=Source)


@dataclass(frozen=True, eq=False)
class Series:
    """``N`` series of unequal length as they were measured, concatenated along time.

    :class:`carrousel.Sequences` holds what kernels consume: finite numbers. A ``Series`` holds what
    users have: gaps, irregular times, names. :class:`carrousel.estimators.net.features.Features`
    converts one into the other.

    Args:
        values: ``[steps, I]``, float32 or float64, NaN where a value is missing; or symbols
            ``[steps]`` (int32), -1 where a symbol is missing or unknown.
        offsets: ``[N+1]`` (int64). Series ``n`` occupies steps ``offsets[n]`` to
            ``offsets[n + 1] - 1``. No series is empty.
        channels: names of the ``I`` channels, or the name of the symbol column.
        named: whether the caller gave the names. Names made up here are never compared.
        times: ``[steps]`` (float64), strictly increasing within a series, in the unit of the
            caller; None: steps are one unit apart.
        ids: a name for each series, used in messages and results; None: positions.
        symbols: the alphabet, in the order of the symbols' numbers; None for values.

    >>> two = Series.of([[[1.0], [2.0]], [[3.0]]])
    >>> len(two), two.lengths.tolist(), two.n_channels, two.channels
    (2, [2, 1], 1, ('x0',))
    """

    values: Annotated[Array, "steps I"] | Annotated[Array, "steps"]
    offsets: Annotated[Ints, "N+1"]
    channels: tuple[str, ...]
    named: bool = False
    times: Annotated[Floats, "steps"] | None = None
    ids: tuple[Hashable, ...] | None = None
    symbols: tuple[Hashable, ...] | None = None

    @staticmethod
    def of(arrays: Sequence[object], **fields: object) -> Series:
        """Join arrays ``[T, I]``, one per series, without any check but their width.

        Raises:
            ShapeError: arrays differ in width.
        """
        rows = [np.asarray(each) for each in arrays]
        if len({row.shape[1:] for row in rows}) > 1:
            widths = sorted({row.shape[1:] for row in rows})
            raise ShapeError(f"series differ in channels: {widths}", argument="X")
        values = np.concatenate(rows) if rows else np.zeros((0, 1))
        if values.dtype != np.float32:
            values = values.astype(np.float64)
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        names = tuple(f"x{n}" for n in range(values.shape[1]))
        return Series(values, offsets, **({"channels": names} | fields))  # type: ignore[arg-type]

    @staticmethod
    def join(parts: Sequence[Series]) -> Series:
        """Concatenate series of the same kind, such as those that a cross-validation selected.

        Raises:
            ShapeError: parts differ in channels or symbols, or only some have times or ids.

        >>> two = Series.of([[[1.0], [2.0]], [[3.0]]])
        >>> Series.join([two[1], two[0]]).values.tolist()
        [[3.0], [1.0], [2.0]]
        """
        first = parts[0]
        for part in parts:
            for what in ("channels", "symbols"):
                if getattr(part, what) != getattr(first, what):
                    found = f"{getattr(first, what)} and {getattr(part, what)}"
                    raise ShapeError(f"series differ in {what}: {found}", argument="X")
            for what in ("times", "ids"):
                if (getattr(part, what) is None) != (getattr(first, what) is None):
                    raise ShapeError(f"some series have {what}, others have none", argument="X")
        lengths = np.concatenate([part.lengths for part in parts])
        return replace(
            first,
            values=np.concatenate([part.values for part in parts]),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            times=None if first.times is None else np.concatenate([p.times for p in parts]),  # type: ignore[arg-type]
            ids=None if first.ids is None else tuple(name for p in parts for name in p.ids or ()),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_channels(self) -> int:
        """``I``, channels of a step; 1 for symbols."""
        return self.values.shape[1] if self.values.ndim == 2 else 1

    @property
    def n_steps(self) -> int:
        """Steps of all series together."""
        return len(self.values)

    @property
    def symbolic(self) -> bool:
        """Whether values are symbols."""
        return self.values.ndim == 1

    @property
    def lengths(self) -> Annotated[Ints, "N"]:
        """Steps of each series, ``[N]``."""
        return self._lengths

    @cached_property
    def _lengths(self) -> Annotated[Ints, "N"]:
        return np.diff(self.offsets)

    def name(self, n: int) -> str:
        """Return what a message calls series ``n``."""
        return f"series {n}" if self.ids is None else f"series {self.ids[n]!r}"

    def __getitem__(self, n: int | slice | Annotated[Ints, "indices"]) -> Series:
        """Return series ``n`` alone, as views; or copies of those of a slice, indices or a mask."""
        if not isinstance(n, int | np.integer):
            return self.take(np.arange(len(self))[n])
        n = range(len(self))[n]
        low, high = int(self.offsets[n]), int(self.offsets[n + 1])
        return replace(
            self,
            values=self.values[low:high],
            offsets=np.array([0, high - low], np.int64),
            times=None if self.times is None else self.times[low:high],
            ids=None if self.ids is None else self.ids[n : n + 1],
        )

    def __iter__(self) -> Iterator[Series]:
        return (self[n] for n in range(len(self)))

    def take(self, indices: Annotated[Ints, "indices"]) -> Series:
        """Return copies of the series at ``indices``, in that order; repeats are allowed.

        Raises:
            DataError: an index is negative or not below ``len(self)``.
        """
        indices = np.asarray(indices, np.int64)
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise DataError(f"indices must lie in 0..{len(self) - 1}", argument="indices")
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        steps = runs(self.offsets[indices], lengths, offsets)
        return replace(
            self,
            values=self.values[steps],
            offsets=offsets,
            times=None if self.times is None else self.times[steps],
            ids=None if self.ids is None else tuple(self.ids[n] for n in indices),
        )
