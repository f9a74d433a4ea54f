"""Labels and figures as text, the same in all reports."""

from __future__ import annotations

import math
from collections.abc import Mapping

from carrousel.contracts import Reading
from carrousel.experiments.judge.summary import Summary
from carrousel.words import ABSENT, number

LABELS = {
    "wrong": "test sequences wrong",
    "fraction": "fraction of test sequences wrong",
    "mean_abs": "mean absolute test error",
    "rmse": "root mean square test error",
    "st1_sequences": "sequences until the first condition held",
    "accuracy": "test accuracy",
    "test_size": "size of the final test",
    "draws": "draws of the data",
}
"""Labels of figures and settings with a short name."""


def label(measure: str) -> str:
    """Return the label of a figure or setting.

    >>> label("wrong"), label("mean_length"), label("accuracy of DTW_D")
    ('test sequences wrong', 'mean length', 'test accuracy of DTW_D')
    """
    name, of, whose = measure.partition(" of ")
    return LABELS.get(name, name.replace("_", " ")) + of + whose


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
    reach = summary.sequences_ci95[1] - summary.sequences_mean
    return f"{mean} ± {number(_two_digits(reach))}"


def ratio(summary: Summary) -> str:
    """Ratio of our mean to the paper's."""
    ours, theirs = summary.sequences_mean, summary.published.sequences
    return ABSENT if ours is None or not theirs else f"{ours / theirs:.2f}"


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
