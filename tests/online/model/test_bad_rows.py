"""Bad rows, targets and settings raise an error that names them, and change nothing."""

from __future__ import annotations

import copy
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel import OnlineLSTM
from carrousel.errors import (
    CarrouselError,
    DataError,
    DivergedError,
    RowError,
    SettingError,
    ShapeError,
)
from support.online.cases import case
from support.online.models import KINDS, each, knowledge, model, rows_of, stream

USE_MEAN = "; set missing='mean'$"
NUMBERS = {  # the row, and the message
    "nan": ([1.0, math.nan], r"x\[1\] is nan, expected a finite number" + USE_MEAN),
    "inf": ([-math.inf, 0.0], r"x\[0\] is -inf, expected a finite number$"),
    "nan in an array": (np.array([math.nan, 0.0]), r"x\[0\] is nan"),
    "none": ([None, 1.0], r"x\[0\] is None"),
    "text": (["1.5", 2.0], r"x\[0\] is '1.5', expected a number"),
    "texts": (np.array(["1.5", "2"]), r"x\[0\] is .*'1.5'.*, expected a number"),
    "complex": ([1j, 0.0], r"x\[0\] is 1j, expected a number"),
    "huge": ([10**400, 0.0], r"x\[0\] is 1000.* expected a finite number"),
    "too large": ([0.0, -1e31], r"x\[1\] is -1e\+31, expected a number of at most 1e\+30"),
    "short": ([1.0], r"x has shape \(1,\), expected \(2,\)"),
    "long": ([1.0, 2.0, 3.0], r"x has shape \(3,\), expected \(2,\)"),
    "square": ([[1.0, 2.0]], r"x has shape \(1, 2\), expected \(2,\)"),
    "ragged": ([[1.0], 2.0], r"x\[0\] is \[1.0\], expected a number|x has"),
    "one number": (1.0, r"x has shape \(\), expected \(2,\)"),
    "a mapping": ({"a": 1.0}, "x is a dict, expected a sequence of 2 numbers like the first row"),
    "nothing": (None, "x has shape|expected"),
}
NAMED = {
    "nan": (
        {"a": math.nan, "b": 1, "colour": "red"},
        "column 'a': the value is nan, expected a finite number" + USE_MEAN,
    ),
    "inf": (
        {"a": 1, "b": math.inf, "colour": "red"},
        "column 'b': the value is inf, expected a finite number$",
    ),
    "none": ({"a": None, "b": 1.0, "colour": "red"}, "column 'a': the value is None"),
    "text": (
        {"a": "warm", "b": 1.0, "colour": "red"},
        "column 'a': the value is 'warm', expected a number$",
    ),
    "list": (
        {"a": [1], "b": 1.0, "colour": "red"},
        r"column 'a': the value is \[1\], expected a number$",
    ),
    "category": (
        {"a": 1, "b": 1, "colour": "mauve"},
        "column 'colour': the category 'mauve' is new, expected one of '.*; set unseen='grow'$",
    ),
    "number": (
        {"a": 1, "b": 1, "colour": 3},
        "column 'colour': the value is 3, expected a text such as '",
    ),
    "missing": ({"a": 1.0, "colour": "red"}, "column 'b': the feature is missing" + USE_MEAN),
    "missing text": ({"a": 1.0, "b": 1.0}, "column 'colour': the feature is missing"),
    "unknown": (
        {"a": 1, "b": 1, "colour": "red", "c": 1},
        "column 'c': the feature is unknown, expected only 'b', 'a', 'colour'; leave it out",
    ),
    "empty": ({}, "column 'b': the feature is missing"),
    "a sequence": ([1.0, 2.0, "red"], "x is a list, expected a mapping from feature names"),
    "nothing": (None, "x is a NoneType, expected a mapping"),
}
SYMBOLS = {
    "unknown": (
        "e",
        "x is 'e', expected a symbol of the alphabet: 'a', 'b', 'c', 'd'; set unseen='grow'$",
    ),
    "nan": (math.nan, "x is nan, expected a value that equals itself"),
    "a mapping": ({"a": 1}, "x is a dict, expected one text, number"),
    "an array": (np.zeros(3), "x is a ndarray"),
    "text of two": ("ab", "x is 'ab', expected a symbol of the alphabet"),
    "none": (None, "x is None, expected a symbol of the alphabet"),
}
TARGETS = {
    "numbers/regression": {
        "nan": (math.nan, "target y is nan, expected a finite number; give None where there is no"),
        "inf": (math.inf, "target y is inf"),
        "text": ("3", "target y is '3', expected a number"),
        "too large": (1e300, "target y is 1e.300, expected a number of at most"),
        "two": ([1.0, 2.0], r"target y has shape \(2,\), expected one number"),
        "complex": (1j, "target y is 1j"),
    },
    "numbers/vectors": {
        "infinite": ([0.0, math.inf, 1.0], r"target y\[1\] is inf, expected a finite number"),
        "short": ([0.0, 1.0], r"target y has shape \(2,\), expected \(3,\)"),
        "number": (1.0, r"target y has shape \(\), expected \(3,\)"),
        "text": (["a", "b", "c"], r"target y\[0\] is 'a', expected a number"),
    },
    "named/binary": {
        "third": (
            "maybe",
            "target y is 'maybe', expected False or True; set task='multiclass' for more classes",
        ),
        "nan": (math.nan, "target y is nan"),
        "list": ([True], "target y is a list"),
    },
    "named/multiclass": {"list": (["hi"], "is a list"), "nan": (math.nan, "is nan")},
}
BAD = {"numbers/regression": NUMBERS, "named/binary": NAMED, "symbols/next": SYMBOLS}
LIST: Any = [1]


