"""What a single field of a row does: its levels, everything else as in the row, compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from carrousel.experiments.report_study import (
    Outcome,
    Study,
    median_in_words,
    value_in_words,
)
from carrousel.experiments.report_summary import published_as_json
from carrousel.experiments.statistics import adjusted, logrank_p


@dataclass(frozen=True)
class Level:
    """One value of a field, everything else as in the row.

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
    """A field that was varied alone: its levels in ascending order, the row's own among them."""

    path: str
    levels: tuple[Level, ...]

    def sentences(self) -> list[str]:
        """What changed at each level against the row's own."""
        own = next((level for level in self.levels if level.default), None)
        others = [level for level in self.levels if not level.default]
        return [f"{self.path}: {_changed(own, level)}" for level in others]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "path": self.path,
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
    """For each field that varied alone against the row: its levels and how they compare.

    P-values are of the log-rank test, which takes unsolved trials for what they are; the adjusted
    ones allow for how many levels were tried (Benjamini & Hochberg).
    """
    alone = [one for one in study.variations if len(one.changes) == 1]
    base = study.base
    tested = [logrank_p(base.counts, one.counts) if base else None for one in alone]
    raised = iter(adjusted([p for p in tested if p is not None]))
    paths: dict[str, list[Level]] = {}
    for one, p in zip(alone, tested, strict=True):
        change = one.changes[0]
        if change.path not in paths:
            own = [Level(change.default, base.outcome, default=True)] if base else []
            paths[change.path] = own
        level = Level(
            change.value, one.outcome, p=p, p_adjusted=None if p is None else next(raised)
        )
        paths[change.path].append(level)
    return tuple(Effect(path, tuple(sorted(paths[path], key=_ascending))) for path in sorted(paths))


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
