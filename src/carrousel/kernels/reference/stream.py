"""Learning on streams without end in NumPy, written to be read: the measure of the native kernel.

What moves forward through time, and the gradients, are those of the lanes' reference; here are what
a stream needs besides: running means and variances, kinds of outputs, and changes of the weights
that look back on gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Gradient, Network, Streaming, Training
from carrousel.errors import DataError, DivergedError, RowError, SettingError, ShapeError
from carrousel.kernels.reference.lanes import Rule, rule_for
from carrousel.kernels.reference.layers import Weights, logistic
from carrousel.kernels.signs import Signs, seeds_of_stream
from carrousel.shapes import Floats, Ints

_LARGEST = 1e30
"""Of inputs and targets: what is not standardised must be a number in float32 too."""


class RunningScale:
    """Mean and variance of each column, of all that came or of about the last ``horizon`` steps.

    With ``a = 1 / min(n, horizon)`` at the ``n``-th value, ``d = x - mean``: ``mean += a d`` and
    ``variance = (1 - a) (variance + a d^2)``, which without a horizon is the variance of all ``n``
    (Welford 1962).
    """

    def __init__(self, columns: int, horizon: float) -> None:
        self.seen, self.mean, self.variance = np.zeros((3, columns))
        self._horizon = horizon or np.inf

    def count(self, x: Annotated[Floats, "I"]) -> None:
        """Take values in; NaN stands for none."""
        there = ~np.isnan(x)
        self.seen[there] += 1
        a = 1 / np.minimum(self.seen[there], self._horizon)
        d = x[there] - self.mean[there]
        self.mean[there] += a * d
        self.variance[there] = (1 - a) * (self.variance[there] + a * d * d)

    @property
    def deviation(self) -> Annotated[Floats, "I"]:
        """Standard deviation, and 1 for columns that have not varied."""
        return np.where(self.variance > 0, np.sqrt(self.variance), 1.0)

    def standardised(self, x: Annotated[Floats, "I"], largest: float) -> Annotated[Floats, "I"]:
        """``(x - mean) / deviation``, cut off; 0 where a column has not varied, or none came."""
        z = np.clip((x - self.mean) / self.deviation, -largest, largest)
        return np.where((self.variance > 0) & ~np.isnan(x), z, 0.0)


@dataclass
class _Standing:
    """What the last step of a stream left behind, for its target to be learned."""

    seen: Annotated[Floats, "P"]
    y: Annotated[Floats, "O"]


@dataclass
class _Stream:
    """One stream's place in time."""

    rule: Rule
    standing: _Standing | None = field(default=None)


