"""Summary statistics of an experiment's trials, with confidence intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from carrousel.contracts import Experiment, Published, Trial
from carrousel.experiments.judge.centre import centre_of
from carrousel.experiments.judge.statistics import counts_of, wilson
from carrousel.experiments.store.settings import describe
from carrousel.shapes import Interval


@dataclass(frozen=True)
class Summary:
    """Summary statistics of the trials of one experiment.

    Means are over solved trials alone, as in the paper; the median includes the others
    (:class:`carrousel.experiments.judge.centre.Centre`). Missing figures are None.

    Args:
        name: the experiment's name.
        trials: number of trials that ended.
        successes: number of trials that met the stop rule within the budget.
        endings: number of trials by ending.
        success_ci95: 95 % interval of the success rate, by Wilson's score.
        sequences_mean: mean number of training sequences until the stop rule held.
        sequences_ci95: 95 % bootstrap interval of the mean (BCa).
        sequences_median: sequences after which half of all trials are solved (Kaplan & Meier).
        sequences_last: the largest number of sequences of any trial.
        seconds: wall time of all trials.
        steps: time steps learned in all trials.
        measures: mean of every further measure.
        published: the paper's figures.
    """

    name: str
    trials: int
    successes: int
    endings: Mapping[str, int]
    success_ci95: Interval | None
    sequences_mean: float | None
    sequences_ci95: Interval | None
    sequences_median: float | None
    sequences_last: float | None
    seconds: float
    steps: int
    measures: Mapping[str, float]
    published: Published

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; NaN and infinity become None."""
        plain = {key: value for key, value in describe(self).items() if key != "kind"}
        return _finite({**plain, "published": published_as_json(self.published)})


def published_as_json(published: Published) -> dict[str, Any]:
    """The paper's figures as plain values."""
    return {key: value for key, value in describe(published).items() if key != "kind"}


def summarise(experiment: Experiment, trials: Sequence[Trial], wall_seconds: float) -> Summary:
    """Compute the summary statistics of an experiment's trials.

    Args:
        experiment: the experiment.
        trials: its trials that ended.
        wall_seconds: wall time of these trials.

    >>> from carrousel.experiments.catalogue import EXPERIMENTS
    >>> ended = [Trial("4-1", n, 0, "solved", 40 + 10 * n, 400, 0.1) for n in range(3)]
    >>> found = summarise(EXPERIMENTS["4-1"], ended, wall_seconds=0.3)
    >>> found.successes, found.sequences_mean, [round(end, 1) for end in found.sequences_ci95]
    (3, 50.0, [40.0, 60.0])
    """
    solved = [trial for trial in trials if trial.success]
    centre = centre_of(counts_of(trials, experiment.budget))
    return Summary(
        name=experiment.name,
        trials=len(trials),
        successes=len(solved),
        endings=dict(Counter(trial.ending for trial in trials)),
        success_ci95=wilson(len(solved), len(trials)),
        sequences_mean=centre.mean,
        sequences_ci95=centre.mean_ci95,
        sequences_median=centre.median,
        sequences_last=centre.last,
        seconds=wall_seconds,
        steps=sum(trial.steps for trial in trials),
        measures=_means(trial.measures for trial in solved),
        published=experiment.published,
    )


def _means(measures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for each in measures:
        for name, value in each.items():
            values.setdefault(name, []).append(value)
    return {name: fmean(found) for name, found in values.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
