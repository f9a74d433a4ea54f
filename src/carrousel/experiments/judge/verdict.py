"""Verdicts: whether a row of the paper's tables was reproduced, by a fixed rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from carrousel import words
from carrousel.checks import check_int
from carrousel.contracts import Experiment, Trial
from carrousel.experiments.judge.bootstrap import restricted_mean_interval
from carrousel.experiments.judge.centre import centre_of
from carrousel.experiments.judge.compare import (
    Side,
    printed_successes,
    rate_p,
    rate_side,
    ratio_interval,
    side_of,
)
from carrousel.experiments.judge.measures import Measure, measures_of
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
MOST_SLOWER = 1.25
"""Largest ratio of our mean to the paper's at which a slower row still meets the project's aim.

An aim, not a test: the paper's program is unknown, and a quarter more sequences would not change
what the paper concludes from any of its tables.
"""

_SILENT_RATE = "published.success_percent"
_TOO_SELDOM = "solved significantly less often than printed"
_TOO_OFTEN = "solved significantly more often than printed"


@dataclass(frozen=True)
class VerdictFigures:
    """The figures behind a verdict; rates are shares of 1, and missing figures are None.

    Args:
        trials: number of trials that ended.
        needed: number of trials that must end before a verdict is given.
        successes: number of solved trials.
        rate_ci95: Wilson interval of the success rate.
        trials_printed: number of trials that the paper ran.
        successes_printed: the paper's successes (all trials where it prints no rate); None where it
            says "some".
        rate_p: p-value of the comparison of both rates (:func:`rate_p`).
        rate_side: position of our rate relative to the printed one.
        unit: the unit of counts, ``"sequences"`` or ``"guesses"``.
        count_printed: the paper's mean count.
        mean: our mean count over solved trials.
        mean_ci95: its bootstrap interval.
        restricted_mean: mean sequences if all trials stop at the budget; None if all are solved.
        restricted_ci95: its bootstrap interval.
        ratio: our mean over the paper's.
        ratio_ci95: interval of the ratio of the expected counts (:func:`ratio_interval`). With
            unsolved trials, it also covers the ratio with the restricted mean.
        measures: further figures of the paper, and ours.
    """

    trials: int
    needed: int
    successes: int
    rate_ci95: Interval | None = None
    trials_printed: int = 0
    successes_printed: int | None = None
    rate_p: float | None = None
    rate_side: Side | None = None
    unit: str = "sequences"
    count_printed: float | None = None
    mean: float | None = None
    mean_ci95: Interval | None = None
    restricted_mean: float | None = None
    restricted_ci95: Interval | None = None
    ratio: float | None = None
    ratio_ci95: Interval | None = None
    measures: tuple[Measure, ...] = ()


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
    def met(self) -> bool:
        """Whether the row meets the project's aim: reproduced, faster, or at most a quarter slower.

        >>> [
        ...     Verdict("slower", "", VerdictFigures(10, 10, 10, ratio=ratio)).met
        ...     for ratio in (1.1, 1.3)
        ... ]
        [True, False]
        """
        ratio = self.figures.ratio
        near = self.kind == "slower" and ratio is not None and ratio <= MOST_SLOWER
        return near or self.kind in ("reproduced", "faster")

    @property
    def group(self) -> str:
        """The kind, marked if a setting contradicts what the paper prints.

        >>> Verdict("faster", "", VerdictFigures(10, 10, 10), ("training.rate",)).group
        'faster, with a departure'
        """
        return self._marked(self.kind)

    @property
    def label(self) -> str:
        """The group, with the difference of the means.

        >>> Verdict("faster", "", VerdictFigures(10, 10, 10, ratio=0.6)).label
        'faster by 40 %'
        """
        return self._marked(self.brief)

    @property
    def brief(self) -> str:
        """The kind, with the difference of the means.

        >>> Verdict("slower", "", VerdictFigures(10, 10, 10, ratio=1.2), ("training.rate",)).brief
        'slower by 20 %'
        """
        ratio = self.figures.ratio
        if ratio is None or self.kind not in ("faster", "slower"):
            return self.kind
        return f"{self.kind} by {words.percent(100 * abs(ratio - 1))}"

    def _marked(self, text: str) -> str:
        judged = self.kind not in ("pending", "unpublished")
        return f"{text}, with a departure" if self.departs and judged else text

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        described = describe(self.figures)
        return {
            "kind": self.kind,
            "label": self.label,
            "met": self.met,
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
    3. Success rate: our successes are compared with the paper's, both as counts of a sample, by
       Fisher's exact test (two-sided, mid-p) at 5 %. The paper's successes are its percentage of
       its trials. A missing percentage counts as all, since the text says that learning always
       succeeded. If a reading of ``published.success_percent`` says that the paper gives no number,
       one success is enough. Significantly fewer successes are *not reproduced*, whatever the
       counts.
    4. Count: the interval of the ratio of the expected counts, ours over the paper's, where the
       printed mean is a sample mean as well (:func:`ratio_interval`). If some trials are unsolved,
       our mean over solved trials is too low. The interval is then widened to contain that of the
       mean sequences if every trial stops at the budget (the area below the Kaplan-Meier curve).
       Fewer than two solved trials have no interval and are *not reproduced*.
    5. An interval below 1 is *faster*, one above 1 *slower*. An interval that contains 1, or no
       printed count, is *reproduced*. But a rival (a row with a slash in its name) with
       significantly more successes than printed is *not reproduced*.

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
        *([_restricted_in_words(figures), _ratio_in_words(figures)] if why != _TOO_SELDOM else []),
        why,
        *(f"but {each}" for each in figures.measures if each.much_worse),
    ]
    if kind in ("pending", "unpublished"):
        parts = [why]
    elif departs:
        parts.append(f"with a departure from the paper in {', '.join(departs)}")
    return Verdict(kind, "; ".join(part for part in parts if part), figures, departs)


def _figures(experiment: Experiment, trials: Sequence[Trial], needed: int) -> VerdictFigures:
    published = experiment.published
    solved = [trial for trial in trials if trial.success]
    silent = any(each.field == _SILENT_RATE for each in experiment.readings)
    some = silent and published.success_percent is None
    theirs = None if some else printed_successes(published)
    printed = None if theirs is None else (theirs, published.trials)
    ours = len(solved), len(trials)
    unit, count = "sequences", published.sequences
    if count is None and "guesses" in published.others:
        unit, count = "guesses", published.others["guesses"]
    counts = counts_of(trials, experiment.budget)
    if unit != "sequences":
        guesses = [trial.measures.get(unit, math.nan) for trial in solved]
        known = tuple(float(each) for each in guesses if math.isfinite(each))
        counts = Counts(known, (True,) * len(known))
    centre, ended = centre_of(counts), len(trials) >= needed
    interval = centre.mean_ci95 if ended else None
    restricted = _restricted(experiment.budget, counts) if interval and count else {}
    return VerdictFigures(
        trials=len(trials),
        needed=needed,
        successes=len(solved),
        rate_ci95=wilson(*ours),
        trials_printed=published.trials,
        successes_printed=theirs,
        rate_p=rate_p(ours, printed) if trials and printed else None,
        rate_side=rate_side(ours, printed) if trials else None,
        unit=unit,
        count_printed=count,
        mean=centre.mean,
        mean_ci95=interval,
        ratio=centre.mean / count if centre.mean is not None and count else None,
        ratio_ci95=_ratio_interval(experiment, counts, count) if interval and count else None,
        measures=measures_of(published, trials),
        **restricted,
    )


def _ratio_interval(experiment: Experiment, counts: Counts, printed: float) -> Interval | None:
    """Interval of the ratio of the means, widened by unsolved trials."""
    published = experiment.published
    theirs, spread = max(printed_successes(published), 1), published.spread
    found = [ratio_interval(counts, printed, theirs, spread=spread)]
    if counts.n_solved < len(counts.sequences):
        budget = float(experiment.budget)
        found.append(ratio_interval(counts, printed, theirs, spread=spread, budget=budget))
    known = [each for each in found if each]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


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
    often = _TOO_OFTEN if rate == "above" else ""
    if figures.count_printed is None:
        return ("not reproduced" if too_often else "reproduced"), often
    if figures.ratio_ci95 is None:
        return "not reproduced", "too few trials were solved for an interval of their mean"
    side = side_of(figures.ratio_ci95, 1.0)
    if side == "around":
        return ("not reproduced" if too_often else "reproduced"), often
    return ("faster" if side == "below" else "slower"), often


def is_rival(experiment: Experiment) -> bool:
    """Whether a row, or the row that was varied, is of a rival system instead of the paper's."""
    return "/" in experiment.name.partition(" ")[0]


def _rate_in_words(experiment: Experiment, figures: VerdictFigures) -> str:
    theirs, trials = figures.successes_printed, figures.trials_printed
    printed = "printed: some" if theirs is None else f"printed: {theirs} of {trials}"
    if theirs is not None and experiment.published.success_percent is None:
        printed = f"no rate printed, taken as all {trials}"
    test = "" if figures.rate_p is None else f"; p = {figures.rate_p:.2g}"
    return (
        f"solved {figures.successes} of {figures.trials} "
        f"({words.rate_interval(figures.rate_ci95)}; {printed}{test})"
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


def _ratio_in_words(figures: VerdictFigures) -> str:
    if figures.ratio is None or figures.ratio_ci95 is None:
        return ""
    low, high = figures.ratio_ci95
    return f"{figures.ratio:.2f} times the printed mean ({low:.2f} to {high:.2f})"


def _range(interval: Interval) -> str:
    return f"{_whole(interval[0])} to {_whole(interval[1])}"


def _whole(value: float) -> str:
    """Round a count to significant digits."""
    return words.number(round(value) if value >= 100 else value)
