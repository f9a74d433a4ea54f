"""Which member did not learn which series of training."""

from __future__ import annotations

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.estimators.fitting.examples import Examples


def test_equal_examples_are_held_out_together_and_those_of_weight_0_by_all():
    values = [[1.0, 2.0], [3.0], [1.0, 2.0], [4.0], [1.0, 2.0]]
    series = Series.of([np.array(each)[:, None] for each in values])
    labels, weights = np.array([0, 1, 0, 1, 1]), np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    distinct = Examples(series, labels, weights, labels).distinct()
    assert distinct.of is not None
    same = [np.flatnonzero(distinct.of == row).tolist() for row in range(3)]
    assert sorted(same) == [[0, 2], [1], [4]]
    for row in range(3):
        held = np.zeros((3, 2), bool)
        held[row, 1] = True
        found = distinct.held_out(held)
        np.testing.assert_array_equal(np.flatnonzero(found[:, 1]), sorted((*same[row], 3)))
        np.testing.assert_array_equal(found[:, 0], [False, False, False, True, False])
