"""The benchmark of lanes: contenders compute the same, arithmetic is counted right. No timing."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
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
page = import_module("benchmarks.lanes.page")
padding = import_module("benchmarks.contenders.padding")
lanes = import_module("benchmarks.lanes.__main__")
lineup = import_module("benchmarks.lanes.lineup")
parity = import_module("benchmarks.lanes.parity")
results = import_module("benchmarks.lanes.results")
tables = import_module("benchmarks.lanes.tables")
timing = import_module("benchmarks.common.timing")

NETS = 3
NAMES = ("1-5", "2c-1", "4-1")  # targets at every step; symbols; values


def case_of(name: str, **training: Any) -> Any:
    case = cases.find_case(name)
    return replace(case, training=replace(case.training, **training))


def squashed(name: str, g: str, h: str) -> Any:
    """A case whose cells squash to other ranges than the paper's."""
    case = cases.find_case(name)
    cell = replace(case.network.cell, g=g, h=h)
    case = replace(case, network=replace(case.network, cell=cell))
    return pytest.param(case, id=f"{name}, g {g}, h {h}")


CASES = [pytest.param(case_of(name), id=name) for name in NAMES] + [
    pytest.param(case_of("1-5", update="sequence", output_derivative=False), id="1-5 without f'"),
    squashed("2c-1", "[0,1]", "identity"),
    squashed("4-1", "identity", "[-4,4]"),
]


@pytest.mark.native
@pytest.mark.parametrize("name", cases.NAMES)
@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_ours_agrees_with_the_reference(name, instruction_set):
    case = cases.find_case(name)
    contender = native.Native(case, instruction_set, lanes=NETS)
    assert parity.check(case, contender).holds


@pytest.mark.parametrize("case", CASES)
def test_jax_agrees_with_the_reference(case):
    pytest.importorskip("jax")
    tuning = import_module("benchmarks.contenders.jax_tuning")
    for form in tuning.forms(case):
        contender = tuning.Choice(form, NETS).make(case, steps=100)
        found = parity.check(case, contender)
        assert found.holds, (form, found)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("nets", [1, NETS])
def test_pytorch_agrees_with_the_reference(case, nets):
    pytest.importorskip("torch")
    contender = import_module("benchmarks.contenders.torch_cell").TorchCell(case, nets, sequences=2)
    assert parity.check(case, contender).holds


def test_the_usual_choice_learns():
    pytest.importorskip("torch")
    case = cases.find_case("2c-1")
    contender = import_module("benchmarks.contenders.torch_lstm").TorchLstm(case, sequences=4)
    contender.learn(contender.pack(contender.draw(case.rng())))
    sum_sq = contender.outcome().sum_sq
    assert sum_sq.shape == (1, 4)
    assert np.all(sum_sq > 0)


@pytest.mark.parametrize("what", [{"output_gate": False}, {"forget_gate": True}])
@pytest.mark.parametrize("package", ["jax", "torch"])
def test_other_gates_are_refused(package, what):
    pytest.importorskip(package)
    case = cases.find_case("4-1")
    other = replace(case.network, cell=replace(case.network.cell, **what))
    case = replace(case, network=other)
    if package == "torch":
        make = partial(import_module("benchmarks.contenders.torch_cell").TorchCell, sequences=2)
    else:
        form = import_module("benchmarks.contenders.jax_tuning").Form("grad", one_hot=False)
        make = partial(
            import_module("benchmarks.contenders.jax_cell").JaxCell, form=form, sequences=2
        )
    with pytest.raises(SettingError, match=r"4-1: only .*output gates"):
        make(case, lanes=1)


@pytest.mark.parametrize("wrong", [1.001, np.nan])
@pytest.mark.parametrize("what", ["weights", "sum_sq"])
def test_wrong_results_are_refused(monkeypatch, what, wrong):
    case = cases.find_case("4-1")
    contender = native.Native(case, instruction_sets()[0], lanes=NETS)
    true_outcome = contender.outcome

    def outcome():
        found = true_outcome()
        start = case.weights(NETS) if what == "weights" else 0
        return found._replace(**{what: start + wrong * (getattr(found, what) - start)})

    monkeypatch.setattr(contender, "outcome", outcome)
    assert not parity.check(case, contender).holds


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


def test_rectangles_hold_every_sequence():
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


def test_processes_add_up():
    slow = [timing.Sample(wall=2.0, processor=1.0, work=1e9)]
    fast = [timing.Sample(wall=1.0, processor=1.0, work=3e9)]
    # on the wall, four thousand million units until the slower is done
    np.testing.assert_allclose(timing.nanoseconds([slow, fast], "wall"), [0.5])
    # alone on their cores: one and three thousand million a second
    np.testing.assert_allclose(timing.nanoseconds([slow, fast], "processor"), [0.25])
    np.testing.assert_allclose(timing.held([slow, fast]), 2 / 3)


def results_of(name: str = "4-1", held: float = 1.0) -> dict[str, Any]:
    """Results with invented times, in the form that is saved."""
    plan, report = lineup.Plan(repeats=2), lineup.Report(flop_per_step=600.0)
    for key, ns in (("carrousel, a", 10.0), ("carrousel, b", 20.0), ("other, c", 124.0)):
        report.names[key] = (*key.split(", "), 16)
        samples = [timing.Sample(ns * 1e-9, held * ns * 1e-9, 1.0)] * 2
        for data in ("ready", "drawn"):
            report.samples.setdefault(data, {})[key] = samples
    report.parity = {key: parity.Parity(0, 1, 0, 1) for key in report.names if "other" not in key}
    report.peak = [timing.Sample(1.0, 1.0, 120e9)]
    return results.collect(plan, [(name, [report])])


def test_page_shows_the_best_of_each():
    text = page.markdown(json.loads(json.dumps(results_of())))
    assert "| carrousel, a | **10.0** |" in text
    assert "| other | 124 (12x) |" in text
    assert "4-1 50%" in text  # 600 operations in 10 ns are 60 of 120 GFLOP/s
    assert "time on the wall" in text


def test_a_disturbed_machine_is_measured_by_its_own_time():
    text = page.markdown(results_of(held=0.5))
    assert "| carrousel, a | **5.00** |" in text
    assert "others used the machine as well" in text


def test_examples_of_the_tables():
    assert doctest.testmod(tables).failed == 0


def test_a_wrong_name_gets_the_nearest(capsys):
    assert lanes.main(["--only", "4_1"]) == 2
    captured = capsys.readouterr()
    assert "did you mean '4-1'?" in captured.err
    assert captured.out == ""


def test_profile_learns(capsys):
    assert lanes.main(["--profile", "4-1", "--seconds", "0.001"]) == 0
    assert "ns per trial and step" in capsys.readouterr().err


def test_the_published_page_is_made_from_the_published_figures():
    docs = Path(__file__).parents[2] / "docs"
    figures = json.loads((docs / "speed.json").read_text(encoding="utf-8"))
    assert page.markdown(figures) == (docs / "speed.md").read_text(encoding="utf-8")
    assert all(row["parity"]["holds"] for row in figures["parity"])
