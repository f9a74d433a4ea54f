"""Bootstrap intervals, and the expected number of sequences per success."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.experiments.judge import bootstrap
from carrousel.experiments.judge.statistics import Counts
from support.case import each
from support.experiments import fakes

few = settings(max_examples=30, deadline=None)  # each example needs thousands of resamples


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 999)


def test_too_few_values_have_no_interval_and_equal_values_one_of_width_zero():
    assert bootstrap.bootstrap_interval([]) is bootstrap.bootstrap_interval([3.0]) is None
    assert bootstrap.bootstrap_interval([3.0, 3.0], "median") == (3.0, 3.0)
    one = Counts((3.0,), (True,))
    assert bootstrap.restricted_mean_interval(one, 3) is bootstrap.median_interval(one) is None
    same = Counts((9.0, 9.0), (False, False))
    assert bootstrap.restricted_mean_interval(same, 9) == (9.0, 9.0)


@few
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=20), st.integers(2, 50), st.randoms())
def test_the_interval_scales_with_the_values_in_any_order(values, factor, random):
    low, high = bootstrap.bootstrap_interval(values) or (math.nan, math.nan)
    assert min(values) <= low <= high <= max(values)
    shuffled = [factor * value for value in values]
    random.shuffle(shuffled)
    found = bootstrap.bootstrap_interval(shuffled) or ()
    np.testing.assert_allclose(found, [factor * low, factor * high], rtol=1e-9)


@each("statistic", ["mean", "median"])
def test_where_the_correction_is_undefined_percentiles_are_used(statistic):
    values = [1.0] * 20 + [2.0]  # the median of every jackknife sample is the same
    low, high = bootstrap.bootstrap_interval(values, statistic) or (math.nan, math.nan)
    assert 1.0 <= low <= high <= 2.0


@pytest.mark.usefixtures("quick")
def test_intervals_contain_the_true_value_about_as_often_as_stated():
    rng = np.random.default_rng(5)
    budget, held, censored = 1.5, 0, 0
    for _ in range(200):
        values = rng.exponential(size=25)
        low, high = bootstrap.bootstrap_interval(values.tolist()) or (math.nan, math.nan)
        held += low <= 1.0 <= high
        counts = Counts(tuple(np.minimum(values, budget)), tuple((values <= budget).tolist()))
        if not all(counts.solved):
            low, high = bootstrap.restricted_mean_interval(counts, budget) or (math.nan, math.nan)
        else:  # pragma: no cover - one sample in 600
            low, high = -math.inf, math.inf
        censored += low <= 1 - math.exp(-budget) <= high
    # at 0.95, 200 draws have a deviation of 3; of 25 exponential values BCa holds about 0.92
    assert 170 <= held <= 198
    assert 170 <= censored <= 199


def test_the_interval_of_an_uncertain_median_is_open():
    counts = Counts((10.0, 20.0, 30.0, 99.0, 99.0), (True, True, True, False, False))
    low, high = bootstrap.median_interval(counts) or (math.nan, math.nan)
    assert 10.0 <= low <= 30.0
    assert high == math.inf


# --- sequences per success -----------------------------------------------------------------------


def test_the_cost_of_a_success_includes_failed_trials():
    trials = [
        fakes.trial(0, sequences=30),
        fakes.trial(1, ending="budget", sequences=100),
        fakes.trial(2, ending="diverged", sequences=5),  # restarted at once
        fakes.trial(3, sequences=15),
    ]
    found = bootstrap.expected_sequences(trials)
    assert found is not None
    assert found.sequences == 150 / 2
    assert found.interval is not None
    assert found.interval[0] < found.sequences < found.interval[1]


def test_without_success_the_cost_is_infinite():
    failed = [fakes.trial(n, ending="budget", sequences=100) for n in range(3)]
    assert bootstrap.expected_sequences(failed) == bootstrap.SuccessCost(math.inf, None)
    assert bootstrap.expected_sequences([]) is None


def test_the_interval_of_the_cost_of_a_rare_success_is_open():
    trials = [fakes.trial(0, sequences=30)]
    trials += [fakes.trial(n, ending="budget", sequences=100) for n in range(1, 10)]
    found = bootstrap.expected_sequences(trials)
    assert found is not None
    assert found.interval is not None
    assert found.interval[1] == math.inf


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=5))
def test_without_failures_the_cost_is_the_mean(values):
    trials = [fakes.trial(n, sequences=value) for n, value in enumerate(values)]
    found = bootstrap.expected_sequences(trials)
    assert found is not None
    np.testing.assert_allclose(found.sequences, np.mean(values))
