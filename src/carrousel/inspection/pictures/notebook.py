"""A report in a notebook: the verdict, the faults, and the three curves, without any script."""

from __future__ import annotations

from html import escape

from carrousel.inspection.pictures import markup
from carrousel.inspection.pictures.curves import three_curves
from carrousel.inspection.pictures.findings import Findings, verdict
from carrousel.inspection.pictures.page import style
from carrousel.words import printable

_BOX = (
    "background:var(--card);color:var(--ink);border:1px solid var(--line);border-radius:10px;"
    "padding:14px 18px;max-width:60rem;font:15px/1.5 system-ui,sans-serif"
)


def fragment(report: Findings) -> str:
    """Return HTML that a notebook shows as the value of a cell."""
    shown = three_curves(report)
    faults = "".join(
        f'<li style="margin:.2rem 0">{escape(printable(str(one)))}</li>' for one in report.faults
    )
    return (
        f'<div class="inspection" style="{_BOX}"><style>{style()}</style>'
        '<p style="font-size:1.15rem;font-weight:600;margin:0 0 .3rem">'
        f"{escape(verdict(report))}</p>"
        + (f'<ul style="margin:.4rem 0">{faults}</ul>' if faults else "")
        + markup.picture(shown)
        + "</div>"
    )
