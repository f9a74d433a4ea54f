"""Sinks that append one line to a file for each measurement, and continue it after a restart."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from carrousel.errors import DataError, SettingError, UnwritableError
from carrousel.inspection.training.measuring import Measurement


class _LineFile(ABC):
    """A file that grows by whole lines, in the order of steps.

    A line that was cut off when a run was killed is removed. Rows of steps that the file already
    has are left out with one warning: a run that continues from a checkpoint repeats some steps.
    """

    _header_lines = 0

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._last: int | None = None
        self._has_warned = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @abstractmethod
    def _step_of(self, line: str) -> int:
        """Return the step of a line."""

    @abstractmethod
    def _begins_like(self, start: str) -> bool:
        """Return whether an incomplete first line is the beginning of one of this class."""

    @abstractmethod
    def _check_header(self, line: str) -> None:
        """Refuse a file by its first line."""

    def _open(self) -> bool:
        """Read the file, refuse that of another program, and cut off a line that is not complete.

        Return whether it has lines.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unwritable(error) from error
        whole = data[: data.rfind(b"\n") + 1]
        try:
            lines = whole.decode().splitlines()
            if not lines and not self._begins_like(data.decode()):
                raise ValueError
            if lines:
                self._check_header(lines[0])
            if len(lines) > self._header_lines:
                self._last = self._step_of(lines[-1])
        except (ValueError, LookupError, TypeError) as error:
            raise error if isinstance(error, DataError) else self._foreign() from None
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        return bool(lines)

    def _foreign(self) -> DataError:
        return DataError(
            f"{self.path} exists, and was not written by {type(self).__name__}",
            argument="path",
            got=str(self.path),
            fix="choose another {path}, or remove the file",
        )

    def _unwritable(self, error: OSError) -> UnwritableError:
        return UnwritableError(
            f"{self.path} cannot be written: {error.strerror or error}", argument="path"
        )

    def _is_new(self, step: int) -> bool:
        if self._last is None or step > self._last:
            return True
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{self.path} has rows up to step {self._last} already; "
                f"measurements from step {step} to there are left out",
                stacklevel=2,
            )
        return False

    def _append(self, text: str, step: int) -> None:
        data = text.encode()
        try:
            with self.path.open("ab", buffering=0) as file:
                before = file.tell()
                if file.write(data) != len(data):
                    with suppress(OSError):
                        file.truncate(before)
                    raise OSError("no space is left")
        except OSError as error:
            raise self._unwritable(error) from error
        self._last = step


class CsvFile(_LineFile):
    """Appends measurements to a CSV file with a header.

    Columns are ``step``, ``timestamp`` (seconds since 1970) and the scalars of the first
    measurement. A run that is started again continues the file.

    Args:
        path: name of the file.

    Raises:
        DataError: by the first measurement: the file has other columns.
        UnwritableError: the file cannot be written.
    """

    _header_lines = 1

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._columns: list[str] | None = None
        self._has_header = False

    def __call__(self, measurement: Measurement) -> None:
        """Append a row."""
        scalars = measurement.scalars
        if self._columns is None:
            self._columns = ["step", "timestamp", *scalars]
            try:
                self._has_header = self._open()
            except BaseException:
                self._columns = None
                raise
        if unknown := sorted(set(scalars) - set(self._columns)):
            raise DataError(f"{self.path} has no column {unknown[0]!r}", argument="path")
        if self._is_new(measurement.step):
            values = {"step": measurement.step, "timestamp": measurement.time, **scalars}
            header = "" if self._has_header else _csv_line(self._columns)
            row = _csv_line([values.get(name, "") for name in self._columns])
            self._append(header + row, measurement.step)
            self._has_header = True

    def _begins_like(self, start: str) -> bool:
        return _csv_line(self._columns or []).startswith(start)

    def _check_header(self, line: str) -> None:
        found, wanted = next(csv.reader([line]), []), self._columns or []
        if found != wanted:
            others = sorted(set(found) ^ set(wanted)) or found
            raise DataError(
                f"{self.path} has other columns than this training: {', '.join(others[:5])}",
                argument="path",
                got=str(self.path),
                fix="choose another {path}, or remove the file",
            )

    def _step_of(self, line: str) -> int:
        return int(next(csv.reader([line]))[0])


class JsonLines(_LineFile):
    """Appends measurements to a file of JSON objects, one a line, as in a history of W&B.

    ``_step`` is the step and ``_timestamp`` the time in seconds since 1970. Numbers that JSON lacks
    are the texts ``"Infinity"``, ``"-Infinity"`` and ``"NaN"``, as W&B writes them.

    Args:
        path: name of the file.

    Raises:
        DataError: by the first measurement: the file does not end with such a line.
        UnwritableError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._is_open = False

    def __call__(self, measurement: Measurement) -> None:
        """Append a line."""
        if not self._is_open:
            self._open()
            self._is_open = True
        if self._is_new(measurement.step):
            row = {"_step": measurement.step, "_timestamp": measurement.time}
            row |= {name: _json_value(value) for name, value in measurement.scalars.items()}
            self._append(json.dumps(row, allow_nan=False) + "\n", measurement.step)

    def _step_of(self, line: str) -> int:
        return int(json.loads(line)["_step"])

    def _check_header(self, line: str) -> None:
        self._step_of(line)

    def _begins_like(self, start: str) -> bool:
        return start.startswith('{"_step": ') or '{"_step": '.startswith(start)


def sink_of(path: str | os.PathLike[str]) -> CsvFile | JsonLines:
    """Return the sink that the ending of a file name asks for.

    >>> sink_of("reach.csv"), sink_of("reach.jsonl")
    (CsvFile('reach.csv'), JsonLines('reach.jsonl'))

    Raises:
        SettingError: the ending is neither ``.csv`` nor ``.jsonl``.
    """
    kinds = {".csv": CsvFile, ".jsonl": JsonLines}
    kind = kinds.get(Path(path).suffix.lower())
    if kind is None:
        raise SettingError(
            argument="sink", got=str(path), expected="a file name that ends with .csv or .jsonl"
        )
    return kind(path)


def _csv_line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _json_value(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
