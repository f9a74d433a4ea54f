"""Rival rows, compared with a second transcription of Tables 1 and 2, and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from carrousel.contracts import Experiment, Learner, Simple
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.paper.rivals import RIVAL_ROWS
from carrousel.experiments.stopping import RecentTraining, TestSet, WholeSet
from carrousel.experiments.store.settings import fingerprint
from carrousel.learners import learner_named
from support.case import each

# Learner, units, inputs, wiring, printed weights, rate, percent, sequences, budget, trials.
TABLES = {
    "1/rtrl-3": ("rtrl", 10, 7, "united", 170, 0.05, None, 173_000, 500_000, 30),
    "1/rtrl-12": ("rtrl", 19, 7, "united", 494, 0.1, None, 25_000, 500_000, 30),
    "1/elman": ("elman", 15, 7, "full", 435, 0.1, 0, None, 200_000, 30),
    "1/rcc": ("cascade", 16, 7, "direct", None, None, 50, 182_000, 512_000, 30),
    "2a/rtrl-p4-a1": ("rtrl", 1, 5, "direct", 36, 1.0, 78, 1_043_000, 5_000_000, 18),
    "2a/rtrl-p4-a4": ("rtrl", 1, 5, "direct", 36, 4.0, 56, 892_000, 5_000_000, 18),
    "2a/rtrl-p4-a10": ("rtrl", 1, 5, "direct", 36, 10.0, 22, 254_000, 5_000_000, 18),
    "2a/rtrl-p10": ("rtrl", 1, 11, "direct", 144, 1.0, 0, None, 5_000_000, 18),
    "2a/rtrl": ("rtrl", 1, 101, "direct", 10_404, 1.0, 0, None, 5_000_000, 18),
    "2a/bptt": ("bptt", 1, 101, "direct", 10_404, 1.0, 0, None, 5_000_000, 18),
    "2a/chunker": ("chunker", 1, 101, "direct", 10_506, 1.0, 33, 32_400, 100_000, 18),
    "2b/rtrl": ("rtrl", 1, 101, "direct", 10_404, 1.0, 0, None, 5_000_000, 18),
    "2b/bptt": ("bptt", 1, 101, "direct", 10_404, 1.0, 0, None, 5_000_000, 18),
    "2b/chunker": ("chunker", 1, 101, "direct", 10_506, 1.0, 0, None, 100_000, 18),
}
# Free weights where printed, and guesses.
GUESSED = {
    "guess/latch-1": (3, 6),
    "guess/latch-2": (3, 22),
    "guess/2-sequence": (None, None),
    "guess/2-sequence/a2": (None, None),
    "guess/parity": (None, 2906),
    "guess/parity/a2": (None, 2797),
    "guess/parity/a2-no-self": (None, 250),
}
EXTRA_OUTPUT = 101 + 1
"""Weights into the output with which the automatizer predicts the chunker's hidden unit. Table 2
counts the weights of this network, not those of the chunker."""


def rows(prefix: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    return each("row", [row for name, row in RIVAL_ROWS.items() if name.startswith(prefix)])


def started(row: Experiment) -> Learner:
    learner = learner_named(row.learner)(row.network, row.training, 1)
    learner.begin(0, np.random.default_rng(0))
    return learner


def test_rival_rows_follow_the_lstm_rows():
    assert list(RIVAL_ROWS) == [*TABLES, *GUESSED]
    names = list(EXPERIMENTS)
    assert names[: len(LSTM_ROWS)] == list(LSTM_ROWS)
    assert names[len(LSTM_ROWS) :][: len(RIVAL_ROWS)] == list(RIVAL_ROWS)
    assert len({fingerprint(row) for row in RIVAL_ROWS.values()}) == len(RIVAL_ROWS)
    groups = {name.split("-")[0] for name in LSTM_ROWS} | {"guess"}
    assert {name.split("/")[0] for name in RIVAL_ROWS} <= groups


@each("name", TABLES)
def test_figures_of_the_tables(name: str):
    row = RIVAL_ROWS[name]
    learner, units, inputs, wiring, weights, rate, percent, sequences, budget, trials = TABLES[name]
    net, published = row.network, row.published
    assert net.cell == Simple(units, "tanh" if learner == "cascade" else "logistic")
    assert (net.n_inputs, net.n_outputs, net.wiring) == (inputs, inputs, wiring)
    assert (row.learner, row.budget) == (learner, budget)
    assert (published.success_percent, published.sequences) == (percent, sequences)
    assert (published.weights, published.trials) == (weights, trials)
    assert rate is None or row.training.rate == rate
    if learner == "chunker":
        assert replace(net, bias="none").n_weights + EXTRA_OUTPUT == weights
    elif learner != "cascade":  # whose network grows
        assert net.n_weights == weights
        assert net.bias == "none"
        assert row.training.update == ("sequence" if learner == "bptt" else "step")
    assert net.init.range == (1.0 if learner == "cascade" else 0.2)


@rows("1")
def test_rules_of_experiment_1(row: Experiment):
    assert isinstance(row.stop, WholeSet)
    assert (row.draws, row.test_size) == (3, 0)
    assert row.task.draw(np.random.default_rng(0)).mean_length > 9


@rows("2")
def test_rules_of_experiment_2(row: Experiment):
    assert row.task.n_inputs == row.network.n_inputs
    assert row.task.tolerance == 0.25
    if row.name.startswith("2b"):
        assert isinstance(row.stop, TestSet)
        assert (row.stop.size, row.stop.wrong_fewer_than, row.stop.fixed) == (10_000, 1, False)
    else:
        assert isinstance(row.stop, WholeSet)


@rows("guess")
def test_figures_and_rules_of_guessing(row: Experiment):
    weights, guesses = GUESSED[row.name]
    published = row.published
    assert (published.weights, published.trials) == (weights, 40)
    assert published.others == ({} if guesses is None else {"guesses": guesses})
    assert weights is None or row.network.n_weights - len(row.training.held) == weights
    assert row.network.init.range == 100.0
    assert row.training.tolerance == row.task.tolerance
    assert row.stop == RecentTraining(window=100)
    assert row.test_size == 100
    data = row.task.sample(np.random.default_rng(0), 1000)
    assert (data.lengths.min(), data.lengths.max()) == (500, 600)


@rows("guess")
def test_fixed_weights_are_those_of_missing_connections(row: Experiment):
    learner = started(row)
    weights = learner.state(0)["weights"]
    part = row.network.views(weights)
    if row.name == "guess/latch-1":
        assert part["hidden_inputs"][0, 2] == 1.0
    elif row.name.endswith("no-self"):
        np.testing.assert_array_equal(part["hidden_self"], 0.0)
    elif row.network.wiring == "united" and row.training.held:
        assert part["hidden_bias"][1] == 0.0 != part["hidden_bias"][0]
    assert np.count_nonzero(weights == 0.0) == len(row.training.held) - (
        row.name == "guess/latch-1"
    )


@rows()
def test_the_learner_of_each_row_learns(row: Experiment):
    task = row.task.draw(np.random.default_rng(1))
    assert (task.n_inputs, task.n_outputs) == (row.network.n_inputs, row.network.n_outputs)
    learner = started(row)
    data = task.sample(np.random.default_rng(2), 3)
    [errors], [outputs] = learner.learn([data]), learner.predict([data])
    assert errors is not None
    assert outputs is not None
    assert np.isfinite(errors.sum_sq).all()
    assert task.correct(outputs, data).shape == (3,)
    assert learner.measures(0).keys() <= {"guesses", "surprises", "hidden_units", "weights"}


@rows()
def test_readings_name_existing_fields_and_give_reasons(row: Experiment):
    assert row.readings
    assert len({reading.field for reading in row.readings}) == len(row.readings)
    for reading in row.readings:
        value: object = row
        for name in reading.field.split("."):
            value = getattr(value, name)
        assert reading.chosen
        assert reading.why
