"""Mini-batches in the form of river, and weights of targets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError, RowError, ShapeError
from carrousel.online.model.encoding.tables import is_frame
from carrousel.online.model.engine import Engine
from carrousel.shapes import Floats


class MiniBatches:
    """The part of :class:`OnlineLSTM` that river's mini-batch protocol consists of.

    Rows of a batch are consecutive rows of the stream. Results have the type of ``X``: series and
    frames of pandas (with the index of ``X``) or polars, else arrays and dicts of arrays.
    """

    partial_fit: Callable[..., Any]
    predict: Callable[..., Any]
    predict_proba: Callable[..., Any]
    _engine: Engine | None
    _check_call: Callable[..., None]

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
        """Return predictions for the next rows, without changing the model (river).

        A copy of the model advances through the rows without learning.
        """
        found = self.predict(X, keys=keys)
        if isinstance(found, dict) or found.ndim == 2:
            named = found if isinstance(found, dict) else dict(enumerate(found.T))
            return _frame_like(X, named, found)
        return _series_like(X, found)

    def predict_proba_many(self, X: Any, *, keys: Any = None) -> Any:
        """Return the probability of each class for the next rows: a column for each class."""
        self._check_call(None, proba=True)
        found = self.predict_proba(X, keys=keys)
        engine = self._engine  # None: no row has been learned
        classes = range(found.shape[1]) if engine is None else engine.head.classes
        return _frame_like(X, dict(zip(classes, found.T, strict=True)), found)


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
