"""Keys, classes, targets and columns that are enumerations, NumPy scalars or pandas objects."""

from __future__ import annotations

import enum
import pickle
from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import DataError, RowError, SettingError
from support.online.cases import case
from support.online.models import inside, knowledge

pd = pytest.importorskip("pandas")


class Colour(str, enum.Enum):  # noqa: UP042 - older code still defines them like this
    """A text whose ``str()`` differs from it."""

    RED = "red"
    BLUE = "blue"


def started(task: Any = "regression", **settings):
    return OnlineLSTM(task, cells=2, random_state=1, **settings)


# --- values that are equal to a value of another type, or unequal to themselves ---------------

KEYS = {
    "member": Colour.RED,
    "time": np.datetime64("2020-01-01"),
    "nanoseconds": np.datetime64("2020-01-01T00:00:00.000000001"),
    "span": np.timedelta64(5, "s"),
    "scalar": np.int64(3),
    "text": np.str_("a"),
    "both": (Colour.BLUE, np.float32(0.1)),
    "NaN within": (np.float64("nan"), 1),
}


def test_a_key_is_found_again():
    for name, key in KEYS.items():
        with case(name):
            model = started(streams=3)
            first = [model.step([1.0], 2.0, key=key), model.step([1.0], 3.0, key=key)]
            other = started(streams=3)
            found = other.run([[1.0]] * 2, [2.0, 3.0], keys=[key] * 2)
            np.testing.assert_array_equal(found, first)
            assert len(model.keys) == len(other.keys) == 1
            model.reset(key)
            assert model.keys == ()


def test_a_key_that_does_not_equal_itself_is_refused():
    model = started(streams=3)
    model.step([1.0], 2.0, key="a")
    before = knowledge(model)
    for key in (float("nan"), np.float64("nan"), pd.NA, pd.NaT):
        calls = {
            "step": lambda key=key: model.step([1.0], 2.0, key=key),
            "predict_one": lambda key=key: model.predict_one([1.0], key=key),
            "run": lambda key=key: model.run([[1.0]] * 2, [2.0, 3.0], keys=["a", key]),
        }
        for name, call in calls.items():
            with case(key, name), pytest.raises(DataError, match="does not equal itself"):
                call()
    assert knowledge(model) == before


def test_members_of_an_enumeration_are_classes():
    labels = [Colour.RED, Colour.BLUE, Colour.RED]
    for task in ("binary", "multiclass"):
        model, other = started(task), started(task)
        model.run([[1.0]] * 3, labels)
        for label in labels:
            other.step([1.0], label)
        with case(task):
            assert sorted(model.classes_) == sorted(other.classes_) == ["blue", "red"]
            assert knowledge(model) == knowledge(other)


def test_members_of_an_enumeration_are_symbols_and_categories():
    declared = started("next", symbols=list(Colour))
    for symbol in (Colour.RED, "blue", Colour.RED):
        declared.step(symbol)
    assert list(declared.classes_) == ["red", "blue"]
    model = started(unseen="grow")
    for colour in (Colour.RED, "red", Colour.BLUE):
        model.step({"colour": colour}, 1.0)
    assert inside(model).features.n_columns == 2


def test_the_first_class_must_be_hashable():
    for task in ("binary", "multiclass", "next"):
        model = started(task, unseen="grow")
        message = "is a list, expected one text, number or other hashable"
        with case(task), pytest.raises(DataError, match=message):
            model.step([1]) if task == "next" else model.step([1.0], ["a"])
        assert model.n_steps_ == 0


def test_none_does_not_become_a_symbol(tmp_path):
    model = started("next", unseen="grow")
    model.run("ab")
    before = knowledge(model)
    for call in (lambda: model.step(None), lambda: model.run([None, "a"])):
        with pytest.raises(DataError, match="x is None, expected a symbol"):
            call()
    assert knowledge(model) == before
    model.save(tmp_path / "m")
    assert knowledge(OnlineLSTM.load(tmp_path / "m")) == before


def test_a_time_may_be_a_class():
    day = np.datetime64("2020-01-01")
    model = started("multiclass")
    model.step([1.0], day)
    assert model.step([1.0], day) == day


