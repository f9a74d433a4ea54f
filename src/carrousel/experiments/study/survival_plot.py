"""Plot of survival curves: share of unsolved trials against training sequences."""

from __future__ import annotations

import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from carrousel import words
from carrousel.errors import MissingExtraError, SettingError
from carrousel.experiments.judge.statistics import Survival

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")
"""Colours that colour-blind readers can distinguish (Okabe & Ito 2008)."""
STYLES = ("-", "--", "-.", (0, (1, 1.2)), "-", "--", "-.", (0, (1, 1.2)))
"""Line styles; neighbouring curves differ in greyscale prints too."""
MOST_LINES = len(COLOURS)
_FEWEST_POINTS, _ALL_POINTS = 24, 160
_INK, _FAINT = "#333333", "#d9d9d9"

_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "carrousel",  # identifiers are random without it
    "svg.fonttype": "none",  # keeps text as text instead of outlines
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 10.0,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True)
class SurvivalLine:
    """A survival curve with its label."""

    label: str
    curve: Survival


def survival_svg(
    title: str,
    lines: Sequence[SurvivalLine],
    *,
    paper: float | None = None,
    log: bool = False,
) -> str:
    """Draw survival curves: the share of unsolved trials against training sequences.

    Each curve has a 95 % band. If trials remain unsolved, it ends with a tick. The same arguments
    give the same bytes with the same version of matplotlib.

    Args:
        title: title of the plot, e.g. ``"4-1: adding problem, T = 100"``.
        lines: one to eight curves; the first is drawn on top.
        paper: the paper's mean number of sequences, drawn as a vertical line.
        log: whether the axis of sequences is logarithmic.

    Returns:
        an SVG image.

    Raises:
        SettingError: there are no lines, or too many.
        MissingExtraError: matplotlib is not installed.

    >>> from carrousel.experiments.judge.statistics import Counts, survival
    >>> curve = survival(Counts((200, 300, 1000), (True, True, False)))
    >>> survival_svg("4-1", [SurvivalLine("4-1", curve)], paper=250).startswith("<?xml")
    True
    """
    text = io.StringIO()
    with _figure(title, lines, paper=paper, log=log) as figure:
        # without date and version, equal plots are equal files
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return compact_svg(text.getvalue())


def compact_svg(text: str) -> str:
    """Shorten the paths of a picture by matplotlib, and name its clip paths after their text.

    Their names are hashes of coordinates to the last bit, which depends on the processor.

    >>> box = '<clipPath id="p01234567ab"><rect x="1.25"/></clipPath>'
    >>> compact_svg(f'<path clip-path="url(#p01234567ab)" d="M 1.25"/>{box}')[:41]
    '<path clip-path="url(#clip-486dcd94)" d="'
    """
    text = re.sub(r' d="[^"]*"', _shortened, text)
    for name, inside in re.findall(r'<clipPath id="(p[0-9a-f]{10})">(.*?)</clipPath>', text, re.S):
        text = text.replace(name, f"clip-{zlib.crc32(inside.strip().encode()):08x}")
    return text


def _shortened(path: re.Match[str]) -> str:
    """Round a path to a tenth of a point, less than a line's width; this halves the size."""
    return re.sub(r" ?\nL ", "L", re.sub(r"(\.\d)\d+", r"\1", path.group()))


def survival_png(
    title: str, lines: Sequence[SurvivalLine], *, paper: float | None = None, log: bool = False
) -> bytes:
    """Draw the same plot as PNG."""
    data = io.BytesIO()
    with _figure(title, lines, paper=paper, log=log) as figure:
        figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()


