"""Endless Reber text, against a regular expression for its strings."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import SettingError, ShapeError
from carrousel.tasks.continual import ContinualReber, ranked_right
from carrousel.tasks.reber import SYMBOLS

TAIL = "T*V(?:PXT*V)*(?:PS|V)"
STRING = re.compile(f"B(?P<outer>[TP])B(?:TS*X(?:S|X{TAIL})|P{TAIL})E(?P=outer)E")


def text_of(symbols: np.ndarray) -> str:
    return "".join(SYMBOLS[symbol] for symbol in symbols)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), parts=st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_the_text_does_not_depend_on_the_sizes_of_calls(seed, parts):
    stream = ContinualReber(np.random.default_rng(seed))
    pieces = [stream.take(n) for n in parts]
    symbols, legal = ContinualReber(np.random.default_rng(seed)).take(sum(parts))
    np.testing.assert_array_equal(np.concatenate([piece[0] for piece in pieces]), symbols)
    np.testing.assert_array_equal(np.concatenate([piece[1] for piece in pieces]), legal)


def test_the_text_consists_of_strings_of_the_grammar():
    text, at, outer = (
        text_of(ContinualReber(np.random.default_rng(1)).take(20_000)[0]),
        0,
        Counter(),
    )
    while (found := STRING.match(text, at)) is not None:
        at = found.end()
        outer[found["outer"]] += 1
    assert len(text) - at < 100  # the beginning of a string that was cut off
    n = outer.total()
    assert abs(outer["T"] - n / 2) < 4 * np.sqrt(n) / 2  # a fair coin


def test_exactly_the_legal_symbols_occur():
    """After the same beginning of a string, exactly the legal symbols occur."""
    symbols, legal = ContinualReber(np.random.default_rng(2)).take(100_000)
    assert legal[np.arange(len(symbols) - 1), symbols[1:]].all()
    text, seen = text_of(symbols), {}
    starts = [found.start() for found in STRING.finditer(text)]
    for start, stop in pairwise(starts):
        for at in range(start, stop):
            beginning = text[start : at + 1]
            came, might = seen.setdefault(beginning, (Counter(), legal[at]))
            came[text[at + 1]] += 1
            np.testing.assert_array_equal(legal[at], might)
    often = [(came, might) for came, might in seen.values() if came.total() > 50]
    assert len(often) > 40
    for came, might in often:
        assert set(came) == {SYMBOLS[k] for k in np.flatnonzero(might)}


def test_ranked_right_against_a_slow_loop():
    rng = np.random.default_rng(3)
    outputs, legal = rng.normal(size=(500, 7)), rng.random((500, 7)) < 0.3
    legal[:, 0], legal[:, 1] = True, False
    outputs[legal] += 1.5
    want = [
        all(a > b for a in row[good] for b in row[~good])
        for row, good in zip(outputs, legal, strict=True)
    ]
    assert 50 < sum(want) < 450
    np.testing.assert_array_equal(ranked_right(outputs, legal), want)


def test_invalid_calls_are_refused():
    with pytest.raises(SettingError, match="n is 0"):
        ContinualReber(np.random.default_rng(0)).take(0)
    with pytest.raises(ShapeError, match=r"shape \(2, 7\), legal \(3, 7\)"):
        ranked_right(np.zeros((2, 7)), np.zeros((3, 7), bool))
