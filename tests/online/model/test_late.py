"""Targets that come one row late, and what others keep in a model's file."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.errors import CheckpointError
from carrousel.online.model.checkpoint import read_beside
from carrousel.online.model.model import OnlineLSTM


def sine(n: int) -> np.ndarray:
    return np.sin(0.3 * np.arange(n)) + 0.01 * np.random.default_rng(0).normal(size=n)


def test_a_late_target_is_that_of_the_row_before():
    """The same steps as with targets moved up by one row; only the last has none yet."""
    y = sine(400)
    x = np.column_stack([y, np.roll(y, 3)])
    late, moved = (OnlineLSTM(cells=4, random_state=1) for _ in range(2))
    found = late.run(x, y, late=True)
    expected = moved.run(x, np.append(y[1:], np.nan))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # float32, other order
    errors = np.abs(found[:-1] - y[1:])
    assert errors[-100:].mean() < 0.2 * errors[:20].mean()


def test_late_targets_stay_with_their_streams():
    y = sine(300)
    model = OnlineLSTM(cells=4, streams=2, random_state=1)
    both = model.run(np.repeat(y, 2)[:, None], np.repeat(y, 2), ["a", "b"] * 300, late=True)
    assert np.abs(both[400:-2] - np.repeat(y, 2)[402:]).mean() < 0.2
    again = model.run(y[:1, None], np.array([1e6]), ["c"], late=True)  # begins: nothing to learn
    assert np.isfinite(again).all()
    assert abs(model.run(y[1:2, None], None, ["c"])[0]) < 10


def test_batches_of_late_targets_change_nothing():
    y = sine(100)
    whole, parts = (OnlineLSTM(cells=4, random_state=1) for _ in range(2))
    expected = whole.run(y[:, None], y, late=True)
    found = [parts.run(y[n : n + 7, None], y[n : n + 7], late=True) for n in range(0, 100, 7)]
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("begun", [False, True])
def test_what_others_keep_comes_back_and_the_model_loads_as_ever(tmp_path, begun):
    model, path = OnlineLSTM(cells=2, random_state=1), tmp_path / "model.carrousel"
    if begun:
        model.run(sine(50)[:, None], sine(50))
    arrays = {"errors": np.arange(3.0), "seen": np.array(7), "flags": np.array([True, False])}
    model.save(path, beside=(arrays, {"line": 5, "names": ["a", None]}))
    kept = read_beside(path)
    assert kept is not None
    assert kept[1] == {"line": 5, "names": ["a", None]}
    assert kept[0].keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(kept[0][name], array)
        assert kept[0][name].dtype == array.dtype
    loaded = OnlineLSTM.load(path)
    assert loaded.n_steps_ == model.n_steps_
    loaded.save(path)
    assert read_beside(path) is None


def test_damage_to_what_others_keep_is_found(tmp_path):
    path = tmp_path / "model.carrousel"
    OnlineLSTM(cells=2).save(path, beside=({"a": np.arange(3.0)}, {}))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        read_beside(path)
