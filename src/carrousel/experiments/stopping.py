"""The paper's stop rules: when a trial has solved its task (sections 5.1-5.6 and Table 11).

A rule is a frozen description. Its state in one trial is a small dictionary of arrays. The runner
keeps that state and may copy it or send it to another process between two calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import (
    Errors,
    Exam,
    ExamData,
    Memory,
    Task,
    later,
)
from carrousel.errors import SettingError
from carrousel.sequences import Sequences
from carrousel.shapes import Ints

AVERAGES = {
    "absolute": "their mean absolute error",
    "squared": "their mean squared error",
    "root": "the root of their mean squared error",
}
"""Descriptions of the definitions of "average training error"."""

FIRST_PART = 16
GROWTH = 4
LARGEST_PART = 2**18
"""Tests run in growing parts: the first 16 sequences, then up to 64, 256, 1024 in all, and so on.
Most tests fail within the first part. A part has at most about ``LARGEST_PART`` time steps."""


@dataclass(frozen=True)
class RecentTraining:
    """Stop rule on the errors of the most recent training sequences, without a test.

    Experiments 4 and 6 stop once the 2000 most recent sequences were right and the average training
    error was below 0.01 or 0.1. Experiment 5 stops once fewer than ``n_seq`` of them were wrong
    (sections 5.4-5.6, Table 11). The paper does not define "average error"; :attr:`error` chooses
    a definition. A sequence is right if all its absolute errors are below the task's tolerance.

    Args:
        window: number of most recent training sequences.
        wrong_at_most: number of them that may be wrong.
        mean_below: upper bound of their average error; None for no such condition.
        error: the mean ``"absolute"`` error, the mean ``"squared"`` error, or the ``"root"`` of the
            mean squared error. The mean of each sequence is over its targets and outputs; the root
            is taken of the mean over sequences.

    Raises:
        SettingError: an argument is out of range, or ``error`` is given without ``mean_below``.
        UnknownNameError: ``error`` is unknown.

    >>> rule = RecentTraining(window=3, wrong_at_most=0)
    >>> memory = rule.begin()
    >>> errors = np.array([0.9, 0.1, 0.2, 0.1, 0.1])
    >>> rule.watch(memory, Errors(errors, errors, errors**2, np.ones(5, int)), tolerance=0.3)
    4
    """

    window: int = 2000
    wrong_at_most: int = 0
    mean_below: float | None = None
    error: Literal["absolute", "squared", "root"] = later("absolute")

    def __post_init__(self) -> None:
        check_int("window", self.window, minimum=1)
        check_int("wrong_at_most", self.wrong_at_most, minimum=0, maximum=self.window)
        if self.mean_below is not None:
            check_number("mean_below", self.mean_below, above=0.0)
        check_choice("error", self.error, AVERAGES)
        if self.mean_below is None and self.error != "absolute":
            raise SettingError(
                f"error is {self.error!r}, but mean_below is None",
                argument="error",
                got=self.error,
                fix="give {mean_below} too",
            )

    @property
    def describe(self) -> str:
        """The rule as a sentence."""
        if self.wrong_at_most == 0:
            words = f"the last {self.window} training sequences right"
        else:
            words = (
                f"fewer than {self.wrong_at_most + 1} of the last {self.window} training "
                "sequences wrong"
            )
        if self.mean_below is not None:
            words += f" and {AVERAGES[self.error]} below {self.mean_below:g}"
        return words

    @property
    def every(self) -> int:
        """0: this rule has no tests."""
        return 0

    def begin(self) -> Memory:
        """Return an empty window."""
        return {
            "seen": np.zeros((), np.int64),
            "wrong": np.ones(self.window, bool),
            "error": np.zeros(self.window),
        }

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        """Slide the window over a chunk of training errors, one sequence at a time."""
        new, seen = len(errors.max_abs), int(memory["seen"])
        # the window after k sequences of the chunk is [k : k + window]
        wrong = np.concatenate([memory["wrong"], ~(errors.max_abs < tolerance)])
        if self.error == "absolute":
            mean = errors.mean_abs
        else:
            mean = errors.sum_sq / np.maximum(errors.n_values, 1)
        error = np.concatenate([memory["error"], mean])
        memory["seen"] = np.array(seen + new)
        memory["wrong"], memory["error"] = wrong[new:], error[new:]
        # fast path for most chunks: the sequences that all windows share are wrong too often
        shared = np.count_nonzero(wrong[new : self.window]) if new < self.window else 0
        if shared > self.wrong_at_most or seen + new < self.window:
            return None
        held = _window_sums(wrong, self.window) <= self.wrong_at_most
        held[: max(0, self.window - seen)] = False  # the window is not full yet
        if self.mean_below is not None and held.any():
            bound = self.mean_below**2 if self.error == "root" else self.mean_below
            units, whole = _in_units(error / bound, self.window)
            held &= _window_sums(units, self.window) < self.window * whole
        held[0] = False  # the window that ends before the chunk
        return int(np.argmax(held)) if held.any() else None

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        """Return False: this rule has no tests."""
        return False
        yield  # makes this a generator, as the interface requires

    def measures(self, memory: Memory) -> Mapping[str, float]:
        """Return no measures."""
        return {}


@dataclass(frozen=True)
class TestSet:
    """Stop rule by a test with frozen weights after every ``every`` training sequences.

    Experiments 2b and 2c require all of 10,000 fresh sequences to be right. Experiment 3 has two
    criteria: ST1 requires fewer than 1 (3b: 6) of 256 test sequences to be wrong; ST2 also requires
    a mean absolute error on the test set below a bound (sections 5.2 and 5.3, Table 11). The paper
    does not say how often it tested. A test runs in growing parts and ends early once it has
    failed. With ``mean_below``, the measure ``st1_sequences`` is the count at which ST1 first held.

    Args:
        every: training sequences between two tests; counts of solved trials are multiples of it.
        size: number of test sequences.
        wrong_fewer_than: the test is passed with fewer wrong sequences than this.
        mean_below: upper bound of the mean absolute error, averaged over sequences; or None.
        fixed: whether the whole trial uses one test set, instead of a fresh one for each test.

    Raises:
        SettingError: an argument is out of range.

    >>> TestSet(every=100, size=256, mean_below=0.01).describe
    'every 100 sequences: all of 256 test sequences right and their mean absolute error below 0.01'
    """

    __test__ = False  # tells pytest that this is not a class of tests

    every: int
    size: int = 256
    wrong_fewer_than: int = 1
    mean_below: float | None = None
    fixed: bool = True

    def __post_init__(self) -> None:
        check_int("every", self.every, minimum=1)
        check_int("size", self.size, minimum=1)
        check_int("wrong_fewer_than", self.wrong_fewer_than, minimum=1)
        if self.wrong_fewer_than > self.size:
            raise SettingError(
                argument="wrong_fewer_than",
                got=self.wrong_fewer_than,
                expected=f"at most {self.size}, the size of the test: any network would pass",
            )
        if self.mean_below is not None:
            check_number("mean_below", self.mean_below, above=0.0)

    @property
    def describe(self) -> str:
        """The rule as a sentence."""
        kind = "test" if self.fixed else "fresh"
        if self.wrong_fewer_than == 1:
            words = f"all of {self.size} {kind} sequences right"
        else:
            words = f"fewer than {self.wrong_fewer_than} of {self.size} {kind} sequences wrong"
        if self.mean_below is not None:
            words += f" and their mean absolute error below {self.mean_below:g}"
        return f"every {self.every} sequences: {words}"

    def begin(self) -> Memory:
        """Return the state of a trial without any test yet."""
        return {"seen": np.zeros((), np.int64), "st1": np.array(-1)}

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        """Count the training sequences; their errors do not matter."""
        memory["seen"] = np.array(memory["seen"] + len(errors.max_abs))
        return None

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        """Yield the test in growing parts, and end as soon as the verdict is certain."""
        seen = int(memory["seen"])
        wrong, error = 0, 0.0
        for data in self._parts(seen, task, tests):
            outputs = yield data
            wrong += int(np.count_nonzero(~task.correct(outputs, data)))
            if wrong >= self.wrong_fewer_than:
                return False
            if self.mean_below is not None:
                error += float(
                    mean_errors(outputs, data.dense_targets(), data.target_offsets).sum()
                )
                if memory["st1"] >= 0 and not error < self.mean_below * self.size:
                    return False
        if memory["st1"] < 0:
            memory["st1"] = np.array(seen)
        return self.mean_below is None or error < self.mean_below * self.size

    def _parts(self, seen: int, task: Task, tests: ExamData) -> Iterator[Sequences]:
        def make(rng: np.random.Generator) -> Iterator[Sequences]:
            return (task.test(rng, n) for n in exam_parts(self.size, task.mean_length))

        return tests.kept(make) if self.fixed else make(tests.fresh(seen))

    def measures(self, memory: Memory) -> Mapping[str, float]:
        """Return the count at which ST1 first held, if it did."""
        if self.mean_below is None or memory["st1"] < 0:
            return {}
        return {"st1_sequences": float(memory["st1"])}


@dataclass(frozen=True)
class WholeSet:
    """Stop rule by a test on all sequences of a task with fixed sets.

    Experiment 1 tests every training and every test string. Experiment 2a tests the only two
    sequences, which is equivalent to 10,000 random ones (sections 5.1 and 5.2, Table 11). The paper
    does not say how often it tested. The test ends at the first wrong sequence.

    Args:
        every: training sequences between two tests; counts of solved trials are multiples of it.

    Raises:
        SettingError: ``every`` is out of range.

    >>> WholeSet(every=100).describe
    'every 100 sequences: all training and test sequences right'
    """

    every: int

    def __post_init__(self) -> None:
        check_int("every", self.every, minimum=1)

    @property
    def describe(self) -> str:
        """The rule as a sentence."""
        return f"every {self.every} sequences: all training and test sequences right"

    def begin(self) -> Memory:
        """Return an empty state."""
        return {}

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        """Return None: training errors do not matter."""
        return None

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        """Yield the task's test set in growing parts, until one contains a wrong sequence."""

        def make(rng: np.random.Generator) -> Iterator[Sequences]:
            whole = task.test(rng, 1)
            ends = np.cumsum([0, *exam_parts(len(whole), task.mean_length)])
            return (whole[first:last] for first, last in pairwise(ends.tolist()))

        for data in tests.kept(make):
            outputs = yield data
            if not task.correct(outputs, data).all():
                return False
        return True

    def measures(self, memory: Memory) -> Mapping[str, float]:
        """Return no measures."""
        return {}


