"""What an evaluation predicts, and the roles of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from carrousel.checks import check_choice, check_int, suggestion
from carrousel.errors import SettingError, UnknownNameError, escaped
from carrousel.online.clean.cleaner import ON_ERROR, OnError
from carrousel.online.clean.schema import Schema
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

    target: str | None = None
    predict_next: str | None = None
    task: TaskChoice = "auto"
    key: str | None = None
    time: str | None = None
    ignore: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    on_error: OnError = "fail"
    anomaly: bool = False
    window: int = WINDOW

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
        if self.task == "next" and self.predict_next is None:
            raise SettingError("task 'next' has no target", fix="give {predict_next}, not {target}")
        roles: dict[str, str] = {}
        for role in ("target", "predict_next", "key", "time"):
            column = getattr(self, role)
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
    def column(self) -> str:
        """The column that is predicted."""
        return self.target or self.predict_next or ""

    @property
    def late(self) -> bool:
        """Whether the next value of a column is predicted."""
        return self.predict_next is not None

    def recorded(self) -> dict[str, Any]:
        """Return what must not change when an evaluation is resumed, as JSON can hold it."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        del found["on_error"]
        return found | {name: ",".join(found[name]) or None for name in ("ignore", "categories")}

    def schema(self, batch: Batch) -> tuple[Schema, str]:
        """Infer the schema of rows and the task from the first batch.

        Raises:
            UnknownNameError: a column does not exist.
        """
        column, task = self.column, self.task
        if column not in batch.fields:
            raise UnknownNameError(
                argument="predict_next" if self.late else "target",
                got=column,
                expected=f"a field of {batch.name}",
                fix=escaped(suggestion(column, batch.fields)),
            )
        categories = list(self.categories)
        if task in ("binary", "multiclass", "next") and column not in categories:
            categories.append(column)
        schema = Schema.of(
            batch,
            target=self.target,
            key=self.key,
            time=self.time,
            numbers=(column,) if task == "regression" else (),
            categories=categories,
            ignore=self.ignore,
            inputs=(column,) if task == "next" else None,
        )
        if task == "auto":
            number = column in schema.numbers if self.late else schema.target_kind == "number"
            alone = self.late and schema.inputs == (column,)
            task = "regression" if number else "next" if alone else "multiclass"
        return schema, task


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
