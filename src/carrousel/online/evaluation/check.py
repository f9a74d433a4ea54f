"""Checks of the arguments of :func:`carrousel.online.evaluate`, before anything is learned."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from carrousel.errors import SettingError
from carrousel.files import same_file
from carrousel.online.evaluation.checkpoint import Checkpoint
from carrousel.online.evaluation.plan import EvaluationPlan, names
from carrousel.online.model.model import OnlineLSTM
from carrousel.online.sinks.file import Sink
from carrousel.online.sources.types import RowSource


def check_model(
    model: OnlineLSTM | Callable[[str], OnlineLSTM],
    task: str,
    key: str | None,
    resume: Checkpoint | None,
) -> None:
    """Raise SettingError where a model contradicts the task, the key or the checkpoint."""
    if not isinstance(model, OnlineLSTM):
        return
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
        if name != "task" and given != value:
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
        use = "written to" if isinstance(other, Sink) else "read"
        raise SettingError(
            argument="checkpoint",
            got=str(path),
            expected=f"another file than {other.name}, which is {use}",
        )