@contextmanager
def _figure(
    title: str, lines: Sequence[SurvivalLine], *, paper: float | None, log: bool
) -> Iterator[Figure]:
    if not 1 <= len(lines) <= MOST_LINES:
        raise SettingError(
            f"lines has {len(lines)} curves, expected 1 to {MOST_LINES}",
            argument="lines",
            expected=f"1 to {MOST_LINES} curves",
        )
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure  # pyplot would need a window system
    except ImportError as error:
        raise MissingExtraError(
            f"the plot needs {error.name}",
            fix="install it with: pip install 'carrousel[plot]'",
        ) from error
    with rc_context(cast(Any, _SETTINGS)):  # type checkers expect keys of an enumeration
        rows = math.ceil(len(lines) / _legend_columns(lines))
        figure = Figure(figsize=(7.2, 3.7 + 0.2 * rows), layout="constrained")
        axes = figure.add_subplot()
        span = _span(lines, paper, log)
        for place, line in reversed(list(enumerate(lines))):
            _draw(axes, line.curve, place, span, len(lines))
        _dress(axes, title, span, log)
        if paper is not None:
            axes.axvline(paper, color=_INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
            axes.annotate(
                f" paper: {words.number(paper)}",
                (paper, 1.0),
                xycoords=("data", "axes fraction"),
                ha="left" if _left_half(paper, span, log) else "right",
                va="bottom",
                fontsize=9,
            )
        _legend(figure, lines)
        yield figure


def _span(lines: Sequence[SurvivalLine], paper: float | None, log: bool) -> tuple[float, float]:
    """Ends of the axis of sequences."""
    known = [line.curve.last for line in lines] + ([paper] if paper else [])
    last = max(max(known), 1.0)
    if not log:
        return 0.0, last * 1.03
    firsts = [line.curve.sequences[0] for line in lines if line.curve.sequences]
    first = max(min([*firsts, paper or last, last]), 1.0)
    return first / 1.5, last * 1.15


def _left_half(value: float, span: tuple[float, float], log: bool) -> bool:
    if log:
        return value * value < span[0] * span[1]
    return 2 * value < span[0] + span[1]


def _draw(axes: Axes, curve: Survival, place: int, span: tuple[float, float], of: int) -> None:
    colour, style = COLOURS[place], STYLES[place]
    order = 3.0 - 0.1 * place
    at, share, low, high = thinned(curve, max(_FEWEST_POINTS, _ALL_POINTS // of))
    start = span[0]
    x = [start, *at, max(curve.last, at[-1] if at else start)]
    left = share[-1] if share else 1.0
    y = [1.0, *share, left]
    axes.fill_between(
        x,
        [1.0, *low, low[-1] if low else 1.0],
        [1.0, *high, high[-1] if high else 1.0],
        step="post",
        color=colour,
        alpha=0.13 if of <= 4 else 0.07,  # many bands would hide the lines
        linewidth=0,
        zorder=order - 1.0,
    )
    axes.step(x, y, where="post", color=colour, linestyle=style, linewidth=1.9, zorder=order)
    if left > 0:  # the curve is unknown beyond this point
        axes.plot([x[-1]], [left], marker="|", markersize=11, markeredgewidth=1.9, color=colour)


def thinned(
    curve: Survival, points: int
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Thin a curve to at most ``points`` steps, including the first and the last.

    Returns:
        counts at which it falls, shares, and the lower and upper ends of their intervals.
    """
    n = len(curve.sequences)
    kept = (
        range(n)
        if n <= points
        else sorted({round(i * (n - 1) / (points - 1)) for i in range(points)})
    )
    columns = (curve.sequences, curve.share, curve.low, curve.high)
    at, share, low, high = ([column[i] for i in kept] for column in columns)
    return at, share, low, high


def _dress(axes: Axes, title: str, span: tuple[float, float], log: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    axes.set_xscale("log" if log else "linear")
    axes.set_xlim(*span)
    if log:
        wide = span[1] > 300 * span[0]
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(title, loc="left", fontsize=11, pad=18)
    axes.set_xlabel("training sequences")
    axes.set_ylabel("trials not yet solved")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value)))
    axes.grid(color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _labels(lines: Sequence[SurvivalLine]) -> list[str]:
    return [f"{line.label} ({line.curve.solved} of {line.curve.trials})" for line in lines]


def _legend_columns(lines: Sequence[SurvivalLine]) -> int:
    """Number of columns of the legend: two, unless a label is too long for half the width."""
    return 1 if len(lines) == 1 or max(map(len, _labels(lines))) > 42 else 2


def _legend(figure: Figure, lines: Sequence[SurvivalLine]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[place], linestyle=STYLES[place], linewidth=1.9)
        for place in range(len(lines))
    ]
    figure.legend(
        handles,
        _labels(lines),
        loc="outside lower left",
        ncols=_legend_columns(lines),
        frameon=False,
        fontsize=9,
        handlelength=2.6,
    )