def test_classes_next_to_none_keep_their_type():
    for task, y in (("multiclass", [1, None, 2]), ("binary", [True, None, False])):
        model, other = started(task), started(task)
        model.run([[1.0]] * 3, y)
        for label in y:
            other.step([1.0], label)
        with case(task):
            assert [type(c) for c in model.classes_.tolist()] == [type(y[0])] * 2
            assert knowledge(model) == knowledge(other)


# --- data frames ------------------------------------------------------------------------------


def test_targets_of_a_data_frame_are_matched_by_position():
    for index in ([10, 11, 12, 13], [2, 0, 3, 1], list("abcd")):
        frame = pd.DataFrame(
            {"a": [1.0, 2.0, 3.0, 4.0], "c": list("xyxz"), "y": ["u", "v", None, "w"]}, index=index
        )
        model, other = started("multiclass", unseen="grow"), started("multiclass", unseen="grow")
        model.run(frame[["a", "c"]], frame["y"])
        for a, c, y in zip(frame["a"], frame["c"], ["u", "v", None, "w"], strict=True):
            other.step({"a": a, "c": c}, y)
        with case(index):
            assert knowledge(model) == knowledge(other)


def test_na_in_targets_means_no_target():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    for dtype, labels in (("string", ["a", None, "b"]), ("boolean", [True, None, False])):
        model, other = started("binary"), started("binary")
        model.run(X, pd.Series(pd.array(labels, dtype=dtype)))
        other.run(X, labels)
        with case(dtype):
            assert knowledge(model) == knowledge(other)


def test_na_in_columns_means_missing():
    columns = {"c": pd.array(["a", None, "b"], dtype="string"), "n": pd.array([1, 2, None])}
    y = [1.0, 2.0, 3.0]
    with pytest.raises(RowError, match="row 1, column 'c': the value is None"):
        started().run(pd.DataFrame(columns), y)
    model, other = started(missing="mean"), started(missing="mean")
    model.run(pd.DataFrame(columns), y)
    other.run([{"c": "a", "n": 1.0}, {"c": pd.NA, "n": 2.0}, {"c": "b", "n": pd.NA}], y)
    assert knowledge(model) == knowledge(other)


def test_columns_of_times_are_refused():
    for unit in ("s", "us", "ns"):
        times = pd.date_range("2020", periods=3).astype(f"datetime64[{unit}]")
        for column in (times, times - times[0]):
            frame = pd.DataFrame({"at": column, "x": [1.0, 2.0, 3.0]})
            message = "column 'at': the column holds times, expected numbers or texts"
            with case(unit), pytest.raises(DataError, match=message):
                started().run(frame, [1.0, 2.0, 3.0])


# --- copies -----------------------------------------------------------------------------------


def test_a_model_is_pickled():
    for row in ([1.0], {"a": 1.0}, {"a": 1.0, "b": 2.0}, {"a": "x"}):
        model = started()
        model.step(row, 1.0)
        again = pickle.loads(pickle.dumps(model))
        with case(row):
            assert again.step(row, 2.0) == model.step(row, 2.0)
            assert knowledge(again) == knowledge(model)


class Level(enum.IntEnum):
    """A number with a name."""

    LOW = 1


def test_members_that_are_numbers_are_saved(tmp_path):
    model = started("multiclass", streams=2)
    model.step([1.0], Level.LOW, key=Level.LOW)
    model.save(tmp_path / "m")
    assert OnlineLSTM.load(tmp_path / "m").keys == (1,)


def test_settings_may_have_any_integer_type():
    given: dict[str, Any] = {
        "cells": np.int64(2),
        "block_size": np.int32(2),
        "streams": np.uint8(3),
    }
    given |= {"evict_after": np.int16(5), "random_state": np.int64(1)}
    model = OnlineLSTM(**given)
    plain = OnlineLSTM(cells=2, block_size=2, streams=3, evict_after=5, random_state=1)
    assert model.step([1.0], 2.0) == plain.step([1.0], 2.0)


def test_models_that_do_not_fit_into_memory_are_refused():
    for settings in (
        {"task": "next", "symbols": 2**24},
        {"cells": 512, "gradient": "rtrl", "streams": 9000},
    ):
        model = OnlineLSTM(**settings)
        with case(settings), pytest.raises(SettingError, match=r"memory does not hold|terabytes"):
            model.step(1 if "symbols" in settings else [1.0])
