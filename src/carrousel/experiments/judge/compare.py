"""Comparison of our trials with the paper's, both as samples of the same distribution.

The paper's rates and means come from 10 to 30 trials, so they have sampling errors as well. A rate
is compared by an exact test of two counts of successes, a mean by an interval of the ratio of two
means.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Published
from carrousel.errors import SettingError
from carrousel.experiments.judge.bootstrap import RESAMPLES, restricted_means
from carrousel.experiments.judge.statistics import Counts
from carrousel.shapes import Interval

Side = Literal["below", "around", "above"]
"""Position of our figure relative to a printed one: significantly below, around it, above."""

LEVEL = 0.05
"""Level of significance of a difference between two rates."""


# --- rates ---------------------------------------------------------------------------------------


def printed_successes(published: Published) -> int:
    """Number of successful trials behind a printed percentage; all trials where none is printed.

    >>> printed_successes(Published("Table 1", 97.0, 14_060, 276, trials=30))
    29
    """
    percent = published.success_percent
    return published.trials if percent is None else round(percent / 100 * published.trials)


def rate_p(ours: tuple[int, int], theirs: tuple[int, int]) -> float:
    """P-value of the hypothesis that two samples have the same rate of success.

    Fisher's exact test with the mid-p correction (Lancaster 1961), two-sided: twice the smaller of
    the one-sided values, which count the observed table half. Given the total number of successes,
    ours has a hypergeometric distribution.

    Args:
        ours: number of successes and of trials.
        theirs: the same of the other sample.

    Raises:
        SettingError: a number of successes is not between 0 and the number of trials.

    >>> round(rate_p((44, 50), (10, 10)), 2), round(rate_p((36, 50), (30, 30)), 4)
    (0.32, 0.0006)
    """
    for name, (successes, trials) in (("ours", ours), ("theirs", theirs)):
        check_int(name, successes, minimum=0)
        if successes > trials:
            raise SettingError(argument=name, got=successes, expected=f"at most {trials}")
    from scipy import stats

    total = ours[0] + theirs[0]
    urn = (ours[1] + theirs[1], total, ours[1])
    law = stats.hypergeom
    fewer, more = float(law.cdf(ours[0] - 1, *urn)), float(law.sf(ours[0], *urn))
    return min(1.0, float(law.pmf(ours[0], *urn)) + 2 * min(fewer, more))


def rate_side(ours: tuple[int, int], theirs: tuple[int, int] | None) -> Side:
    """Position of our success rate relative to the paper's, at the level of 5 %.

    Args:
        ours: number of successes and of trials.
        theirs: the same of the paper; None where it says "some": one success is enough.

    >>> rate_side((44, 50), (10, 10)), rate_side((36, 50), (30, 30)), rate_side((25, 50), (0, 18))
    ('around', 'below', 'above')
    >>> rate_side((0, 30), None), rate_side((1, 30), None)
    ('below', 'around')
    """
    if theirs is None:
        return "around" if ours[0] else "below"
    if rate_p(ours, theirs) >= LEVEL:
        return "around"
    return "below" if ours[0] * theirs[1] < theirs[0] * ours[1] else "above"


# --- means ---------------------------------------------------------------------------------------


def log_deviation(spread: Interval, trials: int) -> float:
    """Standard deviation of logarithms of counts, from a printed range.

    Counts of sequences are positive and skewed, so they are taken as log-normal. The logarithm of
    the ratio of the largest to the smallest of ``n`` counts is then on average ``d(n)`` standard
    deviations, the expected range of ``n`` standard normal numbers (4.09 for 30, 3.08 for 10).

    Args:
        spread: smallest and largest count.
        trials: number of trials, at least 2.

    Raises:
        SettingError: fewer than two trials, or a range that is not positive and ascending.

    >>> round(log_deviation((3_800, 24_100), 30), 2)
    0.45
    """
    check_int("trials", trials, minimum=2)
    if not 0 < spread[0] < spread[1]:
        raise SettingError(argument="spread", got=spread, expected="two ascending positive counts")
    return math.log(spread[1] / spread[0]) / _expected_range(trials)


@lru_cache
def _expected_range(n: int) -> float:
    """Expected range of standard normal numbers: the integral of P(some below x, some above)."""
    from scipy import integrate, stats

    def spans(x: float) -> float:
        below = float(stats.norm.cdf(x))
        return 1 - below**n - (1 - below) ** n

    return float(integrate.quad(spans, -8, 8)[0])


def ratio_interval(
    counts: Counts,
    printed: float,
    trials: int,
    *,
    spread: Interval | None = None,
    budget: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Interval of the ratio of two expected counts, ours over the paper's.

    A percentile bootstrap of the logarithm of the ratio. Each resample draws as many trials as we
    have from ours, and as many as the paper has from a shape with mean 1; the printed mean is
    multiplied by the mean of the latter. Deviations of the resampled trials are enlarged by
    ``sqrt(n / (n - 1))``, since those of a small sample are too small.

    The shape is log-normal with the deviation of the printed range (:func:`log_deviation`). Where
    the paper prints no range, its trials are assumed to vary like ours, relative to their mean: the
    shape is that of our solved trials. For log-normal trials with deviations of 0.3 to 0.8, 50 of
    ours and 10 to 30 of the paper's, the interval contains the true ratio in 91 to 95 % of cases.

    Args:
        counts: our trials.
        printed: the paper's mean.
        trials: number of trials behind it, at least 1.
        spread: their smallest and largest count, if printed.
        budget: compare the mean if every trial stops at this count, which includes unsolved trials
            (the area below the curve of Kaplan & Meier); None: the mean over solved trials.
        confidence: probability of the interval.
        seed: seed of the resamples.

    Returns:
        the interval; None for fewer than two solved trials.

    Raises:
        SettingError: a number is out of range.
    """
    check_int("trials", trials, minimum=1)
    if not 0 < printed < math.inf:
        raise SettingError(argument="printed", got=printed, expected="a positive count")
    solved = np.sort(np.array(counts.of_solved, dtype=float))
    if len(solved) < 2 or solved[0] <= 0:
        return None
    rng = np.random.default_rng(seed)
    shape = _widened(solved / solved.mean(), len(solved))
    if budget is None:
        ours = shape[rng.integers(len(shape), size=(RESAMPLES, len(shape)))].mean(axis=-1)
        ours = ours * solved.mean()
    else:
        pairs = np.array(sorted(zip(counts.sequences, counts.solved, strict=True)), dtype=float)
        drawn = pairs[rng.integers(len(pairs), size=(RESAMPLES, len(pairs)))]
        ours = restricted_means(drawn[..., 0], drawn[..., 1], budget)
    if spread is None or trials < 2:
        theirs = shape[rng.integers(len(shape), size=(RESAMPLES, trials))]
    else:
        deviation = log_deviation(spread, trials)
        theirs = np.exp(deviation * rng.standard_normal((RESAMPLES, trials)) - deviation**2 / 2)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(ours / (printed * theirs.mean(axis=-1)), tails)
    return float(low), float(high)


def _widened(values: np.ndarray, n: int) -> np.ndarray:
    """Enlarge the deviations from the mean of 1, as far as all values stay positive."""
    return np.maximum(1 + (values - 1) * math.sqrt(n / (n - 1)), values.min() / 2)


def side_of(interval: Interval, figure: float) -> Side:
    """Position of an interval relative to a figure; touching the figure counts as around it.

    >>> side_of((1.0, 2.0), 3.0), side_of((1.0, 2.0), 2.0), side_of((1.0, 2.0), 0.5)
    ('below', 'around', 'above')
    """
    return "below" if interval[1] < figure else "above" if interval[0] > figure else "around"
