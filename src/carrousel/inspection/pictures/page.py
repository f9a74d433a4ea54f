"""The page on a report, or on several: verdicts, faults, pictures and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from carrousel.inspection.pictures import markup
from carrousel.inspection.pictures.course import course
from carrousel.inspection.pictures.curves import shared_axes
from carrousel.inspection.pictures.every import NAMES, pictures
from carrousel.inspection.pictures.figure import Axis, Picture
from carrousel.inspection.pictures.findings import (
    Findings,
    at_lag,
    curve_of,
    half_life_of,
    lived,
    median_half_life,
    memory_of,
    read_part,
    short,
    steps,
    verdict,
)
from carrousel.inspection.pictures.tables import Table, tables
from carrousel.inspection.verdicts.sentence import used_steps
from carrousel.page.render import render
from carrousel.words import count, number, printable, share

TEMPLATES = Path(__file__).parent / "templates"
Mode = Literal["one", "beside", "slider"]


@dataclass(frozen=True)
class FaultShown:
    """A fault as texts."""

    name: str
    part: str
    evidence: str
    remedy: str


@dataclass(frozen=True, eq=False)
class View:
    """What a page shows of one report."""

    label: str
    verdict: str
    tiles: tuple[tuple[str, str], ...]
    faults: tuple[FaultShown, ...]
    pictures: dict[str, Picture]
    tables: tuple[Table, ...]


def page(snapshots: Sequence[tuple[str, Findings]], mode: Mode, title: str = "") -> str:
    """Return a page that loads nothing.

    Args:
        snapshots: reports with their labels.
        mode: one report, two of them side by side, or any number with a slider.
        title: heading, or what a single report is about; empty: the verdict is the heading.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    axes = shared_axes([report for _, report in snapshots])
    views = [view(label, report, axes, whole=mode != "slider") for label, report in snapshots]
    sections = [
        next(one.pictures[name] for one in reversed(views) if name in one.pictures)
        for name in NAMES
        if any(name in one.pictures for one in views)
    ]
    return render(
        TEMPLATES,
        plots=False,
        figure_style=style(),
        title=printable(title) or views[-1].verdict,
        heading=printable(title),
        views=views,
        course=course(snapshots) if mode == "slider" else None,
        mode=mode,
        sections=sections,
        picture=markup.picture,
        definitions=markup.definitions,
        version=version("carrousel"),
    )


def style() -> str:
    """Return the style of pictures."""
    return (TEMPLATES / "figure.css").read_text("utf-8")


def view(label: str, report: Findings, axes: tuple[Axis, Axis], *, whole: bool = True) -> View:
    """Return what a page shows of a report; without the traces unless it is ``whole``."""
    return View(
        printable(label),
        verdict(report),
        tuple(tiles(report)),
        tuple(
            FaultShown(
                printable(one.name).replace("_", " "),
                short(one.part) if one.part else "",
                printable(one.evidence),
                printable(one.remedy),
            )
            for one in report.faults
        ),
        pictures(report, axes, NAMES if whole else NAMES[:-1]),
        tuple(tables(report)),
    )


def tiles(report: Findings) -> list[tuple[str, str]]:
    """Return the most important figures, each with its label."""
    found = [(number(report.loss), "loss of this call")]
    if report.lag is not None:
        found.append((count(report.lag, "step"), "lag that the task asks for"))
    read = read_part(report)
    if read is not None:
        found.append((steps(half_life_of(read)), "half-life of the error"))
        left = at_lag(curve_of(read), report.lag)
        if not math.isnan(left):
            found.append((share(left), "of the error arrives at that lag"))
        memory = memory_of(report, read.part)
        life = math.nan if memory is None else median_half_life(memory)
        if not math.isnan(life):
            found.append((lived(life), "median half-life of a unit's state"))
    if report.used is not None:
        until = used_steps(report.used)
        text = "none" if until is None else f"{'> ' * until[1]}{count(until[0], 'step')}"
        found.append((text, "history that the loss uses"))
    return found
