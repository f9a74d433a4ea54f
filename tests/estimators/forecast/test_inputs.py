"""Inputs are causal and free of units, targets convert back, segments answer every step once."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.data.series import Series
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.forecast.inputs import LONGEST, Layout, Segments, prepare, truths
from carrousel.estimators.forecast.lessons import rolled, warmed_up
from carrousel.estimators.forecast.reading import read_future, read_layout, split

LAYOUT = Layout(horizon=3, targets=(0, 2), known=(1,), others=(3,), season=4)


def random_series(lengths=(9, 30, 2, 14), gaps=0.1):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(T, 4)).cumsum(axis=0) for T in lengths]
    for row in rows:
        row[1:][rng.random(row[1:].shape) < gaps] = np.nan
    return Series.of(rows)


def test_truths_convert_back_to_the_next_values():
    series = random_series()
    prepared = prepare(series, LAYOUT)
    found = truths(series, prepared, LAYOUT)
    values = prepared.last[:, None] + prepared.scale[:, None] * found
    for low, high in zip(series.offsets[:-1], series.offsets[1:], strict=True):
        for t in range(low, high):
            after = series.values[t + 1 : min(t + 4, high)][:, [0, 2]]
            near = np.abs(found[t, : len(after)]) < 100.0  # farther ones are clipped
            after = np.where(near | np.isnan(after), after, values[t, : len(after)])
            np.testing.assert_allclose(values[t, : len(after)], after, rtol=1e-9, atol=1e-9)
            assert np.isnan(values[t, len(after) :]).all()


def test_inputs_do_not_see_the_future_and_know_no_neighbour():
    series = random_series()
    whole = prepare(series, LAYOUT)
    for n in range(len(series)):
        low = series.offsets[n]
        for T in range(1, series.lengths[n] - LAYOUT.horizon):
            rows = series.values[low : low + T]
            future = series.values[low + T : low + T + 3, [1]]
            part = prepare(Series.of([rows]), LAYOUT, [future])
            np.testing.assert_array_equal(part.series.values, whole.series.values[low : low + T])
            np.testing.assert_array_equal(part.simple, whole.simple[low : low + T])


def test_future_of_known_channels_is_an_input_of_every_step():
    series = random_series((9,), gaps=0.0)
    found = prepare(series, LAYOUT, [np.array([[7.0], [8.0], [9.0]])])
    known = np.append(series.values[:, 1], [7.0, 8.0, 9.0])
    np.testing.assert_allclose(
        found.series.values[:, -3:], [known[t + 1 : t + 4] for t in range(9)], rtol=1e-6
    )
    assert np.isnan(prepare(series, LAYOUT).series.values[-1, -3:]).all()


def test_segments_answer_every_step_once_with_half_a_segment_of_past():
    half = LONGEST // 2
    for T in (1, half, LONGEST, LONGEST + 1, LONGEST + half, 3 * LONGEST + 5):
        series = Series.of([np.zeros((T, 1)), np.zeros((3, 1))])
        pieces = Segments.of(series)
        answered = [
            t for a, b in zip(pieces.answers, pieces.ends, strict=True) for t in range(a, b)
        ]
        assert answered == list(range(T + 3))
        assert (pieces.ends - pieces.starts <= LONGEST).all()
        past = pieces.answers - pieces.starts
        assert ((past == half) | (pieces.starts == series.offsets[pieces.owner])).all()
        last = Segments.of(series, only_last=True)
        assert last.ends.tolist() == [T, T + 3]
        np.testing.assert_array_equal(last.starts, [pieces.starts[-2], T])


def test_origins_come_after_everything_that_is_learned():
    """In every fold, a learned target is due before the first origin, and each origin is judged."""
    series = random_series((40, 60), gaps=0.0)
    prepared, none = prepare(series, LAYOUT), np.zeros(2, np.int64)
    truth = warmed_up(truths(series, prepared, LAYOUT), series, LAYOUT.season)
    users = Examples(series, none, np.ones(2), none)
    judged_steps = np.zeros(series.n_steps, int)
    for fold in range(4):
        pair = rolled(prepared, truth, users, fold, 4)
        assert pair is not None
        found, judging = pair
        assert judging.tolist() == [False, False, True, True]
        for n, T in ((0, 40), (1, 60)):
            low, begin = series.offsets[n], T // 2 + (T - T // 2) * fold // 4
            learned = found.take(np.array([n])).targets[..., 0]
            judged = found.take(np.array([n + 2])).targets[..., 0]
            assert len(learned) == begin
            for t in range(begin):
                for h in range(3):
                    assert np.isnan(learned[t, h]).all() == (t < 4 or t + h + 1 >= begin)
            assert np.isnan(judged[: begin - 1]).all()
            np.testing.assert_allclose(judged[begin - 1], truth[low + begin - 1], rtol=1e-6)
            judged_steps[low : low + T] += np.isfinite(judged).any(axis=(1, 2))
    for n, T in ((0, 40), (1, 60)):
        low = series.offsets[n]
        assert judged_steps[low : low + T].tolist() == [0] * (T // 2 - 1) + [1] * (T // 2) + [0]


def test_nothing_to_judge():
    series = random_series((3,), gaps=0.0)
    prepared, none = prepare(series, LAYOUT), np.zeros(1, np.int64)
    truth = truths(series, prepared, LAYOUT)
    users = Examples(series, none, np.ones(1), none)
    assert rolled(prepared, truth, users, 0, 4) is None


def test_roles_of_channels():
    named = Series.of([np.zeros((2, 3))], channels=("a", "b", "c"), named=True)
    arguments = {"horizon": 2, "target": None, "known": (), "season": None}
    assert read_layout(named, **arguments).targets == (0, 1, 2)
    found = read_layout(named, **arguments | {"target": "c", "known": [0]})
    assert (found.targets, found.known, found.others) == ((2,), (0,), (1,))
    for wrong, message in (
        ({"target": "d"}, "target is 'd', expected a channel of X"),
        ({"target": 3}, "position from 0 to 2"),
        ({"target": ("a", 0)}, "different channels"),
        ({"target": ()}, "at least one channel"),
        ({"target": "a", "known": "a"}, "in both target and known"),
        ({"known": ("a", "b", "c")}, "at least one channel"),
        ({"horizon": 0}, "horizon is 0"),
        ({"season": 1}, "season is 1"),
    ):
        with pytest.raises(SettingError, match=message):
            read_layout(named, **arguments | wrong)


def test_future_is_checked():
    series, layout = Series.of([np.zeros((2, 2))] * 3), Layout(4, (0,), (1,))
    found = read_future(np.zeros((3, 4)), series, layout)
    assert found is not None
    assert [each.shape for each in found] == [(4, 1)] * 3
    assert read_future(None, series, Layout(4, (0, 1))) is None
    for wrong, error, message in (
        (None, DataError, "x1 in the next 4 steps; pass an array of shape"),
        (np.zeros((2, 4)), ShapeError, "2 series, expected 3"),
        (np.zeros((3, 5)), ShapeError, r"series 0 has shape \(5, 1\), expected \(4, 1\)"),
        (np.full((3, 4), np.inf), DataError, "series 0 contains infinity"),
    ):
        with pytest.raises(error, match=message):
            read_future(wrong, series, layout)
    with pytest.raises(DataError, match="no channel is known ahead"):
        read_future(np.zeros((3, 4)), series, Layout(4, (0, 1)))


def test_splitting_off_the_horizon():
    series = random_series((9, 5), gaps=0.0)
    first, ends = split(series, LAYOUT)
    assert first.lengths.tolist() == [6, 2]
    np.testing.assert_array_equal(first[1].values, series[1].values[:2])
    np.testing.assert_array_equal(ends[0], series[0].values[6:])
    with pytest.raises(DataError, match="series 1 has 3 steps, expected more than the horizon, 3"):
        split(random_series((9, 3)), LAYOUT)
