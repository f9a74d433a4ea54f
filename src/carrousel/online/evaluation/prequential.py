"""What becomes of rows of a stream: predicted, scored, learned, ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.errors import DivergedError, RowError
from carrousel.online.evaluation.anomaly import Calibration
from carrousel.online.evaluation.score import ClassScore, NumberScore
from carrousel.online.model.keys import Keys
from carrousel.online.model.model import OnlineLSTM

if TYPE_CHECKING:
    from carrousel.online.evaluation.settings import Wish


SAID, AHEAD = ("prediction", "probability"), ("next", "next_probability")
"""Columns of what was said of a row's target, and of the one after it; numbers have the first."""


@dataclass(frozen=True)
class Told:
    """What was said of rows.

    Args:
        rows: how many were taken.
        columns: by name, one value for each; None or NaN where there is none.
        error: why the row after these was not taken; None: all were.
    """

    rows: int
    columns: dict[str, Any]
    error: RowError | DivergedError | None


class Learner:
    """A model, its score, its calibration, and forecasts whose targets are yet to come.

    Args:
        wish: what was asked for.
        task: of the model.
    """

    def __init__(self, wish: Wish, task: str) -> None:
        self.task, self.late = task, wish.predict_next is not None
        self.model = OnlineLSTM(
            task,
            cells=wish.cells,
            forget_gate=not wish.no_forget_gate,
            gradient=wish.gradient,
            optimizer=wish.optimizer,
            learning_rate=wish.rate,
            decay=wish.decay or None,
            standardise=not wish.no_standardise,
            horizon=wish.horizon,
            missing=wish.missing,
            unseen=wish.unseen,
            streams=wish.n_streams,
            evict_after=wish.evict_after,
            random_state=wish.seed,
        )
        self.numbers = task == "regression"
        kind = NumberScore if self.numbers else ClassScore
        self.score: NumberScore | ClassScore = kind(wish.n_streams, wish.window)
        least = min(100, wish.window)
        self.calibration = Calibration(wish.window, least=least) if wish.anomaly else None
        self._keys = Keys(wish.n_streams, wish.evict_after)
        self._rows = 0
        self._held = self._none(
            wish.n_streams, int(self.numbers)
        )  # the forecast made last on each stream
        self._met: set[int] | None = set()  # streams, until a target is learned
        self._classes: list[Any] = []  # met so far, in the order of the model's outputs

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that :meth:`take` gives."""
        n = 1 if self.numbers else 2
        ranked = ("anomaly",) if self.calibration is not None else ()
        return ("target", *SAID[:n], *ranked, *(AHEAD[:n] if self.late else ()))

    def take(self, x: Any, y: Any, keys: Sequence[Any] | None, rows: int) -> Told:
        """Take rows in order, up to the first that the model refuses.

        Args:
            x: by name of a column its values, or symbols alone.
            y: targets.
            keys: of the streams.
            rows: how many there are.
        """
        error: RowError | DivergedError | None = None
        settings: dict[str, Any] = {"proba": not self.numbers, "late": self.late}
        settings |= {} if self.task == "next" else {"y": y}
        try:
            outputs = self.model.run(x, keys=keys, **settings)
        except (RowError, DivergedError) as problem:
            error, rows = problem, problem.row
            outputs = np.empty(0) if problem.outputs is None else problem.outputs
        if not rows:
            return Told(0, {name: [] for name in self.names}, error)
        outputs = outputs.reshape(rows, -1)
        if not self.numbers:
            self._meet(y[:rows])
            outputs = outputs[:, : len(self._classes)]
        streams, fresh = self._places(keys, rows)
        self._unsay(outputs, y, streams)
        said = self._before(outputs, streams, fresh) if self.late else outputs
        columns, errors = (self._number if self.numbers else self._class)(
            said, y[:rows], streams, fresh
        )
        if self.calibration is not None:
            columns["anomaly"] = self.calibration.add(errors)
        if self.late:
            columns |= zip(AHEAD, self._answers(outputs), strict=False)
        self._rows += rows
        return Told(rows, columns, error)

    def _unsay(self, outputs: np.ndarray, y: Any, streams: np.ndarray) -> None:
        """Take back numbers that were said before the first target was learned: of no scale."""
        if self._met is None or not self.numbers:
            return
        for row, stream in enumerate(streams.tolist()):
            learned = not np.isnan(y[row]) and (not self.late or stream in self._met)
            if not (learned and self.late):
                outputs[row] = np.nan
            if learned:
                self._met = None
                return
            self._met.add(stream)

    # --- numbers and classes ----------------------------------------------------------------

    def _number(
        self, said: np.ndarray, y: Any, streams: np.ndarray, fresh: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        assert isinstance(self.score, NumberScore)
        errors = self.score.add(said[:, 0], y, streams, fresh)
        return {"target": y, SAID[0]: said[:, 0]}, errors

    def _class(
        self, said: np.ndarray, y: Any, streams: np.ndarray, fresh: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        assert isinstance(self.score, ClassScore)
        places = {label: n for n, label in enumerate(self._classes)}
        codes = np.array([places.get(label, -1) for label in y])  # -1: the last column
        padded = np.column_stack([said, np.zeros(len(said))])
        given = padded[np.arange(len(said)), codes]
        labels, probabilities = self._answers(said)
        errors = self.score.add(labels, given, y, streams, fresh)
        return {"target": y, SAID[0]: labels, SAID[1]: probabilities}, errors

    def _answers(self, said: np.ndarray) -> tuple[Any, ...]:
        """Predictions, and for classes the probability of each."""
        if self.numbers:
            return (said[:, 0],)
        padded = np.column_stack([said, np.zeros(len(said))])  # nothing is likely: no class
        best = padded.argmax(axis=1)
        best[padded.max(axis=1) <= 0] = len(self._classes)
        chance = padded[np.arange(len(said)), best]
        labels = [*self._classes, None]
        return [labels[n] for n in best.tolist()], np.where(chance > 0, chance, np.nan)

    # --- streams ----------------------------------------------------------------------------

    def _places(self, keys: Sequence[Any] | None, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """The place of each row's stream, and which rows begin one anew: as the model has it."""
        if keys is None:
            return np.zeros(rows, np.intp), np.zeros(rows, bool)
        taken = [self._keys.take(key, n) for n, key in enumerate(keys[:rows], self._rows)]
        places, fresh = zip(*taken, strict=True)
        return np.array(places), np.array(fresh)

    def _before(self, outputs: np.ndarray, streams: np.ndarray, fresh: np.ndarray) -> np.ndarray:
        """What was said at the row before of the same stream; what is said now is held."""
        order = np.argsort(streams, kind="stable")
        first = np.diff(streams[order], prepend=-1) != 0
        last = np.append(first[1:], True)
        before = np.empty_like(outputs)
        before[order[1:]] = outputs[order[:-1]]
        before[order[first]] = self._held[streams[order[first]]]
        before[fresh] = self._none(1, outputs.shape[1])[0]
        self._held[streams[order[last]]] = outputs[order[last]]
        return before

    def _meet(self, y: Sequence[Any]) -> None:
        """Know the classes of some targets, and give what is held a column for each."""
        if not self._classes and all(each is None for each in y):
            return  # a binary model would name two that nobody has seen
        known = self.model.classes_.tolist()
        if known != self._classes:
            held = self._none(len(self._held), len(known))
            for n, label in enumerate(self._classes):
                held[:, known.index(label)] = self._held[:, n]
            self._held, self._classes = held, known

    def _none(self, rows: int, width: int) -> np.ndarray:
        """What was said where nothing was: no number, or no class that is likely at all."""
        return np.full((rows, width), np.nan if self.numbers else 0.0)

    # --- going on ---------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All but the model, as arrays and as what JSON can hold, for :meth:`restore`."""
        arrays, score = self.score.state()
        named = {f"score.{name}": array for name, array in arrays.items()}
        if self.calibration is not None:
            found = self.calibration.state()
            named |= {f"calibration.{name}": array for name, array in found.items()}
        keys = self._keys
        streams = {"places": keys.places(), "seen": list(keys.seen.items()), "free": keys.free}
        met = None if self._met is None else sorted(self._met)
        plain = {"score": score, "keys": streams, "rows": self._rows, "met": met}
        return {**named, "held": self._held}, {**plain, "classes": self._classes}

    def restore(
        self, model: OnlineLSTM, arrays: Mapping[str, np.ndarray], plain: Mapping[str, Any]
    ) -> None:
        """Go on where :meth:`state` was taken."""
        parts: dict[str, dict[str, np.ndarray]] = {"score": {}, "calibration": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            if rest:
                parts[part][rest] = array
        self.model = model
        self.score.restore(parts["score"], plain["score"])
        if self.calibration is not None:
            self.calibration.restore(parts["calibration"])
        keys = plain["keys"]
        places = [(key, place) for key, place in keys["places"]]
        self._keys.restore(places, {a: b for a, b in keys["seen"]}, list(keys["free"]))
        self._rows, self._held = plain["rows"], arrays["held"].copy()
        self._met = None if plain["met"] is None else set(plain["met"])
        self._classes = list(plain["classes"])
