"""Reference of the network of a stream kernel, in NumPy: states, outputs and update rules.

Hidden layers and gradients are those of the reference kernel for lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.contracts import Gradient, Network, Streaming, Training
from carrousel.errors import DivergedError
from carrousel.kernels.reference.lanes import Rule, rule_for
from carrousel.kernels.reference.layers import Weights, activations, forward
from carrousel.kernels.reference.running import Scales
from carrousel.kernels.signs import Signs, seeds_of_stream
from carrousel.shapes import Floats


@dataclass
class _State:
    """State of one stream."""

    rule: Rule
    seen: np.ndarray | None = None  # sources of the outputs of a step whose target may come
    front: tuple[np.ndarray, np.ndarray] | None = None  # [U] [C] of the state that predicts


class StreamNet:
    """A network whose weights all streams share. Inputs ``z [I]`` are standardised.

    If targets are delayed, :meth:`glance` advances the state that predicts, and :meth:`follow`
    later the state that learns. Otherwise they are one, which :meth:`advance` moves.

    Args:
        network: the network.
        streaming: settings of learning.
        weights: initial weights ``[W]``, in the order of ``network.layout``.
        n_streams: number of streams.
        seed: seed of the random signs of ``"uoro"``, and of the paths of ``"sparse:k"``.
        dtype: data type of weights and states.
        bound: of the root mean square of sensitivities.
    """

    def __init__(
        self,
        network: Network,
        streaming: Streaming,
        weights: Annotated[Floats, "W"],
        n_streams: int,
        seed: int,
        dtype: type[np.floating],
        bound: float,
    ) -> None:
        self.network, self.streaming, self._dtype = network, streaming, dtype
        self.rate = streaming.rate
        self.weights = np.array(weights, dtype)
        self.first, self.second = np.zeros((2, len(self.weights)), dtype)
        self.changes = 0
        self.targets = Scales(network.n_outputs, streaming.horizon, streaming.by_key)
        gradient, training = Gradient.named(streaming.gradient), Training(rate=0.0)
        shared = (network, training, gradient, dtype)
        self.states = [
            _State(rule_for(*shared, Signs(seeds_of_stream(seed, b)), seed, bound))
            for b in range(n_streams)
        ]
        for b in range(n_streams):
            self.reset(b)

    def reset(self, stream: int) -> None:
        """Reset the state of a stream."""
        here, cell = self.states[stream], self.network.cell
        here.rule.begin()
        here.seen = None
        here.front = np.zeros(cell.n_units, self._dtype), np.zeros(cell.n_states, self._dtype)

    def stands(self, stream: int) -> bool:
        """Return whether the last step of a stream may still learn a target."""
        return self.states[stream].seen is not None

    # --- outputs ----------------------------------------------------------------------------

    def advance(self, stream: int, z: Annotated[Floats, "I"]) -> Annotated[Floats, "O"]:
        """Advance the state of a stream; return the outputs, in the units of targets."""
        self.follow(stream, z)
        return self._shown(stream, self._outputs(self.states[stream].seen))

    def follow(self, stream: int, z: Annotated[Floats, "I"]) -> None:
        """Advance the state that learns."""
        here, z = self.states[stream], z.astype(self._dtype)
        read = here.rule.advance(Weights.unpack(self.network, self.weights), z)
        here.seen = self._sources(z, read)
        self._outputs(here.seen)

    def glance(self, stream: int, z: Annotated[Floats, "I"]) -> Annotated[Floats, "O"]:
        """Advance the state that predicts; return the outputs, in the units of targets."""
        here, z = self.states[stream], z.astype(self._dtype)
        assert here.front is not None
        w = Weights.unpack(self.network, self.weights)
        step = forward(self.network, w, *here.front, z)
        y = self._outputs(self._sources(z, step.y[list(self.network.cell.read_units)]))
        here.front = step.y, step.s
        return self._shown(stream, y)

    def meet(self, stream: int) -> None:
        """Make the state that learns the one that predicts."""
        rule: Any = self.states[stream].rule
        self.states[stream].front = rule.state.y.copy(), rule.state.s.copy()

    def _sources(self, z: np.ndarray, read: np.ndarray) -> np.ndarray:
        direct = z if self.network.direct else z[:0]
        return np.concatenate([direct, read, np.ones(1)]).astype(self._dtype)

    def _outputs(self, seen: np.ndarray | None) -> Annotated[Floats, "O"]:
        """Return the outputs by the present weights."""
        assert seen is not None
        net = Weights.unpack(self.network, self.weights).output @ seen
        y = activations(self.streaming.head, net)
        if not np.isfinite(y).all():
            raise DivergedError(
                f"outputs are {y}, no longer finite", fix="continue with a smaller {rate}"
            )
        return y

    def _shown(self, stream: int, y: Annotated[Floats, "O"]) -> Annotated[Floats, "O"]:
        if not self.streaming.scale_targets:
            return y.astype(np.float64)
        scale = self.targets.of(stream)
        return scale.mean + scale.deviation * y

    # --- learning ---------------------------------------------------------------------------

    def learn(self, stream: int, wanted: Annotated[Floats, "O"], weight: float) -> None:
        """Learn targets of the last step of a stream, NaN where there is none.

        The outputs are computed again, since other streams may have changed the weights: otherwise
        each of many streams would repeat the same correction.
        """
        here = self.states[stream]
        assert here.seen is not None
        if self.streaming.scale_targets:
            self.targets.count(stream, wanted)  # first: there is a mean from the first target on
            scale = self.targets.of(stream)
            wanted = (wanted - scale.mean) / scale.deviation
        clip = self.streaming.clip or np.inf
        y = self._outputs(here.seen)
        missed = np.where(np.isnan(wanted), 0, wanted.astype(self._dtype) - y)
        error = self._dtype(weight) * np.clip(missed, -clip, clip)
        if self.streaming.head == "logistic97":
            error = error * y * (1 - y)  # (19)
        w = Weights.unpack(self.network, self.weights)
        here.rule.meet(w.read(self.network).T @ error)
        hidden = here.rule.due(w, last=False)
        assert hidden is not None
        gradient = np.zeros_like(self.weights)
        Weights(hidden, np.outer(error, here.seen)).add_to(self.network, gradient, 1.0)
        here.seen = None
        if not np.isfinite(gradient).all():
            raise DivergedError(
                "the gradient is no longer finite", fix="continue with a smaller {rate}"
            )
        self._change(gradient)

    def _change(self, d: Annotated[Floats, "W"]) -> None:
        """Apply the update rule to minus a gradient."""
        how = self.streaming
        rate = self.rate
        if how.decay:
            rate *= max(0.1, 1 / np.sqrt(1 + self.changes / how.decay))
        self.changes += 1
        if how.optimizer == "sgd":
            self.weights += rate * d
            return
        self.second = how.second * self.second + (1 - how.second) * d * d
        if how.optimizer == "rmsprop":
            self.weights += rate * d / (np.sqrt(self.second) + how.epsilon)
            return
        self.first = how.momentum * self.first + (1 - how.momentum) * d
        first = self.first / (1 - how.momentum**self.changes)
        second = self.second / (1 - how.second**self.changes)
        self.weights += rate * first / (np.sqrt(second) + how.epsilon)
