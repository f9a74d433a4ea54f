"""Further figures that the paper prints for a row, such as wrong test sequences, next to ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from carrousel import words
from carrousel.contracts import Published, Trial
from carrousel.experiments.judge.bootstrap import bootstrap_interval
from carrousel.shapes import Interval

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
COMPARED = ("wrong", "fraction", "mean_abs", "rmse", "st1_sequences")
"""Figures that are compared with printed ones; less is better in all of them."""
MUCH = 2.0
"""Factor of a printed figure from which ours is mentioned in the verdict."""


def label(measure: str) -> str:
    """Return the label of a figure or setting.

    >>> label("wrong"), label("mean_length"), label("accuracy of DTW_D")
    ('test sequences wrong', 'mean length', 'test accuracy of DTW_D')
    """
    name, of, whose = measure.partition(" of ")
    return LABELS.get(name, name.replace("_", " ")) + of + whose


@dataclass(frozen=True)
class Measure:
    """One figure of the paper and ours, of which less is better.

    Args:
        name: name of the figure.
        ours: our mean over solved trials.
        ours_ci95: its bootstrap interval; None for fewer than two solved trials.
        printed: the paper's figure.
    """

    name: str
    ours: float
    ours_ci95: Interval | None
    printed: float

    @property
    def much_worse(self) -> bool:
        """Whether ours is more than twice the printed figure and its interval excludes that.

        >>> Measure("wrong", 7.9, (6.5, 9.4), 1.0).much_worse
        True
        >>> Measure("wrong", 7.9, (0.8, 20.0), 1.0).much_worse
        False
        """
        known = self.ours_ci95
        return known is not None and self.ours > MUCH * self.printed and known[0] > self.printed

    def __str__(self) -> str:
        """Put both figures into words.

        >>> str(Measure("wrong", 7.9, None, 1.0))
        '7.9 test sequences wrong, printed 1'
        >>> str(Measure("rmse", 0.02, None, 0.0139))
        'root mean square test error 0.02, printed 0.0139'
        """
        ours, name = words.small(self.ours), label(self.name)
        text = f"{ours} {name}" if self.name == "wrong" else f"{name} {ours}"
        return f"{text}, printed {words.small(self.printed)}"


def measures_of(published: Published, trials: Sequence[Trial]) -> tuple[Measure, ...]:
    """Compare each further figure of the paper that our solved trials have as well."""
    found = []
    for name, printed in published.others.items():
        if name not in COMPARED:
            continue
        known = [trial.measures.get(name, math.nan) for trial in trials if trial.success]
        values = [value for value in known if math.isfinite(value)]
        if values:
            mean = sum(values) / len(values)
            found.append(Measure(name, mean, bootstrap_interval(values), printed))
    return tuple(found)
