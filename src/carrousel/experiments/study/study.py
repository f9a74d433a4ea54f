"""Study: a row of the tables with all its variations in a store, and their outcomes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from carrousel import words
from carrousel.contracts import Experiment, Trial
from carrousel.experiments.judge.bootstrap import expected_sequences, median_interval
from carrousel.experiments.judge.centre import centre_of
from carrousel.experiments.judge.statistics import Counts, counts_of, wilson
from carrousel.experiments.judge.verdict import Verdict, verdict
from carrousel.experiments.recipes.vary import paths_of
from carrousel.experiments.report.collect import newest
from carrousel.experiments.store.code import code_of
from carrousel.experiments.store.settings import canonical, describe, leaves, settings_of
from carrousel.experiments.store.store import Holding, Store
from carrousel.shapes import Interval


@dataclass(frozen=True)
class Change:
    """A setting of a variation that differs from that of the row; values as plain JSON.

    Args:
        path: path of the setting, e.g. ``"training.rate"``.
        short: shortest end of the path that is unique.
        default: value of the row; None also if it has no such setting.
        value: value of the variation; None also if it has no such setting.
    """

    path: str
    short: str
    default: Any
    value: Any

    def __str__(self) -> str:
        return f"{self.short}={value_in_words(self.value)}"


@dataclass(frozen=True)
class Outcome:
    """Statistics of trials; intervals are at 95 %, and missing figures are None.

    Args:
        trials: number of trials that ended.
        solved: number of solved trials.
        rate: share of solved trials.
        rate_ci95: its Wilson interval.
        mean: mean number of sequences of the solved trials.
        mean_ci95: its bootstrap interval.
        median: sequences after which half of all trials are solved (Kaplan & Meier).
        median_ci95: its bootstrap interval; the upper end may be infinite.
        expected: sequences of all trials per success; infinite without success.
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
        """Plain values for JSON; infinity becomes None."""
        return {field.name: _finite(getattr(self, field.name)) for field in fields(self)}


def outcome(trials: Sequence[Trial], budget: int) -> Outcome | None:
    """Compute the statistics of trials; None without trials."""
    counts, cost = counts_of(trials, budget), expected_sequences(trials)
    rate, centre = wilson(counts.n_solved, len(trials)), centre_of(counts)
    if rate is None or cost is None or centre.last is None:
        return None
    return Outcome(
        trials=len(trials),
        solved=counts.n_solved,
        rate=counts.n_solved / len(trials),
        rate_ci95=rate,
        mean=centre.mean,
        mean_ci95=centre.mean_ci95,
        median=centre.median,
        median_ci95=median_interval(counts) if centre.median is not None else None,
        expected=cost.sequences,
        expected_ci95=cost.interval,
        last=centre.last,
    )


@dataclass(frozen=True)
class Variation:
    """Trials of a row with one set of settings.

    Args:
        name: name of the experiment in the store.
        fingerprint: fingerprint of the settings.
        label: the changed settings, or the name of a recipe.
        changes: all differences from the row's present settings.
        trials: trials that ended.
        asked: number of trials requested.
        budget: maximum number of sequences per trial.
        seeds: seeds of the runs.
        seconds: wall time of the trials.
        kernel: version of the kernels that ran the trials.
        others: number of trials in the store that other versions of the kernels ran, by version.
        outcome: their statistics.
        verdict: comparison of these trials with the row's printed figures.
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
    kernel: int
    others: Mapping[int, int]
    outcome: Outcome
    verdict: Verdict

    @property
    def complete(self) -> bool:
        """Whether all requested trials have ended; quick trials end first and look too good."""
        return len(self.trials) >= self.asked

    @property
    def counts(self) -> Counts:
        """Counts of sequences for :mod:`carrousel.experiments.judge.statistics`."""
        return counts_of(self.trials, self.budget)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; infinity becomes None."""
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
            "kernel": self.kernel,
            "trials_of_other_kernels": {str(one): number for one, number in self.others.items()},
            "verdict": self.verdict.as_json(),
        }


