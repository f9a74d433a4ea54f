"""How figures are written wherever a report shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from carrousel.contracts import Reading
from carrousel.experiments.report_summary import Summary
from carrousel.experiments.statistics import Interval

ABSENT = "–"  # noqa: RUF001  (an en dash: the usual sign for "not given" in tables)

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
"""What figures and settings with a short name are."""


def label(measure: str) -> str:
    """The name of a figure or setting in words.

    >>> label("wrong"), label("mean_length"), label("accuracy of DTW_D")
    ('test sequences wrong', 'mean length', 'test accuracy of DTW_D')
    """
    name, of, whose = measure.partition(" of ")
    return LABELS.get(name, name.replace("_", " ")) + of + whose


def beside(measure: str, published: Mapping[str, float]) -> list[tuple[str, float]]:
    """Published values of a measure, each with whose it is.

    A figure of the paper goes by the measure's own name, that of somebody else by "NAME of WHO".

    >>> beside("wrong", {"wrong": 1.0, "rmse": 0.1})
    [('paper', 1.0)]
    >>> beside("accuracy", {"accuracy of FCN": 0.993})
    [('FCN', 0.993)]
    """
    paper = [("paper", published[measure])] if measure in published else []
    start = f"{measure} of "
    others = [(name.removeprefix(start), value) for name, value in published.items()]
    return paper + [(who, value) for who, value in others if f"{start}{who}" in published]


def number(value: float | None) -> str:
    """Whole numbers with commas, others with three significant digits.

    >>> [number(value) for value in (74000.0, 1234.56, 0.000195, 2.5, None)]
    ['74,000', '1,235', '0.000195', '2.5', '–']
    """
    if value is None or math.isnan(value):
        return ABSENT
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share of 0 to 100.

    >>> percent(100.0), percent(97.4), percent(None)
    ('100 %', '97 %', '–')
    """
    return ABSENT if value is None else f"{value:.0f} %"


def solved(summary: Summary) -> str:
    """How many of the trials that ended were solved."""
    return f"{summary.successes} of {summary.trials}"


def rate_interval(interval: Interval | None) -> str:
    """An interval of a rate, in percent.

    >>> rate_interval((0.7225, 1.0))
    '72–100 %'
    """
    if interval is None:
        return ABSENT
    return f"{100 * interval[0]:.0f}–{100 * interval[1]:.0f} %"  # noqa: RUF001


def mean_sequences(summary: Summary) -> str:
    """Mean and half its interval, e.g. ``73,210 ± 8,500``."""
    if summary.sequences_mean is None:
        return ABSENT
    mean = number(round(summary.sequences_mean))
    if summary.sequences_ci95 is None:
        return mean
    reach = summary.sequences_ci95[1] - summary.sequences_mean
    return f"{mean} ± {number(_two_digits(reach))}"


def ratio(summary: Summary) -> str:
    """Our mean over the paper's."""
    ours, theirs = summary.sequences_mean, summary.published.sequences
    return ABSENT if ours is None or not theirs else f"{ours / theirs:.2f}"


def duration(seconds: float) -> str:
    """A time span in the two units that matter.

    >>> [duration(seconds) for seconds in (0.42, 12.3, 125, 11_400, 200_000)]
    ['0.4 s', '12 s', '2 min 05 s', '3 h 10 min', '2 d 7 h']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def big(value: float) -> str:
    """A large number by its order of magnitude.

    >>> big(950), big(12_345_678), big(4.2e9)
    ('950', '12.3 million', '4.2 billion')
    """
    for unit, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return number(round(value))


def count(amount: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "trial"), count(1200, "trial")
    ('1 trial', '1,200 trials')
    """
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def _two_digits(value: float) -> float:
    """Round to two significant digits: an interval of a mean is not known better."""
    if value < 1 or not math.isfinite(value):
        return value
    return float(f"{value:.2g}")


def choice(reading: Reading) -> str:
    """What a row chose where the paper leaves it open, and whether that contradicts the paper.

    >>> choice(Reading("training.rate", "4", "1 is printed", departs=True))
    'training.rate: 4 (departs from the paper)'
    """
    told = f"{reading.field}: {reading.chosen}"
    return f"{told} (departs from the paper)" if reading.departs else told
