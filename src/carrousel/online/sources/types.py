"""What sources of rows hand on: batches of raw columns, and positions to start again from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from carrousel.errors import DataError

Stop = Callable[[], bool] | threading.Event
"""What tells a source to end: asked often, about twenty times a second while nothing comes."""


Column = Sequence[Any] | np.ndarray
"""Raw values of one field."""

MAX_ROWS = 10_000
"""Lines of text that make one batch at most, or rows of Arrow data."""


class Fault(NamedTuple):
    """A row that is broken as a whole, before any of its values is looked at.

    Attributes:
        row: its index in the batch.
        kind: ``"too short"``, ``"too long"``, ``"not CSV"``, ``"not JSON"``, ``"not an object"``,
            ``"not UTF-8"`` or ``"no value"``.
        why: a sentence's end, such as ``"has 2 fields, expected 3"``.
    """

    row: int
    kind: str
    why: str


@dataclass(frozen=True)
class Position:
    """Where the row after a batch begins; a source opened with it goes on exactly there.

    Attributes:
        line: the number of the next line (of the next row in Arrow data), from 1 on.
        offset: bytes before it (after decompression).
        row: rows that were handed on so far, broken ones too.
        fields: the names of the fields, once they are known.
        mark: a digest of bytes around the beginning and before the position, by which another
            file of the same name is recognised.
        offsets: of a topic: the next offset of each partition.

    >>> Position.of(Position(line=3, offset=17, fields=("x", "y")).as_dict()).fields
    ('x', 'y')
    """

    line: int = 1
    offset: int = 0
    row: int = 0
    fields: tuple[str, ...] | None = None
    mark: str = ""
    offsets: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The position as JSON can hold it."""
        written = asdict(self)
        return {**written, "fields": None if self.fields is None else list(self.fields)}

    @staticmethod
    def of(written: Mapping[str, Any]) -> Position:
        """The position that :meth:`as_dict` wrote.

        Raises:
            DataError: it did not.
        """
        try:
            fields = written["fields"]
            return Position(
                line=int(written["line"]),
                offset=int(written["offset"]),
                row=int(written["row"]),
                fields=None if fields is None else tuple(map(str, fields)),
                mark=str(written["mark"]),
                offsets={str(part): int(at) for part, at in written["offsets"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{written!r} is no position in a stream") from error


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows that follow each other, as columns of raw values.

    Attributes:
        lines: the place of each row in its source, ascending: the number of its first line, of the
            row (Arrow), or its offset (topics). A ``range`` where that says it all.
        fields: the names of the columns.
        columns: one sequence per field: strings (CSV), values of JSON, or an array (Arrow; a
            column with nulls is a list holding None). None stands where a row was too short, a key
            was absent, or a value was null.
        faults: the rows that are broken as a whole, ascending; their values mean nothing.
        end: where to start again after this batch.
        name: of the source, for messages.
        unit: what ``lines`` counts, for messages: ``"line"``, ``"row"``, ``"partition 0, offset"``.
        keys: the messages' own keys (topics that have some), else None.
    """

    lines: Sequence[int]
    fields: tuple[str, ...]
    columns: Sequence[Column]
    faults: tuple[Fault, ...]
    end: Position
    name: str
    unit: str = "line"
    keys: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.lines)


@runtime_checkable
class Rows(Protocol):
    """A source of rows: an iterator over batches, and a context that closes what it opened.

    Attributes:
        name: for messages: the file's name, ``standard input`` or the topic.
        fields: the names of the fields; None until the first batch of a source that names them
            itself.
        position: the end of the last batch that was handed on.
        commit: say that everything before a position has been taken for good. Only topics care:
            their group's offsets are committed then, and never else.
    """

    name: str

    @property
    def fields(self) -> tuple[str, ...] | None: ...
    @property
    def position(self) -> Position: ...
    def commit(self, position: Position) -> None: ...
    def close(self) -> None: ...
    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
    def __enter__(self) -> Rows: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def check_fields(name: str, fields: Sequence[str]) -> tuple[str, ...]:
    """The names of fields, without the blanks around them, if no two are the same.

    >>> check_fields("rows.csv", ["x", " y"])
    ('x', 'y')
    >>> check_fields("rows.csv", ["x", "y", "x "])
    Traceback (most recent call last):
        ...
    carrousel.errors.DataError: rows.csv: the name 'x' belongs to columns 1 and 3; rename one
    """
    names = tuple(str(each).strip() for each in fields)
    met: dict[str, int] = {}
    for number, each in enumerate(names, start=1):
        if each in met:
            raise DataError(
                f"{name}: the name {each!r} belongs to columns {met[each]} and {number}; rename one"
            )
        met[each] = number
    if not names:
        raise DataError(f"{name}: there are no names of fields; expected at least one")
    return names
