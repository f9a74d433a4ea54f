"""Variations of an experiment: the same row with some settings replaced.

A setting is named by its path in the description, such as ``training.rate`` or
``network.init.range``. The end of a path is enough if it is unique: ``rate`` or ``init.range``.

A variation is an experiment whose name lists the replaced settings. So its trials have their own
random numbers, and are stored separately from those of the row.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import product
from typing import Any

from carrousel.checks import suggestion
from carrousel.contracts import Experiment, Reading
from carrousel.errors import CarrouselError, SettingError, UnknownNameError
from carrousel.experiments.store.settings import WORDS, canonical, describe

_FIXED = ("name", *WORDS)
"""Fields of an experiment that cannot be varied."""


def paths_of(experiment: Experiment) -> dict[str, Any]:
    """Return the values of all settings of an experiment by path.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> paths_of(EXPERIMENTS["4-1"])["training.rate"]
    0.5
    """
    return {path: value for path, value in _leaves(experiment) if path not in _FIXED}


def full_path(experiment: Experiment, name: str) -> str:
    """Return the path that a name stands for: the name itself, or the only path that ends with it.

    Raises:
        UnknownNameError: no path ends with the name.
        SettingError: several paths end with the name.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> full_path(EXPERIMENTS["4-1"], "init.range")
    'network.init.range'
    """
    paths = list(paths_of(experiment))
    if name in paths:
        return name
    meant = [path for path in paths if path.endswith(f".{name}")]
    if not meant:
        raise UnknownNameError(
            f"{experiment.name} has no setting {name!r}",
            got=name,
            fix=suggestion(name, _short(paths)),
        )
    if len(meant) > 1:
        raise SettingError(
            f"{name!r} is ambiguous", got=name, fix=f"write {' or '.join(meant)} in full"
        )
    return meant[0]


def varied(experiment: Experiment, changes: Mapping[str, object]) -> Experiment:
    """Return the experiment with settings replaced and listed in its name.

    Values equal to those of the row are ignored. If no other value is left, the row itself is
    returned. A variation of a variation is named as if all settings had been changed at once.

    Args:
        experiment: a row, or a variation of one.
        changes: new values by path or unique end of a path. Lists become tuples. Where the row has
            a string, other values become compact JSON, so ``h=[-2,2]`` needs no quotes.

    Raises:
        UnknownNameError: there is no such setting, or a value is not one of its choices.
        SettingError: a value is not allowed, or contradicts the others.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> varied(EXPERIMENTS["4-1"], {"rate": 0.25}).name
    '4-1 training.rate=0.25'
    """
    now = paths_of(experiment)
    wanted = {full_path(experiment, name): value for name, value in changes.items()}
    fitting = {path: _fitting(path, value, now[path]) for path, value in wanted.items()}
    new = {path: value for path, value in fitting.items() if not _same(value, now[path])}
    if not new:
        return experiment
    return renamed(experiment, new, _name_of(experiment.name, new), "varied in a study")


def renamed(
    experiment: Experiment,
    changes: Mapping[str, object],
    name: str,
    why: str,
    departs: Collection[str] = (),
) -> Experiment:
    """Return the experiment with settings replaced by full path, under a given name.

    Each change becomes a reading with the reason ``why``, which replaces the row's readings of that
    setting. ``training`` may be replaced as a whole. Changes whose paths are in ``departs``
    contradict the paper's text.

    Raises:
        UnknownNameError: a value is not one of the choices of its setting.
        SettingError: a value is not allowed, or contradicts the others. The error's ``source`` is
            the experiment with its changes.
    """
    source = f"{experiment.name} with {label_of(changes)}"
    try:
        changed = _replaced(experiment, changes)
    except CarrouselError as error:
        raise error.recast(type(error), source=source) from error
    except (TypeError, ValueError) as error:  # raised by a class that does not check its values
        raise SettingError(f"a value has the wrong type ({error})", source=source) from error
    new = tuple(
        Reading(path, _text(value), why, departs=path in departs) for path, value in changes.items()
    )
    kept = tuple(
        each
        for each in experiment.readings
        if not any(f"{each.field}.".startswith(f"{path}.") for path in changes)
    )
    return replace(changed, name=name, readings=(*kept, *new))


def label_of(changes: Mapping[str, object]) -> str:
    """Return changes as one line, sorted by path.

    >>> label_of({"training.rate": 0.5, "network.bias": "all"})
    'network.bias=all training.rate=0.5'
    """
    return " ".join(f"{path}={_text(changes[path])}" for path in sorted(changes))


def grid(experiment: Experiment, levels: Mapping[str, Iterable[object]]) -> list[Experiment]:
    """Return the variations of an experiment for all combinations of levels, each once.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> points = grid(EXPERIMENTS["4-1"], {"rate": [0.5, 1.0], "update": ["sequence", "epoch"]})
    >>> [point.name for point in points][:2]
    ['4-1', '4-1 training.update=epoch']
    """
    values = [list(each) for each in levels.values()]
    points = [
        varied(experiment, dict(zip(levels, choice, strict=True))) for choice in product(*values)
    ]
    return list({point.name: point for point in points}.values())


def levels_from(text: str) -> tuple[str, list[object]]:
    """Parse ``FIELD=a,b,c``; a value that is not JSON is a string.

    Raises:
        SettingError: there is no ``=``, no field or no value.

    >>> levels_from("training.update=step,sequence")
    ('training.update', ['step', 'sequence'])
    >>> levels_from("input_gate_bias=[-1,-2],[]")
    ('input_gate_bias', [[-1, -2], []])
    """
    field, sign, values = text.partition("=")
    parts = list(_split(values))
    if not field.strip() or not sign or not all(parts):
        raise SettingError(
            f"{text!r} cannot be read, expected FIELD=value,value,... such as "
            "training.rate=0.1,0.5",
            got=text,
        )
    return field.strip(), [_value(part) for part in parts]


def _replaced(thing: Any, changes: Mapping[str, object]) -> Any:
    here = {path: value for path, value in changes.items() if "." not in path}
    below: dict[str, dict[str, object]] = {}
    for path, value in changes.items():
        head, dot, rest = path.partition(".")
        if dot:
            below.setdefault(head, {})[rest] = value
    inside = {head: _replaced(getattr(thing, head), rest) for head, rest in below.items()}
    return replace(thing, **here, **inside)


def _leaves(thing: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for field in fields(thing):
        value, name = getattr(thing, field.name), f"{path}{field.name}"
        if name in _FIXED:
            continue
        if is_dataclass(value):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _short(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*paths, *(path.rpartition(".")[2] for path in paths)]))


def _same(value: object, other: object) -> bool:
    return canonical(describe(value)) == canonical(describe(other))


def _name_of(name: str, new: Mapping[str, object]) -> str:
    """The name of a variation; earlier changes are read from the name of the experiment."""
    words = name.split(" ")
    row = [word for word in words if "=" not in word]
    before = {word.partition("=")[0]: word for word in words if "=" in word}
    all_of_it = before | {path: label_of({path: value}) for path, value in new.items()}
    return " ".join([*row, *(all_of_it[path] for path in sorted(all_of_it))])


def _fitting(path: str, value: object, now: object) -> object:
    """Convert a value to the type of the setting's present value."""
    if isinstance(now, str):
        return value if isinstance(value, str) else canonical(describe(value))
    if isinstance(now, bool) and not isinstance(value, bool):
        raise SettingError(argument=path, got=value, expected="true or false")
    if isinstance(now, tuple) and not isinstance(value, list | tuple):
        raise SettingError(argument=path, got=value, expected="a list such as [-1,-2]")
    if isinstance(now, int) and isinstance(value, float) and value.is_integer():
        return int(value)  # a budget of 1e5
    return _frozen(value)


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if is_dataclass(value):
        return f"{value!r}"
    return canonical(describe(value))


def _split(values: str) -> Iterator[str]:
    """Split at commas outside brackets and quotes."""
    part, depth, quoted = "", 0, False
    for sign in values:
        quoted ^= sign == '"'
        depth += 0 if quoted else (sign == "[") - (sign == "]")
        if sign == "," and depth == 0 and not quoted:
            yield part.strip()
            part = ""
        else:
            part += sign
    yield part.strip()


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
