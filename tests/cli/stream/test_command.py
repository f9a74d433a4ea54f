"""`carrousel stream`, called as a person or a script would call it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.cli.stream import display as stream_tell
from carrousel.errors import DivergedError
from carrousel.online.evaluate import session as stream_run
from carrousel.online.model.model import OnlineLSTM

SMALL = ("--cells", 4)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Rows of a sensor, a level that swings, noise, a colour; and the same with a broken row."""
    rng = np.random.default_rng(1)
    n = 600
    level = np.sin(0.2 * np.arange(n)) + 0.05 * rng.normal(size=n)
    colour = ["red" if each > 0 else "blue" for each in level]
    lines = [f"{i},{level[i]:.4f},{rng.normal():.4f},{colour[i]}" for i in range(n)]
    head = "at,level,noise,colour"
    (tmp_path / "rows.csv").write_text("\n".join([head, *lines]) + "\n")
    bad = [*lines[:300], "300,oops,0,red", *lines[301:]]
    (tmp_path / "bad.csv").write_text("\n".join([head, *bad]) + "\n")
    return tmp_path


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def numbers(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name] or "nan") for row in rows])


# --- help and wrong calls -------------------------------------------------------------------------


def test_help_groups_options_and_ends_with_examples(call):
    found = call("stream", "--help")
    assert (found.code, found.err) == (0, "")
    headings = [line for line in found.out.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        *("Arguments:", "What is predicted:", "Rows:", "Model:", "What is written:"),
        *("Stopping and going on:", "Other options:"),
    ]
    examples = found.out.split("Examples:")[1]
    assert examples.count("carrousel stream") == 2
    assert "--resume" in examples
    assert "stream" in call("--help").out


WRONG = {
    (): "say what to predict: --target COLUMN",
    ("--target", "level", "--predict-next", "level"): "not both",
    ("--target", "levle"): "--target: rows.csv has no field 'levle'; did you mean 'level'?",
    ("--predict-next", "levle"): "--predict-next: rows.csv has no field 'levle'",
    ("--predict-next", "level", "--ignore", "nose"): "--ignore: rows.csv has no field 'nose'",
    ("--target", "level", "--key", "level"): "'level' cannot be both --target and --key",
    ("--target", "level", "--ignore", "level"): "leaves out 'level', which is --target",
    ("--target", "level", "--task", "regresion"): "--task 'regresion' is unknown; did you mean",
    ("--target", "level", "--task", "next"): "--task next needs --predict-next",
    ("--target", "level", "--cells", "0"): "--cells is 0, expected a whole number of at least 1",
    ("--target", "level", "--idle", "3"): "--idle needs --follow beside it",
    ("--target", "level", "--streams", "3"): "--streams needs --key COLUMN beside it",
    ("--target", "level", "--resume"): "--resume needs --checkpoint FILE beside it",
    ("--target", "level", "--quiet"): "--quiet and --out old.csv contradict each other",
    ("--target", "level", "--checkpoint", "rows.csv"): "--checkpoint and SOURCE are the same file",
    ("--target", "level", "--checkpoint", "a/b"): "there is no folder a",
    ("--target", "level", "--gradient", "bptt"): "bptt",
    ("--target", "at", "--ignore", "level,noise,colour"): "is left to be an input",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_calls_say_what_is_wrong_and_replace_nothing(call, folder, words):
    (folder / "old.csv").write_text("old")
    found = call("stream", "rows.csv", *words, "--out", "old.csv")
    assert (found.code, found.out) == (2, "")
    assert WRONG[words] in found.err
    assert (folder / "old.csv").read_text() == "old"
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.csv", "--target", "level"], "none.csv does not exist"),
        (["rows.csv", "--target", "level", "--json"], "standard output is JSON alone"),
        (["rows.csv", "--target", "level", "--out", "rows.csv"], "the file that is read"),
        (["rows.csv", "--target", "level", "--out", "a/b.csv"], "a/b.csv cannot be written"),
        (["rows.csv", "--target", "level", "--out", "o.parquet"], "o.parquet"),
    ],
)
def test_files_that_will_not_do_are_named(call, folder, words, told):
    found = call("stream", *words)
    assert (found.code, found.out) == (2, "")
    assert told in found.err
    assert len(read(folder / "rows.csv")) == 600


