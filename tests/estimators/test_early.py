"""Early decisions of LSTMClassifier: the rule, streams that decide by it, and files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from carrousel import LSTMClassifier, SettingError

QUICK: dict[str, Any] = {
    **{"hidden_size": 8, "members": 2, "max_steps": 100, "learning_rate": 0.03, "gaps": 0.0},
    **{"noise": 0.0, "warp": 0.0, "dropout": 0.0, "random_state": 0},
}


@pytest.fixture(scope="module")
def data():
    """The class shows in the third step, and the series continues."""
    rng = np.random.default_rng(1)
    y = np.array(["down", "up"] * 20)
    X = [rng.normal(scale=0.1, size=(12, 1)) for _ in y]
    for x, label in zip(X, y, strict=True):
        x[2:5] += 3.0 if label == "up" else -3.0
    return X, y


@pytest.fixture(scope="module")
def model(data):
    return LSTMClassifier(**QUICK, early=0.01).fit(*data)


def test_a_decision_waits_for_the_evidence_and_not_for_the_end(data, model):
    X, y = data
    labels, steps = model.predict_early(X)
    assert (labels == y).mean() > 0.9
    assert 3 <= np.median(steps) < 12
    assert model.stop_rule_.step_cost == 0.01


def test_a_stream_decides_at_the_same_step_for_the_same_label(data, model):
    X = data[0]
    live = model.stream()
    for x, label, steps in zip(X[:6], *(each[:6] for each in model.predict_early(X)), strict=True):
        live.reset()
        decided = None
        for t, row in enumerate(x, 1):
            live.push(row)
            if decided is None and live.decision.label is not None:
                decided = t
        if decided is None:  # the series ended before the rule decided
            assert steps == len(x)
        else:
            assert (decided, live.decision.label) == (steps, label)
            assert live.decision.n_steps == steps


def test_a_stream_gives_the_probabilities_and_labels_of_predict(data, model):
    X = data[0]
    live = model.stream()
    p, labels = (
        each[0]
        for each in (
            model.predict_proba(X[:1], at="every step"),
            model.predict(X[:1], at="every step"),
        )
    )
    found = [(live.push(row), live.label) for row in X[0]]
    np.testing.assert_allclose([each for each, _ in found], p, atol=1e-5)
    assert [label for _, label in found] == labels.tolist()
    without = LSTMClassifier(**QUICK).fit(*data).stream()
    assert without.decision is None


def test_streams_of_symbols_take_symbols(data):
    words = ["abab", "bbb", "aaab", "ba"] * 5
    model = LSTMClassifier(**QUICK).fit(words, [word[0] for word in words])
    live = model.stream()
    for symbol in "abab":
        p = live.push(symbol)
    np.testing.assert_allclose(p, model.predict_proba(["abab"])[0], atol=1e-5)  # pyright: ignore[reportPossiblyUnboundVariable]


def test_files_keep_the_rule(data, model, tmp_path):
    model.save(tmp_path / "model")
    again = LSTMClassifier.load(tmp_path / "model")
    assert again.stop_rule_ == model.stop_rule_
    for one, two in zip(again.predict_early(data[0]), model.predict_early(data[0]), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_new_fit_without_a_cost_has_no_rule(data, model):
    other = clone(model).fit(*data).set_params(early=None).fit(*data)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(SettingError, match="early is None"):
        other.predict_early(data[0])
    for bad in ({"early": 0.0}, {"early": 0.1, "validation_fraction": 0.0}):
        with pytest.raises(SettingError, match="early"):
            LSTMClassifier(**{**QUICK, **bad}).fit(*data)
