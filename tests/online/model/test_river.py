"""OnlineLSTM as an estimator of river: its checks, pipelines and evaluation."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

river = pytest.importorskip("river")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from river import (
        base,
        checks,
        compose,
        datasets,
        evaluate,
        metrics,
        multiclass,
        preprocessing,
    )

from carrousel import OnlineLSTM  # noqa: E402
from support.online.cases import case  # noqa: E402
from support.online.models import inside  # noqa: E402

TASKS = ("regression", "binary", "multiclass")
CHECKED = {"missing": "mean", "unseen": "grow", "cells": 3, "random_state": 1}


def estimator(task: Any, **given: Any) -> Any:
    """Create a model, typed as Any: river's types do not include it, but ``isinstance`` does."""
    return OnlineLSTM(task, **given)


@pytest.mark.filterwarnings("ignore")  # of river and its dependencies
@pytest.mark.parametrize("task", TASKS)
def test_checks_of_river(task):
    found = list(checks.yield_checks(estimator(task, **CHECKED)))
    assert len(found) > 20
    for number, check in enumerate(found):
        with case(number, check.__name__):
            check(OnlineLSTM(task, **CHECKED).clone())


def test_no_check_is_skipped():
    assert OnlineLSTM()._unit_test_skips() == set()
    assert [params["task"] for params in OnlineLSTM._unit_test_params()] == list(TASKS)


def test_isinstance_follows_the_task():
    kinds = {"regression": base.Regressor, "binary": base.Classifier, "multiclass": base.Classifier}
    for task, kind in kinds.items():
        for other in (base.Regressor, base.Classifier, base.Transformer, base.Clusterer):
            assert isinstance(estimator(task), other) == (other is kind)
    assert not isinstance(OnlineLSTM("next"), (base.Regressor, base.Classifier))
    assert OnlineLSTM("multiclass")._multiclass
    assert not OnlineLSTM("binary")._multiclass
    assert not hasattr(OnlineLSTM("next"), "_last_step")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("task", "data", "metric", "bound"),
    [
        ("regression", datasets.TrumpApproval(), metrics.MAE(), 1.0),
        ("binary", datasets.Phishing(), metrics.ROCAUC(), 0.85),
        ("multiclass", datasets.ImageSegments().take(1000), metrics.Accuracy(), 0.6),
    ],
)
def test_pipelines_are_evaluated(task, data, metric, bound):
    pipeline = preprocessing.StandardScaler() | OnlineLSTM(task, cells=8, random_state=1)
    assert isinstance(pipeline, compose.Pipeline)
    found = evaluate.progressive_val_score(data, pipeline, metric).get()
    assert found > bound if metric.bigger_is_better else found < bound


@pytest.mark.filterwarnings("ignore")
def test_all_forms_of_pipelines_work():
    rows = list(datasets.TrumpApproval().take(40))
    pipelines = [
        preprocessing.StandardScaler() | OnlineLSTM(cells=3, random_state=1),
        compose.Pipeline(preprocessing.StandardScaler(), OnlineLSTM(cells=3, random_state=1)),
        (lambda x: x) | (OnlineLSTM(cells=3, random_state=1)),
    ]
    for pipeline in pipelines:
        for x, y in rows:
            assert isinstance(pipeline.predict_one(x), float)
            pipeline.learn_one(x, y)
        assert pipeline.clone().predict_one(rows[0][0]) is not None
    found = [pipeline.predict_one(rows[0][0]) for pipeline in pipelines]
    assert found[0] == found[1] != found[2]


@pytest.mark.filterwarnings("ignore")
def test_meta_estimators_wrap_it():
    ovr = multiclass.OneVsRestClassifier(estimator("binary", cells=3, random_state=1))
    for x, y in datasets.ImageSegments().take(30):
        ovr.learn_one(x, y)
    assert set(ovr.classifiers) <= {
        "brickface",
        "sky",
        "foliage",
        "cement",
        "window",
        "path",
        "grass",
    }


def test_parameters_change_in_place():
    learner = OnlineLSTM(cells=3, random_state=1)
    learner.learn_one({"a": 1.0}, 2.0)
    learner.mutate({"learning_rate": 0.125})
    assert inside(learner).kernel.rate == learner.learning_rate == 0.125
    with pytest.raises(ValueError, match="'cells' is not a mutable attribute of OnlineLSTM"):
        learner.mutate({"cells": 4})
    other = learner.clone({"cells": 5})
    assert (other.cells, other.learning_rate, other.n_steps_) == (5, 0.125, 0)
