"""What becomes of rows of a stream does not depend on how they are cut into batches."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.online.evaluate.predictions import rounded
from carrousel.online.evaluate.prequential import Learner
from carrousel.online.evaluate.settings import Wish


def wish(**how: Any) -> Wish:
    given = dict.fromkeys(Wish.__dataclass_fields__)
    given |= {"cells": 2, "gradient": "truncated", "optimizer": "adam", "rate": 0.05, "seed": 1}
    given |= {"missing": "error", "unseen": "grow", "window": 5, "anomaly": True, "key": "key"}
    return Wish(**{**given, "streams": 2, **how})  # type: ignore[arg-type]


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


def taken(learner: Learner, rows: list[tuple[str, float, str, bool]]) -> dict[str, list[Any]]:
    keys = [row[0] for row in rows]
    x: Any = {"value": np.array([row[1] for row in rows])}
    if learner.task == "regression":
        y: Any = np.array([row[1] if row[3] else np.nan for row in rows])
    else:
        y = [row[2] if row[3] or learner.task == "next" else None for row in rows]
    x = y if learner.task == "next" else x
    told = learner.take(x, y, keys, len(rows))
    assert (told.rows, told.error) == (len(rows), None)
    return {name: np.asarray(values, object).tolist() for name, values in told.columns.items()}


def again(learner: Learner, how: Wish, path: Path) -> Learner:
    """A learner that goes on from what another has kept."""
    from carrousel.online.model.checkpoint import read_extra
    from carrousel.online.model.model import OnlineLSTM

    learner.model.save(path, extra=learner.state())
    extra = read_extra(path)
    assert extra is not None
    other = Learner(how, learner.task)
    other.restore(OnlineLSTM.load(path), extra[0], json.loads(json.dumps(extra[1])))
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
def test_batches_and_files_change_nothing(tmp_path_factory, task, late, rows, cuts):
    if task == "binary":
        rows = [(key, x, "ab"[label == "c"], there) for key, x, label, there in rows]
    how = wish(predict_next="y") if late else wish(target="y")
    path = tmp_path_factory.mktemp("kept") / "c"
    whole = taken(Learner(how, task), rows)
    learner, parts = Learner(how, task), []
    places = sorted({0, *(min(cut, len(rows)) for cut in cuts), len(rows)})
    for start, stop in pairwise(places):
        parts.append(taken(learner, rows[start:stop]))
        learner = again(learner, how, path)
    for name, expected in whole.items():
        found = [value for part in parts for value in part[name]]
        np.testing.assert_array_equal(
            [str(value) for value in found], [str(value) for value in expected], name
        )


def test_what_was_said_is_about_the_next_row_of_the_same_stream():
    learner = Learner(wish(predict_next="y"), "regression")
    rows = [("kl"[n % 2], float(n % 3), "a", True) for n in range(60)]
    told = taken(learner, rows)
    for stream in (0, 1):
        np.testing.assert_array_equal(
            told["prediction"][stream::2][1:], told["next"][stream::2][:-1]
        )
    assert np.isnan(told["prediction"][:2]).all()


def test_digits_of_what_is_written():
    x = np.concatenate([np.logspace(-300, 300, 601), -np.logspace(-20, 20, 41), [0.0, np.inf]])
    np.testing.assert_allclose(rounded(x), x, rtol=1e-8)
    assert (
        max(len(repr(value)) for value in rounded(np.random.default_rng(0).random(99)).tolist())
        <= 16
    )
