"""Estimators on data sets on disk: equal to the same series in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from carrousel import DataError, DataTypeError, LSTMClassifier, LSTMRegressor, SettingError
from carrousel.estimators.data import views
from carrousel.estimators.data.checks import ConstantChannelWarning
from carrousel.estimators.data.larger import TableDataset
from carrousel.estimators.data.table import read_table
from carrousel.estimators.forecaster import LSTMForecaster
from support.case import case

NAMES: dict[str, Any] = {"id": "id", "time": "t", "target": "y", "groups": "who"}
SMALL: dict[str, Any] = {"hidden_size": 8, "members": 2, "max_steps": 12, "random_state": 0}


def table_of(kind: str) -> pa.Table:
    """Return 64 series whose statistics are exact in any order of summation.

    Values are multiples of 1/4, and both channels have a power of two of them.
    """
    rng = np.random.default_rng(3)
    lengths = rng.permutation(np.repeat([4, 6, 10, 12], 16))
    ids = np.repeat(np.arange(64), lengths)
    values = rng.integers(-8, 9, (2, len(ids))) / 4
    gaps = np.zeros(len(ids), bool)
    gaps[rng.permutation(len(ids))[: len(ids) // 2]] = True
    means = np.bincount(ids, values[0]) / lengths
    y = np.where(means > 0, "up", "down") if kind == "class" else means
    steps = rng.integers(1, 4, len(ids)).astype(float)
    columns = {"id": ids, "t": np.cumsum(steps), "a": values[0], "who": ids // 2}
    columns["b"] = np.where(gaps, np.nan, values[1])
    return pa.table(columns | {"y": y[ids]})


@pytest.fixture(params=["class", "value"])
def both(request, tmp_path):
    """The same table in memory, and on disk in two files."""
    table = table_of(request.param)
    pyarrow.parquet.write_table(table.slice(0, 300), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(table.slice(300), tmp_path / "b.parquet")
    kind = LSTMClassifier if request.param == "class" else LSTMRegressor
    with TableDataset(tmp_path, **NAMES) as data:
        yield kind, read_table(table, **NAMES), data


def answers(model, X, at):
    predict = getattr(model, "predict_proba", model.predict)
    return predict(X, at=at)


def test_a_fit_from_disk_equals_the_fit_in_memory(both, monkeypatch):
    kind, memory, data = both
    monkeypatch.setattr(views, "BLOCK", 40)
    early: dict[str, Any] = {"early": 0.01} if kind is LSTMClassifier else {}
    for groups in (memory.groups, None):
        data.groups = groups
        one = kind(**SMALL, **early).fit(memory.series, memory.y, groups=groups)
        two = kind(**SMALL, **early).fit(data)
        for at in ("end", 3, 0.5):
            expected = answers(one, memory.series, at)
            with case(at, groups is None):
                np.testing.assert_array_equal(answers(two, data, at), expected)
                np.testing.assert_array_equal(answers(two, memory.series, at), expected)
        for mine, other in zip(
            answers(two, data, "every step"), answers(one, memory.series, "every step"), strict=True
        ):
            np.testing.assert_array_equal(mine, other)
        np.testing.assert_array_equal(two.held_out_, one.held_out_)
        np.testing.assert_array_equal(two.feature_importances_, one.feature_importances_)
        assert two.schema_ == one.schema_
        assert two.n_features_in_ == one.n_features_in_
        assert two.ensemble_.temperature == one.ensemble_.temperature
        assert getattr(two, "stop_rule_", None) == getattr(one, "stop_rule_", None)
        assert two.score(data, data.targets()) == one.score(memory.series, memory.y)


def test_repeated_series_and_weights_of_zero_are_as_in_memory(both):
    """Up to the scales, which are those of all rows on disk."""
    kind, memory, data = both
    weights = np.arange(64) % 3
    one = kind(**SMALL).fit(memory.series, memory.y, weights, memory.groups)
    two = kind(**SMALL).fit(data, sample_weight=weights)
    np.testing.assert_array_equal(two.held_out_, one.held_out_)
    spread = np.std(answers(one, memory.series, "end"))
    difference = answers(two, data, "end") - answers(one, memory.series, "end")
    assert np.abs(difference).max() < spread


def test_threads_continued_training_and_files(both, tmp_path):
    kind, memory, data = both
    model = kind(**SMALL).fit(data)
    together = kind(**SMALL, n_jobs=2).fit(data)
    np.testing.assert_array_equal(answers(together, data, "end"), answers(model, data, "end"))
    model.save(tmp_path / "model.safetensors")
    loaded = kind.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(answers(loaded, data, "end"), answers(model, data, "end"))
    in_memory = kind(**SMALL).fit(memory.series, memory.y, groups=memory.groups)
    for each, X, y in ((model, data, None), (in_memory, memory.series, memory.y)):
        each.partial_fit(X, data.targets() if y is None else y, groups=memory.groups)
    np.testing.assert_array_equal(
        answers(model, data, "end"), answers(in_memory, memory.series, "end")
    )


def test_bad_data_sets(tmp_path):
    good = {"id": [1, 1, 2, 2], "x": [0.0, 1.0, 2.0, 3.0], "y": ["a", "a", "b", "b"]}

    def opened(columns, **names):
        pyarrow.parquet.write_table(pa.table(good | columns), tmp_path / "a.parquet")
        return TableDataset(tmp_path, id="id", **names)

    model = LSTMClassifier(**SMALL)
    with pytest.raises(SettingError, match="without a target"):
        model.fit(opened({}, channels=["x"]))
    with pytest.raises(DataError, match="every value of X is missing"):
        model.fit(opened({"x": pa.nulls(4, pa.float32())}, target="y"))
    with pytest.raises(DataError, match="only 1 class"):
        model.fit(opened({"y": ["a"] * 4}, target="y"))
    with pytest.raises(DataError, match=r"row 3, column 'who'.*changes within"):
        opened({"who": [1, 1, 2, 3]}, target="y", groups="who")
    with pytest.raises(SettingError, match="two purposes"):
        opened({}, target="y", groups="y")
    for cells, state in (([2.0] * 4, "always 2"), ([None] * 4, "always missing")):
        constant = pa.array(cells, pa.float64())
        with pytest.warns(ConstantChannelWarning, match=f"'c' of X is {state}"):
            model.fit(opened({"c": constant}, target="y"))
    with pytest.raises(DataTypeError, match="LSTMForecaster needs series in memory"):
        LSTMForecaster(horizon=1).fit(opened({}, channels=["x"]))
