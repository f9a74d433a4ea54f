"""How well a stream is predicted so far: each row by what was known before it, beside naive rules.

Prequential error (Dawid 1984; Gama, Sebastião & Rodrigues 2013): every prediction is made before
its target is learned and counts once, so that all rows test and all rows train. A naive rule is
scored in the same way on the same rows: those with a target whose stream had one before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import ShapeError
from carrousel.shapes import Bools, Floats, Ints

MODEL = "model"
MOST_BITS = 24.0
"""Log loss of one row is at most this: what is less likely than one in 2^24 is not told apart."""


@dataclass(frozen=True)
class Figures:
    """Errors over some rows.

    Args:
        rows: how many were scored.
        errors: by name of what predicts (``"model"`` first), then by name of the measure; None
            where a measure says nothing.
    """

    rows: int
    errors: dict[str, dict[str, float | None]]


class Moments(NamedTuple):
    """Of some rows: how many, and means and variances of their columns."""

    rows: int
    mean: np.ndarray
    variance: np.ndarray


class Ledger:
    """Means and variances of columns, over all rows and over the last ``window``, in a fixed space.

    Sums are taken over whole windows, wherever batches begin and end: figures depend on the rows
    alone, to the last bit. Windows are merged after Chan, Golub & LeVeque 1983.

    >>> ledger = Ledger(1, window=2)
    >>> ledger.add(np.array([[1.0], [2.0], [9.0]]))
    >>> ledger.whole()
    Moments(rows=3, mean=array([4.]), variance=array([12.66666667]))
    >>> ledger.recent()
    Moments(rows=2, mean=array([5.5]), variance=array([12.25]))
    """

    def __init__(self, columns: int, window: int) -> None:
        self.window = check_int("window", window, minimum=1)
        self._ring = np.zeros((self.window, columns))
        self._rows = 0
        self._merged = _moments(self._ring[:0])

    def add(self, rows: Annotated[Floats, "N C"]) -> None:
        """Enter rows."""
        while len(rows):
            place = self._rows % self.window
            part, rows = rows[: self.window - place], rows[self.window - place :]
            self._ring[place : place + len(part)] = part
            self._rows += len(part)
            if self._rows % self.window == 0:
                self._merged = _merged(self._merged, _moments(self._ring))

    def whole(self) -> Moments:
        """Of all that was entered."""
        return _merged(self._merged, _moments(self._ring[: self._rows % self.window]))

    def recent(self) -> Moments:
        """Of the last ``window`` rows."""
        return _moments(self._ring[: min(self._rows, self.window)])

    def state(self) -> dict[str, np.ndarray]:
        """All that is known, for :meth:`restore`."""
        merged = np.stack([self._merged.mean, self._merged.variance])
        return {"ring": self._ring.copy(), "rows": np.array(self._rows), "merged": merged}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where :meth:`state` was taken; raises ShapeError where it does not fit."""
        if state["ring"].shape != self._ring.shape:
            raise ShapeError(
                f"state has a window of shape {state['ring'].shape}, expected {self._ring.shape}"
            )
        self._ring[:] = state["ring"]
        self._rows = int(state["rows"])
        mean, variance = state["merged"].copy()
        self._merged = Moments(self._rows - self._rows % self.window, mean, variance)


