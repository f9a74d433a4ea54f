"""Files of estimators: equal predictions, damage found, nothing executed."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from carrousel import CheckpointError, LSTMClassifier, LSTMRegressor, LSTMTagger

SMALL: dict[str, Any] = {"hidden_size": 4, "members": 2, "max_steps": 4, "random_state": 0}


def fitted():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in rng.integers(2, 6, size=16)]
    first = [x[0, 0] for x in X]
    yield (
        LSTMClassifier(**SMALL, class_weight={"a": 2.0}).fit(
            X, np.where(np.array(first) > 0, "a", "b")
        ),
        X,
    )
    yield LSTMRegressor(**SMALL).fit(X, np.stack([first, first], 1)), X
    yield LSTMTagger(**SMALL).fit(X, [(x[:, 0] > 0).astype(int) for x in X]), X
    yield LSTMTagger(**SMALL, task="values").fit(X, [x[:, 0] for x in X]), X


def test_files_and_pickles_give_the_same_model(tmp_path):
    for model, X in fitted():
        model.save(tmp_path / "model")
        for again in (type(model).load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
            assert str(again.get_params()) == str(model.get_params())
            assert again.history_ == model.history_
            assert again.schema_ == model.schema_
            for one, two in zip(model.predict(X), again.predict(X), strict=True):
                np.testing.assert_array_equal(one, two)


def test_half_precision_is_used_where_it_is_exact(tmp_path):
    model, X = next(fitted())
    model.save(tmp_path / "half")  # training rounds weights
    again = LSTMClassifier.load(tmp_path / "half")
    for member in again.ensemble_.members:
        for weight in member.net.parameters():
            weight.data *= 1.001
    again.save(tmp_path / "full")
    sizes = [(tmp_path / name).stat().st_size for name in ("full", "half")]
    n = sum(w.numel() for m in model.ensemble_.members for w in m.net.parameters())
    assert sizes[0] - sizes[1] > n  # nearly 2 bytes for each weight
    again = LSTMClassifier.load(tmp_path / "half")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))  # pyright: ignore[reportAttributeAccessIssue]


def test_damaged_and_foreign_files_are_refused(tmp_path):
    model, _ = next(fitted())
    path = tmp_path / "model"
    model.save(path)
    whole = path.read_bytes()
    for bad, reason in ((whole[:-5], "damaged"), (b"text", "foreign")):
        path.write_bytes(bad)
        with pytest.raises(CheckpointError) as caught:
            LSTMClassifier.load(path)
        assert caught.value.reason == reason
    flipped = bytearray(whole)
    flipped[-1] ^= 64
    path.write_bytes(flipped)
    with pytest.raises(CheckpointError, match="damaged"):
        LSTMClassifier.load(path)
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match=r"LSTMClassifier\.load"):
        LSTMRegressor.load(path)
