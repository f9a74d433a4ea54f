"""Random changes: their size relates to the data, and lengths, ends and gaps are respected."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.estimators.data.series import Series
from carrousel.estimators.net.augment import Augmentation, RandomChanges

NONE = Augmentation(0.0, 0.0, 0.0, 0.0)


def drawn(series: Series, how: Augmentation, *, warped: bool = True, learned: int = 0):
    count = learned or len(series)
    changes = RandomChanges(how, series.take, np.arange(count) % len(series), seed=3)
    return changes.draw(series, warped=warped)


@pytest.fixture
def series() -> Series:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(T, 2)).cumsum(axis=0) + rng.normal(size=2) for T in (40, 1, 7, 33)]
    return Series.of(rows * 20)


def test_without_sizes_nothing_changes(series):
    found, keep = drawn(series, NONE)
    assert keep is None
    np.testing.assert_array_equal(found.values, series.values)


def test_half_of_the_series_lose_a_share_of_their_values(series):
    _, keep = drawn(series, Augmentation(0.6, 0.0, 0.0, 0.0))
    assert keep is not None
    lost = 1.0 - keep[:, series.lengths >= 30].mean(axis=(0, 2))
    assert 0.3 < (lost == 0.0).mean() < 0.7
    assert lost.max() < 0.75
    assert lost.max() > 0.3


def test_noise_is_relative_to_changes_from_step_to_step(series):
    """A channel in another unit gets the same noise in that unit; a constant channel none."""
    scaled = Series.of([row.values * [1.0, 1000.0] for row in series])
    added = drawn(scaled, Augmentation(0.0, 0.0, 0.5, 0.0))[0].values - scaled.values
    steps = [np.diff(row.values, axis=0) for row in scaled]
    roughness = np.sqrt(np.mean(np.concatenate(steps) ** 2, axis=0))
    np.testing.assert_allclose(added.std(axis=0), 0.5 * roughness, rtol=0.1)
    constant = Series.of([np.ones((9, 1))] * 4)
    np.testing.assert_array_equal(drawn(constant, Augmentation())[0].values, constant.values)


def test_offsets_are_one_for_a_series_and_relate_to_the_spread_of_means(series):
    added = drawn(series, Augmentation(0.0, 0.0, 0.0, 0.35))[0].values - series.values
    of_series = np.split(added, series.offsets[1:-1])
    for each in of_series:
        np.testing.assert_allclose(each, np.broadcast_to(each[0], each.shape), atol=1e-12)
    spread = np.std([row.values.mean(axis=0) for row in series], axis=0)
    sizes = np.std([each[0] for each in of_series], axis=0)
    np.testing.assert_allclose(sizes, 0.35 * spread, rtol=0.35)
    centred = Series.of([row.values - row.values.mean(axis=0) for row in series])
    unchanged = drawn(centred, Augmentation(0.0, 0.0, 0.0, 0.35))[0]
    np.testing.assert_allclose(unchanged.values, centred.values, atol=1e-12)


def test_warped_time_begins_at_the_start_and_stays_within_the_series(series):
    ramps = Series.of([np.arange(float(T))[:, None] + 100.0 * n for n, T in enumerate((50, 2, 20))])
    found = drawn(ramps, Augmentation(0.0, 0.3, 0.0, 0.0))[0]
    for before, after in zip(ramps, found, strict=True):
        assert after.values[0, 0] == before.values[0, 0]
        assert (np.diff(after.values[:, 0]) >= 0.0).all()
        assert (
            before.values[0, 0] <= after.values.min() <= after.values.max() <= before.values.max()
        )
    assert np.abs(found.values - ramps.values).max() > 0.5
    same = drawn(ramps, Augmentation(0.0, 0.3, 0.0, 0.0), warped=False)[0]
    np.testing.assert_array_equal(same.values, ramps.values)


def test_warping_invents_no_value_in_a_gap():
    values = np.arange(30.0)[:, None]
    values[10:15] = np.nan
    series = Series.of([values])
    for seed in range(5):
        changes = RandomChanges(
            Augmentation(0.0, 0.3, 0.0, 0.0), series.take, np.zeros(1, np.int64), seed
        )
        found = changes.draw(series, warped=True)[0].values[:, 0]
        known = found[np.isfinite(found)]
        assert ((known <= 9.0) | (known >= 15.0)).all()


def test_changes_shrink_with_the_number_of_series(series):
    """Four times as many as 300 series have half the noise; gaps stay."""
    few = drawn(series, Augmentation(0.6, 0.0, 0.5, 0.0), learned=300)[0].values - series.values
    many = drawn(series, Augmentation(0.6, 0.0, 0.5, 0.0), learned=1200)[0].values - series.values
    np.testing.assert_allclose(many.std(), few.std() / 2, rtol=0.05)
