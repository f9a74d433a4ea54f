"""Drawing of a memory cell with its gates, and of the path of the truncated error."""

# ruff: noqa: RUF001 (signs of mathematics)
from __future__ import annotations

from tools.pages.paper.svg import BLUE, GREY, INK, ORANGE, Drawing

_MIDDLE, _GATES, _ERROR = 150.0, 52.0, 214.0
"""Heights of the cell, of its gates and of the error below it."""
_UNIT, _TIMES = 20.0, 12.0
"""Radii of a unit and of a product."""
_G, _IN, _STATE, _H, _OUT = 125.0, 225.0, 330.0, 435.0, 535.0
"""Positions from left to right: g, first product, state, h, second product."""
_WIDE, _HIGH = 84.0, 56.0
"""Size of the state's box."""


def cell_svg() -> str:
    """Draw the cell from left to right, and the error from right to left below it."""
    picture = Drawing(
        640,
        262,
        "A memory cell: its input, squashed by g, is multiplied by the input gate and added to the "
        "state; the state, squashed by h, is multiplied by the output gate. An error enters at the "
        "output, is kept in the state, and leaves at the cell input and the input gate, where it "
        "is cut off.",
    )
    _forward(picture)
    _gate(picture, _IN, "input gate", "in")
    _gate(picture, _OUT, "output gate", "out")
    _backward(picture)
    return picture.svg()


def _forward(picture: Drawing) -> None:
    left, right = _STATE - _WIDE / 2, _STATE + _WIDE / 2
    top = _MIDDLE - _HIGH / 2
    picture.formula(44, _MIDDLE + 5, [("up", "net"), ("sub", "c"), ("up", "("), ("it", "t"), _END])
    picture.arrow((76, _MIDDLE), (_G - _UNIT, _MIDDLE))
    picture.circle(_G, _MIDDLE, _UNIT)
    picture.formula(_G, _MIDDLE + 5, [("it", "g")])
    picture.arrow((_G + _UNIT, _MIDDLE), (_IN - _TIMES, _MIDDLE))
    _product(picture, _IN)
    picture.arrow((_IN + _TIMES, _MIDDLE), (left, _MIDDLE))
    picture.box(left, top, _WIDE, _HIGH, fill="#eef5fa", colour=BLUE)
    picture.formula(_STATE, _MIDDLE + 5, [("it", "s"), ("sub", "c"), *_AT_T], size=15)
    loop = f"M {_STATE + 24:g} {top:g} C {_STATE + 52:g} {top - 58:g}, "
    picture.path(f"{loop}{_STATE - 52:g} {top - 58:g}, {_STATE - 24:g} {top - 6:g}", colour=BLUE)
    picture.arrow((_STATE - 24, top - 8), (_STATE - 24, top), colour=BLUE)
    picture.text(_STATE, top - 50, "self-connection, weight 1.0", size=12, colour=BLUE)
    picture.arrow((right, _MIDDLE), (_H - _UNIT, _MIDDLE))
    picture.circle(_H, _MIDDLE, _UNIT)
    picture.formula(_H, _MIDDLE + 5, [("it", "h")])
    picture.arrow((_H + _UNIT, _MIDDLE), (_OUT - _TIMES, _MIDDLE))
    _product(picture, _OUT)
    picture.arrow((_OUT + _TIMES, _MIDDLE), (584, _MIDDLE))
    picture.formula(608, _MIDDLE + 5, [("it", "y"), ("sup", "c"), *_AT_T])


_END = ("up", ")")
_AT_T = (("up", "("), ("it", "t"), _END)


def _product(picture: Drawing, x: float) -> None:
    picture.circle(x, _MIDDLE, _TIMES)
    arm = 5
    for way in (1, -1):
        picture.line((x - arm, _MIDDLE - way * arm), (x + arm, _MIDDLE + way * arm))


def _gate(picture: Drawing, x: float, name: str, short: str) -> None:
    picture.text(x, _GATES - _UNIT - 10, name, size=12.5)
    picture.circle(x, _GATES, _UNIT)
    picture.formula(x, _GATES + 5, [("it", "f")])
    picture.formula(
        x - _UNIT - 58, _GATES + 5, [("up", "net"), ("sub", short), ("up", "("), ("it", "t"), _END]
    )
    picture.arrow((x - _UNIT - 26, _GATES), (x - _UNIT, _GATES))
    picture.arrow((x, _GATES + _UNIT), (x, _MIDDLE - _TIMES))
    picture.formula(
        x + 8, _GATES + _UNIT + 26, [("it", "y"), ("sup", short), *_AT_T], anchor="start"
    )


def _backward(picture: Drawing) -> None:
    left, right = _STATE - _WIDE / 2, _STATE + _WIDE / 2
    picture.arrow((606, _ERROR), (right + 4, _ERROR), colour=ORANGE, dashed=True)
    picture.arrow((left - 4, _ERROR), (112, _ERROR), colour=ORANGE, dashed=True)
    picture.line((110, _ERROR - 8), (110, _ERROR + 8), colour=ORANGE, width=2.2)
    picture.text(_STATE, _ERROR + 4, "error × 1.0", size=12.5, colour=ORANGE)
    enters = [("up", "enters, scaled by "), ("it", "y"), ("sup", "out"), ("it", " h'"), ("up", "("),
              ("it", "s"), ("sub", "c"), _END]  # fmt: skip
    picture.formula(490, _ERROR + 22, enters, size=12.5, colour=ORANGE)
    leaves = [("up", "leaves, scaled by "), ("it", "y"), ("sup", "in"), ("it", " g'"),
              ("up", " or "), ("it", "g f'"), ("sub", "in"), ("up", "; cut off")]  # fmt: skip
    picture.formula(206, _ERROR + 22, leaves, size=12.5, colour=ORANGE)
    sums = "nets are sums over current inputs and over hidden units one step earlier"
    picture.text(320, 256, sums, size=11.5, colour=GREY)
    picture.text(44, _MIDDLE - 16, "cell input", size=11.5, colour=INK)
