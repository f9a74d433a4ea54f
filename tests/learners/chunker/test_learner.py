"""The chunker against its algorithm in plain NumPy; lanes, states, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from carrousel.contracts import Cell, Init, Learner, Network, Simple
from carrousel.errors import CarrouselError, DataError, SettingError, ShapeError
from carrousel.kernels import NativeChunker
from carrousel.learners.chunker.learner import ChunkerLearner, ChunkerTraining
from carrousel.learners.chunker.reference import ReferenceChunker
from carrousel.sequences import Sequences
from carrousel.tasks.lags import NoiseFreeLag
from support.case import case, each

Squasher = Literal["logistic", "tanh"]
BiasScheme = Literal["none", "hidden", "all"]


def lag_net(p: int, units: int = 1, f: Squasher = "logistic", bias: BiasScheme = "none") -> Network:
    return Network(p + 1, p + 1, Simple(units, f), wiring="direct", bias=bias, init=Init(0.2))


def started(
    p: int = 4,
    lanes: int = 1,
    units: int = 1,
    training: ChunkerTraining | None = None,
    f: Squasher = "logistic",
    bias: BiasScheme = "none",
    kernel: Callable[..., Any] = NativeChunker,
) -> ChunkerLearner:
    training = training or ChunkerTraining()
    learner = ChunkerLearner(lag_net(p, units, f, bias), training, lanes, kernel)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(lane))
    return learner


def ragged(seed: int, n: int = 6, p: int = 4, targets: str = "next") -> Sequences:
    """Random symbols; the target is the next one, or at the end the first one."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, p + 1, rng.integers(2, 8)) for _ in range(n)]
    lengths = np.array([len(row) for row in rows])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ends = offsets[1:] - 1
    symbols = np.concatenate(rows).astype(np.int32)
    at = np.setdiff1d(np.arange(len(symbols)), ends) if targets == "next" else ends
    goals = symbols[at + 1] if targets == "next" else symbols[offsets[:-1]]
    return Sequences(symbols, p + 1, offsets, goals, p + 1, at)


class PlainNet:
    """One net in float64 with dense vectors; back-propagation step by step."""

    def __init__(self, network: Network, flat: np.ndarray, depth: int) -> None:
        self.w = {name: v.copy() for name, v in network.views(flat.astype(float)).items()}
        self.depth, self.tanh = depth, network.cell == Simple(network.cell.n_units, "tanh")
        self.reset()

    def reset(self) -> None:
        self.h, self.y = np.zeros(len(self.w["hidden_inputs"])), np.zeros(0)
        self.tape: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def step(self, x: np.ndarray) -> None:
        before = self.h
        net = self.w["hidden_inputs"] @ x + self.w["hidden_recurrent"] @ before
        net = net + self.w.get("hidden_bias", 0.0)
        self.h = np.tanh(net) if self.tanh else 1 / (1 + np.exp(-net))
        net = self.w["output_cells"] @ self.h + self.w.get("output_bias", 0.0)
        net = net + self.w["output_inputs"] @ x if "output_inputs" in self.w else net
        self.y = 1 / (1 + np.exp(-net))
        self.tape = [*self.tape, (x, before, self.h)][-self.depth :]

    def learn(self, error: np.ndarray, rate: float) -> None:
        x = self.tape[-1][0]
        delta = error * self.y * (1 - self.y)
        back = self.w["output_cells"].T @ delta
        change = {name: np.zeros_like(w) for name, w in self.w.items()}
        change["output_cells"] += np.outer(delta, self.h)
        if "output_inputs" in self.w:
            change["output_inputs"] += np.outer(delta, x)
        if "output_bias" in self.w:
            change["output_bias"] += delta
        for x, before, h in reversed(self.tape):
            theta = back * (1 - h * h if self.tanh else h * (1 - h))
            if "hidden_bias" in self.w:
                change["hidden_bias"] += theta
            change["hidden_inputs"] += np.outer(theta, x)
            change["hidden_recurrent"] += np.outer(theta, before)
            back = self.w["hidden_recurrent"].T @ theta
        for name, item in change.items():
            self.w[name] -= rate * item