@dataclass(frozen=True)
class Study:
    """A row and its variations in a store, the most successful first.

    Args:
        experiment: the row.
        variations: its variations.
        other_code: number of trials in the store that other code of the row's classes ran.
    """

    experiment: Experiment
    variations: tuple[Variation, ...]
    other_code: int = 0

    @property
    def base(self) -> Variation | None:
        """The unchanged row, if it has trials."""
        return next((one for one in self.variations if is_base(one)), None)


def is_base(variation: Variation) -> bool:
    """Whether these are trials of the unchanged row."""
    return not variation.changes and variation.label == AS_IT_STANDS


AS_IT_STANDS = "as it stands"
"""Label of the row without changes."""


def find(store: Store, experiment: Experiment) -> Study:
    """Read the trials of a row and its variations from a store.

    Variations are the experiments whose name is that of the row, or starts with it and a space.
    Trials with the same settings and different seeds are taken together. If several versions of the
    kernels ran them, those of the newest are taken. Settings without an ended trial are omitted,
    and so are trials that other code of the row's classes ran.

    Raises:
        StoreError: the store cannot be read.
    """
    held: dict[tuple[str, str], list[Holding]] = {}
    other_code = 0
    for holding in store.holdings():
        if not f"{holding.experiment} ".startswith(f"{experiment.name} ") or not holding.trials:
            continue
        if holding.code != _code(experiment, store.settings(holding.fingerprint)):
            other_code += holding.trials
        else:
            held.setdefault((holding.experiment, holding.fingerprint), []).append(holding)
    found = [_variation(store, experiment, each) for each in held.values()]
    variations = tuple(sorted((one for one in found if one), key=_rank))
    return Study(experiment, variations, other_code)


def _code(row: Experiment, settings: Mapping[str, Any]) -> str:
    """The present code of a variation: it may have another learner, but no other classes."""
    return code_of(replace(row, learner=settings.get("learner", row.learner)))


def _rank(variation: Variation) -> tuple[Any, ...]:
    """Sort key: success rate, then median, then sequences per success, then the name."""
    found = variation.outcome
    quick = math.inf if found.median is None else found.median
    return -found.rate, quick, found.expected, not is_base(variation), variation.name


def _variation(store: Store, row: Experiment, held: Sequence[Holding]) -> Variation | None:
    held, others = newest(held)
    name, mark, kernel = held[0].experiment, held[0].fingerprint, held[0].kernel
    settings = store.settings(mark)
    changes, budget = changes_of(row, settings), int(settings.get("budget", row.budget))
    trials = tuple(store.trials(name, fingerprint=mark, kernel=kernel, code=held[0].code))
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
        kernel=kernel,
        others=others,
        outcome=found,
        verdict=verdict(replace(row, budget=budget, readings=kept), trials, asked=asked),
    )


def changes_of(row: Experiment, settings: Mapping[str, Any]) -> tuple[Change, ...]:
    """Compare stored settings with a row's present ones, apart from the name.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> from carrousel.experiments.recipes.vary import varied
    >>> other = varied(EXPERIMENTS["4-1"], {"rate": 0.25, "budget": 1000})
    >>> [str(change) for change in changes_of(EXPERIMENTS["4-1"], settings_of(other))]
    ['budget=1000', 'rate=0.25']
    """
    written, before = leaves(settings_of(row)), leaves(settings)
    # settings_of omits fields of later versions at their default
    now = {**leaves({path: describe(value) for path, value in paths_of(row).items()}), **written}
    changes = []
    for path in sorted((written.keys() | before.keys()) - {"name"}):
        value = before[path] if path in before else _default(row, path)
        if value != now.get(path):
            changes.append(Change(path, _short(path, now), now.get(path), value))
    return tuple(changes)


def _default(row: Experiment, path: str) -> Any:
    """Default of a setting of a later version; None for all others."""
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
    """A value in a label: strings without quotes, others as compact JSON.

    >>> value_in_words("step"), value_in_words([-1, -2]), value_in_words(None)
    ('step', '[-1,-2]', 'none')
    """
    if value is None:
        return "none"
    return value if isinstance(value, str) else canonical(value)


def median_in_words(found: Outcome) -> str:
    """The median, or its lower bound if it is unknown."""
    return words.bounded(found.median, found.last)


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
