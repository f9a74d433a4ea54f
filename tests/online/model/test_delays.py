"""Targets that come some rows after their own: by ``delay``, by ``learn_late``, by label times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.online.model.delays import LabelTimes
from support.online.cases import case
from support.online.models import inside, knowledge

N = 400


def new(**settings: Any) -> OnlineLSTM:
    return OnlineLSTM(**{"cells": 4, "random_state": 1, **settings})


def echo(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw inputs, and targets that are the inputs of the row before."""
    x = np.random.default_rng(seed).normal(size=n)
    return x[:, None], np.append(0.0, x[:-1])


def everything(model: OnlineLSTM) -> Any:
    """Return the complete state, with targets on their way and remembered rows."""
    engine = inside(model)
    return knowledge(model), engine.late.state(), len(engine.remembered)


# --- what is learned ----------


def test_late_targets_teach_what_targets_in_time_teach():
    """The state of the row itself learns; with another state there is nothing to learn here."""
    X, y = echo(6000)
    errors = {}
    for delay in (0, 1, 10):
        found = new(cells=8, delay=delay).run(X, y)
        errors[delay] = np.abs(found - y)[-2000:].mean()
    assert errors[0] < 0.25 * np.abs(y).mean()
    for delay in (1, 10):
        assert errors[delay] < errors[0] + 0.05, errors


def test_delays_of_river_cost_little():
    evaluate, metrics = (pytest.importorskip(f"river.{name}") for name in ("evaluate", "metrics"))
    X, y = echo(4000)
    rows = [({"a": float(x)}, float(t)) for x, t in zip(X[:, 0], y, strict=True)]
    for delay in (None, 10):
        model, metric = new(cells=8, delay=delay or 0), metrics.MAE()
        evaluate.progressive_val_score(rows, model, metric, delay=delay)
        assert metric.get() < 0.45 * np.abs(y).mean(), delay  # 0.2 with more rows
        assert model.n_steps_ == N * 10
        assert model.n_lost_ == 0


def test_every_target_is_learned_once():
    """The rules have seen all targets but those that are still on their way."""
    X, y = echo(N)
    for delay in (1, 7, 50):
        model = new(delay=delay)
        model.run(X, y)
        assert len(inside(model).late.waiting) == delay + 1
        assert inside(model).kernel.n_observed.tolist() == [N - delay - 1]
        assert model.n_lost_ == 0


# --- the same in other calls ----------


def drawn_keys(n: int, seed: int = 2) -> list[str]:
    return np.random.default_rng(seed).choice(list("abcde"), n).tolist()


KINDS = {
    "one key": {"delay": 5},
    "rows ahead": {"delay": 5, "ahead": 3},
    "keys": {"delay": 5, "streams": 5},
    "evicted keys": {"delay": 12, "streams": 3, "evict_after": 6},
    "scales by key": {"delay": 5, "streams": 4, "standardise": "key"},
    "net alone": {"delay": 5, "streams": 5, "experts": None},
    "binary": {"task": "binary", "delay": 5, "streams": 4},
}


def test_parts_of_a_stream_give_the_same_as_one_run(tmp_path):
    X, numbers = echo(N)
    for name, settings in KINDS.items():
        keys = None if "streams" not in settings else drawn_keys(N)
        y = numbers > 0 if "task" in settings else numbers
        for late in (False, True):
            whole, parts = new(**settings), new(**settings)
            expected = whole.run(X, y, keys, late=late)
            found, start = [], 0
            for stop in (1, 4, 150, 151, N):
                part = None if keys is None else keys[start:stop]
                found.append(parts.run(X[start:stop], y[start:stop], part, late=late))
                start = stop
                if stop == 150:
                    parts.save(tmp_path / "model")
                    parts = OnlineLSTM.load(tmp_path / "model")
            with case(name, late):
                np.testing.assert_array_equal(np.concatenate(found), expected)
                assert everything(parts) == everything(whole)


