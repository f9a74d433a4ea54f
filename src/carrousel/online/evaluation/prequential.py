"""A model with its prequential score: each row is predicted, scored and then learned."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DivergedError, RowError
from carrousel.online.clean.rows import count_absent
from carrousel.online.evaluation.coverage import Coverage
from carrousel.online.evaluation.departure import Departures
from carrousel.online.evaluation.score import ClassScore, NumberScore
from carrousel.online.evaluation.several import SeveralScores
from carrousel.online.model.delays import LabelTimes
from carrousel.online.model.detailed import DetailedRun
from carrousel.online.model.horizons import check_level
from carrousel.online.model.model import OnlineLSTM
from carrousel.shapes import Floats

PREDICTION, NEXT = ("prediction", "probability"), ("next", "next_probability")
"""Columns of the prediction of a row's target, and of the target after it. Numbers have no
probability."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of rows.

    Attributes:
        rows: number of rows learned.
        absent: how many of them had no target.
        columns: name -> one value a row; None or NaN where there is none.
        error: why the next row was not learned; None: all rows were.
    """

    rows: int
    absent: int
    columns: dict[str, Any]
    error: RowError | DivergedError | None


class ScoredModel:
    """A model, its score, and the calibration of its anomaly scores.

    Args:
        model: learns the rows.
        late: whether targets are one row late: the next value of a column is predicted.
        window: rows that recent errors and anomaly scores are computed from.
        anomaly: whether to compute anomaly scores.
        targets: names of the columns that are predicted; several are numbers, and the columns of
            their predictions end with their names.
        level: of prediction intervals, one of those of the model; None: none are wanted.
    """

    def __init__(
        self,
        model: OnlineLSTM,
        *,
        late: bool,
        window: int,
        anomaly: bool,
        targets: tuple[str, ...] = ("target",),
        level: float | None = None,
    ) -> None:
        check_level(model, level)
        self.coverage = None if level is None else Coverage(level)
        self.model, self.late, self.targets = model, late, targets
        self.numbers = model.task == "regression"
        self.score: NumberScore | SeveralScores | ClassScore
        if len(targets) > 1:
            self.score = SeveralScores(targets, model.streams, window)
        else:
            self.score = (NumberScore if self.numbers else ClassScore)(model.streams, window)
        self.departures = Departures(targets, window, self.numbers) if anomaly else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that :meth:`learn` returns."""
        n = 1 if self.numbers else 2
        ranked = () if self.departures is None else self.departures.columns
        if len(self.targets) > 1:
            pairs = [f"{what}_{name}" for name in self.targets for what in ("target", "prediction")]
            later = [f"next_{name}" for name in self.targets] if self.late else []
            return (*pairs, *self._interval_names(), *ranked, *later, *self._lead_names())
        later = NEXT[:n] if self.late else ()
        return (
            *("target", *PREDICTION[:n], *self._interval_names()),
            *(*ranked, *later, *self._lead_names()),
        )

    def _interval_names(self) -> tuple[str, ...]:
        """Names of the bounds around the predictions of a row's own target."""
        if self.coverage is None:
            return ()
        return tuple(f"{side}{end}" for end in self._ends() for side in ("lower", "upper"))

    def _lead_names(self) -> tuple[str, ...]:
        """Names of the predictions further ahead, and of the bounds around all later ones."""
        found, ahead = [], self.model.ahead if self.numbers else 1
        stem = "next" if self.late else "prediction"
        for lead in range(1 + (not self.late), ahead + 1):
            for end in self._ends():
                name = f"{stem}_{lead}{end}" if lead > 1 else f"{stem}{end}"
                found += [name] if lead > 1 else []
                found += [f"{name}_lower", f"{name}_upper"] if self.coverage else []
        return tuple(found)

    def _ends(self) -> tuple[str, ...]:
        """What the names of columns end with, for each target."""
        return tuple(f"_{name}" for name in self.targets) if len(self.targets) > 1 else ("",)

    def _intervals(self, run: DetailedRun, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the bounds around the predictions of the rows' own targets, and count them."""
        if self.coverage is None or run.own_bounds is None:
            return {}
        lower, upper = run.own_bounds
        self.coverage.add(np.asarray(y, np.float64).reshape(lower.shape), lower, upper)
        sides = [side[:, k] for k in range(len(self.targets)) for side in (lower, upper)]
        return dict(zip(self._interval_names(), sides, strict=True))

    def _further(self, run: DetailedRun) -> dict[str, np.ndarray]:
        """Return the predictions further ahead, and the bounds around all later ones."""
        leads = run.outputs[:, None] if run.leads is None else run.leads
        found = []
        for lead in range(int(not self.late), leads.shape[1]):
            for k in range(len(self.targets)):
                found += [leads[:, lead, k]] if lead else []
                if run.lower is not None and run.upper is not None:
                    found += [run.lower[:, lead, k], run.upper[:, lead, k]]
        return dict(zip(self._lead_names(), found, strict=True))

    def check(
        self, x: Any, y: Any, keys: Sequence[Any] | None, label_times: LabelTimes | None = None
    ) -> None:
        """Try a first row on a copy of a model that has not seen one.

        Raises:
            CarrouselError: the model is set up wrongly, so that it could learn no row.
        """
        if not self.model.n_steps_:
            copied = deepcopy(self.model)
            copied.run_detailed(x, self._for_model(y), keys, self.late, label_times=label_times)

    def learn(
        self, x: Any, y: Any, keys: Sequence[Any] | None, label_times: LabelTimes | None = None
    ) -> Predictions:
        """Predict, score and learn rows in order, up to the first that the model refuses.

        Args:
            x: name of a column -> its values; or symbols.
            y: targets; numbers ``[N, O]`` if there are several.
            keys: of the streams; None: all rows belong to one.
            label_times: when the targets become known; None: by the ``delay`` of the model.
        """
        level = None if self.coverage is None else self.coverage.level
        how = {"level": level, "label_times": label_times}
        run = self.model.run_detailed(x, self._for_model(y), keys, self.late, **how)
        rows = len(run)
        if not rows:
            return Predictions(0, 0, {name: [] for name in self.names}, run.error)
        scored = self._score_numbers if self.numbers else self._score_classes
        columns, errors, forecasts = scored(run, y[:rows])
        if self.numbers:
            columns |= self._intervals(run, y[:rows])
        if self.departures is not None:
            columns |= self.departures.add(errors.reshape(rows, -1), forecasts)
        if self.late and len(self.targets) > 1:
            columns |= {f"next_{name}": run.outputs[:, k] for k, name in enumerate(self.targets)}
        elif self.late:
            columns |= zip(NEXT, self._answers(run.outputs, run.classes), strict=False)
        if self.numbers:
            columns |= self._further(run)
        return Predictions(rows, count_absent(y[:rows]), columns, run.error)

    def _for_model(self, y: Any) -> Any:
        """Return targets as the model accepts them."""
        if self.model.task == "next":
            return None
        if len(self.targets) > 1:
            return dict(zip(self.targets, y.T, strict=True))
        return y

    def _score_numbers(self, run: DetailedRun, y: Any) -> tuple[dict[str, Any], np.ndarray, Any]:
        columns: dict[str, Any] = {}
        if isinstance(self.score, SeveralScores):
            errors = self.score.add(run.forecasts, y, run.streams, run.begins)
            for k, name in enumerate(self.targets):
                columns[f"target_{name}"] = y[:, k]
                columns[f"prediction_{name}"] = run.forecasts[:, k]
            return columns, errors, run.forecasts
        assert isinstance(self.score, NumberScore)
        predictions = run.forecasts[:, 0]
        errors = self.score.add(predictions, y, run.streams, run.begins)
        return {"target": y, PREDICTION[0]: predictions}, errors, run.forecasts

    def _score_classes(self, run: DetailedRun, y: Any) -> tuple[dict[str, Any], np.ndarray, Any]:
        assert isinstance(self.score, ClassScore)
        places = {label: n for n, label in enumerate(run.classes)}
        codes = np.array([places.get(label, -1) for label in y])  # -1: the last column
        padded = np.column_stack([run.forecasts, np.zeros(len(run))])
        given = padded[np.arange(len(run)), codes]
        labels, probabilities = self._answers(run.forecasts, run.classes)
        errors = self.score.add(labels, given, y, run.streams, run.begins)
        columns = {"target": y, PREDICTION[0]: labels, PREDICTION[1]: probabilities}
        return columns, errors, labels

    def _answers(
        self, outputs: Annotated[Floats, "N classes"], classes: Sequence[Hashable]
    ) -> tuple[Any, ...]:
        """Return numbers; or the most likely classes and their probabilities."""
        if self.numbers:
            return (outputs[:, 0],)
        padded = np.column_stack([outputs, np.zeros(len(outputs))])  # last column: no class
        best = padded.argmax(axis=1)
        best[padded.max(axis=1) <= 0] = len(classes)
        chance = padded[np.arange(len(outputs)), best]
        labels = [*classes, None]
        return [labels[n] for n in best.tolist()], np.where(chance > 0, chance, np.nan)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all but the model, as arrays and as a value that JSON can hold."""
        arrays, score = self.score.state()
        named = {f"score.{name}": array for name, array in arrays.items()}
        if self.coverage is not None:
            named |= {f"coverage.{name}": each for name, each in self.coverage.state().items()}
        explained = False
        if self.departures is not None:
            found, explained = self.departures.state(), self.departures.explained
            named |= {f"calibration.{name}": array for name, array in found.items()}
        return named, {"score": score, "explained": explained}

    def restore(self, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Earlier versions kept the last forecasts here; they go to the model.
        """
        parts: dict[str, dict[str, np.ndarray]] = {"score": {}, "calibration": {}, "coverage": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            if rest:
                parts[part][rest] = array
        self.score.restore(parts["score"], plain["score"])
        if self.coverage is not None:
            self.coverage.restore(parts["coverage"])
        if self.departures is not None:
            self.departures.restore(parts["calibration"])
            self.departures.explained = plain.get("explained", False)
        if self.late and "held" in arrays:
            self.model.restore_forecasts(arrays["held"], plain["classes"])
