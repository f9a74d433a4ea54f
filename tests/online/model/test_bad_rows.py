"""Bad rows and targets: refused by name, and nothing has changed."""

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
from carrousel.errors import CarrouselError, DataError, DivergedError, RowError, SettingError
from support.online.models import KINDS, each, knowledge, model, stream, taken

NUMBERS = {  # what comes, and what the message says
    "nan": ([1.0, math.nan], r"x\[1\] is nan, expected a finite number, or say missing='mean'"),
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
    "a mapping": ({"a": 1.0}, "x is a dict, but the first row was a sequence"),
    "nothing": (None, "x has shape|expected"),
}
NAMED = {
    "nan": ({"a": math.nan, "b": 1, "colour": "red"}, r"feature 'a' is nan, expected a finite"),
    "inf": ({"a": 1, "b": math.inf, "colour": "red"}, r"feature 'b' is inf, expected a finite"),
    "none": ({"a": None, "b": 1.0, "colour": "red"}, r"feature 'a' is None"),
    "text": ({"a": "warm", "b": 1.0, "colour": "red"}, r"feature 'a' is 'warm', expected a number"),
    "list": ({"a": [1], "b": 1.0, "colour": "red"}, r"feature 'a' is \[1\], expected a number"),
    "category": (
        {"a": 1, "b": 1, "colour": "mauve"},
        "feature 'colour' is 'mauve', a category never seen; expected one of '.*, or say "
        "unseen='grow'",
    ),
    "number": ({"a": 1, "b": 1, "colour": 3}, r"feature 'colour' is 3, expected a text"),
    "missing": ({"a": 1.0, "colour": "red"}, r"feature 'b' is missing; .*or say missing='mean'"),
    "missing text": ({"a": 1.0, "b": 1.0}, "feature 'colour' is missing"),
    "unknown": ({"a": 1, "b": 1, "colour": "red", "c": 1}, "feature 'c' is unknown; expected 'b'"),
    "empty": ({}, "feature 'b' is missing"),
    "a sequence": ([1.0, 2.0, "red"], "x is a list, expected a mapping"),
    "nothing": (None, "x is a NoneType, expected a mapping"),
}
SYMBOLS = {
    "unknown": ("e", "x is 'e', a symbol off the alphabet; expected one of 'a', 'b', 'c', 'd', or"),
    "nan": (math.nan, "x is nan"),
    "a mapping": ({"a": 1}, "x is a dict, expected one text, number"),
    "an array": (np.zeros(3), "x is a ndarray"),
    "text of two": ("ab", "x is 'ab', a symbol off the alphabet"),
    "none": (None, "x is None, a symbol off the alphabet"),
}
TARGETS = {
    "numbers/regression": {
        "nan": (math.nan, "target y is nan, expected a finite number"),
        "inf": (math.inf, "target y is inf"),
        "text": ("3", "target y is '3', expected a number"),
        "too large": (1e300, "target y is 1e.300, expected a number of at most"),
        "two": ([1.0, 2.0], r"target y has shape \(2,\), expected one number"),
        "complex": (1j, "target y is 1j"),
    },
    "numbers/vectors": {
        "nan": ([0.0, math.nan, 1.0], r"target y\[1\] is .*nan.*, expected a finite number"),
        "short": ([0.0, 1.0], r"target y has shape \(2,\), expected \(3,\)"),
        "number": (1.0, r"target y has shape \(\), expected \(3,\)"),
        "text": (["a", "b", "c"], r"target y\[0\] is 'a', expected a number"),
    },
    "named/binary": {
        "third": ("maybe", "target y is 'maybe', expected False or True; for more classes"),
        "nan": (math.nan, "target y is nan"),
        "list": ([True], "target y is a list"),
    },
    "named/multiclass": {"list": (["hi"], "is a list"), "nan": (math.nan, "is nan")},
}
BAD = {"numbers/regression": NUMBERS, "named/binary": NAMED, "symbols/next": SYMBOLS}


LIST: Any = [1]


def begun(kind: str, **given) -> OnlineLSTM:
    X, y = stream(kind, np.random.default_rng(0), 30)
    found = model(kind, unseen="error", **given)
    found.run(X, y)
    return found


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, cases in BAD.items() for name in cases]
)
def test_bad_rows(kind, name):
    bad, message = BAD[kind][name]
    learner = begun(kind, streams=2)
    before = knowledge(learner)
    y = None if kind == "symbols/next" else True
    calls = [
        lambda: learner.step(bad, y),
        lambda: learner.step(bad, y, key="new"),
        lambda: learner.learn_one(bad, y),
        lambda: learner.predict_one(bad),
    ]
    for call in calls:
        with (
            pytest.raises(DataError, match=message)
            if "shape" not in message
            else pytest.raises(CarrouselError, match=message)
        ):
            call()
        assert knowledge(learner) == before


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, cases in TARGETS.items() for name in cases]
)
def test_bad_targets(kind, name):
    bad, message = TARGETS[kind][name]
    learner = begun(kind)
    x = each(taken(stream(kind, np.random.default_rng(1), 1)[0], 0, 1))[0]
    before = knowledge(learner)
    with pytest.raises(CarrouselError, match=message):
        learner.step(x, bad)
    with pytest.raises(CarrouselError, match=message):
        learner.step(x, bad, key="new")
    assert knowledge(learner) == before


