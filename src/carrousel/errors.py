"""Every exception of the package, and the fields that they carry.

An exception stores what is wrong as fields. ``str(error)`` puts them into one or two sentences, and
a caller that shows errors to a user may render the same fields in its own words: the command line
writes ``--learning-rate`` where Python writes ``learning_rate``. No caller has to parse a message.
"""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np

Error = TypeVar("Error", bound="CarrouselError")
UNSET: Final = object()
"""The value of :attr:`CarrouselError.got` where no value was given."""


class CarrouselError(Exception):
    """Base class of every exception that the package raises on purpose.

    Args:
        problem: what is wrong, as a clause without a full stop. Left empty, it is put together
            from ``argument``, ``got`` and ``expected``.
        argument: name of the argument, setting or field that is wrong, as a Python caller spells
            it.
        got: its value.
        expected: what is allowed, as a noun phrase: ``"a whole number of at least 1"``.
        fix: what to do about it, as a clause. A name in braces is an argument, with or without a
            value: ``"set {unseen=grow}"`` or ``"lower {learning_rate}"``. :meth:`text` spells it as
            the reader knows it. Data of the user's go in by :func:`escaped`.
        row: index of the row in the call, from 0.
        line: number of the line, record or message in its source, as the source counts.
        unit: what ``line`` counts.
        column: name of the column.
        source: name of the file, topic or stream.

    All of them are attributes, None (``got``: :data:`UNSET`) where not given.

    >>> error = CarrouselError(argument="trials", got=0, expected="a whole number of at least 1")
    >>> str(error)
    'trials is 0, expected a whole number of at least 1'
    >>> error.text(argument="--{}".format)
    '--trials is 0, expected a whole number of at least 1'
    >>> error = CarrouselError("the colour is new", row=3, fix="set {unseen=grow}")
    >>> str(error)
    "row 3: the colour is new; set unseen='grow'"
    >>> error.text(argument="--{}".format, setting="{} {}".format)
    'row 3: the colour is new; set --unseen grow'
    """

    def __init__(
        self,
        problem: str = "",
        *,
        argument: str | None = None,
        got: Any = UNSET,
        expected: str | None = None,
        fix: str | None = None,
        row: int | None = None,
        line: int | None = None,
        unit: str = "line",
        column: str | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem, self.argument, self.got = problem, argument, got
        self.expected, self.fix = expected, fix
        self.row, self.line, self.unit = row, line, unit
        self.column, self.source = column, source

    def __str__(self) -> str:
        return self.text()

    def text(
        self,
        *,
        argument: Callable[[str], str] = str,
        setting: Callable[[str, str], str] | None = None,
        place: bool = True,
        fix: bool = True,
    ) -> str:
        """Put the fields into words.

        Args:
            argument: spells the name of an argument, for example as an option of a command.
            setting: joins the spelled name of an argument and the value to give it; None: as in
                Python, with quotes around texts.
            place: whether to begin with source, line, row and column.
            fix: whether to end with the remedy.
        """
        body = self.problem or self._mismatch(argument)
        if fix and self.fix is not None:
            body += "; " + _spelled(self.fix, argument, setting or _assignment)
        where = self._place() if place else ""
        return f"{where}: {body}" if where else body

    def _mismatch(self, argument: Callable[[str], str]) -> str:
        subject = "the value" if self.argument is None else argument(self.argument)
        verb = "is wrong" if self.got is UNSET else f"is {self.got!r}"
        return f"{subject} {verb}" + (f", expected {self.expected}" if self.expected else "")

    def _place(self) -> str:
        parts = [] if self.line is None else [f"{self.unit} {self.line}"]
        parts += [f"row {self.row}"] if self.row is not None and self.line is None else []
        parts += [] if self.column is None else [f"column {self.column!r}"]
        within = ", ".join(parts)
        if self.source is None:
            return within
        return f"{self.source}: {within}" if within else self.source

    def recast(self, kind: type[Error], **fields: Any) -> Error:
        """Return an exception of another class with the same fields, some of them replaced.

        >>> str(DataError("x is NaN").recast(RowError, row=7))
        'row 7: x is NaN'
        """
        return _restored(kind, vars(kind("", **fields)) | vars(self) | fields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {name: value for name, value in vars(self).items() if value is not UNSET}
        if "got" in kept and not _can_be_pickled(kept["got"]):
            kept["got"] = _Shown(repr(kept["got"]))
        return _restored, (type(self), kept)


def escaped(text: str) -> str:
    """Return a text that reads the same within a ``fix``, whatever braces it holds.

    >>> str(CarrouselError("no such column", fix="expected " + escaped("'{rate}'")))
    "no such column; expected '{rate}'"
    """
    return text.replace("{", "{{").replace("}", "}}")


_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)(?:=((?:[^{}]|\{\{|\}\})*))?\}")


