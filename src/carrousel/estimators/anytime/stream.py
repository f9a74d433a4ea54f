"""LiveSeries: predictions of an ensemble for one series that arrives row by row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, Any
from weakref import WeakSet

import numpy as np

from carrousel.columns import as_times
from carrousel.errors import DataError, DataTypeError, SettingError, ShapeError
from carrousel.estimators.anytime.early import StopRule
from carrousel.estimators.anytime.stepping import open_ensemble
from carrousel.estimators.data.cells import as_floats
from carrousel.estimators.data.series import Series
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.goals import ClassGoal, TagGoal
from carrousel.shapes import Array, Floats

_CHECKED: WeakSet[Ensemble] = WeakSet()
"""Ensembles whose live step was compared with their nets; it takes as long as 10,000 rows."""


class LiveSeries:
    """Predictions at every step of a series, while it arrives.

    A row costs the same at any time and no memory: the last ``window`` rows, the state of the LSTM
    and running sums are all that is kept. The results are those of
    ``ensemble.outputs(series, at="every step")``, up to the rounding of float32.

    Args:
        ensemble: nets that read forwards.
        symbols: the alphabet, in the order of training, if rows are symbols; None: rows are the
            numbers of symbols.
        answer: converts outputs ``[members, O]`` to what :meth:`push` returns. None: class
            probabilities ``[K]`` for goals of classes, else the mean over members ``[O]``.
        rule: when to decide for a class; only for goals of a class for each series.
        labels: ``[K]``, labels of the classes; only for goals of classes, without ``answer``.

    Attributes:
        n_steps: rows since the series began.
        decision: a :class:`carrousel.estimators.anytime.early.Watch`, whose ``label`` is the class
            decided for (its label, or its number without ``labels``), or None until then; None
            without a rule.

    Raises:
        SettingError: the nets are bidirectional, or a live step does not compute all their parts.

    >>> from carrousel.estimators.net.features import Features
    >>> from carrousel.estimators.net.net import AnytimeNet, NetConfig
    >>> from carrousel.estimators.net.train import Member
    >>> series = Series.of([[[1.0], [2.0], [4.0]]])
    >>> features = Features.fit(series)
    >>> net = AnytimeNet(NetConfig(features.n_inputs, 2)).eval()
    >>> ensemble = Ensemble(features, ClassGoal(2), [Member(net, [], np.zeros(1, bool))])
    >>> live = LiveSeries(ensemble)
    >>> for row in series.values:
    ...     p = live.push(row)
    >>> p.shape, live.n_steps, bool(abs(p.sum() - 1) < 1e-6)
    ((2,), 3, True)
    """

    def __init__(
        self,
        ensemble: Ensemble,
        *,
        symbols: Sequence[Hashable] | None = None,
        answer: Callable[[Annotated[Floats, "members O"]], Any] | None = None,
        rule: StopRule | None = None,
        labels: Annotated[Array, "K"] | None = None,
    ) -> None:
        if rule is not None and (answer or not isinstance(ensemble.goal, ClassGoal)):
            raise SettingError(
                "a rule needs class probabilities of whole series",
                argument="rule",
                fix="leave {rule} and {answer} out, or fit a classifier",
            )
        of_classes = isinstance(ensemble.goal, ClassGoal | TagGoal)
        if labels is not None and (answer or not of_classes):
            raise SettingError(
                "labels need class probabilities",
                argument="labels",
                fix="leave {labels} out, or {answer}",
            )
        self._n_symbols = n_symbols = ensemble.features.n_symbols
        if symbols is not None and len(symbols) != n_symbols:
            raise SettingError(
                f"symbols has {len(symbols)} entries, but training had {n_symbols} symbols",
                argument="symbols",
            )
        self._numbers = None if symbols is None else {s: n for n, s in enumerate(symbols)}
        self._live = open_ensemble(ensemble, ensemble.temperature if of_classes else 0.0)
        self._push, self._answer, self._labels = self._live.push, answer, labels
        self._outputs, self._default = self._live.outputs, self._live.answer
        self._channels = len(ensemble.features.mean)
        self.n_steps = 0
        self.decision = None if rule is None else rule.watch(labels)
        if ensemble not in _CHECKED:
            _check_against_batch(ensemble, self)
            _CHECKED.add(ensemble)

    @property
    def label(self) -> Any:
        """The most probable class after the last row; None before the first, or without labels."""
        if self._labels is None or self.n_steps == 0:
            return None
        return self._labels[int(self._default.argmax())]

    def reset(self) -> None:
        """Begin a new series."""
        self._live.reset()
        self.n_steps = 0
        if self.decision is not None:
            self.decision.reset()

    def push(self, row: Any, time: Any = None) -> Any:
        """Take the next row and return the prediction from the rows so far.

        Args:
            row: ``[I]`` values, NaN where one is missing; or a symbol (unknown ones count as
                missing).
            time: of the row, larger than the one before, in the unit of training, or a date if the
                times of training were dates; None: one usual step later. Ignored if training had
                no times.

        Returns:
            The answer; by default class probabilities ``[K]`` or values ``[O]``, a new array.

        Raises:
            ShapeError: the row has more or fewer values than the series of training.
            DataError: a value is infinite, not a number, or more than 1e15 standard deviations from
                those of training; or time is no time or does not increase. The series is unchanged.
        """
        outputs = self.outputs(row, time)
        answer = self._default.copy() if self._answer is None else self._answer(outputs)
        if self.decision is not None:
            self.decision.push(answer)
        return answer

    def outputs(self, row: Any, time: Any = None) -> Annotated[Floats, "members O"]:
        """Take the next row and return raw outputs in a buffer that the next row overwrites."""
        if self._numbers is not None:
            row = self._number_of(row)
        elif isinstance(row, np.ma.MaskedArray):  # its buffer has the values under the mask
            row = as_floats(row, "row", "row")
        try:
            self._push(row, time)
        except ValueError:  # a list, whole numbers, or a wrong row: convert it, or explain
            self._push_converted(row, time)
        self.n_steps += 1
        return self._outputs

    def _number_of(self, symbol: Any) -> int:
        """Return the number of a symbol, -1 for an unknown one."""
        try:
            return self._numbers.get(symbol, -1)  # type: ignore[union-attr]
        except TypeError:
            raise DataTypeError(
                f"row is {symbol!r:.40}, expected one symbol", argument="row"
            ) from None

    def _push_converted(self, row: Any, time: Any) -> None:
        if self._n_symbols == 0:
            row = as_floats(row, "row", "row").astype(np.float64)
            if row.ndim == 0 and self._channels == 1:
                row = row.reshape(1)
            if row.shape != (self._channels,):
                raise ShapeError(
                    f"row has shape {row.shape}, expected ({self._channels},): one value for each "
                    "channel",
                    argument="row",
                )
        if time is not None and np.asarray(time).dtype.kind not in "fiub":
            time = _seconds(time)
        try:
            self._push(row, time)
        except ValueError as error:
            argument = "time" if str(error).startswith("time") else "row"
            raise DataError(str(error), argument=argument) from None


def _seconds(time: Any) -> float:
    """Convert a date or duration, as the times of training were converted."""
    try:
        return float(as_times(np.array([time], object))[0])
    except DataError:
        raise DataError(argument="time", got=time, expected="a number, date or duration") from None


def _check_against_batch(ensemble: Ensemble, live: LiveSeries) -> None:
    """Check one random series with gaps: a live step must compute what the nets compute.

    Raises:
        SettingError: it does not.
    """
    rng, f = np.random.default_rng(0), ensemble.features
    configs = [member.net.config for member in ensemble.members]
    T = 3 + max(c.window * (c.dilation + 1) for c in configs)  # longer than any convolution
    if f.n_symbols:
        values = rng.integers(-1, f.n_symbols, T).astype(np.int32)
        symbols = tuple(range(f.n_symbols))
        series = Series(values, np.array([0, T]), ("symbol",), symbols=symbols)
    else:
        values = f.mean + f.scale * rng.standard_normal((T, len(f.mean)))
        values[rng.random(values.shape) < 0.3] = np.nan
        times = np.cumsum(f.unit * rng.uniform(0.5, 2.0, T)) if f.timed else None
        series = Series.of([values], times=times)
    expected = ensemble.outputs(series, "every step")
    numbers, live._numbers = live._numbers, None
    found = np.empty_like(expected)
    for t in range(T):
        time = None if series.times is None else float(series.times[t])
        found[t] = live.outputs(values[t], time)
    live._numbers = numbers
    live.reset()
    error = np.abs(found - expected).max() / (1.0 + np.abs(expected).max())
    if not error < 1e-3:
        raise SettingError(
            f"a live step differs from the nets by {error:.2g}: it does not compute these nets",
            argument="ensemble",
        )
