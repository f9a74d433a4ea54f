"""`carrousel stream` with several columns to predict."""

from __future__ import annotations

import json

import pytest

from support.online.cases import case
from support.online.sensor import read, write_sensor

SMALL = ("--cells", 4, "--ignore", "colour")


@pytest.fixture
def folder(tmp_path):
    return write_sensor(tmp_path)


def test_columns_are_given_at_once_or_one_by_one(call, folder):
    outputs = set()
    for words in (
        ("--predict-next", "level,noise"),
        ("--predict-next", "level", "--predict-next", "noise"),
        ("--predict-next", '"level", noise'),
    ):
        with case(words):
            found = call("stream", "rows.csv", *words, *SMALL, "--out", "out.csv", "--json")
            result = json.loads(found.out)
            assert (found.code, result["predicted"]) == (0, "the next level, noise")
            assert list(result["targets"]) == ["level", "noise"]
            outputs.add((folder / "out.csv").read_bytes())
    assert len(outputs) == 1
    rows = read(folder / "out.csv")
    assert {"target_level", "prediction_noise", "next_level"} <= rows[0].keys()
    assert result["targets"]["noise"]["scored"] == result["scored"]
    assert result["targets"]["level"]["recent"]["errors"]["model"]["mae"] < 1


def test_the_summary_has_a_section_for_each(call, folder):
    found = call("stream", "rows.csv", "--target", "level,noise", *SMALL, "--quiet")
    lines = [line.strip() for line in found.out.splitlines()]
    assert lines[0].startswith("Errors for level, noise, each row predicted before")
    places = [lines.index(name) for name in ("level", "noise")]
    total = next(n for n, line in enumerate(lines) if line.startswith("all 2, in standard dev"))
    assert places[0] < places[1] < total
    assert sum(line.startswith("model") for line in lines) == 3


def test_a_name_may_hold_a_comma(call, tmp_path):
    (tmp_path / "rows.csv").write_text('x,"a,b"\n' + "1,2\n3,4\n" * 20)
    words = ("--target", '"a,b"', "--cells", 2, "--quiet", "--json")
    assert json.loads(call("stream", "rows.csv", *words).out)["predicted"] == "a,b"


def test_several_columns_are_resumed(call, folder):
    words = ("rows.csv", "--predict-next", "level,noise", *SMALL, "--checkpoint", "c", "--quiet")
    assert call("stream", *words).code == 0
    with (folder / "rows.csv").open("a") as file:
        file.write("600,0.5,0,red\n")
    found = call("stream", *words, "--resume", "--json")
    assert json.loads(found.out)["rows"] == 601
    found = call("stream", *[w if w != "level,noise" else "level" for w in words], "--resume")
    assert found.code == 2
    assert "--predict-next ['level', 'noise'], not level" in found.err
