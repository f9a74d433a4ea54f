"""All pictures of a report."""

from __future__ import annotations

from typing import Literal, get_args

from carrousel.checks import check_choice
from carrousel.inspection.pictures.cells import cells
from carrousel.inspection.pictures.curves import three_curves
from carrousel.inspection.pictures.errors import errors
from carrousel.inspection.pictures.figure import Axis, Picture
from carrousel.inspection.pictures.findings import Findings
from carrousel.inspection.pictures.traces import traces

Name = Literal["curves", "errors", "cells", "traces"]
NAMES: tuple[Name, ...] = get_args(Name)
"""All pictures, in the order in which a page shows them."""


def pictures(
    report: Findings, axes: tuple[Axis, Axis], names: tuple[Name, ...] = NAMES
) -> dict[str, Picture]:
    """Return pictures by name; one whose values were not measured is left out.

    Args:
        report: what was measured.
        axes: of the three curves, from :func:`shared_axes`.
        names: of the pictures.
    """
    made = {
        "curves": lambda: three_curves(report, axes),
        "errors": lambda: errors(report),
        "cells": lambda: cells(report),
        "traces": lambda: traces(report),
    }
    found = {name: made[name]() for name in names}
    return {name: one for name, one in found.items() if one is not None}


def names_of(picture: Name | None) -> tuple[Name, ...]:
    """Return the names of one picture or, for None, of all.

    Raises:
        UnknownNameError: there is no such picture.
    """
    if picture is None:
        return NAMES
    check_choice("picture", picture, NAMES)
    return (picture,)
