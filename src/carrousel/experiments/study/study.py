"""A row of the tables and all variations of it that a store holds, and how each fared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from carrousel import words
from carrousel.contracts import Experiment, Trial
from carrousel.experiments.judge.statistics import (
    Counts,
    bootstrap_interval,
    counts_of,
    expected_sequences,
    median_interval,
    survival,
    wilson,
)
from carrousel.experiments.judge.verdict import Verdict, verdict
from carrousel.experiments.recipes.vary import paths_of
from carrousel.experiments.store.settings import canonical, describe, leaves, settings_of
from carrousel.experiments.store.store import Holding, Store
from carrousel.shapes import Interval


@dataclass(frozen=True)
class Change:
    """One setting that differs from the row's present one; both values as plain JSON.

    Args:
        path: where it stands, e.g. ``"training.rate"``.
        short: the shortest end of the path that only this setting has.
        default: the row's value; ``None`` also where it has no such setting.
        value: the variation's value; ``None`` also where it had no such setting.
    """

    path: str
    short: str
    default: Any
    value: Any

    def __str__(self) -> str:
        return f"{self.short}={value_in_words(self.value)}"


@dataclass(frozen=True)
class Outcome:
    """What trials came to; intervals are at 95 %, and ``None`` stands for what there is not.

    Args:
        trials: trials that ended.
        solved: how many were solved.
        rate: the share.
        rate_ci95: its Wilson interval.
        mean: mean number of sequences of the solved trials.
        mean_ci95: its bootstrap interval.
        median: sequences after which half of all trials are solved (Kaplan & Meier).
        median_ci95: its bootstrap interval; the upper end may be infinite.
        expected: sequences spent on all trials for each success; infinite without one.
        expected_ci95: its bootstrap interval; the upper end may be infinite.
        last: the largest number of sequences of any trial.
    """

    trials: int
    solved: int
    rate: float
    rate_ci95: Interval
    mean: float | None
    mean_ci95: Interval | None
    median: float | None
    median_ci95: Interval | None
    expected: float
    expected_ci95: Interval | None
    last: float

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; what is infinite becomes ``None``."""
        return {field.name: _finite(getattr(self, field.name)) for field in fields(self)}


def outcome(trials: Sequence[Trial], budget: int) -> Outcome | None:
    """Sum up trials; ``None`` if there are none."""
    counts, cost = counts_of(trials, budget), expected_sequences(trials)
    rate = wilson(counts.n_solved, len(trials))
    if rate is None or cost is None:
        return None
    curve, solved = survival(counts), counts.of_solved
    return Outcome(
        trials=len(trials),
        solved=counts.n_solved,
        rate=counts.n_solved / len(trials),
        rate_ci95=rate,
        mean=sum(solved) / len(solved) if solved else None,
        mean_ci95=bootstrap_interval(solved),
        median=curve.median,
        median_ci95=median_interval(counts) if curve.median is not None else None,
        expected=cost.sequences,
        expected_ci95=cost.interval,
        last=curve.last,
    )


