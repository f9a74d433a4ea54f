"""Benchmark of lanes: verification of contenders and count of arithmetic, without timing."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Training
from carrousel.errors import SettingError
from carrousel.kernels import instruction_sets
from carrousel.sequences import Sequences

arithmetic = import_module("benchmarks.lanes.arithmetic")
cases = import_module("benchmarks.lanes.cases")
native = import_module("benchmarks.contenders.native")
padding = import_module("benchmarks.contenders.padding")
lanes = import_module("benchmarks.lanes.__main__")
lineup = import_module("benchmarks.lanes.lineup")
parity = import_module("benchmarks.lanes.parity")
collect = import_module("benchmarks.lanes.collect")
tables = import_module("benchmarks.lanes.tables")
timing = import_module("benchmarks.common.timing")
RESULTS = import_module("benchmarks.common.results").RESULTS

NETS = 3
NAMES = ("1-5", "2c-1", "4-1")  # targets at every step, symbols, values


def case_of(name: str, **training: Any) -> Any:
    case = cases.find_case(name)
    return replace(case, training=replace(case.training, **training))


def squashed(name: str, g: str, h: str) -> Any:
    """A case with other ranges of the squashing functions than the paper's."""
    case = cases.find_case(name)
    cell = replace(case.network.cell, g=g, h=h)
    return replace(case, network=replace(case.network, cell=cell))


CASES = {name: case_of(name) for name in NAMES} | {
    "1-5 without f'": case_of("1-5", update="sequence", output_derivative=False),
    "2c-1, g [0,1], h identity": squashed("2c-1", "[0,1]", "identity"),
    "4-1, g identity, h [-4,4]": squashed("4-1", "identity", "[-4,4]"),
}


@pytest.mark.native
def test_ours_agrees_with_the_reference():
    for name in cases.NAMES:
        case = cases.find_case(name)
        for instruction_set in instruction_sets():
            found = parity.check(case, native.Native(case, instruction_set, lanes=NETS))
            assert found.holds, (name, instruction_set, found)


def test_jax_agrees_with_the_reference():
    pytest.importorskip("jax")
    tuning = import_module("benchmarks.contenders.jax.tuning")
    for name, case in CASES.items():
        for form in tuning.forms(case):
            contender = tuning.Choice(form, NETS).make(case, steps=100)
            found = parity.check(case, contender)
            assert found.holds, (name, form, found)


def test_pytorch_agrees_with_the_reference():
    pytest.importorskip("torch")
    make = import_module("benchmarks.contenders.torch_cell").TorchCell
    for name, case in CASES.items():
        for nets in (1, NETS):
            found = parity.check(case, make(case, nets, sequences=2))
            assert found.holds, (name, nets, found)


def test_the_lstm_of_torch_learns():
    pytest.importorskip("torch")
    case = cases.find_case("2c-1")
    contender = import_module("benchmarks.contenders.torch_lstm").TorchLstm(case, sequences=4)
    contender.learn(contender.pack(contender.draw(case.rng())))
    sum_sq = contender.outcome().sum_sq
    assert sum_sq.shape == (1, 4)
    assert np.all(sum_sq > 0)


@pytest.mark.parametrize("package", ["jax", "torch"])
def test_unsupported_gates_are_refused(package):
    pytest.importorskip(package)
    if package == "torch":
        make = partial(import_module("benchmarks.contenders.torch_cell").TorchCell, sequences=2)
    else:
        form = import_module("benchmarks.contenders.jax.tuning").Form("grad", one_hot=False)
        make = partial(
            import_module("benchmarks.contenders.jax.cell").JaxCell, form=form, sequences=2
        )
    case = cases.find_case("4-1")
    for gates in ({"output_gate": False}, {"forget_gate": True}):
        network = replace(case.network, cell=replace(case.network.cell, **gates))
        with pytest.raises(SettingError, match=r"4-1: only .*output gates"):
            make(replace(case, network=network), lanes=1)


class Spoilt(native.Native):
    """Our kernel, whose weight changes or errors are multiplied by a factor."""

    def __init__(self, case: Any, field: str, factor: float) -> None:
        super().__init__(case, instruction_sets()[0], lanes=NETS)
        self.field, self.factor = field, factor

    def outcome(self) -> Any:
        found = super().outcome()
        start = self.case.weights(NETS) if self.field == "weights" else 0
        value = start + self.factor * (getattr(found, self.field) - start)
        return found._replace(**{self.field: value})


def test_wrong_results_are_refused():
    case = cases.find_case("4-1")
    for field in ("weights", "sum_sq"):
        assert parity.check(case, Spoilt(case, field, 1.0)).holds, field
        for factor in (1.001, np.nan):
            assert not parity.check(case, Spoilt(case, field, factor)).holds, (field, factor)


