"""Outcomes of rows: their trials, verdicts, and ratios to the printed counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tools.pages.figures import Entries

from carrousel.contracts import Experiment
from carrousel.experiments.judge.verdict import KINDS, Verdict, verdict
from carrousel.experiments.report.collect import Entry
from carrousel.shapes import Interval


@dataclass(frozen=True)
class RowOutcome:
    """What the store holds about one row, or about the row under a recipe.

    Args:
        name: name of the row, without the recipe.
        experiment: the row or its variation.
        entry: its trials; None without any.
        verdict: on these trials.
    """

    name: str
    experiment: Experiment
    entry: Entry | None
    verdict: Verdict

    @property
    def group(self) -> str:
        """The experiment of the row, such as ``2c``."""
        return self.name.partition("-")[0]

    @property
    def departures(self) -> int:
        """Number of settings that contradict the print."""
        return sum(each.departs for each in self.experiment.readings)

    @property
    def kind(self) -> str:
        return self.verdict.kind

    @property
    def judged(self) -> bool:
        """Whether enough trials have ended."""
        return self.kind not in ("pending", "unpublished")

    @property
    def solved(self) -> int:
        return self.verdict.figures.successes

    @property
    def trials(self) -> int:
        return self.verdict.figures.trials

    @property
    def mean(self) -> float | None:
        """Our mean count over solved trials; None until enough trials have ended."""
        return self.verdict.figures.mean if self.judged else None

    @property
    def mean_ci95(self) -> Interval | None:
        return self.verdict.figures.mean_ci95 if self.judged else None

    @property
    def ratio(self) -> float | None:
        """Our mean over the printed one."""
        return self.verdict.figures.ratio if self.judged else None

    @property
    def ratio_ci95(self) -> Interval | None:
        """Interval of the ratio of the expected counts."""
        return self.verdict.figures.ratio_ci95 if self.judged else None

    @property
    def met(self) -> bool:
        """Whether the row is reproduced, faster, or at most a quarter slower."""
        return self.verdict.met


def outcome(name: str, experiment: Experiment, entries: Entries) -> RowOutcome:
    """Look up a row or a recipe in the entries of a report."""
    entry = entries.get(experiment.name)
    trials, asked = (entry.trials, entry.asked) if entry else ((), 0)
    return RowOutcome(name, experiment, entry, verdict(experiment, trials, asked=asked))


def outcomes(rows: Mapping[str, Experiment], entries: Entries) -> list[RowOutcome]:
    """Look up rows, or recipes of rows, by the names of the rows."""
    return [outcome(name, row, entries) for name, row in rows.items()]


@dataclass(frozen=True)
class Total:
    """Sums over several rows.

    Args:
        rows: number of rows.
        judged: number of rows with a verdict.
        met: number of rows that are reproduced, faster, or slower by little.
        solved: number of solved trials.
        trials: number of trials.
        ratios: ratios of our means to the printed ones.
    """

    rows: int
    judged: int
    met: int
    solved: int
    trials: int
    ratios: tuple[float, ...]

    @property
    def middle(self) -> float | None:
        """Median of the ratios."""
        return median(self.ratios) if self.ratios else None


def total(found: Iterable[RowOutcome]) -> Total:
    """Add up the outcomes of rows."""
    known = list(found)
    return Total(
        rows=len(known),
        judged=sum(one.judged for one in known),
        met=sum(one.met for one in known),
        solved=sum(one.solved for one in known),
        trials=sum(one.trials for one in known),
        ratios=tuple(one.ratio for one in known if one.ratio is not None),
    )


def by_kind(found: Sequence[RowOutcome]) -> dict[str, list[str]]:
    """Names of rows by kind of verdict, in the order of :data:`KINDS`; empty kinds are omitted."""
    names = {kind: [one.name for one in found if one.kind == kind] for kind in KINDS}
    return {kind: known for kind, known in names.items() if known}