def started(kind: str, **given) -> OnlineLSTM:
    X, y = stream(kind, np.random.default_rng(0), 30)
    found = model(kind, unseen="error", **given)
    found.run(X, y)
    return found


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_changes_nothing(kind):
    learner = started(kind, streams=2)
    before = knowledge(learner)
    y = None if kind == "symbols/next" else True
    calls = {
        "step": lambda bad: learner.step(bad, y),
        "step of a new key": lambda bad: learner.step(bad, y, key="new"),
        "learn_one": lambda bad: learner.learn_one(bad, y),
        "predict_one": lambda bad: learner.predict_one(bad),
    }
    for name, (bad, message) in BAD[kind].items():
        for what, call in calls.items():
            with case(name, what):
                error = ShapeError if "shape" in message else DataError
                with pytest.raises((error, DataError), match=message):
                    call(bad)
                assert knowledge(learner) == before


@pytest.mark.parametrize("kind", TARGETS)
def test_a_bad_target_changes_nothing(kind):
    learner = started(kind)
    x = each(rows_of(stream(kind, np.random.default_rng(1), 1)[0], 0, 1))[0]
    before = knowledge(learner)
    for name, (bad, message) in TARGETS[kind].items():
        for key in (None, "new"):
            with case(name, key):
                with pytest.raises(CarrouselError, match=message) as caught:
                    learner.step(x, bad, key=key)
                assert caught.value.argument == "y"
                assert knowledge(learner) == before


def test_errors_carry_what_is_wrong_as_fields():
    learner = started("named/binary")
    for name, fields in {
        "nan": {"column": "a", "expected": "a finite number", "fix": "set {missing=mean}"},
        "text": {"column": "a", "got": "warm", "expected": "a number", "fix": None},
        "category": {"column": "colour", "got": "mauve", "fix": "set {unseen=grow}"},
        "missing": {"column": "b", "fix": "set {missing=mean}"},
        "a sequence": {"argument": "x", "got": [1.0, 2.0, "red"], "column": None},
    }.items():
        with case(name), pytest.raises(DataError) as caught:
            learner.run([NAMED[name][0]], [True])
        assert caught.value.row == 0
        assert {field: getattr(caught.value, field) for field in fields} == fields, name
    with pytest.raises(DataError) as caught:
        learner.step(NAMED["category"][0], True)
    text = caught.value.text(argument="--{}".format, setting="{} {}".format, place=False)
    assert text.startswith("the category 'mauve' is new, expected one of '")
    assert text.endswith("; set --unseen grow")


def with_bad_row(kind: str, name: str, X, n: int):
    rows = each(X)
    return [*rows[:n], BAD[kind][name][0], *rows[n:]]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_run_learns_the_rows_before_a_bad_one(data):
    kind = data.draw(st.sampled_from(sorted(BAD)))
    name = data.draw(st.sampled_from(sorted(BAD[kind])))
    n = data.draw(st.integers(0, 12))
    X, y = stream(kind, np.random.default_rng(1), 12)
    y = None if y is None else [*list(y), y[0]]
    learner, clean = started(kind), started(kind)
    with pytest.raises(RowError, match=f"^row {n}[:,] ") as caught:
        learner.run(with_bad_row(kind, name, X, n), y)
    assert caught.value.row == n
    if n:
        expected = clean.run(rows_of(X, 0, n), None if y is None else y[:n])
        np.testing.assert_array_equal(caught.value.outputs, expected)
    assert knowledge(learner) == knowledge(clean)


