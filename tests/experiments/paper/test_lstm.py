"""LSTM rows of the paper, compared with a second transcription of its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from carrousel.contracts import Cell, Experiment, Training
from carrousel.experiments import EXPERIMENTS, TOUR
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.candidates import CANDIDATES
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.vary import paths_of
from carrousel.experiments.run.trial import plan_chunks
from carrousel.experiments.stopping import RecentTraining, TestSet, WholeSet
from carrousel.experiments.store.settings import fingerprint
from carrousel.learners import LEARNERS
from support.case import each

R = ()  # Table 10's "r": random

# Table 10: blocks, size, inputs, outputs, weights, output and input gate bias, biased units, rate.
CONDITIONS = {
    "1-1": (4, 1, 7, 7, 264, (-1, -2, -3, -4), R, "gates", 0.1),
    "1-2": (3, 2, 7, 7, 276, (-1, -2, -3), R, "gates", 0.1),
    "1-3": (3, 2, 7, 7, 276, (-1, -2, -3), R, "gates", 0.2),
    "1-4": (4, 1, 7, 7, 264, (-1, -2, -3, -4), R, "gates", 0.5),
    "1-5": (3, 2, 7, 7, 276, (-1, -2, -3), R, "gates", 0.5),
    "2a": (1, 1, 101, 101, 10504, R, R, "none", 1.0),
    "2b": (1, 1, 101, 101, 10504, R, R, "none", 1.0),
    "2c-1": (2, 1, 54, 2, 364, R, R, "none", 0.01),
    "2c-2": (2, 1, 104, 2, 664, R, R, "none", 0.01),
    "2c-3": (2, 1, 204, 2, 1264, R, R, "none", 0.01),
    "2c-4": (2, 1, 504, 2, 3064, R, R, "none", 0.01),
    "2c-5": (2, 1, 1004, 2, 6064, R, R, "none", 0.01),
    "2c-6": (2, 1, 504, 2, 3064, R, R, "none", 0.01),
    "2c-7": (2, 1, 204, 2, 1264, R, R, "none", 0.01),
    "2c-8": (2, 1, 104, 2, 664, R, R, "none", 0.01),
    "2c-9": (2, 1, 54, 2, 364, R, R, "none", 0.01),
    "3a": (3, 1, 1, 1, 102, (-2, -4, -6), (-1, -3, -5), "hidden", 1.0),
    "3b": (3, 1, 1, 1, 102, (-2, -4, -6), (-1, -3, -5), "hidden", 1.0),
    "3c": (3, 1, 1, 1, 102, (-2, -4, -6), (-1, -3, -5), "hidden", 0.1),
    "4": (2, 2, 2, 1, 93, R, (-3, -6), "all", 0.5),
    "5": (2, 2, 2, 1, 93, R, R, "all", 0.1),
    "6a": (2, 2, 8, 4, 156, R, (-2, -4), "all", 0.5),
    "6b": (3, 2, 8, 8, 308, R, (-2, -4, -6), "all", 0.1),
}

# Tables 1 to 9: success in percent where printed, sequences, trials.
RESULTS = {
    "1-1": (100, 39_740, 30),
    "1-2": (100, 21_730, 30),
    "1-3": (97, 14_060, 30),
    "1-4": (97, 9_500, 30),
    "1-5": (100, 8_440, 30),
    "2a": (100, 5_040, 18),
    "2b": (100, 5_680, 18),
    "2c-1": (None, 30_000, 20),
    "2c-2": (None, 31_000, 20),
    "2c-3": (None, 33_000, 20),
    "2c-4": (None, 38_000, 20),
    "2c-5": (None, 49_000, 20),
    "2c-6": (None, 49_000, 20),
    "2c-7": (None, 75_000, 20),
    "2c-8": (None, 135_000, 20),
    "2c-9": (None, 203_000, 20),
    "3a-1": (None, 39_850, 10),
    "3a-2": (None, 64_330, 10),
    "3a-3": (None, 452_460, 10),
    "3b-1": (None, 43_250, 10),
    "3b-2": (None, 78_430, 10),
    "3b-3": (None, 485_080, 10),
    "3c-1": (None, 269_650, 10),
    "3c-2": (None, 565_640, 10),
    "4-1": (100, 74_000, 10),
    "4-2": (100, 209_000, 10),
    "4-3": (100, 853_000, 10),
    "5-1": (None, 482_000, 10),
    "5-2": (None, 1_273_000, 10),
    "6a": (100, 31_390, 20),
    "6b": (100, 571_100, 10),
}

# p (distractors) and q of Table 3; T and N of Tables 4 to 6.
LAGS = [(50, 50), (100, 100), (200, 200), (500, 500), (1000, 1000)]
LAGS += [(500, 1000), (200, 1000), (100, 1000), (50, 1000)]
NOISE = {"3a": [(100, 3), (100, 1), (1000, 3)], "3b": [(100, 3), (100, 1), (1000, 1)]}
NOISE["3c"] = [(100, 3), (100, 1)]


def conditions(row: Experiment) -> tuple:
    return CONDITIONS.get(row.name) or CONDITIONS[row.name.split("-")[0]]


def departures(row: Experiment) -> set[str]:
    return {one.field for one in row.readings if one.departs}


def rows(prefix: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    return each("row", [row for name, row in LSTM_ROWS.items() if name.startswith(prefix)])


def test_all_rows_exist_in_order():
    assert list(LSTM_ROWS) == list(RESULTS)
    assert list(EXPERIMENTS)[: len(RESULTS)] == list(RESULTS)
    assert {row.name for row in EXPERIMENTS.values()} == set(EXPERIMENTS)


def printed(row: Experiment) -> Experiment:
    """The row without its departures."""
    own = any(row.name in one["printed"].rows for one in CANDIDATES.values())
    return by_recipe(row, "printed") if own else row


@rows()
def test_networks_without_departures_are_those_of_table_10(row: Experiment):
    blocks, size, inputs, outputs, weights, output_bias, input_bias, biased, rate = conditions(row)
    print_ = printed(row)
    net, cell = print_.network, print_.network.cell
    assert isinstance(cell, Cell)
    assert (cell.blocks, cell.block_size) == (blocks, size)
    assert (net.n_inputs, net.n_outputs) == (inputs, outputs)
    assert net.n_weights == weights == row.published.weights
    assert (net.init.output_gate_bias, net.init.input_gate_bias) == (output_bias, input_bias)
    assert (net.bias, print_.training.rate) == (biased, rate)
    no_output_gate = row.name in ("2a", "2b")
    assert net.wiring == ("layered" if no_output_gate else "full")
    assert (cell.g, cell.h) == (("[0,1]", "identity") if no_output_gate else ("[-2,2]", "[-1,1]"))
    assert cell.output_gate != no_output_gate
    assert net.init.range == (0.2 if row.name[0] in "12" else 0.1)
    plain = Training(rate=rate, update=print_.training.update)
    assert replace(plain, cells_added_after=print_.training.cells_added_after) == print_.training


@rows()
def test_what_differs_from_the_print_is_a_reading(row: Experiment):
    """A row differs from its print in fields with a reading, and departs in no others."""
    ours, theirs = paths_of(row), paths_of(printed(row))
    differing = {path for path in ours if ours[path] != theirs[path]}
    read = {one.field for one in row.readings}
    assert differing <= read
    assert departures(row) <= differing
    assert departures(row) >= differing - SILENT


@each("experiment", CANDIDATES)
def test_rows_have_the_settings_of_one_candidate(experiment: str):
    """All rows of an experiment have those of the same candidate; budgets may differ."""

    def settings(row: Experiment) -> dict[str, object]:
        return {**paths_of(row), "budget": None}

    fitting = [
        name
        for name, one in CANDIDATES[experiment].items()
        if all(
            settings(by_recipe(LSTM_ROWS[row], name)) == settings(LSTM_ROWS[row])
            for row in one.rows
        )
    ]
    assert len(fitting) == 1


SILENT = {"network.init.output_gate_bias", "stop.every", "budget"}
"""Settings that the paper does not print, or of which it prints two values."""


@rows()
def test_published_figures(row: Experiment):
    percent, sequences, trials = RESULTS[row.name]
    published = row.published
    assert (published.success_percent, published.sequences) == (percent, sequences)
    assert published.trials == trials
    long = row.name in ("3a-3", "3b-3", "4-2", "4-3") or (row.name >= "2c-4" and "2c" in row.name)
    assert (2 if long else 10) * sequences <= row.budget <= 13_000_000


@rows("2c")
def test_lags_of_table_3(row: Experiment):
    p, q = LAGS[int(row.name[3:]) - 1]
    assert (row.task.n_inputs, row.task.mean_length) == (p + 4, q + 12)


@rows("3")
def test_lengths_of_tables_4_to_6(row: Experiment):
    length, informative = NOISE[row.name[:2]][int(row.name[3:]) - 1]
    data = printed(row).task.sample(np.random.default_rng(0), 200)
    assert length <= data.lengths.min() <= data.lengths.max() <= 1.1 * length
    same = [len(np.unique(one.inputs[:informative])) == 1 for one in data]
    longer = [len(np.unique(one.inputs[: informative + 1])) == 1 for one in data]
    assert all(same) == (row.name[:2] != "3b" or informative == 1)
    assert not any(longer)
    clean = np.isin(data.targets, np.array([0.0, 1.0], np.float32)).all()
    assert clean == (row.name[:2] != "3c")


@rows("4")
def test_lengths_of_table_7(row: Experiment):
    length = {"4-1": 100, "4-2": 500, "4-3": 1000}[row.name]
    data = row.task.sample(np.random.default_rng(0), 500)
    assert (data.lengths.min(), data.lengths.max()) == (length, length + length // 10)


RULES = {
    "1": WholeSet(every=100),
    "2a": WholeSet(every=100),
    "2b": TestSet(every=100, size=10_000, fixed=False),
    "2c": TestSet(every=1000, size=10_000, fixed=False),
    "3a": TestSet(every=100, size=256, wrong_fewer_than=1, mean_below=0.01, fixed=False),
    "3b": TestSet(every=100, size=256, wrong_fewer_than=6, mean_below=0.04, fixed=False),
    "3c": TestSet(every=100, size=256, wrong_fewer_than=1, mean_below=0.015, fixed=False),
    "3a-3": TestSet(every=1000, size=256, wrong_fewer_than=1, mean_below=0.01, fixed=False),
    "3b-3": TestSet(every=1000, size=256, wrong_fewer_than=6, mean_below=0.04, fixed=False),
    "4": RecentTraining(window=2000, wrong_at_most=0, mean_below=0.01),
    "5-1": RecentTraining(window=2000, wrong_at_most=139),
    "5-2": RecentTraining(window=2000, wrong_at_most=12),
    "6a": RecentTraining(window=2000, wrong_at_most=0, mean_below=0.1),
    "6b": RecentTraining(window=2000, wrong_at_most=0, mean_below=0.1),
}
TOLERANCES = {"2a": 0.25, "2b": 0.25, "2c": 0.2, "3a": 0.2, "3b": 0.2, "3c": 0.1}
TOLERANCES |= {"4": 0.04, "5": 0.04, "6a": 0.3, "6b": 0.3}


@rows()
def test_rules_are_those_of_table_11(row: Experiment):
    group = row.name.split("-")[0]
    assert printed(row).stop == (RULES.get(row.name) or RULES[group])
    assert row.test_size == (0 if group[0] in "12" else 2560)
    assert row.draws == (3 if group == "1" else 1)
    if group in TOLERANCES:
        assert row.task.tolerance == TOLERANCES[group]


@rows()
def test_rows_are_ready_to_run(row: Experiment):
    assert row.learner in LEARNERS
    task = row.task.draw(np.random.default_rng(0))
    assert (task.n_inputs, task.n_outputs) == (row.network.n_inputs, row.network.n_outputs)
    rng = np.random.default_rng(1)
    learner = LEARNERS[row.learner](row.network, row.training, 1)
    learner.begin(0, rng)
    data = task.sample(rng, 3)
    [errors], [outputs] = learner.learn([data]), learner.predict([data])
    assert errors is not None
    assert outputs is not None
    assert np.isfinite(errors.sum_sq).all()
    assert task.correct(outputs, data).shape == (3,)
    batch, chunk = plan_chunks(task.mean_length, row.stop.every)
    assert 2**14 <= batch * task.mean_length <= 2**18
    assert chunk >= 1


@rows()
def test_readings_name_existing_fields_and_give_reasons(row: Experiment):
    assert row.readings
    assert len({reading.field for reading in row.readings}) == len(row.readings)
    for reading in row.readings:
        value: object = row
        for name in reading.field.split("."):
            value = getattr(value, name)
        assert reading.chosen
        assert len(reading.why) > 20


def test_no_two_rows_are_the_same():
    assert len({fingerprint(row) for row in EXPERIMENTS.values()}) == len(EXPERIMENTS)


def test_the_tour_consists_of_existing_rows():
    for name, trials in TOUR:
        assert 1 <= trials <= EXPERIMENTS[name].published.trials
