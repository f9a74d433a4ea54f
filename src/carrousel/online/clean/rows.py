"""Result of cleaning a batch: the usable rows, and the problems of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from carrousel.errors import RowError
from carrousel.shapes import Floats, Ints


class RowProblem(NamedTuple):
    """One problem of a row.

    Attributes:
        line: place of the row in its source (``Batch.lines``).
        field: name of the column; None: the row as a whole is broken.
        value: the value found there.
        why: a clause such as ``"value 'abc' is not a number"``.
        kind: for counting: the kind of a :class:`Fault`, ``"missing"``, ``"not a number"``,
            ``"not finite"``, ``"unseen"``, ``"not a label"``, ``"not a time"`` or
            ``"runs backwards"``.
        unit: what ``line`` counts.
    """

    line: int
    field: str | None
    value: Any
    why: str
    kind: str
    unit: str = "line"

    def error(self, source: str) -> RowError:
        """Return the problem as an exception.

        >>> problem = RowProblem(12, "x3", "abc", "value 'abc' is not a number", "not a number")
        >>> str(problem.error("rows.csv"))
        "rows.csv: line 12, column 'x3': value 'abc' is not a number"
        """
        return RowError(
            self.why,
            got=self.value,
            line=self.line,
            unit=self.unit,
            column=self.field,
            source=source,
        )


@dataclass(frozen=True, eq=False)
class CleanRows:
    """The ``N`` usable rows of a batch, as columns.

    Attributes:
        rows: their indices in the batch, ascending.
        lines: their places in the source.
        columns: input columns in the schema's order: numbers (float64) or a list of labels.
        targets: numbers, NaN where missing, with a column for each target if there are several; or
            labels, None where missing. None: the schema has no target.
        keys: the key of each row; None: all rows belong to one stream.
        times: the time of each row as a number; None: rows have no time.
        label_times: the time at which each target becomes known; None: the schema has none.
        problems: all problems found, in order of place; with ``"fail"`` only the first.
        failure: the problem that ends the stream (only with ``"fail"``).
        counts: counts for this batch: ``"rows"`` read, ``"kept"``, ``"skipped"``, values
            ``"held"``, rows with ``"no target"``, and problems by kind.
    """

    rows: Annotated[Ints, "N"]
    lines: Sequence[int]
    columns: dict[str, Annotated[Floats, "N"] | list[str]]
    targets: Annotated[Floats, "N"] | Annotated[Floats, "N O"] | list[str | None] | None
    keys: list[str | None] | None
    times: Annotated[Floats, "N"] | None
    problems: list[RowProblem]
    failure: RowProblem | None
    counts: Counter[str]
    label_times: Annotated[Floats, "N"] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def matrix(self) -> Annotated[Floats, "N I"] | None:
        """Return the inputs as an array ``[rows, inputs]``; None if one of them is a category."""
        if any(isinstance(each, list) for each in self.columns.values()):
            return None
        return np.stack(list(self.columns.values()), axis=1)

    def dicts(self) -> list[dict[str, float | str]]:
        """Return the inputs row by row."""
        plain = [c if isinstance(c, list) else c.tolist() for c in self.columns.values()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*plain, strict=True)]


def count_absent(targets: np.ndarray | Sequence[Any]) -> int:
    """Count the rows without any target."""
    if isinstance(targets, np.ndarray):
        absent = np.isnan(targets)
        return int((absent.all(axis=1) if absent.ndim > 1 else absent).sum())
    return sum(each is None for each in targets)


def is_absent(targets: Any, row: int) -> bool:
    """Return whether a row has no target."""
    if isinstance(targets, np.ndarray):
        return bool(np.isnan(targets[row]).all())
    return targets[row] is None
