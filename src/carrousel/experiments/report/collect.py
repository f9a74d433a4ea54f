"""Report on a store: its trials by experiment, compared with the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carrousel import words
from carrousel.contracts import Experiment, Trial
from carrousel.experiments.judge.summary import Summary, summarise
from carrousel.experiments.store.settings import differences, fingerprint, settings_of
from carrousel.experiments.store.store import Holding, Store

ENDINGS = {
    "budget": "stopped unsolved at the budget of {budget} sequences",
    "diverged": "stopped because weights were no longer finite",
}
"""Descriptions of how unsolved trials ended."""
SOURCE = "Hochreiter & Schmidhuber, “Long Short-Term Memory”, Neural Computation 9(8), 1997"
LEGEND = (
    "Sequences: mean over the solved trials alone, ± half its 95 % interval (Student's t). "
    "Ratio: our mean over the paper's."
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
    """

    experiment: Experiment
    trials: tuple[Trial, ...]
    summary: Summary
    asked: int
    seeds: tuple[int, ...]
    versions: tuple[str, ...] = ()
    instruction_sets: tuple[str, ...] = ()

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
        return found


@dataclass(frozen=True)
class Report:
    """Entries in the order of the catalogue, and sentences about trials that were left out."""

    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]


def collect(store: Store, experiments: Mapping[str, Experiment]) -> Report:
    """Read a store.

    Trials of all seeds are taken together. Trials of unknown experiments, and trials whose settings
    differ from those in ``experiments``, are left out and listed as such.
    """
    held: dict[str, list[Holding]] = {}
    left_out = []
    marks = {name: fingerprint(experiment) for name, experiment in experiments.items()}
    for holding in store.holdings():
        if marks.get(holding.experiment) == holding.fingerprint:
            held.setdefault(holding.experiment, []).append(holding)
        elif holding.trials:
            left_out.append(_left_out(store, holding, experiments.get(holding.experiment)))
    entries = [
        _entry(store, experiment, held[name])
        for name, experiment in experiments.items()
        if name in held
    ]
    return Report(tuple(entries), tuple(left_out))


def _entry(store: Store, experiment: Experiment, held: Sequence[Holding]) -> Entry:
    trials = store.trials(experiment.name, fingerprint=held[0].fingerprint)
    return Entry(
        experiment=experiment,
        trials=tuple(trials),
        summary=summarise(experiment, trials, sum(each.seconds for each in held)),
        asked=sum(each.asked for each in held),
        seeds=tuple(each.seed for each in held),
        versions=tuple(sorted({one for each in held for one in each.versions})),
        instruction_sets=tuple(sorted({one for each in held for one in each.instruction_sets})),
    )


def _left_out(store: Store, holding: Holding, now: Experiment | None) -> str:
    what = f"{words.count(holding.trials, 'trial')} of {holding.experiment} (seed {holding.seed})"
    if now is None:
        return f"{what}: this version has no such experiment"
    changes = differences(store.settings(holding.fingerprint), settings_of(now))
    return f"{what}: they ran with other settings ({'; '.join(changes)})"


def stored(store: Store, experiment: Experiment, seed: int, asked: int) -> Entry:
    """Read the entry of one run from a store: trials 0 to ``asked - 1`` of a seed.

    If the store has more trials of this seed, the wall time is reduced to the share of these.
    """
    mark = fingerprint(experiment)
    held = store.trials(experiment.name, seed, mark)
    trials = [trial for trial in held if trial.index < asked]
    wall = sum(
        each.seconds for each in store.holdings() if (each.fingerprint, each.seed) == (mark, seed)
    )
    work = sum(trial.seconds for trial in held)
    part = sum(trial.seconds for trial in trials) / work if work > 0 else 1.0
    return Entry(
        experiment=experiment,
        trials=tuple(trials),
        summary=summarise(experiment, trials, wall * part),
        asked=asked,
        seeds=(seed,),
    )


def unstored(experiment: Experiment, trials: Sequence[Trial], seed: int, seconds: float) -> Entry:
    """Return the entry of a run without a store."""
    summary = summarise(experiment, trials, seconds)
    return Entry(experiment, tuple(trials), summary, asked=len(trials), seeds=(seed,))
