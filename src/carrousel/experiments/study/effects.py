"""What a single field of a row does: its levels, everything else the same, compared."""

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
"""Settings of the search itself: how long, and how often and how largely it was tested."""


@dataclass(frozen=True)
class Level:
    """One value of a field, everything else the same.

    Args:
        value: the value, as plain JSON.
        outcome: what the trials came to.
        default: whether it is the row's own value.
        p: log-rank test against the row's own value; ``None`` for that itself, or without it.
        p_adjusted: the same, corrected for the number of levels compared in the study.
    """

    value: Any
    outcome: Outcome
    default: bool = False
    p: float | None = None
    p_adjusted: float | None = None


@dataclass(frozen=True)
class Effect:
    """What a field does where all other settings are the same.

    Args:
        path: the field.
        levels: its values in ascending order, at least two.
        held: other settings in which all of these differ from the row.
    """

    path: str
    levels: tuple[Level, ...]
    held: tuple[Change, ...] = ()

    @property
    def title(self) -> str:
        """The field, and in what all levels differ from the row."""
        return f"{self.path} with {' '.join(map(str, self.held))}" if self.held else self.path

    def changed(self) -> list[str]:
        """What each level came to, against the row's own value if that is among them."""
        own = next((level for level in self.levels if level.default), None)
        return [_changed(own, level) for level in self.levels if not level.default]

    def sentences(self) -> list[str]:
        """The same with the field's name; what all levels share is told once."""
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
    """For each field, what it does where everything else is the same.

    Searches run with smaller budgets than the row, and on top of other changes; so variations are
    compared with each other, not with the row alone. Those that agree in all settings but one form
    a group; of a field's groups in which any trial was solved (others tell little), the one with
    the most levels is taken, then with the most trials. Budgets and how tests are made are no
    fields to compare, and recipes stay out of it.

    P-values are of the log-rank test, which takes unsolved trials for what they are; the adjusted
    ones allow for how many levels were tried (Benjamini & Hochberg).
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
    """By field: all groups of variations that differ in nothing else."""
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
    """Whether its label tells its changes; that of a recipe is a name."""
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
    told = "" if level.p_adjusted is None else f", p = {level.p_adjusted:.2g}"
    return (
        f"{value_in_words(own.value)} → {text} (was {_solved(own.outcome)}), "
        f"median {median_in_words(level.outcome)} (was {median_in_words(own.outcome)}){told}"
    )


def _solved(found: Outcome) -> str:
    return f"{found.solved} of {found.trials}"


def study_as_json(study: Study) -> dict[str, Any]:
    """A study with its effects as plain values for JSON."""
    return {
        "name": study.experiment.name,
        "title": study.experiment.title,
        "published": published_as_json(study.experiment.published),
        "variations": [one.as_json() for one in study.variations],
        "effects": [one.as_json() for one in effects(study)],
    }