def test_a_column_that_never_repeats_is_no_category(call, folder, monkeypatch):
    monkeypatch.setattr(stream_run, "MOST_LABELS", 1)
    found = call("stream", "rows.csv", "--target", "level", "--out", "out.csv")
    assert (found.code, found.out) == (2, "")
    assert "column 'colour' holds more than 1 different texts" in found.err
    assert "--ignore colour" in found.err
    assert not (folder / "out.csv").exists()


# --- what is predicted ----------------------------------------------------------------------------


def test_the_next_value_is_forecast_and_scored_beside_naive_rules(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--time", "at", *SMALL)
    found = call("stream", *words, "--out", "out.csv", "--json", "--window", 100)
    assert (found.code, found.err) == (0, "")
    told, rows = json.loads(found.out), read(folder / "out.csv")
    assert list(rows[0]) == ["line", "time", "target", "prediction", "next"]
    assert [row["line"] for row in rows] == [str(n) for n in range(2, 602)]
    assert [row["time"] for row in rows] == [str(n) for n in range(600)]
    assert [row["prediction"] for row in rows[1:]] == [row["next"] for row in rows[:-1]]
    assert [rows[0]["prediction"], rows[0]["next"], rows[1]["prediction"]] == [""] * 3
    y, said = numbers(rows, "target"), numbers(rows, "prediction")
    np.testing.assert_array_equal(y, numbers(read(folder / "rows.csv"), "level"))
    scored = slice(2, None)  # from there on there is a prediction
    off, last = said[scored] - y[scored], y[1:-1] - y[scored]
    assert (told["predicted"], told["task"], told["rows"]) == ("the next level", "regression", 600)
    for where, part in ((told, slice(None)), (told["recent"], slice(-100, None))):
        errors = where["errors"]
        np.testing.assert_allclose(errors["model"]["mae"], np.abs(off[part]).mean(), rtol=1e-6)
        np.testing.assert_allclose(errors["last value"]["mae"], np.abs(last[part]).mean())
    assert told["recent"]["rows"] == 100
    assert told["recent"]["errors"]["model"]["r2"] > 0.8
    assert told["stopped"] is None


def test_a_target_is_no_input(call, folder):
    """Noise cannot be told from the other columns; if it were among them, it could."""
    found = call("stream", "rows.csv", "--target", "noise", *SMALL, "--quiet", "--json")
    assert json.loads(found.out)["errors"]["model"]["r2"] < 0.1
    found = call("stream", "rows.csv", "--target", "level", *SMALL, "--quiet", "--json")
    assert json.loads(found.out)["recent"]["errors"]["model"]["r2"] > 0.6


def test_classes_are_told_with_probabilities(call, folder):
    words = ("rows.csv", "--target", "colour", "--ignore", "at", *SMALL, "--out", "out.csv")
    found = call("stream", *words, "--json")
    told, rows = json.loads(found.out), read(folder / "out.csv")
    assert list(rows[0]) == ["line", "target", "prediction", "probability"]
    assert (rows[0]["prediction"], rows[0]["probability"]) == ("", "")
    right = np.mean([row["target"] == row["prediction"] for row in rows[1:]])
    assert told["task"] == "multiclass"
    np.testing.assert_allclose(told["errors"]["model"]["accuracy"], right)
    assert right > told["errors"]["commonest class"]["accuracy"]
    chance = numbers(rows[1:], "probability")
    assert ((chance >= 0.5) & (chance <= 1)).all()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_numbers_may_be_classes(call, folder, task):
    text = (folder / "rows.csv").read_text().replace("red", "1").replace("blue", "0")
    (folder / "rows.csv").write_text(text)
    words = ("rows.csv", "--target", "colour", "--task", task, "--ignore", "at", *SMALL)
    found = call("stream", *words, "--out", "out.csv", "--json")
    told = json.loads(found.out)
    assert told["task"] == task
    assert {row["prediction"] for row in read(folder / "out.csv")} == {"", "0", "1"}
    assert told["errors"]["model"]["accuracy"] > 0.8


@pytest.mark.parametrize("others", [False, True])
def test_the_next_symbol_of_each_stream(call, folder, others):
    """Two streams of abab... and xyxy..., row by row; a further column makes it multiclass."""
    rows = [f"{'ko'[n % 2]},{'axbyaxby'[n % 4]}{',1' * others}" for n in range(400)]
    head = "key,symbol" + ",one" * others
    (folder / "s.csv").write_text("\n".join([head, *rows]) + "\n")
    words = ("s.csv", "--predict-next", "symbol", "--key", "key", *SMALL, "--out", "out.csv")
    told, rows = json.loads(call("stream", *words, "--json").out), read(folder / "out.csv")
    assert told["task"] == ("multiclass" if others else "next")
    assert list(rows[0]) == [
        *("line", "key", "target", "prediction", "probability", "next", "next_probability"),
    ]
    for key in "ko":
        own = [row for row in rows if row["key"] == key]
        assert [row["prediction"] for row in own[1:]] == [row["next"] for row in own[:-1]]
    assert told["recent"]["errors"]["model"]["accuracy"] > 0.9
    assert told["recent"]["errors"]["last class"]["accuracy"] == 0


def test_an_unusual_row_stands_out(call, folder):
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


# --- rows that are wrong --------------------------------------------------------------------------


def test_a_bad_row_stops_before_itself_and_can_be_left_out(call, folder):
    words = ("bad.csv", "--predict-next", "level", "--time", "at", *SMALL)
    kept = ("--checkpoint", "c", "--out", "out.csv")
    found = call("stream", *words, *kept, "--json")
    assert found.code == 1
    where = "bad.csv: line 302, column 'level': value 'oops' is not a number"
    assert where in found.err
    assert "--on-error skip" in found.err
    assert "--on-error hold" in found.err
    told = json.loads(found.out)
    assert (told["stopped"], told["rows"]) == (where, 300)
    assert len(read(folder / "out.csv")) == 300
    assert OnlineLSTM.load(folder / "c").n_steps_ == 300
    again = found.err.splitlines()[-1].split()
    assert again[-3:] == ["--resume", "--on-error", "skip"]
    found = call(*again[1:])
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert (told["rows"], told["skipped"]) == (599, {"not a number": 1})
    whole = call("stream", *words, "--on-error", "skip", "--out", "whole.csv", "--json")
    assert (folder / "out.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    assert json.loads(whole.out)["errors"] == told["errors"]


def test_a_bad_value_can_be_held(call, folder):
    words = ("bad.csv", "--predict-next", "level", *SMALL, "--on-error", "hold")
    found = call("stream", *words, "--out", "out.csv", "--json")
    told, rows = json.loads(found.out), read(folder / "out.csv")
    assert (found.code, told["rows"], told["held"], told["skipped"]) == (0, 600, 1, {})
    assert rows[300]["target"] == rows[299]["target"]


def test_a_missing_number_may_stand_for_the_mean(call, folder):
    text = (folder / "bad.csv").read_text().replace("oops", "")
    (folder / "bad.csv").write_text(text)
    words = ("bad.csv", "--predict-next", "level", *SMALL, "--out", "out.csv", "--json")
    found = call("stream", *words)
    assert found.code == 1
    assert "line 302, column 'level': there is no value" in found.err
    told = json.loads(call("stream", *words, "--missing", "mean").out)
    assert (told["rows"], told["without_target"]) == (600, 1)
    row = read(folder / "out.csv")[300]
    assert row["target"] == ""
    assert row["next"] != ""


def test_what_the_model_refuses_is_a_bad_row_too(call, folder, monkeypatch):
    """A category that the first rows do not hold, where none may come later."""
    monkeypatch.setattr(stream_run, "ROWS_AT_ONCE", 100)
    lines = (folder / "rows.csv").read_text().splitlines()
    lines[301] = lines[301].replace("red", "green").replace("blue", "green")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    words = ("rows.csv", "--predict-next", "level", "--unseen", "error", *SMALL)
    kept = ("--checkpoint", "c", "--out", "out.csv", "--json")
    found = call("stream", *words, *kept)
    assert found.code == 1
    assert "rows.csv: line 302, column 'colour': the category 'green' is new" in found.err
    assert "set --unseen grow" in found.err
    assert len(read(folder / "out.csv")) == 300
    found = call("stream", *words, *kept, "--resume", "--on-error", "skip")
    told = json.loads(found.out)
    assert (found.code, told["rows"], told["skipped"]) == (0, 599, {"refused by the model": 1})
    call("stream", *words, "--on-error", "skip", "--out", "whole.csv")
    assert (folder / "out.csv").read_bytes() == (folder / "whole.csv").read_bytes()


# --- stopping and going on ------------------------------------------------------------------------


def test_a_checkpoint_is_neither_overwritten_nor_misused(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--checkpoint", "c", *SMALL, "--quiet")
    assert call("stream", *words).code == 0
    before = (folder / "c").read_bytes()
    found = call("stream", *words)
    assert found.code == 2
    assert "--checkpoint c exists: go on from it by --resume" in found.err
    found = call("stream", *words, "--resume", "--cells", 8, "--anomaly")
    assert found.code == 2
    assert "c was made with --cells 4, not 8; --anomaly off, not on" in found.err
    assert (folder / "c").read_bytes() == before
    OnlineLSTM().save(folder / "c")
    found = call("stream", *words, "--resume")
    assert found.code == 2
    assert "c was not written by this version of carrousel stream" in found.err


def test_without_a_checkpoint_to_go_on_from_a_stream_begins(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--checkpoint", "c", *SMALL, "--quiet")
    found = call("stream", *words, "--resume")
    assert found.code == 0
    assert "c is not there yet: the stream begins" in found.err
    with (folder / "rows.csv").open("a") as file:
        file.write("600,0.5,0,red\n")
    found = call("stream", *words, "--resume", "--json")
    assert json.loads(found.out)["rows"] == 601


def test_a_model_that_is_no_longer_finite_replaces_no_checkpoint(call, folder, monkeypatch):
    words = ("rows.csv", "--predict-next", "level", "--checkpoint", "c", *SMALL, "--quiet")
    text = (folder / "rows.csv").read_text()
    (folder / "rows.csv").write_text("".join(text.splitlines(keepends=True)[:201]))
    assert call("stream", *words).code == 0
    before = (folder / "c").read_bytes()
    (folder / "rows.csv").write_text(text)
    run = OnlineLSTM.run

    def diverging(self: OnlineLSTM, X: Any, y: Any = None, keys: Any = None, **how: Any) -> Any:
        first = {name: values[:7] for name, values in X.items()}
        outputs = run(self, first, y[:7], keys, **how)
        raise DivergedError("outputs are no longer finite", fix="and so on", row=7, outputs=outputs)

    monkeypatch.setattr(OnlineLSTM, "run", diverging)
    found = call("stream", *words, "--resume")
    assert found.code == 1
    assert "rows.csv: line 209: outputs are no longer finite\n" in found.err
    assert "Kept as it was before in c." in found.err
    assert found.err.splitlines()[-1].endswith("--resume --rate 0.0003")
    assert (folder / "c").read_bytes() == before
    monkeypatch.setattr(OnlineLSTM, "run", run)
    found = call("stream", *words, "--resume", "--rate", "0.0003", "--json")
    assert json.loads(found.out)["rows"] == 600


# --- what is written ------------------------------------------------------------------------------


def test_rows_go_to_standard_output_and_figures_elsewhere(call, folder):
    found = call("stream", "rows.csv", "--predict-next", "level", *SMALL)
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert (found.code, len(rows)) == (0, 600)
    assert "Errors at the next level" in found.err
    assert "600 rows taken" in found.err
    found = call("stream", "rows.csv", "--predict-next", "level", *SMALL, "--quiet")
    assert found.err == ""
    for told in ("model", "last value", "running mean", "MAE", "RMSE", "R²", "all 598"):
        assert told in found.out


@pytest.mark.parametrize("form", ["jsonl", "arrow"])
def test_other_formats_hold_the_same(call, folder, form):
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


def test_there_may_be_no_rows(call, folder):
    (folder / "none.jsonl").write_text("")
    found = call("stream", "none.jsonl", "--predict-next", "level", "--quiet", "--json")
    told = json.loads(found.out)
    assert (found.code, told["rows"], told["errors"], told["task"]) == (0, 0, {}, None)


def test_progress_is_told_by_lines_where_there_is_no_terminal(call, folder, monkeypatch):
    monkeypatch.setattr(stream_tell, "SECONDS_BETWEEN_LINES", 0.0)
    words = ("rows.csv", "--predict-next", "level", *SMALL, "--quiet", "--checkpoint", "c")
    found = call("stream", *words, "--json", "--checkpoint-every", 1e-6)
    lines = found.err.splitlines()
    assert lines[0].startswith("600 rows, ")
    assert "rows/s; MAE of the last 598: model 0." in lines[0]
    json.loads(found.out)