def exam_parts(size: int, mean_length: float) -> Iterator[int]:
    """Sizes of the parts of a test, ascending; they add up to ``size``.

    >>> list(exam_parts(256, mean_length=105.0))
    [16, 48, 192]
    >>> list(exam_parts(1000, mean_length=1000.0))
    [16, 48, 192, 262, 262, 220]
    """
    largest = max(FIRST_PART, round(LARGEST_PART / mean_length))
    done, total = 0, FIRST_PART
    while done < size:
        part = min(total - done, largest, size - done)
        yield part
        done += part
        total = max(total, done * GROWTH)


def mean_errors(
    outputs: np.ndarray, targets: np.ndarray, offsets: Annotated[Ints, "N_plus_1"]
) -> np.ndarray:
    """Mean absolute error of each sequence, ``[N]``, from outputs and targets ``[targets, O]``.

    >>> mean_errors(np.array([[0.5], [1.0], [0.25]]), np.ones((3, 1)), np.array([0, 2, 3]))
    array([0.25, 0.75])
    """
    per_step = np.abs(outputs - targets, dtype=np.float64).mean(axis=1)
    running = np.concatenate([[0.0], np.cumsum(per_step)])
    return np.diff(running[offsets]) / np.maximum(np.diff(offsets), 1)


def _window_sums(values: np.ndarray, window: int) -> np.ndarray:
    """Sums over a sliding window, ``[len(values) - window + 1]``."""
    running = np.concatenate([[0], np.cumsum(values)])
    return running[window:] - running[:-window]