def plain(learner: ChunkerLearner, data: Sequences, state: dict[str, np.ndarray]):
    """The algorithm of the docstring, one number at a time: weights, and surprises."""
    training, O = learner.training, data.n_outputs  # noqa: E741
    a = PlainNet(learner.automatizer, state["automatizer"], training.depth)
    c = PlainNet(learner.chunker, state["chunker"], training.depth)
    eye, surprises = np.eye(data.n_inputs), []

    def code(t: int) -> list[int]:
        return [int(digit) for digit in f"{t:032b}"[::-1][: training.time_code]]

    for one in data:
        a.reset()
        c.reset()
        goals = dict(zip(one.target_steps.tolist(), one.targets.tolist(), strict=True))
        surprise, count = True, 0
        for t, symbol in enumerate(one.inputs):
            if surprise:
                count += 1
                c.step(np.concatenate([eye[symbol], code(t)]))
            a.step(eye[symbol])
            h = (1 + c.h) / 2 if c.tanh else c.h  # as a number from 0 to 1, as outputs are
            seen = {"nothing": [], "hidden": h, "hidden+outputs": np.concatenate([h, c.y])}
            error = a.y - np.concatenate([a.y[:O], seen[training.predict]])
            if t in goals:
                error[:O] = a.y[:O] - np.eye(O)[goals[t]]
            surprise = t not in goals or np.abs(error[:O]).max() >= training.threshold
            a.learn(error, training.rate)
            if t in goals and surprise:
                aim = np.concatenate([np.eye(O)[goals[t]], code(t + 1)])
                c.learn(c.y - aim, training.rate)
        surprises.append(count)
    return a.w, c.w, surprises


TRAININGS = [
    ChunkerTraining(threshold=0.5),
    ChunkerTraining(rate=0.5, predict="hidden+outputs", time_code=3, depth=2),
    ChunkerTraining(predict="nothing"),
    ChunkerTraining(chunker_wiring="full", depth=5),
]


@pytest.mark.native
@pytest.mark.parametrize("training", TRAININGS)
@each("kernel", [NativeChunker, ReferenceChunker])
@each("f, bias", [("logistic", "none"), ("logistic", "all"), ("tanh", "all")])
@each("units", [1, 3])
@each("targets", ["next", "end"])
def test_it_follows_the_algorithm(training, kernel, f, bias, units, targets):
    learner = started(units=units, training=training, f=f, bias=bias, kernel=kernel)
    data = ragged(3, 40, targets=targets)
    below, above, surprises = plain(learner, data, learner.state(0))
    learner.learn([data])
    state = learner.state(0)
    for net, flat, expected in (
        (learner.automatizer, state["automatizer"], below),
        (learner.chunker, state["chunker"], above),
    ):
        # float32 against float64 over some 200 updates; a wrong term is off by 1e-2 and more
        for name, view in net.views(flat).items():
            np.testing.assert_allclose(view, expected[name], atol=5e-4, err_msg=name)
    assert learner.measures(0) == {"surprises": pytest.approx(np.mean(surprises))}


def test_the_paper_counts_the_automatizer():
    """Table 2, row CH: 10,506 = 10,404 and 101 inputs and one unit for the chunker's unit."""
    learner = ChunkerLearner(lag_net(100), ChunkerTraining())
    assert learner.automatizer.n_weights == 10_506
    assert learner.chunker.n_weights == learner.network.n_weights == 10_404


def test_without_surprises_the_chunker_does_not_change():
    learner = started(training=ChunkerTraining(threshold=2.0))
    before = learner.state(0)
    learner.learn([ragged(1)])
    np.testing.assert_array_equal(learner.state(0)["chunker"], before["chunker"])
    assert np.any(learner.state(0)["automatizer"] != before["automatizer"])


@each("threshold, handed_up", [(2.0, 1.0), (1e-6, 5.0)])
def test_only_surprises_are_handed_up(threshold, handed_up):
    """The chunker receives the first input of a sequence that is predicted, else every input."""
    learner = started(training=ChunkerTraining(threshold=threshold))
    learner.learn([NoiseFreeLag(4).sample(np.random.default_rng(0), 5)])
    assert learner.measures(0) == {"surprises": handed_up}


def test_what_can_be_learned_is_no_longer_handed_up():
    learner = started(p=8)
    assert learner.measures(0) == {}
    learner.learn([NoiseFreeLag(8).sample(np.random.default_rng(0), 400)])
    # The first symbol and the last; now and then the last is guessed.
    assert learner.measures(0)["surprises"] == pytest.approx(2.0, abs=0.1)


