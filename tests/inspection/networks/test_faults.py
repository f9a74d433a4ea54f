"""Planted faults are found by name; sound nets have none."""

from __future__ import annotations

import numpy as np

from carrousel.contracts import Cell, Init, Network, Simple
from carrousel.contracts.initial import initial_weights
from carrousel.inspection.networks import inspect_network
from carrousel.sequences import Sequences


def drawn(steps: int = 30, n: int = 6, seed: int = 0) -> Sequences:
    """The first input decides the target; noise follows."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0, 0.3, (n, steps, 1))
    inputs[:, 0, 0] = np.where(np.arange(n) % 2, 1.0, -1.0)
    return Sequences.from_lists(list(inputs), [[[float(i % 2)]] for i in range(n)])


def latch(**changes: float) -> tuple[Network, np.ndarray]:
    """A cell whose input gate opens for the first step alone; it solves the task.

    The second input marks that step.
    """
    network = Network(2, 1, Cell(1, 1, g="[-2,2]", h="[-1,1]"), bias="all")
    flat = np.zeros(network.n_weights)
    parts = network.views(flat)
    parts["hidden_inputs"][:] = [[0.0, 12.0], [4.0, 0.0], [0.0, 0.0]]
    parts["hidden_bias"][:] = [-6.0, 0.0, 3.0]
    parts["output_cells"][:] = 8.0
    for name, value in changes.items():
        parts["hidden_bias"][{"input": 0, "cell": 1, "output": 2}[name]] = value
    return network, flat


def marked(data: Sequences) -> Sequences:
    x = np.column_stack([data.inputs, np.zeros(len(data.inputs))])
    x[data.offsets[:-1], 1] = 1.0
    rows = [x[a:b] for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True)]
    return Sequences.from_lists(rows, [row[None] for row in data.targets])


def names(network: Network, flat: np.ndarray, data: Sequences, **options: object) -> list[str]:
    return [fault.name for fault in inspect_network(network, flat, data, **options).faults]  # type: ignore[arg-type]


def test_a_net_that_solves_its_task_has_no_faults():
    network, flat = latch()
    data = marked(drawn())
    for gradient in ("truncated", "bptt"):
        report = inspect_network(network, flat, data, gradient=gradient, lag=29)
        assert report.loss < 0.01
        assert report.faults == ()
        assert report.used is not None
        assert report.used.increase().max() > 0.05
        assert (report.unit_memory[0].half_lives() > 20).all()


def test_state_drift():
    """Of a cell whose inputs have one sign, through an open gate (section 4)."""
    network, flat = latch(input=2.0, cell=1.0)
    [fault] = [
        one
        for one in inspect_network(network, flat, marked(drawn()), lag=29).faults
        if one.name == "state_drift"
    ]
    assert fault.part == "hidden"
    assert "Cell 0 drifts" in fault.evidence
    assert "input gates" in fault.remedy
    identity = Network(2, 1, Cell(1, 1, h="identity"), bias="all")
    assert "state_drift" not in names(identity, flat, marked(drawn()))


def test_a_cell_as_bias_and_two_cells_alike():
    network = Network(1, 1, Cell(3, 1), bias="all")
    flat = initial_weights(network, np.random.default_rng(1))
    parts = network.views(flat)
    parts["hidden_recurrent"][:] = 0.0
    for part in ("hidden_inputs", "hidden_bias"):
        parts[part][[1, 4, 7]] = parts[part][[0, 3, 6]]  # block 1 is block 0
    parts["hidden_inputs"][[2, 5]] = 0.0  # the gate and the cell of block 2 see no input
    parts["hidden_bias"][5] = 0.5
    found = {one.name: one.evidence for one in inspect_network(network, flat, drawn()).faults}
    assert "Cell 2 holds the same state" in found["constant_cell"]
    assert "as a bias" in found["constant_cell"]
    assert "0 and 1 are correlated" in found["double_units"]


def test_closed_gates():
    for gate in ("input", "output"):
        network, flat = latch(**{gate: -30.0})
        assert f"closed_{gate}_gate" in names(network, flat, marked(drawn()))


def test_errors_of_simple_units_vanish_or_explode():
    network = Network(1, 1, Simple(4, "tanh"), bias="all")
    flat = initial_weights(network, np.random.default_rng(2))
    recurrent = network.views(flat)["hidden_recurrent"]
    for size, name in ((0.2, "vanishing"), (3.0, "exploding")):
        recurrent[:] = size * np.eye(4)
        if name == "exploding":
            network.views(flat)["hidden_inputs"][:] = 0.0
            network.views(flat)["hidden_bias"][:] = 0.0
        assert names(network, flat, drawn(), lag=29)[:1] == [name]
        assert names(network, flat, drawn())[:1] == [name]
    recurrent[:] = 0.2 * np.eye(4)
    report = inspect_network(network, flat, drawn(), gradient="bptt:1", lag=29)
    assert report.faults[0].name == "truncation"
    assert "'bptt:30'" in report.faults[0].remedy
    assert "vanishing" not in [one.name for one in report.faults]
    assert names(network, flat, drawn(), gradient="truncated", lag=29)[:1] == ["truncation"]


def test_forget_gates_that_forget_and_memory_that_is_not_used():
    network = Network(
        1, 1, Cell(2, 1, forget_gate=True), bias="all", init=Init(0.1, forget_gate_bias=(0.0, 0.0))
    )
    flat = initial_weights(network, np.random.default_rng(3))
    report = inspect_network(network, flat, drawn(), gradient="truncated", lag=29)
    found = {one.name: one for one in report.faults}
    assert {"forget_bias", "unused_memory"} <= found.keys()
    assert "3.4" in found["forget_bias"].remedy  # log 29
    open_gates = flat.copy()
    network.views(open_gates)["hidden_bias"][2:4] = 6.0
    assert "forget_bias" not in names(network, open_gates, drawn(), lag=29)
