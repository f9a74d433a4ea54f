"""Weights of targets, and river's mini-batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import RowError, SettingError, ShapeError
from support.online.cases import case
from support.online.kernel import needs_weights
from support.online.models import KINDS, each, inside, knowledge, model, stream


def targets_of(y: Any, n: int) -> list[Any]:
    return [None] * n if y is None else list(y)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_one_is_none_and_of_zero_no_target(kind):
    X, y = stream(kind, np.random.default_rng(0), 30)
    plain, ones, gaps, zeros = (model(kind) for _ in range(4))
    w = np.where(np.arange(30) % 3 == 2, 0.0, 1.0)
    for n, (x, target) in enumerate(zip(each(X), targets_of(y, 30), strict=True)):
        plain.learn_one(x, target)
        ones.learn_one(x, target, w=1)
        zeros.learn_one(x, target, w=w[n])
        if kind != "symbols/next":
            gaps.learn_one(x, target if w[n] else None)
    assert knowledge(plain) == knowledge(ones)
    if kind != "symbols/next":
        assert knowledge(gaps) == knowledge(zeros)
    assert knowledge(zeros) != knowledge(plain)


@needs_weights
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_weights_is_its_steps(kind):
    X, y = stream(kind, np.random.default_rng(0), 30)
    weights = np.random.default_rng(1).choice([0.0, 0.5, 1.0, 3.0], 30)
    weights[0] = 1.0
    whole, steps, fitted = (model(kind) for _ in range(3))
    whole.run(X, y, weights=weights)
    fitted.partial_fit(X, y, sample_weight=weights.tolist())
    for x, target, w in zip(each(X), targets_of(y, 30), weights, strict=True):
        steps.step(x, target, w=w)
    assert knowledge(whole) == knowledge(steps) == knowledge(fitted)


@needs_weights
def test_a_weight_multiplies_the_clipped_error():
    """By plain gradient descent, a weight and a rate have the same effect."""
    X, y = stream("numbers/regression", np.random.default_rng(0), 20)
    settings: dict[str, Any] = {"optimizer": "sgd", "decay": None, "cells": 3, "random_state": 1}
    weighted = OnlineLSTM(learning_rate=0.01, **settings)
    faster = OnlineLSTM(learning_rate=0.03, **settings)
    weighted.run(X, y, weights=np.full(20, 3.0))
    faster.run(X, y)
    for name in ("hidden", "output"):
        found, expected = (inside(m).kernel.state()[name] for m in (weighted, faster))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_wrong_weights_are_refused():
    X, y = stream("numbers/regression", np.random.default_rng(0), 3)
    learner = model("numbers/regression")
    for weights, error, why in (
        ([1.0, 2.0], ShapeError, "weights has 2 entries, expected 3"),
        ([1.0, -1.0, 2.0], RowError, r"row 1: weights\[1\] is -1, expected a finite number"),
        ([1.0, np.nan, 2.0], RowError, r"weights\[1\] is nan"),
        (2.0, ShapeError, "weights is 2.0, expected one number of at least 0 for each row"),
        (["a", "b", "c"], ShapeError, "expected one number"),
    ):
        with case(weights), pytest.raises(error, match=why):
            learner.run(X, y, weights=weights)
    with pytest.raises(SettingError, match="w is -1, expected a finite number of at least 0"):
        learner.step(X[0], y[0], w=-1)
    assert learner.n_steps_ == 0


# --- mini-batches ------------------------------------------------------------------------------


def test_mini_batches_are_rows_in_order():
    pandas = pytest.importorskip("pandas")
    X, y = stream("named/multiclass", np.random.default_rng(0), 40)
    frame = pandas.DataFrame(X, index=range(100, 140))
    target = pandas.Series(y, index=frame.index)
    whole, parts = (model("named/multiclass") for _ in range(2))
    whole.run(X, y)
    parts.learn_many(frame[:25], target[:25])
    parts.learn_many(frame[25:], target[25:])
    assert knowledge(parts) == knowledge(whole)
    found = parts.predict_many(frame)
    assert isinstance(found, pandas.Series)
    assert found.index.equals(frame.index)
    rows = each(X)
    assert found.tolist() == [whole.predict_one(x) for x in rows]
    proba = parts.predict_proba_many(frame)
    assert list(proba.columns) == parts.classes_.tolist()
    assert proba.to_dict("records") == [whole.predict_proba_one(x) for x in rows]
    assert knowledge(parts) == knowledge(whole)
    several = OnlineLSTM(cells=2, random_state=1)
    several.learn_many(frame[["a", "b"]], frame[["a"]].rename(columns={"a": "next"}))
    ahead = several.predict_many(frame[["a", "b"]])
    assert (list(ahead.columns), len(ahead)) == (["next"], 40)
    with pytest.raises(SettingError, match="has no probabilities"):
        several.predict_proba_many(frame[["a", "b"]])


@needs_weights
def test_mini_batches_have_weights():
    X, y = stream("numbers/regression", np.random.default_rng(0), 20)
    one, each_row, run = (model("numbers/regression") for _ in range(3))
    one.learn_many(X, y, w=2.0)
    each_row.learn_many(X, y, w=[2.0] * 20)
    run.run(X, y, weights=[2.0] * 20)
    assert knowledge(one) == knowledge(each_row) == knowledge(run)


def test_a_river_pipeline_learns_mini_batches():
    pandas = pytest.importorskip("pandas")
    preprocessing = pytest.importorskip("river.preprocessing")
    X, y = stream("numbers/regression", np.random.default_rng(0), 40)
    frame, target = pandas.DataFrame(X, columns=["a", "b"]), pandas.Series(y)
    pipeline = preprocessing.StandardScaler() | OnlineLSTM(cells=2, random_state=1)
    pipeline.learn_many(frame, target)
    assert pipeline.predict_many(frame).shape == (40,)
