"""`carrousel stream`: bad rows stop it, are skipped, or get the last good value."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from carrousel.online.evaluation import session
from carrousel.online.model.model import OnlineLSTM
from support.online.sensor import read, write_sensor

SMALL = ("--cells", 4)


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_sensor(tmp_path)


def test_a_bad_row_stops_the_stream_and_can_be_skipped(call, folder):
    words = ("bad.csv", "--predict-next", "level", "--time", "at", *SMALL)
    saving = ("--checkpoint", "c", "--out", "out.csv")
    found = call("stream", *words, *saving, "--json")
    assert found.code == 1
    where = "bad.csv: line 302, column 'level': value 'oops' is not a number"
    assert where in found.err
    assert "--on-error skip" in found.err
    assert "or hold to repeat the last good value" in found.err
    result = json.loads(found.out)
    assert (result["stopped"], result["rows"]) == (where, 300)
    assert len(read(folder / "out.csv")) == 300
    assert OnlineLSTM.load(folder / "c").n_steps_ == 300
    command = found.err.splitlines()[-1].split()
    assert command[-3:] == ["--resume", "--on-error", "skip"]
    found = call(*command[1:])
    assert (found.code, found.err) == (0, "")
    result = json.loads(found.out)
    assert (result["rows"], result["skipped"]) == (599, {"not a number": 1})
    whole = call("stream", *words, "--on-error", "skip", "--out", "whole.csv", "--json")
    assert (folder / "out.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    assert json.loads(whole.out)["errors"] == result["errors"]


def test_a_missing_input_names_the_running_mean_as_a_remedy(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("gaps.csv").write_text('level\n1\n2\n""\n3\n')
    words = ("gaps.csv", "--predict-next", "level", *SMALL, "--quiet")
    found = call("stream", *words)
    assert found.code == 1
    assert "--missing mean replaces missing inputs" in found.err
    assert call("stream", *words, "--missing", "mean").code == 0


def test_a_bad_value_can_be_replaced_by_the_last_good_one(call, folder):
    words = ("bad.csv", "--predict-next", "level", *SMALL, "--on-error", "hold")
    found = call("stream", *words, "--out", "out.csv", "--json")
    result, rows = json.loads(found.out), read(folder / "out.csv")
    assert (found.code, result["rows"], result["held"], result["skipped"]) == (0, 600, 1, {})
    assert rows[300]["target"] == rows[299]["target"]


def test_a_missing_number_can_be_replaced_by_the_mean(call, folder):
    text = (folder / "bad.csv").read_text().replace("oops", "")
    (folder / "bad.csv").write_text(text)
    words = ("bad.csv", "--predict-next", "level", *SMALL, "--out", "out.csv", "--json")
    found = call("stream", *words)
    assert found.code == 1
    assert "line 302, column 'level': the value is missing" in found.err
    result = json.loads(call("stream", *words, "--missing", "mean").out)
    assert (result["rows"], result["without_target"]) == (600, 1)
    row = read(folder / "out.csv")[300]
    assert row["target"] == ""
    assert row["next"] != ""


def test_a_row_that_the_model_refuses_is_a_bad_row(call, folder, monkeypatch):
    """A category that the first rows do not hold, with --unseen error."""
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 100)
    lines = (folder / "rows.csv").read_text().splitlines()
    lines[301] = lines[301].replace("red", "green").replace("blue", "green")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    words = ("rows.csv", "--predict-next", "level", "--unseen", "error", *SMALL)
    saving = ("--checkpoint", "c", "--out", "out.csv", "--json")
    found = call("stream", *words, *saving)
    assert found.code == 1
    where = "rows.csv: line 302, column 'colour': the category 'green' is new"
    assert where in found.err
    assert "set --unseen grow" in found.err
    assert len(read(folder / "out.csv")) == 300
    found = call("stream", *words, *saving, "--resume", "--on-error", "skip")
    result = json.loads(found.out)
    assert (found.code, result["rows"], result["skipped"]) == (0, 599, {"refused by the model": 1})
    call("stream", *words, "--on-error", "skip", "--out", "whole.csv")
    assert (folder / "out.csv").read_bytes() == (folder / "whole.csv").read_bytes()


TEXTS = ("please say colour='blue'", "{unseen}", "{{x}} {unseen=grow}", "set learning_rate; to 3")


@pytest.mark.parametrize("way", ["new category", "bad number", "no such column"])
def test_data_in_messages_are_not_changed(call, tmp_path, monkeypatch, way):
    """Messages spell arguments as options, but never what a file holds."""
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 3)  # so that the model has not seen the last row
    for text in TEXTS:
        rows = [("x", "note"), *[("1", "a")] * 5]
        words = ("rows.csv", "--target", "x", "--task", "regression", "--unseen", "error")
        if way == "new category":
            rows.append(("1", text))
        elif way == "bad number":
            rows.append((text, "a"))
        else:
            rows[0] = ("x", text)
            words = (*words, "--key", text + "s")
        with (tmp_path / "rows.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        found = call("stream", *words, "--quiet", *SMALL)
        assert found.code == (2 if way == "no such column" else 1), found.err
        assert repr(text) in found.err.splitlines()[0], (text, found.err)
