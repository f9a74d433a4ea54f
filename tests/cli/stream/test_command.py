"""`carrousel stream`, called in the ways that users and scripts call it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.cli.stream import display
from carrousel.errors import DivergedError
from carrousel.online.evaluation import session
from carrousel.online.model.model import OnlineLSTM
from support.online.sensor import numbers, read, write_sensor

SMALL = ("--cells", 4)


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_sensor(tmp_path)


# --- help and wrong calls -------------------------------------------------------------------------


def test_help_groups_options_and_ends_with_examples(call):
    found = call("stream", "--help")
    assert (found.code, found.err) == (0, "")
    headings = [line for line in found.out.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        *("Arguments:", "Prediction:", "Input:", "Model:", "Output:", "Checkpoints:"),
        "Other options:",
    ]
    examples = found.out.split("Examples:")[1]
    assert examples.count("carrousel stream") == 2
    assert "--resume" in examples
    assert "stream" in call("--help").out


WRONG = {
    (): "no column to predict was given; give --target",
    ("--target", "level", "--predict-next", "level"): "not both",
    (
        "--target",
        "levle",
    ): "--target is 'levle', expected a field of rows.csv; did you mean 'level'?",
    ("--predict-next", "levle"): "--predict-next is 'levle', expected a field of rows.csv",
    (
        "--predict-next",
        "level",
        "--ignore",
        "nose",
    ): "--ignore is 'nose', expected a field of rows.csv",
    ("--target", "level", "--key", "level"): "give --target and --key different columns",
    (
        "--target",
        "level",
        "--ignore",
        "level",
    ): "has a role; remove it from --ignore",
    ("--target", "level", "--task", "regresion"): "--task 'regresion' is unknown; did you mean",
    ("--target", "level", "--task", "next"): "task 'next' has no target; give --predict-next",
    ("--target", "level", "--cells", "0"): "--cells is 0, expected a whole number of at least 1",
    ("--target", "level", "--idle", "3"): "--idle needs --follow",
    ("--target", "level", "--streams", "3"): "--streams needs --key COLUMN",
    ("--target", "level", "--resume"): "--resume needs --checkpoint FILE",
    ("--target", "level", "--quiet"): "--quiet and --out old.csv contradict each other",
    ("--target", "level", "--checkpoint", "rows.csv"): "SOURCE and --checkpoint are the same file",
    ("--target", "level", "--checkpoint", "a/b"): "folder a does not exist",
    ("--target", "level", "--gradient", "bptt"): "bptt",
    ("--target", "at", "--ignore", "level,noise,colour"): "remains as an input",
}


def test_wrong_calls_name_the_problem_and_replace_no_file(call, folder):
    (folder / "old.csv").write_text("old")
    for words, message in WRONG.items():
        found = call("stream", "rows.csv", *words, "--out", "old.csv")
        assert (found.code, found.out) == (2, ""), words
        assert message in found.err, words
        assert (folder / "old.csv").read_text() == "old", words
        assert len(list(folder.iterdir())) == 3, words


UNUSABLE = {
    ("none.csv", "--target", "level"): "none.csv does not exist",
    ("rows.csv", "--target", "level", "--json"): "standard output holds JSON only",
    ("rows.csv", "--target", "level", "--out", "rows.csv"): "are the same file rows.csv",
    ("rows.csv", "--target", "level", "--out", "a/b.csv"): "a/b.csv cannot be written",
    ("rows.csv", "--target", "level", "--out", "o.parquet"): "o.parquet",
}


def test_unusable_files_are_named(call, folder):
    for words, message in UNUSABLE.items():
        found = call("stream", *words)
        assert (found.code, found.out) == (2, ""), words
        assert message in found.err, words
        assert len(read(folder / "rows.csv")) == 600, words


def test_a_column_whose_texts_never_repeat_is_refused(call, folder, monkeypatch):
    monkeypatch.setattr(session, "MOST_LABELS", 1)
    found = call("stream", "rows.csv", "--target", "level", "--out", "out.csv")
    assert (found.code, found.out) == (2, "")
    assert "column 'colour' holds more than 1 different texts" in found.err
    assert "--ignore colour" in found.err
    assert not (folder / "out.csv").exists()


# --- predictions --------------------------------------------------------------------------------


def test_the_next_value_is_predicted_and_scored_beside_naive_rules(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--time", "at", *SMALL)
    found = call("stream", *words, "--out", "out.csv", "--json", "--window", 100)
    assert (found.code, found.err) == (0, "")
    result, rows = json.loads(found.out), read(folder / "out.csv")
    assert list(rows[0]) == ["line", "time", "target", "prediction", "next"]
    assert [row["line"] for row in rows] == [str(n) for n in range(2, 602)]
    assert [row["time"] for row in rows] == [str(n) for n in range(600)]
    assert [row["prediction"] for row in rows[1:]] == [row["next"] for row in rows[:-1]]
    assert [rows[0]["prediction"], rows[0]["next"], rows[1]["prediction"]] == [""] * 3
    y, predictions = numbers(rows, "target"), numbers(rows, "prediction")
    np.testing.assert_array_equal(y, numbers(read(folder / "rows.csv"), "level"))
    scored = slice(2, None)  # the first rows have no prediction
    off, last = predictions[scored] - y[scored], y[1:-1] - y[scored]
    assert (result["predicted"], result["task"], result["rows"]) == (
        "the next level",
        "regression",
        600,
    )
    for where, part in ((result, slice(None)), (result["recent"], slice(-100, None))):
        errors = where["errors"]
        np.testing.assert_allclose(errors["model"]["mae"], np.abs(off[part]).mean(), rtol=1e-6)
        np.testing.assert_allclose(errors["last value"]["mae"], np.abs(last[part]).mean())
    assert result["recent"]["rows"] == 100
    assert result["recent"]["errors"]["model"]["r2"] > 0.8
    assert result["stopped"] is None


def test_the_target_is_not_an_input(call, folder):
    """Noise cannot be predicted from the other columns; if it were an input, it could."""
    found = call("stream", "rows.csv", "--target", "noise", *SMALL, "--quiet", "--json")
    assert json.loads(found.out)["errors"]["model"]["r2"] < 0.1
    found = call("stream", "rows.csv", "--target", "level", *SMALL, "--quiet", "--json")
    assert json.loads(found.out)["recent"]["errors"]["model"]["r2"] > 0.6


def test_classes_have_probabilities(call, folder):
    words = ("rows.csv", "--target", "colour", "--ignore", "at", *SMALL, "--out", "out.csv")
    found = call("stream", *words, "--json")
    result, rows = json.loads(found.out), read(folder / "out.csv")
    assert list(rows[0]) == ["line", "target", "prediction", "probability"]
    assert (rows[0]["prediction"], rows[0]["probability"]) == ("", "")
    right = np.mean([row["target"] == row["prediction"] for row in rows[1:]])
    assert result["task"] == "multiclass"
    np.testing.assert_allclose(result["errors"]["model"]["accuracy"], right)
    assert right > result["errors"]["commonest class"]["accuracy"]
    chance = numbers(rows[1:], "probability")
    assert ((chance >= 0.5) & (chance <= 1)).all()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_numbers_may_be_classes(call, folder, task):
    text = (folder / "rows.csv").read_text().replace("red", "1").replace("blue", "0")
    (folder / "rows.csv").write_text(text)
    words = ("rows.csv", "--target", "colour", "--task", task, "--ignore", "at", *SMALL)
    found = call("stream", *words, "--out", "out.csv", "--json")
    result = json.loads(found.out)
    assert result["task"] == task
    assert {row["prediction"] for row in read(folder / "out.csv")} == {"", "0", "1"}
    assert result["errors"]["model"]["accuracy"] > 0.8


@pytest.mark.parametrize("others", [False, True])
def test_the_next_symbol_of_each_stream(call, folder, others):
    """Two interleaved streams abab... and xyxy...; a further column makes the task multiclass."""
    rows = [f"{'ko'[n % 2]},{'axbyaxby'[n % 4]}{',1' * others}" for n in range(400)]
    head = "key,symbol" + ",one" * others
    (folder / "s.csv").write_text("\n".join([head, *rows]) + "\n")
    words = ("s.csv", "--predict-next", "symbol", "--key", "key", *SMALL, "--out", "out.csv")
    result, rows = json.loads(call("stream", *words, "--json").out), read(folder / "out.csv")
    assert result["task"] == ("multiclass" if others else "next")
    assert list(rows[0]) == [
        *("line", "key", "target", "prediction", "probability", "next", "next_probability"),
    ]
    for key in "ko":
        own = [row for row in rows if row["key"] == key]
        assert [row["prediction"] for row in own[1:]] == [row["next"] for row in own[:-1]]
    assert result["recent"]["errors"]["model"]["accuracy"] > 0.9
    assert result["recent"]["errors"]["last class"]["accuracy"] == 0


def test_an_unusual_row_gets_a_high_score(call, folder):
    lines = (folder / "rows.csv").read_text().splitlines()
    at, _, noise, colour = lines[500].split(",")
    lines[500] = f"{at},9,{noise},{colour}"
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    words = ("rows.csv", "--predict-next", "level", "--time", "at", "--ignore", "noise", *SMALL)
    call("stream", *words, "--anomaly", "--out", "out.csv")
    rows = read(folder / "out.csv")
    scores = numbers(rows, "anomaly")
    assert np.isnan(scores[:102]).all()
    assert not np.isnan(scores[102:]).any()
    assert rows[499]["line"] == "501"
    assert scores[499] > 0.99


# --- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_is_neither_overwritten_nor_misused(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--checkpoint", "c", *SMALL, "--quiet")
    assert call("stream", *words).code == 0
    before = (folder / "c").read_bytes()
    found = call("stream", *words)
    assert found.code == 2
    assert "--checkpoint c exists; continue it with --resume" in found.err
    found = call("stream", *words, "--resume", "--cells", 8, "--anomaly")
    assert found.code == 2
    assert "c was written with --cells 4, not 8, and --anomaly off, not on" in found.err
    assert (folder / "c").read_bytes() == before
    OnlineLSTM().save(folder / "c")
    found = call("stream", *words, "--resume")
    assert found.code == 2
    assert "c is not a checkpoint of a stream" in found.err


def test_without_a_checkpoint_to_resume_a_stream_starts(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--checkpoint", "c", *SMALL, "--quiet")
    found = call("stream", *words, "--resume")
    assert found.code == 0
    assert "c does not exist yet: starting from the beginning" in found.err
    with (folder / "rows.csv").open("a") as file:
        file.write("600,0.5,0,red\n")
    found = call("stream", *words, "--resume", "--json")
    assert json.loads(found.out)["rows"] == 601


def test_a_model_that_diverged_replaces_no_checkpoint(call, folder, monkeypatch):
    words = ("rows.csv", "--predict-next", "level", "--checkpoint", "c", *SMALL, "--quiet")
    text = (folder / "rows.csv").read_text()
    (folder / "rows.csv").write_text("".join(text.splitlines(keepends=True)[:201]))
    assert call("stream", *words).code == 0
    before = (folder / "c").read_bytes()
    (folder / "rows.csv").write_text(text)
    run = OnlineLSTM.run_detailed

    def diverging(self: OnlineLSTM, X: Any, y: Any, keys: Any, late: bool, **how: Any) -> Any:
        first = {name: values[:7] for name, values in X.items()}
        error = DivergedError("outputs are no longer finite", fix="and so on", row=7)
        return replace(run(self, first, y[:7], keys, late, **how), error=error)

    monkeypatch.setattr(OnlineLSTM, "run_detailed", diverging)
    found = call("stream", *words, "--resume")
    assert found.code == 1
    assert "rows.csv: line 209: outputs are no longer finite\n" in found.err
    assert "The last checkpoint before that is in c." in found.err
    assert found.err.splitlines()[-1].endswith("--resume --rate 0.0003")
    assert (folder / "c").read_bytes() == before
    monkeypatch.setattr(OnlineLSTM, "run_detailed", run)
    found = call("stream", *words, "--resume", "--rate", "0.0003", "--json")
    assert json.loads(found.out)["rows"] == 600


# --- output -------------------------------------------------------------------------------------


def test_predictions_go_to_standard_output_and_errors_elsewhere(call, folder):
    found = call("stream", "rows.csv", "--predict-next", "level", *SMALL)
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert (found.code, len(rows)) == (0, 600)
    assert "Errors for the next level" in found.err
    assert "600 rows read" in found.err
    found = call("stream", "rows.csv", "--predict-next", "level", *SMALL, "--quiet")
    assert found.err == ""
    for result in ("model", "last value", "running mean", "MAE", "RMSE", "R²", "all 598"):
        assert result in found.out


@pytest.mark.parametrize("form", ["jsonl", "arrow"])
def test_other_formats_hold_the_same_values(call, folder, form):
    if form == "arrow":
        pytest.importorskip("pyarrow")
    words = ("--target", "colour", "--anomaly", *SMALL)
    call("stream", "rows.csv", *words, "--out", "out.csv")
    call("stream", "rows.csv", *words, "--out", f"out.{form}")
    if form == "arrow":
        import pyarrow as pa

        rows = pa.ipc.open_stream((folder / "out.arrow").read_bytes()).read_all().to_pylist()
    else:
        rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    expected = read(folder / "out.csv")
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert {name: "" if value is None else str(value) for name, value in row.items()} == other


def test_a_source_may_be_empty(call, folder):
    (folder / "none.jsonl").write_text("")
    found = call("stream", "none.jsonl", "--predict-next", "level", "--quiet", "--json")
    result = json.loads(found.out)
    assert (found.code, result["rows"], result["errors"], result["task"]) == (0, 0, {}, None)


def test_progress_is_shown_in_lines_without_a_terminal(call, folder, monkeypatch):
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.0)
    words = ("rows.csv", "--predict-next", "level", *SMALL, "--quiet", "--checkpoint", "c")
    found = call("stream", *words, "--json", "--checkpoint-every", 1e-6)
    lines = found.err.splitlines()
    assert lines[0].startswith("600 rows, ")
    assert "rows/s; MAE of the last 598: model 0." in lines[0]
    json.loads(found.out)
