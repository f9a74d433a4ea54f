"""`carrousel stream`: delimiters, horizon, streams without usable rows, foreign files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from carrousel.online.evaluation import session
from carrousel.online.model.model import OnlineLSTM

SMALL = ("--cells", 2)


def write(path: Path, separator: str = ",", n: int = 60) -> None:
    """An oscillating level that jumps halfway, and twice its value."""
    level = np.sin(0.3 * np.arange(n)) + 50.0 * (np.arange(n) >= n // 2)
    rows = [separator.join((f"{each:.4f}", f"{2 * each:.4f}")) for each in level]
    path.write_text("\n".join([separator.join(("level", "y")), *rows]) + "\n")


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# --- delimiters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "word"), [(";", ";"), ("|", "|"), ("\t", r"\t")])
def test_any_character_can_be_the_delimiter(call, tmp_path, separator, word):
    write(tmp_path / "comma.csv")
    write(tmp_path / "other.csv", separator)
    for name, how in (("comma", ()), ("other", ("--delimiter", word))):
        found = call("stream", f"{name}.csv", "--target", "y", *how, "--out", f"{name}.out.csv")
        assert found.code == 0, found.err
    assert len(read(tmp_path / "comma.out.csv")) == 60
    assert (tmp_path / "comma.out.csv").read_bytes() == (tmp_path / "other.out.csv").read_bytes()


OUT_OF_RANGE = {
    ("rows.csv", "--delimiter", ";;"): "--delimiter is ';;', expected one character",
    ("rows.csv", "--delimiter", ""): "--delimiter is '', expected one character",
    ("rows.csv", "--delimiter", '"'): "--delimiter is '\"', expected one character",
    ("rows.csv", "--delimiter", ";", "--format", "jsonl"): "--delimiter applies to CSV",
    ("kafka://localhost:1/t", "--delimiter", ";"): "--delimiter applies to CSV",
    ("rows.csv", "--horizon", "0.5"): "--horizon is 0.5, expected a finite number of at",
    ("rows.csv", "--horizon", "nan"): "--horizon is nan, expected a finite number of at",
    ("rows.csv", "--window", "0"): "--window is 0, expected a whole number of at least 1",
    ("rows.csv", "--checkpoint-every", "0"): "--checkpoint-every is 0.0, expected a finite number",
    ("rows.csv", "--rate", "-1"): "--rate is -1.0, expected a finite number of at least 0",
    ("rows.csv", "--missing", "men"): "--missing 'men' is unknown; did you mean 'mean'",
}


def test_values_out_of_range_name_their_option(call, tmp_path):
    write(tmp_path / "rows.csv")
    for words, message in OUT_OF_RANGE.items():
        found = call("stream", *words, "--target", "y", "--quiet")
        assert (found.code, found.out) == (2, ""), words
        assert message in found.err, words


@pytest.mark.parametrize(
    ("made", "other", "result"),
    [
        (("--delimiter", ";"), ("--delimiter", "|"), "written with --delimiter ;, not |"),
        (("--window", 20), ("--window", 30), "written with --window 20, not 30"),
        (("--seed", 20), (), "written with --seed 20, not 1997"),
    ],
)
def test_a_checkpoint_cannot_be_resumed_with_others(call, tmp_path, made, other, result):
    write(tmp_path / "rows.csv", ";" if "--delimiter" in made else ",")
    words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", "c", "--resume")
    assert call("stream", *words, *made).code == 0
    found = call("stream", *words, *other)
    assert found.code == 2
    assert result in found.err
    command = call("stream", *words, *made, "--json")
    assert (command.code, json.loads(command.out)["rows"]) == (0, 60)


# --- the model ------------------------------------------------------------------------------------


def test_running_means_forget_with_a_horizon(call, tmp_path):
    write(tmp_path / "rows.csv")
    result = {}
    for horizon in (None, 5):
        how = () if horizon is None else ("--horizon", horizon)
        words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", f"c{horizon}")
        found = call("stream", *words, *how, "--no-experts", "--json")
        assert found.code == 0, found.err
        result[horizon] = json.loads(found.out)["errors"]["model"]["mae"]
        assert OnlineLSTM.load(tmp_path / f"c{horizon}").horizon == horizon
    assert result[5] < result[None]


def test_help_lists_options_under_their_panels(call):
    text = call("stream", "--help").out
    panels = dict.fromkeys(("Input", "Model", "Output"), "")
    for name in panels:
        panels[name] = text.split(f"\n{name}:\n")[1].split("\n\n")[0]
    assert "--delimiter CHAR" in panels["Input"]
    assert "--horizon N" in panels["Model"]
    assert "--json" in panels["Output"]
    assert text.count("--json") == 1


# --- no usable row ------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["skip", "hold"])
def test_without_a_usable_row_the_first_problem_is_shown(call, tmp_path, on_error):
    (tmp_path / "rows.csv").write_text("x,y\n" + "0.5\n" + "inf,1\n" * 30)
    words = ("rows.csv", "--target", "y", "--on-error", on_error, *SMALL)
    found = call("stream", *words, "--quiet", "--checkpoint", "c", "--json")
    assert found.code == 1
    where = "rows.csv: line 2: has 1 field, expected 2"
    assert json.loads(found.out)["stopped"] is not None
    assert "No row of 31 could be used. The first: " in found.err
    assert where in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "c").exists()


def test_the_first_problem_names_its_column(call, tmp_path):
    (tmp_path / "rows.csv").write_text("x,y\n" + "1,\n2,oops\n" + "inf,1\n" * 3)
    words = ("rows.csv", "--target", "y", "--task", "regression", "--on-error", "skip", *SMALL)
    (tmp_path / "none.csv").write_text("x,y\n" + "1,oops\n" * 3)
    found = call("stream", "none.csv", *words[1:], "--quiet")
    assert found.code == 1
    where = "none.csv: line 2, column 'y': value 'oops' is not a number"
    assert f"No row of 3 could be used. The first: {where}\n" in found.err
    assert "Nothing was saved" not in found.err
    assert call("stream", *words, "--quiet").code == 0


def test_the_first_problem_may_be_one_of_the_model(call, tmp_path, monkeypatch):
    """Numbers too large for single precision. The first problem is the same in small parts."""
    (tmp_path / "rows.csv").write_text("x,y\n" + "1e39,1\n" * 3 + "inf,1\n" + "1e39,1\n" * 3)
    for at_once in (1, 1000):
        monkeypatch.setattr(session, "ROWS_AT_ONCE", at_once)
        found = call("stream", "rows.csv", "--target", "y", "--on-error", "skip", "--quiet")
        assert found.code == 1
        assert "No row of 7 could be used. The first: rows.csv: line 2, column 'x': " in found.err
        assert "7 skipped (6 refused by the model, 1 not finite)" in found.out


def test_a_skipped_row_is_not_a_failure_of_a_resumed_stream(call, tmp_path):
    write(tmp_path / "rows.csv")
    words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", "c", "--resume")
    words = (*words, "--on-error", "skip")
    assert call("stream", *words).code == 0
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("oops,1\n")
    found = call("stream", *words)
    assert (found.code, found.err) == (0, "")
    assert "1 skipped" in found.out


# --- messages -----------------------------------------------------------------------------------


def test_recent_errors_are_shown_if_they_cover_fewer_rows(call, tmp_path):
    write(tmp_path / "rows.csv")
    words = ("rows.csv", "--target", "y", *SMALL, "--quiet")
    found = call("stream", *words)
    assert "all 59" in found.out
    assert "last 59" not in found.out
    assert found.out.count("MAE") == 1
    found = call("stream", *words, "--window", 20)
    assert "last 20" in found.out
    assert found.out.count("MAE") == 2


@pytest.mark.parametrize("kind", ["text", "arrays"])
def test_a_foreign_file_is_refused_as_a_checkpoint(call, tmp_path, kind):
    write(tmp_path / "rows.csv")
    if kind == "text":
        (tmp_path / "c").write_text("something else\n" * 20)
    else:
        safetensors.numpy.save_file({"w": np.zeros(3)}, tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    found = call("stream", "rows.csv", "--target", "y", "--quiet", "--checkpoint", "c", "--resume")
    assert (found.code, found.out) == (2, "")
    assert "c is not a checkpoint of a stream" in found.err
    assert "name another --checkpoint" in found.err
    for other in ("carrousel.nn", "OnlineLSTM"):
        assert other not in found.err
    assert (tmp_path / "c").read_bytes() == before
