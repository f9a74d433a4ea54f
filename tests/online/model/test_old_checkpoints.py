"""Checkpoints of an earlier version still load, and continue from exactly the same state.

Each pair of files in ``data/`` holds a checkpoint of format 1, further rows, and their results from
the program that wrote the checkpoint. Models from before expert rules continue without them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.kernels import instruction_sets
from carrousel.online.model.checkpoint import read_extra

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("name", ["regression", "multiclass", "next"])
def test_an_old_checkpoint_continues_exactly(name):
    stored = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    X, y, keys = stored["X"], stored["y"], stored["keys"]
    model = OnlineLSTM.load(DATA / f"{name}.safetensors")
    proba = name != "regression"
    ahead = model.predict_proba(X, keys=keys) if proba else model.predict(X, keys=keys)
    outputs = model.run(X, y, keys=keys, proba=proba)
    more = model.run(X, y, keys=keys)  # depends on what the run before learned
    results = {"ahead": ahead, "outputs": outputs, "more": more}
    for what, found in results.items():
        expected = np.array(stored[what])
        assert found.shape == expected.shape
        if name == "next" and what == "outputs":
            # Before a target is learned, the outputs are computed again by the present weights,
            # which rows of other keys have changed since.
            np.testing.assert_allclose(found, expected, atol=0.01, err_msg=what)
            found, expected = found[0], expected[0]
        elif name == "next" and what == "more":
            assert np.mean(found == expected) > 0.9
            continue
        if instruction_sets()[0] == stored["instruction_set"] or expected.dtype.kind == "U":
            np.testing.assert_array_equal(found, expected, err_msg=what)
        else:  # other vector instructions add in another order
            np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=what)
    assert model.n_steps_ == stored["n_steps"]
    assert list(model.keys) == stored["live_keys"]
    without = "experts=None, season=None, levels=(), random_state="
    assert repr(model) == stored["repr"].replace("random_state=", without)
    if proba:
        assert model.classes_.tolist() == stored["classes"]


def test_extra_data_of_an_old_checkpoint_are_read():
    extra = read_extra(DATA / "regression.safetensors")
    assert extra is not None
    np.testing.assert_array_equal(extra[0]["errors"], [0.0, 1.0, 2.0])
    assert extra[1] == {"line": 5}
    assert read_extra(DATA / "next.safetensors") is None


def test_a_checkpoint_of_the_first_format_continues():
    """It was written before the rate decayed; the averages had another epsilon."""
    stored = json.loads((DATA / "first.json").read_text(encoding="utf-8"))
    model = OnlineLSTM.load(DATA / "first.safetensors")
    assert model.get_params()["decay"] is None
    assert (model.n_steps_, list(model.keys), model.n_evicted_) == (30, stored["live_keys"], 0)
    ahead = model.predict(stored["X"], keys=stored["keys"])
    np.testing.assert_allclose(ahead, stored["ahead"], rtol=1e-4)
    outputs = model.run(stored["X"], stored["y"], keys=stored["keys"])
    assert np.isfinite(outputs).all()
    assert model.n_steps_ == 40
