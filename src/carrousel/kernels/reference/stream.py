"""Reference of learning on endless streams, in NumPy.

The network is in ``stream_net.py``, the expert rules in ``rules.py``. This file checks arguments,
standardises inputs, and keeps rows that wait for their targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Network, Streaming
from carrousel.contracts.streaming import LARGEST_SENSITIVITY
from carrousel.errors import DataError, DivergedError, RowError, SettingError, ShapeError
from carrousel.kernels.reference.class_experts import class_experts
from carrousel.kernels.reference.lanes import Rule
from carrousel.kernels.reference.rules import ExpertRules
from carrousel.kernels.reference.running import Scales
from carrousel.kernels.reference.stream_net import StreamNet
from carrousel.shapes import Floats, Ints

_LARGEST = 1e30
"""Largest input, target or weight; larger numbers might be infinite in float32."""


@dataclass
class _Row:
    """A row that waits for its target."""

    z: Annotated[Floats, "I"]  # inputs of the network
    target: Annotated[Floats, "V"] | None = None  # None: unknown
    weight: float = 1.0


@dataclass
class _Stream:
    """Rows of one stream."""

    begun: int = 0
    scaled: bool = False  # whether the stream has scales
    learned: int = 0  # if targets are delayed: rows that no longer wait
    waiting: dict[int, _Row] = field(default_factory=dict)


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
        self.net = StreamNet(network, streaming, weights, n_streams, seed, dtype, bound)
        self._scaled = np.zeros(network.n_inputs, bool) if scaled is None else np.asarray(scaled)
        self.inputs = Scales(network.n_inputs, streaming.horizon, streaming.by_key)
        how = streaming.rules
        self._leads = how.leads if how else 1
        self._pending = streaming.delay + self._leads
        self.rules = ExpertRules(how, self._pending) if how else None
        self.experts = class_experts(network, streaming, n_streams) if streaming.experts else None
        self._streams = [_Stream() for _ in range(n_streams)]
        self.lost = 0
        """Number of targets that came after their rows no longer waited."""

    @property
    def rate(self) -> float:
        """Learning rate; may be changed between steps."""
        return self.net.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self.net.rate = rate

    @property
    def weights(self) -> Annotated[Floats, "W"]:
        """The weights, in the order of ``network.layout``."""
        return self.net.weights

    @property
    def _queued(self) -> bool:
        return self._pending > 1

    def reset(self, stream: int) -> None:
        """Reset the state of a stream."""
        self._stream(stream)
        self._streams[stream] = _Stream()
        self.net.reset(stream)
        if self.rules:
            self.rules.reset(stream)
        if self.experts:
            self.experts.reset(stream)

    # --- rows -------------------------------------------------------------------------------

    def rule(self, stream: int) -> Rule:
        """Return the gradient algorithm of a stream, to look into it."""
        self._stream(stream)
        return self.net.states[stream].rule

    def peek(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Not implemented; the reference changes its state in place."""
        raise NotImplementedError("the reference cannot peek; use the compiled kernel")

    def advance(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Advance a stream by one step; return the outputs."""
        here = self._stream(stream)
        self._check_inputs(x)
        if self._queued and here.begun - here.learned >= self._pending:
            self._process(stream)  # its targets are overdue
        if not here.scaled:
            self.inputs.begin(stream)
            self.net.targets.begin(stream)
            here.scaled = True
        row = x
        if self.rules:
            ready = self._standardised(stream, np.append(x, np.zeros(self.rules.how.n_features)))
            row = np.concatenate([x, self.rules.look(stream, ready)])
        z = self._standardised(stream, row)
        y = self.net.glance(stream, z) if self._queued else self.net.advance(stream, z)
        if not self.streaming.symbols:
            self.inputs.count(stream, np.where(self._scaled, row, np.nan))
        if self.rules:
            y = self.rules.combine(stream, y)
            self.rules.keep(stream)
        if self.experts:
            symbol = int(x[0]) if self.streaming.symbols else 0
            y = self.experts.mixed(stream, symbol, z, y, self.streaming.head == "softmax")
        if self._queued:
            here.waiting[here.begun] = _Row(z)
        here.begun += 1
        return y

    def bounds(self) -> Annotated[Floats, "O 2 levels"]:
        """Return the bounds of the intervals around the last outputs of :meth:`advance`."""
        assert self.rules is not None
        return self.rules.bounds()

    def _standardised(self, stream: int, x: Annotated[Floats, "I"]) -> Annotated[Floats, "I"]:
        if self.streaming.symbols:
            return _one_hot("x", x, self.network.n_inputs)
        z = self.inputs.of(stream).standardised(x, self.streaming.largest)
        return np.where(self._scaled, z, np.nan_to_num(x, nan=0.0))

    # --- targets ----------------------------------------------------------------------------

    def learn(
        self, stream: int, target: Annotated[Floats, "V"], weight: float = 1.0, back: int = 0
    ) -> None:
        """Learn a target; see :class:`carrousel.contracts.StreamKernel`."""
        here = self._stream(stream)
        self._check_target(target, weight)
        row = here.begun - 1 - back
        if not self._queued:
            if back or not self.net.stands(stream):
                raise self._no_step(stream)
            if not np.isnan(target).all():
                self._learn_now(stream, row, target, weight)
            return
        if back < 0 or row < 0:
            raise self._no_step(stream)
        if row < here.learned:
            self.lost += not np.isnan(target).all()
            return
        if here.waiting[row].target is not None:
            raise self._no_step(stream)
        here.waiting[row].target, here.waiting[row].weight = np.array(target), weight
        if self.rules:
            self.rules.observe(stream, row, target)
        while self._complete(here):
            self._process(stream)

    def _learn_now(
        self, stream: int, row: int, target: Annotated[Floats, "V"], weight: float
    ) -> None:
        if not self.rules:
            self.net.learn(stream, self._coded(target), weight)
            if self.experts:
                softmax = self.streaming.head == "softmax"
                label = int(target[0] if softmax else target[0] > 0.5)
                self.experts.learn(stream, label, weight)
            return
        wanted = self.rules.settle(stream, row, target)
        self.rules.observe(stream, row, target)
        self.net.learn(stream, wanted, weight)

    def _complete(self, here: _Stream) -> bool:
        """Return whether the oldest waiting row has all its targets: of all leads."""
        rows = range(here.learned, here.learned + self._leads)
        return rows.stop <= here.begun and all(here.waiting[r].target is not None for r in rows)

    def _process(self, stream: int) -> None:
        """Learn the oldest waiting row, with the targets that are known."""
        here = self._streams[stream]
        first = here.learned
        unknown = np.full(self._n_values, np.nan)
        waiting = [here.waiting.get(first + lead) for lead in range(self._leads)]
        due = [row.target if row and row.target is not None else unknown for row in waiting]
        targets = np.stack(due, axis=1).ravel()  # by variable, then lead
        row = here.waiting.pop(first)
        self.net.follow(stream, row.z)
        wanted = self.rules.settle(stream, first, targets) if self.rules else targets
        here.learned += 1
        try:
            if not np.isnan(wanted).all():
                self.net.learn(stream, wanted if self.rules else self._coded(wanted), row.weight)
        finally:
            if first + 1 == here.begun:
                self.net.meet(stream)

    def _coded(self, target: Annotated[Floats, "V"]) -> Annotated[Floats, "O"]:
        if self.streaming.head == "softmax":
            return _one_hot("target", target, self.network.n_outputs)
        return target

    # --- many rows --------------------------------------------------------------------------

    def run(
        self,
        streams: Annotated[Ints, "N"],
        x: Annotated[Floats, "N I or N 1"],
        targets: Annotated[Floats, "N V"] | None = None,
        targets_first: bool = False,
        weights: Annotated[Floats, "N"] | None = None,
        owners: Annotated[Ints, "N"] | None = None,
        backs: Annotated[Ints, "N"] | None = None,
        bounds: Annotated[Floats, "N O 2 levels"] | None = None,
    ) -> Annotated[Floats, "N O"]:
        """Process rows in order; see :class:`carrousel.contracts.StreamKernel`."""
        outputs = np.zeros((len(x), self.network.n_outputs))
        for n, stream in enumerate(streams.tolist()):
            target = None if targets is None or np.isnan(targets[n]).all() else targets[n]
            weight = 1.0 if weights is None else float(weights[n])
            owner = stream if owners is None else int(owners[n])
            back = 0 if backs is None else int(backs[n])
            try:
                self._stream(stream)
                self._check_inputs(x[n])  # raises before anything changes
                if target is not None:
                    self._check_target(target, weight)
                if target is not None and targets_first and self._has_row(owner, back):
                    self.learn(owner, target, weight, back)
                elif target is not None and targets_first and owners is None:
                    self._start(stream, target)
                outputs[n] = self.advance(stream, x[n])
                if bounds is not None:
                    bounds[n] = self.bounds()
                if target is not None and not targets_first:
                    self.learn(stream, target, weight)
            except DivergedError as error:
                raise error.recast(DivergedError, row=n, outputs=outputs[:n]) from None
            except (DataError, SettingError) as error:
                raise error.recast(RowError, row=n, outputs=outputs[:n]) from None
        return outputs

    def _start(self, stream: int, target: Annotated[Floats, "V"]) -> None:
        """Begin a stream with a target that comes with its first row, before it."""
        here = self._streams[stream]
        if self.rules and not here.begun:
            self.rules.start(stream, target)
            here.begun = here.learned = 1

    def _has_row(self, owner: int, back: int) -> bool:
        if owner < 0:
            return False
        return self._streams[owner].begun > back if self._queued else self.net.stands(owner)

    # --- state and checks -------------------------------------------------------------------

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

    @property
    def _n_values(self) -> int:
        return self.streaming.n_target_values or self.network.n_outputs

    def _stream(self, stream: int) -> _Stream:
        return self._streams[check_int("stream", stream, minimum=0, maximum=self.n_streams - 1)]

    def _no_step(self, stream: int) -> SettingError:
        return SettingError(
            f"stream {stream} has no step to learn from",
            argument="stream",
            got=stream,
            fix="advance it first",
        )

    def _check_inputs(self, x: Annotated[Floats, "I or 1"]) -> None:
        if self.streaming.symbols:
            _one_hot("x", x, self.network.n_inputs)
            return
        of_rules = self.streaming.rules.n_features if self.streaming.rules else 0
        _check_shape("x", x, self.network.n_inputs - of_rules)
        if (np.abs(x) > _LARGEST).any() or (np.isnan(x).any() and not self.streaming.missing):
            raise DataError(argument="x", got=x.tolist(), expected="finite numbers")

    def _check_target(self, target: Annotated[Floats, "V"], weight: float) -> None:
        _check_shape("target", target, self._n_values)
        if not 0 <= weight <= _LARGEST:
            raise DataError(argument="weight", got=weight, expected="0 to 1e30")
        if self.streaming.head == "softmax" and not np.isnan(target[0]):
            _one_hot("target", target, self.network.n_outputs)
        elif (np.abs(target) > _LARGEST).any():
            raise DataError(argument="target", got=target.tolist(), expected="finite numbers")


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
