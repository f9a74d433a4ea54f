"""Batches: gradients read from kernels, cuts into calls, neighbours, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Batches, Cell, Errors, Init, Kernel, Network, Simple, Training
from carrousel.errors import DataError, SettingError, ShapeError, UnknownNameError
from carrousel.kernels import NativeKernel, ReferenceKernel
from carrousel.learners import BatchLearner, GradientLearner, learner_named
from carrousel.learners.gradient import batch as module
from carrousel.learners.gradient.rules import Rule
from carrousel.sequences import Sequences
from support.drawn import Kind, drawn_data

NETWORK = Network(2, 1, Cell(1, 2, forget_gate=True), bias="all", init=Init(range=0.5))
SYMBOLS = Network(9, 3, Cell(2, 1), bias="all", init=Init(range=0.5))
NAMES = ["truncated", "bptt", "bptt:3", "bptt:3:2", "rtrl", "snap:1", "uoro"]
names = pytest.mark.parametrize("name", NAMES)


def batch(seed: int = 0, n: int = 3, network: Network = NETWORK, most: int = 9) -> Sequences:
    rng, symbolic = np.random.default_rng(seed), network is SYMBOLS
    kind = Kind(symbolic=symbolic, classes=symbolic, when="all")
    return drawn_data(network, rng, kind, rng.integers(1, most, n).tolist())


def started(
    training: Batches,
    lanes: int = 1,
    network: Network = NETWORK,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> BatchLearner:
    learner = BatchLearner(network, training, lanes, kernel)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(seed + lane))
    return learner


def assert_same_state(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def assert_same_errors(ours: Errors | None, theirs: Errors | None) -> None:
    assert ours is not None
    assert theirs is not None
    for name, a, b in zip(Errors._fields, ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


# --- the gradient --------------------------------------------------------------------------------


def gradient_of(data: Sequences, weights: np.ndarray, network: Network, name: str, kernel: Kernel):
    """The summed gradient of a batch, as a plain change at rate 1 away from weights of zero."""
    learner = BatchLearner(network, Batches(1.0, len(data), "plain", name), 1, kernel)
    learner.weights[0] = weights
    met: list[np.ndarray] = []
    learner._rule = Noting(met, learner._rule)  # type: ignore[assignment]
    learner.learn([data])
    [gradient] = met
    return gradient


class Noting:
    """Notes the gradients that come to a rule."""

    def __init__(self, met: list[np.ndarray], rule: Rule) -> None:
        self._met, self._rule = met, rule

    def step(self, lanes: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        self._met += list(gradient.copy())
        return self._rule.step(lanes, gradient)


@pytest.mark.parametrize("network", [NETWORK, SYMBOLS], ids=["values", "symbols"])
@pytest.mark.parametrize("size", [1e-10, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", ["truncated", "bptt", "rtrl"])
def test_gradients_of_any_size_keep_their_digits_beside_large_weights(network, size, name):
    """All error that reaches hidden units is scaled by output weights; hidden weights stay large.

    At rate 1 a float32 weight of 10 would lose all of a gradient below 5e-7. The native sums are of
    float32 too, and here of at most 40 terms: hence five digits of the largest.
    """
    rng = np.random.default_rng(5)
    flat = rng.uniform(-0.5, 0.5, network.n_weights).astype(np.float32)
    parts = network.views(flat)
    parts["output_cells"][:] *= size
    flat[rng.random(len(flat)) < 0.2] *= 20.0
    data = batch(3, 8, network)
    ours = gradient_of(data, flat, network, name, NativeKernel())
    exact = gradient_of(data, flat, network, name, ReferenceKernel())
    for layer in [part for part in parts if part.startswith("hidden")]:
        a, b = (network.views(each)[layer] for each in (ours, exact))
        assert np.abs(b).max() < 100 * size
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max(), err_msg=layer)
        assert np.count_nonzero(b) > 0


def test_a_gradient_beside_a_weight_of_ten_has_five_digits():
    """A single weight: its gradient is 1e-10 times a factor, and linear in it."""
    network = Network(1, 1, Simple(1), bias="all")
    data, found = Sequences.from_lists([[0.5]], [[1.0]]), {}
    for size in (1e-10, 1e-3):
        flat = np.full(network.n_weights, 10.0, np.float32)
        network.views(flat)["hidden_inputs"][:] = 2.0
        network.views(flat)["hidden_bias"][:] = 0.5
        network.views(flat)["output_bias"][:] = 0.0
        network.views(flat)["output_cells"][:] = size
        gradient = gradient_of(data, flat, network, "bptt", NativeKernel())
        found[size] = float(network.views(gradient)["hidden_bias"][0])
    y = 1 / (1 + np.exp(-1.5))
    assert found[1e-10] == pytest.approx(0.5e-10 * y * (1 - y), rel=1e-5)
    assert found[1e-3] == pytest.approx(0.5e-3 * y * (1 - y), rel=1e-3)


@names
def test_the_plain_rule_with_one_sequence_is_gradient_descent(name):
    """Within rounding: the gradient is rounded once more, and added in another order."""
    plain = Batches(0.5, 1, "plain", name, output_derivative=True, initial_activation=0.2)
    ours = started(plain)
    theirs = GradientLearner(NETWORK, Training(0.5, initial_activation=0.2), 1, gradient=name)
    theirs.begin(0, np.random.default_rng(0))
    data = batch(1, 12)
    [a], [b] = ours.learn([data]), theirs.learn([data])
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.sum_abs, b.sum_abs, rtol=1e-5)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-4, atol=1e-6)


def test_one_large_batch_is_an_epoch_of_gradient_descent():
    data = batch(2, 10)
    ours = started(Batches(0.1, 10, "plain", "bptt"))
    epoch = Training(0.1, "epoch", output_derivative=False)
    theirs = GradientLearner(NETWORK, epoch, 1, gradient="bptt")
    theirs.begin(0, np.random.default_rng(0))
    [a], [b] = ours.learn([data]), theirs.learn([data])
    assert_same_errors(a, b)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", ["plain", "momentum", "adam"])
@pytest.mark.parametrize("name", ["truncated", "bptt", "rtrl", "snap:1"])
def test_native_lanes_follow_the_reference(name, rule):
    rate = {"plain": 0.5, "momentum": 0.2, "adam": 0.02}[rule]
    training = Batches(rate, 4, rule, name, clip=0.5, halves_every=10)
    ours, theirs = started(training), started(training, kernel=ReferenceKernel())
    data = batch(4, 41)
    [a], [b] = ours.learn([data]), theirs.learn([data])
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.sum_abs, b.sum_abs, rtol=1e-3)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-2, atol=1e-3)
    assert np.abs(ours.weights[0] - started(training).weights[0]).max() > 0.02


# --- cuts, neighbours, states --------------------------------------------------------------------


@names
@settings(max_examples=15)
@given(
    size=st.integers(1, 7),
    cuts=st.lists(st.integers(0, 20), max_size=6),
    rule=st.sampled_from(["plain", "momentum", "adam"]),
    piece=st.sampled_from([6, 15, 4096]),
)
def test_a_lane_does_not_see_where_its_data_are_cut(name, size, cuts, rule, piece):
    """Nor whether it was stored in between; errors and every number of its state have equal bits.

    Pieces of 6 and 15 steps end within batches, too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE_STEPS", piece)
        training = Batches(0.05, size, rule, name, halves_every=3)
        whole, parts = started(training), started(training)
        data = batch(1, 20)
        [expected] = whole.learn([data])
        found = []
        for first, last in pairwise([0, *sorted(cuts), 20]):
            found += parts.learn([data[first:last]])
            fresh = started(training, seed=99)
            fresh.restore(0, parts.state(0))
            parts = fresh
        joined = Errors(*(np.concatenate(column) for column in zip(*found, strict=True)))
        assert_same_errors(joined, expected)
        assert_same_state(parts.state(0), whole.state(0))
        both = [each.learn([batch(2, 9)])[0] for each in (whole, parts)]
        assert_same_errors(*both)
        np.testing.assert_array_equal(whole.weights, parts.weights)


