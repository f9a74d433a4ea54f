"""A runner whose trials are made up."""

from __future__ import annotations

from collections.abc import Callable

from carrousel.contracts import Experiment, Trial
from carrousel.experiments.run import runner
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from support.experiments import fakes


class FakeRunner:
    """Stores and returns made-up trials like the runner; ``fail_after`` makes it raise."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int, int | None, str]] = []
        self.ran: list[tuple[str, int]] = []
        self.fail_after: int | None = None
        self.failure: BaseException = KeyboardInterrupt()

    def run(
        self,
        experiment: Experiment,
        *,
        trials: int,
        seed: int,
        jobs: int | None,
        store: Store | None = None,
        backend: str = "loky",
        address: str | None = None,
        on_progress: Callable[[runner.RunProgress], None] | None = None,
    ) -> list[Trial]:
        name = experiment.name
        self.calls.append((name, trials, seed, jobs, backend))
        known = store.trials(name, seed, fingerprint(experiment)) if store else []
        ended = {trial.index: trial for trial in known if trial.index < trials}
        for index in range(trials):
            if index in ended:
                continue
            if self.fail_after is not None and len(self.ran) >= self.fail_after:
                raise self.failure
            ended[index] = fakes.trial(index, name, seed)
            self.ran.append((name, index))
            if store:
                store.append(ended[index], experiment, instruction_set="plain")
            if on_progress:
                on_progress(runner.RunProgress(name, len(ended), trials, 10 * index, 100, 1.0))
        return [ended[index] for index in range(trials)]
