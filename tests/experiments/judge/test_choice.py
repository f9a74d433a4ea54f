"""The choice among readings: the order of the four figures, and why a reading lost."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.errors import SettingError
from carrousel.experiments.judge.choice import HEADS, Candidate, choose
from carrousel.experiments.judge.verdict import Kind, Verdict, VerdictFigures

COUNTED: tuple[Kind, ...] = ("reproduced", "faster", "slower", "not reproduced")


def judged(kind: Kind = "reproduced", ratio: float | None = 1.0) -> Verdict:
    return Verdict(kind, "", VerdictFigures(10, 10, 10, count_printed=100.0, ratio=ratio))


def reading(
    *verdicts: Verdict, departing: int = 0, weights: int = 0, first: str = "4-1"
) -> Candidate:
    rows = {f"{first[:-1]}{n + 1}": one for n, one in enumerate(verdicts)}
    return Candidate(rows, departing, {first: weights} if weights else {})


BEST = reading(judged(), judged("faster", 0.8), weights=2)
WORSE = {
    "fewer rows met: 1 instead of 2": reading(judged(), judged("slower", 1.3)),
    "more departing settings: 1 instead of 0": reading(judged(), judged(), departing=1),
    "more weights off: 3 instead of 2": reading(judged(), judged(), weights=3),
    "farther from the printed counts: 0.35 instead of 0.11": reading(
        judged(), judged("faster", 0.5), weights=2
    ),
    "equal in all figures, but named later": BEST,
}
"""Readings that lose against the best one, by the reason."""


@pytest.mark.parametrize("why", WORSE)
def test_a_reading_loses_by_the_first_figure_that_differs(why):
    """The losing reading is better in every later figure."""
    found = choose({"best": BEST, "other": WORSE[why]})
    assert (found.chosen, found.pending) == ("best", False)
    assert [each.why for each in found.ranked] == ["chosen", why]
    assert {len(cells) for cells in found.cells} == {len(HEADS)}


def test_a_pending_row_makes_the_choice_pending():
    waiting = reading(judged(), judged("pending", None), departing=1)
    found = choose({"best": BEST, "waiting": waiting})
    assert (found.chosen, found.pending) == (None, True)
    assert found.cells[0][-1] == "first so far"
    assert found.cells[1][-1] == "fewer rows met: 1 instead of 2; pending: 4-2"


def test_a_row_without_a_mean_is_infinitely_far_and_one_without_a_printed_count_is_not_counted():
    never = judged("not reproduced", None)
    silent = Verdict("reproduced", "", VerdictFigures(10, 10, 10))
    assert reading(judged(), never).distance == math.inf
    assert reading(judged("slower", math.e), silent).distance == pytest.approx(1.0)
    assert choose({"a": reading(never)}).cells == [["a", "0 of 1", "0", "0", "–", "chosen"]]  # noqa: RUF001


def test_readings_must_be_comparable():
    for wrong in ({}, {"a": BEST, "b": reading(judged(), judged(), first="5-1")}):
        with pytest.raises(SettingError):
            choose(wrong)
    for verdicts, departing, weights in (
        ({}, 0, {}),
        ({"4-1": judged()}, -1, {}),
        ({"4-1": judged()}, 0, {"4-1": -1}),
        ({"4-1": judged()}, 0, {"4-2": 1}),
    ):
        with pytest.raises(SettingError):
            Candidate(verdicts, departing, weights)


readings = st.builds(
    lambda kinds, ratios, departing, weights: reading(
        *(judged(kind, ratio) for kind, ratio in zip(kinds, ratios, strict=True)),
        departing=departing,
        weights=weights,
    ),
    st.tuples(st.sampled_from(COUNTED), st.sampled_from(COUNTED)),
    st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)),
    st.integers(0, 2),
    st.integers(0, 2),
)


@given(st.lists(readings, min_size=1, max_size=5))
def test_the_order_does_not_depend_on_the_other_readings(found):
    """A reading before another is before it in every choice with both."""
    named = {str(n): one for n, one in enumerate(found)}
    order = [each.name for each in choose(named).ranked]
    assert sorted(order) == sorted(named)
    for one, other in itertools.combinations(order, 2):
        pair = {name: named[name] for name in named if name in (one, other)}
        assert choose(pair).chosen == one
