"""Names of learners, update rules, and settings that contradict each other."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Batches, Cell, Init, Network, Simple, Training
from carrousel.errors import SettingError, ShapeError, UnknownNameError
from carrousel.learners import LEARNERS, GradientLearner, learner_named
from carrousel.sequences import Sequences
from support.case import case, each
from support.drawn import Kind, drawn_data

NETWORK = Network(2, 1, Cell(1, 2, forget_gate=True), bias="all", init=Init(range=0.5))


def batch(seed: int = 0, n: int = 3) -> Sequences:
    rng = np.random.default_rng(seed)
    return drawn_data(NETWORK, rng, Kind(when="all"), rng.integers(1, 9, n).tolist())


def started(
    training: Training | Batches, lanes: int = 1, rule: str | None = None
) -> GradientLearner:
    learner = GradientLearner(NETWORK, training, lanes, rule=rule)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(lane))
    return learner


def assert_same_state(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_adam_is_a_name_but_not_a_learner_of_its_own():
    """Stored trials use it; gradient and rule are those of the settings."""
    assert "adam" not in LEARNERS
    for settings_ in (Batches(0.1), Batches(0.1, gradient="snap:2")):
        learner = learner_named("adam")(NETWORK, settings_, 3)
        assert isinstance(learner, GradientLearner)
        assert learner.n_lanes == 3
        assert learner.measures(0) == {}
        assert learner.kernel.name == "native"
        assert learner.gradient.name == settings_.gradient
    with pytest.raises(SettingError, match="Batches") as refusal:
        learner_named("adam")(NETWORK, Training(0.1), 1)
    assert refusal.value.argument == "training"


def test_a_name_of_a_gradient_takes_batches_as_well():
    ours = learner_named("bptt:3")(NETWORK, Batches(0.05, 2, gradient="bptt:3"), 1)
    theirs = started(Batches(0.05, 2, gradient="bptt:3"))
    ours.begin(0, np.random.default_rng(0))
    for item in (ours, theirs):
        item.learn([batch(1, 8)])
    assert_same_state(ours.state(0), theirs.state(0))


@each("rule", ["momentum", "adam"])
def test_a_rule_changes_weights_after_each_sequence(rule):
    """With the constants of Batches, and the rate, derivative and halving of Training."""
    training = Training(0.05, initial_activation=0.2, halves_every=3)
    ours = started(training, rule=rule)
    theirs = started(
        Batches(0.05, 1, rule, "truncated", output_derivative=True, initial_activation=0.2,
                halves_every=3)
    )  # fmt: skip
    for item in (ours, theirs):
        item.learn([batch(1, 8)])
    assert_same_state(ours.state(0), theirs.state(0))
    [a], [b] = ours.predict([batch(2)]), theirs.predict([batch(2)])
    assert a is not None
    np.testing.assert_array_equal(a, b)


def test_the_plain_rule_of_training_runs_inside_the_kernel():
    ours, theirs = started(Training(0.5), rule="plain"), started(Training(0.5))
    for item in (ours, theirs):
        item.learn([batch(1)])
    assert_same_state(ours.state(0), theirs.state(0))
    assert set(ours.state(0)) == {"weights", "seen", "rate", "schedule"}


def test_arguments_that_contradict_the_settings():
    wrong = {
        "rule": [
            (Batches(0.1), {"rule": "plain"}),
            (Training(0.1, "step"), {"rule": "adam"}),
            (Training(0.1, "epoch"), {"rule": "adam"}),
            (Training(0.1, cells_added_after=3), {"rule": "momentum"}),
            (Training(0.1, plateau=3), {"rule": "momentum"}),
        ],
        "gradient": [(Batches(0.1), {"gradient": "rtrl"}), (Batches(0.1), {"gradient": "bptt:3"})],
        "training": [({"rate": 0.5}, {})],
    }
    for argument, calls in wrong.items():
        for training, given_ in calls:
            with case(training, given_), pytest.raises(SettingError) as refusal:
                GradientLearner(NETWORK, training, **given_)  # type: ignore[arg-type]
            assert refusal.value.argument == argument
    GradientLearner(NETWORK, Batches(0.1), rule="adam", gradient="bptt")
    with pytest.raises(UnknownNameError, match="'adam'"):
        GradientLearner(NETWORK, Training(0.1), rule="adm")


def test_refusals():
    with pytest.raises(SettingError, match=r"n_lanes is 0"):
        GradientLearner(NETWORK, Batches(0.5), 0)
    with pytest.raises(SettingError, match=r"output_derivative is False.*use True"):
        GradientLearner(Network(2, 1, Simple(3), wiring="united"), Batches(0.5))
    with pytest.raises(SettingError, match=r"wiring is 'sparse'.*'united'"):
        GradientLearner(Network(2, 1, Simple(3), wiring="sparse"), Batches(0.5))
    learner = started(Batches(0.5), 2)
    with pytest.raises(ShapeError, match="1 parts for 2 lanes"):
        learner.learn([None])
    with pytest.raises(ShapeError, match="3 parts for 2 lanes"):
        learner.predict([None] * 3)
    for call in (learner.state, learner.measures):
        with pytest.raises(SettingError, match=r"lane is 2, expected 0\.\.1"):
            call(2)


def test_settings_out_of_range():
    for wrong, message in (
        ({"rate": -1.0}, "rate is -1"),
        ({"size": 0}, "size is 0"),
        ({"momentum": 1.0}, "momentum is"),
        ({"second": -0.1}, "second is"),
        ({"second": 1.5}, "second is 1.5, expected a number from 0 to below 1"),
        ({"epsilon": 0.0}, "epsilon is"),
        ({"clip": 0.0}, "clip is"),
        ({"halves_every": -1}, "halves_every is"),
        ({"initial_activation": np.nan}, "initial_activation"),
    ):
        with case(wrong), pytest.raises(SettingError, match=message):
            Batches(**{"rate": 0.1, **wrong})  # type: ignore[arg-type]


def test_names_out_of_range():
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        Batches(0.1, rule="adm")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="gradient 'bbtt' is unknown"):
        Batches(0.1, gradient="bbtt")
