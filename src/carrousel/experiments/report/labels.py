"""Labels and figures as text, the same in all reports."""

from __future__ import annotations

import math
from collections.abc import Mapping

from carrousel.contracts import Reading
from carrousel.experiments.judge.measures import COMPARED
from carrousel.experiments.judge.measures import label as label
from carrousel.experiments.judge.summary import Summary
from carrousel.experiments.judge.verdict import Verdict
from carrousel.words import ABSENT, bounded, number, small


def published_values(measure: str, published: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return published values of a measure with their sources.

    The paper's value has the name of the measure, values from other sources "MEASURE of SOURCE".

    >>> published_values("wrong", {"wrong": 1.0, "rmse": 0.1})
    [('paper', 1.0)]
    >>> published_values("accuracy", {"accuracy of FCN": 0.993})
    [('FCN', 0.993)]
    """
    paper = [("paper", published[measure])] if measure in published else []
    start = f"{measure} of "
    others = [(name.removeprefix(start), value) for name, value in published.items()]
    return paper + [(who, value) for who, value in others if f"{start}{who}" in published]


def solved(summary: Summary) -> str:
    """Number of solved trials out of those that ended."""
    return f"{summary.successes} of {summary.trials}"


def mean_sequences(summary: Summary) -> str:
    """Mean number of sequences and half its interval, e.g. ``73,210 ± 8,500``."""
    if summary.sequences_mean is None:
        return ABSENT
    mean = number(round(summary.sequences_mean))
    if summary.sequences_ci95 is None:
        return mean
    low, high = summary.sequences_ci95
    reach = (high - low) / 2
    return f"{mean} ± {number(_two_digits(reach))}"


def median_sequences(summary: Summary) -> str:
    """Number of sequences after which half of all trials are solved, or its lower bound."""
    return bounded(summary.sequences_median, summary.sequences_last)


def further(summary: Summary) -> str:
    """The first further figure of the paper by its short name, ours first: ``wrong 0.4 (1)``."""
    ours, printed = summary.measures, summary.published.others
    known = (name for name in COMPARED if name in ours and name in printed)
    return next((f"{x} {small(ours[x])} ({small(printed[x])})" for x in known), "")


def ratio(summary: Summary) -> str:
    """Ratio of our mean to the paper's."""
    ours, theirs = summary.sequences_mean, summary.published.sequences
    return ABSENT if ours is None or not theirs else f"{ours / theirs:.2f}"


def verdict(found: Verdict) -> str:
    """A verdict in few words; a star marks rows that contradict the paper's text in a setting.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> from carrousel.experiments.judge.verdict import verdict as judge
    >>> verdict(judge(EXPERIMENTS["2c-1"], [])), verdict(judge(EXPERIMENTS["vowels"], []))
    ('pending *', '–')
    """
    if found.kind == "unpublished":
        return ABSENT
    return f"{found.brief} *" if found.departs else found.brief


def _two_digits(value: float) -> float:
    """Round to two significant digits, the accuracy of an interval."""
    if value < 1 or not math.isfinite(value):
        return value
    return float(f"{value:.2g}")


def choice(reading: Reading) -> str:
    """Return the choice of a reading, marked if it departs from the paper.

    >>> choice(Reading("training.rate", "4", "1 is printed", departs=True))
    'training.rate: 4 (departs from the paper)'
    """
    text = f"{reading.field}: {reading.chosen}"
    return f"{text} (departs from the paper)" if reading.departs else text
