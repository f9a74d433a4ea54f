"""Runs of many rows, with one call of the kernel for as many rows as hold nothing new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError, DivergedError, RowError, ShapeError
from carrousel.online.model.delays import LabelTimes, LateTarget
from carrousel.online.model.encoding.heads import Head
from carrousel.online.model.encoding.tables import InputTable
from carrousel.online.model.encoding.targets import Targets
from carrousel.online.model.engine import Engine
from carrousel.shapes import Bools, Floats, Ints

_MOST = 65536  # rows that are encoded at once
_FEWEST = 1024  # the same after a row with something new; doubles from there


class RunOutputs:
    """Outputs of a kernel for consecutive rows, each part with the head that was in use.

    Args:
        bounds: whether bounds of prediction intervals are wanted.
        taught: whether :meth:`first_taught` is wanted.
    """

    def __init__(self, bounds: bool = False, taught: bool = False) -> None:
        self._wanted, self.counts_taught = bounds, taught
        self._taught: list[Annotated[Bools, "rows V"]] = []
        self._parts: list[tuple[Head, Annotated[Floats, "rows O"]]] = []
        self._bounds: list[Annotated[Floats, "rows O 2 levels"]] = []
        self._streams: list[np.ndarray] = []
        self._begins: list[np.ndarray] = []

    def room(self, engine: Engine, rows: int) -> Annotated[Floats, "rows O 2 levels"] | None:
        """Return an array for the bounds of some rows, or None if they are not wanted."""
        if not self._wanted or not engine.settings.forecasts:
            return None
        return np.empty((rows, engine.head.n_outputs, 2, len(engine.settings.levels)))

    def add(
        self,
        head: Head,
        outputs: Annotated[Floats, "rows O"],
        streams: np.ndarray,
        begins: bool,
        bounds: Annotated[Floats, "N O 2 levels"] | None = None,
        taught: Annotated[Bools, "N V"] | None = None,
    ) -> None:
        """Add the outputs of some rows.

        Args:
            head: decodes the outputs.
            outputs: one row each.
            streams: the place of each row's stream; may be longer than ``outputs``.
            begins: whether the first row is the first of its stream.
            bounds: lower and upper bounds of intervals; may be longer than ``outputs``.
            taught: whether a value of each target was learned at the row.
        """
        if self.counts_taught:
            width = head.n_targets
            none = np.zeros((len(outputs), width), bool)
            self._taught.append(none if taught is None else taught[: len(outputs)])
        if bounds is not None:
            self._bounds.append(bounds[: len(outputs)])
        self._parts.append((head, outputs))
        self._streams.append(streams[: len(outputs)])
        self._begins.append(np.arange(len(outputs)) < begins)

    def streams(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the place of each row's stream, and whether the row is its first, ``[N]`` each."""
        if not self._streams:
            return np.zeros(0, np.intp), np.zeros(0, bool)
        return np.concatenate(self._streams), np.concatenate(self._begins)

    def first_taught(self) -> Annotated[Ints, "V"]:
        """Return for each target the first row at which one of its values was learned.

        It is the number of rows if there is none.
        """
        taught = np.concatenate(self._taught)
        return np.where(taught.any(0), taught.argmax(0), len(taught))

    def bounds(self) -> Annotated[Floats, "N O 2 levels"] | None:
        """Return lower and upper bounds of all intervals; None if there are none."""
        return np.concatenate(self._bounds) if self._bounds else None

    def raw(self) -> Annotated[Floats, "N O"]:
        """Return the outputs of all rows; all parts must have the same number."""
        return np.concatenate([outputs for _, outputs in self._parts])

    def predictions(self, latest: Head) -> np.ndarray:
        """Return a prediction for each row; of dtype object if types differ.

        If there are no rows, the result has the shape of the latest head's predictions.
        """
        found = [head.predict_rows(outputs) for head, outputs in self._parts]
        if not found:
            return latest.predict_rows(np.empty((0, latest.n_outputs)))
        kinds = {"number" if array.dtype.kind in "fiub" else array.dtype.kind for array in found}
        return np.concatenate(found if len(kinds) == 1 else [a.astype(object) for a in found])

    def probabilities(self, latest: Head) -> Annotated[Floats, "N classes"]:
        """Return probabilities of the latest head's classes; 0 for one unknown at a row."""
        places = {name: column for column, name in enumerate(latest.classes)}
        found = [head.probabilities(outputs) for head, outputs in self._parts]
        rows = np.zeros((sum(map(len, found)), len(places)))
        at = 0
        for (head, _), part in zip(self._parts, found, strict=True):
            columns = [(i, places[name]) for i, name in enumerate(head.classes) if name in places]
            for i, column in columns:
                rows[at : at + len(part), column] = part[:, i]
            at += len(part)
        return rows


