"""Output of commands: results to standard output, messages to standard error, and files."""

from __future__ import annotations

import errno
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from carrousel.errors import UnwritableError
from carrousel.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from carrousel.experiments.report.collect import Report

PIPE_WIDTH = 140
"""Width of lines in files and pipes, in columns."""


def console_of(stream: TextIO) -> Console:
    """Return a console that writes to a stream, with the width of its terminal."""
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)


def put(what: RenderableType) -> None:
    """Write a result to standard output."""
    console_of(sys.stdout).print(what)


def put_report(found: Report) -> None:
    """Write the table of a report to standard output."""
    from carrousel.experiments.report.table import terminal

    console = console_of(sys.stdout)
    console.print(terminal(found, width=console.width))


def put_json(value: Any) -> None:
    """Write JSON to standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


def say(message: str, *, command: str = "") -> None:
    """Write a message to standard error, followed by a command on a line that is never wrapped.

    Control characters are replaced by escape sequences, because data may contain them.
    """
    from carrousel.words import printable

    console = console_of(sys.stderr)
    message, command = ("\n".join(map(printable, text.split("\n"))) for text in (message, command))
    console.print(message, markup=False, soft_wrap=not console.is_terminal)
    if command:
        console.print(f"  {command}", markup=False, soft_wrap=True)


class ClosedOutput(io.TextIOBase):
    """Standard output of a program that was started without it: writing to it is an error."""

    def write(self, text: str) -> int:
        """Raise OSError."""
        raise OSError(errno.EBADF, "it is closed")


def write_text(path: Path, text: str) -> None:
    """Write a file atomically; a device such as ``/dev/stdout`` is written directly.

    Raises:
        UnwritableError: the file cannot be written.
    """
    if path.is_dir() or path.is_file() or not path.exists():
        write_whole(path, text.encode())
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnwritableError(f"{path} cannot be written ({error.strerror})") from error
