"""Mean and median of the sequences until success: one definition for all tables and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from carrousel.experiments.judge.bootstrap import bootstrap_interval
from carrousel.experiments.judge.statistics import Counts, survival
from carrousel.shapes import Interval

MEAN = "mean over the solved trials alone, as in the paper"
MEDIAN = "sequences after which half of all trials, solved or not, are solved (Kaplan and Meier)"
INTERVAL = "95 %, BCa bootstrap"


@dataclass(frozen=True)
class Centre:
    """Mean and median of counts; missing figures are None.

    Args:
        mean: mean of the counts of solved trials alone, as in the paper.
        mean_ci95: its bootstrap interval (BCa); None for fewer than two solved trials.
        median: count after which half of all trials are solved, by the estimate of Kaplan & Meier,
            which includes unsolved trials; None if fewer are solved.
        last: the largest count of any trial, at least which an unknown median is; None without
            trials.
    """

    mean: float | None
    mean_ci95: Interval | None
    median: float | None
    last: float | None


@lru_cache(maxsize=1024)  # reports and verdicts ask for the same trials
def centre_of(counts: Counts) -> Centre:
    """Compute mean and median of counts.

    >>> found = centre_of(Counts((20.0, 60.0, 100.0), (True, True, False)))
    >>> found.mean, found.median, found.last
    (40.0, 60.0, 100.0)
    """
    solved = counts.of_solved
    curve = survival(counts) if counts.sequences else None
    return Centre(
        mean=sum(solved) / len(solved) if solved else None,
        mean_ci95=bootstrap_interval(solved),
        median=curve.median if curve else None,
        last=curve.last if curve else None,
    )
