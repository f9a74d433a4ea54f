"""Predictions and scores of rows do not depend on how the rows are cut into batches."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.online.evaluation.predictions import rounded
from carrousel.online.evaluation.prequential import ScoredModel
from carrousel.online.model.checkpoint import read_extra
from carrousel.online.model.model import OnlineLSTM


def scored(task: Any, *, late: bool) -> ScoredModel:
    model = OnlineLSTM(
        task,
        cells=2,
        optimizer="adam",
        learning_rate=0.05,
        unseen="grow",
        streams=2,
        random_state=1,
    )
    return ScoredModel(model, late=late, window=5, anomaly=True)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["k", "l", "m"]),
        st.sampled_from([-1.0, 0.5, 2.0]),
        st.sampled_from(["a", "b", "c"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=24,
)


def predicted(
    scored: ScoredModel, rows: list[tuple[str, float, str, bool]]
) -> dict[str, list[Any]]:
    """Learn rows of key, number, label, and whether there is a target; return the columns."""
    keys = [row[0] for row in rows]
    x: Any = {"value": np.array([row[1] for row in rows])}
    task = scored.model.task
    if task == "regression":
        y: Any = np.array([row[1] if row[3] else np.nan for row in rows])
    else:
        y = [row[2] if row[3] or task == "next" else None for row in rows]
    found = scored.learn(y if task == "next" else x, y, keys)
    assert (found.rows, found.error) == (len(rows), None)
    assert tuple(found.columns) == scored.names
    return {name: np.asarray(values, object).tolist() for name, values in found.columns.items()}


def saved_and_loaded(scored: ScoredModel, path: Path) -> ScoredModel:
    scored.model.save(path, extra=scored.state())
    extra = read_extra(path)
    assert extra is not None
    other = ScoredModel(OnlineLSTM.load(path), late=scored.late, window=5, anomaly=True)
    other.restore(extra[0], json.loads(json.dumps(extra[1])))
    return other


@pytest.mark.parametrize(
    ("task", "late"),
    [
        ("regression", False),
        ("regression", True),
        ("multiclass", False),
        ("multiclass", True),
        ("binary", True),
        ("next", True),
    ],
)
@given(rows=ROWS, cuts=st.lists(st.integers(1, 23), max_size=3, unique=True))
@settings(max_examples=15)
def test_batches_and_checkpoints_change_nothing(tmp_path_factory, task, late, rows, cuts):
    if task == "binary":
        rows = [(key, x, "ab"[label == "c"], there) for key, x, label, there in rows]
    path = tmp_path_factory.mktemp("saved") / "c"
    whole = predicted(scored(task, late=late), rows)
    model, parts = scored(task, late=late), []
    places = sorted({0, *(min(cut, len(rows)) for cut in cuts), len(rows)})
    for start, stop in pairwise(places):
        parts.append(predicted(model, rows[start:stop]))
        model = saved_and_loaded(model, path)
    for name, expected in whole.items():
        found = [value for part in parts for value in part[name]]
        np.testing.assert_array_equal(
            [str(value) for value in found], [str(value) for value in expected], name
        )


def test_a_prediction_is_for_the_next_row_of_the_same_stream():
    rows = [("kl"[n % 2], float(n % 3), "a", True) for n in range(60)]
    found = predicted(scored("regression", late=True), rows)
    for stream in (0, 1):
        np.testing.assert_array_equal(
            found["prediction"][stream::2][1:], found["next"][stream::2][:-1]
        )
    assert np.isnan(found["prediction"][:2]).all()


def test_digits_of_predictions():
    x = np.concatenate([np.logspace(-300, 300, 601), -np.logspace(-20, 20, 41), [0.0, np.inf]])
    np.testing.assert_allclose(rounded(x), x, rtol=1e-8)
    assert (
        max(len(repr(value)) for value in rounded(np.random.default_rng(0).random(99)).tolist())
        <= 16
    )
