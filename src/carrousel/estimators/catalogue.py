"""The estimators by task, and files that hold any of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from carrousel.checks import check_choice
from carrousel.errors import CheckpointError
from carrousel.estimators.saving import class_in

TASKS: Mapping[str, tuple[str, str]] = {
    "class": ("carrousel.estimators.classifier", "LSTMClassifier"),
    "value": ("carrousel.estimators.regressor", "LSTMRegressor"),
    "tags": ("carrousel.estimators.tagger", "LSTMTagger"),
    "forecast": ("carrousel.estimators.forecaster", "LSTMForecaster"),
}
"""Task -> module and class: a class or values of a series, a label of each step, next values."""


def estimator_class(task: str) -> Any:
    """Return the class of the estimator for a task.

    Raises:
        UnknownNameError: ``task`` is not among :data:`TASKS`.

    >>> estimator_class("class").__name__
    'LSTMClassifier'
    """
    module, name = TASKS[check_choice("task", task, TASKS)]
    return getattr(import_module(module), name)


def task_of(model: Any) -> str:
    """Return the task of an estimator.

    >>> task_of(estimator_class("class")())
    'class'
    """
    names = {name: task for task, (_, name) in TASKS.items()}
    return names[type(model).__name__]


def load_model(path: str | os.PathLike[str]) -> Any:
    """Read a fitted estimator, whichever wrote the file. No code in the file is executed.

    Raises:
        CheckpointError: the file is of another kind, damaged, or of a newer version.
        FileNotFoundError: the file does not exist.
    """
    name = class_in(path)
    for task, (_, known) in TASKS.items():
        if known == name:
            return estimator_class(task).load(path)
    raise CheckpointError(
        f"{path} contains a model of the unknown class {name!r}",
        argument="path",
        got=os.fspath(path),
        reason="newer",
        fix="update carrousel to read it",
    )