def run(
    engine: Engine,
    table: InputTable,
    targets: Targets | None,
    keys: Sequence[Any] | None,
    outputs: RunOutputs,
    learn: bool = True,
    late: bool = False,
    weights: Annotated[Floats, "N"] | None = None,
    label_times: LabelTimes | None = None,
) -> None:
    """Advance through all rows of a table and learn their targets.

    Args:
        engine: the model.
        table, targets, keys: rows, with the target and the stream of each.
        outputs: receives the outputs, also those before an error.
        learn: whether task ``"next"`` learns.
        late: whether a row's target belongs to the prediction at the row before of its stream.
        weights: of the targets, ``[N]``; targets of weight 0 are absent already.
        label_times: when targets are learned, instead of ``delay`` rows later.

    Raises:
        RowError, DivergedError: rows before ``error.row`` have been learned.
        ShapeError: numbers of rows, targets and keys differ.
    """
    for name, given in (("y", targets), ("keys", keys)):
        if given is not None and len(given) != len(table):
            expected = f"{len(table)}, one for each row"
            problem = f"{name} has {len(given)} entries, expected {expected}"
            raise ShapeError(problem, argument=name, got=len(given), expected=expected)
    at, size, head = 0, _MOST, engine.head
    late = late or engine.self_supervised
    while at < len(table):
        x = table.encode(engine.features, at, min(at + size, len(table)))
        x = _up_to_first_refused(engine, x)
        if engine.self_supervised:
            y = x if learn else None
        else:
            y = None if targets is None else targets.encode(engine.head, at, at + len(x))
            x = x if y is None else x[: len(y)]
        if len(x):
            names = None if keys is None else keys[at : at + len(x)]
            parts = None if weights is None else weights[at : at + len(x)]
            clock = label_times and label_times.part(at, at + len(x))
            _run_rows(engine, head, x, y, names, at, outputs, late, parts, clock)
            at, head = at + len(x), engine.head
            size = min(2 * size, _MOST) if size > 1 else _FEWEST
            continue
        try:  # the next row holds something new or bad
            engine.extend(table.row(at), None if targets is None else targets.row(at))
        except (DataError, ShapeError) as error:
            raise error.recast(RowError, row=at) from error
        head = engine.head if late else head  # a prediction precedes the new class of its target
        size = 1


def _up_to_first_refused(
    engine: Engine, x: Annotated[Floats, "N columns"]
) -> Annotated[Floats, "rows columns"]:
    if engine.accepts(x):
        return x
    return x[: next(n for n, row in enumerate(x) if not engine.accepts(row))]


def _run_rows(
    engine: Engine,
    head: Head,
    x: Annotated[Floats, "N columns"],
    y: Annotated[Floats, "N target"] | None,
    keys: Sequence[Any] | None,
    at: int,
    outputs: RunOutputs,
    late: bool,
    weights: Annotated[Floats, "N"] | None,
    clock: LabelTimes | None,
) -> None:
    """Run encoded rows, with a call of the kernel up to each that starts a stream."""
    done = 0
    if weights is not None and y is not None and engine.self_supervised:
        y = np.where(weights[:, None] > 0, y, np.nan)
    while done < len(x):
        key = None if keys is None else keys[done]
        begins = engine.keys.find(key, engine.n_rows) is None
        place, used = engine.keys.take(key, engine.n_rows)
        if used:
            engine.renew(place)
        if keys is None:
            places = np.full(len(x), place)
        else:
            places = np.array(engine.keys.find_all(keys, done, engine.n_rows))
        stop = done + len(places)
        part = None if y is None else y[done:stop]
        weighted = None if weights is None else weights[done:stop]
        bounds = outputs.room(engine, len(places))
        taught = None
        try:
            if clock is not None:
                clock_of = clock.part(done, stop)
                found, taught = _run_timed(
                    engine, places, x[done:stop], part, clock_of, weighted, bounds
                )
            elif engine.settings.delay:
                due = _due(engine, places, part, late, weighted)
                taught = ~np.isnan(due.targets) & (due.owners >= 0)[:, None]
                found = engine.kernel.run(
                    places,
                    x[done:stop],
                    due.targets,
                    True,
                    due.weights,
                    due.owners,
                    due.backs,
                    bounds,
                )
            else:
                if part is not None and outputs.counts_taught:
                    taught = _taught(part, late, begins)
                part_of = x[done:stop]
                found = engine.kernel.run(places, part_of, part, late, weighted, bounds=bounds)
        except (RowError, DivergedError) as error:
            if error.outputs is not None:
                outputs.add(head, error.outputs, places, begins, bounds, taught)
            refused = done + (error.row or 0)
            _count(engine, keys, done, refused)
            error.row = at + refused
            if isinstance(error, DivergedError):
                raise engine.divergence(error) from None
            raise engine.features.refusal(x[refused]).recast(RowError, row=error.row) from error
        outputs.add(head, found, places, begins, bounds, taught)
        _count(engine, keys, done, stop)
        done = stop


