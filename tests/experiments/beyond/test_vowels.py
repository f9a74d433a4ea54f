"""Japanese vowels: the stop rule, a short run, and the settings that cross-validation chose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.learn import select_vowels as script

from carrousel.contracts import Errors
from carrousel.errors import SettingError
from carrousel.experiments.beyond.vowels import VOWELS
from carrousel.experiments.run.runner import run
from carrousel.experiments.stopping import AfterTraining
from carrousel.learners import LEARNERS
from carrousel.sequences import Sequences
from support.case import each
from support.paths import ROOT


class _Tests:
    """Generators of test data, which a fixed test set does not use."""

    def fresh(self, count: int) -> np.random.Generator:
        return np.random.default_rng(count)

    def kept(
        self, make: Callable[[np.random.Generator], Iterable[Sequences]]
    ) -> Iterator[Sequences]:
        return iter(make(self.fresh(0)))


@each("wrong", [0, 1, 37, 370])
def test_accuracy_counts_right_sequences(wrong):
    rule, task = AfterTraining(sequences=10), VOWELS.task
    memory = rule.begin()
    assert rule.measures(memory) == {}
    exam = rule.exam(memory, task, _Tests())
    data = next(exam)
    assert len(data) == 370
    outputs = data.dense_targets()
    outputs[:wrong] = np.roll(outputs[:wrong], 1, axis=1)
    with pytest.raises(StopIteration) as end:
        exam.send(outputs)
    assert end.value.value is True
    assert rule.measures(memory) == {"accuracy": pytest.approx(1 - wrong / 370)}


def test_training_errors_do_not_end_a_trial():
    rule, none = AfterTraining(sequences=10), np.zeros(1000)
    memory = rule.begin()
    assert rule.watch(memory, Errors(none, none, none, np.ones(1000, int)), 0.5) is None
    assert rule.every == 10
    with pytest.raises(SettingError, match="sequences is 0"):
        AfterTraining(sequences=0)


def test_a_short_run_learns_and_ends_on_the_sequence():
    network = VOWELS.network
    small = replace(
        VOWELS,
        network=replace(
            network,
            cell=replace(network.cell, blocks=8),
            init=replace(network.init, input_gate_bias=(-3.0,) * 8),
        ),
        training=replace(VOWELS.training, rate=0.4),
        stop=AfterTraining(sequences=5000),
        budget=5000,
    )
    trials = run(small, trials=3)
    assert [trial.ending for trial in trials] == ["solved"] * 3
    assert [trial.sequences for trial in trials] == [5000] * 3
    accuracy = [trial.measures["accuracy"] for trial in trials]
    np.testing.assert_allclose(np.multiply(accuracy, 370) % 1, 0, atol=1e-9)
    assert min(accuracy) > 0.8  # a guess is right in a ninth of all cases
    assert len(set(accuracy)) > 1
    again = run(small, trials=2)
    assert [trial.measures for trial in again] == [trial.measures for trial in trials[:2]]


def test_settings_of_the_row_are_consistent():
    assert VOWELS.learner in LEARNERS
    assert VOWELS.budget == VOWELS.stop.every
    assert (VOWELS.task.n_inputs, VOWELS.task.n_outputs) == (
        VOWELS.network.n_inputs,
        VOWELS.network.n_outputs,
    )
    units, cells = VOWELS.network.cell.n_units, VOWELS.network.cell.n_cells
    assert VOWELS.network.n_weights == units * (12 + 1) + 9 * (12 + cells + 1)


def test_the_row_has_the_settings_that_cross_validation_chose():
    """The page names the settings that cross-validation chose; the row must have them."""
    page = (ROOT / "docs" / "vowels.md").read_text(encoding="utf-8")
    chosen = re.search(r"\n?equals: \*\*(.*?)\*\*", page.replace("\n", " "))
    assert chosen
    [setting] = {s for s in (*script.WIDE, *script.NEAR) if s.changes() == chosen[1]}
    assert setting.network() == VOWELS.network
    assert setting.training() == VOWELS.training
    assert replace(setting.task(0), folds=0, fold=0) == VOWELS.task
