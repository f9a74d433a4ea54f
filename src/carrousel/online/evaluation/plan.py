"""What an evaluation predicts, and the roles of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from carrousel.checks import check_choice, check_int
from carrousel.errors import SettingError
from carrousel.online.clean.cleaner import ON_ERROR, OnError
from carrousel.online.clean.rows import CleanRows
from carrousel.online.clean.schema import Schema, check_known, not_a_number
from carrousel.online.model.delays import LabelTimes
from carrousel.online.model.settings import Task
from carrousel.online.sources.types import Batch

TaskChoice = Task | Literal["auto"]
"""A task of a model, or the choice of one by the first row."""
TASKS: tuple[TaskChoice, ...] = ("auto", *get_args(Task))
WINDOW = 1000
"""Default number of rows that recent errors and anomaly scores are computed from."""
CHECKPOINT_EVERY = 30.0
"""Default number of seconds between two checkpoints."""


@dataclass(frozen=True)
class EvaluationPlan:
    """What to predict from which columns; see :func:`carrousel.online.evaluate`."""

    target: str | tuple[str, ...] | None = None
    predict_next: str | tuple[str, ...] | None = None
    task: TaskChoice = "auto"
    key: str | None = None
    time: str | None = None
    ignore: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    on_error: OnError = "fail"
    anomaly: bool = False
    window: int = WINDOW
    calendar: bool = True
    level: float | None = None
    label_time: str | None = None

    def __post_init__(self) -> None:
        if (self.target is None) == (self.predict_next is None):
            many = self.target is not None
            raise SettingError(
                "two columns to predict were given" if many else "no column to predict was given",
                fix="give {target}, to predict it from the others of its row, or {predict_next}, "
                "to predict its next value" + ", not both" * many,
            )
        check_choice("task", self.task, TASKS)
        check_choice("on_error", self.on_error, ON_ERROR)
        check_int("window", self.window, minimum=1)
        if not isinstance(self.calendar, bool):
            raise SettingError(argument="calendar", got=self.calendar, expected="True or False")
        if self.task == "next" and self.predict_next is None:
            raise SettingError("task 'next' has no target", fix="give {predict_next}, not {target}")
        if len(self.columns) > 1 and self.task not in ("auto", "regression"):
            raise SettingError(
                f"task {self.task!r} has one target, but {len(self.columns)} columns to predict "
                "were given",
                fix="give one column, or {task=regression}",
            )
        if self.label_time is not None and (self.target is None or self.time is None):
            raise SettingError(
                "targets become known at label times, which are compared with the times of rows",
                argument="label_time",
                got=self.label_time,
                fix="give {target} and {time} too",
            )
        roles: dict[str, str] = {}
        for role in ("target", "predict_next", "key", "time", "label_time"):
            given = getattr(self, role)
            for column in given if isinstance(given, tuple) else (given,):
                if column in roles:
                    raise SettingError(
                        f"column {column!r} has two roles",
                        fix=f"give {{{roles[column]}}} and {{{role}}} different columns",
                    )
                if column is not None:
                    roles[column] = role
        for column in self.ignore:
            if column in roles:
                raise SettingError(
                    f"column {column!r} is left out, but has a role",
                    fix=f"remove it from {{ignore}}, or give {{{roles[column]}}} another column",
                )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are predicted; several are numbers."""
        given = self.target if self.predict_next is None else self.predict_next
        return given if isinstance(given, tuple) else (given or "",)

    @property
    def column(self) -> str:
        """The first column that is predicted."""
        return self.columns[0]

    @property
    def late(self) -> bool:
        """Whether the next value of a column is predicted."""
        return self.predict_next is not None

    def recorded(self) -> dict[str, Any]:
        """Return what must not change when an evaluation is resumed, as JSON can hold it."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        del found["on_error"]
        for name in ("target", "predict_next"):
            found[name] = list(found[name]) if isinstance(found[name], tuple) else found[name]
        return found | {name: ",".join(found[name]) or None for name in ("ignore", "categories")}

    def schema(self, batch: Batch) -> tuple[Schema, str]:
        """Infer the schema of rows and the task from the first batch.

        Raises:
            UnknownNameError: a column does not exist.
        """
        column, task = self.column, self.task
        role = "predict_next" if self.late else "target"
        check_known(role, self.columns, batch)
        categories = list(self.categories)
        if task in ("binary", "multiclass", "next") and column not in categories:
            categories.append(column)
        schema = Schema.of(
            batch,
            target=self.target,
            key=self.key,
            time=self.time,
            label_time=self.label_time,
            numbers=self.columns if task == "regression" else (),
            categories=categories,
            ignore=self.ignore,
            inputs=(column,) if task == "next" else None,
            calendar=self.calendar and task != "next",
        )
        for name in self.columns if len(self.columns) > 1 and self.late else ():
            if name not in schema.numbers:
                raise not_a_number(batch, name, role)
        if task == "auto":
            number = column in schema.numbers if self.late else schema.target_kind == "number"
            alone = self.late and schema.inputs == (column,)
            task = "regression" if number else "next" if alone else "multiclass"
        return (replace(schema, calendar=None) if task == "next" else schema), task

    def arguments(
        self, clean: CleanRows, task: str, rows: slice
    ) -> tuple[Any, Any, list[str | None] | None, LabelTimes | None]:
        """Return inputs, targets, keys and label times of some rows, as a model takes them."""
        columns = {name: values[rows] for name, values in clean.columns.items()}
        y: Any
        if clean.targets is not None:
            y = clean.targets[rows]
        elif len(self.columns) > 1:
            y = np.column_stack([columns[name] for name in self.columns])
        else:
            y = columns[self.column]
        x = y if task == "next" else columns
        keys = None if self.key is None or clean.keys is None else clean.keys[rows]
        label_times = None
        if clean.times is not None and clean.label_times is not None:
            label_times = LabelTimes(clean.times[rows], clean.label_times[rows])
        return x, y, keys, label_times


def one_or_several(given: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    """Return the name of a column as a text, several as a tuple.

    >>> one_or_several(["a"]), one_or_several(("a", "b")), one_or_several(None)
    ('a', ('a', 'b'), None)
    """
    if given is None or isinstance(given, str):
        return given
    found = tuple(given)
    return found if len(found) > 1 else found[0] if found else None


def names(listed: str | Sequence[str] | None, argument: str = "") -> tuple[str, ...]:
    """Return the names of a list, or of a text such as ``a,b,c``.

    Raises:
        SettingError: it is something else; ``error.argument`` is ``argument``.

    >>> names("a, b"), names(["a", "b, c"]), names(None)
    (('a', 'b'), ('a', 'b, c'), ())
    """
    if isinstance(listed, str):
        return tuple(name.strip() for name in listed.split(",")) if listed else ()
    if listed is None:
        return ()
    found = tuple(listed) if isinstance(listed, Iterable) else (listed,)
    if not all(isinstance(name, str) for name in found):
        raise SettingError(argument=argument, got=listed, expected="names of columns")
    return found
