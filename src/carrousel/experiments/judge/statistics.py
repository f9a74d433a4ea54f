"""Statistics of trials: success rates, sequences until success, and their confidence intervals.

Trials that reach their budget are right-censored: success would have taken more sequences. A mean
over solved trials alone is then too low. The estimators here include the unsolved trials: the curve
of Kaplan & Meier, its median, and its area up to a horizon. SciPy is imported inside the functions,
because the import is slow and lists of experiments do not need it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from carrousel.contracts import Trial
from carrousel.errors import SettingError
from carrousel.shapes import Interval

HALF = 0.5 + 1e-9
"""One half with a margin for rounding errors of products of fractions."""


@lru_cache(maxsize=4096)  # reports repeat a few arguments many times
def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval | None:
    """Score interval of a rate (Wilson 1927), or None without trials.

    It is also valid where all trials succeed, or none.

    >>> [round(end, 2) for end in wilson(10, 10)]
    [0.72, 1.0]
    """
    if trials == 0:
        return None
    from scipy import stats

    found = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


# --- counts of sequences, some of them censored --------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """Training sequences of each trial, and whether the trial was solved at that count.

    Args:
        sequences: one count per trial, at least 0.
        solved: True if the trial was solved at its count, False if it was censored there.

    Raises:
        SettingError: the lengths differ, or a count is negative or not finite.
    """

    sequences: tuple[float, ...]
    solved: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.sequences) != len(self.solved):
            raise SettingError(
                f"solved has {len(self.solved)} values, expected {len(self.sequences)}, one for "
                "each count of sequences",
                argument="solved",
            )
        for each in self.sequences:
            if not 0 <= each < math.inf:
                raise SettingError(
                    f"sequences contains {each}, expected finite numbers of at least 0",
                    argument="sequences",
                    got=each,
                )

    @property
    def n_solved(self) -> int:
        """Number of solved trials."""
        return sum(self.solved)

    @property
    def of_solved(self) -> tuple[float, ...]:
        """Counts of the solved trials."""
        both = zip(self.sequences, self.solved, strict=True)
        return tuple(count for count, solved in both if solved)


def counts_of(trials: Iterable[Trial], budget: int) -> Counts:
    """Counts of trials; unsolved trials are censored at their last sequence or at the budget.

    A diverged trial could not have been solved by further training. It is censored at the budget,
    like a trial that was trained up to there without success.

    >>> ended = [Trial("x", 0, 0, "solved", 30, 1, 0.1), Trial("x", 1, 0, "diverged", 5, 1, 0.1)]
    >>> counts_of(ended, budget=100)
    Counts(sequences=(30.0, 100.0), solved=(True, False))
    """
    known = tuple(trials)
    return Counts(
        tuple(float(budget if one.ending == "diverged" else one.sequences) for one in known),
        tuple(one.success for one in known),
    )


@dataclass(frozen=True)
class Survival:
    """Survival curve: share of unsolved trials by sequences, as estimated by Kaplan & Meier (1958).

    The curve is 1 up to the first point and falls only at counts where a trial was solved.

    Args:
        sequences: counts at which the curve falls, ascending.
        share: share of unsolved trials from each of these counts on.
        low: lower end of its 95 % interval, by the log-log form of Greenwood's variance.
        high: upper end of the interval.
        trials: number of trials.
        solved: number of solved trials.
        last: the largest count of any trial; the curve is unknown beyond it.
    """

    sequences: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    trials: int
    solved: int
    last: float

    @property
    def median(self) -> float | None:
        """Sequences after which half of all trials are solved; None if fewer are solved."""
        fallen = (at for at, share in zip(self.sequences, self.share, strict=True) if share < HALF)
        return next(fallen, None)

    def restricted_mean(self, horizon: float) -> float:
        """Mean number of sequences if all trials stop at a horizon: the area below the curve.

        Raises:
            SettingError: the horizon is negative, or beyond :attr:`last` with unsolved trials.

        >>> survival(Counts((20, 60, 100), (True, True, False))).restricted_mean(100)
        60.0
        """
        left = self.share[-1] if self.share else 1.0
        if not 0 <= horizon < math.inf or (horizon > self.last and left > 0):
            raise SettingError(
                argument="horizon",
                got=horizon,
                expected=f"0 to {self.last:.0f}, the longest trial",
            )
        corners = np.minimum([0.0, *self.sequences, math.inf], horizon)
        return float(np.diff(corners) @ np.array([1.0, *self.share]))


def survival(counts: Counts, confidence: float = 0.95) -> Survival:
    """Estimate the survival curve of trials.

    Raises:
        SettingError: there is no trial.

    >>> survival(Counts((20, 60, 100), (True, True, False))).median
    60.0
    """
    if not counts.sequences:
        raise SettingError("counts contains no trial, expected at least one", argument="counts")
    from scipy import stats

    curve = stats.ecdf(_censored(counts)).sf
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN where the curve is 1 or 0
        band = curve.confidence_interval(confidence, method="log-log")
    share = np.asarray(curve.probabilities, dtype=float)
    low = np.where(np.isnan(band.low.probabilities), share, band.low.probabilities)
    high = np.array(band.high.probabilities, dtype=float)
    for i in np.flatnonzero(np.isnan(high)):  # no variance at share 0: keep the bound before it
        high[i] = high[i - 1] if i else 1.0
    falls = np.diff(share, prepend=1.0) < 0  # at the other counts all trials were censored
    return Survival(
        *(
            tuple(each[falls].tolist())
            for each in (np.asarray(curve.quantiles, dtype=float), share, low, high)
        ),
        trials=len(counts.sequences),
        solved=counts.n_solved,
        last=max(counts.sequences),
    )


def logrank_p(first: Counts, second: Counts) -> float | None:
    """P-value of the log-rank test that two sets of trials have the same survival curve.

    None where the test is undefined: a set is empty, or neither set has a solved trial.

    >>> fast, slow = Counts((1, 2, 3, 4), (True,) * 4), Counts((6, 7, 8, 9), (True,) * 4)
    >>> round(logrank_p(fast, slow), 3)
    0.007
    """
    if not first.sequences or not second.sequences or not first.n_solved + second.n_solved:
        return None
    from scipy import stats

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # no variance if all counts are equal
        found = float(stats.logrank(_censored(first), _censored(second)).pvalue)
    return found if math.isfinite(found) else None


def adjusted(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, adjusted for the false discovery rate.

    After Benjamini & Hochberg (1995): among the tests that are significant at 0.05, the expected
    share of false discoveries is at most 5 %.

    >>> [round(p, 3) for p in adjusted([0.01, 0.04, 0.5])]
    [0.03, 0.06, 0.5]
    """
    if not p_values:
        return []
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(p_values)]


def _censored(counts: Counts) -> Any:
    """The counts as SciPy's censored data."""
    from scipy import stats

    times, solved = np.array(counts.sequences, dtype=float), np.array(counts.solved, dtype=bool)
    return stats.CensoredData(uncensored=times[solved], right=times[~solved])
