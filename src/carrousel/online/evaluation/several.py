"""Errors of several predicted numbers, of each and of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.online.evaluation.score import ErrorSummary, NumberScore
from carrousel.shapes import Bools, Floats, Ints


class SeveralScores:
    """Errors of several targets, which may have different units.

    A target is scored as by :class:`NumberScore`, over the rows where it is present. The errors of
    all targets together are in standard deviations of each target over the rows scored: ``mae`` is
    the mean of ``mae_k / s_k``, ``rmse`` the root of the mean of ``(rmse_k / s_k)^2``, and ``r2``
    the mean of ``r2_k``, over the targets that vary. The number of rows is that of the target with
    most.

    Args:
        names: of the targets.
        streams, window: see :class:`NumberScore`.

    >>> score = SeveralScores(("heat", "wind"))
    >>> targets = np.array([[1.0, 200.0], [3.0, 400.0], [5.0, np.nan], [3.0, 200.0]])
    >>> score.add(targets + [1.0, 100.0], targets).tolist()[1:3]
    [[1.0, 100.0], [1.0, nan]]
    >>> summary = score.whole()
    >>> summary.rows, summary.targets["wind"].errors["model"]["mae"]
    (3, 100.0)
    >>> round(summary.errors["model"]["mae"], 3)  # both are off by a deviation or so
    1.03
    """

    def __init__(self, names: Sequence[str], streams: int = 1, window: int = 1000) -> None:
        self.scores = {name: NumberScore(streams, window) for name in names}

    def add(
        self,
        predictions: Annotated[Floats, "N O"],
        targets: Annotated[Floats, "N O"],
        streams: Annotated[Ints, "N"] | None = None,
        begins: Annotated[Bools, "N"] | None = None,
    ) -> Annotated[Floats, "N O"]:
        """Score rows in order; return the absolute errors, see :meth:`NumberScore.add`."""
        found = [
            score.add(predictions[:, k], targets[:, k], streams, begins)
            for k, score in enumerate(self.scores.values())
        ]
        return np.column_stack(found)

    def whole(self) -> ErrorSummary:
        """Return the errors over all rows."""
        targets = {name: score.whole() for name, score in self.scores.items()}
        return self._together(targets, recent=False)

    def recent(self) -> ErrorSummary:
        """Return the errors over the last ``window`` rows of each target."""
        targets = {name: score.recent() for name, score in self.scores.items()}
        return self._together(targets, recent=True)

    def _together(self, targets: dict[str, ErrorSummary], *, recent: bool) -> ErrorSummary:
        rows = max(each.rows for each in targets.values())
        found = [score.moments(recent) for score in self.scores.values()]
        varied = [each for each in found if each.rows and each.variance[-1] > 0]
        rules = NumberScore.rules
        n = len(rules)
        errors: dict[str, dict[str, float | None]] = {}
        for k, rule in enumerate(rules):
            absolute = [each.mean[k] / np.sqrt(each.variance[-1]) for each in varied]
            squared = [each.mean[n + k] / each.variance[-1] for each in varied]
            share = float(np.mean(squared)) if varied else np.nan
            errors[rule] = {
                "mae": _finite(float(np.mean(absolute)) if varied else np.nan),
                "rmse": _finite(float(np.sqrt(share))),
                "r2": _finite(1 - share),
            }
        return ErrorSummary(rows, errors, targets)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the state, as arrays and as a value that JSON can hold, for :meth:`restore`."""
        arrays = {
            f"{k}.{name}": array
            for k, score in enumerate(self.scores.values())
            for name, array in score.state()[0].items()
        }
        return arrays, {"targets": list(self.scores)}

    def restore(self, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned; raises ShapeError if it does not fit."""
        for k, score in enumerate(self.scores.values()):
            start = f"{k}."
            own = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            score.restore(own, {})


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