class NumberScore:
    """Errors of predicted numbers, beside the last value and the running mean of the same stream.

    Measures are ``mae``, ``rmse`` and ``r2``: one minus the mean squared error over the variance
    of the targets scored.

    Args:
        streams: how many; each has its own last value and mean.
        window: rows that :meth:`recent` looks back on.

    >>> score = NumberScore()
    >>> score.add(np.array([5.0, 2.0, 4.0]), np.array([1.0, 3.0, 5.0]))
    array([4., 1., 1.])
    >>> score.whole().errors["model"]["mae"], score.whole().errors["last value"]["mae"]
    (1.0, 2.0)
    """

    rules = (MODEL, "last value", "running mean")

    def __init__(self, streams: int = 1, window: int = 1000) -> None:
        self._ledger = Ledger(2 * len(self.rules) + 1, window)
        n = check_int("streams", streams, minimum=1)
        self._seen, self._sum, self._last = [0] * n, [0.0] * n, [0.0] * n

    def add(
        self,
        predictions: Annotated[Floats, "N"],
        targets: Annotated[Floats, "N"],
        streams: Annotated[Ints, "N"] | None = None,
        fresh: Annotated[Bools, "N"] | None = None,
    ) -> Annotated[Floats, "N"]:
        """Score rows in order.

        Args:
            predictions: NaN where there is none.
            targets: NaN where there is none.
            streams: of each row, from 0 on; None: all the same.
            fresh: rows that begin their stream anew; None: none does.

        Returns:
            Absolute errors of the model; NaN where there is no prediction or no target.
        """
        n = len(targets)
        places = [0] * n if streams is None else streams.tolist()
        anew = [False] * n if fresh is None else fresh.tolist()
        naive = [self._meet(*row) for row in zip(places, anew, targets.tolist(), strict=True)]
        last, mean = np.array(naive, np.float64).reshape(n, 2).T
        with np.errstate(over="ignore"):  # a square of 1e200 is infinite, and shown as such
            off = np.abs(np.stack([predictions, last, mean]) - targets)
            scored = ~np.isnan(off).any(axis=0)
            self._ledger.add(np.vstack([off, off**2, targets])[:, scored].T)
        return off[0]

    def _meet(self, stream: int, anew: bool, y: float) -> tuple[float, float]:
        """What naive rules say of the next target of a stream; it is then counted."""
        if anew:
            self._seen[stream], self._sum[stream] = 0, 0.0
        if math.isnan(y):
            return math.nan, math.nan
        seen, total, last = self._seen[stream], self._sum[stream], self._last[stream]
        self._seen[stream], self._sum[stream], self._last[stream] = seen + 1, total + y, y
        return (last, total / seen) if seen else (math.nan, math.nan)

    def whole(self) -> Figures:
        """Errors over all rows."""
        return self._figures(self._ledger.whole())

    def recent(self) -> Figures:
        """Errors over the last ``window`` rows."""
        return self._figures(self._ledger.recent())

    def _figures(self, found: Moments) -> Figures:
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
        return Figures(rows, errors)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that is known, as arrays and as what JSON can hold, for :meth:`restore`."""
        tracks = np.array([self._seen, self._sum, self._last])
        return {"tracks": tracks, **self._ledger.state()}, {}

    def restore(self, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> None:
        """Go on where :meth:`state` was taken; raises ShapeError where it does not fit."""
        _check_streams(arrays["tracks"], len(self._last))
        seen, self._sum, self._last = arrays["tracks"].tolist()
        self._seen = [int(each) for each in seen]
        self._ledger.restore(arrays)


class ClassScore:
    """Errors of predicted classes, beside the last and the commonest class of the same stream.

    Measures are ``accuracy`` and ``bits``, the mean of ``-log2`` of the probability given to the
    class that came (at most 24 for one row). The commonest class gives each class ``(c + 1) / (n +
    k + 1)``: ``c`` of ``n`` targets before were of it, ``k`` are the classes met (Laplace's rule,
    with one more for what has not been met). The last class alone gives no probabilities.

    Args:
        streams: how many; each counts its own classes.
        window: rows that :meth:`recent` looks back on.

    >>> score = ClassScore()
    >>> score.add(["a", "a", "b"], np.array([0.5, 0.5, 0.25]), ["a", "a", "a"])
    array([1., 1., 2.])
    >>> score.whole().errors["model"]
    {'accuracy': 0.5, 'bits': 1.5}
    """

    rules = (MODEL, "last class", "commonest class")

    def __init__(self, streams: int = 1, window: int = 1000) -> None:
        self._ledger = Ledger(5, window)
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
        fresh: Annotated[Bools, "N"] | None = None,
    ) -> Annotated[Floats, "N"]:
        """Score rows in order.

        Args:
            predictions: classes; None where there is none.
            probabilities: that the model gave to the class that came; 0 if it knew no such class.
            targets: classes that came; None where there is none.
            streams: of each row, from 0 on; None: all the same.
            fresh: rows that begin their stream anew; None: none does.

        Returns:
            ``-log2`` of the probabilities; NaN where there is no prediction or no target.
        """
        n = len(targets)
        places = [0] * n if streams is None else streams.tolist()
        anew = [False] * n if fresh is None else fresh.tolist()
        naive = [
            self._meet(*row) for row in zip(places, anew, targets, strict=True)
        ]  # (last was right, commonest was right, share of what came); None on first targets
        unknown = [a is None or b is None for a, b in zip(predictions, targets, strict=True)]
        with np.errstate(divide="ignore"):  # of 0: cut off
            bits = np.where(unknown, np.nan, np.minimum(-np.log2(probabilities), MOST_BITS))
        scored = [row for row in range(n) if naive[row] is not None and not unknown[row]]
        if scored:
            hits = [predictions[row] == targets[row] for row in scored]
            rules = np.array([naive[row] for row in scored], np.float64)
            rules[:, 2] = np.minimum(-np.log2(rules[:, 2]), MOST_BITS)
            self._ledger.add(np.column_stack([hits, rules[:, :2], bits[scored], rules[:, 2]]))
        return bits

    def _meet(self, stream: int, anew: bool, target: Any) -> tuple[bool, bool, float] | None:
        """What naive rules say of the next target of a stream; it is then counted."""
        if anew:
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

    def whole(self) -> Figures:
        """Errors over all rows."""
        return self._figures(self._ledger.whole())

    def recent(self) -> Figures:
        """Errors over the last ``window`` rows."""
        return self._figures(self._ledger.recent())

    def _figures(self, found: Moments) -> Figures:
        rows, mean, _ = found
        bits = {MODEL: mean[3], self.rules[2]: mean[4]}
        return Figures(
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
        """All that is known, as arrays and as what JSON can hold, for :meth:`restore`."""
        counted = [(s, c, n) for s, counts in enumerate(self._counts) for c, n in counts.items()]
        tracks = np.array([self._seen, self._last, self._most], np.int64)
        table = np.array(counted, np.int64).reshape(-1, 3)
        return {"tracks": tracks, "counts": table, **self._ledger.state()}, {
            "classes": list(self.classes)
        }

    def restore(self, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> None:
        """Go on where :meth:`state` was taken; raises ShapeError where it does not fit."""
        _check_streams(arrays["tracks"], len(self._seen))
        self._ledger.restore(arrays)
        self.classes = list(plain["classes"])
        self._codes = {label: code for code, label in enumerate(self.classes)}
        self._seen, self._last, self._most = arrays["tracks"].tolist()
        self._counts = [{} for _ in self._seen]
        for stream, code, count in arrays["counts"].tolist():
            self._counts[stream][code] = count


Score = NumberScore | ClassScore


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


def _check_streams(tracks: np.ndarray, streams: int) -> None:
    if tracks.shape != (3, streams):
        raise ShapeError(f"state is of {tracks.shape[-1]} streams, expected {streams}")
