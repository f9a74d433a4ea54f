"""Two samples: rates against SciPy's exact test, coverage of the interval of a ratio of means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from carrousel.contracts import Published
from carrousel.errors import SettingError
from carrousel.experiments.judge import compare
from carrousel.experiments.judge.compare import (
    log_deviation,
    printed_successes,
    rate_p,
    rate_side,
    ratio_interval,
)
from carrousel.experiments.judge.statistics import Counts
from support.case import each

samples = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
ORDER = ("below", "around", "above")


def all_solved(values: np.ndarray) -> Counts:
    return Counts(tuple(values.tolist()), (True,) * len(values))


# --- rates ---------------------------------------------------------------------------------------


@given(samples, samples)
def test_the_p_value_is_between_those_of_the_one_sided_exact_tests(ours, theirs):
    table = [[ours[0], ours[1] - ours[0]], [theirs[0], theirs[1] - theirs[0]]]
    fisher: Any = stats.fisher_exact  # its result has no usable type
    exact = [fisher(table, alternative=side).pvalue for side in ("less", "greater")]
    found = rate_p(ours, theirs)
    point = exact[0] + exact[1] - 1  # both include the observed table
    np.testing.assert_allclose(found, min(1, 2 * min(exact) - point), rtol=1e-6, atol=1e-9)
    assert found == pytest.approx(rate_p(theirs, ours))  # the order of samples does not matter


@given(samples, st.integers(1, 60))
def test_more_successes_are_never_a_worse_rate(theirs, trials):
    ranks = [ORDER.index(rate_side((n, trials), theirs)) for n in range(trials + 1)]
    assert ranks == sorted(ranks)


@each("trials, rate", [(10, 0.9), (18, 0.78), (30, 0.97), (30, 0.5)])
def test_equal_rates_differ_significantly_in_at_most_about_five_percent_of_cases(trials, rate):
    """All outcomes of 50 and of ``trials`` trials, weighted by their probabilities."""
    binom = stats.binom
    wrong = sum(
        binom.pmf(n, 50, rate) * binom.pmf(m, trials, rate)
        for n in range(51)
        for m in range(trials + 1)
        if rate_side((n, 50), (m, trials)) != "around"
    )
    assert 0.0 < wrong < 0.055


@each("percent, trials, want", [(97.0, 30, 29), (100.0, 10, 10), (None, 20, 20), (78.0, 18, 14)])
def test_printed_percentages_are_counts_of_trials(percent, trials, want):
    assert printed_successes(Published("Table 1", percent, None, None, trials)) == want


def test_impossible_counts_are_refused():
    with pytest.raises(SettingError, match="ours is 11, expected at most 10"):
        rate_p((11, 10), (1, 2))
    with pytest.raises(SettingError, match="theirs"):
        rate_p((1, 10), (-1, 2))


# --- means ---------------------------------------------------------------------------------------


@each("trials", [10, 18, 20, 30])
@each("known", [False, True])
def test_the_interval_of_a_ratio_contains_the_true_one_about_as_often_as_stated(
    trials, known, monkeypatch
):
    """Log-normal trials, 50 of ours; the paper's range is printed or not."""
    monkeypatch.setattr(compare, "RESAMPLES", 499)
    rng, hits, sides, n = np.random.default_rng(trials + 1), 0, [0, 0], 399
    for number in range(n):
        deviation, ratio = (0.3, 0.5, 0.8)[number % 3], (0.5, 1.0, 2.0)[number // 133]
        ours = ratio * np.exp(deviation * rng.standard_normal(50))
        theirs = np.exp(deviation * rng.standard_normal(trials))
        spread = (float(theirs.min()), float(theirs.max())) if known else None
        found = ratio_interval(
            all_solved(ours), float(theirs.mean()), trials, spread=spread, seed=number
        )
        low, high = found or (math.nan, math.nan)
        hits += low <= ratio <= high
        sides[0] += low > ratio
        sides[1] += high < ratio
    assert 0.88 <= hits / n <= 0.985
    assert max(sides) / n < 0.07  # errors are on both sides


def test_the_deviation_of_a_range_is_right_on_average():
    rng = np.random.default_rng(0)
    draws = np.exp(0.6 * rng.standard_normal((4000, 10)) + 5)
    found = [log_deviation((float(each.min()), float(each.max())), 10) for each in draws]
    np.testing.assert_allclose(np.mean(found), 0.6, rtol=0.02)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=12), st.integers(1, 30), st.randoms())
def test_a_ratio_scales_and_does_not_depend_on_the_order(values, trials, random):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "RESAMPLES", 199)
        found = ratio_interval(all_solved(np.array(values, float)), 100.0, trials)
        shuffled = values.copy()
        random.shuffle(shuffled)
        tripled = ratio_interval(all_solved(3.0 * np.array(shuffled, float)), 300.0, trials)
    low, high = found or (math.nan, math.nan)
    assert low <= high
    np.testing.assert_allclose((low, high), tripled or (), rtol=1e-9)


def test_fewer_trials_of_the_paper_make_the_ratio_less_certain():
    ours = all_solved(np.arange(50.0, 150.0, 2.0))
    widths = [
        high - low
        for trials in (10, 20, 30, 1000)
        for low, high in [ratio_interval(ours, 100.0, trials) or (math.nan, math.nan)]
    ]
    assert widths == sorted(widths, reverse=True)


def test_unsolved_trials_raise_the_ratio():
    counts = Counts((*range(50, 90), *(1000,) * 10), (True,) * 40 + (False,) * 10)
    alone = ratio_interval(counts, 70.0, 10) or (0, 0)
    up_to_the_budget = ratio_interval(counts, 70.0, 10, budget=1000.0) or (0, 0)
    assert alone[1] < 1.5 < up_to_the_budget[0]


def test_a_ratio_needs_two_solved_trials_and_positive_figures():
    assert ratio_interval(Counts((5.0, 9.0), (True, False)), 7.0, 10) is None
    for printed, trials, spread in ((0.0, 10, None), (7.0, 0, None), (7.0, 10, (9.0, 2.0))):
        with pytest.raises(SettingError):
            ratio_interval(Counts((5.0, 9.0), (True, True)), printed, trials, spread=spread)