def spoil(kind: str, name: str, X, n: int):
    bad = BAD[kind][name][0]
    rows = each(X)
    return [*rows[:n], bad, *rows[n:]]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_bad_row_in_a_run_is_told_and_those_before_are_taken(data):
    kind = data.draw(st.sampled_from(sorted(BAD)))
    name = data.draw(st.sampled_from(sorted(BAD[kind])))
    n = data.draw(st.integers(0, 12))
    X, y = stream(kind, np.random.default_rng(1), 12)
    y = None if y is None else [*list(y), y[0]]
    learner, clean = begun(kind), begun(kind)
    with pytest.raises(RowError, match=f"^row {n}: ") as caught:
        learner.run(spoil(kind, name, X, n), y)
    assert caught.value.row == n
    if n:
        expected = clean.run(taken(X, 0, n), None if y is None else y[:n])
        np.testing.assert_array_equal(caught.value.outputs, expected)
    assert knowledge(learner) == knowledge(clean)


@pytest.mark.parametrize("where", [0, 3, 7])
def test_bad_numbers_in_whole_arrays(where):
    X, y = stream("numbers/regression", np.random.default_rng(2), 8)
    for table, targets in ((X.copy(), y), (X, y.copy())):
        learner, clean = begun("numbers/regression"), begun("numbers/regression")
        table[where, 1], targets[where] = (math.nan, y[where]) if table is not X else (0, math.inf)
        with pytest.raises(RowError, match=f"row {where}: (x.1. is nan|target y is inf)") as caught:
            learner.run(table, targets)
        if where:
            clean.run(table[:where], targets[:where])
        assert caught.value.row == where == len(np.asarray(caught.value.outputs))
        assert knowledge(learner) == knowledge(clean)
    columns = {"a": np.array([1.0, math.nan]), "b": np.zeros(2), "colour": ["red", "red"]}
    with pytest.raises(RowError, match="row 1: feature 'a' is nan"):
        begun("named/binary").run(columns, [True, False])


@pytest.mark.parametrize("kind", sorted(BAD))
def test_a_bad_first_row_begins_nothing(kind):
    for name, (bad, _) in BAD[kind].items():
        if name in ("short", "long", "missing", "missing text", "unknown", "number", "category"):
            continue  # no worse than any other first row
        if kind != "symbols/next" and name in ("a sequence", "a mapping", "text"):
            continue
        learner = model(kind, unseen="error")
        with pytest.raises(CarrouselError):
            learner.step(bad, None)
        with pytest.raises(CarrouselError):
            learner.run([bad])
        assert knowledge(learner) is None


def test_whole_calls_that_cannot_be():
    X, y = stream("numbers/regression", np.random.default_rng(0), 6)
    learner = begun("numbers/regression")
    before = knowledge(learner)
    wrong = {
        r"row 0: x has shape \(3,\), expected \(2,\)": lambda: learner.run(np.zeros((4, 3))),
        r"X has shape \(2,\), expected \(rows, features\); one row": lambda: learner.run(X[0]),
        r"y has 5 entries, expected 6": lambda: learner.run(X, y[:5]),
        r"keys has 5 entries, expected 6": lambda: learner.run(X, y, keys="abcde"),
        r"keys hold something that is not hashable": lambda: learner.run(X, y, keys=[[1]] * 6),
        r"X is a text": lambda: learner.run("abc"),
        r"X is a int, expected rows": lambda: learner.run(3),
        r"y is a str, expected one target for each row": lambda: learner.run(X, "abcdef"),
        r"column 'b' has 1 rows, but 'a' has 2": lambda: learner.run({"a": [1, 2], "b": [1]}),
        r"X has no columns": lambda: learner.run({}),
        r"key is a list, expected something hashable": lambda: learner.step(X[0], 1.0, LIST),
        r"task is 'regression', which has no prob": lambda: learner.run(X, y, proba=True),
    }
    for message, call in wrong.items():
        with pytest.raises(CarrouselError, match=message):
            call()
        assert knowledge(learner) == before, message


def test_a_missing_value_is_the_mean_where_that_was_asked_for():
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


def test_numbers_of_many_kinds_are_numbers():
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
    "standardise is 'yes', expected True or False": {"standardise": "yes"},
    "classes are given, but task 'regression' has none": {"classes": "ab"},
    "expected two for task 'binary'": {"task": "binary", "classes": "abc"},
    "at least one, and each once": {"task": "multiclass", "classes": ["a", "a"]},
    "symbols is None; expected the alphabet for task 'next'": {"task": "next"},
    "random_state is -1": {"random_state": -1},
}


@pytest.mark.parametrize("message", SETTINGS)
def test_settings_are_checked_when_the_first_row_comes(message):
    learner = OnlineLSTM(**SETTINGS[message])
    with pytest.raises(CarrouselError, match=message):
        learner.step([1.0] if learner.task != "next" else "a")
    assert knowledge(learner) is None


def test_divergence_is_told_with_a_way_on():
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


def test_the_next_task_has_its_targets_in_the_stream():
    learner = begun("symbols/next")
    for call in (lambda: learner.step("a", "b"), lambda: learner.run("ab", y="bc")):
        with pytest.raises(SettingError, match="leave y out"):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_leaves_copies_equal(kind):
    """The predictions after a refusal are those of a model that was never asked."""
    learner = begun(kind)
    twin = copy.deepcopy(learner)
    with pytest.raises(CarrouselError):
        learner.step({"never": object()})
    X, y = stream(kind, np.random.default_rng(5), 9)
    np.testing.assert_array_equal(learner.run(X, y), twin.run(X, y))
