"""Pictures as HTML: curves as inline SVG that stretches, texts that keep their size.

A panel has no fixed width: its curves are drawn in a box of 1000 by 1000 that is stretched, and all
texts are HTML at shares of the width and height. So one page is readable on a phone and in a hall.
"""

from __future__ import annotations

from html import escape

import numpy as np

from carrousel.inspection.pictures.figure import Axis, Key, Line, Panel, Picture, Rule, Tick
from carrousel.inspection.pictures.png import address

MOST_POINTS = 800
"""Points of a curve at most; of more, every n-th is drawn."""


def picture(shown: Picture) -> str:
    """Return a picture without its heading and caption."""
    parts = [_legend(shown.keys)] if shown.keys else []
    parts.append(f'<div class="panels{" beside" if shown.beside else ""}">')
    parts += [_panel(one) for one in shown.panels]
    parts.append("</div>")
    if shown.scale is not None:
        colours, low, high = shown.scale
        parts.append(
            f'<div class="scale"><span>{escape(low)}</span>'
            f'<img alt="scale of colours" src="{address(colours[None])}">'
            f"<span>{escape(high)}</span></div>"
        )
    return "\n".join(parts)


def definitions(keys: tuple[Key, ...]) -> str:
    """Return the definitions of what a legend names, as a list; empty without any."""
    found = [
        f"<dt>{escape(key.name)}</dt><dd>{escape(key.definition)}</dd>"
        for key in keys
        if key.definition
    ]
    return f'<dl class="meaning">{"".join(found)}</dl>' if found else ""


def _legend(keys: tuple[Key, ...]) -> str:
    return '<ul class="legend">' + "".join(_key(key) for key in keys) + "</ul>"


def _key(key: Key) -> str:
    marks = {
        "solid": '<path d="M0,6h26"/>',
        "dashed": '<path d="M0,6h26" stroke-dasharray="6 4"/>',
        "dots": '<circle cx="13" cy="6" r="4"/>',
        "marked": '<path d="M0,6h26"/><circle cx="13" cy="6" r="3.5"/>',
    }
    figure = f" <b>{escape(key.figure)}</b>" if key.figure else ""
    return (
        f'<li><svg class="swatch {key.colour}" viewBox="0 0 26 12" aria-hidden="true">'
        f"{marks[key.style]}</svg><span>{escape(key.name)}{figure}</span></li>"
    )


def _panel(panel: Panel) -> str:
    x, y = panel.x, panel.y
    described = f"{panel.title}: {y.label} by {x.label}"
    curves = "".join(_line(panel, line) for line in panel.lines)
    image = (
        f'<img class="cells" alt="" src="{address(panel.image)}">'
        if panel.image is not None
        else ""
    )
    head = (
        escape(panel.title)
        if y.label in ("relative size", "gate", "relative")
        else (f"{escape(panel.title)} <span>({escape(y.label)})</span>")
    )
    x_axis = (
        f'<div class="xticks">{_ticks(x, "left")}</div><div class="xlabel">{escape(x.label)}</div>'
        if panel.has_x and x.ticks
        else f'<div class="xlabel">{escape(x.label)}</div>'
        if panel.has_x
        else ""
    )
    kinds = f"{' image' if image else ''}"
    if any(rule.text and rule.along == "x" for rule in panel.rules):
        kinds += " labelled"
    axis = (
        f'data-low="{x.low!r}" data-high="{x.high!r}" '
        f'data-ylow="{y.low!r}" data-yhigh="{y.high!r}" '
        f'data-log="{int(y.log)}" data-x="{escape(x.label)}"'
    )
    return (
        f'<figure class="panel" role="img" aria-label="{escape(described)}">'
        f"<figcaption>{head}</figcaption>"
        f'<div class="frame{kinds}" style="height:{panel.height:.3g}rem">'
        f'<div class="yticks">{_ticks(y, "bottom")}</div>'
        f'<div class="area" {axis}>{image}'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f"{_grid(panel)}{curves}</svg>"
        f"{''.join(_rule(panel, rule) for rule in panel.rules)}</div></div>{x_axis}</figure>"
    )


def _ticks(axis: Axis, side: str) -> str:
    return "".join(_tick(tick, float(axis.place(tick.value)), side) for tick in axis.ticks)


def _tick(tick: Tick, at: float, side: str) -> str:
    kinds = ["fine"] if tick.is_fine else []
    if side == "left" and at > 0.9 and len(tick.text) > 5:
        kinds.append("end")
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<span style="{side}:{100 * at:.2f}%"{kind}>{escape(tick.text)}</span>'


def _grid(panel: Panel) -> str:
    if panel.image is not None:
        return ""
    across = "".join(f"M0,{_down(panel.y, tick.value)}H1000" for tick in panel.y.ticks)
    up = "".join(f"M{_right(panel.x, tick.value)},0V1000" for tick in panel.x.ticks)
    return f'<path class="grid" d="{across}{up}"/>'


def _line(panel: Panel, line: Line) -> str:
    step = max(1, -(-len(line.x) // MOST_POINTS))
    x, y = panel.x.place(line.x[::step]) * 1000, (1.0 - panel.y.place(line.y[::step])) * 1000
    known = np.isfinite(x) & np.isfinite(y)
    path, dots, pen = [], [], "M"
    for right, down, is_known in zip(x, y, known, strict=True):
        if not is_known:
            pen = "M"
            continue
        path.append(f"{pen}{right:.1f},{down:.1f}")
        dots.append(f"M{right:.1f},{down:.1f}h0")
        pen = "L"
    kind = f'class="{line.colour}{" dashed" if line.style == "dashed" else ""}"'
    name = f'data-name="{escape(line.name)}"'
    found = ""
    if line.style != "dots" and len(path) > 1:
        found += f'<path {kind} {name} d="{"".join(path)}"/>'
    if line.style in ("dots", "marked") or len(path) == 1:
        named = "" if found else name
        found += f'<path class="{line.colour} dot" {named} d="{"".join(dots)}"/>'
    return found


def _rule(panel: Panel, rule: Rule) -> str:
    axis, side = (panel.y, "bottom") if rule.along == "y" else (panel.x, "left")
    at = 100 * float(axis.place(rule.at))
    kind = " across" if rule.along == "y" else " before" if at > 70 else ""
    kind += " quiet" if rule.is_quiet else ""
    text = f"<span>{escape(rule.text)}</span>" if rule.text else ""
    return f'<div class="rule{kind}" style="{side}:{at:.2f}%">{text}</div>'


def _right(axis: Axis, value: float) -> str:
    return f"{1000 * float(axis.place(value)):.1f}"


def _down(axis: Axis, value: float) -> str:
    return f"{1000 - 1000 * float(axis.place(value)):.1f}"
