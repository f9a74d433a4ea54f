"""LSTMClassifier: answers at any step, weights, held-out parts, continued training, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import DataError, DivergedError, LSTMClassifier, SettingError, ShapeError
from carrousel.estimators.data.schema import SymbolWarning
from carrousel.estimators.fitting.parts import held_out_parts

SMALL: dict[str, Any] = {"hidden_size": 8, "members": 2, "max_steps": 8, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(T, 2)) for T in rng.integers(2, 9, size=30)]
    return X, np.where([x[0, 0] > 0 for x in X], "up", "down")


@pytest.fixture(scope="module")
def model(data):
    return LSTMClassifier(**SMALL).fit(*data)


def test_an_answer_at_a_step_is_the_answer_for_the_series_so_far(data, model):
    X = data[0]
    every = model.predict_proba(X, at="every step")
    assert [len(p) for p in every] == [len(x) for x in X]
    np.testing.assert_allclose([p[-1] for p in every], model.predict_proba(X), atol=1e-6)
    three = [p[min(3, len(p)) - 1] for p in every]
    np.testing.assert_allclose(three, model.predict_proba(X, at=3), atol=1e-6)
    half = [p[int(np.ceil(len(p) / 2)) - 1] for p in every]
    np.testing.assert_allclose(half, model.predict_proba(X, at=0.5), atol=1e-6)
    np.testing.assert_allclose(half, model.predict_proba([x[: -(-len(x) // 2)] for x in X]))


def test_probabilities_labels_and_decisions_agree(data, model):
    p, labels = model.predict_proba(data[0]), model.predict(data[0])
    np.testing.assert_allclose(p.sum(1), 1.0)
    assert labels.tolist() == model.classes_[p.argmax(1)].tolist()
    np.testing.assert_array_equal(model.decision_function(data[0]) > 0, p[:, 1] > 0.5)


def test_a_fit_depends_on_the_weighted_examples_alone(data):
    """Not on their order; and an example of weight 2 is the same as the example twice."""
    X, y = data
    weights = np.arange(len(X)) % 3
    one = LSTMClassifier(**SMALL).fit(X, y, sample_weight=weights).predict_proba(X)
    repeated = np.random.default_rng(0).permutation(np.repeat(np.arange(len(X)), weights))
    two = LSTMClassifier(**SMALL).fit([X[n] for n in repeated], y[repeated]).predict_proba(X)
    np.testing.assert_array_equal(one, two)


def test_members_hold_out_different_parts_stratified_and_whole_groups():
    rng = np.random.default_rng(0)
    strata, groups = np.array([0] * 60 + [1] * 20 + [2]), np.arange(81) // 3
    for given in (None, groups):
        parts = held_out_parts(strata, given, fraction=0.25, members=4, rng=rng)
        assert np.sum(parts, axis=0).max() == 1
        for part in parts:
            assert 12 <= part[:60].sum() <= 18
            assert 3 <= part[60:80].sum() <= 7
            assert not part[80]  # the only series of its class is always learned
            if given is not None:
                inside = set(groups[part])
                assert not inside & set(groups[~part])


def test_weights_of_classes_move_predictions(data):
    X, y = data
    shares = [
        (LSTMClassifier(**SMALL, class_weight=w).fit(X, y).predict(X) == "up").mean()
        for w in ({"up": 1e-3}, None, {"up": 1e3})
    ]
    assert shares[0] <= shares[1] <= shares[2]
    assert shares[0] < shares[2]


def test_partial_fit_continues_and_knows_classes_in_advance(data):
    X, y = data
    model = LSTMClassifier(**SMALL).partial_fit(X[:20], y[:20])
    before = model.predict_proba(X)
    model.partial_fit([X[20]], y[20:21])  # one class is enough to continue
    assert not np.array_equal(before, model.predict_proba(X))
    three = LSTMClassifier(**SMALL).partial_fit(X, y, classes=["down", "flat", "up"])
    assert three.classes_.tolist() == ["down", "flat", "up"]
    assert three.predict_proba(X).shape == (30, 3)
    with pytest.raises(DataError, match="'new'"):
        three.partial_fit(X[:2], ["up", "new"])
    for wrong in (["down", None], [0.0, np.nan], [["down", "up"]], [], "up", ["up", 1, ()]):
        with pytest.raises(DataError, match="classes"):
            LSTMClassifier(**SMALL).partial_fit(X, y, classes=wrong)


def test_warm_start_begins_with_the_weights(data):
    X, y = data
    model = LSTMClassifier(**{**SMALL, "max_steps": 40}).fit(X, y)
    first = model.history_[0].loss
    model.set_params(warm_start=True).fit(X, y)
    assert model.history_[0].loss < first


def test_training_ends_after_a_time(data):
    model = LSTMClassifier(**{**SMALL, "max_steps": 10**6, "max_seconds": 0.2}).fit(*data)
    assert [member.stopped for member in model.ensemble_.members] == ["seconds", "seconds"]


def test_members_at_once_share_their_time(data):
    model = LSTMClassifier(**{**SMALL, "max_seconds": 8.0})
    for members, jobs, seconds in ((4, 1, 2.0), (4, 2, 4.0), (3, 2, 4.0), (2, 8, 8.0)):
        model.set_params(members=members, n_jobs=jobs)
        assert model._training(np.full(30, 5), again=False).seconds == seconds


def test_the_alphabet_is_that_of_training():
    words = ["abab", "bbb", "aaab", "ba"] * 5
    model = LSTMClassifier(**SMALL).fit(words, [word[0] for word in words])
    assert model.schema_.symbols == ("a", "b")
    with pytest.warns(SymbolWarning, match="'?'"):
        assert model.predict_proba(["ab", "?b"]).shape == (2, 2)
    both = model.predict_proba(["bb", "ab"])
    np.testing.assert_array_equal(model.predict_proba(["bb"]), both[:1])


def test_early_decisions_cost_fewer_steps(data):
    X = [np.concatenate([np.zeros((4, 2)), x]) for x in data[0]]  # nothing to see at first
    y, steps = data[1], list[int]()
    quick: dict[str, Any] = {
        "max_steps": 100,
        "learning_rate": 0.03,
        "gaps": 0.0,
        "noise": 0.0,
        "warp": 0.0,
    }
    for cost in (1e-6, 10.0):
        model = LSTMClassifier(**{**SMALL, **quick, "dropout": 0.0, "early": cost}).fit(X, y)
        labels, used = model.predict_early(X)
        for n in (0, 7):
            assert labels[n] == model.predict([X[n]], at=int(used[n]))[0]
        steps.append(int(used.sum()))
    assert steps[1] < steps[0]
    assert steps[1] == len(X)  # a step costs more than any error, so the first decides
    with pytest.raises(SettingError, match="early"):
        LSTMClassifier(**SMALL).fit(X, y).predict_early(X)


def test_errors_name_what_is_wrong(data, model):
    X, y = data
    with pytest.raises(ShapeError, match="3 channels"):
        model.predict([np.zeros((4, 3))])
    with pytest.raises(SettingError, match="at"):
        model.predict(X, at=1.5)
    for name, value in (
        *(("hidden_size", 0), ("gaps", 1.0), ("learning_rate", -1.0), ("members", 0)),
        *(("max_seconds", 0), ("class_weight", {"sideways": 2.0}), ("n_jobs", 0), ("warp", 1e9)),
        *(("validation_fraction", 0.99), ("validation_fraction", -0.1)),
    ):
        with pytest.raises(SettingError, match=name):
            LSTMClassifier(**{**SMALL, name: value}).fit(X, y)
    with pytest.raises(ValueError, match="class"):
        LSTMClassifier(**SMALL).fit(X, ["up"] * len(X))
    table = LSTMClassifier(**SMALL).fit(np.random.default_rng(0).normal(size=(9, 5)), y[:9])
    with pytest.raises(ShapeError, match=r"expecting 5 features.*list of arrays"):
        table.predict(np.zeros((2, 4)))
    assert len(table.predict([np.zeros(4), np.zeros(7)])) == 2


def test_values_too_far_from_training_are_refused_at_the_end_and_in_a_stream(data, model):
    """They would overflow float32, and NaN probabilities would look like the first class."""
    live = model.stream()
    before = live.push([0.0, 1.0])
    for value in (1e16, 1e39, -1e140):
        with pytest.raises(DataError, match="standard deviations"):
            model.predict([np.array([[0.0, value]])])
        with pytest.raises(DataError, match="standard deviations"):
            live.push([0.0, value])
    assert live.n_steps == 1
    far = np.array([[0.0, 1.0], [0.0, 1e13]])
    np.testing.assert_allclose(live.push(far[1]), model.predict_proba([far])[0], atol=1e-5)
    np.testing.assert_allclose(before, model.predict_proba([far[:1]])[0], atol=1e-6)
    with pytest.raises(DataError, match="in magnitude"):
        LSTMClassifier(**SMALL).fit([x * 1e200 for x in data[0]], data[1])


@pytest.mark.parametrize("settings", [{"learning_rate": 1e10}, {"weight_decay": 1e9}])
def test_weights_that_diverge_are_an_error(data, settings):
    with pytest.raises(DivergedError, match="not finite"):
        LSTMClassifier(**SMALL | settings).fit(*data)


def test_masked_labels_weights_and_groups_are_missing(data, model):
    X, y = data
    mask = np.arange(len(X)) < 3
    with pytest.raises(DataError, match="label of series 0 is missing"):
        LSTMClassifier(**SMALL).fit(X, np.ma.array((y == "up").astype(int), mask=mask))
    with pytest.raises(DataError, match="label of series 0 is missing"):
        LSTMClassifier(**SMALL).fit(X, np.ma.array(y, mask=mask))
    with pytest.raises(DataError, match="group of series 0 is missing"):
        LSTMClassifier(**SMALL).fit(X, y, groups=np.ma.array(np.arange(len(X)), mask=mask))
    with pytest.raises((DataError, ShapeError)):
        LSTMClassifier(**SMALL).fit(X, y, sample_weight=np.ma.array(np.ones(len(X)), mask=mask))
    unmasked = LSTMClassifier(**SMALL).fit(X, np.ma.array(y, mask=False))
    assert type(unmasked.classes_) is np.ndarray
    np.testing.assert_array_equal(unmasked.predict_proba(X), model.predict_proba(X))


def test_a_live_row_is_read_as_a_series_is(model):
    missing = model.predict_proba([np.full((1, 2), np.nan)])[0]
    masked = model.stream().push(np.ma.array([9.0, 9.0], mask=True))
    np.testing.assert_allclose(masked, missing, atol=1e-6)
    for row in (["1", "2"], ["a", 1], np.array([1j, 2]), [[1], [2, 3]]):
        with pytest.raises((DataError, ShapeError)):
            model.stream().push(row)
