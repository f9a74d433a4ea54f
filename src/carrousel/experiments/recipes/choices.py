"""Settings of an experiment that can be varied, and the values with which it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from carrousel.contracts import GROUPS, SQUASHES, UNIT_SETS, Cell, Experiment
from carrousel.errors import CarrouselError, SettingError
from carrousel.experiments.recipes.vary import paths_of, varied
from carrousel.learners import LEARNERS, learner_named

_UNITS = (*UNIT_SETS, *GROUPS)
_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "learner": (*LEARNERS, "adam"),
        "network.bias": _UNITS,
        "network.feedback": _UNITS,
        "network.feedback_into": _UNITS,
        "network.cell.g": tuple(SQUASHES),
        "network.cell.h": tuple(SQUASHES),
        "training.gradient": (
            "truncated",
            "immediate",
            "bptt",
            "rtrl",
            "sparse:4",
            "snap:1",
            "uoro",
        ),
    }
)
"""Values of settings that are strings, but no literals."""

_OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "learner": "or bptt:h, bptt:h:k, sparse:k, snap:n",
        "network.bias": "or several, joined by +",
        "network.feedback": "or several, joined by +",
        "network.feedback_into": "or several, joined by +",
        "training.gradient": "or bptt:h, bptt:h:k, sparse:k, snap:n",
    }
)
"""Descriptions of further values of these settings."""

_ALONG: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "network.cell.blocks": {
            f"network.init.{gate}_gate_bias": () for gate in ("input", "forget", "output")
        }
    }
)
"""Settings that must change along: there is one initial gate bias for each block."""


@dataclass(frozen=True)
class Choice:
    """A setting that can be varied.

    Args:
        path: the setting.
        value: its value in the experiment.
        values: values with which the experiment runs, if they can be listed; else ().
        others: further allowed values in words, such as ``"a number"``.
    """

    path: str
    value: Any
    values: tuple[Any, ...]
    others: str


def choices_of(experiment: Experiment) -> list[Choice]:
    """Return the settings of an experiment of which another value runs, with such values.

    Each value is tried by itself, with all other settings as they are. Whether a number or a list
    runs is decided by a few examples.

    Args:
        experiment: a row, or a variation of one.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> found = {each.path: each for each in choices_of(EXPERIMENTS["2a"])}
    >>> found["training.update"].values, found["network.init.range"].others
    (('step', 'sequence', 'epoch'), 'a number')
    >>> "network.n_inputs" in found, "network.init.recurrent_range" in found
    (False, False)
    """
    paths = paths_of(experiment)
    return [each for path, value in paths.items() for each in _choice(experiment, path, value)]


def check_runs(experiment: Experiment) -> None:
    """Raise if an experiment cannot run: its sizes are not the task's, or its learner refuses it.

    Raises:
        SettingError: a value is not allowed, or contradicts the others. The error's ``source`` is
            the name of the experiment.
        UnknownNameError: the learner is unknown.
    """
    task, network = experiment.task, experiment.network
    for what in ("n_inputs", "n_outputs"):
        theirs, ours = getattr(task, what), getattr(network, what)
        if theirs != ours:
            raise SettingError(
                argument=f"network.{what}",
                got=ours,
                expected=f"{theirs}, as the task has",
                source=experiment.name,
            )
    try:
        learner_named(experiment.learner)(network, experiment.training, 1)
    except CarrouselError as error:
        raise error.recast(type(error), source=experiment.name) from error


def _choice(experiment: Experiment, path: str, value: Any) -> Iterator[Choice]:
    hint = _hint(experiment, path)
    kinds = _kinds(hint)
    listed = [each for kind in kinds for each in _listed(path, kind)]
    if listed:
        listed += [None] * (type(None) in kinds)
        values = tuple(each for each in listed if _runs(experiment, {path: each}))
        if any(each != value for each in values):
            several = path == "learner" or isinstance(experiment.network.cell, Cell)
            yield Choice(path, value, values, _OTHERS.get(path, "") if several else "")
        return
    along = _ALONG.get(path, {})
    known = {name: each for name, each in along.items() if name in paths_of(experiment)}
    words, examples = _examples(experiment, hint, value)
    for example, more in product(examples, ({}, known)):
        if example != value and _runs(experiment, {**more, path: example}):
            yield Choice(path, value, (), words)
            return


def _listed(path: str, kind: Any) -> Sequence[Any]:
    """All values of a setting by its type, or the names that it may have."""
    if kind is str:
        return _NAMES.get(path, ())
    if get_origin(kind) is Literal:
        return get_args(kind)
    if kind is bool:
        return (True, False)
    return ()


def _examples(experiment: Experiment, hint: Any, value: Any) -> tuple[str, Sequence[Any]]:
    """What a number or a list of numbers may be, in words, and some examples."""
    kinds = _kinds(hint)
    absent = " or null" if type(None) in kinds else ""
    if float in kinds:
        now = value or 0.0
        return f"a number{absent}", (now / 2, now + 1.0, 0.1, 0.0, -1.0)
    if int in kinds:
        now = value or 0
        return f"a whole number{absent}", (now + 1, now - 1, 2 * now, 100)
    if get_origin(hint) is tuple and get_args(hint)[0] is float:
        blocks = getattr(experiment.network.cell, "blocks", 1)
        return f"a list of {blocks}, or []", ((), (-1.0,) * blocks, (-2.0,) * blocks)
    return "", ()


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _hint(experiment: Experiment, path: str) -> Any:
    """The type of a setting."""
    *parents, name = path.split(".")
    owner: Any = experiment
    for each in parents:
        owner = getattr(owner, each)
    return get_type_hints(type(owner))[name]


def _runs(experiment: Experiment, changes: Mapping[str, Any]) -> bool:
    try:
        check_runs(varied(experiment, changes))
    except CarrouselError:
        return False
    return True