def _in_units(ratios: np.ndarray, window: int) -> tuple[Ints, int]:
    """Errors over their bound as whole units, and the units of the bound: their sums are exact."""
    whole = 2 ** max(0, min(40, 62 - 2 * (window + 1).bit_length()))
    return np.rint(np.minimum(ratios, window + 1.0) * whole).astype(np.int64), whole


@dataclass(frozen=True)
class AfterTraining:
    """Stop rule after a fixed amount of training, followed by one test on the task's test set.

    For real data, no accuracy is known in advance that a trial should reach. So a trial counts as
    solved after its training if the weights are finite. Its measure ``accuracy`` is the share of
    test sequences that are right.

    Args:
        sequences: number of training sequences; the budget must not be smaller.

    Raises:
        SettingError: ``sequences`` is out of range.

    >>> AfterTraining(sequences=54_000).describe
    'after 54,000 sequences; then tested once on the test set'
    """

    sequences: int

    def __post_init__(self) -> None:
        check_int("sequences", self.sequences, minimum=1)

    @property
    def describe(self) -> str:
        """The rule as a sentence."""
        return f"after {self.sequences:,} sequences; then tested once on the test set"

    @property
    def every(self) -> int:
        """The only test is at the end of training."""
        return self.sequences

    def begin(self) -> Memory:
        """Return an empty state."""
        return {}

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        """Return None: training errors do not matter."""
        return None

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        """Yield the whole test set, and record the share that is right."""
        data = task.test(tests.fresh(0), 1)
        outputs = yield data
        memory["accuracy"] = np.array(np.mean(task.correct(outputs, data)))
        return True

    def measures(self, memory: Memory) -> Mapping[str, float]:
        """Return the accuracy, after the test."""
        return {name: float(value) for name, value in memory.items()}
