"""Opens a sink by its name."""

from __future__ import annotations

from pathlib import Path

from carrousel.checks import check_choice
from carrousel.errors import SettingError
from carrousel.online.sinks.file import FileSink, Mark, Sink
from carrousel.online.sinks.forms import FORMS
from carrousel.online.sinks.forms import Columns as Columns

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".arrows": "arrow",
}


def open_sink(
    destination: str | Path | None = None, format: str | None = None, *, start: Mark | None = None
) -> Sink:
    """Open a place for rows of predictions.

    Args:
        destination: a file (an old one is replaced), ``kafka://broker:port/topic``
            (:mod:`carrousel.online.sinks.kafka`); None or ``"-"``: standard output.
        format: ``"csv"`` (a header, then rows; nothing stands for None, ``nan`` for NaN),
            ``"jsonl"`` (one object a line; NaN and infinities become null) or ``"arrow"`` (an IPC
            stream; needs pyarrow, extra ``stream``). None: by the name's suffix, else CSV.
        start: the position of a checkpoint: the file is cut off there and appended to. Standard
            output cannot be cut off: it is appended to, without a second header.

    Raises:
        StoreError: the file cannot be written.
        DataError: it is shorter than ``start``.
        SettingError, UnknownNameError: a wrong format or position.
        MissingExtraError: pyarrow or confluent-kafka is needed and not installed.

    A file goes on byte by byte as if it had never been closed; in Arrow data that holds for the
    rows, and for the bytes if batches begin where they would have begun.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "out.csv"
    >>> with open_sink(path) as sink:
    ...     sink.write({"line": [2, 3], "prediction": np.array([0.5, np.nan])})
    ...     there = sink.position()
    ...     sink.write({"line": [4], "prediction": [1.0]})
    >>> with open_sink(path, start=there) as sink:
    ...     sink.write({"line": [4], "prediction": [2.5]})
    >>> path.read_text().splitlines()
    ['line,prediction', '2,0.5', '3,nan', '4,2.5']
    """
    if isinstance(destination, str) and destination.startswith("kafka://"):
        from carrousel.online.sinks.kafka import open_topic_sink

        return open_topic_sink(destination, format=format, start=start)
    path = None if destination is None or str(destination) == "-" else Path(destination)
    suffix = "" if path is None else path.suffix.lower()
    if suffix in (".gz", ".parquet") and format is None:
        raise SettingError(f"{path}: predictions cannot be written as {suffix}; use {tuple(FORMS)}")
    format = format or _SUFFIXES.get(suffix, "csv")
    check_choice("format", format, FORMS)
    if isinstance(start, dict):
        raise SettingError(f"start is {start}, a position in a topic; {path} is none")
    if start is not None and start < 0:
        raise SettingError(f"start is {start}, expected a number of bytes of at least 0")
    return FileSink(path, format, start)
