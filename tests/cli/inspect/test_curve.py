"""The small curve in a terminal."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.cli.inspect.curve import ROWS, text_curve
from support.case import each

DECAY = 0.5 ** np.arange(300.0)


@each("width", [40, 80, 120, 200])
@each("plain", [False, True])
def test_a_curve_fits_its_width(width, plain):
    for curve in (DECAY[:2], DECAY[:9], DECAY, 1 / DECAY, DECAY[:70] * 0 + 3.0):
        drawn = text_curve(curve, width, lag=7, plain=plain).split("\n")
        assert len(drawn) == ROWS + 1
        assert max(map(len, drawn)) < width
        assert drawn[-1].endswith(f"{len(curve) - 1} steps back")
        assert all(map(str.isascii, drawn)) or not plain


def test_bars_of_a_decaying_curve_do_not_grow():
    bars = [line.partition("│")[2] for line in text_curve(DECAY[:40], 80).split("\n")[:ROWS]]
    heights = [
        sum(" ▁▂▃▄▅▆▇█".index(each) for each in column)
        for column in zip(*(bar.ljust(80) for bar in bars), strict=True)
    ]
    assert heights[0] == 8 * ROWS
    assert (np.diff(heights) <= 0).all()


def test_no_bar_where_no_error_arrives():
    curve = np.where(np.arange(20) < 10, 0.5 ** np.arange(20.0), 0.0)
    last = text_curve(curve, 80, plain=True).split("\n")[ROWS - 1]
    assert 0.4 < len(last.partition("|")[2]) / (3 * 20 - 2) < 0.55


@pytest.mark.parametrize("curve", [np.ones(1), np.zeros(5), np.full(5, np.nan), np.zeros(0)])
def test_nothing_is_drawn_without_two_lags_and_a_value(curve):
    assert text_curve(curve, 80) == ""


def test_one_unknown_value_does_not_hide_the_others():
    curve = DECAY[:200].copy()
    curve[50] = np.nan
    assert "█" in text_curve(curve, 80)
