"""Verdicts: whether a row of the paper's tables was reproduced, by a fixed rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from carrousel import words
from carrousel.checks import check_int
from carrousel.contracts import Experiment, Trial
from carrousel.experiments.judge.bootstrap import bootstrap_interval, restricted_mean_interval
from carrousel.experiments.judge.statistics import Counts, counts_of, survival, wilson
from carrousel.experiments.store.settings import describe
from carrousel.shapes import Interval

Kind = Literal["reproduced", "faster", "slower", "not reproduced", "pending", "unpublished"]
KINDS: tuple[Kind, ...] = (
    "reproduced",
    "faster",
    "slower",
    "not reproduced",
    "pending",
    "unpublished",
)
Side = Literal["below", "around", "above"]
"""Position of our interval relative to a printed figure: entirely below, around it, above."""

_SILENT_RATE = "published.success_percent"
_TOO_SELDOM = "solved less often than printed"
LEEWAY = 0.05
"""Tolerance of success rates, since the printed rates are estimates from few trials as well."""


@dataclass(frozen=True)
class VerdictFigures:
    """The figures behind a verdict; rates are shares of 1, and missing figures are None.

    Args:
        trials: number of trials that ended.
        needed: number of trials that must end before a verdict is given.
        successes: number of solved trials.
        rate_ci95: Wilson interval of the success rate.
        rate_printed: the paper's rate; 1 where it prints none, None where it says "some".
        unit: the unit of counts, ``"sequences"`` or ``"guesses"``.
        count_printed: the paper's mean count.
        mean: our mean count over solved trials.
        mean_ci95: its bootstrap interval.
        restricted_mean: mean sequences if all trials stop at the budget; None if all are solved.
        restricted_ci95: its bootstrap interval.
        rate_side: position of our rate relative to the printed one, with :data:`LEEWAY`.
    """

    trials: int
    needed: int
    successes: int
    rate_ci95: Interval | None = None
    rate_printed: float | None = None
    unit: str = "sequences"
    count_printed: float | None = None
    mean: float | None = None
    mean_ci95: Interval | None = None
    restricted_mean: float | None = None
    restricted_ci95: Interval | None = None
    rate_side: Side | None = None


@dataclass(frozen=True)
class Verdict:
    """Verdict on one row, with its explanation and figures.

    Args:
        kind: one of :data:`KINDS`.
        words: the reason with figures, as one sentence without a full stop.
        figures: the figures behind it.
        departs: settings of the row that contradict what the paper prints.
    """

    kind: Kind
    words: str
    figures: VerdictFigures
    departs: tuple[str, ...] = ()

    @property
    def with_a_departure(self) -> bool:
        """Whether a setting of the row contradicts what the paper prints."""
        return bool(self.departs)

    @property
    def label(self) -> str:
        """The kind, marked if a setting contradicts what the paper prints.

        >>> Verdict("faster", "", VerdictFigures(10, 10, 10), ("training.rate",)).label
        'faster, with a departure'
        """
        judged = self.kind not in ("pending", "unpublished")
        return f"{self.kind}, with a departure" if self.departs and judged else self.kind

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        described = describe(self.figures)
        return {
            "kind": self.kind,
            "words": self.words,
            "with_a_departure": self.with_a_departure,
            "departs": list(self.departs),
            "figures": {key: each for key, each in described.items() if key != "kind"},
        }


def verdict(
    experiment: Experiment, trials: Sequence[Trial], *, asked: int | None = None
) -> Verdict:
    """Judge the trials of a row against the paper's figures.

    These rules are applied in order; intervals are at 95 %:

    1. *unpublished*: the paper prints neither a success rate nor a count for the row.
    2. *pending*: fewer trials have ended than the paper ran, or than were requested. Quick trials
       end first, so an earlier verdict would be biased in our favour.
    3. Success rate: our Wilson interval is compared with the printed percentage. That is an
       estimate from few trials itself, so the interval need only come within five points of it. A
       missing percentage counts as 100 %, since the text says that learning always succeeded. If a
       reading of ``published.success_percent`` says that the paper gives no number, one success is
       enough. An interval that ends lower is *not reproduced*, whatever the counts.
    4. Count: the printed mean is compared with the interval of our mean over solved trials
       (bootstrap, BCa). If some trials are unsolved, that mean is too low. The interval is then
       widened to contain the interval of the mean sequences if every trial stops at the budget (the
       area below the Kaplan-Meier curve). Fewer than two solved trials have no interval and are
       *not reproduced*.
    5. An interval entirely below the printed count is *faster*, one entirely above it *slower*. An
       interval around it, or no printed count, is *reproduced*. But a rival (a row with a slash in
       its name) whose success rate is more than five points above the printed one is *not
       reproduced*.

    Where the paper counts guesses instead of sequences, guesses are compared.

    Args:
        experiment: the row, with the budget its trials had.
        trials: all of its trials that ended, in any order.
        asked: number of trials requested, if more than the paper ran.

    Raises:
        SettingError: ``asked`` is negative.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> ended = [Trial("6a", n, 0, "solved", 27_000 + 500 * n, 1, 0.1) for n in range(20)]
    >>> verdict(EXPERIMENTS["6a"], ended).kind
    'reproduced'
    """
    needed = max(experiment.published.trials, check_int("asked", asked or 0, minimum=0))
    departs = tuple(each.field for each in experiment.readings if each.departs)
    figures = _figures(experiment, trials, needed)
    kind, why = _judged(experiment, figures)
    parts = [
        _rate_in_words(experiment, figures),
        _mean_in_words(figures),
        _restricted_in_words(figures) if why != _TOO_SELDOM else "",
        why,
    ]
    if kind in ("pending", "unpublished"):
        parts = [why]
    elif departs:
        parts.append(f"with a departure from the paper in {', '.join(departs)}")
    return Verdict(kind, "; ".join(part for part in parts if part), figures, departs)


def _figures(experiment: Experiment, trials: Sequence[Trial], needed: int) -> VerdictFigures:
    published = experiment.published
    solved = [trial for trial in trials if trial.success]
    some = any(each.field == _SILENT_RATE for each in experiment.readings)
    rate = published.success_percent
    printed = rate / 100 if rate is not None else None if some else 1.0
    unit, count = "sequences", published.sequences
    if count is None and "guesses" in published.others:
        unit, count = "guesses", published.others["guesses"]
    values = [
        float(trial.sequences) if unit == "sequences" else trial.measures.get(unit, np.nan)
        for trial in solved
    ]
    mean = float(np.mean(values)) if values else None
    interval = bootstrap_interval(values) if len(trials) >= needed else None
    counts = counts_of(trials, experiment.budget)
    restricted = _restricted(experiment.budget, counts) if interval and count else {}
    return VerdictFigures(
        trials=len(trials),
        needed=needed,
        successes=len(solved),
        rate_ci95=wilson(len(solved), len(trials)),
        rate_printed=printed,
        rate_side=rate_side(wilson(len(solved), len(trials)), printed),
        unit=unit,
        count_printed=count,
        mean=mean,
        mean_ci95=interval,
        **(restricted if unit == "sequences" else {}),
    )


def rate_side(interval: Interval | None, printed: float | None) -> Side | None:
    """Position of our rate relative to a printed one, with :data:`LEEWAY` on both sides.

    Args:
        interval: interval of our rate; None without trials.
        printed: printed share of successes; None where the paper says "some": one is enough.

    >>> rate_side((0.90, 0.99), 1.0), rate_side((0.7, 0.94), 1.0), rate_side((0.1, 0.4), 0.0)
    ('around', 'below', 'above')
    """
    if interval is None or printed is None:
        return None if interval is None else "around" if interval[0] > 0 else "below"
    return side_of((interval[0] - LEEWAY, interval[1] + LEEWAY), printed)


def _restricted(budget: int, counts: Counts) -> dict[str, Any]:
    """Restricted mean and its interval, if some trials are unsolved."""
    if counts.n_solved == len(counts.sequences):
        return {}
    return {
        "restricted_mean": survival(counts).restricted_mean(budget),
        "restricted_ci95": restricted_mean_interval(counts, budget),
    }


def _judged(experiment: Experiment, figures: VerdictFigures) -> tuple[Kind, str]:
    """The kind of verdict, and the reason where the figures alone do not show it."""
    if figures.count_printed is None and experiment.published.success_percent is None:
        return "unpublished", "the paper prints neither a success rate nor a count for this row"
    if figures.trials < figures.needed or figures.rate_ci95 is None:
        ended = f"{figures.trials} of {words.count(figures.needed, 'trial')}"
        return "pending", f"{ended} {'has' if figures.trials == 1 else 'have'} ended"
    rate = figures.rate_side
    if rate == "below":
        return "not reproduced", _TOO_SELDOM
    too_often = rate == "above" and is_rival(experiment)
    often = "solved more often than printed" if rate == "above" else ""
    if figures.count_printed is None:
        return ("not reproduced" if too_often else "reproduced"), often
    if figures.mean_ci95 is None:
        return "not reproduced", "too few trials were solved for an interval of their mean"
    known = [figures.mean_ci95, *([figures.restricted_ci95] if figures.restricted_ci95 else [])]
    hull = min(low for low, _ in known), max(high for _, high in known)
    side = side_of(hull, figures.count_printed)
    if side == "around":
        return ("not reproduced" if too_often else "reproduced"), often
    return ("faster" if side == "below" else "slower"), often


def side_of(interval: Interval, figure: float) -> Side:
    """Position of an interval relative to a figure; touching the figure counts as around it.

    >>> side_of((1.0, 2.0), 3.0), side_of((1.0, 2.0), 2.0), side_of((1.0, 2.0), 0.5)
    ('below', 'around', 'above')
    """
    return "below" if interval[1] < figure else "above" if interval[0] > figure else "around"


def is_rival(experiment: Experiment) -> bool:
    """Whether a row, or the row that was varied, is of a rival system instead of the paper's."""
    return "/" in experiment.name.partition(" ")[0]


