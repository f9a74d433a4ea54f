"""Many rows in order: as few calls of the kernel as rows that hold nothing new allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError, DivergedError, RowError, ShapeError
from carrousel.online.model.engine import Engine
from carrousel.online.model.heads import Head
from carrousel.online.model.tables import Table
from carrousel.online.model.targets import Goals
from carrousel.shapes import Floats

_MOST, _FEWEST = 65536, 1024  # rows that are converted at once; few after something new


class Said:
    """What a kernel has said of rows, and what was known when it did."""

    def __init__(self) -> None:
        self._pieces: list[tuple[Head, Annotated[Floats, "M O"]]] = []
        self._streams: list[np.ndarray] = []
        self._begins: list[np.ndarray] = []

    def add(
        self, head: Head, outputs: Annotated[Floats, "M O"], streams: np.ndarray, begins: bool
    ) -> None:
        """Add the outputs of some rows.

        Args:
            head: what the outputs mean.
            outputs: one row each.
            streams: the place of each row's stream, ``[>= M]``.
            begins: whether the first row is the first of its stream.
        """
        self._pieces.append((head, outputs))
        self._streams.append(streams[: len(outputs)])
        self._begins.append(np.arange(len(outputs)) < begins)

    def streams(self) -> tuple[np.ndarray, np.ndarray]:
        """The place of each row's stream, and whether the row is its first, ``[N]`` each."""
        if not self._streams:
            return np.zeros(0, np.intp), np.zeros(0, bool)
        return np.concatenate(self._streams), np.concatenate(self._begins)

    def predictions(self) -> np.ndarray:
        """One for each row; of type object where types differ."""
        found = [head.answers(outputs) for head, outputs in self._pieces]
        if not found:
            return np.empty(0)
        kinds = {"number" if array.dtype.kind in "fiub" else array.dtype.kind for array in found}
        return np.concatenate(found if len(kinds) == 1 else [a.astype(object) for a in found])

    def probabilities(self, now: Head) -> Annotated[Floats, "N K"]:
        """A column for each class known now; one not known at a row had probability 0."""
        places = {name: column for column, name in enumerate(now.named)}
        found = [head.probabilities(outputs) for head, outputs in self._pieces]
        rows = np.zeros((sum(map(len, found)), len(places)))
        at = 0
        for (head, _), piece in zip(self._pieces, found, strict=True):
            columns = [(i, places[name]) for i, name in enumerate(head.named) if name in places]
            for i, column in columns:
                rows[at : at + len(piece), column] = piece[:, i]
            at += len(piece)
        return rows


def run(
    engine: Engine,
    table: Table,
    goals: Goals | None,
    keys: Sequence[Any] | None,
    said: Said,
    learn: bool = True,
    late: bool = False,
) -> None:
    """Take all rows of a table; what the kernel says of them is added to ``said``.

    With ``late``, a row's target is that of the prediction at the row before of the same stream.

    Raises:
        RowError, DivergedError: rows before ``error.row`` have been taken.
    """
    for name, given in (("y", goals), ("keys", keys)):
        if given is not None and len(given) != len(table):
            raise ShapeError(f"{name} has {len(given)} entries, expected {len(table)}, one a row")
    at, size, head = 0, _MOST, engine.head
    while at < len(table):
        x = _readable(engine, table.fill(engine.reader, at, min(at + size, len(table))))
        if engine.own_targets:
            targets = x if learn else None
        else:
            targets = None if goals is None else goals.fill(engine.head, at, at + len(x))
            x = x if targets is None else x[: len(targets)]
        if len(x):
            names = None if keys is None else keys[at : at + len(x)]
            _take(engine, head, x, targets, names, at, said, late or engine.own_targets)
            at, head = at + len(x), engine.head
            size = min(2 * size, _MOST) if size > 1 else _FEWEST
            continue
        try:  # the row holds something new, or bad; its prediction knows nothing of it
            engine.widen(table.row(at), None if goals is None else goals.one(at))
        except (DataError, ShapeError) as error:
            raise error.recast(RowError, row=at) from error
        head = engine.head if late or engine.own_targets else head
        size = 1


def _readable(engine: Engine, x: Annotated[Floats, "N X"]) -> Annotated[Floats, "M X"]:
    """Rows up to the first that a kernel would refuse."""
    if engine.readable(x):
        return x
    return x[: next(n for n, row in enumerate(x) if not engine.readable(row))]


def _take(
    engine: Engine,
    head: Head,
    x: Annotated[Floats, "N X"],
    targets: Annotated[Floats, "N Y"] | None,
    keys: Sequence[Any] | None,
    at: int,
    said: Said,
    late: bool,
) -> None:
    """Give rows to the kernel, up to each that begins a stream anew."""
    done = 0
    while done < len(x):
        key = None if keys is None else keys[done]
        begins = engine.keys.find(key, engine.now) is None
        place, dirty = engine.keys.take(key, engine.now)
        if dirty:
            engine.kernel.reset(place)
        if keys is None:
            places = np.full(len(x), place)
        else:
            places = np.array(engine.keys.find_all(keys, done, engine.now))
        stop = done + len(places)
        part = None if targets is None else targets[done:stop]
        try:
            outputs = engine.kernel.run(places, x[done:stop], part, late)
        except (RowError, DivergedError) as error:
            if error.outputs is not None:
                said.add(head, error.outputs, places, begins)
            _count(engine, keys, done, done + error.row)
            refused = x[done + error.row]
            error.row += at + done
            if isinstance(error, DivergedError):
                raise engine.diverged(error) from None
            raise RowError(engine.reader.complaint(refused), row=error.row) from error
        said.add(head, outputs, places, begins)
        _count(engine, keys, done, stop)
        done = stop


def _count(engine: Engine, keys: Sequence[Any] | None, start: int, stop: int) -> None:
    if keys is None:
        engine.keys.touch([None], engine.now + stop - start - 1)
    else:
        engine.keys.touch(keys[start:stop], engine.now)
    engine.now += stop - start
