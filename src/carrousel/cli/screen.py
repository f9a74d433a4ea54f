"""Where words go: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from carrousel.experiments.report.collect import Report

PIPE_WIDTH = 140
"""Columns where there is no terminal: nobody wraps lines in a file or a pipe."""


def console_of(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)


def put(what: RenderableType) -> None:
    console_of(sys.stdout).print(what)


def put_report(found: Report) -> None:
    from carrousel.experiments.report.table import terminal

    console = console_of(sys.stdout)
    console.print(terminal(found, width=console.width))


def put_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def say(message: str, *, command: str = "") -> None:
    """Tell the user; a terminal breaks the lines between words, but never within a command."""
    console = console_of(sys.stderr)
    console.print(message, markup=False, soft_wrap=not console.is_terminal)
    if command:
        console.print(f"  {command}", markup=False, soft_wrap=True)