def test_arithmetic_of_the_adding_problem_by_hand():
    # 2 inputs, 1 output, 2 blocks of 2: 8 hidden units, all biased; a multiply-add is 2
    case = cases.find_case("4-1")
    training = replace(case.training, output_derivative=True)
    data = case.task.sample(case.rng(), 50)
    found = arithmetic.count(case.network, training, data)
    logistic = 19  # 17 for the exponential, a sum, a division
    forward = 8 * (2 * 2 + 2 * 8)  # net inputs from 2 inputs and 8 units
    forward += 8 * logistic + 4 * 2  # gates and cells; g is scaled and shifted
    forward += 4 * 2 + 4 * (logistic + 2 + 1)  # s; h(s), times the output gate
    traces = 2 * 2 + 4  # f' of two input gates, times g
    traces += 4 * 4 + 4  # g', times the input gate
    traces += 8 * (2 * 2 + 2 * 8) + 8  # two rows for each cell; their biases
    target = 2 * 4 + logistic  # one output sees four cells
    target += 1 + 2 + 1 + 1  # t - y, f', times f', times the rate
    target += 2 * 4 + 4 * (4 + 2)  # sent back, times h' and the output gate
    target += 2 * 4 + 2 * (2 + 1)  # errors of two output gates
    target += 2 * (2 * 4 * 11)  # weights into input gates, and into cells, by their traces
    target += 2 * (2 * 2 + 2 * 8) + 2  # weights into output gates, and their biases
    target += 2 * 4 + 1  # weights into the output, and its bias
    assert (forward, traces, target) == (416, 196, 305)
    assert found == (forward, traces, target, 0)
    expected = forward + traces + target * 50 / data.n_steps
    np.testing.assert_allclose(found.per_step(data), expected, rtol=1e-12)


def test_arithmetic_counts_columns_not_the_alphabet():
    data = Sequences.from_lists([[0, 1, 0, 2], [3, 3]], [[1, 0], [1]], n_inputs=9, n_outputs=2)
    training = Training(rate=0.1, update="step")

    def found(n_inputs: int) -> Any:
        wide = replace(data, n_inputs=n_inputs)
        return arithmetic.count(Network(n_inputs, 2, Cell(2, 1)), training, wide)

    assert found(9) == found(1004)
    # Targets see 2, 3 and 1 different symbols: 2 on average, each in 2 + 2 rows of traces.
    seen_more = Sequences.from_lists([[0, 1, 4, 2]], [[1]], n_inputs=9, n_outputs=2)
    more = arithmetic.count(Network(9, 2, Cell(2, 1)), training, seen_more)
    assert more.target - found(9).target == (4 - 2) * (2 + 2) * 2
    assert more[:2] == found(9)[:2]


def test_padded_arrays_hold_every_sequence():
    task = cases.find_case("1-5").task
    data = task.sample(np.random.default_rng(0), 6)
    padded = padding.pad([data], lanes=3)
    stream = padding.join_streams([data], lanes=3)
    assert stream.ends.sum() == len(data)
    begun = np.zeros(3, int)
    for n, one in enumerate(data):
        lane, row = divmod(n, 2)
        length = padded.lengths[row, lane]
        assert length == one.n_steps
        np.testing.assert_array_equal(padded.inputs[row, :length, lane], one.inputs)
        learns = np.flatnonzero(padded.has_target[row, :, lane])
        np.testing.assert_array_equal(learns, one.target_steps)
        part = slice(begun[lane], begun[lane] + length)
        np.testing.assert_array_equal(stream.inputs[part, lane], one.inputs)
        learns = np.flatnonzero(stream.has_target[part, lane])
        np.testing.assert_array_equal(learns, one.target_steps)
        goals = stream.targets[part, lane][one.target_steps]
        np.testing.assert_array_equal(goals, one.dense_targets())
        begun[lane] += length


def test_contenders_take_turns():
    order = []

    def entry(name: str) -> Any:
        def run() -> float:
            order.append(name)
            return 7.0

        return timing.Entry(lambda: order.append("prepare"), run)

    samples = timing.alternate({"a": entry("a"), "b": entry("b")}, repeats=3, seconds=0.0)
    rounds = [name for name in order if name != "prepare"][4:]  # two calls of each come first
    assert rounds == ["a", "b"] * 3
    assert [sample.work for sample in samples["a"]] == [7.0] * 3


def test_work_of_processes_is_added():
    slow = [timing.Sample(wall=2.0, processor=1.0, work=1e9)]
    fast = [timing.Sample(wall=1.0, processor=1.0, work=3e9)]
    # wall-clock: four thousand million units until the slower process has finished
    np.testing.assert_allclose(timing.nanoseconds([slow, fast], "wall"), [0.5])
    # on their own cores: one and three thousand million a second
    np.testing.assert_allclose(timing.nanoseconds([slow, fast], "processor"), [0.25])
    np.testing.assert_allclose(timing.held([slow, fast]), 2 / 3)


def test_examples_of_the_tables():
    assert doctest.testmod(tables).failed == 0


def test_an_unknown_case_is_an_error_with_a_suggestion(capsys):
    assert lanes.main(["--only", "4_1"]) == 2
    captured = capsys.readouterr()
    assert "did you mean '4-1'?" in captured.err
    assert captured.out == ""


def test_profile_measures(capsys):
    assert lanes.main(["--profile", "4-1", "--seconds", "0.001"]) == 0
    assert "ns per trial and step" in capsys.readouterr().err


def test_saved_results_can_be_shown(tmp_path, capsys):
    saved = RESULTS / "speed.json"
    assert lanes.main(["--from", str(saved), "--save", str(tmp_path / "copy.json")]) == 0
    assert "ns per trial and step" in capsys.readouterr().out
    figures = json.loads((tmp_path / "copy.json").read_text(encoding="utf-8"))
    assert figures == json.loads(saved.read_text(encoding="utf-8"))
    assert all(row["parity"]["holds"] for row in figures["parity"])