def _assignment(name: str, value: str) -> str:
    """Return what a Python caller writes: ``early=0.01``, but ``unseen='grow'``."""
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return f"{name}={value!r}"
    return f"{name}={value}"


def _spelled(text: str, argument: Callable[[str], str], setting: Callable[[str, str], str]) -> str:
    """Spell every ``{name}`` and ``{name=value}`` of a template; other braces stay as they are."""

    def spell(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name is None:
            return found[0][0]
        if value is None:
            return argument(name)
        return setting(argument(name), value.replace("{{", "{").replace("}}", "}"))

    return _PLACEHOLDER.sub(spell, text)


class _Shown:
    """Stands for a value that cannot leave its process; it looks like that value."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _can_be_pickled(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # whatever the value's own methods raise
        return False
    return True


def _restored(kind: type[Error], fields: dict[str, Any]) -> Error:
    """Create an exception from its attributes."""
    error = kind(fields["problem"])
    vars(error).update(fields)
    return error


class ShapeError(CarrouselError, ValueError):
    """An array has the wrong shape or data type."""


class InputError(ShapeError, RuntimeError):
    """An input of a torch module has the wrong shape; a RuntimeError too, as torch raises."""


class DataError(CarrouselError, ValueError):
    """Data contain what no network can learn: NaN, an empty sequence, an unknown symbol."""


class DataTypeError(DataError, TypeError):
    """A cell of data is no number; a TypeError too, as scikit-learn raises."""


class _OutputsError(CarrouselError):
    """An exception that ends a call after some rows have been learned."""

    def __init__(
        self, problem: str = "", *, outputs: np.ndarray | None = None, **fields: Any
    ) -> None:
        super().__init__(problem, **fields)
        self.outputs = outputs


class RowError(_OutputsError, DataError):
    """A row of a stream cannot be learned; the model is unchanged by it.

    Attributes:
        row: index of the row in the call, from 0.
        outputs: outputs for the rows before it, ``[row, O]``, which have been learned; or None.
    """


class DivergedError(_OutputsError, ArithmeticError):
    """Weights or states are no longer finite; learning stopped at once.

    Attributes:
        row: index in the call of the row that was learned last, from 0.
        outputs: outputs for the rows before it, ``[row, O]``, which have been learned; or None.
    """


class SettingError(CarrouselError, ValueError):
    """A setting is out of range, or two settings contradict each other."""


class OptionTypeError(SettingError, TypeError):
    """An option of a torch module has the wrong type; a TypeError too, as torch raises."""


class UnknownNameError(CarrouselError, LookupError):
    """A name is not registered; the message offers the nearest names."""


class OptionNameError(UnknownNameError, ValueError):
    """An option of a torch module has an unknown value; a ValueError too, as torch raises."""


class StoreError(CarrouselError, OSError):
    """A store of trials cannot be read or written, or a source or sink cannot be opened or used."""


class CheckpointError(CarrouselError, ValueError):
    """A checkpoint cannot be used.

    Attributes:
        reason: ``"damaged"`` (cut off, or its checksum differs), ``"foreign"`` (another program or
            another kind of model wrote it), ``"newer"`` (a later version wrote it) or None.
    """

    def __init__(self, problem: str = "", *, reason: str | None = None, **fields: Any) -> None:
        super().__init__(problem, **fields)
        self.reason = reason


class UnwritableError(CarrouselError, OSError):
    """A file cannot be written, or not read back."""


class ClusterError(CarrouselError, ConnectionError):
    """A cluster or broker cannot be used: it does not respond or cannot do the work."""


class ClusterFailedError(CarrouselError, ConnectionError):
    """A cluster or broker failed during a run: it stopped responding, or its workers died."""


class MissingExtraError(CarrouselError, ImportError):
    """An optional dependency is not installed; the message names the extra that contains it."""
