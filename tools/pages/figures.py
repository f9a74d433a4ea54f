"""Figures that several pages show about the trials of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carrousel import words
from carrousel.contracts import Trial
from carrousel.experiments.report import labels
from carrousel.experiments.report.collect import Entry, Report

Entries = Mapping[str, Entry]
"""What a report holds about each row that has trials, by the row's name."""


def entries_of(report: Report) -> Entries:
    """Index the entries of a report by row; rows without trials are left out."""
    return {entry.experiment.name: entry for entry in report.entries if entry.trials}


def solved_and_sequences(entries: Entries, name: str) -> tuple[str, str]:
    """Format the solved trials of a row and the mean number of sequences until success.

    An unfinished run has no mean: its quick trials end first, so a mean would be too low.
    """
    if name not in entries:
        return words.ABSENT, words.ABSENT
    summary = entries[name].summary
    if not entries[name].complete:
        return f"{labels.solved(summary)} so far", words.ABSENT
    return labels.solved(summary), labels.mean_sequences(summary)


def published_success(percent: float | None) -> str:
    """Format a printed success rate; the paper prints "some" for a rate it does not know."""
    return "some" if percent is None else words.percent(percent)


def seconds_a_trial(trials: Sequence[Trial]) -> float | None:
    """Compute the mean worker time of a trial, in seconds; None without trials."""
    return sum(trial.seconds for trial in trials) / len(trials) if trials else None


def verdict_label(entries: Entries, name: str) -> str:
    """Return the verdict on a row in one to four words."""
    if name not in entries:
        return words.ABSENT
    return entries[name].verdict.label
