"""A runner whose trials are made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from carrousel.contracts import Experiment, Trial
from carrousel.experiments.run import runner
from carrousel.experiments.run.lanes import LaneUse
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from support.experiments import fakes


class FakeRunner:
    """Stores and returns made-up trials like the runner, one row after the other.

    ``fail_after`` makes it raise.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int, int | None, str]] = []
        self.ran: list[tuple[str, int]] = []
        self.fail_after: int | None = None
        self.failure: BaseException = KeyboardInterrupt()

    def run_rows(
        self,
        rows: Sequence[tuple[Experiment, int]],
        *,
        seed: int,
        jobs: int | None,
        store: Store | None = None,
        backend: str = "loky",
        address: str | None = None,
        keep_weights: bool = False,
        on_progress: Callable[[runner.RunProgress], None] | None = None,
    ) -> list[list[Trial]]:
        ended = [dict[int, Trial]() for _ in rows]
        progress = [runner.RowProgress(row.name, 0, trials) for row, trials in rows]

        def report(number: int, running: int) -> None:
            done, (row, trials) = len(ended[number]), rows[number]
            progress[number] = runner.RowProgress(
                row.name, done, trials, running, 10 * done, 100 * done, 1.0, 1.0
            )
            if on_progress:
                found = tuple(list(each.values()) for each in ended)
                use = LaneUse(0.5, 1.0, 1)
                on_progress(runner.RunProgress(tuple(progress), found, 1.0, use))

        for number, (row, trials) in enumerate(rows):
            self.calls.append((row.name, trials, seed, jobs, backend))
            known: list[Any] = store.trials(row.name, seed, fingerprint(row)) if store else []
            ended[number] = {trial.index: trial for trial in known if trial.index < trials}
            for index in range(trials):
                if index in ended[number]:
                    continue
                report(number, running=1)
                if self.fail_after is not None and len(self.ran) >= self.fail_after:
                    raise self.failure
                trial = fakes.trial(index, row.name, seed)
                if store:
                    store.append(trial, row, instruction_set="plain")
                ended[number][index] = trial
                self.ran.append((row.name, index))
            report(number, running=0)
        return [[found[index] for index in sorted(found)] for found in ended]
