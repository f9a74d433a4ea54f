"""Coverage of prediction intervals."""

from __future__ import annotations

import numpy as np

from carrousel.online.evaluation.coverage import Coverage


def test_parts_add_up_to_the_whole_to_the_last_bit():
    rng = np.random.default_rng(0)
    targets, lower = rng.normal(size=(2, 1000, 2))
    upper = lower + rng.exponential(size=(1000, 2))
    targets[::7, 0] = np.nan
    lower[::11, 1] = np.nan
    whole, parts = Coverage(0.9), Coverage(0.9)
    whole.add(targets, lower, upper)
    for start, stop in ((0, 1), (1, 400), (400, 400), (400, 1000)):
        parts.add(targets[start:stop], lower[start:stop], upper[start:stop])
        again = Coverage(0.9)
        again.restore(parts.state())
        parts = again
    assert parts.summary() == whole.summary()
    there = ~np.isnan(targets + lower)
    inside = (lower <= targets) & (targets <= upper) & there
    assert whole.summary()["targets"] == there.sum()
    np.testing.assert_allclose(whole.summary()["coverage"], inside.sum() / there.sum())
    np.testing.assert_allclose(whole.summary()["width"], (upper - lower)[there].mean())


def test_nothing_is_known_without_targets():
    coverage = Coverage(0.5)
    coverage.add(np.full(3, np.nan), np.zeros(3), np.ones(3))
    assert coverage.summary() == {"level": 0.5, "coverage": None, "width": None, "targets": 0}
