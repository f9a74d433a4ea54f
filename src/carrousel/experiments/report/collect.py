"""Report on a store: its trials by experiment, compared with the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from carrousel import words
from carrousel.contracts import Experiment, Trial
from carrousel.experiments.judge import centre
from carrousel.experiments.judge.summary import Summary, summarise
from carrousel.experiments.judge.verdict import Verdict, verdict
from carrousel.experiments.store.code import code_of
from carrousel.experiments.store.settings import differences, fingerprint, settings_of
from carrousel.experiments.store.store import Holding, Store
from carrousel.kernels import KERNEL_VERSION

ENDINGS = {
    "budget": "stopped unsolved at the budget of {budget} sequences",
    "diverged": "stopped because weights were no longer finite",
}
"""Descriptions of how unsolved trials ended."""
SOURCE = "Hochreiter & Schmidhuber, “Long Short-Term Memory”, Neural Computation 9(8), 1997"
OTHER_CODE = "that other code of the experiment's classes ran"
LEGEND = (
    f"Sequences: {centre.MEAN}, ± half its interval ({centre.INTERVAL}). Median: "
    f"{centre.MEDIAN}. Ratio: our mean over the paper's. Further: a figure of the final test, ours "
    "first, the paper's in brackets. Verdict: our trials against the paper's; * marks rows that "
    "contradict the paper's text in a setting, which carrousel show ROW lists."
)


@dataclass(frozen=True)
class Entry:
    """One experiment in a report.

    Args:
        experiment: the experiment.
        trials: its trials that ended.
        summary: their statistics.
        asked: number of trials requested.
        seeds: seeds of the runs.
        versions: versions of the package that ran the trials.
        instruction_sets: instruction sets that the trials ran with.
        kernel: version of the kernels that ran the trials.
        others: number of trials in the store that other versions of the kernels ran, by version.
        other_code: number of trials in the store that other code of the experiment's classes ran.
        lanes_busy: share of the lanes of vectors that learned while the trials ran; None if they
            did not run in this command.
    """

    experiment: Experiment
    trials: tuple[Trial, ...]
    summary: Summary
    asked: int
    seeds: tuple[int, ...]
    versions: tuple[str, ...] = ()
    instruction_sets: tuple[str, ...] = ()
    kernel: int = KERNEL_VERSION
    others: Mapping[int, int] = field(default_factory=dict)
    other_code: int = 0
    lanes_busy: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The statistics, and how the trials ran, as plain values for JSON."""
        return {
            **self.summary.as_json(),
            "kernel": self.kernel,
            "trials_of_other_kernels": {str(one): number for one, number in self.others.items()},
            "trials_of_other_code": self.other_code,
            "lanes_busy": self.lanes_busy,
            "verdict": self.verdict.as_json(),
        }

    @cached_property
    def verdict(self) -> Verdict:
        """Comparison of the trials with the paper's figures."""
        return verdict(self.experiment, self.trials, asked=self.asked)

    @property
    def complete(self) -> bool:
        """Whether all requested trials have ended."""
        return len(self.trials) >= self.asked

    @property
    def notes(self) -> list[str]:
        """Sentences about unfinished and unsolved trials, without a full stop."""
        found = []
        if not self.trials:
            found.append(f"none of {words.count(self.asked, 'trial')} has ended yet")
        elif not self.complete:
            found.append(
                f"{len(self.trials)} of {words.count(self.asked, 'trial')} have ended; quick "
                "trials end first, so the mean is too low until all have ended"
            )
        for ending, how in ENDINGS.items():
            if number := self.summary.endings.get(ending, 0):
                budget = words.number(self.experiment.budget)
                was = "was" if number == 1 else "were"
                found.append(f"{words.count(number, 'trial')} {was} {how.format(budget=budget)}")
        for other, trials in sorted(self.others.items()):
            number = words.count(trials, "trial")
            found.append(f"not counted: {number} that kernels of version {other} ran")
        if self.other_code:
            number = words.count(self.other_code, "trial")
            found.append(f"not counted: {number} {OTHER_CODE}")
        return found


def kernel_notes(kernels: Mapping[str, int]) -> list[str]:
    """Return a sentence for each earlier version of the kernels, with the names of what it ran.

    Args:
        kernels: version of the kernels that ran each thing, by its name.

    >>> kernel_notes({"4-1": KERNEL_VERSION})
    []
    """
    found = []
    for kernel in sorted(set(kernels.values()) - {KERNEL_VERSION}):
        names = [name for name, each in kernels.items() if each == kernel]
        which = "All trials" if len(names) == len(kernels) else f"Trials of {words.listed(names)}"
        found.append(
            f"{which} were run by kernels of version {kernel}. Trials of version "
            f"{KERNEL_VERSION}, which this package has, will replace them"
        )
    return found