def test_the_mean_is_over_the_last_100_sequences():
    learner = started(training=ChunkerTraining(threshold=2.0))
    end, following = ragged(1, 30, targets="end"), ragged(2, 99)
    learner.learn([end])
    assert learner.measures(0)["surprises"] == pytest.approx(end.lengths.mean())
    learner.learn([following])
    assert learner.measures(0)["surprises"] == pytest.approx((99 + end.lengths[-1]) / 100)


@each("f", ["logistic", "tanh"])
@each("predict", ["hidden", "hidden+outputs"])
def test_the_automatizer_learns_the_state_of_the_chunker(predict, f):
    """A symmetric unit's state, which may be below 0, is predicted by an output in (0, 1) too."""
    training = ChunkerTraining(threshold=2.0, predict=predict, rate=2.0)
    learner = started(units=2, training=training, f=f)
    data = Sequences.from_lists([[3, 0, 1, 2]], [[0, 1, 2]], n_inputs=5, n_outputs=5)
    for _ in range(400):
        learner.learn([data])
    weights, nets = learner.state(0), (learner.automatizer, learner.chunker)
    watcher = ReferenceChunker(*nets, rate=0.0, threshold=2.0, depth=1)
    watcher.learn(weights["automatizer"][None], weights["chunker"][None], [data])
    below, above = watcher.nets  # as the last step left them
    hidden = (1 + above.h[0]) / 2 if f == "tanh" else above.h[0]
    state = np.concatenate([hidden, above.y[0]] if predict != "hidden" else [hidden])
    np.testing.assert_allclose(below.y[0, 5:], state, atol=0.02)


def test_predictions_are_the_automatizers_alone():
    learner, data = started(units=2), ragged(1, 1)
    before = learner.state(0)
    [outputs] = learner.predict([data])
    assert outputs is not None
    assert outputs.shape == (len(data.targets), 5)
    for name, array in learner.state(0).items():
        np.testing.assert_array_equal(array, before[name])
    still = started(units=2, training=ChunkerTraining(rate=0.0))
    [errors] = still.learn([data])
    assert errors is not None
    missed = np.abs(outputs - data.dense_targets())
    np.testing.assert_allclose(errors.max_abs, missed.max(), rtol=1e-6)
    np.testing.assert_allclose(errors.sum_abs, missed.sum(), rtol=1e-6)
    np.testing.assert_allclose(errors.sum_sq, (missed**2).sum(), rtol=1e-6)
    assert errors.n_values.tolist() == [missed.size]


@each("units", [1, 2, 9])
def test_a_lane_learns_as_if_it_were_alone(units):
    together = started(lanes=4, units=units)
    parts = [ragged(1, 30), None, ragged(2, 17), ragged(3, 30, targets="end")]
    errors = together.learn(parts)
    untouched = started(lanes=4, units=units).state(1)
    for lane, part in enumerate(parts):
        if part is None:
            assert errors[lane] is None
            for name, array in together.state(lane).items():
                np.testing.assert_array_equal(array, untouched[name])
            continue
        alone = ChunkerLearner(lag_net(4, units), ChunkerTraining())
        alone.begin(0, np.random.default_rng(lane))
        [expected] = alone.learn([part])
        for name, array in alone.state(0).items():
            np.testing.assert_array_equal(together.state(lane)[name], array)
        np.testing.assert_array_equal(np.array(errors[lane]), np.array(expected))


def test_a_restored_lane_continues():
    """Wherever sequences are cut into calls, and in whichever lane they continue."""
    data = ragged(5, 40)
    at_once = started(units=2)
    [whole] = at_once.learn([data])
    first, second = started(units=2), started(lanes=3, units=2)
    [head] = first.learn([data[:13]])
    second.restore(2, first.state(0))
    tail = second.learn([None, None, data[13:]])[2]
    for name, array in at_once.state(0).items():
        np.testing.assert_array_equal(second.state(2)[name], array)
    joined = np.concatenate([np.array(head), np.array(tail)], axis=1)
    np.testing.assert_array_equal(joined, np.array(whole))
    assert second.measures(2) == at_once.measures(0)


def test_beginning_again_resets_everything():
    learner = started()
    learner.learn([ragged(1)])
    learner.begin(0, np.random.default_rng(0))
    for name, array in started().state(0).items():
        np.testing.assert_array_equal(learner.state(0)[name], array)