def test_a_bad_number_in_an_array_is_found():
    X, y = stream("numbers/regression", np.random.default_rng(2), 8)
    for where in (0, 3, 7):
        for table, targets in ((X.copy(), y), (X, y.copy())):
            learner, clean = started("numbers/regression"), started("numbers/regression")
            inputs = table is not X
            table[where, 1], targets[where] = (math.nan, y[where]) if inputs else (0, math.inf)
            message = f"row {where}: (x.1. is nan|target y is inf)"
            with case(where, inputs), pytest.raises(RowError, match=message) as caught:
                learner.run(table, targets)
            if where:
                clean.run(table[:where], targets[:where])
            assert caught.value.row == where == len(np.asarray(caught.value.outputs))
            assert knowledge(learner) == knowledge(clean)
    columns = {"a": np.array([1.0, math.nan]), "b": np.zeros(2), "colour": ["red", "red"]}
    with pytest.raises(RowError, match="row 1, column 'a': the value is nan"):
        started("named/binary").run(columns, [True, False])


def test_a_bad_first_row_does_not_start_a_model():
    for kind, cases in BAD.items():
        for name, (bad, _) in cases.items():
            if name in (
                "short",
                "long",
                "missing",
                "missing text",
                "unknown",
                "number",
                "category",
            ):
                continue  # a valid first row
            if kind != "symbols/next" and name in ("a sequence", "a mapping", "text"):
                continue
            learner = model(kind, unseen="error")
            with case(kind, name):
                with pytest.raises(CarrouselError):
                    learner.step(bad, None)
                with pytest.raises(CarrouselError):
                    learner.run([bad])
                assert knowledge(learner) is None


def test_a_wrong_call_changes_nothing():
    X, y = stream("numbers/regression", np.random.default_rng(0), 6)
    learner = started("numbers/regression")
    before = knowledge(learner)
    wrong = {
        r"row 0: x has shape \(3,\), expected \(2,\)": lambda: learner.run(np.zeros((4, 3))),
        r"X has shape \(2,\), expected \(rows, features\); give one": lambda: learner.run(X[0]),
        r"y has 5 entries, expected 6": lambda: learner.run(X, y[:5]),
        r"keys has 5 entries, expected 6": lambda: learner.run(X, y, keys="abcde"),
        r"keys hold a value that is not hashable": lambda: learner.run(X, y, keys=[[1]] * 6),
        r"X is a text, expected rows; set symbols or task='next'": lambda: learner.run("abc"),
        r"X is a int, expected rows": lambda: learner.run(3),
        r"y is a str, expected one target for each row": lambda: learner.run(X, "abcdef"),
        r"column 'b': the column has 1 rows, expected 2": lambda: learner.run(
            {"a": [1, 2], "b": [1]}
        ),
        r"X has no columns": lambda: learner.run({}),
        r"key is a list, expected a hashable value": lambda: learner.step(X[0], 1.0, LIST),
        r"task is 'regression', which has no prob": lambda: learner.run(X, y, proba=True),
    }
    for message, call in wrong.items():
        with case(message):
            with pytest.raises(CarrouselError, match=message):
                call()
            assert knowledge(learner) == before


def test_missing_values_are_replaced_by_the_mean():
    rng = np.random.default_rng(0)
    X, y = rng.normal(5.0, 2.0, size=(50, 2)), rng.normal(size=50)
    gappy = X.copy()
    gappy[10:] = np.where(rng.random((40, 2)) < 0.3, math.nan, X[10:])
    rows = [
        {name: v for name, v in zip("ab", row, strict=True) if v == v} for row in gappy.tolist()
    ]
    given = {"missing": "mean", "cells": 3, "random_state": 1}
    expected = OnlineLSTM(**given).run(gappy, y)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(OnlineLSTM(**given).run(rows, y), expected)
    nones = [[None if v != v else v for v in row] for row in gappy.tolist()]
    np.testing.assert_array_equal(OnlineLSTM(**given).run(nones, y), expected)
    table = dict(zip("ab", gappy.T, strict=True))
    np.testing.assert_array_equal(OnlineLSTM(**given).run(table, y), expected)
    with pytest.raises(RowError, match=r"row 3: x.0. is inf, expected a finite number$"):
        OnlineLSTM(**given).run(np.where(np.arange(50)[:, None] == 3, math.inf, X), y)


