"""Prequential errors of a model, next to those of naive rules.

Every prediction is made before its target is learned and counts once, so all rows are used for
testing and for training (Dawid 1984; Gama, Sebastião & Rodrigues 2013). Naive rules are scored in
the same way on the same rows: those with a target whose stream had one before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import ShapeError
from carrousel.shapes import Bools, Floats, Ints

MODEL = "model"
MOST_BITS = 24.0
"""Upper limit of the log loss of one row, that of a probability of 2^-24."""


@dataclass(frozen=True)
class ErrorSummary:
    """Errors over some rows.

    Attributes:
        rows: number of rows scored.
        errors: name of the predictor (``"model"`` first) -> name of the measure -> its value; None
            where the measure is undefined.
        targets: where several columns are predicted, the errors of each.
    """

    rows: int
    errors: dict[str, dict[str, float | None]]
    targets: dict[str, ErrorSummary] = field(default_factory=dict)


class Moments(NamedTuple):
    """Number of rows, and mean and variance of each column, ``[columns]``."""

    rows: int
    mean: np.ndarray
    variance: np.ndarray


class RunningMoments:
    """Means and variances of columns over all rows and over the last ``window``, in fixed memory.

    Sums are taken over whole windows, so results do not depend on the batches, to the last bit.
    Windows are merged by the formula of Chan, Golub & LeVeque 1983.

    >>> moments = RunningMoments(1, window=2)
    >>> moments.add(np.array([[1.0], [2.0], [9.0]]))
    >>> moments.whole()
    Moments(rows=3, mean=array([4.]), variance=array([12.66666667]))
    >>> moments.recent()
    Moments(rows=2, mean=array([5.5]), variance=array([12.25]))
    """

    def __init__(self, columns: int, window: int) -> None:
        self.window = check_int("window", window, minimum=1)
        self._ring = np.zeros((self.window, columns))
        self._rows = 0
        self._merged = _moments(self._ring[:0])

    def add(self, rows: Annotated[Floats, "N columns"]) -> None:
        """Add rows."""
        while len(rows):
            place = self._rows % self.window
            part, rows = rows[: self.window - place], rows[self.window - place :]
            self._ring[place : place + len(part)] = part
            self._rows += len(part)
            if self._rows % self.window == 0:
                self._merged = _merged(self._merged, _moments(self._ring))

    def whole(self) -> Moments:
        """Moments of all rows."""
        return _merged(self._merged, _moments(self._ring[: self._rows % self.window]))

    def recent(self) -> Moments:
        """Moments of the last ``window`` rows."""
        return _moments(self._ring[: min(self._rows, self.window)])

    def state(self) -> dict[str, np.ndarray]:
        """Return the state, for :meth:`restore`."""
        merged = np.stack([self._merged.mean, self._merged.variance])
        return {"ring": self._ring.copy(), "rows": np.array(self._rows), "merged": merged}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned; raises ShapeError if it does not fit."""
        if state["ring"].shape != self._ring.shape:
            raise ShapeError(
                f"state has a window of shape {state['ring'].shape}, expected {self._ring.shape}"
            )
        self._ring[:] = state["ring"]
        self._rows = int(state["rows"])
        mean, variance = state["merged"].copy()
        self._merged = Moments(self._rows - self._rows % self.window, mean, variance)


