"""The function `evaluate`: rows of any kind, bad rows, checkpoints, progress."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.errors import (
    CheckpointError,
    DataError,
    RowError,
    SettingError,
    ShapeError,
    StoreError,
    UnknownNameError,
)
from carrousel.online import (
    Evaluation,
    OnlineLSTM,
    StreamStatus,
    evaluate,
    open_rows,
    open_sink,
    read_checkpoint,
)
from carrousel.online.evaluation import session

N = 600
RNG = np.random.default_rng(1)
LEVEL = (np.sin(0.2 * np.arange(N)) + 0.05 * RNG.normal(size=N)).round(4)
PUMP = ["ab"[n % 2] for n in range(N)]
COLUMNS = {"level": LEVEL, "noise": RNG.normal(size=N).round(4), "pump": PUMP}


def model(task: Any = "regression", **how: Any) -> OnlineLSTM:
    return OnlineLSTM(task, **{"cells": 4, "unseen": "grow", "random_state": 1, **how})


def dicts() -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def same(one: Evaluation, other: Evaluation) -> None:
    assert one.status.errors == other.status.errors
    assert one.status.recent_errors == other.status.recent_errors
    assert (one.status.rows, one.status.skipped) == (other.status.rows, other.status.skipped)


def test_sources_dicts_and_columns_give_the_same(tmp_path):
    path = write(tmp_path / "rows.csv", dicts())
    with open_rows(path) as rows:
        found = evaluate(model(), rows, predict_next="level", ignore="pump")
    assert (found.failure, found.stopped, found.status.rows) == (None, False, N)
    errors = found.status.errors
    assert errors.rows == N - 2
    assert list(errors.errors) == ["model", "last value", "running mean"]
    assert found.model is not None
    assert found.model.n_steps_ == N
    for rows in (dicts(), iter(dicts()), COLUMNS):
        same(evaluate(model(), rows, predict_next="level", ignore=["pump"]), found)


def test_predictions_are_those_of_the_model():
    plain = model()
    expected = plain.run({"noise": COLUMNS["noise"]}, LEVEL)
    found = evaluate(model(), {"noise": COLUMNS["noise"], "level": LEVEL}, target="level")
    errors = found.status.errors.errors
    mae = np.abs(expected - LEVEL)[1:].mean()
    assert errors["model"]["mae"] == pytest.approx(mae, rel=1e-12)


def test_a_function_creates_the_model_for_the_task_of_the_column():
    tasks = []

    def create(task: str) -> OnlineLSTM:
        tasks.append(task)
        return model(task)

    symbols = {"symbol": list("ab" * 50)}
    cases: tuple[tuple[Any, dict[str, Any]], ...] = (
        (COLUMNS, {"target": "level"}),
        (COLUMNS, {"target": "pump"}),
        (symbols, {"predict_next": "symbol"}),
        (symbols | {"one": [1] * 100}, {"predict_next": "symbol"}),
        (COLUMNS, {"target": "pump", "task": "binary"}),
    )
    for rows, how in cases:
        assert evaluate(create, rows, **how).failure is None, how
    assert tasks == ["regression", "multiclass", "next", "multiclass", "binary"]


@pytest.mark.parametrize("on_error", ["fail", "skip", "hold"])
def test_bad_rows_end_the_evaluation_or_are_counted(on_error):
    rows = [*dicts(), "not a dict"]
    rows[300]["level"] = "please say noise='blue'"
    found = evaluate(model(), rows, predict_next="level", ignore="pump", on_error=on_error)
    if on_error == "fail":
        assert found.failure is not None
        error = found.failure.error
        assert isinstance(error, RowError)
        place = (error.source, error.unit, error.line, error.column, error.got)
        assert place == ("rows", "row", 301, "level", "please say noise='blue'")
        assert "please say noise='blue'" in str(error)
        assert found.failure.remedy == {"on_error": "skip"}
        assert found.status.rows == 300
    else:
        skipped = {"not a mapping": 1} | ({"not a number": 1} if on_error == "skip" else {})
        assert found.status.skipped == skipped
        assert found.status.held == (on_error == "hold")
        assert found.status.rows == N + (on_error == "hold") - 1


def test_a_row_that_the_model_refuses_has_its_place_in_the_source(monkeypatch):
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 100)
    rows = dicts()
    rows[450]["pump"] = "c"
    found = evaluate(model(unseen="error"), rows, target="level")
    assert found.failure is not None
    error = found.failure.error
    assert (error.source, error.line, error.column, error.got) == ("rows", 451, "pump", "c")
    assert "set unseen='grow'" in str(error)
    assert found.status.rows == 450


def test_without_a_usable_row_the_failure_is_fatal():
    rows = [{"x": 1.0, "level": each} for each in ("a", "b")]
    found = evaluate(model, rows, target="level", task="regression", on_error="skip")
    assert found.failure is not None
    assert found.failure.fatal
    assert str(found.failure.first) == "rows: row 1, column 'level': value 'a' is not a number"


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


def test_a_sink_is_opened_at_the_first_row_and_closed(tmp_path):
    opened = []

    def opener() -> Any:
        opened.append(open_sink(tmp_path / "out.jsonl"))
        return opened[-1]

    with pytest.raises(UnknownNameError):
        evaluate(model(), COLUMNS, target="levle", sink=opener)
    assert not opened
    evaluate(model(), COLUMNS, target="level", sink=opener)
    assert len(opened) == 1
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(rows) == N
    assert list(rows[0]) == ["line", "target", "prediction"]
    with pytest.raises(OSError, match="closed"):
        opened[0].write({"line": [1], "target": [1.0], "prediction": [1.0]})


def test_nothing_is_learned_if_the_sink_cannot_be_opened(tmp_path):
    learner = model()
    with pytest.raises(StoreError, match="cannot be written"):
        evaluate(learner, COLUMNS, target="level", sink=lambda: open_sink(tmp_path / "no" / "out"))
    assert learner.n_steps_ == 0


def test_a_checkpoint_replaces_neither_source_nor_sink_nor_a_folder(tmp_path):
    path = write(tmp_path / "rows.csv", dicts())
    before = path.read_bytes()
    (tmp_path / "link.csv").symlink_to(path)
    (tmp_path / "hard.csv").hardlink_to(path)
    learner, out = model(), tmp_path / "out.csv"
    for name in ("rows.csv", "link.csv", "hard.csv", ".", "none/c"):
        with open_rows(path) as rows, pytest.raises(SettingError) as raised:
            evaluate(learner, rows, target="level", checkpoint=tmp_path / name)
        assert raised.value.argument == "checkpoint", name
    with open_sink(out) as sink:
        for given in (sink, lambda: open_sink(out)):
            with pytest.raises(SettingError, match=r"another file than .*out.csv, which is writ"):
                evaluate(learner, COLUMNS, target="level", sink=given, checkpoint=out)
    assert learner.n_steps_ == 0
    assert path.read_bytes() == before
    evaluate(learner, COLUMNS, target="level", checkpoint=tmp_path / "rows")


def test_progress_is_reported_with_the_errors_so_far(monkeypatch):
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 100)
    rows: list[int] = []

    def note(status: StreamStatus) -> None:
        rows.append(status.rows)
        assert status.errors.rows == max(0, status.rows - 1)
        assert status.rows_per_second > 0

    evaluate(model(), COLUMNS, target="level", on_progress=note)
    assert sorted(set(rows)) == list(range(100, N + 1, 100))


def test_a_status_that_is_kept_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 100)
    rows = dicts()
    rows[50]["level"] = "bad"
    rows[1050:1050] = [dict(rows[-1]) for _ in range(1000)]
    rows[1100]["level"] = "bad"
    kept: list[StreamStatus] = []
    copies: list[Any] = []

    def keep(status: StreamStatus) -> None:
        kept.append(status)
        seen = status.score
        assert seen is not None
        copies.append((status.rows, dict(status.skipped), seen.whole(), seen.recent()))

    found = evaluate(model(), rows, target="level", window=30, on_error="skip", on_progress=keep)
    assert len({status.rows for status in kept}) > 10
    assert found.status.skipped == {"not a number": 2}
    for status, copy in zip(kept, copies, strict=True):
        errors = status.errors, status.recent_errors
        assert (status.rows, dict(status.skipped), *errors) == copy


def test_a_target_may_be_missing():
    rows = dicts()
    rows[10]["level"] = None
    found = evaluate(model(), rows, target="level")
    assert (found.status.rows, found.status.without_target) == (N, 1)


WRONG: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
    ({}, SettingError, "no column to predict was given; give target, to predict"),
    ({"target": "level", "predict_next": "level"}, SettingError, "not both"),
    ({"target": "level", "key": "level"}, SettingError, "give target and key different columns"),
    ({"target": "level", "ignore": "level"}, SettingError, "remove it from ignore"),
    ({"target": "levle"}, UnknownNameError, "expected a field of rows; did you mean 'level'"),
    ({"target": "level", "key": "pmup"}, UnknownNameError, "key is 'pmup'.*'pump'"),
    ({"target": "level", "on_error": "skp"}, UnknownNameError, "did you mean 'skip'"),
    ({"target": "level", "window": 0}, SettingError, "window is 0"),
    (
        {"target": "level", "task": "binary"},
        SettingError,
        "task is 'binary', expected 'regression'",
    ),
    ({"target": "level", "checkpoint_every": 0}, SettingError, "checkpoint_every is 0"),
)


def test_wrong_arguments_are_named():
    for how, kind, message in WRONG:
        with pytest.raises(kind, match=message):
            evaluate(model(streams=2), COLUMNS, **how)
    for rows in ([1, 2], {"a": [1], "b": [1, 2]}):
        with pytest.raises(ValueError, match="expected"):
            evaluate(model(streams=2), rows, target="a")  # type: ignore[arg-type]


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


def test_keys_need_a_model_of_several_streams():
    with pytest.raises(SettingError, match="the model holds a single stream; create the model"):
        evaluate(model(), COLUMNS, predict_next="level", key="pump")


def test_a_path_is_not_taken_for_rows():
    with pytest.raises(ShapeError, match=r"rows is 'pumps.csv', .* by carrousel.online.open_rows"):
        evaluate(model(), "pumps.csv", predict_next="level")  # pyright: ignore[reportArgumentType]
