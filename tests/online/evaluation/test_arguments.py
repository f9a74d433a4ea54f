"""The function `evaluate`: wrong arguments are named before anything is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.errors import (
    SettingError,
    ShapeError,
    StoreError,
    UnknownNameError,
)
from carrousel.online import (
    evaluate,
    open_rows,
    open_sink,
)
from support.online.rows import COLUMNS, dicts, model, write


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
    why = r"another file than .*out.csv, which is writ"
    with open_sink(out) as sink, pytest.raises(SettingError, match=why):
        evaluate(learner, COLUMNS, target="level", sink=sink, checkpoint=out)
    with pytest.raises(SettingError, match=why):
        evaluate(learner, COLUMNS, target="level", sink=lambda: open_sink(out), checkpoint=out)
    assert learner.n_steps_ == 0
    assert path.read_bytes() == before
    evaluate(learner, COLUMNS, target="level", checkpoint=tmp_path / "rows")


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


def test_keys_need_a_model_of_several_streams():
    with pytest.raises(SettingError, match="the model holds a single stream; create the model"):
        evaluate(model(), COLUMNS, predict_next="level", key="pump")


def test_a_path_is_not_taken_for_rows():
    with pytest.raises(ShapeError, match=r"rows is 'pumps.csv', .* by carrousel.online.open_rows"):
        evaluate(model(), "pumps.csv", predict_next="level")  # pyright: ignore[reportArgumentType]


def test_arguments_of_wrong_types_are_named():
    learner = model(streams=2)
    for argument, value in (
        *(("target", 3), ("key", 3), ("time", 3), ("ignore", 5), ("ignore", [5])),
        *(("categories", 5), ("model", None), ("model", 5), ("model", lambda task: None)),
        *(("rows", None), ("rows", 5), ("rows", {"level": 3.0, "x": 3.0})),
        *(("rows", {"level": np.array(3.0)}), ("sink", "out.csv"), ("sink", lambda: None)),
        *(("resume", "h.ckpt"), ("settings", {"a": object()}), ("settings", [1])),
        ("checkpoint", 5),
    ):
        how: dict[str, Any] = {"model": learner, "rows": COLUMNS, "target": "level"}
        with pytest.raises((SettingError, ShapeError), match="expected") as raised:
            evaluate(**{**how, argument: value})
        assert raised.value.argument == argument, (argument, value)
    assert learner.n_steps_ == 0
