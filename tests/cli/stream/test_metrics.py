"""`carrousel stream --metrics` and `--no-calendar`."""

from __future__ import annotations

import json

import pytest

from carrousel.online import read_checkpoint
from support.online.cases import case
from support.online.sensor import write_sensor

WORDS = ("rows.csv", "--predict-next", "level", "--cells", 4)


@pytest.fixture
def folder(tmp_path):
    return write_sensor(tmp_path)


def test_metrics_go_to_a_file_or_to_standard_output(call, folder):
    found = call("stream", *WORDS, "--quiet", "--metrics", "m", "--metrics-every", 250)
    assert "Errors for the next level" in found.out
    written = [json.loads(line) for line in (folder / "m").read_text().splitlines()]
    assert [each["rows"] for each in written] == [250, 500]
    found = call("stream", *WORDS, "--quiet", "--metrics", "-", "--metrics-every", 250)
    assert [json.loads(line)["errors"] for line in found.out.splitlines()] == [
        each["errors"] for each in written
    ]
    assert "Errors for the next level" in found.err


def test_metrics_are_resumed(call, folder):
    words = (*WORDS, "--quiet", "--metrics", "m", "--metrics-every", 250, "--checkpoint", "c")
    assert call("stream", *words).code == 0
    before = (folder / "m").read_bytes()
    with (folder / "m").open("a") as file:
        file.write("{}\n")  # of a run that was killed after the checkpoint
    with (folder / "rows.csv").open("a") as file:
        file.writelines(f"{600 + n},0.5,0,red\n" for n in range(200))
    assert call("stream", *words, "--resume").code == 0
    after = (folder / "m").read_bytes()
    assert after.startswith(before)
    assert [json.loads(line)["rows"] for line in after.splitlines()] == [250, 500, 750]


def test_wrong_options_are_refused(call, folder):
    for more, told in (
        (("--metrics", "-"), "--metrics - writes to standard output, as predictions"),
        (("--metrics", "-", "--quiet", "--json"), "--metrics - writes to standard output"),
        (("--metrics", "rows.csv"), "SOURCE and --metrics are the same file"),
        (("--metrics", "o", "--out", "o"), "--out and --metrics are the same file"),
        (("--metrics", "c", "--checkpoint", "c"), "--metrics and --checkpoint are the same file"),
        (("--metrics-every", 0), "--metrics-every is 0, expected a whole number of at least 1"),
        (("--no-calendar",), "--no-calendar needs --time COLUMN"),
    ):
        with case(more):
            found = call("stream", *WORDS, *more)
            assert found.code == 2
            assert told in found.err


def test_times_give_inputs_unless_turned_off(call, folder):
    (folder / "hours.csv").write_text(
        "at,x\n"
        + "".join(f"2024-01-{d + 1:02}T{h:02}:00,{h}\n" for d in range(20) for h in range(24))
    )
    words = ("hours.csv", "--predict-next", "x", "--time", "at", "--cells", 4, "--quiet")
    names = []
    for more in ((), ("--no-calendar",)):
        assert call("stream", *words, *more, "--checkpoint", f"c{len(names)}").code == 0
        names.append(read_checkpoint(folder / f"c{len(names)}").model.feature_names_in_.tolist())
    assert names[1] == ["x"]
    assert set(names[0]) > {"x", "at.day_sin", "at.week_cos", "at.year_sin", "at.since"}
    found = call("stream", *words, "--checkpoint", "c0", "--resume", "--no-calendar")
    assert "c0 was written with --no-calendar off, not on" in found.err
