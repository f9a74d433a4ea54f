"""Learning curves, labelled points and bars as SVG pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np

from carrousel.errors import MissingExtraError
from carrousel.experiments.study.survival_plot import COLOURS, STYLES, compact_svg

_INK, _LIGHT, _FAINT = "#333333", "#d5d9de", "#e3e3e3"
_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "carrousel",  # the same picture gives the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 10.0,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


class Curve(NamedTuple):
    """A curve over ``x [points]`` for each seed, ``y [seeds, points]``."""

    label: str
    x: np.ndarray
    y: np.ndarray


def curves_svg(
    title: str,
    curves: Sequence[Curve],
    *,
    across: str,
    up: str,
    log_up: bool = False,
    log_across: bool = False,
) -> str:
    """Draw curves: the median over seeds, in a band from the lowest to the highest.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with _figure(4.4) as (figure, axes):
        for place, curve in enumerate(curves):
            colour = COLOURS[place % len(COLOURS)]
            middle = np.median(curve.y, axis=0)
            style = cast(Any, STYLES[place % len(STYLES)])
            axes.plot(curve.x, middle, color=colour, linestyle=style, label=curve.label, lw=1.6)
            if len(curve.y) > 1:
                low, high = curve.y.min(axis=0), curve.y.max(axis=0)
                axes.fill_between(curve.x, low, high, color=colour, alpha=0.18, lw=0)
        if log_up:
            axes.set_yscale("log")
        if log_across:
            axes.set_xscale("log")
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(color=_FAINT, lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        return svg(figure)


def bars_svg(title: str, labels: Sequence[str], values: Sequence[float], *, across: str) -> str:
    """Draw a horizontal bar for each label, from the top; bars below and above 0 differ in colour.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with _figure(1.4 + 0.24 * len(labels)) as (figure, axes):
        colours = [COLOURS[0] if value < 0 else COLOURS[1] for value in values]
        places = range(len(labels))
        axes.barh(places, values, color=colours, height=0.7)
        axes.set_yticks(places, labels, fontsize=9)
        axes.invert_yaxis()
        axes.axvline(0, color=_INK, lw=0.8)
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xlabel(across)
        axes.grid(axis="x", color=_FAINT, lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return svg(figure)


@contextmanager
def _figure(height: float) -> Iterator[tuple[Any, Any]]:
    """Make a figure of this height in inches with one pair of axes, in the style of the pages."""
    with panels(1, 1, height) as (figure, [axes]):
        yield figure, axes


@contextmanager
def panels(
    rows: int, columns: int, height: float, *, dark: bool = False, **options: Any
) -> Iterator[tuple[Any, list[Any]]]:
    """Make a figure with several axes, in the style of the pages.

    Args:
        rows, columns: of axes, which are listed row by row.
        height: of the figure, in inches.
        dark: whether its lines and text are light, for dark pages.
        options: of matplotlib's ``subplots``, such as ``sharey``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            f"the picture needs {error.name}; install it with: pip install 'carrousel[plot]'"
        ) from error
    inks = {name: _LIGHT for name, value in _SETTINGS.items() if value == _INK} if dark else {}
    with rc_context(cast(Any, _SETTINGS | inks)):
        figure = Figure(figsize=(7.2, height), layout="constrained")
        yield figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def svg(figure: Any, *, transparent: bool = False) -> str:
    """Return a figure as the text of an SVG file; equal figures give equal text."""
    text = io.StringIO()
    figure.savefig(
        text, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None}
    )
    return compact_svg(text.getvalue())


class Point(NamedTuple):
    """A point with a vertical interval."""

    label: str
    x: float
    y: float
    half: float


def points_svg(panels: Mapping[str, Sequence[Point]], *, across: str, up: str, level: float) -> str:
    """Draw points in panels over a logarithmic axis, with lines between those of one label.

    Args:
        panels: points by the title of their panel.
        across, up: labels of the axes.
        level: height of a horizontal line.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            f"the picture needs {error.name}; install it with: pip install 'carrousel[plot]'"
        ) from error
    text, labels = io.StringIO(), list(dict.fromkeys(p.label for ps in panels.values() for p in ps))
    with rc_context(cast(Any, _SETTINGS)):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        drawn = list(figure.subplots(1, len(panels), squeeze=False).flat)
        for axes, (title, points) in zip(drawn, panels.items(), strict=True):
            axes.axhline(level, color=_FAINT, lw=1.2)
            for place, label in enumerate(labels):
                found = [point for point in points if point.label == label]
                x, y, half = ([getattr(p, name) for p in found] for name in ("x", "y", "half"))
                style = cast(Any, STYLES[place % len(STYLES)])
                axes.errorbar(x, y, half, marker="o", ms=4, lw=1.2, capsize=2, linestyle=style,
                              color=COLOURS[place % len(COLOURS)], label=label)  # fmt: skip
            axes.set_xscale("log")
            axes.set_title(title, fontsize=10, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
        figure.legend(*drawn[0].get_legend_handles_labels(), ncols=3, frameon=False,
                               loc="outside upper center", fontsize=9)  # fmt: skip
        figure.supxlabel(across, fontsize=10)
        figure.supylabel(up, fontsize=10)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return compact_svg(text.getvalue())
