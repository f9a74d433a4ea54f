"""Targets that arrive one row late, and extra data in a model's file."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.errors import CheckpointError
from carrousel.online.model.checkpoint import read_extra
from carrousel.online.model.model import OnlineLSTM
from support.online.cases import case


def sine(n: int) -> np.ndarray:
    return np.sin(0.3 * np.arange(n)) + 0.01 * np.random.default_rng(0).normal(size=n)


def test_a_late_target_belongs_to_the_row_before():
    """The result is that of targets moved up by one row, where the last row has none."""
    y = sine(400)
    x = np.column_stack([y, np.roll(y, 3)])
    late, moved = (OnlineLSTM(cells=4, experts=None, random_state=1) for _ in range(2))
    found = late.run(x, y, late=True)
    expected = moved.run(x, np.append(y[1:], np.nan))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # float32 in another order
    errors = np.abs(found[:-1] - y[1:])
    assert errors[-100:].mean() < 0.2 * errors[:20].mean()


def test_late_targets_belong_to_their_streams():
    y = sine(300)
    model = OnlineLSTM(cells=4, streams=2, experts=None, random_state=1)
    both = model.run(np.repeat(y, 2)[:, None], np.repeat(y, 2), ["a", "b"] * 300, late=True)
    assert np.abs(both[400:-2] - np.repeat(y, 2)[402:]).mean() < 0.2
    again = model.run(y[:1, None], np.array([1e6]), ["c"], late=True)  # first row: nothing to learn
    assert np.isfinite(again).all()
    assert abs(model.run(y[1:2, None], None, ["c"])[0]) < 10


def test_the_first_value_of_a_stream_is_known_to_its_rules():
    """It belongs to no prediction, but is the last value for the next ones."""
    for delay in (0, 3):
        model = OnlineLSTM(cells=4, streams=3, delay=delay, random_state=1)
        levels = np.array([1.0, 1000.0, -50.0])
        found = model.run(levels[:, None], levels, ["a", "b", "c"], late=True)
        if not delay:
            np.testing.assert_array_equal(found, levels)
        assert model.n_steps_ == 3


def test_late_targets_in_pieces_match_those_of_a_whole_run():
    y = sine(100)
    whole, parts = (OnlineLSTM(cells=4, random_state=1) for _ in range(2))
    expected = whole.run(y[:, None], y, late=True)
    found = [parts.run(y[n : n + 7, None], y[n : n + 7], late=True) for n in range(0, 100, 7)]
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_extra_data_are_stored_with_the_model(tmp_path):
    for rows in (0, 50):
        model, path = OnlineLSTM(cells=2, random_state=1), tmp_path / "model.carrousel"
        if rows:
            model.run(sine(rows)[:, None], sine(rows))
        arrays = {"errors": np.arange(3.0), "seen": np.array(7), "flags": np.array([True, False])}
        model.save(path, extra=(arrays, {"line": 5, "names": ["a", None]}))
        extra = read_extra(path)
        with case(rows):
            assert extra is not None
            assert extra[1] == {"line": 5, "names": ["a", None]}
            assert extra[0].keys() == arrays.keys()
            for name, array in arrays.items():
                np.testing.assert_array_equal(extra[0][name], array)
                assert extra[0][name].dtype == array.dtype
            loaded = OnlineLSTM.load(path)
            assert loaded.n_steps_ == model.n_steps_ == rows
            loaded.save(path)
            assert read_extra(path) is None


def test_damaged_extra_data_are_refused(tmp_path):
    path = tmp_path / "model.carrousel"
    OnlineLSTM(cells=2).save(path, extra=({"a": np.arange(3.0)}, {}))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        read_extra(path)
