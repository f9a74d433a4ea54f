"""LSTMTagger: labels and values of steps, steps without a target, streams, explanations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import DataError, LSTMTagger, SettingError, ShapeError

SMALL: dict[str, Any] = {"hidden_size": 8, "members": 2, "max_steps": 60, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in rng.integers(3, 12, size=60)]
    return X, [np.where(x[:, 0] > 0, "high", "low") for x in X]


@pytest.fixture(scope="module")
def model(data):
    return LSTMTagger(**SMALL, bidirectional=False).fit(*data)


def test_labels_are_the_most_probable(data, model):
    X, y = data
    p, labels = model.predict_proba(X), model.predict(X)
    for each, names in zip(p, labels, strict=True):
        np.testing.assert_allclose(each.sum(axis=1), 1.0)
        assert names.tolist() == model.classes_[each.argmax(axis=1)].tolist()
    right = np.concatenate(labels) == np.concatenate(y)
    assert model.score(X, y) == pytest.approx(right.mean())
    assert model.score(X, y) > 0.7


def test_only_a_forward_tagger_ignores_what_follows(data, model):
    X = data[0]
    first = [x[:2] for x in X]
    short, whole = model.predict_proba(first), model.predict_proba(X)
    np.testing.assert_allclose(np.array(short), [p[:2] for p in whole], atol=1e-6)
    both = LSTMTagger(**SMALL).fit(*data)
    assert both.ensemble_.members[0].net.config.bidirectional
    short, whole = both.predict_proba(first), both.predict_proba(X)
    assert np.abs(np.array(short) - [p[:2] for p in whole]).max() > 1e-4


def test_steps_without_a_label_do_not_count(data):
    """Whatever stands for no label, the fit and the score are those of the labelled steps."""
    X, y = data
    numbers = [(each == "high").astype(np.int64) for each in y]
    odd = [np.where(np.arange(len(each)) % 2, -1, each) for each in numbers]
    as_floats = [np.where(each < 0, np.nan, each) for each in odd]
    as_objects = [np.array([None if v < 0 else int(v) for v in each], object) for each in odd]
    found = [LSTMTagger(**SMALL).fit(X, given) for given in (odd, as_floats, as_objects)]
    expected = np.concatenate(found[0].predict_proba(X))
    for other, given in zip(found[1:], (as_floats, as_objects), strict=True):
        np.testing.assert_array_equal(np.concatenate(other.predict_proba(X)), expected)
        assert other.score(X, given) == found[0].score(X, odd)
    with pytest.raises(DataError, match="no"):
        found[0].score(X, [np.full(len(x), -1) for x in X])


def test_values_of_steps_and_gaps_in_them(data):
    X = data[0]
    y = [np.stack([100.0 + x[:, 0], x[:, 1]], axis=1) for x in X]
    y[0][1] = np.nan
    model = LSTMTagger(**SMALL, task="values").fit(X, y)
    assert [v.shape for v in model.predict(X[:2])] == [(len(x), 2) for x in X[:2]]
    np.testing.assert_allclose(np.concatenate(model.predict(X)).mean(axis=0)[0], 100.0, atol=1.0)
    assert np.isfinite(model.score(X, y))
    before = model.predict(X)[0]
    model.importances(X, [v[:, :2] for v in y])
    np.testing.assert_array_equal(before, model.predict(X)[0])
    with pytest.raises(SettingError, match="no probabilities"):
        model.predict_proba(X)
    with pytest.raises(ShapeError, match="fitted to 2"):
        model.partial_fit(X, [v[:, :1] for v in y])


def test_a_stream_gives_the_labels_and_values_of_predict(data, model):
    X, _ = data
    values = LSTMTagger(**SMALL, task="values", bidirectional=False)
    values.fit(X, [10.0 + x[:, 0] for x in X])
    live, numbers = model.stream(), values.stream()
    for x, p, labels, v in zip(
        X[:4], model.predict_proba(X[:4]), model.predict(X[:4]), values.predict(X[:4]), strict=True
    ):
        live.reset()
        numbers.reset()
        assert live.label is None
        found = [(live.push(row), live.label) for row in x]
        np.testing.assert_allclose([each for each, _ in found], p, atol=1e-5)
        assert [label for _, label in found] == labels.tolist()
        np.testing.assert_allclose([numbers.push(row) for row in x], v, rtol=1e-4)
    with pytest.raises(SettingError, match="bidirectional"):
        LSTMTagger(**SMALL).fit(*data).stream()


def test_explanations_and_importances(data, model):
    X, y = data
    found = model.explain(X[0], step=1, output="high")
    total = found.base + (found.carrousel + found.direct).sum(axis=0)
    np.testing.assert_allclose(total, found.outputs, rtol=1e-6, atol=1e-6)
    assert (found.at, found.output) == (1, 0)
    assert model.explain(X[0], step=1).outputs.argmax() == model.explain(X[0], step=1).output
    with pytest.raises(SettingError, match="output is 'middle'"):
        model.explain(X[0], output="middle")
    importances = model.importances(X, y)
    assert importances.whole[0] > importances.whole[1]
    assert importances.by_lag.shape == (2, 0)
    assert model.feature_importances_.argmax() == 0
    with pytest.raises(SettingError, match="lags"):
        model.importances(X, y, lags=(0, 1))


def test_bad_targets_are_named(data):
    X, y = data
    with pytest.raises(ShapeError):
        LSTMTagger(**SMALL).fit(X, [each[:-1] for each in y])
    with pytest.raises(DataError, match="no step"):
        LSTMTagger(**SMALL).fit(X, [np.full(len(x), -1) for x in X])
    with pytest.raises(SettingError, match="class_weight"):
        LSTMTagger(**SMALL, task="values", class_weight="balanced").fit(X, y)


def test_a_label_is_not_cut_to_the_length_of_the_classes():
    """A score must not count "abc" as "a" because another step has no label."""
    X = [np.array([[0.0], [1.0], [2.0]])] * 2 + [np.array([[1.0], [0.0]])]
    y = [np.where(x[:, 0] > 0, "b", "a") for x in X]
    model = LSTMTagger(hidden_size=4, members=1, max_steps=2, random_state=0).fit(X, y)
    assert model.score(X, [["abc", "bcd", None], ["abc", "bcd", None], ["abc", "bcd"]]) == 0.0


def test_masked_and_pandas_missing_labels_are_not_learned():
    pandas = pytest.importorskip("pandas")
    X = [np.array([[0.0], [1.0], [2.0]])] * 2 + [np.array([[1.0], [0.0]])]
    y = [np.ma.array([7, 1, 2], mask=[1, 0, 0]), [1, 2, pandas.NA], [1, 2]]
    model = LSTMTagger(hidden_size=4, members=1, max_steps=2, random_state=0).fit(X, y)
    assert model.classes_.tolist() == [1, 2]


def test_values_without_a_finite_variance_are_refused():
    X = [np.arange(4.0)[:, None]] * 3
    y = [np.arange(4.0) for _ in X]
    for value, message in (
        (1e300, "a step of series 1 is infinite, or above"),
        (np.inf, "infinit"),
    ):
        y[1] = np.array([0.0, np.nan, value, 1.0])
        with pytest.raises(ValueError, match=message):
            LSTMTagger(**SMALL, task="values").fit(X, y)
    with pytest.raises(DataError, match="values of y differ"):
        LSTMTagger(**SMALL, task="values").fit(X, [1e-310 * np.arange(4.0)] * 3)
