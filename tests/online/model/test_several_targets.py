"""Several targets by name: the same learning as vectors, in all forms of rows; missing entries."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import DataError, RowError, ShapeError
from support.online.cases import case
from support.online.kernel import needs_missing_entries
from support.online.models import inside, knowledge

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2))
Y = {"heat": 20 + 5 * X[:, 0], "wind": -0.01 * X[:, 1], "rain": RNG.normal(size=N)}
MATRIX = np.column_stack(list(Y.values()))


def new(**settings: Any) -> OnlineLSTM:
    return OnlineLSTM(cells=3, random_state=1, **settings)


def dicts(columns: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def frames(columns: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "columns": columns,
        "lists": {name: list(values) for name, values in columns.items()},
        "dicts": dicts(columns),
    }
    for package in ("pandas", "polars"):
        try:
            found[package] = __import__(package).DataFrame(columns)
        except ImportError:
            continue
    return found


def test_names_change_nothing_but_the_form():
    plain = new()
    expected = plain.run(X, MATRIX)
    for form, y in frames(Y).items():
        with case(form):
            named = new()
            found = named.run(X, y)
            assert list(found) == list(Y)
            for k, name in enumerate(Y):
                np.testing.assert_array_equal(found[name], expected[:, k])
            np.testing.assert_array_equal(
                inside(named).kernel.state()["hidden"], inside(plain).kernel.state()["hidden"]
            )
    stepped = new()
    found = [stepped.step(x, y) for x, y in zip(X, dicts(Y), strict=True)]
    assert [list(each.values()) for each in found] == expected.tolist()
    ahead = stepped.predict_one(X[0])
    assert ahead == stepped.step(X[0])
    assert list(ahead) == list(Y)
    np.testing.assert_array_equal(stepped.predict(X[:3])["wind"].shape, (3,))


def test_the_order_of_names_is_that_of_the_first_target():
    one, other = new(), new()
    one.run(X, Y)
    other.run(X[:30], {name: values[:30] for name, values in Y.items()})
    backwards = {name: Y[name][30:] for name in reversed(Y)}
    other.run(X[30:], backwards)
    assert knowledge(one) == knowledge(other)


def test_targets_one_row_late_forecast_several_columns():
    columns = {"a": np.sin(np.arange(3000) / 5), "b": np.cos(np.arange(3000) / 9)}
    found = OnlineLSTM(cells=8, random_state=1).run(columns, columns, late=True)
    for name, values in columns.items():
        errors = np.abs(found[name][:-1] - values[1:])
        assert errors[-200:].mean() < errors[:200].mean() / 2, name


def test_named_models_are_saved(tmp_path):
    one = new()
    one.run(X, Y)
    one.save(tmp_path / "model")
    again = OnlineLSTM.load(tmp_path / "model")
    assert knowledge(again) == knowledge(one)
    assert again.step(X[0], dicts(Y)[0]) == one.step(X[0], dicts(Y)[0])


def test_wrong_names_and_forms_are_refused():
    named = new()
    named.run(X, Y)
    before = knowledge(named)
    for y, error, why in (
        ({"heat": 1.0, "snow": 2.0}, DataError, "target y has the name 'snow', expected a mapping"),
        ([1.0, 2.0, 3.0], DataError, "expected a mapping with names among 'heat', 'wind', 'rain'"),
        ({"heat": "warm", "wind": 1.0, "rain": 0.0}, DataError, "target 'heat' is 'warm'"),
        (1.0, DataError, "target y is 1.0, expected a mapping"),
        (np.float64(3.5), DataError, "target y is 3.5, expected a mapping"),
    ):
        with case(y):
            with pytest.raises(error, match=why):
                named.step(X[0], y)
            assert knowledge(named) == before
    with pytest.raises(RowError, match="row 2: target y has the name 'snow'"):
        named.run(X[:3], [*dicts(Y)[:2], {"snow": 1.0}])
    with pytest.raises(RowError, match="row 0: target y has the name 'snow'"):
        named.run(X[:3], {"snow": [1.0, 2.0, 3.0]})
    with pytest.raises(ShapeError, match="y has 2 entries, expected 3"):
        named.run(X[:3], {"heat": [1.0, 2.0]})
    single = new()
    single.step(X[0], 1.0)
    with pytest.raises(ShapeError, match="y is a dict, expected one number like the first target"):
        single.step(X[0], {"heat": 1.0})
    with pytest.raises(DataError, match="y is an empty mapping, expected at least one name"):
        new().step(X[0], {})
    with pytest.raises(DataError, match="y has no columns, expected at least one target"):
        new().run(X, {})
    with pytest.raises(DataError, match="target y is a dict, expected one text"):
        OnlineLSTM("binary", cells=2).step(X[0], {"heat": True})


def test_rows_without_any_entry_have_no_target():
    for blank in ({"heat": None, "wind": np.nan}, {}, None):
        with case(blank):
            one, other = new(), new()
            for each in (one, other):
                each.step(X[0], {"heat": 1.0, "wind": 2.0})
            one.step(X[1], blank)
            other.step(X[1])
            assert knowledge(one) == knowledge(other)
    one, other = new(), new()
    gaps = {name: np.where(np.arange(N) % 3 == 1, np.nan, values) for name, values in Y.items()}
    one.run(X, gaps)
    for n, y in enumerate(dicts(Y)):
        other.step(X[n], None if n % 3 == 1 else y)
    assert knowledge(one) == knowledge(other)


@needs_missing_entries
def test_missing_entries_teach_their_output_nothing():
    """All ways of leaving out an entry are the same; the output's bias stays where it was."""
    gaps = [{**y, "wind": None} for y in dicts(Y)]
    gaps[0] = dicts(Y)[0]
    columns = {name: np.array([y[name] for y in gaps], float) for name in Y}
    short = [{name: v for name, v in y.items() if v is not None} for y in gaps]
    vectors = [[y[name] for name in Y] for y in gaps]
    models = [new() for _ in range(4)]
    for each, y in zip(models, (gaps, columns, short, vectors), strict=True):
        each.run(X, y)
        state = inside(each).kernel.state()
        np.testing.assert_array_equal(inside(each).kernel.n_observed, [N, 1, N])
        np.testing.assert_array_equal(state["hidden"], inside(models[0]).kernel.state()["hidden"])
    stepped = new()
    for x, y in zip(X, gaps, strict=True):
        stepped.step(x, y)
    assert knowledge(stepped) == knowledge(models[0])


@needs_missing_entries
def test_predictions_of_a_target_start_with_its_first_value():
    """With a delay, it is known that many rows later; keys share what they know."""
    first = {"heat": 0, "wind": 10, "rain": 25}
    y = {name: np.where(np.arange(N) < first[name], np.nan, Y[name]) for name in Y}
    for late, delay, experts, keys in itertools.product(
        (False, True), (0, 4), ("auto", None), (None, ["a", "b"] * (N // 2))
    ):
        for parts in ([N], [5, 12, N]):
            model, found, start = new(delay=delay, experts=experts, streams=2), [], 0
            for stop in parts:
                part = {name: values[start:stop] for name, values in y.items()}
                part_keys = keys and keys[start:stop]
                found.append(model.run_detailed(X[start:stop], part, part_keys, late).outputs)
                start = stop
            absent = np.isnan(np.concatenate(found)).sum(0)
            least = 1 if keys is None else 2  # a first row has no row before for its target
            wanted = [(max(n, least) if late else n + 1) + delay for n in first.values()]
            with case(late, delay, experts, keys is None, parts):
                assert absent.tolist() == wanted
