"""Nets of a row that learn side by side, as trials do, with separate random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np

from carrousel.contracts import Experiment, Learner, Training
from carrousel.experiments.run.seeds import Purpose, generator
from carrousel.learners import learner_named
from carrousel.shapes import Bools, Floats

SEED = 1997
MOST_STEPS = 2**20
"""Time steps of all nets that are drawn and learned at once."""


class Nets:
    """Nets of one experiment, each with its own weights, fixed sets and training data.

    Args:
        experiment: its task, network, learner and training.
        count: number of nets.
        draws: name that the random numbers depend on. Readings of a row with the same name start
            from the same uniform draws and learn the same sequences.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> nets = Nets(EXPERIMENTS["4-1"], 2, "4-1")
    >>> before = nets.weights[0].copy()
    >>> nets.learn(1)
    >>> bool((nets.weights[0] != before).any())
    True
    """

    def __init__(self, experiment: Experiment, count: int, draws: str) -> None:
        self.experiment, self.count = experiment, count
        self._draws = f"mechanisms of {draws}"
        self._training = self._rngs("training")
        self.learner = self._learner(experiment.training)
        self.tasks = [experiment.task.draw(rng) for rng in self._rngs("draw")]
        for lane, rng in enumerate(self._rngs("weights")):
            self.learner.begin(lane, rng)

    def _rngs(self, purpose: Purpose) -> list[np.random.Generator]:
        return [generator(SEED, self._draws, lane, purpose) for lane in range(self.count)]

    def _learner(self, training: Training) -> Learner:
        experiment = self.experiment
        return learner_named(experiment.learner)(experiment.network, training, self.count)

    @property
    def weights(self) -> list[Annotated[Floats, "W"]]:
        """Copies of the weights of each net, in float64."""
        return [
            self.learner.state(lane)["weights"].astype(np.float64) for lane in range(self.count)
        ]

    def test_rngs(self) -> list[np.random.Generator]:
        """Return a new generator for each net, for sequences that are not learned."""
        return self._rngs("test")

    def learn(self, sequences: int, lanes: Sequence[int] | None = None) -> None:
        """Learn so many further sequences, in some lanes or all."""
        chosen = set(range(self.count) if lanes is None else lanes)
        most = max(1, round(MOST_STEPS / self.count / self.experiment.task.mean_length))
        while sequences:
            part = min(sequences, most)
            self.learner.learn(
                [
                    task.sample(rng, part) if lane in chosen else None
                    for lane, (task, rng) in enumerate(zip(self.tasks, self._training, strict=True))
                ]
            )
            sequences -= part

    def right(self) -> Annotated[Floats, "nets"]:
        """Return the share of the sequences of its task's test that each net gets right."""
        data = [
            task.test(rng, 1000) for task, rng in zip(self.tasks, self.test_rngs(), strict=True)
        ]
        outputs = self.learner.predict(data)
        return np.array(
            [
                0.0 if found is None else float(np.mean(task.correct(found, part)))
                for task, found, part in zip(self.tasks, outputs, data, strict=True)
            ]
        )

    def correct(self) -> Annotated[Bools, "nets"]:
        """Return which nets get all sequences of their task's test right."""
        return self.right() == 1.0

    def solved_at(
        self, sequences: int, every: int, among: Sequence[int] | None = None
    ) -> list[int | None]:
        """Learn, with a test at intervals; a net that passes one learns no more.

        Args:
            sequences: most sequences of a net.
            every: sequences between two tests.
            among: the nets that learn; None: all.

        Returns:
            the sequences after which each net passed; None: it did not.
        """
        found: list[int | None] = [None] * self.count
        chosen = range(self.count) if among is None else among
        for done in range(every, sequences + 1, every):
            lanes = [lane for lane in chosen if found[lane] is None]
            if not lanes:
                break
            self.learn(every, lanes)
            right = self.correct()
            for lane in lanes:
                found[lane] = done if right[lane] else None
        return found

    def continued(self, **changes: float) -> Nets:
        """Return nets with the same weights and tasks whose training differs in some settings.

        Weights are all that a net keeps from one sequence to the next, so this is the same as a
        change of settings while they learn. The copies learn new sequences.
        """
        training = replace(self.experiment.training, **changes)
        other = Nets.__new__(Nets)
        other.experiment, other.count = replace(self.experiment, training=training), self.count
        other._draws = f"{self._draws}, continued"
        other._training, other.tasks = other._rngs("training"), self.tasks
        other.learner = other._learner(training)
        for lane in range(self.count):
            other.learner.restore(lane, self.learner.state(lane))
        return other
