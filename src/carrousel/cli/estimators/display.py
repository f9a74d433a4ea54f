"""What ``fit`` and ``score`` show: measures in a table, as JSON, and as a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrousel.cli.screen import put, say, write_text
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.estimators.data.larger import TableDataset
    from carrousel.estimators.data.series import Series
    from carrousel.estimators.report.build import Setting
    from carrousel.estimators.report.predictions import Evaluated


def put_measures(figures: dict[str, float | None]) -> None:
    """Write measures to standard output, one a line."""
    from rich.table import Table

    from carrousel.estimators.report.build import shown
    from carrousel.estimators.report.measures import LABELS

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in figures.items():
        table.add_row(LABELS[name], shown(name, value))
    put(table)


def contents(series: Series | TableDataset) -> str:
    """Return the size of the data in words.

    >>> import numpy as np
    >>> from carrousel.estimators.data.series import Series
    >>> contents(Series.of([np.zeros((3, 2)), np.zeros((4, 2))]))
    '2 series, 7 steps, 2 channels'
    """
    steps, channels = count(series.n_steps, "step"), count(series.n_channels, "channel")
    return f"{len(series):,} series, {steps}, {channels}"


def write_report(
    path: Path | None, found: Evaluated | None, series: Series, model: Any, setting: Setting
) -> None:
    """Write the HTML report if a file is named."""
    if path is None:
        return
    from carrousel.estimators.report.build import build
    from carrousel.estimators.report.html import html

    write_text(path, html(build(found, series, model, setting)))
    say(f"written: {path}")


def footer() -> str:
    """Return the provenance line of a report."""
    from datetime import date
    from importlib.metadata import version

    return f"carrousel {version('carrousel')}, {date.today().isoformat()}."