def _rate_in_words(experiment: Experiment, figures: VerdictFigures) -> str:
    printed = words.percent(experiment.published.success_percent)
    if experiment.published.success_percent is None:
        printed = "some" if figures.rate_printed is None else "no rate, taken as 100 %"
    return (
        f"solved {figures.successes} of {figures.trials} "
        f"({words.rate_interval(figures.rate_ci95)}; printed: {printed})"
    )


def _mean_in_words(figures: VerdictFigures) -> str:
    if figures.mean is None:
        return ""
    known = [_range(figures.mean_ci95)] if figures.mean_ci95 else []
    known += [f"printed: {words.number(figures.count_printed)}"] if figures.count_printed else []
    inside = f" ({'; '.join(known)})" if known else ""
    return f"{_whole(figures.mean)} {figures.unit} on average{inside}"


def _restricted_in_words(figures: VerdictFigures) -> str:
    ours, interval = figures.restricted_mean, figures.restricted_ci95
    if ours is None or interval is None:
        return ""
    return f"{_whole(ours)} with unsolved trials counted up to the budget ({_range(interval)})"


def _range(interval: Interval) -> str:
    return f"{_whole(interval[0])} to {_whole(interval[1])}"


def _whole(value: float) -> str:
    """Round a count to significant digits."""
    return words.number(round(value) if value >= 100 else value)