def test_more_room_keeps_the_targets_on_their_way():
    X, numbers = echo(60)
    keys = drawn_keys(60)
    for given in ({}, {"experts": None}, {"standardise": "key"}, {"task": "multiclass"}):
        y: Any = [["u", "v", "w"][n // 20] for n in range(60)] if "task" in given else numbers
        wide, widened = new(delay=4, streams=9, **given), new(delay=4, streams=5, **given)
        for model in (wide, widened):
            model.run(X[:30], y[:30], keys[:30])
            model.set_params(streams=9, horizon=50)
        found = [model.run(X[30:], y[30:], keys[30:]) for model in (wide, widened)]
        with case(given):
            np.testing.assert_array_equal(*found)
            assert widened.n_lost_ == 0
            assert widened.warm_start().n_lost_ == 0


def test_predicting_and_learning_in_turns_is_resumed(tmp_path):
    """With ``delay``, ``predict_one`` advances, and ``learn_one`` finds the row again."""
    X, y = echo(60)
    whole, parts = new(delay=4), new(delay=4)
    for model in (whole, parts):
        for n in range(60):
            model.predict_one({"a": float(X[n, 0])})
            if n >= 4:
                model.learn_one({"a": float(X[n - 4, 0])}, y[n - 4])
            if model is parts and n % 20 == 10:
                parts.save(tmp_path / "model")
                loaded = OnlineLSTM.load(tmp_path / "model")
                parts._engine = loaded._engine
    assert everything(parts) == everything(whole)
    assert whole.n_steps_ == 60


def test_a_remembered_row_is_that_of_its_key():
    model = new(delay=3, streams=2)
    for key in "ab":
        model.predict_one([1.0], key)
    model.learn_one([1.0], 5.0, "a")
    assert model.n_steps_ == 2  # found, not run again
    model.learn_one([1.0], 5.0, "a")
    assert model.n_steps_ == 3  # nothing is remembered any more: a new row
    assert inside(model).kernel.n_observed.tolist() == [2]


def test_targets_late_by_hand_equal_those_of_a_delay():
    X, y = echo(N)
    delayed, by_hand = new(delay=6), new(delay=6)
    expected = delayed.run(X, y)
    found = []
    for n in range(N):
        if n >= 7:
            by_hand.learn_late(y[n - 7], back=6)
        found.append(by_hand.step(X[n]))
    np.testing.assert_array_equal(found, expected)
    assert knowledge(delayed)[0] == knowledge(by_hand)[0]


def test_label_times_equal_a_delay_where_rows_come_at_equal_times():
    X, y = echo(N)
    for keys in (None, drawn_keys(N)):
        delayed, timed = (new(delay=6, streams=5) for _ in range(2))
        expected = delayed.run_detailed(X, y, keys, level=0.9)
        clock = LabelTimes(np.arange(N) * 10.0, np.arange(N) * 10.0 + 61)  # before row n + 7
        found, start = [], 0
        for stop in (30, 31, N):
            part = None if keys is None else keys[start:stop]
            times = clock.part(start, stop)
            rows = slice(start, stop)
            found.append(timed.run_detailed(X[rows], y[rows], part, level=0.9, label_times=times))
            start = stop
        for name in ("outputs", "lower", "upper", "streams", "begins"):
            together = np.concatenate([getattr(each, name) for each in found])
            np.testing.assert_array_equal(together, getattr(expected, name), err_msg=name)
        assert knowledge(delayed)[0] == knowledge(timed)[0]


def test_several_targets_may_become_known_at_once(tmp_path):
    """All labels come at the end of each ten rows; a model saved between continues."""
    X, y = echo(N)
    times = np.arange(N, dtype=float)
    clock = LabelTimes(times, times // 10 * 10 + 10)
    whole, parts = new(delay=10), new(delay=10)
    expected = whole.run_detailed(X, y, label_times=clock)
    before = parts.run_detailed(X[:205], y[:205], label_times=clock.part(0, 205))
    assert len(inside(parts).late.timed) == 5
    parts.save(tmp_path / "model")
    parts = OnlineLSTM.load(tmp_path / "model")
    after = parts.run_detailed(X[205:], y[205:], label_times=clock.part(205, N))
    both = np.concatenate([before.outputs, after.outputs])
    np.testing.assert_array_equal(both, expected.outputs)
    assert np.isnan(both[:10]).all()
    assert np.isfinite(both[10:]).all()
    assert everything(parts) == everything(whole)
    assert inside(whole).kernel.n_observed.tolist() == [N - 10]


# --- what is lost, and what it costs ----------


def test_targets_that_come_too_late_are_counted():
    X, y = echo(N)
    times = np.arange(N, dtype=float)
    model = new(delay=5)
    model.run_detailed(X, y, label_times=LabelTimes(times, times + 20))
    assert model.n_lost_ == N - 20
    by_hand = new(delay=2)
    by_hand.run(X[:10])
    for back in (9, 8):
        by_hand.learn_late(1.0, back)
    by_hand.learn_late(1.0, 0)
    assert by_hand.n_lost_ == 2


def test_targets_of_evicted_keys_are_counted():
    model = new(delay=3, streams=1)
    X, y = echo(8)
    model.run(X, y, ["a"] * 4 + ["b"] * 4)  # targets of "a" come while "b" has its place
    assert model.n_lost_ == 4
    copied = model.clone(include_attributes=True)
    assert copied.n_lost_ == 4


def test_memory_does_not_grow():
    X, y = echo(3000)
    keys = drawn_keys(3000)
    model = new(delay=20, streams=3)
    sizes = set()
    for n in range(0, 3000, 500):
        model.run(X[n : n + 500], y[n : n + 500], keys[n : n + 500])
        engine = inside(model)
        sizes.add((model.nbytes, len(engine.late.waiting), len(engine.late.rows)))
    assert len(sizes) == 1
    for x in X[:200]:
        model.predict_one(x, "a")
    assert len(inside(model).remembered) <= 21 * 3


def test_each_waiting_row_costs_the_same():
    def size(delay: int) -> int:
        model = new(delay=delay)
        model.step([1.0], 1.0)
        return model.nbytes

    sizes = [size(delay) for delay in (10, 20, 30, 1010)]
    step = sizes[1] - sizes[0]
    assert (sizes[2] - sizes[1], sizes[3] - sizes[0]) == (step, 100 * step)


def test_wrong_calls_are_refused():
    X, y = echo(20)
    empty, plain, late = new(delay=2), new(), new(delay=5, streams=2)
    with pytest.raises(DataError, match="the model has had no row, so none waits"):
        empty.learn_late(1.0, 0)
    plain.run(X, y)
    with pytest.raises(SettingError, match="delay, the most rows that may follow"):
        plain.learn_late(1.0, 0)
    with pytest.raises(SettingError, match="label times, but the model keeps no rows"):
        plain.run_detailed(X, y, label_times=LabelTimes(y, y))
    late.run(X, None, ["a"] * 20)
    before = knowledge(late)
    for back, key, message in (
        (20, "a", "back is 20, expected below 20, the rows of key 'a' so far"),
        (-1, "a", "back is -1"),
        (0, "b", "back is 0, expected below 0, the rows of key 'b' so far"),
    ):
        with case(back, key), pytest.raises(DataError, match=message):
            late.learn_late(1.0, back, key)
    for bad, error in (("warm", DataError), ([1.0, 2.0], ShapeError), (float("inf"), DataError)):
        with case(bad), pytest.raises(error):
            late.learn_late(bad, 1, "a")
    assert knowledge(late) == before
    late.learn_late(1.0, 1, "a")
    with pytest.raises(DataError, match="the row 1 rows before the last of key 'a' has its target"):
        late.learn_late(1.0, 1, "a")
