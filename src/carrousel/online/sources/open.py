"""Function to open a source of rows by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from carrousel.checks import check_choice
from carrousel.errors import SettingError
from carrousel.online.sources.bytes import ByteSource, WaitPolicy
from carrousel.online.sources.records import CsvFormat, JsonLinesFormat
from carrousel.online.sources.text import TextSource
from carrousel.online.sources.types import MAX_ROWS as MAX_ROWS
from carrousel.online.sources.types import Batch as Batch
from carrousel.online.sources.types import Fault as Fault
from carrousel.online.sources.types import FileFormat, check_fields
from carrousel.online.sources.types import Position as Position
from carrousel.online.sources.types import RowSource as RowSource
from carrousel.online.sources.types import Stop as Stop

FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)


_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
}


def open_rows(
    source: str | Path | None = None,
    *,
    format: FileFormat | None = None,
    follow: bool = False,
    fields: Sequence[str] | None = None,
    start: Position | None = None,
    delimiter: str | None = None,
    idle: float | None = None,
    stop: Stop | None = None,
    tick: float | None = None,
) -> RowSource:
    """Open a source of rows.

    Iteration returns a :class:`Batch` of all complete records available, at most :data:`MAX_ROWS`
    lines. Rows of a pipe or a growing file are returned immediately. A last line without a line end
    is returned when the source ends.

    Args:
        source: a file (``.gz`` too), a named pipe, or ``kafka://broker:port/topic``
            (:mod:`carrousel.online.sources.kafka`); None or ``"-"``: standard input.
        format: ``"csv"``, ``"jsonl"`` (one object a line) or ``"arrow"`` (IPC file or stream; needs
            pyarrow, extra ``stream``). None: by the suffix of the name, else CSV.
        follow: wait for more at the end, like ``tail -F``. The file may grow, be truncated, or be
            replaced by another of its name, which is read from its beginning. A header equal to the
            first is skipped. An incomplete last line is not returned.
        fields: names of the fields. None: from the header line of CSV, or the keys of the first
            object of JSON, in its order.
        start: resume after the batch that has this ``end``. For standard input and pipes the caller
            sends everything again, and what precedes the position is compared and skipped.
        delimiter: one character between values of CSV; None: a tab for ``.tsv``, else a comma.
        idle: seconds of waiting without a row after which the source ends; None: it never does.
        stop: a function or a ``threading.Event`` that ends the source, also while it waits.
        tick: seconds between empty batches while waiting; None: no empty batches.

    Raises:
        StoreError: the source does not exist, is a folder, or cannot be read.
        DataError: the source is empty where a header was expected, the header is not UTF-8 or names
            two fields alike, or ``start`` does not match the file. Broken rows are no error: they
            are listed in the batch's ``faults``.
        SettingError, UnknownNameError: an argument is out of range, or the source cannot be
            followed.
        MissingExtraError: pyarrow or confluent-kafka is needed and not installed.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.csv"
    >>> _ = path.write_text('x,y\\n0.5,"a\\nb"\\n0.25,c\\n')
    >>> with open_rows(path) as rows:
    ...     for batch in rows:
    ...         print(batch.fields, batch.columns, list(batch.lines))
    ('x', 'y') [('0.5', '0.25'), ('a\\nb', 'c')] [2, 4]
    """
    wait = WaitPolicy(stop, idle, tick)
    if isinstance(source, str) and source.startswith("kafka://"):
        from carrousel.online.sources.kafka import open_topic

        return open_topic(
            source, format=format, follow=follow, fields=fields, start=start, wait=wait
        )
    path = None if source is None or str(source) == "-" else Path(source)
    name = "standard input" if path is None else str(path)
    suffixes = [] if path is None else [each for each in path.suffixes if each != ".gz"]
    suffix = suffixes[-1].lower() if suffixes else ""
    if suffix == ".parquet" and format is None:
        fix = "write it as Arrow IPC or CSV"
        raise SettingError("Parquet cannot be streamed", source=name, argument="format", fix=fix)
    chosen = check_choice("format", format or _SUFFIXES.get(suffix, "csv"), FORMATS)
    if chosen == "arrow":
        from carrousel.online.sources.arrow import open_arrow

        if follow:
            problem = "Arrow data cannot be followed"
            raise SettingError(problem, source=name, argument="follow", got=follow)
        return open_arrow(path, fields=fields, start=start, stop=stop)
    delimiter = ("\t" if suffix == ".tsv" else ",") if delimiter is None else delimiter
    if len(delimiter) != 1 or delimiter in '"\r\n':
        expected = "one character other than a quote or a line end"
        raise SettingError(argument="delimiter", got=delimiter, expected=expected)
    known = None if fields is None else check_fields(name, fields)
    records = JsonLinesFormat() if chosen == "jsonl" else CsvFormat(delimiter, fields is None)
    data = ByteSource(path, follow=follow, wait=wait)
    try:
        return TextSource(name, data, records, known, start, follow=follow)
    except BaseException:
        data.close()
        raise