@dataclass(frozen=True)
class Variation:
    """Trials of one set of settings.

    Args:
        name: of the experiment they were stored under.
        fingerprint: of their settings.
        label: what tells them from the row: changed settings, or the name of a recipe.
        changes: all differences to the row's present settings.
        trials: those that ended.
        asked: how many were asked for.
        budget: after how many sequences a trial was given up.
        seeds: seeds of the runs.
        seconds: wall time spent.
        outcome: what they came to.
        verdict: the row's printed figures, compared with these trials.
    """

    name: str
    fingerprint: str
    label: str
    changes: tuple[Change, ...]
    trials: tuple[Trial, ...]
    asked: int
    budget: int
    seeds: tuple[int, ...]
    seconds: float
    outcome: Outcome
    verdict: Verdict

    @property
    def complete(self) -> bool:
        """Whether all trials that were asked for have ended; till then the quick ones flatter."""
        return len(self.trials) >= self.asked

    @property
    def counts(self) -> Counts:
        """Their sequences, for the functions of :mod:`carrousel.experiments.judge.statistics`."""
        return counts_of(self.trials, self.budget)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; what is infinite becomes ``None``."""
        return {
            "name": self.name,
            "label": self.label,
            "fingerprint": self.fingerprint,
            "changes": {one.path: [one.default, one.value] for one in self.changes},
            **self.outcome.as_json(),
            "asked": self.asked,
            "budget": self.budget,
            "seeds": list(self.seeds),
            "seconds": self.seconds,
            "verdict": self.verdict.as_json(),
        }


@dataclass(frozen=True)
class Study:
    """A row and what a store holds of it, the most successful variation first."""

    experiment: Experiment
    variations: tuple[Variation, ...]

    @property
    def base(self) -> Variation | None:
        """The row as it stands, if it has trials."""
        return next((one for one in self.variations if is_base(one)), None)


def is_base(variation: Variation) -> bool:
    """Whether these are trials of the row as it stands."""
    return not variation.changes and variation.label == AS_IT_STANDS


AS_IT_STANDS = "as it stands"


def find(store: Store, experiment: Experiment) -> Study:
    """Collect a row's trials and those of its variations, each set of settings by itself.

    Variations are the experiments whose name is the row's, or starts with it and a space. Seeds of
    one set of settings are taken together. Settings without any ended trial are left out.

    Raises:
        StoreError: the store cannot be read.
    """
    held: dict[tuple[str, str], list[Holding]] = {}
    for holding in store.holdings():
        if f"{holding.experiment} ".startswith(f"{experiment.name} ") and holding.trials:
            held.setdefault((holding.experiment, holding.fingerprint), []).append(holding)
    found = [_variation(store, experiment, each) for each in held.values()]
    return Study(experiment, tuple(sorted((one for one in found if one), key=_rank)))


def _rank(variation: Variation) -> tuple[Any, ...]:
    """Success first, then how quickly; the name settles the rest."""
    found = variation.outcome
    quick = math.inf if found.median is None else found.median
    return -found.rate, quick, found.expected, not is_base(variation), variation.name


def _variation(store: Store, row: Experiment, held: Sequence[Holding]) -> Variation | None:
    name, mark = held[0].experiment, held[0].fingerprint
    settings = store.settings(mark)
    changes, budget = changes_of(row, settings), int(settings.get("budget", row.budget))
    trials = tuple(store.trials(name, fingerprint=mark))
    found = outcome(trials, budget)
    if found is None:
        return None
    asked = sum(each.asked for each in held)
    changed = {one.path for one in changes}
    kept = tuple(each for each in row.readings if each.field not in changed)
    return Variation(
        name=name,
        fingerprint=mark,
        label=_label(row, name, settings, changes),
        changes=changes,
        trials=trials,
        asked=asked,
        budget=budget,
        seeds=tuple(each.seed for each in held),
        seconds=sum(each.seconds for each in held),
        outcome=found,
        verdict=verdict(replace(row, budget=budget, readings=kept), trials, asked=asked),
    )


def changes_of(row: Experiment, settings: Mapping[str, Any]) -> tuple[Change, ...]:
    """How stored settings differ from a row's present ones, by path; its name is no setting.

    >>> from carrousel.experiments import EXPERIMENTS, vary
    >>> other = vary.varied(EXPERIMENTS["4-1"], {"rate": 0.25, "budget": 1000})
    >>> [str(change) for change in changes_of(EXPERIMENTS["4-1"], settings_of(other))]
    ['budget=1000', 'rate=0.25']
    """
    written, before = leaves(settings_of(row)), leaves(settings)
    # settings that were added later are not written down at their default
    now = {**leaves({path: describe(value) for path, value in paths_of(row).items()}), **written}
    changes = []
    for path in sorted((written.keys() | before.keys()) - {"name"}):
        value = before[path] if path in before else _default(row, path)
        if value != now.get(path):
            changes.append(Change(path, _short(path, now), now.get(path), value))
    return tuple(changes)


def _default(row: Experiment, path: str) -> Any:
    """What a setting is when nobody sets it; ``None`` if it must be set."""
    *parents, last = path.split(".")
    thing: Any = row
    for parent in parents:
        thing = getattr(thing, parent, None)
    if not is_dataclass(thing):
        return None
    later = {one.name: one.default for one in fields(thing) if one.metadata.get("later")}
    return describe(later[last]) if last in later else None


def _short(path: str, paths: Mapping[str, Any]) -> str:
    parts = path.split(".")
    for length in range(1, len(parts)):
        end = ".".join(parts[-length:])
        if sum(f".{other}".endswith(f".{end}") for other in paths) == 1:
            return end
    return path


def _label(
    row: Experiment, name: str, settings: Mapping[str, Any], changes: Sequence[Change]
) -> str:
    recipe = name[len(row.name) + 1 :]
    if recipe and not all("=" in part for part in recipe.split(" ")):
        return recipe
    if changes:
        return " ".join(map(str, changes))
    same = leaves({**settings, "name": ""}) == leaves({**settings_of(row), "name": ""})
    return AS_IT_STANDS if same and not recipe else recipe or "other settings"


def value_in_words(value: Any) -> str:
    """A setting as it stands in a label: words bare, the rest as compact JSON.

    >>> value_in_words("step"), value_in_words([-1, -2]), value_in_words(None)
    ('step', '[-1,-2]', 'none')
    """
    if value is None:
        return "none"
    return value if isinstance(value, str) else canonical(value)


def median_in_words(found: Outcome) -> str:
    """The median, or how far it must lie beyond."""
    last, median = words.number(found.last), found.median
    return f"> {last}" if median is None else words.number(median)


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
