"""A small curve in a terminal: the error by lag, on a logarithmic axis."""

from __future__ import annotations

import itertools
import math
from typing import Annotated

import numpy as np

from carrousel.shapes import Floats

ROWS = 5
"""Lines of text that a curve is high."""
DECADES = 12
"""Powers of ten below the largest value that are shown at most."""
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN = " #"


def text_curve(
    curve: Annotated[Floats, "K"], width: int, *, lag: int | None = None, plain: bool = False
) -> str:
    """Draw positive values over lag as bars.

    Args:
        curve: values by lag, from lag 0.
        width: columns of the terminal.
        lag: a lag to mark on the axis; None: none.
        plain: whether only ASCII may be used.

    Returns:
        Lines of text; empty for fewer than two lags, or if no value is positive.

    >>> print(text_curve(0.1 ** np.arange(9), 40, plain=True))
        1 |####
          |########
     1e-4 |##########
          |##############
     1e-8 |##################
           0                8 steps back
    """
    known = np.isfinite(curve) & (curve > 0)
    if len(curve) < 2 or not known.any():
        return ""
    top = math.ceil(math.log10(curve[known].max()) - 1e-9)
    low = max(math.floor(math.log10(curve[known].min()) + 1e-9), top - DECADES)
    low = min(low, top - 1)
    marks = _PLAIN if plain else _BLOCKS
    label = 8
    columns = max(10, min(width - label - 14, 3 * len(curve) - 3 + 1, 64))
    shown = _sampled(curve, columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        height = (np.log10(shown) - low) / (top - low)
    fine = len(marks) - 1
    # The lowest bar stands for the lower end of the axis; no bar for less, and for no error.
    bars = np.clip(np.ceil(height * ROWS * fine), 1, ROWS * fine)
    filled = np.nan_to_num(np.where(height > -1e-9, bars, 0.0)).astype(int)
    edge = "|" if plain else "│"
    lines = []
    for row in range(ROWS):
        level = fine * (ROWS - 1 - row)
        text = "".join(marks[min(fine, max(0, value - level))] for value in filled.tolist())
        at = {0: top, ROWS // 2: (top + low) / 2, ROWS - 1: low}.get(row)
        name = _power(at) if at is not None and float(at).is_integer() else ""
        lines.append(f"{name:>{label - 3}} {edge}{text}".rstrip())
    lines.append(" " * (label - 1) + _axis(len(curve) - 1, columns, lag))
    return "\n".join(lines)


def _sampled(curve: np.ndarray, columns: int) -> np.ndarray:
    """Return a value for each column: that of its lag, or the geometric mean of its lags."""
    K = len(curve)
    if K <= columns:
        return curve[np.round(np.linspace(0, K - 1, columns)).astype(int)]
    edges = np.linspace(0, K, columns + 1).astype(int)
    with np.errstate(divide="ignore"):
        logs = np.log(curve)
    return np.exp([logs[a:b].mean() for a, b in itertools.pairwise(edges)])


def _power(exponent: float) -> str:
    """Return a power of ten in ASCII."""
    return "1" if exponent == 0 else f"1e{exponent:+.0f}".replace("+", "")


def _axis(last: int, columns: int, lag: int | None) -> str:
    """Return the labels of the lags."""
    end = str(last)
    line = [" "] * (columns + len(end))
    line[0] = "0"
    line[columns - len(end) : columns] = end
    if lag is not None and 0 < lag < last:
        mark = f"^{lag}"
        at = round(lag / last * (columns - 1))
        if 2 <= at and at + len(mark) < columns - len(end):
            line[at : at + len(mark)] = mark
    return "".join(line).rstrip() + " steps back"
