"""Native experts for classes match the reference, and their mixture keeps its promises."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from carrousel import _native
from carrousel.contracts import Cell, Network, Streaming
from carrousel.kernels import NativeStream, ReferenceStream, instruction_sets
from carrousel.kernels.reference.class_experts import ReferenceClassExperts, ReferenceNeighbours
from carrousel.online.model.grow import grow_kernel
from support.case import case as named

pytestmark = pytest.mark.native

NONE: dict[str, Any] = {"order": 0, "places": 0, "rows": 0, "neighbours": 0, "last": False}
CASES: dict[str, dict[str, Any]] = {
    "frequencies": {},
    "last class": {"last": True},
    "neighbours": {"rows": 40, "neighbours": 5},
    "contexts": {"order": 3, "places": 4096},
    "replaced contexts": {"order": 4, "places": 16},
    "all": {"order": 2, "places": 64, "rows": 33, "neighbours": 33, "last": True},
}


def settings_of(case: dict[str, Any], classes: int = 5, inputs: int = 3) -> dict[str, Any]:
    return {**NONE, "classes": classes, "inputs": inputs, "streams": 3, **case}


class Native:
    """The compiled class with the calls of the reference."""

    def __init__(self, settings: dict[str, Any], instruction_set: str = "") -> None:
        self.settings = settings
        self.bound = _native.ClassExperts(settings, instruction_set)
        self.keep, self.learn, self.reset = self.bound.keep, self.bound.learn, self.bound.reset

    def look(self, stream: int, symbol: int, x: np.ndarray | None, net: np.ndarray) -> np.ndarray:
        mixed = np.full(len(net), np.nan)
        self.bound.look(stream, symbol, x, net, mixed)
        return mixed

    def state(self) -> dict[tuple[str, int], np.ndarray]:
        found = {}
        for name, (of_stream, shape) in self.bound.parts().items():
            for stream in range(self.settings["streams"] if of_stream else 1):
                found[name, stream] = np.full(shape, np.nan)
                self.bound.read(name, stream, found[name, stream])
        return found

    def restore(self, state: dict[tuple[str, int], np.ndarray]) -> None:
        for (name, stream), values in state.items():
            self.bound.write(name, stream, values)


def rows(settings: dict[str, Any], n: int, seed: int) -> list[tuple[Any, ...]]:
    """Streams, symbols, inputs, probabilities, and targets that depend on all of them."""
    rng = np.random.default_rng(seed)
    classes, found = settings["classes"], []
    for _ in range(n):
        x = rng.normal(size=settings["inputs"]).round(1)  # some distances are equal
        symbol = int(rng.integers(classes) if rng.random() < 0.5 else rng.integers(2))
        target = symbol if rng.random() < 0.6 else int(x[0] > 0)
        weight = float(rng.choice([0.0, 0.5, 1.0, 1.0, 1.0]))
        stream = int(rng.integers(settings["streams"]))
        found.append((stream, symbol, x, rng.dirichlet(np.ones(classes)), target, weight))
    return found


def run(experts: Any, data: list[tuple[Any, ...]], seed: int = 0) -> np.ndarray:
    """Run rows, some without a target and some after a reset; return all mixed probabilities."""
    rng, found = np.random.default_rng(seed), []
    for stream, symbol, x, net, target, weight in data:
        found.append(experts.look(stream, symbol, x, net))
        experts.keep(stream)
        if rng.random() < 0.9:
            experts.learn(stream, target, weight)
        if rng.random() < 0.02:
            experts.reset(stream)
    return np.array(found)


def test_parity_with_the_reference():
    # Sums of some hundred terms in another order, at each of 600 steps that build on one another.
    for name, case in CASES.items():
        settings = settings_of(case)
        data = rows(settings, 600, seed=1)
        wanted = run(ReferenceClassExperts(**settings), data)
        for isa in instruction_sets():
            with named(name, isa):
                ours = run(Native(settings, isa), data)
                np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-12)


def test_counts_stay_in_bounds_over_many_rows():
    """Halved counts, full chains of a large alphabet and old contexts match the reference too."""
    settings = settings_of({"order": 2, "places": 256}, classes=150)
    rng = np.random.default_rng(2)
    symbols = np.where(rng.random(3000) < 0.5, 3, rng.integers(150, size=3000)).tolist()
    net = np.full(150, 1 / 150)
    data = [(0, s, None, net, t, 1.0) for s, t in itertools.pairwise(symbols)]
    wanted = run(ReferenceClassExperts(**settings), data)
    np.testing.assert_allclose(run(Native(settings), data), wanted, rtol=1e-9, atol=1e-12)


def test_mixtures_are_distributions():
    for name, case in CASES.items():
        settings = settings_of(case)
        with named(name):
            mixed = run(Native(settings), rows(settings, 300, seed=3))
            assert (mixed > 0).all()
            np.testing.assert_allclose(mixed.sum(1), 1, rtol=1e-12)


def test_look_changes_nothing():
    for name, case in CASES.items():
        settings = settings_of(case)
        native = Native(settings)
        data = rows(settings, 100, seed=4)
        run(native, data)
        before = native.state()
        first = native.look(*data[0][:4])
        np.testing.assert_array_equal(native.look(*data[0][:4]), first)
        with named(name):
            for part, values in native.state().items():
                np.testing.assert_array_equal(values, before[part])


def test_restored_experts_continue_alike():
    for name, case in CASES.items():
        settings = settings_of(case)
        data = rows(settings, 400, seed=5)
        whole, resumed = Native(settings), Native(settings)
        run(whole, data[:200])
        resumed.restore(whole.state())
        with named(name):
            np.testing.assert_array_equal(run(resumed, data[200:]), run(whole, data[200:]))


def test_copied_streams_predict_alike():
    for name, case in CASES.items():
        settings = settings_of(case)
        native = Native(settings)
        data = rows(settings, 200, seed=6)
        run(native, data)
        native.bound.copy(0, 2)
        _, symbol, x, net = data[0][:4]
        with named(name):
            np.testing.assert_array_equal(
                native.look(0, symbol, x, net), native.look(2, symbol, x, net)
            )
            state = native.state()
            for part, of_stream in ((p, v[0]) for p, v in native.bound.parts().items()):
                if of_stream:
                    np.testing.assert_array_equal(state[part, 0], state[part, 2])


@pytest.mark.parametrize("classes", [2, 6])
def test_regret_is_bounded(classes):
    """The loss exceeds that of the network by log(E + 1) and the share of each step.

    A network that is always right: only its weight, at most 1 / (E + 1) of which is given away.
    """
    for name, case in CASES.items():
        settings = settings_of(case, classes=classes)
        native, loss, n = Native(settings), 0.0, 500
        rng = np.random.default_rng(7)
        for target in rng.integers(classes, size=n).tolist():
            mixed = native.look(0, 0, np.zeros(3), np.eye(classes)[target])
            native.keep(0)
            native.learn(0, target)
            loss -= np.log(mixed[target])
        with named(name):
            bound = np.log(native.bound.experts + 1) - n * np.log(1 - 5e-4)
            assert loss <= bound


def test_damaged_states_are_bounded():
    for name, case in CASES.items():
        settings = settings_of(case)
        native = Native(settings)
        data = rows(settings, 200, seed=8)
        run(native, data)
        rng = np.random.default_rng(9)
        wild = np.array([0.0, -1.0, 1e300, -1e300, np.nan, np.inf, 0.5, 7e4, 1e9])
        native.restore({part: rng.choice(wild, v.shape) for part, v in native.state().items()})
        with named(name):
            mixed = run(native, data)
            assert (mixed >= 0).all()  # and not NaN
            np.testing.assert_allclose(mixed.sum(1), 1, rtol=1e-9)


WRONG: list[tuple[str, Any]] = [
    ("classes", 0), ("classes", 2**21), ("streams", 0), ("order", 9), ("places", 3),
    ("places", 0), ("rows", 2**21), ("neighbours", 0), ("neighbours", 41), ("inputs", 0),
    ("classes", -1), ("classes", "1"), ("classes", 2.5), ("last", None),
]  # fmt: skip


def test_wrong_settings_are_refused():
    good = settings_of({"order": 2, "places": 16, "rows": 40, "neighbours": 4})
    _native.ClassExperts(good)
    for name, value in WRONG:
        with named(name, value), pytest.raises((ValueError, TypeError)):
            _native.ClassExperts({**good, name: value})


def test_wrong_calls_are_refused():
    settings = settings_of(CASES["all"])
    native = Native(settings)
    x, net = np.zeros(3), np.full(5, 0.2)
    calls: dict[str, Any] = {
        "stream": lambda: native.look(3, 0, x, net),
        "symbol": lambda: native.look(0, 5, x, net),
        "inputs": lambda: native.look(0, 0, np.zeros(4), net),
        "no inputs": lambda: native.look(0, 0, None, net),
        "net": lambda: native.look(0, 0, x, np.full(6, 0.2)),
        "overlap": lambda: native.bound.look(0, 0, x, net, net),
        "keep before look": lambda: native.keep(1),
        "target": lambda: native.learn(0, -1),
        "weight": lambda: native.learn(0, 1, float("nan")),
        "reset": lambda: native.reset(-1),
        "copy": lambda: native.bound.copy(0, 3),
        "part": lambda: native.bound.read("hidden", 0, x),
        "shape": lambda: native.bound.write("class_counts", 0, x),
    }
    for name, call in calls.items():
        with named(name), pytest.raises(ValueError, match=r"expected|overlap|stream|part|shape"):
            call()


STREAMS: dict[str, tuple[Streaming, int]] = {
    "symbols": (Streaming("softmax", "sgd", 0.1, symbols=True, experts=True), 5),
    "classes": (Streaming("softmax", "sgd", 0.1, experts=True), 5),
    "binary": (Streaming("logistic", "sgd", 0.1, experts=True), 1),
}


def test_streams_mix_like_the_reference():
    rng = np.random.default_rng(3)
    for name, (how, outputs) in STREAMS.items():
        network = Network(5, outputs, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
        weights = rng.normal(0, 0.3, network.n_weights)
        n = 150
        targets = rng.integers(2 if outputs == 1 else 5, size=(n, 1)).astype(float)
        x = np.roll(targets, 1, 0) if how.symbols else rng.normal(size=(n, 5)) + targets
        streams = rng.integers(2, size=n)
        options: dict[str, Any] = {"n_streams": 2, "dtype": np.float64}
        reference = ReferenceStream(network, how, weights, **options)
        wanted = reference.run(streams, x, targets)
        plain = ReferenceStream(network, replace(how, experts=False), weights, **options)
        with named(name):
            assert np.abs(plain.run(streams, x, targets) - wanted).max() > 0.1
            for isa in instruction_sets():
                native = NativeStream(network, how, weights, instruction_set=isa, **options)
                ours = native.run(streams, x, targets)
                np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-9)


def test_streams_continue_from_their_state():
    rng = np.random.default_rng(4)
    for name, (how, outputs) in STREAMS.items():
        network = Network(5, outputs, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
        targets = rng.integers(2, size=(200, 1)).astype(float)
        x = np.roll(targets, 1, 0) if how.symbols else rng.normal(size=(200, 5))
        streams = rng.integers(3, size=200)
        weights = rng.normal(0, 0.3, network.n_weights)
        whole, other = (NativeStream(network, how, weights, n_streams=3) for _ in range(2))
        whole.run(streams[:100], x[:100], targets[:100])
        other.run(streams[50:], x[50:], targets[50:])  # replaced by what follows
        other.restore(whole.state())
        with named(name):
            np.testing.assert_array_equal(
                other.run(streams[100:], x[100:], targets[100:]),
                whole.run(streams[100:], x[100:], targets[100:]),
            )
            assert whole.peek(0, x[0]).sum() > 0


def test_means_of_neighbours_match_the_reference():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(120, 4)).round(1)
    targets = np.stack([x.sum(1), x[:, 0] ** 2], 1)
    for rows, k in ((1, 1), (32, 7), (50, 50), (200, 16)):
        for isa in instruction_sets():
            native = _native.Neighbours(4, 2, 2, rows, k, isa)
            reference, mean = ReferenceNeighbours(4, rows, k), np.empty(2)
            for n, (z, target) in enumerate(zip(x, targets, strict=True)):
                near, weights = reference.look(z)
                wanted = weights @ near / weights.sum() if n else np.zeros(2)
                with named(rows, k, isa, n):
                    assert native.mean(z, mean) == pytest.approx(weights.sum(), rel=1e-12)
                    np.testing.assert_allclose(mean, wanted, rtol=1e-12, atol=1e-12)
                native.keep(n % 2)
                native.learn(n % 2, target)
                reference.learn(z, target)


def test_grown_streams_keep_their_experts():
    """A new symbol takes little from the old ones; new inputs that are zero take nothing."""
    rng = np.random.default_rng(6)
    for name, (how, outputs) in STREAMS.items():
        cell, grown = Cell(2, 1, forget_gate=True), outputs + 2 * how.symbols
        narrow, wide = (
            Network(i, o, cell, wiring="cells", bias="all") for i, o in ((5, outputs), (7, grown))
        )
        targets = rng.integers(2, size=(200, 1)).astype(float)
        x = np.roll(targets, 1, 0) if how.symbols else rng.normal(size=(200, 5))
        old = NativeStream(narrow, how, np.full(narrow.n_weights, 0.1), n_streams=2)
        old.run(np.zeros(200, int), x, targets)
        new = NativeStream(wide, how, np.zeros(wide.n_weights), n_streams=2)
        grow_kernel(new, old)
        row = x[0] if how.symbols else np.append(x[0], (0, 0))
        before, after = old.peek(0, x[0]), new.peek(0, row)
        with named(name):
            atol = 0.05 if how.symbols else 1e-6  # two more outputs of the network; float32
            np.testing.assert_allclose(after[:outputs], before, atol=atol)
            new.advance(0, row)
            new.learn(0, np.zeros(1))


def test_many_classes_match_the_reference():
    """Classes after the first 512 are not counted as following one another."""
    settings = settings_of({"last": True, "rows": 20, "neighbours": 3}, classes=600)
    data = rows(settings, 200, seed=10)
    wanted = run(ReferenceClassExperts(**settings), data)
    np.testing.assert_allclose(run(Native(settings), data), wanted, rtol=1e-9, atol=1e-12)
