"""Schema: what the training series looked like, and the check that new series look alike."""

from __future__ import annotations

import json
import warnings
from collections.abc import Hashable
from dataclasses import asdict, dataclass, fields

import numpy as np

from carrousel.checks import suggestion
from carrousel.errors import CheckpointError, DataError, DataTypeError, ShapeError
from carrousel.estimators.data.series import Series


class SymbolWarning(UserWarning):
    """New series hold symbols that did not occur in training."""


@dataclass(frozen=True)
class Schema:
    """Channels, symbols, times and gaps of the training series.

    Args:
        channels: names of the channels, in order.
        named: whether the caller gave the names. Names made up here are not compared.
        symbols: the alphabet of text or whole numbers; None for values.
        timed: whether steps had times.
        gaps: whether values were missing.

    >>> schema = Schema.of(Series.of([[[1.0, 2.0]]]))
    >>> schema.check(Series.of([[[1.0]]]))
    Traceback (most recent call last):
        ...
    carrousel.errors.ShapeError: X has 1 channels, but the model was trained on 2: 'x0', 'x1'
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    channels: tuple[str, ...]
    named: bool = False
    symbols: tuple[Hashable, ...] | None = None
    timed: bool = False
    gaps: bool = False

    @staticmethod
    def of(series: Series) -> Schema:
        """Describe the training series."""
        missing = series.values < 0 if series.symbolic else np.isnan(series.values)
        return Schema(
            series.channels,
            series.named,
            series.symbols,
            timed=series.times is not None,
            gaps=bool(missing.any()),
        )

    @property
    def n_channels(self) -> int:
        """``I``, channels of a step; 1 for symbols."""
        return len(self.channels)

    def check(self, series: Series, name: str = "X") -> None:
        """Raise an error if new series cannot be inputs of the trained model.

        Symbols that are unknown count as missing and cause a :class:`SymbolWarning`; for that,
        ``series`` must be read with its own alphabet. Read with the alphabet of the schema, they
        are -1 already.

        Args:
            series: new series.
            name: what messages call them.

        Raises:
            ShapeError: the number, the names or the order of the channels differ.
            DataTypeError: one holds symbols and the other values.
            DataError: the model was trained with times, but ``series`` has none; or the reverse.
        """
        if series.symbolic != (self.symbols is not None):
            kinds = ("values", "symbols")
            raise DataTypeError(
                f"{name} holds {kinds[series.symbolic]}, but the model was trained on "
                f"{kinds[not series.symbolic]}",
                argument=name,
                fix="pass series of the same kind as in training",
            )
        if series.n_channels != self.n_channels:
            raise ShapeError(
                f"{name} has {series.n_channels} channels, but the model was trained on "
                f"{self.n_channels}: {', '.join(map(repr, self.channels))}",
                argument=name,
            )
        if self.named and series.named:
            self._check_names(series.channels, name)
        self._check_times(series, name)
        self._warn_of_symbols(series, name)

    def _check_names(self, names: tuple[str, ...], name: str) -> None:
        if names == self.channels:
            return
        for position, (new, old) in enumerate(zip(names, self.channels, strict=True)):
            if new == old:
                continue
            if set(names) == set(self.channels):
                problem = f"channel {position} of {name} is {new!r}, but it was {old!r} in training"
                fix = "order the channels as in training: " + ", ".join(self.channels)
            else:
                new = next(each for each in names if each not in self.channels)
                problem = f"{name} has the channel {new!r}, which the model was not trained on"
                fix = suggestion(new, [old for old in self.channels if old not in names])
            raise ShapeError(problem, argument=name, column=new, fix=fix)

    def _check_times(self, series: Series, name: str) -> None:
        if self.timed and series.times is None:
            raise DataError(
                f"{series.name(0)} of {name} has no times, but the model was trained with times",
                argument=name,
                fix="pass the times, in the unit of training",
            )
        if not self.timed and series.times is not None:
            raise DataError(
                f"{name} has times, but the model was trained without times",
                argument=name,
                fix="leave the times out, or train the model with times",
            )

    def _warn_of_symbols(self, series: Series, name: str) -> None:
        if series.symbols is None or series.symbols == self.symbols:
            return
        unknown = [symbol for symbol in series.symbols if symbol not in (self.symbols or ())]
        if not unknown:
            return
        numbers = [series.symbols.index(symbol) for symbol in unknown]
        count = int(np.isin(series.values, numbers).sum())
        if count:
            warnings.warn(
                f"{name} holds {count} symbols that did not occur in training, for example "
                f"{unknown[0]!r}; they count as missing",
                SymbolWarning,
                stacklevel=3,
            )

    def to_json(self) -> str:
        """Return the schema as JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Schema:
        """Read what :meth:`to_json` wrote.

        Raises:
            CheckpointError: ``text`` is no schema.
        """
        try:
            given = json.loads(text)
            if set(given) != {field.name for field in fields(Schema)}:
                raise ValueError(f"unexpected fields {sorted(given)}")
            symbols = given["symbols"]
            given["symbols"] = None if symbols is None else tuple(symbols)
            return Schema(**given | {"channels": tuple(map(str, given["channels"]))})
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"this is no schema: {error}", reason="damaged") from None
