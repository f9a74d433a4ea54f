"""Settings and interface of learning on endless streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from carrousel.checks import check_choice, check_number
from carrousel.contracts.learning import Gradient
from carrousel.contracts.network import Network
from carrousel.errors import SettingError
from carrousel.shapes import Floats, Ints

Head = Literal["linear", "logistic", "logistic97", "softmax"]
Optimizer = Literal["sgd", "rmsprop", "adam"]

LARGEST_SENSITIVITY = 30.0
"""Largest root-mean-square norm, over weights, of the sensitivities ``dq/dw`` of a stream (rtrl,
sparse, snap, uoro). ``docs/gradients.md`` has the reason, and sizes on real streams."""


@dataclass(frozen=True)
class Streaming:
    """Settings of learning on streams: weights change at every step that has a target.

    Args:
        head: outputs and their error function; ``e_k`` is minus the derivative of the error by the
            net input of output ``k``.

            ``"linear"``: ``y = net``, squared error, ``e = t - y``.
            ``"logistic"``: independent probabilities, cross-entropy, ``e = t - y``.
            ``"logistic97"``: the same outputs, squared error, ``e = y (1 - y) (t - y)`` (eq. 19).
            ``"softmax"``: probabilities of classes, cross-entropy, ``e = t - y``.
        optimizer: update rule for a gradient ``d`` (minus the derivative of the error by a weight).

            ``"sgd"``: ``w += rate d`` (eq. 17).
            ``"rmsprop"``: ``v = second v + (1 - second) d^2``,
            ``w += rate d / (sqrt(v) + epsilon)``.
            ``"adam"``: Kingma & Ba 2015, algorithm 1, with ``momentum`` and ``second`` for its two
            rates of decay.
        rate: learning rate.
        momentum, second, epsilon: as above.
        clip: errors ``t - y`` are clipped to ``[-clip, clip]`` (Huber 1964, for linear heads);
            None: no clipping.
        gradient: ``"truncated"`` (1997), ``"immediate"``, ``"rtrl"``, ``"sparse:k"``, ``"snap:n"``
            or ``"uoro"``.
        symbols: whether an input is one number, the index of a one-hot vector of size ``I``.
        scale_targets: whether linear outputs are learned standardised, by the running mean and
            deviation of the targets. Outputs are returned in the targets' units.
        horizon: time constant of running means and variances, in steps; 0: infinite.
        largest: standardised inputs are clipped to ``[-largest, largest]``.
        missing: whether NaN inputs are replaced by the running mean; otherwise they are refused.
        decay: the rate of update ``n`` is ``rate / sqrt(1 + n / decay)``, at least a tenth of
            ``rate``; 0 keeps it constant.

    Raises:
        SettingError: a number is out of range, or two settings contradict each other.
        UnknownNameError: ``head``, ``optimizer`` or ``gradient`` is unknown.

    >>> Streaming(head="softmax", rate=0.01).optimizer
    'adam'
    """

    head: Head = "linear"
    optimizer: Optimizer = "adam"
    rate: float = 0.01
    momentum: float = 0.9
    second: float = 0.999
    epsilon: float = 1e-8
    clip: float | None = None
    gradient: str = "truncated"
    symbols: bool = False
    scale_targets: bool = False
    horizon: float = 0.0
    largest: float = 10.0
    missing: bool = False
    decay: float = 0.0

    def __post_init__(self) -> None:
        check_choice("head", self.head, get_args(Head))
        check_choice("optimizer", self.optimizer, get_args(Optimizer))
        check_number("rate", self.rate, least=0.0)
        check_number("decay", self.decay, least=0.0)
        for name, kept in (("momentum", self.momentum), ("second", self.second)):
            if not check_number(name, kept, least=0.0) < 1.0:
                raise SettingError(argument=name, got=kept, expected="a number from 0 to below 1")
        check_number("epsilon", self.epsilon, above=0.0)
        if self.clip is not None:
            check_number("clip", self.clip, above=0.0)
        if Gradient.named(self.gradient).kind == "bptt":
            raise SettingError(
                f"gradient is {self.gradient!r}, which goes back over steps that a stream does not "
                "store",
                argument="gradient",
                got=self.gradient,
                fix="use 'truncated', 'immediate', 'rtrl', 'sparse:4', 'snap:1' or 'uoro'",
            )
        check_number("horizon", self.horizon, least=0.0)
        check_number("largest", self.largest, above=0.0)
        if self.scale_targets and self.head != "linear":
            raise SettingError(
                f"scale_targets is True, but head {self.head!r} has targets of 0..1",
                argument="scale_targets",
                got=True,
                fix="set {scale_targets}=False or {head}='linear'",
            )

    @property
    def n_target_values(self) -> int | None:
        """Numbers per target: 1 (the class) for softmax, None for one per output."""
        return 1 if self.head == "softmax" else None


@runtime_checkable
class StreamKernel(Protocol):
    """One network on ``n_streams`` streams, which share its weights and have separate states.

    A step consists of two calls. :meth:`advance` moves the state and returns the outputs ``[O]``.
    If there is a target, :meth:`learn` then changes the weights.

    Inputs ``x`` are ``[I]``, or ``[1]`` (the symbol) with ``streaming.symbols``. Targets are
    ``[O]``, or ``[1]`` (the class) with a softmax head. Both are float64. Inputs are standardised
    by running means and variances of earlier inputs on any stream, and then update these.

    A call that raises ShapeError, DataError or SettingError changes nothing.
    :class:`~carrousel.errors.DivergedError` means that outputs or errors are no longer finite; the
    weights are those before the step, but the stream may have advanced.
    """

    name: str
    network: Network
    streaming: Streaming
    n_streams: int

    @property
    def rate(self) -> float:
        """Learning rate; may be changed between steps."""
        ...

    @rate.setter
    def rate(self, rate: float) -> None: ...

    def peek(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Return what :meth:`advance` would return, without changing anything."""
        ...

    def advance(self, stream: int, x: Annotated[Floats, "I or 1"]) -> Annotated[Floats, "O"]:
        """Advance a stream by one step; return the outputs."""
        ...

    def learn(self, stream: int, target: Annotated[Floats, "O or 1"]) -> None:
        """Learn the target of the outputs that :meth:`advance` last returned for this stream."""
        ...

    def run(
        self,
        streams: Annotated[Ints, "N"],
        x: Annotated[Floats, "N I or N 1"],
        targets: Annotated[Floats, "N O or N 1"] | None = None,
        targets_first: bool = False,
    ) -> Annotated[Floats, "N O"]:
        """Process ``N`` rows in order; return the outputs before each row's target is learned.

        Args:
            streams: the stream of each row.
            x: inputs, one row each.
            targets: targets, one row each; a row that begins with NaN has none. None: no targets.
            targets_first: whether a row's target belongs to the previous outputs of its stream, and
                is learned before the row is processed (next-symbol prediction). Without previous
                outputs since the last reset, it is ignored.

        Raises:
            RowError, DivergedError: ``error.row`` is the row that failed; ``error.outputs`` are
                those of the rows before it, which have been learned.
        """
        ...

    def reset(self, stream: int) -> None:
        """Reset the state and traces of a stream; weights stay."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of weights, running quantities and states, by name."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned; raises ShapeError if it does not fit."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of weights, running means, states and traces."""
        ...