def test_a_missing_text_is_no_category():
    rows = [{"a": 1.0, "c": "x"}, {"a": 2.0, "c": "y"}, {"a": 1.5}, {"a": 1.0, "c": None}]
    given = {"missing": "mean", "unseen": "grow", "cells": 3, "random_state": 1}
    steps = OnlineLSTM(**given)
    expected = [steps.step(row, 1.0) for row in rows]
    np.testing.assert_array_equal(OnlineLSTM(**given).run(rows, np.ones(4)), expected)
    table = {"a": [1.0, 2.0, 1.5, 1.0], "c": ["x", "y", math.nan, None]}
    np.testing.assert_array_equal(OnlineLSTM(**given).run(table, np.ones(4)), expected)


def test_numbers_may_have_any_numeric_type():
    learner = OnlineLSTM(cells=3, random_state=1)
    learner.step({"a": 1, "b": Decimal("2.5"), "c": True, "d": np.float16(1)}, Decimal("1.5"))
    learner.step({"a": np.int8(1), "b": 2, "c": np.bool_(False), "d": 1.0}, np.float32(2))
    assert learner.n_steps_ == 2


SETTINGS: dict[str, dict[str, Any]] = {
    "cells is 6, expected a multiple of block_size, 4": {"cells": 6, "block_size": 4},
    "cells is 0, expected": {"cells": 0},
    "task 'regresion' is unknown; did you mean 'regression'": {"task": "regresion"},
    "learning_rate is 'fast'": {"learning_rate": "fast"},
    "gradient is 'bptt:10', which goes back": {"gradient": "bptt:10"},
    "gradient is 3, expected a name": {"gradient": 3},
    "wiring 'cell' is unknown; did you mean 'cells'": {"wiring": "cell"},
    "optimizer 'adan' is unknown": {"optimizer": "adan"},
    "clip is 0": {"clip": 0},
    "horizon is 0": {"horizon": 0.5},
    "missing 'drop' is unknown": {"missing": "drop"},
    "unseen 'ignore' is unknown": {"unseen": "ignore"},
    "streams is 0": {"streams": 0},
    "evict_after is 0": {"evict_after": 0},
    "standardise is 'yes', expected True, False or 'key'": {"standardise": "yes"},
    "classes are given, but task 'regression' has none": {"classes": "ab"},
    "classes is .*, expected two classes for task 'binary'": {"task": "binary", "classes": "abc"},
    "at least one, and each once": {"task": "multiclass", "classes": ["a", "a"]},
    "symbols is None, expected the alphabet for task 'next'": {"task": "next"},
    "random_state is -1": {"random_state": -1},
}


def test_settings_are_checked_at_the_first_row():
    for message, settings_given in SETTINGS.items():
        learner = OnlineLSTM(**settings_given)
        with case(message):
            with pytest.raises(CarrouselError, match=message):
                learner.step([1.0] if learner.task != "next" else "a")
            assert knowledge(learner) is None


def test_divergence_raises_with_a_remedy():
    X, y = np.random.default_rng(0).normal(size=(2, 400, 1))
    learner = OnlineLSTM(learning_rate=1e29, optimizer="sgd", clip=None, random_state=1)
    with pytest.raises(DivergedError, match=r"OnlineLSTM.load\(path\), with a learning_rate below"):
        [learner.step(x, float(t)) for x, t in zip(X, y[:, 0], strict=True)]
    again = OnlineLSTM(learning_rate=1e29, optimizer="sgd", clip=None, random_state=1)
    with pytest.raises(DivergedError) as caught:
        again.run(X, y[:, 0])
    assert (
        caught.value.row
        == len(np.asarray(caught.value.outputs))
        == again.n_steps_
        == learner.n_steps_
    )


def test_task_next_accepts_no_targets():
    learner = started("symbols/next")
    for call in (lambda: learner.step("a", "b"), lambda: learner.run("ab", y="bc")):
        with pytest.raises(SettingError, match="leave out y"):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_after_a_refused_row_are_those_of_a_copy_without_it(kind):
    learner = started(kind)
    twin = copy.deepcopy(learner)
    with pytest.raises(CarrouselError):
        learner.step({"never": object()})
    X, y = stream(kind, np.random.default_rng(5), 9)
    np.testing.assert_array_equal(learner.run(X, y), twin.run(X, y))
