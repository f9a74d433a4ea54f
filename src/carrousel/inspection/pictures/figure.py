"""Descriptions of pictures, free of markup, which a page and matplotlib draw alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from carrousel.shapes import Floats

MINUS = "\N{MINUS SIGN}"
Colour = Literal["ours", "paper", "good", "bad", "ink", "soft"]
"""A colour by its role, as in ``page.css``; each has a light and a dark value."""


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis; a fine one is left out where there is little room."""

    value: float
    text: str
    is_fine: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high``.

    Args:
        label: what it measures, with its unit.
        low, high: ends, of which ``high`` is greater; positive if the axis is logarithmic.
        ticks: labelled places.
        log: whether it is logarithmic.
    """

    label: str
    low: float
    high: float
    ticks: tuple[Tick, ...]
    log: bool = False

    def place(self, values: object) -> Floats:
        """Return places as shares of the axis; what lies outside is put a little outside.

        >>> linear("lag", 0, 10).place([0.0, 5.0, 99.0]).tolist()
        [0.0, 0.5, 1.1]
        >>> logarithmic("error", 0.01, 1.0).place([0.1, 0.0]).round(6).tolist()
        [0.5, -0.1]
        """
        given = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                given = np.where(given > 0, np.log10(given), np.where(given <= 0, -np.inf, np.nan))
            low, high = math.log10(low), math.log10(high)
        return np.clip((given - low) / (high - low), -0.1, 1.1)


@dataclass(frozen=True, eq=False)
class Line:
    """A curve.

    Args:
        name: for the legend and the readout.
        x, y: points ``[N]``; NaN breaks the curve.
        colour: by role.
        style: ``"dots"`` draws points alone, ``"marked"`` points and a line.
    """

    name: str
    x: Annotated[Floats, "N"]
    y: Annotated[Floats, "N"]
    colour: Colour = "ours"
    style: Literal["solid", "dashed", "dots", "marked"] = "solid"


@dataclass(frozen=True)
class Rule:
    """A straight line across a panel.

    Args:
        at: a value of ``x``, or of ``y``.
        text: label; empty: the line alone, for panels below a labelled one.
        along: the axis of the value.
        is_quiet: whether it is a help for the eye only.
    """

    at: float
    text: str
    along: Literal["x", "y"] = "x"
    is_quiet: bool = False


@dataclass(frozen=True, eq=False)
class Panel:
    """A pair of axes with curves or an image.

    Args:
        title: what it shows.
        x, y: axes.
        lines: curves; empty if there is an image.
        rules: lines across.
        image: colours ``[rows, columns, 4]``, 0 to 1, the top row first; None: curves.
        height: in units of a line of text.
        has_x: whether the axis has labels; a panel above another one with the same axis needs none.
    """

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    rules: tuple[Rule, ...] = ()
    image: Annotated[Floats, "rows columns 4"] | None = None
    height: float = 20.0
    has_x: bool = True


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a swatch, a name, a figure, and the definition of what is drawn."""

    name: str
    colour: Colour
    style: Literal["solid", "dashed", "dots", "marked"] = "solid"
    figure: str = ""
    definition: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """A titled group of panels.

    Args:
        name: its address in a page.
        title: heading.
        caption: how to read it, in plain sentences.
        panels: from top to bottom; side by side where there is room if ``beside``.
        keys: legend.
        scale: colours of images, ``[N, 4]`` from low to high, with a text for each end.
        beside: whether panels may stand side by side.
    """

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    keys: tuple[Key, ...] = ()
    scale: tuple[Floats, str, str] | None = None
    beside: bool = False


def linear(label: str, low: float, high: float, *, most: int = 8, whole: bool = False) -> Axis:
    """Return a linear axis with round ticks, every second one fine.

    >>> [tick.text for tick in linear("lag", 0, 49, whole=True).ticks]
    ['0', '10', '20', '30', '40']
    """
    if not high > low:
        low, high = low - 0.5, low + 0.5
    step = _round_step((high - low) / most)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(
        label,
        low,
        high,
        tuple(
            Tick(k * step, _plain(k * step, step), is_fine=bool(n % 2))
            for n, k in enumerate(range(first, last + 1))
        ),
    )


def logarithmic(label: str, low: float, high: float) -> Axis:
    """Return a logarithmic axis with ticks at powers of ten.

    >>> [tick.text for tick in logarithmic("error", 1e-4, 1.0).ticks]
    ['10⁻⁴', '10⁻³', '0.01', '0.1', '1']
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first) / 6))
    decades = [n for n in range(first, last + 1) if n % step == 0]
    return Axis(
        label,
        low,
        high,
        tuple(
            Tick(10.0**n, power(n), is_fine=len(decades) > 5 and k % 2 == 1)
            for k, n in enumerate(decades)
        ),
        log=True,
    )


def power(n: int) -> str:
    """Return a power of ten as text.

    >>> power(-12), power(-1), power(3)
    ('10⁻¹²', '0.1', '1,000')
    """
    if -2 <= n <= 3:
        return f"{10.0**n:,g}"
    return "10" + superscript(n)


def superscript(n: int) -> str:
    """Return a whole number as an exponent."""
    return str(n).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _round_step(least: float) -> float:
    base = 10.0 ** math.floor(math.log10(least))
    return next(base * factor for factor in (1, 2, 5, 10) if base * factor >= least * (1 - 1e-9))


def _plain(value: float, step: float) -> str:
    """Return a multiple of a step with as many decimals as the step has."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:.3g}" if decimals > 8 else f"{round(value / step) * step + 0.0:,.{decimals}f}"
    return text.replace("-", MINUS)
