"""Statistics of censored trials: theorems, and comparisons with other ways to compute them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from carrousel.errors import SettingError
from carrousel.experiments.judge import bootstrap
from carrousel.experiments.judge import statistics as ours
from carrousel.experiments.judge.statistics import Counts
from support.case import each
from support.experiments import fakes

counts_in_general = st.lists(
    st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=25
).map(lambda pairs: Counts(tuple(float(n) for n, _ in pairs), tuple(won for _, won in pairs)))


def all_solved(*sequences: float) -> Counts:
    return Counts(tuple(map(float, sequences)), (True,) * len(sequences))


# --- intervals of rates and means ----------------------------------------------------------------


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_of_a_rate_solves_the_score_equation(case):
    successes, trials = case
    low, high = ours.wilson(successes, trials) or (math.nan, math.nan)
    z = stats.norm.ppf(0.975)
    # the ends are the rates p with (k/n - p)^2 = z^2 p (1 - p) / n (Wilson 1927)
    roots = np.roots(
        [1 + z * z / trials, -(2 * successes + z * z) / trials, (successes / trials) ** 2]
    )
    np.testing.assert_allclose([low, high], np.sort(roots.real), rtol=1e-6, atol=1e-6)
    assert 0.0 <= low <= successes / trials <= high <= 1.0


def test_without_trials_there_is_no_rate():
    assert ours.wilson(0, 0) is None


def test_the_interval_of_a_rate_reaches_one_only_without_failures():
    for trials in (1, 10, 30, 1000):
        found = [ours.wilson(successes, trials) for successes in (trials, trials - 1, 0)]
        (_, all_of_them), (_, all_but_one), (none, _) = (each or (-1.0, -1.0) for each in found)
        assert all_but_one < all_of_them == 1.0
        assert none == 0.0


# --- survival ------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_without_censoring_the_curve_is_one_minus_the_distribution(values):
    curve = ours.survival(all_solved(*values))
    assert list(curve.sequences) == sorted(set(values))
    beyond = [np.mean(np.array(values) > at) for at in curve.sequences]
    np.testing.assert_allclose(curve.share, beyond, atol=1e-12)


@given(counts_in_general)
def test_the_curve_is_the_product_of_the_shares_that_remain(counts):
    curve = ours.survival(counts)
    times, won = np.array(counts.sequences), np.array(counts.solved)
    left, want = 1.0, []
    for at in sorted(set(times[won])):
        left *= 1 - np.sum(won & (times == at)) / np.sum(times >= at)
        want.append(left)
    np.testing.assert_allclose(curve.share, want, atol=1e-12)
    assert all(np.diff([1.0, *curve.share]) < 0)
    for low, share, high in zip(curve.low, curve.share, curve.high, strict=True):
        assert 0 <= low <= share + 1e-12
        assert share - 1e-12 <= high <= 1


@given(counts_in_general)
def test_many_curves_at_once_agree_with_scipy(counts):
    curve = ours.survival(counts)
    columns = np.array(counts.sequences), np.array(counts.solved, dtype=float)
    at_once = [np.stack([column, column[::-1]]) for column in columns]  # in any order
    for horizon in (0.0, curve.last / 2, curve.last):
        want = curve.restricted_mean(horizon)
        np.testing.assert_allclose(
            bootstrap.restricted_means(at_once[0], at_once[1], horizon), [want, want], atol=1e-9
        )
    median = math.inf if curve.median is None else curve.median
    np.testing.assert_array_equal(bootstrap.medians(at_once[0], at_once[1]), [median, median])


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30), st.integers(1, 150))
def test_the_restricted_mean_is_that_of_trials_stopped_at_the_budget(values, budget):
    times = np.minimum(values, budget)
    solved = np.array(values) <= budget
    counts = Counts(tuple(times.astype(float)), tuple(solved.tolist()))
    curve = ours.survival(counts)
    horizon = min(budget, curve.last)
    np.testing.assert_allclose(curve.restricted_mean(horizon), times.mean(), rtol=1e-9)


@given(counts_in_general)
def test_the_area_grows_with_the_horizon_at_a_rate_of_at_most_one(counts):
    curve = ours.survival(counts)
    horizons = np.linspace(0.0, curve.last, 9)
    areas = [curve.restricted_mean(horizon) for horizon in horizons]
    assert all(np.diff(areas) >= -1e-9)
    assert all(area <= horizon + 1e-9 for area, horizon in zip(areas, horizons, strict=True))


def test_beyond_the_last_trial_there_is_no_area():
    with pytest.raises(SettingError, match=r"horizon is 101, expected 0 to 100"):
        ours.survival(Counts((50.0, 100.0), (True, False))).restricted_mean(101)
    assert ours.survival(all_solved(50, 100)).restricted_mean(10**6) == 75.0
    with pytest.raises(SettingError, match="contains no trial"):
        ours.survival(Counts((), ()))


@each("solved, median", [(4, None), (5, 5.0), (6, 5.0), (10, 5.0)])
def test_there_is_a_median_once_half_are_solved(solved, median):
    sequences = [float(n) if n <= solved else 100.0 for n in range(1, 11)]
    counts = Counts(tuple(sequences), tuple(n <= solved for n in range(1, 11)))
    assert ours.survival(counts).median == median


def test_a_diverged_trial_counts_up_to_the_budget():
    trials = [
        fakes.trial(0, sequences=10),
        fakes.trial(1, ending="diverged", sequences=3),
        fakes.trial(2, ending="budget", sequences=90),
    ]
    assert ours.counts_of(trials, 90) == Counts((10.0, 90.0, 90.0), (True, False, False))


@each("bad", [-1.0, math.nan, math.inf])
def test_counts_must_be_finite_and_not_negative(bad):
    with pytest.raises(SettingError, match="sequences"):
        Counts((bad,), (True,))


def test_counts_and_outcomes_must_have_one_length():
    with pytest.raises(SettingError, match="solved has 2 values"):
        Counts((1.0,), (True, False))


# --- comparisons ---------------------------------------------------------------------------------


@given(counts_in_general, counts_in_general)
def test_the_log_rank_test_is_symmetric(first, second):
    there, back = ours.logrank_p(first, second), ours.logrank_p(second, first)
    if there is None or back is None:
        assert there is back is None
    else:
        assert 0 <= there <= 1
        np.testing.assert_allclose(there, back, rtol=1e-9, atol=1e-12)


@given(counts_in_general)
def test_counts_do_not_differ_from_themselves(counts):
    p = ours.logrank_p(counts, counts)
    assert p is None or p > 1 - 1e-6


def test_without_successes_or_trials_there_is_no_p_value():
    failed = Counts((100.0, 100.0), (False, False))
    assert ours.logrank_p(failed, failed) is None
    assert ours.logrank_p(failed, Counts((), ())) is None


def test_a_clear_difference_is_found():
    fast = all_solved(*range(10, 20))
    slow = Counts((100.0,) * 10, (False,) * 10)
    assert (ours.logrank_p(fast, slow) or 1.0) < 1e-4


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_adjusted_p_values_follow_the_step_up_rule(values):
    found, n = ours.adjusted(values), len(values)
    ordered = np.sort(values)
    for value, p in zip(values, found, strict=True):
        want = min(ordered[i] * n / (i + 1) for i in range(n) if ordered[i] >= value)
        np.testing.assert_allclose(p, min(1.0, want), rtol=1e-9, atol=1e-300)
    assert ours.adjusted([]) == []
