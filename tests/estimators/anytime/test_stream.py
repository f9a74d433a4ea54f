"""A live series gives at every step what the batch gives."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.anytime.calibrate import probabilities
from carrousel.estimators.anytime.stream import LiveSeries
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.goals import StepValueGoal, TagGoal, ValueGoal
from carrousel.estimators.net.net import AnytimeNet
from support.ensembles import make_ensemble, make_series, make_symbols

SHAPES = (
    {},
    {"window": 1},
    {"window": 2, "hidden_size": 5, "filters": 3},
    {"num_layers": 2, "hidden_size": 7},
    {"window": 4, "dilation": 3, "hidden_size": 16},
    {"window": 60},  # longer than any series
)


def pushed(live: LiveSeries, series, symbols=None):
    """Raw outputs of every step of every series, pushed row by row."""
    found = []
    for one in series:
        live.reset()
        for t, row in enumerate(one.values):
            time = None if one.times is None else one.times[t]
            given = row if symbols is None else (symbols[row] if row >= 0 else "unknown")
            found.append(live.outputs(given, time).copy())
    return np.array(found)


def assert_equal_up_to_rounding(ensemble: Ensemble, found, series):
    """The error against the nets in float64 is at most twice that of the nets in float32."""
    single = ensemble.outputs(series, "every step")
    exact = np.empty(single.shape)
    for n, one in enumerate(series):
        inputs, lengths = ensemble.features.batch(one, np.array([0]))
        x = torch.from_numpy(inputs)
        low, high = series.offsets[n], series.offsets[n + 1]
        for m, member in enumerate(ensemble.members):
            double = member.net.double()
            with torch.no_grad():
                wide = x.double() if x.is_floating_point() else x
                exact[low:high, m] = double(wide, torch.from_numpy(lengths))[:, 0].numpy()
            member.net.float()
    scale = np.abs(exact).max()
    least = 8 * np.finfo(np.float32).eps * scale
    assert np.abs(found - exact).max() <= 2 * np.abs(single - exact).max() + least


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("gaps", [0.0, 0.4, 1.0])
def test_live_equals_batch(gaps, timed):
    rng = np.random.default_rng(3)
    series = make_series(rng, gaps=0.2, timed=timed)
    tested = make_series(rng, lengths=(30, 1, 17), gaps=gaps, timed=timed)
    for sizes in SHAPES:
        ensemble = make_ensemble(series, **sizes)  # pyright: ignore[reportArgumentType]
        found = pushed(LiveSeries(ensemble), tested)
        assert_equal_up_to_rounding(ensemble, found, tested)


def test_live_equals_batch_for_symbols():
    series = make_symbols(np.random.default_rng(0))
    for sizes in SHAPES:
        ensemble = make_ensemble(series, **sizes)  # pyright: ignore[reportArgumentType]
        for given in (None, series.symbols):
            found = pushed(LiveSeries(ensemble, symbols=given), series, given)
            assert_equal_up_to_rounding(ensemble, found, series)


def test_times_that_training_had_may_be_left_out():
    """Steps without times are one unit apart, in the batch too."""
    rng = np.random.default_rng(0)
    ensemble = make_ensemble(make_series(rng, timed=True))
    untimed = make_series(rng, timed=False)
    found = pushed(LiveSeries(ensemble), untimed)
    assert_equal_up_to_rounding(ensemble, found, untimed)


def test_times_may_be_dates():
    series = make_series(np.random.default_rng(0), timed=True)
    live = LiveSeries(make_ensemble(series))
    stamp = np.datetime64("2026-01-01T00:00:01")
    seconds = float(stamp.astype(np.int64))
    expected = live.push(series.values[0], seconds)
    for time in (stamp, stamp.astype(object)):
        live.reset()
        np.testing.assert_array_equal(live.push(series.values[0], time), expected)
    for wrong in ("noon", np.datetime64("NaT")):
        with pytest.raises(DataError, match=r"^time is .*, expected a number, date or duration"):
            live.push(series.values[0], wrong)
    assert live.n_steps == 1


def test_answers_follow_the_goal():
    rng = np.random.default_rng(0)
    series = make_series(rng)
    row = series.values[2]
    for goal in (ValueGoal(2), StepValueGoal(2)):
        live = LiveSeries(make_ensemble(series, goal))
        answer = live.push(row)
        live.reset()
        np.testing.assert_allclose(answer, live.outputs(row).mean(axis=0), rtol=1e-6)
    ensemble = make_ensemble(series, TagGoal(4))
    ensemble.temperature = 2.0
    live = LiveSeries(ensemble)
    answer = live.push(row)
    live.reset()
    raw = live.outputs(row)
    np.testing.assert_allclose(answer, probabilities(raw, 2.0), rtol=1e-6)
    np.testing.assert_allclose(answer.sum(), 1.0, rtol=1e-6)
    own = LiveSeries(ensemble, answer=lambda outputs: outputs.shape)
    assert own.push(row) == (2, 4)


def test_answers_are_not_overwritten():
    series = make_series(np.random.default_rng(0), gaps=0.0)
    for goal in (TagGoal(3), ValueGoal(2)):
        live = LiveSeries(make_ensemble(series, goal, members=1))
        first = live.push(series.values[0])
        kept = first.copy()
        live.push(series.values[5])
        np.testing.assert_array_equal(first, kept)


def test_memory_does_not_grow():
    """A row allocates no memory that is kept, and buffers stay where they are."""
    series = make_series(np.random.default_rng(0), lengths=(50,))
    live = LiveSeries(make_ensemble(series))
    live.push(series.values[0])
    buffer = live.outputs(series.values[0]).ctypes.data
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(40):
            for row in series.values:
                live.push(row)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert live.n_steps == 2002
    assert after - before < 2000  # bytes: less than one for each row
    assert live.outputs(series.values[0]).ctypes.data == buffer


def test_rows_may_have_any_type_of_numbers():
    rng = np.random.default_rng(0)
    series = make_series(rng, gaps=0.0)
    live = LiveSeries(make_ensemble(series))
    row = np.round(series.values[1])
    expected = live.push(row)
    for given in (
        row.tolist(),
        row.astype(int),
        row.astype(np.float32),
        np.stack([row] * 2).T[:, 0],
    ):
        live.reset()
        np.testing.assert_array_equal(live.push(given), expected)
    live.reset()
    some = live.push([row[0], None, row[2]])
    live.reset()
    np.testing.assert_array_equal(live.push(np.array([row[0], np.nan, row[2]])), some)
    one = make_series(rng, n_channels=1, gaps=0.0)
    live = LiveSeries(make_ensemble(one))
    expected = live.push(one.values[0])
    live.reset()
    np.testing.assert_array_equal(live.push(float(one.values[0, 0])), expected)


def test_wrong_rows_are_refused_and_change_nothing():
    rng = np.random.default_rng(0)
    series = make_series(rng, timed=True, gaps=0.0)
    live, other = (LiveSeries(make_ensemble(series)) for _ in range(2))
    good, times = series.values, series.times
    wrong = (
        (ShapeError, good[1][:2], None),
        (ShapeError, good[1:2], None),
        (ShapeError, 1.0, None),
        (DataError, np.array([1.0, np.inf, np.nan]), None),
        (DataError, good[1], times[1]),  # pyright: ignore[reportOptionalSubscript]
        (DataError, good[1], np.nan),
    )
    live.push(good[1], times[1])  # pyright: ignore[reportOptionalSubscript]
    other.push(good[1], times[1])  # pyright: ignore[reportOptionalSubscript]
    for error, row, time in wrong:
        with pytest.raises(error, match=r"row|time"):
            live.push(row, time)
    np.testing.assert_array_equal(live.push(good[2], times[2]), other.push(good[2], times[2]))  # pyright: ignore[reportOptionalSubscript]


def test_wrong_symbols_are_refused():
    ensemble = make_ensemble(make_symbols(np.random.default_rng(0)))
    with pytest.raises(DataError, match="-2, expected -1"):
        LiveSeries(ensemble).push(-2)
    with pytest.raises(SettingError, match="3 entries"):
        LiveSeries(ensemble, symbols="abc")


def test_bidirectional_nets_are_refused():
    ensemble = make_ensemble(make_series(np.random.default_rng(0)), bidirectional=True)
    with pytest.raises(SettingError, match="bidirectional=False"):
        LiveSeries(ensemble)


def test_nets_with_other_parts_are_refused():
    """A net that has changed is not computed in part."""
    series = make_series(np.random.default_rng(0))
    added = make_ensemble(series)
    added.members[0].net.second = nn.Linear(2, 2)
    with pytest.raises(SettingError, match="second"):
        LiveSeries(added)
    replaced = make_ensemble(series)
    replaced.members[1].net.norm = nn.RMSNorm(32)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(SettingError, match="norm"):
        LiveSeries(replaced)
    owned = make_ensemble(series)
    owned.members[1].net.gain = nn.Parameter(torch.ones(1))
    with pytest.raises(SettingError, match="gain"):
        LiveSeries(owned)


def test_a_step_that_computes_something_else_is_refused(monkeypatch):
    """Each live series is compared with its nets once, so no change of equations is silent."""
    ensemble = make_ensemble(make_series(np.random.default_rng(0)))
    right = AnytimeNet.forward
    monkeypatch.setattr(AnytimeNet, "forward", lambda *given: right(*given) * 1.01)
    with pytest.raises(SettingError, match="differs from the nets"):
        LiveSeries(ensemble)
