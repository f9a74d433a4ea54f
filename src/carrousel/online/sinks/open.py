"""Function to open a sink by its name."""

from __future__ import annotations

from pathlib import Path

from carrousel.checks import check_choice
from carrousel.errors import SettingError
from carrousel.online.sinks.file import FileSink, Sink, SinkPosition
from carrousel.online.sinks.forms import FORMATS
from carrousel.online.sinks.forms import Columns as Columns
from carrousel.online.sources.types import FileFormat

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".arrows": "arrow",
}


def open_sink(
    destination: str | Path | None = None,
    format: FileFormat | None = None,
    *,
    start: SinkPosition | None = None,
) -> Sink:
    """Open a sink for rows of predictions.

    Args:
        destination: a file (replaced if it exists), or ``kafka://broker:port/topic``
            (:mod:`carrousel.online.sinks.kafka`); None or ``"-"``: standard output.
        format: ``"csv"`` (a header, then rows; None is empty, NaN is ``nan``), ``"jsonl"`` (one
            object a line; NaN and infinities become null) or ``"arrow"`` (an IPC stream; needs
            pyarrow, extra ``stream``). None: by the suffix of the name, else CSV.
        start: position of a checkpoint: the file is truncated there, then appended to. Standard
            output cannot be truncated; it is appended to without a second header.

    Raises:
        StoreError: the file cannot be written.
        DataError: the file is shorter than ``start``.
        SettingError, UnknownNameError: a wrong format or position.
        MissingExtraError: pyarrow or confluent-kafka is needed and not installed.

    A resumed file is byte for byte the file of an uninterrupted run. For Arrow data this holds for
    the rows, and for the bytes if batches have the same boundaries.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "out.csv"
    >>> with open_sink(path) as sink:
    ...     sink.write({"line": [2, 3], "prediction": np.array([0.5, np.nan])})
    ...     position = sink.position()
    ...     sink.write({"line": [4], "prediction": [1.0]})
    >>> with open_sink(path, start=position) as sink:
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
        fix = f"use {' or '.join(FORMATS)}"
        raise SettingError(f"predictions cannot be written as {suffix}", source=str(path), fix=fix)
    chosen = check_choice("format", format or _SUFFIXES.get(suffix, "csv"), FORMATS)
    if isinstance(start, dict):
        expected = "a number of bytes, since this is not a topic"
        raise SettingError(source=str(path), argument="start", got=start, expected=expected)
    if start is not None and start < 0:
        expected = "a number of bytes of at least 0"
        raise SettingError(argument="start", got=start, expected=expected)
    return FileSink(path, chosen, start)
