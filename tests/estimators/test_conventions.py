"""scikit-learn's conventions: its own checks, searches, pipelines, routing, copies."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from carrousel import LSTMClassifier, LSTMRegressor, LSTMTagger

SMALL: dict[str, Any] = {"hidden_size": 4, "members": 1, "max_steps": 5, "random_state": 0}
LEARNS: dict[str, Any] = {
    **{"hidden_size": 8, "members": 1, "learning_rate": 2e-2, "gaps": 0.0, "dropout": 0.0},
    "random_state": 0,
}
MOST_SKIPPED = 1  # the array API, which needs an environment variable


def some_series(n=24, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(T, channels)) for T in rng.integers(3, 9, size=n)]
    y = np.where([x[:, 0].mean() > 0 for x in X], "up", "down")
    return X, y


@pytest.mark.parametrize(
    "model",
    [
        LSTMClassifier(window=4, max_steps=60, **LEARNS),
        LSTMRegressor(window=10, max_steps=100, **LEARNS),
    ],
    ids=lambda model: type(model).__name__,
)
def test_all_checks_of_scikit_learn_pass(model, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke warnings on purpose
        results = estimator_checks.check_estimator(model, on_skip=None, on_fail=None)
    status = [result["status"] for result in results]
    with capsys.disabled():
        print(f"\n{type(model).__name__}: {status.count('passed')} checks of scikit-learn passed")
    wrong = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert wrong == {}
    assert status.count("skipped") <= MOST_SKIPPED
    assert status.count("passed") >= 50


def test_a_tagger_keeps_the_rules_about_parameters():
    """Targets of every step are unknown to scikit-learn, so that only some checks apply."""
    for name in (
        *("check_estimator_cloneable", "check_estimator_repr", "check_get_params_invariance"),
        *("check_no_attributes_set_in_init", "check_parameters_default_constructible"),
        *("check_do_not_raise_errors_in_init_or_set_params", "check_set_params"),
        *("check_mixin_order", "check_valid_tag_types", "check_estimator_tags_renamed"),
    ):
        getattr(estimator_checks, name)("LSTMTagger", LSTMTagger(**SMALL))


def test_parameters_in_common_have_the_same_defaults():
    known = LSTMClassifier().get_params()
    for other in (LSTMRegressor(), LSTMTagger()):
        common = other.get_params().items()
        differ = {n for n, value in common if n in known and value != known[n]}
        assert differ == ({"bidirectional"} if isinstance(other, LSTMTagger) else set())


def test_searches_of_ragged_series_run_on_dask():
    joblib, distributed = pytest.importorskip("joblib"), pytest.importorskip("distributed")
    X, y = some_series()
    grid = {"hidden_size": [2, 4], "learning_rate": [1e-2, 3e-2]}
    here = GridSearchCV(LSTMClassifier(**SMALL), grid, cv=2).fit(X, y)
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        there = GridSearchCV(LSTMClassifier(**SMALL), grid, cv=2).fit(X, y)
    scores = [s.cv_results_["mean_test_score"] for s in (here, there)]
    np.testing.assert_array_equal(*scores)
    assert there.best_estimator_.classes_.tolist() == ["down", "up"]


def test_members_train_in_processes_as_they_do_here():
    X, y = some_series()
    model = LSTMClassifier(**{**SMALL, "members": 2})
    one = model.fit(X, y).predict_proba(X)
    two = clone(model).set_params(n_jobs=2).fit(X, y).predict_proba(X)  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_allclose(one, two, atol=1e-5)  # float32 sums in another order


def test_cross_validation_by_groups_and_routed_metadata():
    X, y = some_series()
    groups = np.arange(len(X)) % 4
    with config_context(enable_metadata_routing=True):
        model: Any = LSTMClassifier(**SMALL)
        model.set_fit_request(groups=True, sample_weight=True)
        params = {"groups": groups, "sample_weight": np.ones(len(X))}
        scores = cross_val_score(
            model.set_score_request(sample_weight=True),
            X,
            y,
            cv=GroupKFold(2),
            params=params,  # pyright: ignore[reportAttributeAccessIssue]
        )
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_a_pipeline_of_data_frames_keeps_names():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(rng.normal(size=(20, 3)), columns=["a", "b", "c"])
    y = X["a"].to_numpy() > 0
    pipe = make_pipeline(StandardScaler(), LSTMClassifier(**SMALL)).set_output(transform="pandas")
    pipe.fit(X, y)
    assert pipe[-1].feature_names_in_.tolist() == ["a", "b", "c"]
    assert pipe[-1].n_features_in_ == 3
    with pytest.raises(ValueError, match="same order"):
        pipe[-1].predict(X[["b", "a", "c"]])
