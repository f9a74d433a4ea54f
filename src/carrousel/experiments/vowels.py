"""Beyond the paper: real speech, learned by its algorithm.

Nine speakers of a Japanese vowel (:class:`carrousel.tasks.vowels.JapaneseVowels`). The settings
were chosen by cross-validation within the training utterances; ``docs/vowels.md`` has the table,
and ``benchmarks/select_vowels.py`` makes it. The test utterances were not looked at for any choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import (
    Cell,
    Errors,
    Exam,
    ExamData,
    Experiment,
    Init,
    Memory,
    Network,
    Published,
    Reading,
    Task,
    Training,
)
from carrousel.tasks.vowels import JapaneseVowels


@dataclass(frozen=True)
class AfterTraining:
    """Stop after a fixed amount of training, then judge once by the task's own test set.

    Real data have an end, and nothing says beforehand which accuracy can be reached. So a trial is
    solved when it has learned all it was to learn, with finite weights, and the share of test
    sequences it gets right is its measure ``accuracy``.

    Args:
        sequences: number of training sequences; a trial's budget must not be smaller.

    Raises:
        SettingError: ``sequences`` is out of its range.

    >>> AfterTraining(sequences=54_000).describe
    'after 54,000 sequences; then judged once by the test set'
    """

    sequences: int

    def __post_init__(self) -> None:
        check_int("sequences", self.sequences, minimum=1)

    @property
    def describe(self) -> str:
        """The rule in words."""
        return f"after {self.sequences:,} sequences; then judged once by the test set"

    @property
    def every(self) -> int:
        """The only exam comes when training is over."""
        return self.sequences

    def begin(self) -> Memory:
        """Return the memory of a trial that has not been judged."""
        return {}

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        """Errors made in training do not matter."""
        return None

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        """Yield the whole test set, and note the share that was right."""
        data = task.test(tests.fresh(0), 1)
        outputs = yield data
        memory["accuracy"] = np.array(np.mean(task.correct(outputs, data)))
        return True

    def measures(self, memory: Memory) -> Mapping[str, float]:
        """Return the accuracy, once there is one."""
        return {name: float(value) for name, value in memory.items()}


ROUNDS = 200
BLOCKS = 64

VOWELS = Experiment(
    name="vowels",
    title="Japanese vowels: who of nine men speaks",
    task=JapaneseVowels(targets="last", offset=0.3, jitter=0.3),
    network=Network(
        n_inputs=12,
        n_outputs=9,
        cell=Cell(blocks=BLOCKS, block_size=1, g="[-2,2]", h="[-1,1]"),
        wiring="layered",
        bias="all",
        init=Init(0.1, input_gate_bias=(-3.0,) * BLOCKS),
    ),
    learner="truncated",
    training=Training(rate=0.2),
    stop=AfterTraining(sequences=ROUNDS * 270),
    budget=ROUNDS * 270,
    published=Published(
        table="beyond the paper",
        success_percent=None,
        sequences=None,
        weights=None,
        trials=10,
        others={
            "accuracy of FCN": 0.993,
            "accuracy of ResNet": 0.992,
            "accuracy of TWIESN": 0.965,
            "accuracy of 1NN-DTW_D": 0.949,
        },
    ),
    readings=(
        Reading(
            "published",
            "what others reach on the same 270 and 370 utterances",
            "the paper has no real data; FCN, ResNet and TWIESN (an echo state network): Ismail "
            "Fawaz and others 2019, means of ten runs; 1NN-DTW_D: Bagnall and others 2018",
        ),
        Reading(
            "network, training, task",
            "chosen by cross-validation within the 270 training utterances",
            "docs/vowels.md has the table",
        ),
    ),
)
"""Nine speakers told apart; ``others`` holds accuracies that others report for this split."""
