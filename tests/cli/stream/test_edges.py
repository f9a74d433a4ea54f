"""`carrousel stream`: other separators, forgetting, nothing that can be taken, foreign files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from carrousel.online.evaluate import session as stream_run
from carrousel.online.model.model import OnlineLSTM

SMALL = ("--cells", 2)


def write(path: Path, separator: str = ",", n: int = 60) -> None:
    """A level that swings and then leaps to another height, and what comes of it."""
    level = np.sin(0.3 * np.arange(n)) + 50.0 * (np.arange(n) >= n // 2)
    rows = [separator.join((f"{each:.4f}", f"{2 * each:.4f}")) for each in level]
    path.write_text("\n".join([separator.join(("level", "y")), *rows]) + "\n")


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# --- separators -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "word"), [(";", ";"), ("|", "|"), ("\t", r"\t")])
def test_values_may_be_separated_by_any_character(call, tmp_path, separator, word):
    write(tmp_path / "comma.csv")
    write(tmp_path / "other.csv", separator)
    for name, how in (("comma", ()), ("other", ("--delimiter", word))):
        found = call("stream", f"{name}.csv", "--target", "y", *how, "--out", f"{name}.out.csv")
        assert found.code == 0, found.err
    assert len(read(tmp_path / "comma.out.csv")) == 60
    assert (tmp_path / "comma.out.csv").read_bytes() == (tmp_path / "other.out.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rows.csv", "--delimiter", ";;"), "--delimiter is ';;', expected one character"),
        (("rows.csv", "--delimiter", ""), "--delimiter is '', expected one character"),
        (("rows.csv", "--delimiter", '"'), "--delimiter is '\"', expected one character"),
        (("rows.csv", "--delimiter", ";", "--format", "jsonl"), "--delimiter is for CSV"),
        (("kafka://localhost:1/t", "--delimiter", ";"), "--delimiter is for CSV"),
        (("rows.csv", "--horizon", "0.5"), "--horizon is 0.5, expected a finite number of at"),
        (("rows.csv", "--horizon", "nan"), "--horizon is nan, expected a finite number of at"),
    ],
)
def test_values_out_of_range_name_their_option(call, tmp_path, words, told):
    write(tmp_path / "rows.csv")
    found = call("stream", *words, "--target", "y", "--quiet")
    assert (found.code, found.out) == (2, "")
    assert told in found.err


@pytest.mark.parametrize(
    ("made", "other", "told"),
    [
        (("--delimiter", ";"), ("--delimiter", "|"), "made with --delimiter ;, not |"),
        (("--horizon", 20), ("--horizon", 30), "made with --horizon 20.0, not 30.0"),
        (("--horizon", 20), (), "made with --horizon 20.0, not unset"),
    ],
)
def test_a_checkpoint_holds_them(call, tmp_path, made, other, told):
    write(tmp_path / "rows.csv", ";" if "--delimiter" in made else ",")
    words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", "c", "--resume")
    assert call("stream", *words, *made).code == 0
    found = call("stream", *words, *other)
    assert found.code == 2
    assert told in found.err
    again = call("stream", *words, *made, "--json")
    assert (again.code, json.loads(again.out)["rows"]) == (0, 60)


# --- the model ------------------------------------------------------------------------------------


def test_running_means_forget_where_a_horizon_is_given(call, tmp_path):
    write(tmp_path / "rows.csv")
    told = {}
    for horizon in (None, 5):
        how = () if horizon is None else ("--horizon", horizon)
        words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", f"c{horizon}")
        found = call("stream", *words, *how, "--json")
        assert found.code == 0, found.err
        told[horizon] = json.loads(found.out)["errors"]["model"]["mae"]
        assert OnlineLSTM.load(tmp_path / f"c{horizon}").horizon == horizon
    assert told[5] < told[None]


def test_help_has_options_under_their_panels(call):
    text = call("stream", "--help").out
    panels = dict.fromkeys(("Rows", "Model", "What is written"), "")
    for name in panels:
        panels[name] = text.split(f"\n{name}:\n")[1].split("\n\n")[0]
    assert "--delimiter CHAR" in panels["Rows"]
    assert "--horizon N" in panels["Model"]
    assert "--json" in panels["What is written"]
    assert text.count("--json") == 1


# --- nothing could be taken -----------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["skip", "hold"])
def test_if_no_row_can_be_taken_the_first_reason_is_told(call, tmp_path, on_error):
    (tmp_path / "rows.csv").write_text("x,y\n" + "0.5\n" + "inf,1\n" * 30)
    words = ("rows.csv", "--target", "y", "--on-error", on_error, *SMALL)
    found = call("stream", *words, "--quiet", "--checkpoint", "c", "--json")
    assert found.code == 1
    where = "rows.csv: line 2: has 1 field, expected 2"
    assert json.loads(found.out)["stopped"] is not None
    assert "No row of 31 could be taken. The first: " in found.err
    assert where in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "c").exists()


def test_a_column_is_told_with_the_first_reason(call, tmp_path):
    (tmp_path / "rows.csv").write_text("x,y\n" + "1,\n2,oops\n" + "inf,1\n" * 3)
    words = ("rows.csv", "--target", "y", "--task", "regression", "--on-error", "skip", *SMALL)
    (tmp_path / "none.csv").write_text("x,y\n" + "1,oops\n" * 3)
    found = call("stream", "none.csv", *words[1:], "--quiet")
    assert found.code == 1
    where = "none.csv: line 2, column 'y': value 'oops' is not a number"
    assert f"No row of 3 could be taken. The first: {where}\n" in found.err
    assert "Nothing is kept" not in found.err
    assert call("stream", *words, "--quiet").code == 0


def test_rows_that_the_model_alone_refuses_are_told_too(call, tmp_path, monkeypatch):
    """Numbers that single precision does not hold; in small batches the first stays the first."""
    (tmp_path / "rows.csv").write_text("x,y\n" + "1e39,1\n" * 3 + "inf,1\n" + "1e39,1\n" * 3)
    for at_once in (1, 1000):
        monkeypatch.setattr(stream_run, "ROWS_AT_ONCE", at_once)
        found = call("stream", "rows.csv", "--target", "y", "--on-error", "skip", "--quiet")
        assert found.code == 1
        assert "No row of 7 could be taken. The first: rows.csv: line 2, column 'x'" in found.err
        assert "'x'" in found.err
        assert "7 skipped (6 refused by the model, 1 not finite)" in found.out


def test_a_bad_row_after_good_ones_is_no_failure_of_a_stream_that_goes_on(call, tmp_path):
    write(tmp_path / "rows.csv")
    words = ("rows.csv", "--target", "y", *SMALL, "--quiet", "--checkpoint", "c", "--resume")
    words = (*words, "--on-error", "skip")
    assert call("stream", *words).code == 0
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("oops,1\n")
    found = call("stream", *words)
    assert (found.code, found.err) == (0, "")
    assert "1 skipped" in found.out


# --- what is told ---------------------------------------------------------------------------------


def test_errors_of_the_last_rows_are_shown_where_they_are_others(call, tmp_path):
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
def test_a_foreign_file_is_no_checkpoint_of_this_command(call, tmp_path, kind):
    write(tmp_path / "rows.csv")
    if kind == "text":
        (tmp_path / "c").write_text("something else\n" * 20)
    else:
        safetensors.numpy.save_file({"w": np.zeros(3)}, tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    found = call("stream", "rows.csv", "--target", "y", "--quiet", "--checkpoint", "c", "--resume")
    assert (found.code, found.out) == (2, "")
    assert "c was not written by carrousel stream" in found.err
    assert "name another --checkpoint" in found.err
    for other in ("carrousel.nn", "OnlineLSTM"):
        assert other not in found.err
    assert (tmp_path / "c").read_bytes() == before