class NumberScore:
    """Errors of predicted numbers, and of the last value and the running mean of each stream.

    Measures are ``mae``, ``rmse`` and ``r2``, which is one minus the mean squared error over the
    variance of the targets.

    Args:
        streams: number of streams; each has its own last value and mean.
        window: number of rows for :meth:`recent`.

    >>> score = NumberScore()
    >>> score.add(np.array([5.0, 2.0, 4.0]), np.array([1.0, 3.0, 5.0]))
    array([4., 1., 1.])
    >>> score.whole().errors["model"]["mae"], score.whole().errors["last value"]["mae"]
    (1.0, 2.0)
    """

    rules = (MODEL, "last value", "running mean")

    def __init__(self, streams: int = 1, window: int = 1000) -> None:
        self._moments = RunningMoments(2 * len(self.rules) + 1, window)
        n = check_int("streams", streams, minimum=1)
        self._seen, self._sum, self._last = [0] * n, [0.0] * n, [0.0] * n

    def add(
        self,
        predictions: Annotated[Floats, "N"],
        targets: Annotated[Floats, "N"],
        streams: Annotated[Ints, "N"] | None = None,
        begins: Annotated[Bools, "N"] | None = None,
    ) -> Annotated[Floats, "N"]:
        """Score rows in order.

        Args:
            predictions: NaN where missing.
            targets: NaN where missing.
            streams: index of each row's stream, from 0; None: one stream.
            begins: whether the row is the first of its stream; None: none is.

        Returns:
            Absolute errors of the model; NaN where there is no prediction or no target.
        """
        n = len(targets)
        places = [0] * n if streams is None else streams.tolist()
        first = [False] * n if begins is None else begins.tolist()
        naive = [self._naive(*row) for row in zip(places, first, targets.tolist(), strict=True)]
        last, mean = np.array(naive, np.float64).reshape(n, 2).T
        with np.errstate(over="ignore"):  # the square of 1e200 is infinite
            off = np.abs(np.stack([predictions, last, mean]) - targets)
            scored = ~np.isnan(off).any(axis=0)
            self._moments.add(np.vstack([off, off**2, targets])[:, scored].T)
        return off[0]

    def _naive(self, stream: int, first: bool, y: float) -> tuple[float, float]:
        """Return the naive predictions of a stream's next target, and add the target."""
        if first:
            self._seen[stream], self._sum[stream] = 0, 0.0
        if math.isnan(y):
            return math.nan, math.nan
        seen, total, last = self._seen[stream], self._sum[stream], self._last[stream]
        self._seen[stream], self._sum[stream], self._last[stream] = seen + 1, total + y, y
        return (last, total / seen) if seen else (math.nan, math.nan)

    def moments(self, recent: bool = False) -> Moments:
        """Return moments of absolute errors and of squared errors by rule, and of targets."""
        return self._moments.recent() if recent else self._moments.whole()

    def whole(self) -> ErrorSummary:
        """Return the errors over all rows."""
        return self._summary(self._moments.whole())

    def recent(self) -> ErrorSummary:
        """Return the errors over the last ``window`` rows."""
        return self._summary(self._moments.recent())

    def _summary(self, found: Moments) -> ErrorSummary:
        rows, mean, variance = found
        errors: dict[str, dict[str, float | None]] = {}
        n = len(self.rules)
        for k, rule in enumerate(self.rules):
            varied = rows and variance[-1] > 0
            errors[rule] = {
                "mae": _shown(mean[k]) if rows else None,
                "rmse": _shown(np.sqrt(mean[n + k])) if rows else None,
                "r2": _shown(1 - mean[n + k] / variance[-1]) if varied else None,
            }
        return ErrorSummary(rows, errors)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the state, as arrays and as a value that JSON can hold, for :meth:`restore`."""
        tracks = np.array([self._seen, self._sum, self._last])
        return {"tracks": tracks, **self._moments.state()}, {}

    def restore(self, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned; raises ShapeError if it does not fit."""
        tracks = _of_streams(arrays["tracks"], len(self._last), (0.0, 0.0, 0.0))
        seen, self._sum, self._last = tracks.tolist()
        self._seen = [int(each) for each in seen]
        self._moments.restore(arrays)