def _taught(y: Annotated[Floats, "N V"], late: bool, begins: bool) -> Annotated[Bools, "N V"]:
    """Return which values of targets are learned at each row."""
    given = np.logical_not(np.isnan(y))
    if late and begins:
        given[0] = False  # it belongs to no row
    return given


@dataclass(frozen=True, eq=False)
class _Due:
    """Targets that are learned before each of ``N`` rows."""

    targets: Annotated[Floats, "N V"]
    weights: Annotated[Floats, "N"]
    owners: Annotated[Ints, "N"]
    backs: Annotated[Ints, "N"]

    @classmethod
    def none(cls, n: int, width: int) -> _Due:
        """Return no targets for ``n`` rows."""
        blank, no_owner = np.full((n, width), np.nan), np.full(n, -1, np.int64)
        return cls(blank, np.ones(n), no_owner, np.zeros(n, np.int64))

    def put(self, row: int, late: LateTarget, back: int) -> None:
        """Set the target that is learned before a row."""
        self.targets[row], self.weights[row] = late.target, late.weight
        self.owners[row], self.backs[row] = late.place, back


def _due(
    engine: Engine,
    places: Annotated[Ints, "N"],
    y: Annotated[Floats, "N V"] | None,
    late: bool,
    weights: Annotated[Floats, "N"] | None,
) -> _Due:
    """Queue the targets of rows, which come ``delay`` rows later; return those that are due."""
    queue, now, n = engine.late, engine.n_rows, len(places)
    before = queue.rows.copy()
    rows = queue.count(places)
    if y is not None:  # the target of a late row belongs to the row before, and is due one earlier
        due = now + engine.settings.delay + (not late)
        queue.add(due, places, rows - late, y, None if weights is None else weights.tolist())
    targets, factors, owners, of = queue.taken(now, now + n, engine.head.n_targets)
    backs = np.zeros(n, np.int64)
    for place in np.unique(owners[owners >= 0]).tolist():
        mine = owners == place
        begun = before[place] + np.cumsum(places == place) - (places == place)
        backs[mine] = (begun - 1)[mine] - of[mine]
    return _Due(targets, factors, owners, backs)


def _run_timed(
    engine: Engine,
    places: Annotated[Ints, "N"],
    x: Annotated[Floats, "N columns"],
    y: Annotated[Floats, "N target"] | None,
    clock: LabelTimes,
    weights: Annotated[Floats, "N"] | None,
    bounds: Annotated[Floats, "N O 2 levels"] | None,
) -> tuple[Annotated[Floats, "N O"], Annotated[Bools, "N V"]]:
    """Run rows whose targets become known at label times.

    Returns:
        Outputs, and which values of targets were learned before those of each row.

    Raises:
        RowError, DivergedError: at ``error.row``; ``error.outputs`` are those of the rows before.
    """
    queue, n = engine.late, len(places)
    outputs = np.empty((n, engine.kernel.network.n_outputs))
    due = _Due.none(n, engine.head.n_targets)
    taught = np.zeros(due.targets.shape, bool)
    there = np.zeros(n, bool) if y is None else np.logical_not(np.isnan(y).all(1))
    start = 0

    def advance(stop: int) -> None:
        rows = slice(start, stop)
        how = (due.targets[rows], True, due.weights[rows], due.owners[rows], due.backs[rows])
        part = None if bounds is None else bounds[rows]
        try:
            outputs[rows] = engine.kernel.run(places[rows], x[rows], *how, part)
        except (RowError, DivergedError) as error:
            error.row = start + (error.row or 0)
            error.outputs = outputs[: error.row]
            raise

    for row, time in enumerate(clock.times.tolist()):
        arrived = queue.due_at(time)
        if len(arrived) > 1:  # a call of the kernel learns one before each row
            advance(row)
            start = row
        for late in arrived[:-1]:
            try:
                engine.learn_arrived(late)
            except DivergedError as error:
                raise error.recast(DivergedError, row=row, outputs=outputs[:row]) from None
        for late in arrived[-1:]:
            due.put(row, late, queue.back(late))
        for late in arrived:
            taught[row] |= ~np.isnan(late.target)
        place = int(places[row])
        if there[row] and y is not None:
            weight = 1.0 if weights is None else float(weights[row])
            own = (int(queue.begun[place]), int(queue.rows[place]), tuple(y[row].tolist()), weight)
            queue.add_timed(LateTarget(float(clock.label_times[row]), place, *own))
        queue.rows[place] += 1
    advance(n)
    return outputs, taught


def _count(engine: Engine, keys: Sequence[Any] | None, start: int, stop: int) -> None:
    """Record that rows were run."""
    if keys is None:
        engine.keys.touch([None], engine.n_rows + stop - start - 1)
    else:
        engine.keys.touch(keys[start:stop], engine.n_rows)
    engine.n_rows += stop - start