@settings(max_examples=25)
@given(
    lanes=st.integers(2, 19),
    size=st.integers(1, 6),
    rule=st.sampled_from(["plain", "momentum", "adam"]),
    seed=st.integers(0, 99),
)
def test_lanes_do_not_see_their_neighbours(lanes, size, rule, seed):
    """They stand at different counts, some are idle, and some diverge."""
    training = Batches(0.05, size, rule, "truncated", clip=1.0)
    learner, rng = started(training, lanes), np.random.default_rng(seed)
    alone = started(training)
    lane = int(rng.integers(lanes))
    alone.restore(0, learner.state(lane))
    learner.weights[(lane + 1) % lanes] = np.inf
    for turn in range(4):
        data: list[Sequences | None] = [
            None if rng.random() < 0.3 else batch(100 * turn + n, int(rng.integers(0, 8)))
            for n in range(lanes)
        ]
        found = learner.learn(data)
        assert [each is None for each in found] == [part is None for part in data]
        if data[lane] is not None:
            assert_same_errors(alone.learn([data[lane]])[0], found[lane])
        assert_same_state(alone.state(0), learner.state(lane))


@names
def test_a_state_survives_a_file(name, tmp_path):
    """With a batch half full: arrays of plain types only."""
    learner = started(Batches(0.05, 4, gradient=name))
    learner.learn([batch(1, 6)])
    state = learner.state(0)
    assert len(state["waiting_offsets"]) == 1 + 2
    np.savez(tmp_path / "state.npz", **state)  # type: ignore[arg-type]
    with np.load(tmp_path / "state.npz", allow_pickle=False) as stored:
        again = started(learner.training, 3)
        again.restore(2, dict(stored))
    learner.learn([batch(2, 5)])
    again.learn([None, None, batch(2, 5)])
    assert_same_state(again.state(2), learner.state(0))


