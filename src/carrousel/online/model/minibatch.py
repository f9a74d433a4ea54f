"""Mini-batches in the form of river, and weights of targets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError, RowError, ShapeError
from carrousel.online.model.encoding.heads import as_array
from carrousel.online.model.encoding.tables import as_table, is_frame
from carrousel.online.model.keys import listed_keys
from carrousel.shapes import Floats


class MiniBatches:
    """The part of :class:`OnlineLSTM` that river's mini-batch protocol consists of.

    Rows of a batch are consecutive rows of the stream. Results have the type of ``X``: series and
    frames of pandas (with the index of ``X``) or polars, else arrays and dicts of arrays.
    """

    partial_fit: Callable[..., Any]
    predict_one: Callable[..., Any]
    predict_proba_one: Callable[..., Any]
    task: str
    symbols: Any

    def learn_many(self, X: Any, y: Any = None, w: Any = 1.0, *, keys: Any = None) -> None:
        """Learn many rows in order (river).

        Args:
            X, y, keys: see :meth:`OnlineLSTM.run`.
            w: weight of all targets, or a weight for each.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=4, random_state=1)
        >>> model.learn_many({"a": [1.0, 2.0]}, [3.0, 4.0])
        >>> model.predict_many({"a": [3.0, 4.0]}).shape
        (2,)
        """
        weights = w if np.ndim(w) else np.full(_length(X), w)
        self.partial_fit(X, y, keys=keys, sample_weight=None if _ones(w) else weights)

    def predict_many(self, X: Any, *, keys: Any = None) -> Any:
        """Return the prediction of :meth:`OnlineLSTM.predict_one` at each row (river).

        Each row is predicted as if it were the next one. :meth:`OnlineLSTM.predict` predicts
        consecutive rows.
        """
        found = [self.predict_one(x, key) for x, key in self._each(X, keys)]
        if found and isinstance(found[0], Mapping):
            columns = {name: np.array([row[name] for row in found]) for name in found[0]}
            return _frame_like(X, columns, columns)
        if found and isinstance(found[0], np.ndarray):
            matrix = np.stack(found)
            return _frame_like(X, dict(enumerate(matrix.T)), matrix)
        return _series_like(X, as_array(found) if found else np.empty(0))

    def predict_proba_many(self, X: Any, *, keys: Any = None) -> Any:
        """Return the probability of each class at each row, a column for each class (river)."""
        found = [self.predict_proba_one(x, key) for x, key in self._each(X, keys)]
        names = list(found[0]) if found else []
        matrix = np.array([[row[name] for name in names] for row in found]).reshape(len(found), -1)
        return _frame_like(X, dict(zip(names, matrix.T, strict=True)), matrix)

    def _each(self, X: Any, keys: Any) -> Iterator[tuple[Any, Any]]:
        """Yield each row of a table with its key."""
        table = as_table(X, self.task == "next" or self.symbols is not None)
        names = [None] * len(table) if keys is None else listed_keys(keys) or []
        if len(names) != len(table):
            expected = f"{len(table)}, one for each row"
            problem = f"keys has {len(names)} entries, expected {expected}"
            raise ShapeError(problem, argument="keys", got=len(names), expected=expected)
        yield from zip(map(table.row, range(len(table))), names, strict=True)


def target_weights(weights: Any, rows: int) -> Annotated[Floats, "N"] | None:
    """Return the weights of the targets of some rows as an array.

    Raises:
        ShapeError: it is not one number for each row.
        RowError: a weight is negative or not finite.
    """
    if weights is None:
        return None
    expected = "one number of at least 0 for each row"
    try:
        found = np.asarray(weights)
        good = found.ndim == 1 and found.dtype.kind in "fiub"
    except ValueError:
        found, good = np.empty(0), False
    if not good:
        raise ShapeError(argument="weights", got=weights, expected=expected)
    if len(found) != rows:
        expected = f"{rows}, one for each row"
        problem = f"weights has {len(found)} entries, expected {expected}"
        raise ShapeError(problem, argument="weights", got=len(found), expected=expected)
    found = found.astype(np.float64)
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        row = int(bad.argmax())
        problem = f"weights[{row}] is {found[row]:g}, expected a finite number of at least 0"
        error = DataError(problem, argument="weights", got=float(found[row]), expected=expected)
        raise error.recast(RowError, row=row, outputs=np.empty(0))
    return found


def _ones(w: Any) -> bool:
    return np.ndim(w) == 0 and w == 1


def _length(X: Any) -> int:
    columns = dict(X) if isinstance(X, dict) else None
    return len(X) if columns is None else len(next(iter(columns.values())))


def _package_of(X: Any) -> Any:
    """Return pandas or polars if ``X`` is one of their frames, else None."""
    name = type(X).__module__.partition(".")[0]
    return sys.modules.get(name) if is_frame(X) and name in ("pandas", "polars") else None


def _series_like(X: Any, values: np.ndarray) -> Any:
    package = _package_of(X)
    if package is None:
        return values
    return package.Series(values, **({"index": X.index} if hasattr(X, "index") else {}))


def _frame_like(X: Any, columns: dict[Any, np.ndarray], plain: Any) -> Any:
    """Return a frame like ``X`` with some columns; ``plain`` where it is not a frame."""
    package = _package_of(X)
    if package is None:
        return plain
    if hasattr(X, "index"):
        return package.DataFrame(columns, index=X.index)
    return package.DataFrame({str(name): values for name, values in columns.items()})
