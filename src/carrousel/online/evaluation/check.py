"""Checks of the arguments of :func:`carrousel.online.evaluate`, before anything is learned."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from carrousel.errors import SettingError
from carrousel.files import same_file
from carrousel.online.evaluation.checkpoint import Checkpoint
from carrousel.online.evaluation.plan import EvaluationPlan, names
from carrousel.online.model.model import OnlineLSTM
from carrousel.online.sinks.file import Sink
from carrousel.online.sources.types import RowSource


def check_types(
    columns: Mapping[str, object],
    *,
    sinks: Mapping[str, object],
    settings: object,
    resume: object,
) -> None:
    """Raise SettingError where an argument has the wrong type.

    Args:
        columns: names of arguments that name a column -> their values.
        sinks: names of arguments that are sinks -> their values.
        settings, resume: as given.
    """
    for name, given in columns.items():
        several = name in ("target", "predict_next") and isinstance(given, list | tuple)
        for column in given if several else (given,):  # type: ignore[union-attr]
            if not isinstance(column, str | None):
                raise SettingError(argument=name, got=given, expected="the name of a column")
    for name, sink in sinks.items():
        if sink is not None and not isinstance(sink, Sink) and not callable(sink):
            raise not_a_sink(sink, name)
    if resume is not None and not isinstance(resume, Checkpoint):
        raise SettingError(
            argument="resume",
            got=resume,
            expected="a checkpoint",
            fix="read it by carrousel.online.read_checkpoint",
        )
    try:
        json.dumps(settings)
        known = isinstance(settings, Mapping | None)
    except (TypeError, ValueError):
        known = False
    if not known:
        raise SettingError(
            argument="settings", got=settings, expected="a mapping of texts to values for JSON"
        )


def not_a_sink(got: object, argument: str) -> SettingError:
    """Return the error for something else than a sink."""
    return SettingError(
        argument=argument,
        got=got,
        expected="a sink, or a function that opens one",
        fix="open a file by carrousel.online.open_sink",
    )


def creator(model: OnlineLSTM | Callable[[str], OnlineLSTM]) -> Callable[[str], OnlineLSTM]:
    """Return a function that creates the model, or raises SettingError if there is none."""
    expected = "an OnlineLSTM, or a function that creates one for a task"

    def create(task: str) -> OnlineLSTM:
        made = model if isinstance(model, OnlineLSTM) else model(task)
        if not isinstance(made, OnlineLSTM):
            raise SettingError(
                f"the function returned {made!r}, expected an OnlineLSTM",
                argument="model",
                got=made,
            )
        return made

    if not callable(model) and not isinstance(model, OnlineLSTM):
        raise SettingError(argument="model", got=model, expected=expected)
    return create


def check_model(
    model: OnlineLSTM | Callable[[str], OnlineLSTM],
    task: str,
    key: str | None,
    resume: Checkpoint | None,
    label_time: str | None,
) -> None:
    """Raise SettingError where a model contradicts the columns, the task or the checkpoint."""
    if not isinstance(model, OnlineLSTM):
        return
    if label_time is not None and not model.delay:
        raise SettingError(
            f"targets become known at the times of column {label_time!r}, but the model keeps no "
            "rows that wait for them",
            argument="delay",
            got=0,
            expected="at least 1",
            fix="create the model with {delay}, the most rows of a key that wait",
        )
    if task not in ("auto", model.task):
        raise SettingError(
            argument="task", got=task, expected=f"{model.task!r}, the task of the model"
        )
    if key is not None and model.streams == 1:
        # Each row would evict the state of the row before, and no forecast could be scored.
        raise SettingError(
            f"rows have the key {key!r}, but the model holds a single stream",
            argument="streams",
            got=1,
            fix="create the model with {streams} of at least the number of keys",
        )
    if resume is not None and model is not resume.model:
        raise SettingError(
            "the model is not the one of the checkpoint to resume from",
            argument="model",
            got=model,
            expected="the attribute model of the checkpoint",
            fix="pass the attribute model of the checkpoint as {model}",
        )


def check_same(plan: EvaluationPlan, resume: Checkpoint) -> None:
    """Raise SettingError where a checkpoint was written with other columns or another window."""
    for name, value in plan.recorded().items():
        given = resume.settings.get(name)
        if name in ("ignore", "categories"):
            given, value = names(given), names(value)
        old = name == "calendar" and name not in resume.settings  # an earlier version: none
        if name != "task" and given != value and not old:
            raise SettingError(
                argument=name, got=value, expected=f"{given!r}, as when the checkpoint was written"
            )


def check_path(checkpoint: str | os.PathLike[str] | None, rows: object) -> Path | None:
    """Return the path of a checkpoint that can be written and is not the source.

    Raises:
        SettingError: it is a folder, or in none, or the file that ``rows`` reads.
    """
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, str | os.PathLike):
        raise SettingError(argument="checkpoint", got=checkpoint, expected="the path of a file")
    path = Path(checkpoint)
    if path.is_dir():
        raise SettingError(argument="checkpoint", got=str(path), expected="a file, not a folder")
    if not path.absolute().parent.is_dir():
        raise SettingError(
            argument="checkpoint",
            got=str(path),
            expected=f"a file in a folder that exists; {path.parent} does not",
        )
    if isinstance(rows, RowSource):
        check_other_file(path, rows)
    return path


def check_other_file(path: Path, other: RowSource | Sink) -> None:
    """Raise SettingError if the file of a checkpoint is that of a source or a sink."""
    if same_file(path, Path(other.name)):
        raise other_file(path, other.name, "written to" if isinstance(other, Sink) else "read")


def other_file(path: Path, name: str, use: str) -> SettingError:
    """Return the error about a checkpoint whose file is used for something else."""
    return SettingError(
        argument="checkpoint",
        got=str(path),
        expected=f"another file than {name}, which is {use}",
    )
