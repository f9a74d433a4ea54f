"""Opens a source of rows by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carrousel.checks import check_choice
from carrousel.errors import SettingError
from carrousel.online.sources.bytes import Inflow, Patience
from carrousel.online.sources.records import Csv, JsonLines
from carrousel.online.sources.text import TextRows
from carrousel.online.sources.types import MAX_ROWS as MAX_ROWS
from carrousel.online.sources.types import Batch as Batch
from carrousel.online.sources.types import Fault as Fault
from carrousel.online.sources.types import Position as Position
from carrousel.online.sources.types import Rows as Rows
from carrousel.online.sources.types import Stop as Stop
from carrousel.online.sources.types import check_fields

FORMATS = ("csv", "jsonl", "arrow")


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
    format: str | None = None,
    follow: bool = False,
    fields: Sequence[str] | None = None,
    start: Position | None = None,
    delimiter: str | None = None,
    idle: float | None = None,
    stop: Stop | None = None,
    tick: float | None = None,
) -> Rows:
    """Open a source of rows.

    Iterating gives a :class:`Batch` of everything that is there in complete records, at most
    :data:`MAX_ROWS` lines at once: a pipe's or a growing file's rows come at once, a large file's
    at full speed. A last line without a line end counts when the source has ended.

    Args:
        source: a file (``.gz`` too), a named pipe, ``kafka://broker:port/topic``
            (:mod:`carrousel.online.sources.kafka`); None or ``"-"``: standard input.
        format: ``"csv"``, ``"jsonl"`` (one object a line) or ``"arrow"`` (IPC file or stream; needs
            pyarrow, extra ``stream``). None: by the name's suffix; CSV where that says nothing.
        follow: at the end wait for more, like ``tail -F``: the file may grow, be cut short, or give
            way to another of its name, which is then read from its beginning; its header, if it is
            the same, is passed over. An unfinished last line waits for its end.
        fields: the names of the fields. None: CSV has a header line; JSON's are the keys of the
            first object, in its order.
        start: go on after the batch whose ``end`` this was, exactly. Of standard input and pipes
            the caller replays everything; lines before the position are passed over.
        delimiter: one character between the values of CSV; None: a tab for ``.tsv``, else a comma.
        idle: end after so many seconds of waiting in which nothing came.
        stop: a function or a ``threading.Event`` that ends the source, also while it waits.
        tick: while waiting, give an empty batch every so many seconds; None: never an empty batch.

    Raises:
        StoreError: the source is not there, is a folder or cannot be read.
        DataError: it is empty where a header was expected, its header is no UTF-8 or names two
            fields alike, or ``start`` does not fit the file. Broken rows are no error: they are
            listed in the batch's ``faults``.
        SettingError, UnknownNameError: an argument is out of range; what cannot be followed.
        MissingExtraError: pyarrow or confluent-kafka is needed and not installed.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.csv"
    >>> _ = path.write_text('x,y\\n0.5,"a\\nb"\\n0.25,c\\n')
    >>> with open_rows(path) as rows:
    ...     for batch in rows:
    ...         print(batch.fields, batch.columns, list(batch.lines))
    ('x', 'y') [('0.5', '0.25'), ('a\\nb', 'c')] [2, 4]
    """
    patience = Patience(stop, idle, tick)
    if isinstance(source, str) and source.startswith("kafka://"):
        from carrousel.online.sources.kafka import open_topic

        return open_topic(
            source, format=format, follow=follow, fields=fields, start=start, patience=patience
        )
    path = None if source is None or str(source) == "-" else Path(source)
    suffixes = [] if path is None else [each for each in path.suffixes if each != ".gz"]
    suffix = suffixes[-1].lower() if suffixes else ""
    if suffix == ".parquet" and format is None:
        raise SettingError(f"{path}: Parquet cannot be streamed; write it as Arrow IPC or CSV")
    format = format or _SUFFIXES.get(suffix, "csv")
    check_choice("format", format, FORMATS)
    if format == "arrow":
        from carrousel.online.sources.arrow import open_arrow

        if follow:
            raise SettingError(f"{path or 'standard input'}: Arrow data cannot be followed")
        return open_arrow(path, fields=fields, start=start, stop=stop)
    delimiter = ("\t" if suffix == ".tsv" else ",") if delimiter is None else delimiter
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise SettingError(f"delimiter is {delimiter!r}, expected one character, no quote, no end")
    name = "standard input" if path is None else str(path)
    known = None if fields is None else check_fields(name, fields)
    kind = JsonLines() if format == "jsonl" else Csv(delimiter, header=fields is None)
    inflow = Inflow(path, follow=follow, patience=patience)
    try:
        return TextRows(name, inflow, kind, known, start, follow=follow)
    except BaseException:
        inflow.close()
        raise
