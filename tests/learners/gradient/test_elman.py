"""Elman's procedure against a feedforward net that receives its own hidden layer as input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Kernel, Network, Simple, Training
from carrousel.errors import SettingError
from carrousel.kernels import ReferenceKernel
from carrousel.learners import GradientLearner, elman, learner_named
from support.case import each
from support.drawn import Kind, drawn_data, seeds

KERNELS: list[Kernel] = [ReferenceKernel(), ReferenceKernel(np.float32)]
STEP = Training(0.5, "step")


class Feedforward:
    """A net of one hidden layer and its textbook back-propagation, without any notion of time."""

    def __init__(self, w_hidden: np.ndarray, w_out: np.ndarray, tanh: bool, rate: float) -> None:
        self.w_hidden, self.w_out, self.tanh, self.rate = w_hidden, w_out, tanh, rate

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Return hidden activations; store inputs and outputs."""
        net = self.w_hidden @ np.append(inputs, 1.0)
        self.inputs = np.append(inputs, 1.0)
        self.hidden = np.tanh(net) if self.tanh else 1 / (1 + np.exp(-net))
        self.outputs = 1 / (1 + np.exp(-(self.w_out @ np.append(self.hidden, 1.0))))
        return self.hidden

    def learn(self, target: np.ndarray, derivative: bool) -> None:
        """One step down the gradient of the error of this one pattern."""
        delta = target - self.outputs
        if derivative:
            delta = delta * self.outputs * (1 - self.outputs)
        slope = 1 - self.hidden**2 if self.tanh else self.hidden * (1 - self.hidden)
        back = slope * (self.w_out[:, :-1].T @ delta)
        self.w_out = self.w_out + self.rate * np.outer(delta, np.append(self.hidden, 1.0))
        self.w_hidden = self.w_hidden + self.rate * np.outer(back, self.inputs)


@each("kernel", KERNELS)
@settings(max_examples=25)
@given(st.sampled_from(["logistic", "tanh"]), st.booleans(), st.sampled_from([0.0, 0.5]), seeds)
def test_the_context_is_a_copy_treated_as_an_input(kernel, f, derivative, initial, seed):
    """Copied after each symbol, and reset with each sequence."""
    rng = np.random.default_rng(seed)
    network = Network(3, 2, Simple(4, f), bias="all")
    training = Training(0.4, "step", derivative, initial_activation=initial)
    learner = elman(network, training, 1, kernel)
    learner.begin(0, rng)
    learner.weights[0] += rng.normal(0, 0.5, network.n_weights)
    parts = {key: part.astype(float) for key, part in network.views(learner.weights[0]).items()}
    net = Feedforward(
        np.hstack([parts["hidden_inputs"], parts["hidden_recurrent"],
                   parts["hidden_bias"][:, None]]),
        np.hstack([parts["output_cells"], parts["output_bias"][:, None]]),
        f == "tanh", 0.4,
    )  # fmt: skip
    data = drawn_data(network, rng, Kind(symbolic=True, when="some"), [5, 1, 7])
    learner.learn([data])
    for one in data:
        context = np.full(4, initial)
        goals = dict(zip(one.target_steps.tolist(), one.dense_targets(), strict=True))
        for t, symbol in enumerate(one.dense_inputs()):
            context = net.forward(np.concatenate([symbol, context]))
            if t in goals:
                net.learn(goals[t], derivative)
    found = network.views(learner.weights[0])
    # Weights of size 1 are rounded at up to 13 changes, each of some ten roundings.
    off = 256 * float(np.finfo(kernel.dtype).eps)
    for ours, theirs in (
        (found["hidden_inputs"], net.w_hidden[:, :3]),
        (found["hidden_recurrent"], net.w_hidden[:, 3:7]),
        (found["hidden_bias"], net.w_hidden[:, 7]),
        (found["output_cells"], net.w_out[:, :4]),
        (found["output_bias"], net.w_out[:, 4]),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=off, atol=off)


def test_it_is_back_propagation_of_one_step():
    network = Network(7, 7, Simple(15))  # 435 weights, as in Table 1
    learner = learner_named("elman")(network, STEP, 2)
    assert isinstance(learner, GradientLearner)
    assert learner.gradient.name == "bptt:1"
    assert (learner.n_lanes, network.n_weights) == (2, 435)
    data = drawn_data(network, np.random.default_rng(0), Kind(True, True, "all"), [9, 4])
    twins = [elman(network, STEP, 1, ReferenceKernel()),
             GradientLearner(network, STEP, 1, ReferenceKernel(), "bptt:1")]  # fmt: skip
    for twin in twins:
        twin.begin(0, np.random.default_rng(3))
        twin.learn([data])
    np.testing.assert_array_equal(twins[0].weights, twins[1].weights)


@each(
    "network",
    [
        Network(2, 1, Cell(1, 1)),
        Network(2, 1, Cell(1, 1), "layered"),
        Network(2, 1, Simple(3), "united"),
        Network(2, 1, Simple(3), "sparse"),
    ],
)
def test_networks_without_a_context_to_copy_or_outputs_of_their_own(network):
    with pytest.raises(SettingError, match="elman drives simple units in full or direct wiring"):
        elman(network, STEP)


@each("update", ["sequence", "epoch"])
def test_weights_change_after_each_symbol(update):
    with pytest.raises(SettingError, match=f"update is '{update}'.*use 'step'"):
        elman(Network(2, 1, Simple(3)), Training(0.5, update))
