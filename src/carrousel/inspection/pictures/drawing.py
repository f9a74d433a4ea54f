"""Pictures as files, drawn by matplotlib from the same descriptions as the page's."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from carrousel.errors import MissingExtraError
from carrousel.inspection.pictures.curves import shared_axes
from carrousel.inspection.pictures.every import NAMES, Name, pictures
from carrousel.inspection.pictures.figure import Key, Panel, Picture
from carrousel.inspection.pictures.findings import Findings, verdict
from carrousel.words import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

COLOURS = {
    "ours": "#1f5fbf",
    "paper": "#b85c08",
    "good": "#1c7a45",
    "bad": "#b3261e",
    "ink": "#1b2330",
    "soft": "#566072",
}
"""The light colours of ``figure.css``."""
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # names are no formulas
    "svg.fonttype": "path",
    "svg.hashsalt": "carrousel",
}
WIDTH = 11.0
"""Inches of a column."""
LEFT, RIGHT = 0.085, 0.97
"""Ends of panels as shares of a column."""
LINE = 0.22
"""Inches of a line of text, the unit of the height of panels."""


def drawn(
    snapshots: Sequence[tuple[str, Findings]],
    names: tuple[Name, ...] = NAMES,
    kind: Literal["png", "svg"] = "png",
) -> bytes:
    """Return pictures of reports side by side, each a column.

    Args:
        snapshots: reports with their labels.
        names: of the pictures.
        kind: format of the file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure  # pyplot would need a window system
    except ImportError as error:
        raise MissingExtraError(
            "the picture needs matplotlib", fix="install it with: pip install 'carrousel[plot]'"
        ) from error
    axes = shared_axes([report for _, report in snapshots])
    columns = [
        (_title(label, verdict(report)), [*pictures(report, axes, names).values()])
        for label, report in snapshots
    ]
    top = 0.35 + 0.27 * max(title.count("\n") + 1 for title, _ in columns)
    height = top + max(sum(_height(one) for one in shown) for _, shown in columns)
    file = io.BytesIO()
    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH * len(columns), height), facecolor="white")
        parts = figure.subfigures(1, len(columns), squeeze=False)[0]
        for part, (title, shown) in zip(parts, columns, strict=True):
            _text(part, 0.02, 1.0 - 0.14 / height, title, 14)
            _column(part, shown, height - top, height)
        undated = {"Date": None} if kind == "svg" else None
        figure.savefig(file, format=kind, dpi=130, metadata=undated)
    return file.getvalue()


def _title(label: str, sentence: str) -> str:
    whole = f"{printable(label)}: {sentence}" if label else sentence
    return textwrap.fill(textwrap.shorten(whole, 230, placeholder="…"), 86)


def _head(picture: Picture) -> float:
    """Return the inches of the heading and the legend."""
    return 0.36 + 0.24 * len(_rows(picture.keys))


def _room(panel: Panel) -> float:
    """Return the inches of a panel with its title and labels."""
    return LINE * 0.8 * panel.height + 0.4 + (0.42 if panel.has_x else 0.0)


def _height(picture: Picture) -> float:
    scale = 0.0 if picture.scale is None else 0.3
    return _head(picture) + sum(_room(panel) for panel in picture.panels) + scale + 0.3


def _column(part: SubFigure, shown: Sequence[Picture], y: float, height: float) -> None:
    """Draw pictures from ``y`` inches downwards."""
    for picture in shown:
        _text(part, 0.02, y / height, picture.title, 12.5)
        _legend(part, picture.keys, (y - 0.3) / height, height)
        y -= _head(picture)
        for panel in picture.panels:
            inches = LINE * 0.8 * panel.height
            bottom = (y - 0.3 - inches) / height
            _panel(part.add_axes((LEFT, bottom, RIGHT - LEFT, inches / height)), panel)
            y -= _room(panel)
        if picture.scale is not None:
            _scale(part, picture.scale, (y - 0.2) / height, 0.13 / height)
            y -= 0.3
        y -= 0.3


def _scale(
    part: SubFigure, scale: tuple[np.ndarray, str, str], bottom: float, height: float
) -> None:
    colours, low, high = scale
    axes = part.add_axes((0.4, bottom, 0.2, height))
    axes.imshow(colours[None], aspect="auto")
    axes.set_axis_off()
    for x, side, text in ((-0.03, "right", low), (1.03, "left", high)):
        axes.text(
            *(x, 0.5, text),
            **{"ha": side, "va": "center", "fontsize": 9, "color": COLOURS["soft"]},
            transform=axes.transAxes,
        )