def test_symbols_wait_as_well():
    whole, parts = (started(Batches(0.1, 5), network=SYMBOLS) for _ in range(2))
    data = batch(1, 10, SYMBOLS)
    whole.learn([data])
    for one in data:
        parts.learn([one])
        parts.restore(0, parts.state(0))
    assert_same_state(parts.state(0), whole.state(0))


def test_beginning_again_forgets_everything():
    learner, fresh = (started(Batches(0.05, 4, gradient="uoro")) for _ in range(2))
    learner.learn([batch(1, 6)])
    learner.begin(0, np.random.default_rng(0))
    assert_same_state(learner.state(0), fresh.state(0))
    for each in (learner, fresh):
        each.learn([batch(2, 6)])
    assert_same_state(learner.state(0), fresh.state(0))


def test_weights_stand_still_until_a_batch_is_full():
    learner = started(Batches(0.05, 4))
    before = learner.weights.copy()
    learner.learn([batch(1, 3)])
    np.testing.assert_array_equal(learner.weights, before)
    learner.learn([batch(2, 1)])
    assert np.all(learner.weights != before)


def test_what_waits_is_a_copy():
    learner, other = (started(Batches(0.05, 4)) for _ in range(2))
    data = batch(1, 3)
    for each in (learner, other):
        each.learn([data])
    data.inputs[:] = 0.0
    for each in (learner, other):
        each.learn([batch(2, 1)])
    again = started(Batches(0.05, 4))
    again.learn([Sequences.concatenate([batch(1, 3), batch(2, 1)])])
    np.testing.assert_array_equal(learner.weights, again.weights)


def test_bytes_grow_with_what_waits_alone():
    learner = started(Batches(0.05, 4, gradient="truncated"))
    empty = learner.nbytes
    learner.learn([batch(1, 2)])
    assert learner.nbytes == empty + batch(1, 2).nbytes
    learner.learn([batch(1, 2)])
    assert learner.nbytes == empty
    plain = started(Batches(0.05, 4, "plain", "truncated"))
    assert empty - plain.nbytes == 2 * 8 * NETWORK.n_weights


def test_divergence_shows_in_errors_and_nowhere_else():
    """Warnings are errors in these tests."""
    learner = started(Batches(1e30, 1, "plain"))
    [errors] = learner.learn([batch(1, 6)])
    assert errors is not None
    learner.weights[:] = np.nan
    [errors] = learner.learn([batch(1, 6)])
    assert errors is not None
    assert not np.isfinite(errors.sum_sq).any()


# --- names and refusals --------------------------------------------------------------------------


def test_it_has_a_name():
    learner = learner_named("adam")(NETWORK, Batches(0.1), 3)
    assert isinstance(learner, BatchLearner)
    assert learner.n_lanes == 3
    assert learner.measures(0) == {}
    assert learner.kernel.name == "native"
    other = learner_named("adam")(NETWORK, Batches(0.1, gradient="snap:2"), 1)
    assert isinstance(other, BatchLearner)
    assert other.kernel.name == "reference"


def test_refusals():
    with pytest.raises(SettingError, match=r"expected a carrousel\.contracts\.Batches"):
        BatchLearner(NETWORK, Training(0.5))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"n_lanes is 0"):
        BatchLearner(NETWORK, Batches(0.5), 0)
    with pytest.raises(SettingError, match=r"output_derivative is False.*say True"):
        BatchLearner(Network(2, 1, Simple(3), wiring="united"), Batches(0.5))
    with pytest.raises(SettingError, match=r"driven by 'guess' alone"):
        BatchLearner(Network(2, 1, Simple(3), wiring="sparse"), Batches(0.5))
    learner = started(Batches(0.5), 2)
    with pytest.raises(ShapeError, match="1 parts for 2 lanes"):
        learner.learn([None])
    with pytest.raises(ShapeError, match="3 parts for 2 lanes"):
        learner.predict([None] * 3)
    for call in (learner.state, learner.measures):
        with pytest.raises(SettingError, match=r"lane is 2, expected 0\.\.1"):
            call(2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"rate": -1.0}, "rate is -1"), ({"size": 0}, "size is 0"), ({"momentum": 1.0}, "momentum is"),
     ({"second": -0.1}, "second is"), ({"epsilon": 0.0}, "epsilon is"), ({"clip": 0.0}, "clip is"),
     ({"halves_every": -1}, "halves_every is"), ({"initial_activation": np.nan}, "initial_activ"),
     ({"second": 1.5}, "second is 1.5, expected a number from 0 to below 1")],
)  # fmt: skip
def test_settings_out_of_range(wrong, message):
    with pytest.raises(SettingError, match=message):
        Batches(**{"rate": 0.1, **wrong})


def test_names_out_of_range():
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        Batches(0.1, rule="adm")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="gradient 'bbtt' is unknown"):
        Batches(0.1, gradient="bbtt")


def test_data_that_are_not_finite():
    """They are refused before anything has changed."""
    learner = started(Batches(0.5, 2))
    bad = batch(1, 2)
    bad.inputs[-1] = np.nan
    before = learner.state(0)
    with pytest.raises(DataError, match="not finite"):
        learner.learn([bad])
    assert_same_state(learner.state(0), before)