class ReferenceStream:
    """The readable kernel; see :class:`carrousel.contracts.StreamKernel`.

    Args:
        network: memory cells.
        streaming: how it learns.
        weights: at first, ``[W]`` in the order of ``network.layout``.
        n_streams: streams that share the weights.
        scaled: which inputs are standardised; None: none.
        seed: of the random signs that uoro draws.
        dtype: of all that is learned.

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
        self._streams = [
            _Stream(rule_for(network, training, gradient, dtype, Signs(seeds_of_stream(seed, b))))
            for b in range(n_streams)
        ]
        self._dtype = dtype
        for b in range(n_streams):
            self.reset(b)

    def reset(self, stream: int) -> None:
        """Begin a stream anew."""
        here = self._stream(stream)
        here.rule.begin()
        here.standing = None

    def peek(self, stream: int, x: Annotated[Floats, "X"]) -> Annotated[Floats, "O"]:
        """What :meth:`advance` would return."""
        raise NotImplementedError("the reference moves on; copy it first, by copy.deepcopy")

    def advance(self, stream: int, x: Annotated[Floats, "X"]) -> Annotated[Floats, "O"]:
        """Move a stream by one step; return the outputs."""
        here, values = self._stream(stream), self._inputs(x)
        w = Weights.unpack(self.network, self.weights)
        read = here.rule.advance(w, values.astype(self._dtype))
        direct = values if self.network.direct else values[:0]
        seen = np.concatenate([direct, read, np.ones(1)]).astype(self._dtype)
        y = self._activations(w.output @ seen)
        if not np.isfinite(y).all():
            raise DivergedError(f"outputs are {y}, no longer finite")
        here.standing = _Standing(seen, y)
        if not self.streaming.symbols:
            self.inputs.count(np.where(self._scaled, x, np.nan))
        if not self.streaming.scale_targets:
            return y.astype(np.float64)
        return self.targets.mean + self.targets.deviation * y

    def learn(self, stream: int, target: Annotated[Floats, "Y"]) -> None:
        """Learn the target of the outputs that a stream gave last."""
        here = self._stream(stream)
        self._check_target(target)
        standing, here.standing = here.standing, None
        if standing is None:
            raise SettingError(f"stream {stream} has no step to learn from; advance it first")
        clip = self.streaming.clip or np.inf
        wanted = self._wanted(target).astype(self._dtype)
        error = np.clip(wanted - standing.y, -clip, clip)
        if self.streaming.head == "logistic97":
            error = error * standing.y * (1 - standing.y)  # (19)
        w = Weights.unpack(self.network, self.weights)
        here.rule.meet(w.read(self.network).T @ error)
        hidden = here.rule.due(w, last=False)
        assert hidden is not None
        gradient = np.zeros_like(self.weights)
        Weights(hidden, np.outer(error, standing.seen)).add_to(self.network, gradient, 1.0)
        if not np.isfinite(gradient).all():
            raise DivergedError("the gradient is no longer finite")
        self._change(gradient)

    def run(
        self,
        streams: Annotated[Ints, "N"],
        x: Annotated[Floats, "N X"],
        targets: Annotated[Floats, "N Y"] | None = None,
        targets_first: bool = False,
    ) -> Annotated[Floats, "N O"]:
        """Take rows in order."""
        outputs = np.zeros((len(x), self.network.n_outputs))
        for n, stream in enumerate(streams.tolist()):
            target = None if targets is None or np.isnan(targets[n, 0]) else targets[n]
            try:
                standing = self._stream(stream).standing
                self._inputs(x[n])  # refused before anything changes
                if target is not None:
                    self._check_target(target)
                if target is not None and targets_first and standing:
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
        """The weights alone: the reference is there to be compared, not to be kept."""
        return {"weights": self.weights.copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take weights."""
        self.weights[:] = state["weights"]

    @property
    def nbytes(self) -> int:
        """Bytes of weights and their running gradients."""
        return self.weights.nbytes * 3

    def _stream(self, stream: int) -> _Stream:
        return self._streams[check_int("stream", stream, minimum=0, maximum=self.n_streams - 1)]

    def _inputs(self, x: Annotated[Floats, "X"]) -> Annotated[Floats, "I"]:
        if self.streaming.symbols:
            return _one_hot("x", x, self.network.n_inputs)
        _check_shape("x", x, self.network.n_inputs)
        if (np.abs(x) > _LARGEST).any() or (np.isnan(x).any() and not self.streaming.missing):
            raise DataError(f"x is {x}, expected finite numbers")
        z = self.inputs.standardised(x, self.streaming.largest)
        return np.where(self._scaled, z, np.nan_to_num(x, nan=0.0))

    def _activations(self, net: Annotated[Floats, "O"]) -> Annotated[Floats, "O"]:
        if self.streaming.head == "linear":
            return net
        if self.streaming.head == "softmax":
            e = np.exp(net - net.max())
            return e / e.sum()
        return logistic(net)

    def _check_target(self, target: Annotated[Floats, "Y"]) -> None:
        if self.streaming.head == "softmax":
            _one_hot("target", target, self.network.n_outputs)
            return
        _check_shape("target", target, self.network.n_outputs)
        if not (np.abs(target) <= _LARGEST).all():
            raise DataError(f"target is {target}, expected finite numbers")

    def _wanted(self, target: Annotated[Floats, "Y"]) -> Annotated[Floats, "O"]:
        if self.streaming.head == "softmax":
            return _one_hot("target", target, self.network.n_outputs)
        if not self.streaming.scale_targets:
            return target
        self.targets.count(target)  # first: from the first target on there is a mean
        return (target - self.targets.mean) / self.targets.deviation

    def _change(self, d: Annotated[Floats, "W"]) -> None:
        """Change the weights by minus a gradient."""
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
        raise ShapeError(f"{name} has shape {values.shape}, expected ({wanted},)")


def _one_hot(name: str, value: Annotated[Floats, "1"], n: int) -> Annotated[Floats, "n"]:
    """The vector of a symbol or class that came as one number."""
    _check_shape(name, value, 1)
    if not (0 <= value[0] < n and value[0] == int(value[0])):
        raise DataError(f"{name} is {value}, expected a whole number 0..{n - 1}")
    return np.eye(n)[int(value[0])]
