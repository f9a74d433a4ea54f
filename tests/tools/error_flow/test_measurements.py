"""Measurements of error flow: the bound holds, gates resolve conflicts, results are plain data."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")

from tools.error_flow.__main__ import SECTIONS, main  # noqa: E402

from tools.error_flow import conflicts, drift, simple  # noqa: E402


def test_the_factor_of_a_unit_is_below_1_for_weights_below_4():
    found = simple.one_unit()
    weights = np.array(found["weights"])
    for factors in found["factors"].values():
        assert (np.array(factors)[weights < 4.0] < 1.0).all()


def test_the_flow_stays_within_the_bound_of_the_paper():
    for largest in (0.39, 3.9):
        flow, base = simple.layer(largest, seed=0)
        bound = simple.UNITS * base ** np.arange(simple.LAGS)
        assert (flow[1:] <= bound[1:]).all()
        assert flow[1] > 0.1 * base / simple.UNITS


def test_one_weight_gets_opposite_updates_until_a_gate_closes(monkeypatch):
    monkeypatch.setattr(conflicts, "UPDATES", 2000)
    for kind in ("input", "output"):
        bare, gated = (conflicts.train(kind, gate) for gate in (False, True))
        assert bare["useful"][-1] > 0.5
        assert bare["others"][-1] < -0.5
        assert gated["loss"][-1] < 0.1 * bare["loss"][-1]
        assert gated["open at others"][-1] < 0.1 < gated["open"][-1]


@pytest.mark.native
def test_negative_biases_of_input_gates_slow_the_drift(monkeypatch):
    monkeypatch.setattr(drift, "NETS", 2)
    monkeypatch.setattr(drift, "STEPS", 100)
    row = drift.EXPERIMENTS["5-1"]
    free, closed = (drift.follow(drift._with_biases(row, bias), bias) for bias in (None, -5.0))
    assert closed["state"][-1] < 0.1 * free["state"][-1]
    assert closed["slope"][-1] > free["slope"][-1]


def test_sections_are_saved_one_by_one(tmp_path, monkeypatch, capsys):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"b": 1, "gone": 2}))
    monkeypatch.setattr("tools.error_flow.__main__.SECTIONS", {"a": lambda: [1.23456], "b": dict})
    assert main(["a", "--save", str(path)]) == 0
    assert json.loads(path.read_text()) == {"a": [1.235], "b": 1}
    with pytest.raises(SystemExit):
        main(["c", "--save", str(path)])
    assert "choose from a, b" in capsys.readouterr().err
    assert next(iter(SECTIONS)) == "simple"
