"""Forest plot: our mean number of sequences over the printed one, row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tools.pages.paper.outcomes import RowOutcome
from tools.pages.paper.svg import BLUE, FAINT, GREEN, GREY, INK, ORANGE, Drawing

_LINE, _TOP = 13.0, 44.0
_LEFT, _RIGHT = 84.0, 470.0
_LARGEST = 8.0
_TICKS = ((0.125, "1/8"), (0.25, "1/4"), (0.5, "1/2"), (1, "1"), (2, "2"), (4, "4"), (8, "8"))
_COLOURS = {"reproduced": GREEN, "faster": BLUE, "slower": ORANGE}


def ratios_svg(outcomes: Sequence[RowOutcome]) -> str:
    """Draw a point and a 95 % interval for each row; ratios have a logarithmic axis.

    Rows without a verdict are marked as pending. An end beyond the axis is drawn as an arrow.
    """
    height = _TOP + len(outcomes) * _LINE
    picture = Drawing(
        640,
        round(height + 6),
        "Ratio of our mean number of training sequences to the printed one, with 95 % intervals, "
        "for each row of the tables",
    )
    for value, words in _TICKS:
        x = _across(value)
        picture.line((x, _TOP - 8), (x, height), colour=GREY if value == 1 else FAINT, width=1)
        picture.text(x, _TOP - 14, words, size=11)
    picture.text((_LEFT + _RIGHT) / 2, 12, "our mean / printed mean", size=12)
    picture.text(500, _TOP - 14, "ratio", size=11)
    picture.text(528, _TOP - 14, "verdict", size=11, anchor="start")
    before = ""
    for place, one in enumerate(outcomes):
        y = _TOP + (place + 0.5) * _LINE
        if one.group != before and place:
            picture.line((20, y - _LINE / 2), (620, y - _LINE / 2), colour=FAINT, width=1)
        before = one.group
        _row(picture, one, y)
    return picture.svg()


def _row(picture: Drawing, one: RowOutcome, y: float) -> None:
    picture.text(_LEFT - 20, y + 3.7, one.name, size=11, anchor="end")
    picture.text(528, y + 3.7, one.kind, size=11, anchor="start", colour=_ink(one))
    if one.ratio is None:
        return
    picture.text(500, y + 3.7, f"{one.ratio:.2f}", size=11)
    colour = _ink(one)
    if one.ratio_ci95 is not None:
        low, high = one.ratio_ci95
        for end, way in ((low, -1), (high, 1)):
            outside = not 1 / _LARGEST <= end <= _LARGEST
            start, stop = (_across(one.ratio), y), (_across(end), y)
            if outside:
                picture.arrow(start, (stop[0] + 8 * way, y), colour=colour)
            elif start != stop:
                picture.line(start, stop, colour=colour, width=1.6)
    filled = one.kind == "reproduced"
    picture.circle(_across(one.ratio), y, 3.6, fill=colour if filled else "#ffffff", colour=colour)


def _ink(one: RowOutcome) -> str:
    return _COLOURS.get(one.kind, GREY if one.kind == "pending" else INK)


def _across(ratio: float) -> float:
    share = math.log(max(1 / _LARGEST, min(_LARGEST, ratio)), _LARGEST)
    return _LEFT + (share + 1) / 2 * (_RIGHT - _LEFT)
