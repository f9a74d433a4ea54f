"""Anomaly scores: uniform if nothing changes, high for spikes, independent of batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from carrousel.errors import SettingError, ShapeError
from carrousel.online.evaluation.anomaly import Calibration

DRAWS = {
    "normal": lambda rng, n: rng.normal(size=n) ** 2,
    "heavy": lambda rng, n: rng.pareto(0.5, size=n),
    "few values": lambda rng, n: rng.integers(0, 3, n).astype(float),
    "one value": lambda rng, n: np.zeros(n),
}


def by_hand(errors: list[float], chances: list[float], window: int, least: int) -> list[float]:
    """Compute scores by the definition, without a sorted list."""
    scores, seen = [], list[float]()
    for error, u in zip(errors, chances, strict=True):
        last = np.array(seen[-window:])
        below, ties = int((last < error).sum()), int((last == error).sum())
        score = (below + u * (ties + 1)) / (len(last) + 1)
        scores.append(score if len(last) >= least else np.nan)
        seen.append(error)
    return scores


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("window", [100, 1000])
def test_scores_of_a_constant_distribution_are_uniform(draw, window):
    """Scores are independent without a window; with one, neighbouring scores share errors."""
    scores = Calibration(window, seed=3).add(draw(np.random.default_rng(5), 20_000))
    scores = scores[~np.isnan(scores)]
    assert len(scores) == 20_000 - 100
    assert kstest(scores, "uniform").statistic < 1.63 / np.sqrt(len(scores))  # 1 % of draws exceed
    # the share of n rows has a standard deviation of about sqrt(0.01 / n)
    np.testing.assert_allclose((scores > 0.99).mean(), 0.01, atol=3 * np.sqrt(0.01 / len(scores)))


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 2.5, np.inf]) | st.floats(0, 9), max_size=40),
    st.integers(1, 9),
    st.integers(0, 9),
)
def test_scores_are_ranks_among_the_last(errors, window, least):
    least = min(least, window)
    chances = np.random.Generator(np.random.PCG64(7)).random(len(errors)).tolist()
    found = Calibration(window, least=least, seed=7).add(np.array(errors))
    np.testing.assert_array_equal(found, by_hand(errors, chances, window, least))


@given(st.lists(st.floats(0, 9) | st.just(np.nan), max_size=60), st.integers(0, 60))
def test_batches_and_states_change_nothing(errors, cut):
    values = np.array(errors)
    whole = Calibration(16, least=2).add(values)
    first, second = Calibration(16, least=2), Calibration(16, least=2)
    before = first.add(values[:cut])
    second.restore({name: each.copy() for name, each in first.state().items()})
    np.testing.assert_array_equal(np.concatenate([before, second.add(values[cut:])]), whole)


def test_planted_spikes_get_the_highest_scores():
    rng = np.random.default_rng(11)
    errors = np.abs(rng.normal(size=5000))
    planted = rng.choice(np.arange(500, 5000), 20, replace=False)
    errors[planted] += 10
    scores = np.nan_to_num(Calibration().add(errors), nan=0.0)
    # at most 20 spikes at once in a window of 1000: below 20 / 1001 from the top
    assert scores[planted].min() > 1 - 20 / 1001
    others = np.delete(scores, planted)
    assert (scores[planted].min() > others).mean() > 0.97


def test_a_row_without_an_error_has_no_score_and_changes_nothing():
    errors = np.array([1.0, np.nan, 2.0])
    calibration = Calibration(4, least=0)
    assert np.isnan(calibration.add(errors)).tolist() == [False, True, False]
    np.testing.assert_array_equal(calibration.state()["errors"], [1.0, 2.0])


def test_memory_stops_growing():
    calibration, errors = Calibration(256), np.random.default_rng(0).random(1000)
    calibration.add(errors)
    held = calibration.nbytes
    for _ in range(30):
        calibration.add(errors)
    assert calibration.nbytes <= 2 * held  # a list reserves room
    assert len(calibration.state()["errors"]) == 256


def test_a_state_of_another_window_is_refused():
    calibration = Calibration(8, least=1)
    calibration.add(np.arange(20.0))
    with pytest.raises(ShapeError, match=r"expected the last 5; it was taken with another window"):
        Calibration(5, least=1).restore(calibration.state())


@pytest.mark.parametrize("wrong", [{"window": 0}, {"least": -1}, {"window": 5}, {"seed": -1}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Calibration(**wrong)
