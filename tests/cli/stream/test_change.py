"""`carrousel stream` resumed with other options, started from another model, and its evictions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carrousel.cli.stream import display
from carrousel.online import OnlineLSTM, read_checkpoint
from support.online.cases import case
from support.online.sensor import write_sensor

WORDS = ("rows.csv", "--predict-next", "level", "--key", "colour", "--quiet", "--cells", 4)
SAVE = ("--checkpoint", "c")


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_sensor(tmp_path)


def append(folder: Path, rows: int) -> None:
    with (folder / "rows.csv").open("a") as file:
        file.writelines(f"{600 + n},0.5,0,red\n" for n in range(rows))


def test_a_resume_with_other_options_says_what_changed(call, folder):
    assert call("stream", *WORDS, *SAVE).code == 0
    changes = {
        ("--horizon", 500): "--horizon unset -> 500",
        ("--rate", 0.01, "--decay", 0): "--rate 0.003 -> 0.01, --decay 10000 -> 0",
        ("--missing", "mean"): "--missing error -> mean",
        ("--streams", 2000, "--evict-after", 9): "--streams 1000 -> 2000, --evict-after unset -> 9",
        ("--optimizer", "sgd"): "--optimizer rmsprop -> sgd",
    }
    given: tuple[object, ...] = ()
    for rows, (words, told) in enumerate(changes.items(), 1):
        with case(words):
            append(folder, 1)
            given += words
            found = call("stream", *WORDS, *SAVE, *given, "--resume", "--json")
            assert found.code == 0
            assert found.err == f"Changed since c was written: {told}.\n"
            assert json.loads(found.out)["rows"] == 600 + rows
    model = read_checkpoint(folder / "c").model
    assert (model.horizon, model.learning_rate, model.decay, model.streams) == (
        500,
        0.01,
        None,
        2000,
    )
    assert call("stream", *WORDS, *SAVE, *given, "--resume").err == ""


def test_other_changes_are_refused(call, folder):
    assert call("stream", *WORDS, *SAVE, "--streams", 5).code == 0
    before = (folder / "c").read_bytes()
    for words, told in (
        (("--streams", 2), "--streams is 2, expected at least 5 as at the first row"),
        (("--streams", 5, "--optimizer", "adam"), "--optimizer is 'adam', expected one whose"),
        (("--streams", 5, "--seed", 3), "c was written with --seed 1997, not 3"),
        (("--streams", 5, "--window", 9), "c was written with --window 1000, not 9"),
    ):
        with case(words):
            found = call("stream", *WORDS, *SAVE, *words, "--resume")
            assert found.code == 2
            assert told in found.err
            assert (folder / "c").read_bytes() == before


def test_a_stream_starts_from_another_model(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--ignore", "colour", "--quiet", "--json")
    words += ("--no-experts",)  # the net alone has to learn what rules know at once
    assert call("stream", *words, "--cells", 4, "--checkpoint", "old").code == 0
    before = (folder / "old").read_bytes()
    cold = json.loads(call("stream", *words, "--cells", 4).out)
    warm = json.loads(call("stream", *words, "--start-from", "old", *SAVE).out)  # of 4 cells
    assert warm["rows"] == 600
    assert warm["errors"]["model"]["mae"] < cold["errors"]["model"]["mae"]
    assert (folder / "old").read_bytes() == before
    model = OnlineLSTM.load(folder / "c")
    assert (model.cells, model.streams, model.n_steps_) == (4, 1, 600)
    append(folder, 3)
    found = call("stream", *words, "--start-from", "old", *SAVE, "--resume")
    assert json.loads(found.out)["rows"] == 603  # the checkpoint exists


def test_wrong_starts_are_refused(call, folder):
    words = ("rows.csv", "--predict-next", "level", "--quiet")
    assert call("stream", *words, "--cells", 4, "--checkpoint", "old").code == 0
    for more, told in (
        (("--start-from", "none"), "--start-from is 'none', expected a file that exists"),
        (("--start-from", "rows.csv"), "rows.csv was not written by OnlineLSTM.save"),
        (
            ("--start-from", "old", "--cells", 8),
            "--cells is 8, expected 4 as at the first row",
        ),
        (("--start-from", "old", *SAVE, "--task", "binary"), "'regression', the task of the model"),
        (("--start-from", "c", *SAVE), "--start-from and --checkpoint are the same file"),
    ):
        with case(more):
            found = call("stream", *words, *more)
            assert found.code == 2
            assert told in found.err
            assert not (folder / "c").exists()


def test_evictions_are_reported(call, folder, monkeypatch):
    lines = ["host,load", *(f"h{n % 50},{n % 7}" for n in range(500))]
    (folder / "hosts.csv").write_text("\n".join(lines) + "\n")
    words = ("hosts.csv", "--predict-next", "load", "--key", "host", "--cells", 2, "--quiet")
    found = call("stream", *words, "--streams", 5)
    assert "Warning: a key lost its state 495 times, since only 5 streams are kept." in found.out
    assert "Give --streams of at least the number of keys" in found.out
    assert "lost its state" not in call("stream", *words).out
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.0)
    found = call("stream", *words, "--streams", 5, "--json", *SAVE)
    assert json.loads(found.out)["streams"] == {"most": 5, "keys": 5, "evicted": 495}
    assert "495 keys evicted" in found.err
    assert read_checkpoint(folder / "c").model.n_evicted_ == 495
