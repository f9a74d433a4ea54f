"""Checkpoints of an earlier version are resumed from the same state, without expert rules.

The checkpoints in ``data`` were written before the model stored its last forecasts. The other files
there are the predictions and errors of that version after resuming. The first predictions after a
resume are those of the earlier version. Later ones differ a little: values far from the mean change
the scales less, and keys that share weights learn from present outputs.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from carrousel.online import OnlineLSTM, evaluate, open_rows, open_sink, read_checkpoint

DATA = Path(__file__).parent / "data"
LEVEL = ("--predict-next", "level", "--time", "at", "--anomaly", "--streams", 2)
COLOUR = ("--predict-next", "colour", "--evict-after", 5, "--streams", 2)
COMMON = ("--key", "pump", "--window", 20, "--cells", 2, "--rate", 0.05)
CASES = {
    "level": ("rows.csv", LEVEL, {"predict_next": "level", "time": "at", "anomaly": True}),
    "colour": ("bad.csv", COLOUR, {"predict_next": "colour"}),  # stopped within a batch
}
SAME_TO = 42
"""Line of both files to which predictions equal those of the earlier version."""
OF_MODEL = ("prediction", "probability", "next", "next_probability", "anomaly")


def prepared(folder: Path, name: str, rows: str) -> Path:
    """Copy rows, checkpoint and the output before it; return the path of the output."""
    shutil.copy(DATA / rows, folder / "rows.csv")
    shutil.copy(DATA / f"{name}.ckpt", folder / f"{name}.ckpt")
    size = read_checkpoint(folder / f"{name}.ckpt").sink_position
    assert isinstance(size, int)
    (folder / "out.csv").write_bytes((DATA / f"{name}.csv").read_bytes()[:size])
    return folder / "out.csv"


def assert_same(found: Any, expected: Any, where: str = "") -> None:
    """Compare; numbers may differ by the rounding of other vector instructions.

    Errors of the model may differ more, see the top of this file.
    """
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name, value in expected.items():
            assert_same(found[name], value, f"{where}/{name}")
    elif isinstance(expected, float):
        rtol = 0.03 if "/model/" in where else 1e-4
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6, err_msg=where)
    else:
        assert found == expected, where


def assert_same_predictions(found: Path, expected: Path) -> None:
    with found.open() as one, expected.open() as other:
        rows, wanted = list(csv.DictReader(one)), list(csv.DictReader(other))
    assert len(rows) == len(wanted)
    for row, want in zip(rows, wanted, strict=True):
        for name, value in want.items():
            if int(want["line"]) > SAME_TO and name in OF_MODEL:
                assert bool(row[name]) == bool(value)
                continue
            try:
                assert_same(float(row[name]), float(value), f"line {want['line']}, {name}")
            except ValueError:
                assert row[name] == value


@pytest.mark.parametrize("name", CASES)
def test_the_command_resumes_them(call, tmp_path, name):
    rows, words, _ = CASES[name]
    out = prepared(tmp_path, name, rows)
    words = ("rows.csv", *words, *COMMON, "--out", "out.csv", "--json", "--on-error", "skip")
    found = call("stream", *words, "--checkpoint", f"{name}.ckpt", "--resume")
    assert (found.code, found.err) == (0, "")
    result = json.loads(found.out)
    for new in ("seconds", "rows_per_second", "streams", "unusual"):
        result.pop(new, None)
    assert_same(result, json.loads((DATA / f"{name}.json").read_text()))
    assert_same_predictions(out, DATA / f"{name}.csv")


@pytest.mark.parametrize("name", CASES)
def test_the_function_resumes_them(tmp_path, name):
    rows, _, how = CASES[name]
    out = prepared(tmp_path, name, rows)
    saved = read_checkpoint(tmp_path / f"{name}.ckpt")
    with (
        open_rows(tmp_path / "rows.csv", start=saved.position) as source,
        open_sink(out, start=saved.sink_position) as sink,
    ):
        found = evaluate(
            saved.model,
            source,
            **how,
            key="pump",
            window=20,
            on_error="skip",
            sink=sink,
            resume=saved,
        )
    expected = json.loads((DATA / f"{name}.json").read_text())
    assert found.failure is None
    assert (found.status.rows, dict(found.status.skipped)) == (
        expected["rows"],
        expected["skipped"],
    )
    assert_same(found.status.errors.errors, expected["errors"])
    assert_same_predictions(out, DATA / f"{name}.csv")


@pytest.mark.parametrize(
    ("name", "header", "first", "task"),
    [("numbers", "x,y", "0.1", "regression"), ("classes", "c,y", "g", "multiclass")],
)
def test_a_checkpoint_from_before_the_first_learned_row_is_resumed(
    call, tmp_path, name, header, first, task
):
    """Its first row was bad, and was corrected before the resume."""
    (tmp_path / "rows.csv").write_text(f"{header}\n{first},1\n{first},1\n")
    shutil.copy(DATA / f"unlearned-{name}.ckpt", tmp_path / "c")
    words = ("rows.csv", "--predict-next", header[0], "--task", task, "--window", 20, "--cells", 2)
    found = call("stream", *words, "--quiet", "--json", "--checkpoint", "c", "--resume")
    assert (found.code, found.err) == (0, "")
    assert json.loads(found.out)["rows"] == 2


def test_checkpoints_have_a_format_that_earlier_versions_refuse(tmp_path):
    """They do not know the scales of this version, nor the rules."""
    model = OnlineLSTM(cells=2, random_state=1)
    model.save(tmp_path / "empty")
    evaluate(model, {"x": [1.0, 2.0]}, predict_next="x", checkpoint=tmp_path / "checkpoint")
    model.save(tmp_path / "with-forecasts")
    alone = OnlineLSTM(cells=2, experts=None, random_state=1)
    alone.partial_fit([[1.0]], [2.0]).save(tmp_path / "without-rules")
    for path in tmp_path.iterdir():
        with safe_open(path, "numpy") as file:
            assert json.loads(file.metadata()["carrousel.online"])["format"] == 4, path


def test_a_checkpoint_of_the_first_version_is_resumed(call, tmp_path):
    """It was written after 30 of the rows, before the rate decayed."""
    out = prepared(tmp_path, "first", "rows.csv")
    before = out.read_bytes()
    words = ("rows.csv", *LEVEL, *COMMON, "--out", "out.csv", "--json")
    found = call("stream", *words, "--checkpoint", "first.ckpt", "--resume")
    assert found.code == 0
    assert found.err == "Changed since first.ckpt was written: --decay 0 -> 10000.\n"
    assert json.loads(found.out)["rows"] == 60
    assert out.read_bytes().startswith(before)
    with out.open() as file:
        assert [int(row["line"]) for row in csv.DictReader(file)] == list(range(2, 62))