def _text(part: SubFigure, x: float, y: float, text: str, size: float) -> None:
    part.text(x, y, text, va="top", fontsize=size, weight="bold", color=COLOURS["ink"])


def _rows(keys: Sequence[Key]) -> list[list[Key]]:
    """Return the entries of a legend in rows that fit."""
    rows, used = list[list[Key]](), 0
    for key in keys:
        length = len(key.name) + len(key.figure) + 9
        if not rows or used + length > 125:
            rows.append([])
            used = 0
        rows[-1].append(key)
        used += length
    return rows


def _legend(part: SubFigure, keys: Sequence[Key], top: float, height: float) -> None:
    from matplotlib.lines import Line2D

    marks: dict[str, tuple[Any, str]] = {
        "solid": ("-", ""),
        "dashed": ("--", ""),
        "dots": ("none", "o"),
        "marked": ("-", "o"),
    }
    for n, row in enumerate(_rows(keys)):
        handles = [
            Line2D(
                [],
                [],
                color=COLOURS[key.colour],
                linewidth=2,
                linestyle=marks[key.style][0],
                marker=marks[key.style][1],
                markersize=5,
            )
            for key in row
        ]
        names = [f"{key.name}: {key.figure}" if key.figure else key.name for key in row]
        found = part.legend(
            handles,
            names,
            loc="upper left",
            bbox_to_anchor=(0.012, top - 0.23 * n / height),
            ncols=len(row),
            frameon=False,
            fontsize=9.5,
            borderaxespad=0.0,
            handlelength=2.2,
            columnspacing=1.6,
        )
        part.add_artist(found)


def _panel(axes: Axes, panel: Panel) -> None:
    x, y = panel.x, panel.y
    axes.set_title(panel.title, loc="center", fontsize=9.5, color=COLOURS["ink"], pad=5)
    axes.set_xlim(x.low, x.high)
    if y.log:
        axes.set_yscale("log")
    axes.set_ylim(y.low, y.high)
    axes.set_xticks(
        [tick.value for tick in x.ticks], [tick.text if panel.has_x else "" for tick in x.ticks]
    )
    axes.set_yticks([tick.value for tick in y.ticks], [tick.text for tick in y.ticks])
    axes.minorticks_off()
    axes.tick_params(length=0, labelsize=9, labelcolor=COLOURS["soft"])
    axes.set_ylabel(y.label, fontsize=9, color=COLOURS["soft"])
    if panel.has_x:
        axes.set_xlabel(x.label, fontsize=9, color=COLOURS["soft"], labelpad=2)
    for spine in axes.spines.values():
        spine.set_color("#dde1e8")
    if panel.image is not None:
        axes.imshow(
            panel.image,
            extent=(x.low, x.high, 0.0, 1.0),
            aspect="auto",
            interpolation="nearest",
            origin="upper",
        )
    else:
        axes.grid(color="#e6e9ef", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    _lines(axes, panel)
    _rules(axes, panel)


def _lines(axes: Axes, panel: Panel) -> None:
    low = 10.0 ** (np.log10(panel.y.low) - 3.0) if panel.y.log else -np.inf
    for line in panel.lines:
        is_dot = line.style == "dots" or np.isfinite(line.y).sum() == 1
        axes.plot(
            line.x,
            np.where(line.y <= 0.0, low, line.y) if panel.y.log else line.y,
            color=COLOURS[line.colour],
            linewidth=0.0 if line.style == "dots" else 2.0,
            linestyle="--" if line.style == "dashed" else "-",
            marker="o" if is_dot or line.style == "marked" else "",
            markersize=5,
        )


def _rules(axes: Axes, panel: Panel) -> None:
    for rule in panel.rules:
        quiet = rule.is_quiet
        shown = {
            "color": COLOURS["soft" if quiet else "ink"],
            "linestyle": ":" if quiet else "--",
            "linewidth": 1.0 if quiet else 1.6,
        }
        if rule.along == "y":
            axes.axhline(rule.at, **shown)
            axes.annotate(
                rule.text,
                (0.995, rule.at),
                (0, 2),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=8.5,
                color=shown["color"],
            )
            continue
        if panel.image is not None:
            axes.axvline(rule.at, color="#000000", linewidth=3.2)
            shown = {"color": "#ffffff", "linewidth": 1.6}
        axes.axvline(rule.at, **shown)
        side = "right" if float(panel.x.place(rule.at)) > 0.7 else "left"
        axes.text(
            rule.at,
            1.0,
            rule.text,
            transform=axes.get_xaxis_transform(),
            ha=side,
            va="bottom",
            fontsize=9,
            weight="bold",
            color=COLOURS["ink"],
        )
