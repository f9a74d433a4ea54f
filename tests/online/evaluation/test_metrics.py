"""Metrics while an evaluation runs: when they are written, what they hold, and after a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carrousel.errors import SettingError
from carrousel.online import StreamStatus, evaluate, open_sink, read_checkpoint
from carrousel.online.evaluation import session
from support.online.cases import case
from support.online.rows import COLUMNS, N, model


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for each in found:
        del each["seconds"]
    return found


def test_a_record_holds_the_errors_after_its_rows(tmp_path):
    statuses: list[StreamStatus] = []
    with open_sink(tmp_path / "m.jsonl") as sink:
        evaluate(
            model(),
            COLUMNS,
            target="level",
            window=30,
            metrics=sink,
            metrics_every=70,
            on_metrics=statuses.append,
        )
    found = lines(tmp_path / "m.jsonl")
    assert [each["rows"] for each in found] == list(range(70, N + 1, 70))
    for each, status in zip(found, statuses, strict=True):
        rows = each["rows"]
        with case(rows):
            part = {name: values[:rows] for name, values in COLUMNS.items()}
            whole = evaluate(model(), part, target="level", window=30).status
            assert each["errors"] == whole.errors.errors == status.errors.errors
            assert each["recent"] == {"rows": 30, "errors": whole.recent_errors.errors}
            assert (each["scored"], each["skipped"], each["evicted"]) == (rows - 1, 0, 0)


def test_several_targets_have_errors_of_each():
    found: list[StreamStatus] = []
    how: dict[str, Any] = {"predict_next": ["level", "noise"], "on_metrics": found.append}
    evaluate(model(), COLUMNS, **how, metrics_every=N)
    assert list(found[0].errors.targets) == ["level", "noise"]


def test_records_do_not_depend_on_how_the_stream_is_read(tmp_path, monkeypatch):
    """Metrics change no prediction; a run that was stopped writes the same records."""
    how: dict[str, Any] = {"predict_next": "level", "metrics_every": 45}
    plain = evaluate(model(), COLUMNS, predict_next="level")
    with open_sink(tmp_path / "whole.jsonl") as sink:
        whole = evaluate(model(), COLUMNS, **how, metrics=sink)
    assert whole.status.errors == plain.status.errors
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 50)
    answers = iter([False] * 9 + [True] * 99)
    with open_sink(tmp_path / "parts.jsonl") as sink:
        more: dict[str, Any] = {"checkpoint": tmp_path / "c", "stop": answers.__next__}
        first = evaluate(model(), COLUMNS, **how, metrics=sink, **more)
        names = json.loads((tmp_path / "whole.jsonl").read_text().splitlines()[0])
        sink.write({name: [0] for name in names})  # after the checkpoint
    assert first.stopped
    saved = read_checkpoint(tmp_path / "c")
    with open_sink(tmp_path / "parts.jsonl", start=saved.metrics_position) as sink:
        evaluate(saved.model, COLUMNS, **how, metrics=sink, resume=saved)
    assert lines(tmp_path / "parts.jsonl") == lines(tmp_path / "whole.jsonl")


def test_wrong_sinks_are_refused(tmp_path):
    same, table = tmp_path / "c.jsonl", open_sink(tmp_path / "m.csv")
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"metrics": "m.jsonl"}, "metrics is 'm.jsonl', expected a sink"),
        ({"metrics": lambda: 3}, "metrics is 3, expected a sink"),
        ({"metrics_every": 0}, "metrics_every is 0"),
        ({"metrics": table}, "expected a sink of format 'jsonl'"),
        (
            {"metrics": lambda: open_sink(same), "checkpoint": same},
            "expected another file",
        ),
    )
    for how, why in wrong:
        with case(how), pytest.raises(SettingError, match=why):
            evaluate(model(), COLUMNS, target="level", **{"metrics_every": 10, **how})
    table.close()
