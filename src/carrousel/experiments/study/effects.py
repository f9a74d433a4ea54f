"""Effects of single fields: comparison of their levels with all other settings equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carrousel.experiments.judge.statistics import adjusted, logrank_p
from carrousel.experiments.judge.summary import published_as_json
from carrousel.experiments.store.settings import canonical
from carrousel.experiments.study.study import (
    Change,
    Outcome,
    Study,
    Variation,
    is_base,
    median_in_words,
    value_in_words,
)

HELD = ("budget", "stop.every", "stop.size")
"""Settings of the search itself, which are not compared: budget, interval and size of tests."""


@dataclass(frozen=True)
class Level:
    """One value of a field, with all other settings equal.

    Args:
        value: the value, as plain JSON.
        outcome: statistics of its trials.
        default: whether it is the row's value.
        p: p-value of the log-rank test against the row's value; None for the row's value itself,
            or if that has no trials.
        p_adjusted: the p-value, adjusted for the number of levels compared in the study.
    """

    value: Any
    outcome: Outcome
    default: bool = False
    p: float | None = None
    p_adjusted: float | None = None


@dataclass(frozen=True)
class Effect:
    """Effect of a field, with all other settings equal.

    Args:
        path: path of the field.
        levels: its values in ascending order, at least two.
        held: other settings that all levels change.
    """

    path: str
    levels: tuple[Level, ...]
    held: tuple[Change, ...] = ()

    @property
    def title(self) -> str:
        """The field, and the other settings that all levels change."""
        return f"{self.path} with {' '.join(map(str, self.held))}" if self.held else self.path

    def changed(self) -> list[str]:
        """One sentence per level, compared with the row's value if that is among the levels."""
        own = next((level for level in self.levels if level.default), None)
        return [_changed(own, level) for level in self.levels if not level.default]

    def sentences(self) -> list[str]:
        """The sentences of :meth:`changed` with the field's name, after the shared changes."""
        shared = [f"{self.title}:"] if self.held else []
        return [*shared, *(f"{self.path}: {each}" for each in self.changed())]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "path": self.path,
            "held": {one.path: one.value for one in self.held},
            "levels": [
                {
                    "value": one.value,
                    "default": one.default,
                    "p": one.p,
                    "p_adjusted": one.p_adjusted,
                    **one.outcome.as_json(),
                }
                for one in self.levels
            ],
        }


def effects(study: Study) -> tuple[Effect, ...]:
    """Compute the effect of each field that was varied with all other settings equal.

    Searches have smaller budgets than the row, and often further changes. So variations are
    compared with each other rather than with the row alone. Variations that differ in a single
    field form a group. For each field, one group is chosen: one with a solved trial, if any, then
    the one with the most levels, then with the most trials. :data:`HELD` fields and recipes are not
    compared.

    P-values are those of the log-rank test, which treats unsolved trials as censored. They are
    adjusted for the number of levels after Benjamini & Hochberg.
    """
    default = {change.path: change.default for one in study.variations for change in one.changes}
    chosen = _largest(_groups(study, default))
    tests = {path: _tested(path, group) for path, group in chosen.items()}
    known = [p for tested in tests.values() for _, p in tested if p is not None]
    raised = iter(adjusted(known))
    found = []
    for path, tested in tests.items():
        levels = [
            Level(
                _value(path, one, default),
                one.outcome,
                default=_is_default(path, one),
                p=p,
                p_adjusted=None if p is None else next(raised),
            )
            for one, p in tested
        ]
        held = tuple(change for change in tested[0][0].changes if change.path != path)
        found.append(Effect(path, tuple(sorted(levels, key=_ascending)), held))
    return tuple(found)


_Group = dict[str, Variation]
"""Variations that differ in one field, by its value in canonical JSON."""


def _groups(study: Study, default: Mapping[str, Any]) -> dict[str, list[_Group]]:
    """Groups of variations that differ in one field alone, by field."""
    known = [one for one in study.variations if one.complete and (is_base(one) or _is_varied(one))]
    found: dict[str, list[_Group]] = {}
    for path in sorted(default.keys() - set(HELD)):
        groups: dict[tuple[tuple[str, str], ...], _Group] = {}
        for one in known:
            rest = tuple((c.path, canonical(c.value)) for c in one.changes if c.path != path)
            group, level = groups.setdefault(rest, {}), canonical(_value(path, one, default))
            if level not in group or len(group[level].trials) < len(one.trials):
                group[level] = one
        found[path] = [group for group in groups.values() if len(group) > 1]
    return found


def _largest(groups: dict[str, list[_Group]]) -> dict[str, _Group]:
    def rank(group: _Group) -> tuple[bool, int, int, int]:
        solved = any(one.outcome.solved for one in group.values())
        trials = sum(len(one.trials) for one in group.values())
        return solved, len(group), trials, -min(len(one.changes) for one in group.values())

    return {path: max(found, key=rank) for path, found in groups.items() if found}


def _tested(path: str, group: _Group) -> list[tuple[Variation, float | None]]:
    own = next((one for one in group.values() if _is_default(path, one)), None)
    return [
        (one, logrank_p(own.counts, one.counts) if own and one is not own else None)
        for one in group.values()
    ]


def _is_varied(one: Variation) -> bool:
    """Whether the label lists the changes; the label of a recipe is its name."""
    return bool(one.changes) and one.label == " ".join(map(str, one.changes))


def _is_default(path: str, one: Variation) -> bool:
    return all(change.path != path for change in one.changes)


def _value(path: str, one: Variation, default: Mapping[str, Any]) -> Any:
    return next((change.value for change in one.changes if change.path == path), default[path])


def _ascending(level: Level) -> tuple[bool, float, str]:
    number = isinstance(level.value, int | float)
    return number, float(level.value) if number else 0.0, value_in_words(level.value)


def _changed(own: Level | None, level: Level) -> str:
    text = f"{value_in_words(level.value)} solved {_solved(level.outcome)}"
    if own is None:
        return f"{text}, median {median_in_words(level.outcome)}"
    test = "" if level.p_adjusted is None else f", p = {level.p_adjusted:.2g}"
    return (
        f"{value_in_words(own.value)} → {text} (was {_solved(own.outcome)}), "
        f"median {median_in_words(level.outcome)} (was {median_in_words(own.outcome)}){test}"
    )


def _solved(found: Outcome) -> str:
    return f"{found.solved} of {found.trials}"


def study_as_json(study: Study) -> dict[str, Any]:
    """A study and its effects as plain values for JSON."""
    return {
        "name": study.experiment.name,
        "title": study.experiment.title,
        "published": published_as_json(study.experiment.published),
        "trials_of_other_code": study.other_code,
        "variations": [one.as_json() for one in study.variations],
        "effects": [one.as_json() for one in effects(study)],
    }
