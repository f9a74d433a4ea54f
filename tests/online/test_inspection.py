"""Reports on models of streams: the inspected run is that of the model, which does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.contracts import Gradient
from carrousel.errors import DataError, SettingError
from carrousel.inspection.networks import Net
from carrousel.online.inspection import inspect_stream, run_stream
from support.case import each

N, LEARNED = 260, 160
RNG = np.random.default_rng(3)
X = np.column_stack([RNG.normal(5.0, 3.0, N), RNG.normal(size=N)])
DELAYED = 10 + 2 * np.roll(X[:, 0], 2) + 0.1 * RNG.normal(size=N)
CLASSES = np.array(["a", "b", "c"])[np.digitize(np.roll(X[:, 1], 1), [-0.5, 0.5])]
LETTERS = list("abcabdabcabe" * 30)[:N]

MODELS = {
    "rules": ({}, X, DELAYED),
    "no rules": ({"experts": None}, X, DELAYED),
    "raw": ({"experts": None, "standardise": False, "learning_rate": 1e-4}, X / 5, DELAYED / 20),
    "ahead": ({"ahead": 3}, X, DELAYED),
    "delay": ({"delay": 2}, X, DELAYED),
    "several": ({}, X, np.column_stack([DELAYED, np.roll(X[:, 1], 1)])),
    "by key": ({"standardise": "key", "experts": None}, X, DELAYED),
    "full": ({"wiring": "full", "block_size": 2, "forget_gate": False}, X, DELAYED),
    "estimate": ({"gradient": "snap:1"}, X, DELAYED),
    "binary": ({"task": "binary"}, X, DELAYED > 20),
    "multiclass": ({"task": "multiclass", "classes": ["a", "b", "c"]}, X, CLASSES),
    "next": ({"task": "next", "symbols": "abcde"}, LETTERS, None),
}


def learned(name: str) -> tuple[OnlineLSTM, Any, Any]:
    """A model, and rows and targets that follow."""
    given, rows, targets = MODELS[name]
    model = OnlineLSTM(cells=4, random_state=1, **given)
    model.run(rows[:LEARNED], None if targets is None else targets[:LEARNED])
    return model, rows[LEARNED:], None if targets is None else targets[LEARNED:]


def stored(model: OnlineLSTM, folder: Path) -> bytes:
    model.save(folder / "model.safetensors")
    return (folder / "model.safetensors").read_bytes()


def constant(model: OnlineLSTM) -> OnlineLSTM:
    """A copy that learns at rate 0."""
    still = model.clone(include_attributes=True)
    assert still._engine is not None
    still._engine.kernel.rate = 0.0
    return still


@each("name", MODELS)
def test_the_model_does_not_change(name, tmp_path):
    model, rows, targets = learned(name)
    before = stored(model, tmp_path)
    report = inspect_stream(model, rows, targets, lag=4)
    assert stored(model, tmp_path) == before
    assert np.isfinite(report.loss)
    assert report.read_reach().n_lags == 10
    assert report.used is not None
    reloaded = OnlineLSTM.load(tmp_path / "model.safetensors")
    assert inspect_stream(reloaded, rows, targets, lag=4).loss == report.loss


@each("name", MODELS)
def test_predictions_are_those_of_the_model(name):
    """To the last bit those of the model with rate 0, and at the first row its own."""
    model, rows, targets = learned(name)
    run = run_stream(model, rows, targets)
    still = constant(model)
    if model.delay:  # the inspected run learns at once, like step()
        expected = [still.step(x, y) for x, y in zip(rows, targets, strict=True)]
    elif model.task in ("binary", "multiclass", "next"):
        expected = still._run(rows, targets, None, True)
    else:
        expected = still.run(rows, targets)
    assert model._engine is not None
    head = model._engine.head
    if model.task == "regression":
        found = head.predict_rows(run.outputs)
        own = constant(model) if model.delay else model  # late targets are learned first
        assert np.array_equal(found[0], own.predict_one(rows[0]))
    else:
        found = head.probabilities(run.outputs)
    np.testing.assert_array_equal(found, np.asarray(expected))


@each("name", MODELS)
def test_states_are_those_of_the_net_in_double_precision(name):
    model, rows, targets = learned(name)
    run = run_stream(model, rows, targets)
    net = Net(run.network, run.weights, run.kernel.streaming.head, Gradient("bptt"))
    for case in run.cases(steps=40):
        same = (run.x == case.x[0]).all(axis=1) & (run.y[:-1] == case.y).all(axis=1)
        start = int(np.flatnonzero(same)[0])
        found = net.run(case)
        stop = start + len(found)
        np.testing.assert_allclose(found.y, run.y[start + 1 : stop + 1], atol=2e-5)
        np.testing.assert_allclose(found.s, run.s[start + 1 : stop + 1], rtol=1e-4, atol=2e-5)


def test_targets_are_in_the_units_of_the_net():
    """Errors of the net and of the model have one ratio at all rows: the scale of the targets."""
    model, rows, targets = learned("no rules")
    run = run_stream(model, rows, targets)
    net = Net(run.network, run.weights, "linear", Gradient("bptt"))
    out = np.array([net.outputs(x, y) for x, y in zip(run.x, run.y[1:], strict=True)])
    ratio = (targets[:, None] - run.outputs) / (run.targets - out)
    far = np.abs(run.targets - out) > 0.1
    np.testing.assert_allclose(ratio[far], np.std(DELAYED), rtol=0.1)
    model, rows, targets = learned("rules")
    run = run_stream(model, rows, targets)
    assert np.sign(run.targets[:, 0]) @ np.sign(targets - run.outputs[:, 0]) > 0.5 * len(rows)
    model, rows, targets = learned("ahead")
    run = run_stream(model, rows, targets)
    assert np.isnan(run.targets[-1]).tolist() == [False, True, True]
    assert not np.isnan(run.targets[-3]).any()


def test_late_targets_belong_to_the_row_before():
    model = OnlineLSTM(cells=4, random_state=1)
    model.run(X[:LEARNED], X[:LEARNED, 0], late=True)
    run = run_stream(model, X[LEARNED:], X[LEARNED:, 0], late=True)
    assert np.isnan(run.targets[-1]).all()
    assert not np.isnan(run.targets[:-1]).any()
    still = constant(model)
    expected = still.run(X[LEARNED:], X[LEARNED:, 0], late=True)
    np.testing.assert_array_equal(run.outputs[:, 0], expected)


def test_keys_windows_and_gaps():
    model = OnlineLSTM(cells=4, streams=2, missing="mean", random_state=1)
    keys = ["u", "v"] * (LEARNED // 2)
    model.run(X[:LEARNED], DELAYED[:LEARNED], keys=keys)
    rows, targets = X[LEARNED:].copy(), DELAYED[LEARNED:].copy()
    rows[5, 1], targets[-3:] = np.nan, np.nan
    report = inspect_stream(model, rows, targets, key="v", steps=20)
    assert report.read_reach().h.shape == (20, 4)
    assert report.traces[0].outputs is not None
    one = inspect_stream(model, rows[:30], targets[:30], key="u", steps=30)
    assert one.used is None
    with pytest.raises(DataError, match="one of the model's streams"):
        inspect_stream(model, rows, targets)


def test_bad_calls_are_named():
    with pytest.raises(DataError, match="has had no row"):
        inspect_stream(OnlineLSTM(), X, DELAYED)
    model, rows, targets = learned("no rules")
    with pytest.raises(DataError, match="no row has a target"):
        inspect_stream(model, rows)
    with pytest.raises(DataError, match="y is 3"):
        inspect_stream(model, rows, targets[:3])
    with pytest.raises(SettingError, match="without paths"):
        inspect_stream(model, rows, targets, gradient="uoro")
    model, rows, _ = learned("next")
    with pytest.raises(SettingError, match="no targets of its own"):
        inspect_stream(model, rows, rows)
    with pytest.raises(DataError, match="z"):
        inspect_stream(model, ["a", "z"])
    model, rows, _ = learned("multiclass")
    with pytest.raises(DataError, match="z"):
        inspect_stream(model, rows[:2], ["a", "z"])