class ClassScore:
    """Errors of predicted classes, and of the last and the commonest class of each stream.

    Measures are ``accuracy`` and ``bits``, the mean of ``-log2`` of the probability of the target
    (at most 24 for one row). The rule of the commonest class gives a class the probability
    ``(c + 1) / (n + k + 1)``, where ``c`` of the ``n`` targets before had that class and ``k`` is
    the number of classes so far (Laplace's rule, with one more class for new ones). The rule of the
    last class has no probabilities.

    Args:
        streams: number of streams; each counts its own classes.
        window: number of rows for :meth:`recent`.

    >>> score = ClassScore()
    >>> score.add(["a", "a", "b"], np.array([0.5, 0.5, 0.25]), ["a", "a", "a"])
    array([1., 1., 2.])
    >>> score.whole().errors["model"]
    {'accuracy': 0.5, 'bits': 1.5}
    """

    rules = (MODEL, "last class", "commonest class")

    def __init__(self, streams: int = 1, window: int = 1000) -> None:
        self._moments = RunningMoments(5, window)
        n = check_int("streams", streams, minimum=1)
        self.classes: list[Any] = []
        self._codes: dict[Any, int] = {}
        self._counts: list[dict[int, int]] = [{} for _ in range(n)]
        self._seen, self._last, self._most = [0] * n, [-1] * n, [-1] * n

    def add(
        self,
        predictions: Sequence[Any],
        probabilities: Annotated[Floats, "N"],
        targets: Sequence[Any],
        streams: Annotated[Ints, "N"] | None = None,
        begins: Annotated[Bools, "N"] | None = None,
    ) -> Annotated[Floats, "N"]:
        """Score rows in order.

        Args:
            predictions: classes; None where missing.
            probabilities: that the model gave to the target; 0 if the class was new to it.
            targets: classes; None where missing.
            streams: index of each row's stream, from 0; None: one stream.
            begins: whether the row is the first of its stream; None: none is.

        Returns:
            ``-log2`` of the probabilities; NaN where there is no prediction or no target.
        """
        n = len(targets)
        places = [0] * n if streams is None else streams.tolist()
        first = [False] * n if begins is None else begins.tolist()
        naive = [
            self._naive(*row) for row in zip(places, first, targets, strict=True)
        ]  # (last is right, commonest is right, probability); None on first targets
        unknown = [a is None or b is None for a, b in zip(predictions, targets, strict=True)]
        with np.errstate(divide="ignore"):  # log2(0) is clipped
            bits = np.where(unknown, np.nan, np.minimum(-np.log2(probabilities), MOST_BITS))
        scored = [row for row in range(n) if naive[row] is not None and not unknown[row]]
        if scored:
            hits = [predictions[row] == targets[row] for row in scored]
            rules = np.array([naive[row] for row in scored], np.float64)
            rules[:, 2] = np.minimum(-np.log2(rules[:, 2]), MOST_BITS)
            self._moments.add(np.column_stack([hits, rules[:, :2], bits[scored], rules[:, 2]]))
        return bits

    def _naive(self, stream: int, first: bool, target: Any) -> tuple[bool, bool, float] | None:
        """Score the naive predictions of a stream's next target, and add the target."""
        if first:
            self._counts[stream] = {}
            self._seen[stream], self._last[stream], self._most[stream] = 0, -1, -1
        if target is None:
            return None
        code = self._codes.setdefault(target, len(self.classes))
        if code == len(self.classes):
            self.classes.append(target)
        seen, counts, most = self._seen[stream], self._counts[stream], self._most[stream]
        count = counts.get(code, 0)
        last, self._last[stream] = self._last[stream], code
        counts[code], self._seen[stream] = count + 1, seen + 1
        if count + 1 > counts.get(most, 0):
            self._most[stream] = code
        if not seen:
            return None
        known = len(counts) - (count == 0)
        return last == code, most == code, (count + 1) / (seen + known + 1)

    def whole(self) -> ErrorSummary:
        """Return the errors over all rows."""
        return self._summary(self._moments.whole())

    def recent(self) -> ErrorSummary:
        """Return the errors over the last ``window`` rows."""
        return self._summary(self._moments.recent())

    def _summary(self, found: Moments) -> ErrorSummary:
        rows, mean, _ = found
        bits = {MODEL: mean[3], self.rules[2]: mean[4]}
        return ErrorSummary(
            rows,
            {
                rule: {
                    "accuracy": _shown(mean[k]) if rows else None,
                    "bits": _shown(bits[rule]) if rows and rule in bits else None,
                }
                for k, rule in enumerate(self.rules)
            },
        )

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the state, as arrays and as a value that JSON can hold, for :meth:`restore`."""
        counted = [(s, c, n) for s, counts in enumerate(self._counts) for c, n in counts.items()]
        tracks = np.array([self._seen, self._last, self._most], np.int64)
        table = np.array(counted, np.int64).reshape(-1, 3)
        return {"tracks": tracks, "counts": table, **self._moments.state()}, {
            "classes": list(self.classes)
        }

    def restore(self, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned; raises ShapeError if it does not fit."""
        tracks = _of_streams(arrays["tracks"], len(self._seen), (0, -1, -1))
        self._moments.restore(arrays)
        self.classes = list(plain["classes"])
        self._codes = {label: code for code, label in enumerate(self.classes)}
        self._seen, self._last, self._most = tracks.tolist()
        self._counts = [{} for _ in self._seen]
        for stream, code, count in arrays["counts"].tolist():
            self._counts[stream][code] = count


class Score(Protocol):
    """Errors of predictions, over all rows and over the last ones."""

    def whole(self) -> ErrorSummary: ...
    def recent(self) -> ErrorSummary: ...
    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]: ...
    def restore(self, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> None: ...


def _moments(rows: np.ndarray) -> Moments:
    if not len(rows):
        return Moments(0, np.zeros(rows.shape[1]), np.zeros(rows.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):  # infinite errors have no variance
        return Moments(len(rows), rows.mean(axis=0), rows.var(axis=0))


def _merged(a: Moments, b: Moments) -> Moments:
    n = a.rows + b.rows
    share = b.rows / max(n, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        off = b.mean - a.mean
        variance = (1 - share) * a.variance + share * b.variance + share * (1 - share) * off * off
        return Moments(n, a.mean + share * off, variance)


def _shown(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _of_streams(tracks: np.ndarray, streams: int, new: tuple[float, ...]) -> np.ndarray:
    """Return the tracks of streams, with those of new streams added; ShapeError if too many."""
    if tracks.shape[0] != 3 or tracks.shape[-1] > streams:
        raise ShapeError(f"state has {tracks.shape[-1]} streams, expected at most {streams}")
    more = np.repeat(np.array(new, tracks.dtype)[:, None], streams - tracks.shape[-1], axis=1)
    return np.hstack([tracks, more])
