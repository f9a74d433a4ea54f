"""The experiment ends when it should, counts rightly, learns, and is the one that was chosen."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carrousel.contracts import Errors
from carrousel.errors import SettingError
from carrousel.experiments.beyond.vowels import VOWELS
from carrousel.experiments.run.runner import run
from carrousel.experiments.stopping import AfterTraining
from carrousel.learners import LEARNERS
from carrousel.sequences import Sequences

ROOT = Path(__file__).parents[3]


class _Tests:
    """Test data's generators, which a given test set has no use for."""

    def fresh(self, count: int) -> np.random.Generator:
        return np.random.default_rng(count)

    def kept(
        self, make: Callable[[np.random.Generator], Iterable[Sequences]]
    ) -> Iterator[Sequences]:
        return iter(make(self.fresh(0)))


@pytest.mark.parametrize("wrong", [0, 1, 37, 370])
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
    assert len(set(accuracy)) > 1  # trials differ
    again = run(small, trials=2)
    assert [trial.measures for trial in again] == [trial.measures for trial in trials[:2]]


def test_the_row_fits_together():
    assert VOWELS.learner in LEARNERS
    assert VOWELS.budget == VOWELS.stop.every
    assert (VOWELS.task.n_inputs, VOWELS.task.n_outputs) == (
        VOWELS.network.n_inputs,
        VOWELS.network.n_outputs,
    )
    units, cells = VOWELS.network.cell.n_units, VOWELS.network.cell.n_cells
    assert VOWELS.network.n_weights == units * (12 + 1) + 9 * (12 + cells + 1)


def test_the_row_is_the_one_that_was_chosen(monkeypatch):
    """The page says which setting cross-validation preferred; the literal must be that one."""
    page = (ROOT / "docs" / "vowels.md").read_text(encoding="utf-8")
    chosen = re.search(r"\n?equals: \*\*(.*?)\*\*", page.replace("\n", " "))
    assert chosen
    path = ROOT / "benchmarks" / "select_vowels.py"
    spec = importlib.util.spec_from_file_location("select_vowels", path)
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "select_vowels", script)
    spec.loader.exec_module(script)
    [setting] = {s for s in (*script.WIDE, *script.NEAR) if s.changes() == chosen[1]}
    assert setting.network() == VOWELS.network
    assert setting.training() == VOWELS.training
    assert replace(setting.task(0), folds=0, fold=0) == VOWELS.task
