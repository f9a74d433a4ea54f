"""Descriptions of learning on streams without end: what is learned at each step, and how."""

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


@dataclass(frozen=True)
class Streaming:
    """How a network learns on streams: at every step that has a target, at once.

    Args:
        head: what outputs are, and by which error they learn; ``e_k`` is minus the derivative of
            the error by the net input of output ``k``.

            ``"linear"``: ``y = net``, squared error, ``e = t - y``.
            ``"logistic"``: each output a probability of its own, cross-entropy, ``e = t - y``.
            ``"logistic97"``: the same outputs, squared error, ``e = y (1 - y) (t - y)`` (eq. 19).
            ``"softmax"``: probabilities of classes, cross-entropy, ``e = t - y``.
        optimizer: what becomes of a gradient ``d`` (minus the derivative of the error by a weight).

            ``"sgd"``: ``w += rate d`` (eq. 17).
            ``"rmsprop"``: ``v = second v + (1 - second) d^2``,
            ``w += rate d / (sqrt(v) + epsilon)``.
            ``"adam"``: Kingma & Ba 2015, algorithm 1, with ``momentum`` and ``second`` for its two
            rates of decay.
        rate: learning rate.
        momentum, second, epsilon: as above.
        clip: errors ``t - y`` are cut off at plus and minus this (Huber 1964, for linear heads);
            None: they are not.
        gradient: ``"truncated"`` (1997), ``"rtrl"``, ``"snap:n"`` or ``"uoro"``.
        symbols: each input is one number, the index of a one-hot vector of ``network.n_inputs``.
        scale_targets: linear outputs are learned in units of the standard deviation of the targets
            met so far, and given back in the targets' own units.
        horizon: running means and variances forget what is older than about so many steps;
            0: never.
        largest: standardised inputs are cut off at plus and minus this.
        missing: a NaN among the inputs stands for a value that did not come, and is taken for the
            mean; without it, a NaN is refused.
        decay: the rate falls like the root of the number ``n`` of changes made so far, ``rate /
            sqrt(1 + n / decay)``, but never below a tenth: a stream may change. 0: it does not.

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
                raise SettingError(f"{name} is {kept}, expected a number from 0 to below 1")
        check_number("epsilon", self.epsilon, above=0.0)
        if self.clip is not None:
            check_number("clip", self.clip, above=0.0)
        if Gradient.named(self.gradient).kind == "bptt":
            raise SettingError(
                f"gradient is {self.gradient!r}, which goes back over steps that a stream does not "
                "keep; say 'truncated', 'rtrl', 'snap:1' or 'uoro'"
            )
        check_number("horizon", self.horizon, least=0.0)
        check_number("largest", self.largest, above=0.0)
        if self.scale_targets and self.head != "linear":
            raise SettingError(f"scale_targets is True, but head {self.head!r} has targets of 0..1")

    @property
    def n_target_values(self) -> int | None:
        """Numbers of a target: 1, a class, for softmax; None where it is one for each output."""
        return 1 if self.head == "softmax" else None


@runtime_checkable
class StreamKernel(Protocol):
    """One network on ``n_streams`` streams: they share its weights, each has its own state.

    A step is :meth:`advance`, which moves the state and returns the outputs ``[O]``, then, where
    there is a target, :meth:`learn`, which changes the weights. Of several streams, each learns in
    the order of the calls. Inputs ``x`` are ``[I]``, or ``[1]`` where they are symbols; targets are
    ``[O]``, or ``[1]`` (the class) with a softmax head; both float64.

    Inputs are standardised by what was met before them on any stream, and then counted.

    A refused call changes nothing. :class:`~carrousel.errors.DivergedError` says that outputs or
    errors are no longer finite; weights have not been changed by the step that found it, though the
    stream may have advanced.
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

    def peek(self, stream: int, x: Annotated[Floats, "X"]) -> Annotated[Floats, "O"]:
        """What :meth:`advance` would return; nothing moves."""
        ...

    def advance(self, stream: int, x: Annotated[Floats, "X"]) -> Annotated[Floats, "O"]:
        """Move a stream by one step; return the outputs."""
        ...

    def learn(self, stream: int, target: Annotated[Floats, "Y"]) -> None:
        """Learn the target of the outputs that :meth:`advance` returned last for this stream."""
        ...

    def run(
        self,
        streams: Annotated[Ints, "N"],
        x: Annotated[Floats, "N X"],
        targets: Annotated[Floats, "N Y"] | None = None,
        targets_first: bool = False,
    ) -> Annotated[Floats, "N O"]:
        """Take ``N`` rows in order; a NaN as first number of a target means that there is none.

        With ``targets_first``, a row's target belongs to the outputs of the row before of the same
        stream, and is learned before the row is taken (next-symbol prediction); it is left alone on
        a stream that has not moved since it was reset.

        Raises:
            RowError, DivergedError: ``error.row`` is the row that was not taken, ``error.outputs``
                those of the rows before, which have been.
        """
        ...

    def reset(self, stream: int) -> None:
        """Begin a stream anew: state and traces zero; weights stay."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Copies of all that the kernel knows, by name."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` returned; raises ShapeError where it does not fit."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of weights, running means, states and traces."""
        ...
