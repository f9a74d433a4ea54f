"""Commands `fit`, `predict` and `score`."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from carrousel.estimators.catalogue import load_model
from support.case import each
from support.report_data import CLASSES, HOSTILE, write_series

SMALL = ("--members", 2, "--hidden-size", 4, "--max-steps", 3)
COLUMNS = ("--id", "who", "--time", "t")


@pytest.fixture
def data(tmp_path) -> Path:
    return write_series(tmp_path / "data.csv")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@each(
    "words, task",
    [
        (("--target", "label", "--channels", "x,y"), "class"),
        (("--target", "size", "--channels", "x,y"), "value"),
        (("--target", "phase", "--channels", "x,y"), "tags"),
        (("--target", "y", "--channels", "x", "--task", "tags"), "tags"),
        (("--task", "forecast", "--target", "y", "--channels", "x", "--horizon", 2), "forecast"),
    ],
)
def test_fit_score_and_predict(call, data, words, task):
    found = call("fit", data, *COLUMNS, *words, *SMALL, "--out", "m.safetensors", "--json")
    assert found.code == 0, found.err
    fitted = json.loads(found.out)
    assert (fitted["task"], fitted["series"]) == (task, 24)
    assert fitted["weights"] > 0
    scored = call("score", "m.safetensors", data, "--json")
    assert scored.code == 0, scored.err
    figures = json.loads(scored.out)["measures"]
    assert all(value is None or np.isfinite(value) for value in figures.values())
    shown = call("score", "m.safetensors", data)
    assert shown.out.count("\n") == len(figures)
    for at in ("end", "every") if task != "forecast" else ("end",):
        written = call("predict", "m.safetensors", data, "--at", at, "--out", "p.csv")
        assert written.code == 0, written.err
        rows = rows_of(Path("p.csv").read_text(encoding="utf-8"))
        direct = json.loads(call("predict", "m.safetensors", data, "--at", at, "--json").out)
        assert [row["series"] for row in rows] == [row["series"] for row in direct]
        assert len(rows) == {"forecast": 48, "tags": fitted["steps"]}.get(
            task, 24 if at == "end" else fitted["steps"]
        )


def test_predictions_are_those_of_the_model(call, data):
    words = (*COLUMNS, "--target", "label", "--channels", "x,y")
    call("fit", data, *words, *SMALL, "--out", "m.safetensors")
    rows = json.loads(call("predict", "m.safetensors", data, "--json").out)
    from carrousel.estimators.data.files import read_file

    series = read_file(data, id="who", time="t", channels=["x", "y"]).series
    model = load_model("m.safetensors")
    expected = model.predict_proba(series)
    found = [[row[f"p({name})"] for name in model.classes_] for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # six digits are written
    assert [row["prediction"] for row in rows] == model.predict(series).tolist()
    every = json.loads(call("predict", "m.safetensors", data, "--at", "every", "--json").out)
    assert every[-1]["probability"] == rows[-1]["probability"]
    assert [row["series"] for row in every if row["step"] == 1] == [row["series"] for row in rows]


def test_early_answers_wait_for_the_confidence(call, data):
    words = (*COLUMNS, "--target", "label", "--channels", "x,y")
    call("fit", data, *words, *SMALL, "--out", "m.safetensors")

    def steps(confidence: float) -> list[int]:
        words = ("--at", "early", "--confidence", confidence, "--json")
        return [
            row["steps"] for row in json.loads(call("predict", "m.safetensors", data, *words).out)
        ]

    assert set(steps(0.01)) == {1}
    rows = json.loads(call("predict", "m.safetensors", data, "--at", "early", "--json").out)
    assert steps(1.1) == [row["of"] for row in rows]
    assert all(a <= b for a, b in zip(steps(0.34), steps(0.36), strict=True))


def test_early_answers_follow_the_rule_of_the_model(call, data):
    words = (*COLUMNS, "--target", "label", "--channels", "x,y")
    found = call("fit", data, *words, *SMALL, "--early", 10, "--out", "m.safetensors")
    assert found.code == 0, found.err
    early = ("predict", "m.safetensors", data, "--at", "early", "--json")
    rows = json.loads(call(*early).out)
    assert {row["steps"] for row in rows} == {1}  # a step costs more than any error
    rows = json.loads(call(*early, "--confidence", 1.1).out)
    assert [row["steps"] for row in rows] == [row["of"] for row in rows]


def test_a_forecast_reads_the_future_of_known_columns(call, data, tmp_path):
    words = ("--task", "forecast", "--target", "y", "--known", "x", "--channels", "x")
    found = call("fit", data, *COLUMNS, *words, "--horizon", 2, *SMALL, "--out", "m.safetensors")
    assert found.code == 0, found.err
    found = call("predict", "m.safetensors", data)
    assert found.code == 2
    assert "has 0 steps after the last value of y, expected 2" in found.err
    rows = rows_of(data.read_text(encoding="utf-8"))
    last = {row["who"]: n for n, row in enumerate(rows)}
    for n in last.values():
        for row in rows[n - 1 : n + 1]:
            row["y"] = ""
    with (tmp_path / "new.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = call("predict", "m.safetensors", "new.csv", "--json")
    assert found.code == 0, found.err
    direct = json.loads(found.out)
    from carrousel.estimators.data.files import read_file
    from carrousel.estimators.forecast.reading import split

    model = load_model("m.safetensors")
    series = read_file(data, id="who", time="t", channels=list(model.schema_.channels)).series
    before, ends = split(series, model.layout_)
    expected = model.predict(before, future=[end[:, list(model.layout_.known)] for end in ends])
    np.testing.assert_allclose([row["y q0.5"] for row in direct], expected.ravel(), rtol=1e-5)


def test_a_report_is_written_and_text_from_the_data_is_escaped(call, data):
    words = (*COLUMNS, "--target", "label", "--channels", "x,y", "--report", "fit.html")
    found = call("fit", data, *words, *SMALL, "--out", "m.safetensors")
    assert found.code == 0, found.err
    assert "written: fit.html" in found.err
    assert call("score", "m.safetensors", data, "--report", "score.html").code == 0
    for name in ("fit.html", "score.html"):
        page = Path(name).read_text(encoding="utf-8")
        assert HOSTILE not in page
        assert "Confusion" in page
        assert "Learning curves" in page


def test_escape_sequences_in_data_do_not_reach_messages(call, tmp_path, data):
    text = data.read_text(encoding="utf-8").replace("size", "\x1b[31msize")
    data.write_text(text, encoding="utf-8")
    found = call("fit", data, *COLUMNS, "--target", "siz", "--out", "m.safetensors")
    assert found.code == 2
    assert "\x1b" not in found.err
    assert "\\x1b" in found.err


def test_a_target_of_whole_numbers_may_be_classes_or_values(call, data):
    text = data.read_text(encoding="utf-8")
    for number, name in enumerate(CLASSES):
        text = text.replace(name, str(number))
    data.write_text(text, encoding="utf-8")
    words = (*COLUMNS, "--target", "label", "--channels", "x,y", *SMALL, "--out", "m.safetensors")
    found = call("fit", data, *words)
    assert "Task: class (--task value is the other choice)." in found.err
    assert json.loads(call("fit", data, *words, "--task", "value", "--json").out)["task"] == "value"


@each(
    "words, message",
    [
        ("fit data.csv --out m.safetensors", "the column to predict is not named"),
        ("fit data.csv --target label --horizon 2 --out m", "--horizon needs --task forecast"),
        (
            "fit data.csv --target label --task clas --out m",
            "'clas' is unknown; did you mean 'class'",
        ),
        ("fit data.csv --target label --members 0 --out m", "--members is 0"),
        (
            "fit data.csv --target size --id who --channels x --early 0.1 --out m",
            "--early is for classes of series, not for a model of value",
        ),
        ("fit data.csv --target label --out data.csv", "are the same file"),
        ("fit data.csv --target label --out no/m", "folder no does not exist"),
        (
            "fit data.csv --target label --id who --out m --task tags --channels x",
            "does not change",
        ),
        ("fit data.csv --target lable --id who --out m", "label"),
        ("fit no.csv --target label --id who --out m", "no.csv"),
        ("fit data.csv --target label", "--out"),
        ("predict data.csv data.csv", "are the same file"),
        ("predict no.safetensors data.csv", "no.safetensors does not exist"),
        ("predict other.txt data.csv", "other.txt"),
        ("predict m data.csv --confidence 0.5", "--confidence needs --at early"),
        ("predict m data.csv --json --out p.csv", "drop one"),
        ("predict m data.csv --at never", "--at"),
        ("score other.txt data.csv", "other.txt"),
    ],
)
def test_wrong_calls_end_with_code_2_and_name_the_problem(call, data, words, message):
    Path("other.txt").write_text("no model", encoding="utf-8")
    found = call(*words.split())
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert "Traceback" not in found.err


def test_labels_that_the_model_does_not_have_are_counted_or_refused(call, data, tmp_path):
    words = (*COLUMNS, "--target", "label", "--channels", "x,y", *SMALL, "--out", "m.safetensors")
    call("fit", data, *words)
    text = data.read_text(encoding="utf-8")
    (tmp_path / "some.csv").write_text(text.replace("walk", "swim"), encoding="utf-8")
    scored = json.loads(call("score", "m.safetensors", "some.csv", "--json").out)["measures"]
    whole = json.loads(call("score", "m.safetensors", data, "--json").out)["measures"]
    assert scored["accuracy"] <= whole["accuracy"]
    found = call("score", "m.safetensors", data, "--target", "size")
    assert found.code == 2
    assert "no label is a class of the model" in found.err


def test_a_file_without_its_target_can_be_predicted(call, data, tmp_path):
    words = (*COLUMNS, "--target", "label", "--channels", "x,y", *SMALL, "--out", "m.safetensors")
    call("fit", data, *words)
    rows = rows_of(data.read_text(encoding="utf-8"))
    with (tmp_path / "new.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["t", "y", "who", "x"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    new, old = (call("predict", "m.safetensors", name, "--json").out for name in ("new.csv", data))
    assert new == old


def test_help_groups_options(call):
    found = call("fit", "--help")
    assert found.code == 0
    for heading in ("Data:", "Task:", "Model:", "Output:", "Examples:"):
        assert heading in found.out


def test_a_fit_from_disk_is_the_fit_in_memory(call, data, tmp_path, monkeypatch):
    import pyarrow.csv
    import pyarrow.parquet

    table = pyarrow.csv.read_csv(data)
    (tmp_path / "folder").mkdir(exist_ok=True)
    pyarrow.parquet.write_table(
        table.sort_by([("who", "ascending"), ("t", "ascending")]), "a.parquet"
    )
    pyarrow.parquet.write_table(pyarrow.parquet.read_table("a.parquet"), "folder/a.parquet")
    words = (*COLUMNS, "--target", "label", "--channels", "x,y", *SMALL)
    figures = {}
    for name, path, read in (
        ("memory", "a.parquet", "memory"),
        ("auto", "a.parquet", "auto"),
        ("disk", "a.parquet", "disk"),
        ("folder", "folder", "auto"),
        ("large", "a.parquet", "auto"),
    ):
        if name == "large":
            monkeypatch.setattr("carrousel.cli.estimators.reading.LARGE", 10)
        found = call("fit", path, *words, "--read", read, "--out", f"{name}.safetensors", "--json")
        assert found.code == 0, found.err
        assert ("is read from disk" in found.err) == (name in ("disk", "folder", "large"))
        figures[name] = json.loads(found.out)
    assert figures["auto"]["held_out"] == figures["memory"]["held_out"]
    for name in ("disk", "folder", "large"):
        assert figures[name]["series"] == 24
        for measure, value in figures["memory"]["held_out"].items():
            assert figures[name]["held_out"][measure] == pytest.approx(value, rel=1e-4)
    for extra, message in (
        (("--task", "tags", "--target", "phase"), "--task class or value"),
        (("--target", "size", "--target", "x"), "needs --id and one --target"),
        (("--target", "phase", "--channels", "x,y"), "changes within a series"),
    ):
        found = call(
            *("fit", "a.parquet", *COLUMNS, *extra, "--read", "disk", "--out", "b.safetensors")
        )
        assert found.code != 0
        assert message in " ".join(found.err.split())
    found = call("fit", data, *words, "--read", "disk", "--out", "b.safetensors")
    assert found.code != 0
    assert "needs a Parquet or Arrow file" in " ".join(found.err.split())


@each("task", ["class", "value"])
def test_names_times_and_values_keep_their_digits(call, tmp_path, task):
    """Names that differ in the eighth digit, seconds since 1970, and values with a large mean."""
    rng = np.random.default_rng(0)
    names, times = 1234567.5 + np.arange(8) / 4, 1733072415.25 + np.arange(3)
    target = [f"c{n % 2}" if task == "class" else 1e9 + n for n in range(8)]
    rows = [(n, t, rng.normal(), y) for n, y in zip(names, target, strict=True) for t in times]
    with (tmp_path / "d.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("who", "t", "x", "y"), *rows])
    words = (*COLUMNS, "--target", "y", "--task", task, *SMALL, "--out", "m.st")
    assert call("fit", tmp_path / "d.csv", *words).code == 0
    found = rows_of(call("predict", "m.st", tmp_path / "d.csv", "--at", "every").out)
    assert [float(row["series"]) for row in found] == np.repeat(names, 3).tolist()
    assert [float(row["time"]) for row in found] == np.tile(times, 8).tolist()
    if task == "value":
        model = load_model("m.st")
        assert len({row["y"] for row in found}) > 1, model


@each("flag", ["--out", "--report"])
def test_a_folder_as_output_is_refused_before_training(call, data, tmp_path, flag):
    (tmp_path / "folder").mkdir(exist_ok=True)
    paths = {"--out": "m.st", "--report": "r.html"} | {flag: tmp_path / "folder"}
    named = [word for pair in paths.items() for word in pair]
    found = call("fit", data, *COLUMNS, "--target", "label", *SMALL, *named)
    assert found.code == 2
    assert "is a folder" in found.err
    assert "member" not in found.err


def test_a_ts_file_needs_no_name_of_its_target(call, tmp_path):
    lines = ["@problemname waves", "@timestamps false", "@univariate true", "@equallength true"]
    lines += ["@serieslength 4", "@classlabel true up down", "@data"]
    rng = np.random.default_rng(0)
    for n in range(20):
        row = rng.normal(size=4) + (2 if n % 2 else -2)
        lines.append(",".join(f"{value:.3f}" for value in row) + (":up" if n % 2 else ":down"))
    (tmp_path / "waves.ts").write_text("\n".join(lines) + "\n")
    assert call("fit", tmp_path / "waves.ts", *SMALL, "--out", "w.st").code == 0
    assert load_model("w.st").classes_.tolist() == ["down", "up"]


def test_a_full_disk_leaves_the_old_predictions(call, data, monkeypatch):
    """Predictions replace a file as a whole or not at all."""
    assert (
        call(
            "fit",
            data,
            *COLUMNS,
            "--target",
            "label",
            "--channels",
            "x,y",
            *SMALL,
            "--out",
            "m.safetensors",
        ).code
        == 0
    )
    Path("p.csv").write_text("old", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    found = call("predict", "m.safetensors", data, "--out", "p.csv")
    assert (found.code, "No space left" in found.err) == (2, True)
    assert Path("p.csv").read_text(encoding="utf-8") == "old"
    assert [path.name for path in Path().iterdir() if "part" in path.name] == []
