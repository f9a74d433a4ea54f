"""Arrays that the lanes hand to compiled code."""

from __future__ import annotations

import numpy as np

from carrousel.kernels.native.lanes import arrays_of
from carrousel.sequences import Sequences


def test_indices_are_copied_before_they_are_checked():
    """A thread that writes into them while the kernel runs without the lock changes nothing."""
    data = Sequences.from_lists([[0, 1, 2]], [[2]], n_inputs=3, n_outputs=3)
    given = arrays_of(data)
    for name in ("inputs", "targets", "offsets", "target_steps", "target_offsets"):
        assert not np.shares_memory(given[name], getattr(data, name)), name
        np.testing.assert_array_equal(given[name], getattr(data, name))
