"""What comes out of a table: rows that can be used, and what is wrong with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from carrousel.shapes import Floats, Ints


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        line: where, in the source's own count (``Batch.lines``).
        field: in which column; None: the row as a whole.
        value: what is there.
        why: the end of a sentence, such as ``"value 'abc' is not a number"``.
        kind: for counting: a :class:`Fault`'s kind, ``"missing"``, ``"not a number"``,
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

    def at(self, name: str) -> str:
        """The problem as a sentence.

        >>> Problem(12, "x3", "abc", "value 'abc' is not a number", "not a number").at("rows.csv")
        "rows.csv: line 12, column 'x3': value 'abc' is not a number"
        """
        column = "" if self.field is None else f", column {self.field!r}"
        return f"{name}: {self.unit} {self.line}{column}: {self.why}"


@dataclass(frozen=True, eq=False)
class Taken:
    """Rows that can be used, as columns.

    Attributes:
        rows: their indices in the batch, ascending.
        lines: their places in the source.
        columns: each input, in the schema's order: numbers (float64) or a list of labels.
        targets: numbers, NaN where there is none, or labels, None where there is none; None: the
            schema has no target.
        keys: each row's stream, or None: they are all one.
        times: each row's time as a number, or None: they have none.
        problems: everything that was found wrong, by place; with ``"fail"`` the first alone.
        failure: what ends the stream (``"fail"`` alone); the rows before it are in here.
        counts: of this batch: ``"rows"`` looked at, ``"kept"``, ``"skipped"``, values ``"held"``,
            rows with ``"no target"``, and problems by their kind.
    """

    rows: Annotated[Ints, "kept"]
    lines: Sequence[int]
    columns: dict[str, Annotated[Floats, "kept"] | list[str]]
    targets: Annotated[Floats, "kept"] | list[str | None] | None
    keys: list[str | None] | None
    times: Annotated[Floats, "kept"] | None
    problems: list[Problem]
    failure: Problem | None
    counts: Counter[str]

    def __len__(self) -> int:
        return len(self.rows)

    def matrix(self) -> Annotated[Floats, "kept I"] | None:
        """The inputs as one array ``[rows, inputs]``; None if one of them is a category."""
        if any(isinstance(each, list) for each in self.columns.values()):
            return None
        return np.stack(list(self.columns.values()), axis=1)

    def dicts(self) -> list[dict[str, float | str]]:
        """The inputs row by row."""
        plain = [c if isinstance(c, list) else c.tolist() for c in self.columns.values()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*plain, strict=True)]
