"""Types of sources of rows: batches of raw columns, and positions to resume from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from carrousel.errors import DataError, SettingError

Stop = Callable[[], bool] | threading.Event
"""Requests the end of a source; polled about twenty times a second while waiting for rows."""


Column = Sequence[Any] | np.ndarray
"""Raw values of one field."""

FileFormat = Literal["csv", "jsonl", "arrow"]
"""Formats of files of rows, for sources and sinks alike."""
MAX_ROWS = 10_000
"""Most lines of text or rows of Arrow data in a batch."""


class Fault(NamedTuple):
    """A row that is broken as a whole, independent of its values.

    Attributes:
        row: its index in the batch.
        kind: ``"too short"``, ``"too long"``, ``"not CSV"``, ``"not JSON"``, ``"not an object"``,
            ``"not UTF-8"`` or ``"no value"``.
        why: the end of a sentence, such as ``"has 2 fields, expected 3"``.
    """

    row: int
    kind: str
    why: str


@dataclass(frozen=True)
class Position:
    """Position after a batch, from which a source can be resumed.

    Attributes:
        line: number of the next line (of the next row in Arrow data), from 1.
        offset: bytes before it, after decompression.
        row: number of rows returned so far, including broken ones.
        fields: names of the fields, if known.
        mark: a digest of bytes at the beginning and before the position. It detects another file of
            the same name.
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
        """Return the position as a value for JSON."""
        written = asdict(self)
        return {**written, "fields": None if self.fields is None else list(self.fields)}

    @staticmethod
    def of(written: Mapping[str, Any]) -> Position:
        """Restore a position from the result of :meth:`as_dict`.

        Raises:
            DataError: it is not such a result.
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
            raise DataError(f"{written!r} is not a position in a stream", got=written) from error


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive rows, as columns of raw values.

    Attributes:
        lines: place of each row in its source, ascending: the number of its first line, of the row
            (Arrow), or its offset (topics). A ``range`` where possible.
        fields: names of the columns.
        columns: one sequence per field: strings (CSV), values of JSON, or an array (Arrow; a column
            with nulls is a list with None). None means a short row, an absent key or a null.
        faults: rows that are broken as a whole, ascending; their values are meaningless.
        end: position after this batch.
        name: name of the source, for messages.
        unit: what ``lines`` counts, for messages: ``"line"``, ``"row"``, ``"partition 0, offset"``.
        keys: keys of the messages (topics with keys), else None.
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
class RowSource(Protocol):
    """A source of rows: an iterator over batches, and a context manager that closes it.

    Attributes:
        name: the file, ``standard input`` or the topic, for messages.
        fields: names of the fields; None before the first batch of a source that names them itself.
        position: end of the last batch returned.
        commit: confirm that all rows before a position have been processed. Only topics use it, to
            commit the offsets of their consumer group.
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
    def __enter__(self) -> RowSource: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def check_fields(name: str, fields: Sequence[str]) -> tuple[str, ...]:
    """Strip the names of fields and check that they differ.

    Args:
        name: name of the source, for messages.
        fields: the names.

    Raises:
        DataError: there are none, or two are equal.

    >>> check_fields("rows.csv", ["x", " y"])
    ('x', 'y')
    >>> check_fields("rows.csv", ["x", "y", "x "])
    Traceback (most recent call last):
        ...
    carrousel.errors.DataError: rows.csv: the name 'x' belongs to columns 1 and 3; rename one
    """
    names = tuple(str(each).strip() for each in fields)
    seen: dict[str, int] = {}
    for number, each in enumerate(names, start=1):
        if each in seen:
            raise DataError(
                f"the name {each!r} belongs to columns {seen[each]} and {number}",
                source=name,
                got=each,
                fix="rename one",
            )
        seen[each] = number
    if not names:
        raise DataError("there are no names of fields, expected at least one", source=name)
    return names


def check_same_fields(
    given: tuple[str, ...] | None, start: Position | None
) -> tuple[str, ...] | None:
    """Return the names of the fields that are given or stored in a position.

    Raises:
        SettingError: both are present and differ.
    """
    if start is None or start.fields is None:
        return given
    if given not in (None, start.fields):
        raise SettingError(
            f"fields are {given}, expected {start.fields}, those of the position to resume from",
            argument="fields",
            got=given,
            expected=str(start.fields),
        )
    return start.fields
