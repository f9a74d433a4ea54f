"""Reference of learning on endless streams, in NumPy.

Hidden layers and gradients are those of the reference kernel for lanes. This file adds running
means and variances, the kinds of outputs, and the update rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Gradient, Network, Streaming, Training
from carrousel.contracts.streaming import LARGEST_SENSITIVITY
from carrousel.errors import DataError, DivergedError, RowError, SettingError, ShapeError
from carrousel.kernels.reference.lanes import Rule, rule_for
from carrousel.kernels.reference.layers import Weights, logistic
from carrousel.kernels.signs import Signs, seeds_of_stream
from carrousel.shapes import Floats, Ints

_LARGEST = 1e30
"""Largest input or target; larger numbers might be infinite in float32."""


class RunningScale:
    """Running mean and variance of each column, with time constant ``horizon`` (0: infinite).

    At the ``n``-th value ``x``, with ``a = 1 / min(n, horizon)`` and ``d = x - mean``, ``mean +=
    a d`` and ``variance = (1 - a) (variance + a d^2)``. Without a horizon these are the mean and
    variance of all ``n`` values (Welford 1962).
    """

    def __init__(self, columns: int, horizon: float) -> None:
        self.seen, self.mean, self.variance = np.zeros((3, columns))
        self._horizon = horizon or np.inf

    def count(self, x: Annotated[Floats, "I"]) -> None:
        """Update with one row; a NaN is skipped."""
        there = ~np.isnan(x)
        self.seen[there] += 1
        a = 1 / np.minimum(self.seen[there], self._horizon)
        d = x[there] - self.mean[there]
        self.mean[there] += a * d
        self.variance[there] = (1 - a) * (self.variance[there] + a * d * d)

    @property
    def deviation(self) -> Annotated[Floats, "I"]:
        """Standard deviation; 1 for columns that have not varied."""
        return np.where(self.variance > 0, np.sqrt(self.variance), 1.0)

    def standardised(self, x: Annotated[Floats, "I"], largest: float) -> Annotated[Floats, "I"]:
        """Return ``(x - mean) / deviation``, clipped; 0 for constant columns and for NaN."""
        z = np.clip((x - self.mean) / self.deviation, -largest, largest)
        return np.where((self.variance > 0) & ~np.isnan(x), z, 0.0)


@dataclass
class _PendingStep:
    """The last step of a stream, whose target may still be learned."""

    seen: Annotated[Floats, "sources"]
    y: Annotated[Floats, "O"]


@dataclass
class _Stream:
    """State of one stream."""

    rule: Rule
    pending: _PendingStep | None = field(default=None)


class ReferenceStream:
    """Reference kernel for streams; see :class:`carrousel.contracts.StreamKernel`.

    Args:
        network: the network.
        streaming: settings of learning.
        weights: initial weights ``[W]``, in the order of ``network.layout``.
        n_streams: number of streams that share the weights.
        scaled: bool ``[I]``, which inputs are standardised; None: none.
        seed: seed of the random signs of ``"uoro"`` and of the connections of ``"sparse:k"``.
        dtype: data type of weights and states.
        bound: largest size of sensitivities, see :func:`carrousel.kernels.reference.paths.shrink`.

    >>> from carrousel.contracts import Cell
    >>> net = Network(1, 1, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    >>> kernel = ReferenceStream(net, Streaming(rate=0.1), np.full(net.n_weights, 0.1))
    >>> for _ in range(200):
    ...     y = kernel.advance(0, np.ones(1))
    ...     kernel.learn(0, np.array([2.0]))
    >>> abs(y[0] - 2.0) < 0.01
    np.True_
    """

    name = "reference"

    def __init__(
        self,
        network: Network,
        streaming: Streaming,
        weights: Annotated[Floats, "W"],
        n_streams: int = 1,
        scaled: np.ndarray | None = None,
        seed: int = 0,
        dtype: type[np.floating] = np.float64,
        bound: float = LARGEST_SENSITIVITY,
    ) -> None:
        self.network, self.streaming, self.n_streams = network, streaming, n_streams
        self.rate = streaming.rate
        self.weights = np.array(weights, dtype)
        self._first, self._second = np.zeros((2, len(self.weights)), dtype)
        self.changes = 0
        self._scaled = np.zeros(network.n_inputs, bool) if scaled is None else np.asarray(scaled)
        self.inputs = RunningScale(network.n_inputs, streaming.horizon)
        self.targets = RunningScale(network.n_outputs, streaming.horizon)
        gradient, training = Gradient.named(streaming.gradient), Training(rate=0.0)
        shared = (network, training, gradient, dtype)
        self._streams = [
            _Stream(rule_for(*shared, Signs(seeds_of_stream(seed, b)), seed, bound))
            for b in range(n_streams)
        ]
        self._dtype = dtype
        for b in range(n_streams):
            self.reset(b)

    def reset(self, stream: int) -> None:
        """Reset the state of a stream."""
        here = self._stream(stream)
        here.rule.begin()
        here.pending = None

    def rule(self, stream: int) -> Rule:
        """Return the gradient algorithm of a stream, to look into it."""
        return self._stream(stream).rule

    def peek(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Not implemented; advance a copy instead."""
        raise NotImplementedError("the reference cannot peek; advance a copy.deepcopy of it")

    def advance(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Advance a stream by one step; return the outputs."""
        here, values = self._stream(stream), self._inputs(x)
        w = Weights.unpack(self.network, self.weights)
        read = here.rule.advance(w, values.astype(self._dtype))
        direct = values if self.network.direct else values[:0]
        seen = np.concatenate([direct, read, np.ones(1)]).astype(self._dtype)
        y = self._activations(w.output @ seen)
        if not np.isfinite(y).all():
            raise DivergedError(
                f"outputs are {y}, no longer finite", fix="continue with a smaller {rate}"
            )
        here.pending = _PendingStep(seen, y)
        if not self.streaming.symbols:
            self.inputs.count(np.where(self._scaled, x, np.nan))
        if not self.streaming.scale_targets:
            return y.astype(np.float64)
        return self.targets.mean + self.targets.deviation * y

    def learn(self, stream: int, target: Annotated[Floats, "O or 1"]) -> None:
        """Learn the target of the last outputs of a stream."""
        here = self._stream(stream)
        self._check_target(target)
        pending, here.pending = here.pending, None
        if pending is None:
            raise SettingError(
                f"stream {stream} has no step to learn from",
                argument="stream",
                got=stream,
                fix="advance it first",
            )
        clip = self.streaming.clip or np.inf
        wanted = self._wanted(target).astype(self._dtype)
        error = np.clip(wanted - pending.y, -clip, clip)
        if self.streaming.head == "logistic97":
            error = error * pending.y * (1 - pending.y)  # (19)
        w = Weights.unpack(self.network, self.weights)
        here.rule.meet(w.read(self.network).T @ error)
        hidden = here.rule.due(w, last=False)
        assert hidden is not None
        gradient = np.zeros_like(self.weights)
        Weights(hidden, np.outer(error, pending.seen)).add_to(self.network, gradient, 1.0)
        if not np.isfinite(gradient).all():
            raise DivergedError(
                "the gradient is no longer finite", fix="continue with a smaller {rate}"
            )
        self._change(gradient)

    def run(
        self,
        streams: Annotated[Ints, "N"],
        x: Annotated[Floats, "N I or N 1"],
        targets: Annotated[Floats, "N O or N 1"] | None = None,
        targets_first: bool = False,
    ) -> Annotated[Floats, "N O"]:
        """Process rows in order; see :class:`carrousel.contracts.StreamKernel`."""
        outputs = np.zeros((len(x), self.network.n_outputs))
        for n, stream in enumerate(streams.tolist()):
            target = None if targets is None or np.isnan(targets[n, 0]) else targets[n]
            try:
                pending = self._stream(stream).pending
                self._inputs(x[n])  # raises before anything changes
                if target is not None:
                    self._check_target(target)
                if target is not None and targets_first and pending:
                    self.learn(stream, target)
                outputs[n] = self.advance(stream, x[n])
                if target is not None and not targets_first:
                    self.learn(stream, target)
            except DivergedError as error:
                raise error.recast(DivergedError, row=n, outputs=outputs[:n]) from None
            except (DataError, SettingError) as error:
                raise error.recast(RowError, row=n, outputs=outputs[:n]) from None
        return outputs

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights alone; the reference is not meant to be resumed."""
        return {"weights": self.weights.copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set the weights."""
        self.weights[:] = state["weights"]

    @property
    def nbytes(self) -> int:
        """Bytes of weights and their running gradients."""
        return self.weights.nbytes * 3

    def _stream(self, stream: int) -> _Stream:
        return self._streams[check_int("stream", stream, minimum=0, maximum=self.n_streams - 1)]

    def _inputs(self, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "I"]:
        if self.streaming.symbols:
            return _one_hot("x", x, self.network.n_inputs)
        _check_shape("x", x, self.network.n_inputs)
        if (np.abs(x) > _LARGEST).any() or (np.isnan(x).any() and not self.streaming.missing):
            raise DataError(argument="x", got=x.tolist(), expected="finite numbers")
        z = self.inputs.standardised(x, self.streaming.largest)
        return np.where(self._scaled, z, np.nan_to_num(x, nan=0.0))

    def _activations(self, net: Annotated[Floats, "O"]) -> Annotated[Floats, "O"]:
        if self.streaming.head == "linear":
            return net
        if self.streaming.head == "softmax":
            e = np.exp(net - net.max())
            return e / e.sum()
        return logistic(net)

    def _check_target(self, target: Annotated[Floats, "O or 1"]) -> None:
        if self.streaming.head == "softmax":
            _one_hot("target", target, self.network.n_outputs)
            return
        _check_shape("target", target, self.network.n_outputs)
        if not (np.abs(target) <= _LARGEST).all():
            raise DataError(argument="target", got=target.tolist(), expected="finite numbers")

    def _wanted(self, target: Annotated[Floats, "O or 1"]) -> Annotated[Floats, "O"]:
        if self.streaming.head == "softmax":
            return _one_hot("target", target, self.network.n_outputs)
        if not self.streaming.scale_targets:
            return target
        self.targets.count(target)  # first, so that there is a mean from the first target on
        return (target - self.targets.mean) / self.targets.deviation

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
        self._second = how.second * self._second + (1 - how.second) * d * d
        if how.optimizer == "rmsprop":
            self.weights += rate * d / (np.sqrt(self._second) + how.epsilon)
            return
        self._first = how.momentum * self._first + (1 - how.momentum) * d
        first = self._first / (1 - how.momentum**self.changes)
        second = self._second / (1 - how.second**self.changes)
        self.weights += rate * first / (np.sqrt(second) + how.epsilon)


def _check_shape(name: str, values: np.ndarray, wanted: int) -> None:
    if values.shape != (wanted,):
        raise ShapeError(
            f"{name} has shape {values.shape}, expected ({wanted},)",
            argument=name,
            got=values.tolist(),
        )


def _one_hot(name: str, value: Annotated[Floats, "1"], n: int) -> Annotated[Floats, "n"]:
    """Return the one-hot vector of a symbol or class."""
    _check_shape(name, value, 1)
    if not (0 <= value[0] < n and value[0] == int(value[0])):
        raise DataError(argument=name, got=value.tolist(), expected=f"a whole number 0..{n - 1}")
    return np.eye(n)[int(value[0])]
