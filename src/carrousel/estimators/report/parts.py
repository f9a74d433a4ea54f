"""Parts of a report: sections with figures and tables, free of any markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from carrousel.words import ABSENT, printable

MOST_POINTS = 2000
"""Points of a scatter plot at most."""
MOST_CHANNELS = 40
"""Channels or classes that a table lists at most."""
LONGEST = 40
"""Characters of a name from the data that are shown at most."""


@dataclass(frozen=True)
class Figure:
    """A plot.

    Args:
        kind: the function in ``report.js`` that draws it.
        data: what it draws; a value that JSON can hold.
        alt: a text for readers who do not see it.
    """

    kind: Literal["lines", "bars", "matrix"]
    data: Mapping[str, Any]
    alt: str


@dataclass(frozen=True)
class Spark:
    """A small curve within a table cell: numbers of 0 to 1, None where unknown."""

    values: tuple[float | None, ...]

    @property
    def path(self) -> str:
        """The curve as a path of SVG, in a box of 100 by 24."""
        n, text, pen = max(len(self.values) - 1, 1), "", "M"
        for k, value in enumerate(self.values):
            if value is None:
                pen = "M"
                continue
            text += f"{pen}{100 * k / n:.1f},{23 - 22 * value:.1f}"
            pen = "L"
        return text


@dataclass(frozen=True)
class Table:
    """A table. The first ``texts`` columns are texts, the others numbers as text or curves."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str | Spark, ...], ...]
    texts: int = 1


@dataclass(frozen=True)
class Section:
    """A titled part of the report.

    Args:
        name: its address in the page.
        title: heading.
        text: a sentence or two on how to read it.
        figures, tables: in this order.
    """

    name: str
    title: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything that a page shows.

    Args:
        title: heading.
        subject: a sentence on the model and on the data that it was evaluated with.
        tiles: value and label of the most important figures.
        sections: in order.
        notes: warnings about the figures, as sentences.
        footer: provenance.
    """

    title: str
    subject: str
    tiles: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    footer: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def name_of(value: object) -> str:
    """Return a name from the data, shortened, without characters that cannot be seen.

    >>> name_of("a" * 60)[-3:], name_of(3)
    ('aa…', '3')
    """
    text = printable(str(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def figure_of(value: Any) -> str:
    """Return a number, or None, with four significant digits.

    >>> figure_of(0.98765), figure_of(12345.6), figure_of(None), figure_of(2.0)
    ('0.9877', '12,346', '–', '2')
    """
    if value is None or not np.isfinite(value):
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def share_of(value: Any) -> str:
    """Return a share of 0 to 1, or None, in percent.

    >>> share_of(0.98765), share_of(1.0), share_of(None)
    ('98.8 %', '100 %', '–')
    """
    if value is None or not np.isfinite(value):
        return ABSENT
    return f"{100 * value:.3g} %"


def plain(values: Any) -> list[Any]:
    """Return numbers that JSON can hold, with five digits; None where they are not finite."""
    array = np.asarray(values, np.float64)
    if array.ndim > 1:
        return [plain(row) for row in array]
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in array.tolist()]


def spread(n: int, most: int) -> np.ndarray:
    """Return at most ``most`` indices below ``n``, evenly spread."""
    return (
        np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
        if n
        else np.arange(0)
    )
