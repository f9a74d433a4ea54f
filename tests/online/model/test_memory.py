"""Long streams: memory is constant, and predictions stay finite."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from carrousel import OnlineLSTM
from support.online.models import inside

CHILD = """
import json, resource, sys
import numpy as np
from carrousel import OnlineLSTM
model = OnlineLSTM(cells=4, horizon=1000.0, random_state=1)
rng = np.random.default_rng(0)
peaks, sizes, finite, drift = [], [], True, 0.0
for block in range(20):
    X = rng.normal(drift, 1.0 + block, (50_000, 2))
    found = model.run(X, X[:, 0] * 3.0 - drift)
    drift += 10.0
    finite = finite and bool(np.isfinite(found).all())
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    sizes.append(model.nbytes)
print(json.dumps([model.n_steps_, peaks, sizes, finite]))
"""


def test_memory_is_constant_over_a_million_steps():
    ran = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    steps, peaks, sizes, finite = json.loads(ran.stdout)
    assert steps == 1_000_000
    assert finite
    assert set(sizes) == {sizes[0]}
    unit = 1 if sys.platform == "darwin" else 1024
    assert (peaks[-1] - peaks[3]) * unit < 2 * 2**20  # bytes, over 800,000 steps


def test_memory_is_constant_over_endless_keys():
    learner = OnlineLSTM(cells=2, streams=5, evict_after=100, random_state=1)
    X = np.random.default_rng(0).normal(size=(4000, 1))
    learner.run(X[:10], X[:10, 0], keys=range(10))
    before = learner.nbytes
    found = learner.run(X, X[:, 0], keys=[f"visitor {n // 3}" for n in range(4000)])
    assert np.isfinite(found).all()
    assert learner.nbytes == before
    assert len(learner.keys) == len(inside(learner).keys.seen) == 5
    for n in range(300):
        learner.step(X[n], X[n, 0], key=n)
    assert len(inside(learner).keys.places()) + len(inside(learner).keys.free) == 5


def test_predictions_of_hard_streams_are_finite():
    """Jumps by powers of ten, constants and outliers, which scaling and clipping must handle."""
    rng = np.random.default_rng(1)
    scale = 10.0 ** rng.integers(-6, 7, 4000)
    X = np.column_stack([rng.normal(size=4000) * scale, np.full(4000, 1e9), scale])
    y = rng.normal(size=4000) * np.roll(scale, 1)
    for forget_gate in (True, False):
        for horizon in (None, 50.0):
            learner = OnlineLSTM(cells=4, forget_gate=forget_gate, horizon=horizon, random_state=1)
            assert np.isfinite(learner.run(X, y)).all()
