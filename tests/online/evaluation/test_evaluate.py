"""The function `evaluate`: rows of any kind, bad rows, sinks, progress."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from carrousel.errors import (
    RowError,
    UnknownNameError,
)
from carrousel.online import (
    OnlineLSTM,
    StreamStatus,
    evaluate,
    open_rows,
    open_sink,
)
from carrousel.online.evaluation import session
from support.online.rows import COLUMNS, LEVEL, N, dicts, model, same, write


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