def test_values_are_learned_like_symbols():
    by_symbol, by_value, data = started(units=2), started(units=2), ragged(1, 20)
    dense = Sequences(
        data.dense_inputs(), 5, data.offsets, data.dense_targets(), 5, data.target_steps
    )
    by_symbol.learn([data])
    by_value.learn([dense])
    for name in ("automatizer", "chunker"):
        np.testing.assert_allclose(by_value.state(0)[name], by_symbol.state(0)[name], atol=1e-5)
    np.testing.assert_allclose(
        np.array(by_value.predict([dense])[0]), np.array(by_symbol.predict([data])[0]), atol=1e-5
    )


def test_weights_that_diverge_show_in_the_errors():
    learner = started(lanes=2)
    state = learner.state(0)
    state["automatizer"][:] = np.nan
    learner.restore(0, state)
    bad, good = learner.learn([ragged(1), ragged(1)])
    assert bad is not None
    assert good is not None
    assert np.isnan(bad.max_abs).all()
    assert np.isnan(bad.sum_sq).all()
    assert np.isfinite(good.sum_sq).all()


@pytest.mark.parametrize(("predict", "least", "most"), [("hidden", 6, 8), ("nothing", 0, 0)])
def test_it_is_the_chunker_that_bridges_a_lag(predict, least, most):
    """Experiment 2a with p = 6: most of eight trials are right at every step.

    The automatizer alone never is: its errors reach back three steps.
    """
    training = ChunkerTraining(rate=2.0, predict=predict, chunker_wiring="full")
    task, lanes = NoiseFreeLag(6), 8
    learner = started(6, lanes, training=training)
    rngs = [np.random.default_rng([1, lane]) for lane in range(lanes)]
    learner.learn([task.sample(rng, 1800) for rng in rngs])
    both = task.test(rngs[0], 2)
    solved = [task.correct(np.array(out), both).all() for out in learner.predict([both] * lanes)]
    assert least <= np.count_nonzero(solved) <= most, solved


def test_it_is_a_learner_whose_memory_does_not_depend_on_time():
    learner = started(lanes=2)
    assert isinstance(learner, Learner)
    learner.learn([ragged(1)] * 2)
    before = learner.nbytes
    learner.learn([ragged(2, 60)] * 2)
    assert learner.nbytes == before > 2 * 4 * (learner.network.n_weights * 2)


def test_networks_it_cannot_drive():
    for network, words in (
        (Network(5, 5, Cell(1, 1)), "memory cells, which 'truncated', 'bptt' and 'rtrl' drive"),
        (Network(5, 5, Simple(7), wiring="united"), "'united', which 'rtrl' and 'bptt' drive"),
        (Network(5, 5, Simple(7), wiring="sparse"), "'sparse', which 'guess' alone drives"),
    ):
        with case(network), pytest.raises(SettingError, match=words):
            ChunkerLearner(network, ChunkerTraining())


def test_arguments_of_the_wrong_type():
    with pytest.raises(SettingError, match="expected a carrousel"):
        ChunkerLearner("a net", ChunkerTraining())  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="expected a ChunkerTraining"):
        ChunkerLearner(lag_net(4), {"rate": 1.0})  # type: ignore[arg-type]
    for setting in ({"predict": "all"}, {"chunker_wiring": "direct"}):
        with pytest.raises(CarrouselError, match=next(iter(setting))):
            ChunkerTraining(**setting)  # type: ignore[arg-type]


@each(
    "setting",
    [
        {"rate": -1.0},
        {"threshold": 0.0},
        {"depth": 0},
        {"time_code": -1},
        {"rate": float("nan")},
        {"time_code": 33},
    ],
)
def test_settings_out_of_range(setting):
    with pytest.raises(CarrouselError, match=next(iter(setting))):
        ChunkerTraining(**setting)


def test_wrong_calls():
    learner = started(lanes=2)
    with pytest.raises(SettingError, match="n_lanes"):
        ChunkerLearner(lag_net(4), ChunkerTraining(), 0)
    for lane in (-1, 2):
        for call in (learner.state, learner.measures):
            with pytest.raises(SettingError, match=rf"lane is {lane}, expected 0\.\.1"):
                call(lane)
    for call in (learner.learn, learner.predict):
        with pytest.raises(ShapeError, match="data has 1 parts for 2 lanes; pass None"):
            call([ragged(0)])
        with pytest.raises(ShapeError, match=r"data\[0\] has 8 inputs, but the network has 5"):
            call([ragged(0, p=7), None])
    bad = Sequences(
        np.array([7], np.int32), 5, np.array([0, 1]), np.array([1], np.int32), 5, np.array([0])
    )
    with pytest.raises(DataError, match=r"data\[1\].*outside the alphabet"):
        learner.learn([None, bad])
