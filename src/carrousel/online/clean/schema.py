"""The role of each field of a stream's rows: input, target, key, time, or ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from carrousel.checks import suggestion
from carrousel.errors import DataError, SettingError, UnknownNameError, escaped
from carrousel.online.clean.calendar import calendar_names, unit_of
from carrousel.online.clean.values import numbers as numbers_of
from carrousel.online.clean.values import shown, spells_number
from carrousel.online.sources.types import Batch

Kind = Literal["number", "label"]
Clock = Literal["number", "timestamp"]


@dataclass(frozen=True)
class Schema:
    """The roles of the fields of rows.

    Attributes:
        fields: names of all fields, in the source's order.
        numbers: names of the numeric inputs.
        categories: names of the categorical inputs, with the labels allowed; None: any label.
        targets: names of the targets, numbers if there are several; empty: rows have no target.
        target_kind: ``"number"`` or ``"label"``.
        target_labels: labels that the target may have; None: any label.
        key: name of the field that identifies a row's stream; None: all rows are one stream.
        time: name of the field of time, which must not decrease within a stream.
        clock: whether times are a ``"number"`` or a ``"timestamp"`` (ISO 8601).
        label_time: name of the field with the time at which a row's target becomes known, of the
            same kind as ``time``.
        calendar: seconds in the unit of the times, if they give inputs
            (:func:`carrousel.online.clean.calendar.calendar_columns`); 0: the unit is unknown, so
            that there are no cycles; None: they give no inputs.

    >>> Schema(fields=("a", "b", "c", "y"), numbers=("c", "a"), targets=("y",)).inputs
    ('a', 'c')
    """

    fields: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    target_kind: Kind = "number"
    target_labels: tuple[str, ...] | None = None
    key: str | None = None
    time: str | None = None
    clock: Clock = "number"
    calendar: float | None = None
    label_time: str | None = None

    @property
    def target(self) -> str | None:
        """Name of the first target; None: rows have no target."""
        return self.targets[0] if self.targets else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all inputs, in the order of the fields."""
        return tuple(each for each in self.fields if self.is_input(each))

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of the fields without a role."""
        roles = (*self.targets, self.key, self.time, self.label_time)
        return tuple(each for each in self.fields if not self.is_input(each) and each not in roles)

    def is_input(self, name: str) -> bool:
        return name in self.numbers or name in self.categories

    def as_dict(self) -> dict[str, Any]:
        """Return the schema as a value that JSON can hold."""
        written = asdict(self)
        written["categories"] = {
            name: None if known is None else list(known) for name, known in self.categories.items()
        }
        return written

    @staticmethod
    def from_dict(written: Mapping[str, Any]) -> Schema:
        """Create the schema that :meth:`as_dict` returned.

        Raises:
            DataError: the value is not a schema.
        """
        try:
            labels = written["target_labels"]
            single = written.get("target")  # in checkpoints of earlier versions
            targets = written.get("targets", () if single is None else (single,))
            return Schema(
                fields=tuple(written["fields"]),
                numbers=tuple(written["numbers"]),
                categories={
                    name: None if known is None else tuple(known)
                    for name, known in written["categories"].items()
                },
                targets=tuple(targets),
                target_kind=written["target_kind"],
                target_labels=None if labels is None else tuple(labels),
                key=written["key"],
                time=written["time"],
                clock=written["clock"],
                calendar=written.get("calendar"),
                label_time=written.get("label_time"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{written!r} is not a schema of rows") from error

    @staticmethod
    def of(
        batch: Batch,
        *,
        target: str | Sequence[str] | None = None,
        key: str | None = None,
        time: str | None = None,
        label_time: str | None = None,
        numbers: Sequence[str] = (),
        categories: Sequence[str] | Mapping[str, Sequence[str] | None] = (),
        ignore: Sequence[str] = (),
        inputs: Sequence[str] | None = None,
        calendar: bool = False,
    ) -> Schema:
        """Infer the schema from the first batch.

        The first value of a field that is not missing decides; words such as ``NA`` are passed
        over. If it is a number, or text that spells one, the field is numeric; any other text
        makes it a category. A number with a decimal comma is refused.

        Args:
            batch: at least one row.
            target, key, time, label_time: names of the fields that are not inputs; several targets
                are numbers.
            numbers: fields that are numeric whatever their first value is.
            categories: fields that are categories, such as codes written as numbers. A mapping
                gives the labels allowed; None: any label. The target may be in either.
            ignore: fields to leave out.
            inputs: the only inputs; None: all other fields.
            calendar: whether the times give inputs.

        Raises:
            UnknownNameError: a name is not a field; the nearest names are suggested.
            SettingError: a field has two roles.
            DataError: the batch has no rows, no field remains as an input, or a field holds lists.

        >>> from carrousel.online.sources.text import Position
        >>> batch = Batch(
        ...     range(2, 4), ("t", "x", "colour", "y"),
        ...     [("0", "1"), ("", "2.5"), ("red", "7"), ("1", "0")], (), Position(), "rows.csv",
        ... )
        >>> schema = Schema.of(batch, target="y", time="t")
        >>> schema.numbers, dict(schema.categories), schema.target_kind
        (('x',), {'colour': None}, 'number')
        """
        if not len(batch):
            raise DataError(f"{batch.name} has no rows, so the roles of its fields are unknown")
        fixed = (
            {name: None if known is None else tuple(known) for name, known in categories.items()}
            if isinstance(categories, Mapping)
            else dict.fromkeys(categories)
        )
        targets = (target,) if isinstance(target, str) else tuple(target or ())
        single = [*(("target", name) for name in targets), ("key", key), ("time", time)]
        single.append(("label_time", label_time))
        for role, names in (
            *((role, [name]) for role, name in single if name is not None),
            ("numbers", numbers),
            ("categories", list(fixed)),
            ("ignore", ignore),
            ("inputs", inputs or ()),
        ):
            check_known(role, names, batch)
        taken = {name: role for role, name in single if name is not None}
        if len(taken) < sum(name is not None for _, name in single):
            raise SettingError(
                f"target, key, time and label_time are {target!r}, {key!r}, {time!r} and "
                f"{label_time!r}, expected different columns"
            )
        _check_apart(taken, numbers, fixed, ignore, inputs)
        free = [name for name in batch.fields if name not in taken and name not in ignore]
        free = [name for name in free if inputs is None or name in inputs]
        if not free:
            raise DataError(f"{batch.name}: no field of {batch.fields} remains as an input")
        kinds = {name: _kind(batch, name, numbers, fixed) for name in free}
        target_kind: Kind = "number"
        for name in targets:
            target_kind = _kind(batch, name, numbers, fixed)
            if target_kind == "label" and len(targets) > 1:
                raise not_a_number(batch, name, "target")
        text = time is not None and _first(batch, time)
        clock: Clock = "number"
        if isinstance(text, str) and not spells_number(text):
            clock = "timestamp"
        unit = None
        if calendar and time is not None:
            unit = 1.0 if clock == "timestamp" else unit_of(numbers_of([text])[0][0])
            _check_calendar(batch, time, unit)
        return Schema(
            fields=batch.fields,
            numbers=tuple(name for name in free if kinds[name] == "number"),
            categories={name: fixed.get(name) for name in free if kinds[name] == "label"},
            targets=targets,
            target_kind=target_kind,
            target_labels=fixed.get(targets[0]) if targets else None,
            key=key,
            time=time,
            clock=clock,
            calendar=unit,
            label_time=label_time,
        )


def not_a_number(batch: Batch, name: str, argument: str) -> DataError:
    """Return the error for one of several columns to predict that holds texts."""
    return DataError(
        f"{batch.name}: column {name!r} holds {shown(_first(batch, name))}, expected a number, as "
        "several columns are predicted",
        argument=argument,
        fix=f"predict it alone, or leave it out of {{{argument}}}",
    )


_ABSENT = ("na", "n/a", "#n/a", "null", "none", "nil", "-", "?")
"""Words for missing values, in lower case."""


def check_known(role: str, names: Sequence[str], batch: Batch) -> None:
    """Raise UnknownNameError if a column of a role does not exist."""
    for name in names:
        if name not in batch.fields:
            raise UnknownNameError(
                argument=role,
                got=name,
                expected=f"a field of {batch.name}",
                fix=escaped(suggestion(name, batch.fields)),
            )


def _check_calendar(batch: Batch, time: str, unit: float) -> None:
    for name in calendar_names(time, bool(unit)):
        if name in batch.fields:
            raise SettingError(
                f"{batch.name} has a column {name!r}, which is the name of an input from the times",
                argument="calendar",
                fix="rename the column, or turn {calendar} off",
            )


def _check_apart(
    taken: Mapping[str, str],
    numbers: Sequence[str],
    categories: Mapping[str, object],
    ignore: Sequence[str],
    inputs: Sequence[str] | None,
) -> None:
    for name in (*ignore, *(inputs or ())):
        if name in taken:
            other = "ignore" if name in ignore else "inputs"
            raise SettingError(
                f"{name!r} is the {taken[name]}, so it cannot be in {other}",
                argument=other,
                got=name,
            )
    for first, second, both in (
        ("numbers", "categories", set(numbers) & set(categories)),
        ("ignore", "inputs", set(ignore) & set(inputs or ())),
        ("ignore", "numbers", set(ignore) & set(numbers)),
        ("ignore", "categories", set(ignore) & set(categories)),
    ):
        if both:
            raise SettingError(f"{min(both)!r} is in {first} and in {second}; take it out of one")


def _kind(batch: Batch, name: str, numbers: Sequence[str], fixed: Mapping[str, object]) -> Kind:
    if name in numbers or name in fixed:
        return "number" if name in numbers else "label"
    first = _first(batch, name)
    if isinstance(first, list | dict):
        raise DataError(
            f"{batch.name}: field {name!r} holds {shown(first)}, neither a number nor text",
            column=name,
            fix="leave it out with {ignore=" + escaped(name) + "}",
        )
    if isinstance(first, str) and first.count(",") == 1 and spells_number(first.replace(",", ".")):
        raise DataError(
            f"{batch.name}: field {name!r} begins with {shown(first)}, a number with a decimal "
            "comma",
            column=name,
            fix="write decimals with a point; if these are labels, name the field in {categories}",
        )
    return "number" if first is None or spells_number(first) else "label"


def _first(batch: Batch, name: str) -> Any:
    """Return the first value that is not missing, of a row that is not broken.

    Words such as ``NA`` count only if no other value follows.
    """
    broken, absent = {fault.row for fault in batch.faults}, None
    for row, value in enumerate(batch.columns[batch.fields.index(name)]):
        blank = isinstance(value, str) and not value.strip()
        if row in broken or value is None or blank:
            continue
        if not (isinstance(value, str) and value.strip().lower() in _ABSENT):
            return value
        absent = absent or value
    return absent
