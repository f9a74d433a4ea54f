"""Bootstrap intervals of means, medians and survival statistics, and the cost of a success."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from carrousel.contracts import Trial
from carrousel.experiments.judge.statistics import HALF, Counts, survival
from carrousel.shapes import Interval

Statistic = Literal["mean", "median"]

RESAMPLES = 9999


def bootstrap_interval(
    values: Sequence[float], statistic: Statistic = "mean", confidence: float = 0.95, seed: int = 0
) -> Interval | None:
    """Bootstrap interval of a mean or median: bias-corrected and accelerated (Efron 1987).

    Where the correction is undefined, the percentiles of the resamples are used. None for fewer
    than two values.

    >>> bootstrap_interval([5.0, 5.0, 5.0])
    (5.0, 5.0)
    """
    if len(values) < 2:
        return None
    if min(values) == max(values):
        return float(values[0]), float(values[0])
    average: Callable[..., Any] = {"mean": np.mean, "median": np.median}[statistic]
    ordered = np.sort(np.asarray(values, dtype=float))  # the result must not depend on the order
    return _bootstrap((ordered,), average, confidence, seed)


def restricted_mean_interval(
    counts: Counts, horizon: float, confidence: float = 0.95, seed: int = 0
) -> Interval | None:
    """Bootstrap interval of :meth:`Survival.restricted_mean`, from resampled trials.

    None for fewer than two trials.

    Raises:
        SettingError: the horizon is negative, or beyond the longest trial.
    """
    if len(counts.sequences) < 2:
        return None
    mean = survival(counts).restricted_mean(horizon)
    if len(set(zip(counts.sequences, counts.solved, strict=True))) == 1:
        return mean, mean

    def area(sequences: np.ndarray, solved: np.ndarray, axis: int = -1) -> np.ndarray:
        return restricted_means(sequences, solved, horizon)

    return _bootstrap(_columns(counts), area, confidence, seed)


def median_interval(counts: Counts, confidence: float = 0.95, seed: int = 0) -> Interval | None:
    """Bootstrap interval of :attr:`Survival.median`, from resampled trials.

    An end is infinite if too many resamples have no median. None for fewer than two trials.

    >>> median_interval(Counts((5, 5, 5, 99, 99, 99), (True,) * 3 + (False,) * 3))
    (5.0, inf)
    """
    if len(counts.sequences) < 2:
        return None
    return _bootstrap(_columns(counts), medians, confidence, seed)


def _columns(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    return _sorted(counts.sequences, counts.solved)


def _sorted(first: Sequence[float], second: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Sort pairs, so that results do not depend on the order of trials."""
    pairs = np.array(sorted(zip(first, second, strict=True)), dtype=float)
    return pairs[:, 0], pairs[:, 1]


def kaplan_meier(sequences: np.ndarray, solved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Survival curves of many samples at once, which SciPy cannot compute.

    Args:
        sequences: counts, ``[..., trials]``.
        solved: 1 where the trial was solved, else 0, ``[..., trials]``.

    Returns:
        the counts in ascending order, and the share of unsolved trials from each count on.
    """
    order = np.lexsort((-solved, sequences), axis=-1)  # at equal counts, solved trials first
    times = np.take_along_axis(sequences, order, -1)
    won = np.take_along_axis(solved, order, -1)
    at_risk = np.arange(times.shape[-1], 0, -1)
    return times, np.cumprod(1.0 - won / at_risk, axis=-1)


def restricted_means(sequences: np.ndarray, solved: np.ndarray, horizon: float) -> np.ndarray:
    """Areas below the survival curves of many samples up to a horizon; ``[..., trials]``."""
    times, share = kaplan_meier(sequences, solved)
    corners = np.minimum(times, horizon)
    widths = np.diff(corners, axis=-1, prepend=0.0)
    before = np.concatenate([np.ones_like(share[..., :1]), share[..., :-1]], axis=-1)
    return (widths * before).sum(axis=-1) + (horizon - corners[..., -1]) * share[..., -1]


def medians(sequences: np.ndarray, solved: np.ndarray, axis: int = -1) -> np.ndarray:
    times, share = kaplan_meier(sequences, solved)
    return np.where(share < HALF, times, math.inf).min(axis=-1)


@dataclass(frozen=True)
class SuccessCost:
    """Expected number of sequences per success if failed trials are repeated.

    Args:
        sequences: sequences of all trials over the number of successes; infinite without success.
        interval: its 95 % bootstrap interval; None for fewer than two trials or without success.
    """

    sequences: float
    interval: Interval | None


def expected_sequences(
    trials: Sequence[Trial], confidence: float = 0.95, seed: int = 0
) -> SuccessCost | None:
    """Sequences of all trials per success; None without trials.

    A diverged trial counts with the sequences until it diverged, since it can be restarted then.

    >>> ended = [Trial("x", 0, 0, "solved", 30, 1, 0.1), Trial("x", 1, 0, "budget", 90, 1, 0.1)]
    >>> expected_sequences(ended).sequences
    120.0
    """
    if not trials:
        return None
    spent, solved = _sorted([one.sequences for one in trials], [one.success for one in trials])
    cost = float(_cost(spent, solved))
    if len(trials) < 2 or not solved.any():
        return SuccessCost(cost, None)
    if len(set(zip(spent.tolist(), solved.tolist(), strict=True))) == 1:
        return SuccessCost(cost, (cost, cost))
    return SuccessCost(cost, _bootstrap((spent, solved), _cost, confidence, seed))


def _cost(spent: np.ndarray, solved: np.ndarray, axis: int = -1) -> np.ndarray:
    total, successes = spent.sum(axis=-1), solved.sum(axis=-1)
    return np.where(successes > 0, total / np.maximum(successes, 1.0), math.inf)


def _bootstrap(
    columns: tuple[np.ndarray, ...], statistic: Callable[..., Any], confidence: float, seed: int
) -> Interval:
    """Bootstrap interval of a statistic of paired columns."""
    from scipy import stats

    # every supported SciPy accepts this name; since 1.15 the documented one is `rng`
    generator: dict[str, Any] = {"random_state": np.random.default_rng(seed)}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # an undefined correction gives NaN, handled below
        found = stats.bootstrap(
            columns,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            confidence_level=confidence,
            method="BCa",
            **generator,
        )
    low, high = (float(end) for end in found.confidence_interval)
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    # no interpolation, since some resamples may be infinite
    ends = np.quantile(found.bootstrap_distribution, tails, method="inverted_cdf")
    return float(ends[0]), float(ends[1])