@dataclass(frozen=True)
class Report:
    """Entries in the order of the catalogue, and sentences about trials that were left out."""

    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]


def collect(store: Store, experiments: Mapping[str, Experiment]) -> Report:
    """Read a store.

    Trials of all seeds are taken together. If several versions of the kernels ran an experiment,
    its entry has those of the newest. Trials of unknown experiments, and trials whose settings
    or code differ from those in ``experiments``, are left out and listed as such.
    """
    held: dict[str, list[Holding]] = {}
    left_out = []
    marks = {name: fingerprint(experiment) for name, experiment in experiments.items()}
    codes = {name: code_of(experiment) for name, experiment in experiments.items()}
    for holding in store.holdings():
        name = holding.experiment
        if (marks.get(name), codes.get(name)) == (holding.fingerprint, holding.code):
            held.setdefault(holding.experiment, []).append(holding)
        elif holding.trials:
            left_out.append(_left_out(store, holding, experiments.get(holding.experiment)))
    entries = [
        _entry(store, experiment, held[name])
        for name, experiment in experiments.items()
        if name in held
    ]
    return Report(tuple(entries), tuple(left_out))


def newest(held: Sequence[Holding]) -> tuple[list[Holding], dict[int, int]]:
    """Choose the holdings of the newest version of the kernels that has ended a trial.

    Returns:
        these holdings, and the number of trials of every other version.
    """
    ended = [each.kernel for each in held if each.trials]
    kernel = max(ended or [each.kernel for each in held])
    others: dict[int, int] = {}
    for each in held:
        if each.kernel != kernel and each.trials:
            others[each.kernel] = others.get(each.kernel, 0) + each.trials
    return [each for each in held if each.kernel == kernel], others


def _entry(store: Store, experiment: Experiment, held: Sequence[Holding]) -> Entry:
    held, others = newest(held)
    mark, kernel = held[0].fingerprint, held[0].kernel
    trials = store.trials(experiment.name, fingerprint=mark, kernel=kernel, code=held[0].code)
    return Entry(
        experiment=experiment,
        trials=tuple(trials),
        summary=summarise(experiment, trials, sum(each.seconds for each in held)),
        asked=sum(each.asked for each in held),
        seeds=tuple(each.seed for each in held),
        versions=tuple(sorted({one for each in held for one in each.versions})),
        instruction_sets=tuple(sorted({one for each in held for one in each.instruction_sets})),
        kernel=kernel,
        others=others,
    )


def _left_out(store: Store, holding: Holding, now: Experiment | None) -> str:
    what = f"{words.count(holding.trials, 'trial')} of {holding.experiment} (seed {holding.seed})"
    if holding.kernel != KERNEL_VERSION:
        what += f" by kernels of version {holding.kernel}"
    if now is None:
        return f"{what}: this version has no such experiment"
    if holding.fingerprint == fingerprint(now):
        return f"{what}: other code of the experiment's classes ran them"
    changes = differences(store.settings(holding.fingerprint), settings_of(now))
    return f"{what}: they ran with other settings ({'; '.join(changes)})"


def stored(store: Store, experiment: Experiment, seed: int, asked: int) -> Entry:
    """Read the entry of one run from a store: trials 0 to ``asked - 1`` of a seed.

    Trials of other versions of the kernels and of other code are counted apart.
    If the store has more trials of this seed, the wall time is reduced to the share of these.
    """
    mark, code = fingerprint(experiment), code_of(experiment)
    held = store.trials(experiment.name, seed, mark, code=code)
    trials = [trial for trial in held if trial.index < asked]
    every = [one for one in store.holdings() if (one.fingerprint, one.seed) == (mark, seed)]
    known = [one for one in every if one.code == code]
    wall = sum(each.seconds for each in known if each.kernel == KERNEL_VERSION)
    work = sum(trial.seconds for trial in held)
    part = sum(trial.seconds for trial in trials) / work if work > 0 else 1.0
    return Entry(
        experiment=experiment,
        trials=tuple(trials),
        summary=summarise(experiment, trials, wall * part),
        asked=asked,
        seeds=(seed,),
        others={one.kernel: one.trials for one in known if one.kernel != KERNEL_VERSION},
        other_code=sum(one.trials for one in every if one.code != code),
    )


def unstored(
    experiment: Experiment, trials: Sequence[Trial], seed: int, seconds: float, *, asked: int
) -> Entry:
    """Return the entry of a run without a store."""
    summary = summarise(experiment, trials, seconds)
    return Entry(experiment, tuple(trials), summary, asked=asked, seeds=(seed,))
