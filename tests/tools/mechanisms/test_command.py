"""The command that measures mechanisms: its file, and drift on small nets."""

from __future__ import annotations

import json

import pytest
from tools.mechanisms.drift import SMALL, WIRINGS, measure, reading

from tools.mechanisms import __main__ as command


def test_results_are_kept_part_by_part(tmp_path, monkeypatch):
    path, seen = tmp_path / "found.json", []

    def last() -> float:
        seen.append(json.loads(path.read_text(encoding="utf-8")))
        return 2.0

    monkeypatch.setattr(command, "MECHANISMS", {"b": {"one": lambda: 1.0, "two": last}, "c": {}})
    path.write_text(json.dumps({"b": {"two": 0.0, "gone": 3.0}, "c": {"x": 1}, "old": {}}))
    command.measure("b", path, shown=False)
    assert seen[0] == {"b": {"one": 1.0, "two": 0.0}, "c": {"x": 1}}
    assert json.loads(path.read_text(encoding="utf-8"))["b"] == {"one": 1.0, "two": 2.0}
    assert path.read_text(encoding="utf-8").endswith("}\n")


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["experiment-9"])
    assert "choose from experiment-1" in capsys.readouterr().err


@pytest.mark.native
def test_only_weights_into_cell_inputs_let_states_drift():
    found = {name: measure("2c-1", name, learned=5, count=2) for name in WIRINGS}
    for name in ("gates-only", "inputs-only"):
        start = found[name]["start"]
        assert (start["constant"], start["drift"], start["growth"]) == (0.0, 0.0, 0.0)
        assert start["correlation"] is None
        assert start["update"]["gates"] < 0.01 * start["update"]["inputs"]
    for name in ("printed", SMALL):
        start = found[name]["start"]
        assert start["state"] > 2 * found["gates-only"]["start"]["state"]
        assert start["update"]["gates"] > start["update"]["inputs"]
        assert start["correlation"] > 0.7
    assert found["printed"]["start"] != found["printed"]["learned"]


def test_readings_are_recipes_or_the_print_with_a_smaller_range():
    assert reading("2c-1", "gates-only").name == "2c-1 gates-only"
    small, printed = reading("2c-1", SMALL), reading("2c-1", "printed")
    assert small.network.init.range == 0.1
    assert small.network.feedback_into is printed.network.feedback_into is None
