"""Time of drawing training data, in nanoseconds per time step.

    python -m benchmarks.lanes.drawing 4-1 3a-1    # or the rows below

A sample has as many sequences as a trial draws at once.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.run.lanes import plan_chunks

ROWS = ("1-1", "2a", "2b", "2c-1", "3a-1", "3b-1", "3c-1", "4-1", "5-1", "6a")


def nanoseconds(name: str, tries: int) -> float:
    """Return the least time of several samples of a row, per time step."""
    task = EXPERIMENTS[name].task.draw(np.random.default_rng(0))
    n, _ = plan_chunks(task.mean_length, every=0)
    rng = np.random.Generator(np.random.SFC64(1))
    kept = task.sample(rng, n)  # the C library reuses the memory of the sample before
    best = np.inf
    for _ in range(tries):
        began = time.perf_counter()
        kept = task.sample(rng, n)
        best = min(best, (time.perf_counter() - began) / kept.n_steps)
    return 1e9 * best


if __name__ == "__main__":
    large = np.empty(24 * 2**20, np.uint8)
    del large  # keeps freed memory, as a worker does
    for row in sys.argv[1:] or ROWS:
        print(f"{row:6} {nanoseconds(row, tries=50):5.2f} ns")
