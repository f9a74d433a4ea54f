"""The report as a single HTML page that loads nothing."""

from __future__ import annotations

from pathlib import Path

from carrousel.estimators.report.parts import Report, Spark
from carrousel.page.render import json_for_script, render

TEMPLATES = Path(__file__).parent / "templates"


def html(report: Report) -> str:
    """Return the page.

    Raises:
        MissingExtraError: jinja2 or plotly is not installed.
    """
    return render(TEMPLATES, report=report, json=json_for_script, is_curve=is_curve)


def is_curve(cell: object) -> bool:
    """Whether a table cell is a curve rather than a text."""
    return isinstance(cell, Spark)
