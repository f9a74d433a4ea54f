"""The history compressor: what each level sees, lanes, states, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Init, Learner, Network, Simple
from carrousel.errors import CarrouselError, SettingError, ShapeError
from carrousel.learners.chunker.compressor import CompressorLearner, CompressorTraining
from carrousel.sequences import Sequences
from carrousel.tasks.lags import NoiseFreeLag, RandomLag


def started(
    p: int = 4, lanes: int = 1, training: CompressorTraining | None = None
) -> CompressorLearner:
    network = Network(p + 1, p + 1, Simple(1), wiring="direct", init=Init(0.2))
    learner = CompressorLearner(network, training or CompressorTraining(), lanes)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(lane))
    return learner


def lags(seed: int, n: int, p: int = 4) -> Sequences:
    return RandomLag(p).sample(np.random.default_rng(seed), n)


def ragged(seed: int, n: int, p: int = 4) -> Sequences:
    """Random symbols; every step but some of the last ones has a target."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, p + 1, rng.integers(2, 8)).tolist() for _ in range(n)]
    parts = [
        Sequences.from_lists([row], [row[1:]], n_inputs=p + 1, n_outputs=p + 1) for row in rows
    ]
    return Sequences.concatenate(parts)


@pytest.mark.parametrize("p", [10, 25])
def test_a_long_lag_is_a_short_one_above(p):
    """Experiment 2a: level 1 sees the first symbol and the last, level 2 the first alone."""
    task = NoiseFreeLag(p)
    learner = started(p, lanes=4)
    rngs = [np.random.default_rng([1, lane]) for lane in range(4)]
    learner.learn([task.sample(rng, 400) for rng in rngs])
    both = task.test(rngs[0], 2)
    for lane, outputs in enumerate(learner.predict([both] * 4)):
        assert outputs is not None
        assert task.correct(outputs, both).all()
        seen = learner.measures(lane)  # now and then level 0 guesses the last symbol
        assert seen == {"inputs_1": pytest.approx(2.0, abs=0.1), "inputs_2": 1.0}


def test_one_level_cannot_bridge_the_lag():
    task, rng = NoiseFreeLag(10), np.random.default_rng(0)
    learner = started(10, training=CompressorTraining(levels=1))
    learner.learn([task.sample(rng, 500)])
    both = task.test(rng, 2)
    [outputs] = learner.predict([both])
    assert outputs is not None
    assert not task.correct(outputs, both).all()
    assert learner.measures(0) == {}


def test_each_level_gets_what_the_one_below_missed():
    """First all is missed, then nothing."""
    for threshold, above in ((1e-6, 5.0), (2.0, 1.0)):
        learner = started(training=CompressorTraining(threshold=threshold, levels=4))
        learner.learn([lags(0, 20)])
        assert set(learner.measures(0).values()) == {above}
        assert list(learner.measures(0)) == ["inputs_1", "inputs_2", "inputs_3"]


def test_the_lowest_level_that_is_sure_predicts():
    learner = started(training=CompressorTraining(levels=3))
    flat = learner.levels[0].flat(0)

    def outputs(*biases: float) -> np.ndarray:
        """Predictions where level ``k`` has net input ``biases[k]`` at symbol 1."""
        for net, bias in zip(learner.levels, biases, strict=True):
            weights = np.zeros_like(flat)
            views = net.network.views(weights)
            views["output_inputs"][:] = -abs(bias)
            views["output_inputs"][1] = bias
            net.load(0, weights)
        [found] = learner.predict([lags(0, 1)])
        assert found is not None
        return found

    def sigmoid(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    for biases, chosen in (
        ((3, 4, 5), 3),
        ((0.5, 4, 5), 4),
        ((0.5, 0.6, 5), 5),
        ((0.5, 0.6, 0.7), 0.5),  # no level is sure
        ((-3, 4, 5), 4),  # sure that no symbol follows is not sure
    ):
        first = outputs(*biases)[0]
        np.testing.assert_allclose(first[1], sigmoid(chosen), rtol=1e-5, err_msg=str(biases))


def test_predictions_are_those_made_while_learning():
    """With rate 0 the errors of learning are those of the predictions, whatever the blocks."""
    learner, data = started(training=CompressorTraining(rate=0.0)), ragged(1, 150)
    [outputs] = learner.predict([data])
    assert outputs is not None
    [errors] = learner.learn([data])
    assert errors is not None
    missed = np.abs(outputs - data.dense_targets())
    np.testing.assert_array_equal(errors.n_values, 5 * np.diff(data.target_offsets))
    for n in range(len(data)):
        own = missed[data.target_offsets[n] : data.target_offsets[n + 1]]
        np.testing.assert_allclose(errors.max_abs[n], own.max(), rtol=1e-6)
        np.testing.assert_allclose(errors.sum_abs[n], own.sum(), rtol=1e-5)
        np.testing.assert_allclose(errors.sum_sq[n], (own**2).sum(), rtol=1e-5)
    parts = [learner.predict([data[:70]])[0], learner.predict([data[70:]])[0]]
    np.testing.assert_array_equal(np.concatenate([np.array(p) for p in parts]), outputs)


def test_a_lane_learns_as_if_it_were_alone():
    together = started(lanes=3)
    parts = [ragged(1, 40), None, lags(2, 25)]
    errors = together.learn(parts)
    assert errors[1] is None
    for lane in (0, 2):
        alone = started()
        alone.begin(0, np.random.default_rng(lane))
        [expected] = alone.learn([parts[lane]])
        for name, array in alone.state(0).items():
            np.testing.assert_array_equal(together.state(lane)[name], array)
        np.testing.assert_array_equal(np.array(errors[lane]), np.array(expected))


def test_a_restored_lane_continues():
    data = ragged(5, 40)
    at_once, first, second = started(), started(), started(lanes=2)
    at_once.learn([data])
    first.learn([data[:17]])
    second.restore(1, first.state(0))
    second.learn([None, data[17:]])
    for name, array in at_once.state(0).items():
        np.testing.assert_array_equal(second.state(1)[name], array)
    assert second.measures(1) == at_once.measures(0)


def test_it_is_a_learner_and_refuses_what_it_cannot_do():
    learner = started(lanes=2)
    assert isinstance(learner, Learner)
    assert learner.nbytes > 3 * 2 * 4 * learner.network.n_weights
    with pytest.raises(SettingError, match="compressor: the network has memory cells"):
        CompressorLearner(Network(5, 5, Cell(1, 1)), CompressorTraining())
    with pytest.raises(SettingError, match=r"lane is 2, expected 0\.\.1"):
        learner.state(2)
    with pytest.raises(ShapeError, match="data has 1 parts for 2 lanes"):
        learner.learn([ragged(0, 1)])
    wrong: list[dict[str, Any]] = [{"rate": -1.0}, {"threshold": 0.0}, {"depth": 0}, {"levels": 0}]
    for setting in wrong:
        with pytest.raises(CarrouselError, match=next(iter(setting))):
            CompressorTraining(**setting)


def test_settings_of_the_wrong_type():
    with pytest.raises(SettingError, match="expected a CompressorTraining"):
        CompressorLearner(started().network, 1.0)  # type: ignore[arg-type]
