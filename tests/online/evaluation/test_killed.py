"""A process that is killed at any moment and restarted gives the results of an undisturbed one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import CheckpointError
from support.online.models import knowledge
from support.paths import TESTS

ROWS, EVERY = 8000, 100
CHILD = f"""
import sys, numpy as np
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
from online.evaluation.test_killed import EVERY, ROWS, begin, data
from carrousel import OnlineLSTM
folder, kind = Path(sys.argv[1]), sys.argv[2]
path, predictions = folder / "model", np.memmap(folder / "predictions", float, "r+", shape=(ROWS,))
model = OnlineLSTM.load(path) if path.exists() else begin(kind)
X, y, keys = data(kind)
for n in range(model.n_steps_, ROWS, EVERY):
    part = slice(n, n + EVERY)
    found = model.run(X[part], None if y is None else y[part], keys[part]).astype(float)
    before = np.array(predictions[part])
    assert np.array_equal(found[before == before], before[before == before]), "predictions differ"
    predictions[part] = found
    model.save(path)
"""


def begin(kind: str) -> OnlineLSTM:
    """Create an untrained model."""
    if kind == "next":
        return OnlineLSTM("next", symbols=5, cells=6, streams=3, random_state=1)
    return OnlineLSTM(cells=6, gradient="uoro", optimizer="adam", streams=3, random_state=1)


def data(kind: str):
    """Rows, targets and keys."""
    rng = np.random.default_rng(0)
    keys = rng.choice(list("abcd"), ROWS).tolist()  # one key more than streams
    if kind == "next":
        return rng.integers(0, 5, ROWS), None, keys
    return rng.normal(size=(ROWS, 2)), rng.normal(size=ROWS), keys


@pytest.mark.parametrize("kind", ["next", "regression"])
def test_killed_at_random_moments(kind, tmp_path):
    rng = np.random.default_rng()  # not seeded: other moments in each run
    np.full(ROWS, np.nan).tofile(tmp_path / "predictions")
    kills = 0
    while True:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), kind], stderr=subprocess.PIPE, text=True
        )
        if kills < 4:
            wait_for_another_checkpoint(child, tmp_path / "model")
            time.sleep(rng.uniform(0, 0.03))
            child.send_signal(signal.SIGKILL)
        _, told = child.communicate()
        if child.returncode != -signal.SIGKILL:
            break
        kills += 1
    assert (child.returncode, told) == (0, "")
    assert kills > 0
    undisturbed = begin(kind)
    X, y, keys = data(kind)
    expected = undisturbed.run(X, y, keys)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "predictions"), expected.astype(float))
    assert knowledge(OnlineLSTM.load(tmp_path / "model")) == knowledge(undisturbed)


def wait_for_another_checkpoint(child: subprocess.Popen, path: Path) -> None:
    def written() -> int:
        return path.stat().st_mtime_ns if path.exists() else 0

    before = written()
    while child.poll() is None and written() == before:
        time.sleep(0.002)


def test_a_partly_written_file_is_not_a_checkpoint(tmp_path):
    learner = begin("regression")
    learner.step([1.0, 2.0], 1.0)
    learner.save(tmp_path / "model")
    part = tmp_path / ".model.0123456789abcdef.part"
    part.write_bytes((tmp_path / "model").read_bytes()[:1000])
    with pytest.raises(CheckpointError):
        OnlineLSTM.load(part)
    assert knowledge(OnlineLSTM.load(tmp_path / "model")) == knowledge(learner)
