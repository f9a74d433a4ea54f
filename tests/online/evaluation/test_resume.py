"""The function `evaluate`: stopped, saved and resumed."""

from __future__ import annotations

import time
from itertools import chain, repeat
from typing import Any

import pytest

from carrousel.errors import (
    CheckpointError,
    DataError,
    SettingError,
)
from carrousel.online import (
    StreamStatus,
    evaluate,
    open_rows,
    open_sink,
    read_checkpoint,
)
from carrousel.online.evaluation import session
from support.online.rows import COLUMNS, N, dicts, model, same, write


@pytest.mark.parametrize("kind", ["source", "dicts"])
def test_an_evaluation_can_be_stopped_and_resumed(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 50)
    path = write(tmp_path / "rows.csv", dicts())
    how: dict[str, Any] = {"predict_next": "level", "key": "pump", "anomaly": True, "window": 99}

    def rows(start: Any = None) -> Any:
        return open_rows(path, start=start) if kind == "source" else iter(dicts())

    with open_sink(tmp_path / "whole.csv") as sink:
        whole = evaluate(model(streams=2), rows(), **how, sink=sink)
    calls = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 5

    with open_sink(tmp_path / "parts.csv") as sink:
        first = evaluate(
            model(streams=2), rows(), **how, sink=sink, checkpoint=tmp_path / "c", stop=stop
        )
    assert first.stopped
    assert 0 < first.status.rows < N
    saved = read_checkpoint(tmp_path / "c")
    assert saved.settings["predict_next"] == "level"
    with open_sink(tmp_path / "parts.csv", start=saved.sink_position) as sink:
        last = evaluate(saved.model, rows(saved.position), **how, sink=sink, resume=saved)
    same(last, whole)
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with pytest.raises(SettingError, match="window is 3, expected 99, as when the checkpoint"):
        evaluate(saved.model, rows(), **{**how, "window": 3}, resume=saved)


def test_one_answer_of_stop_ends_the_evaluation(monkeypatch):
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 50)
    for n in range(4):
        answers = chain([False] * n, [True], repeat(False))
        found = evaluate(model(), COLUMNS, target="level", stop=answers.__next__)
        assert (found.stopped, found.status.rows) == (True, 50 * (n + 1)), n


@pytest.mark.parametrize("count", [N, 1000])
def test_an_evaluation_that_read_every_row_was_not_stopped(count):
    ended: list[bool] = []

    def rows() -> Any:
        yield from (dicts() * 2)[:count]
        ended.append(True)

    found = evaluate(model(), rows(), target="level", stop=lambda: bool(ended))
    assert (found.stopped, found.status.rows) == (False, count)


def test_a_resumed_iterable_must_be_long_enough(tmp_path):
    evaluate(model(), dicts(), target="level", checkpoint=tmp_path / "c")
    saved = read_checkpoint(tmp_path / "c")
    assert saved.position.line == N + 1
    with pytest.raises(DataError, match="the rows end before row 600"):
        evaluate(saved.model, dicts()[:-1], target="level", resume=saved)
    found = evaluate(saved.model, [*dicts(), dicts()[0]], target="level", resume=saved)
    assert (found.status.rows, found.status.rows_here) == (N + 1, 1)


def test_a_checkpoint_of_a_file_can_be_resumed_with_rows_of_python(tmp_path):
    """The file has a header, and a cell of two lines."""
    rows = dicts()
    rows[7]["pump"] = "a\nb"
    path = write(tmp_path / "rows.csv", rows[:50])
    how: dict[str, Any] = {"target": "level", "on_error": "skip"}
    with open_rows(path) as source:
        evaluate(model(), source, **how, checkpoint=tmp_path / "c")
    rows[52]["noise"] = "bad"
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    whole = evaluate(model(), rows, **how)
    for given in (rows, columns):
        saved = read_checkpoint(tmp_path / "c")
        found = evaluate(saved.model, given, **{**how, "on_error": "fail"}, resume=saved)
        assert found.failure is not None
        assert found.failure.error.line == 53
        saved = read_checkpoint(tmp_path / "c")
        same(evaluate(saved.model, given, **how, resume=saved), whole)


def test_a_resumed_model_is_that_of_the_checkpoint(tmp_path):
    evaluate(model(), COLUMNS, target="level", checkpoint=tmp_path / "c")
    saved = read_checkpoint(tmp_path / "c")
    rows = [*dicts(), dicts()[0]]
    other = model()
    with pytest.raises(SettingError, match="not the one of the checkpoint") as raised:
        evaluate(other, rows, target="level", resume=saved)
    assert raised.value.argument == "model"
    found = evaluate(model, rows, target="level", resume=saved)  # the function is not called
    assert found.model is saved.model


def test_other_files_are_not_checkpoints(tmp_path):
    (tmp_path / "text").write_text("something else\n" * 20)
    plain = model()
    plain.step([1.0], 1.0)
    plain.save(tmp_path / "model")
    for name in ("text", "model"):
        with pytest.raises(CheckpointError, match="is not a checkpoint of a stream") as raised:
            read_checkpoint(tmp_path / name)
        assert raised.value.reason == "foreign"
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "none")
    evaluate(model(), COLUMNS, target="level", checkpoint=tmp_path / "c")
    (tmp_path / "cut").write_bytes((tmp_path / "c").read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "cut")


def test_checkpoints_are_written_at_intervals(tmp_path, monkeypatch):
    """The clock advances by a second for each of 60 parts."""
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 10)
    clock, saved = [0.0], set()
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def advance(status: StreamStatus) -> None:
        clock[0] += 1.0
        saved.add(status.saved_at)

    how: dict[str, Any] = {"checkpoint": tmp_path / "c", "checkpoint_every": 10}
    found = evaluate(model(), COLUMNS, target="level", on_progress=advance, **how)
    assert saved == {None, 10.0, 20.0, 30.0, 40.0, 50.0}
    assert read_checkpoint(tmp_path / "c").state.seconds == found.status.seconds == 61.0
