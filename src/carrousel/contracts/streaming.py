"""Settings and interface of learning on endless streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
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
class Rules:
    """Expert rules: forecasts of a target from its past values, which a net adds to.

    A target has ``variables`` numbers, and each row forecasts ``leads`` of them: output ``v leads +
    h`` of row ``r`` is variable ``v`` of the target of row ``r + h``. The rules are the last value,
    the mean of all values, the mean of the last 32, recursive least squares on the last values
    (Plackett 1950), the same on last values and inputs and on inputs alone (those of the row and of
    the row before), and for each period the value one period before, and the last value plus the
    change one period before. They are mixed by weights that are exponential in their regrets
    (Wintenberger 2017, "Optimal learning with Bernstein online aggregation"). The net learns what
    the mixture leaves, and a second mixture of the two is the forecast.

    Args:
        variables: numbers of a target.
        leads: number of targets that a row forecasts, its own and those of later rows.
        inputs: standardised inputs that least squares use: none (0), or all of a row.
        lags: past values that least squares use.
        longest: periods up to this many rows are looked for; 0: ``periods`` are used.
        periods: known periods, in rows.
        levels: probabilities of prediction intervals, which are tracked as quantiles of the errors
            (Angelopoulos, Candes & Tibshirani 2023, "Conformal PID control").

    Raises:
        SettingError: a number is out of range, or both ``longest`` and ``periods`` are given.

    >>> Rules(periods=(24, 168), longest=0).n_rules
    8
    """

    variables: int = 1
    leads: int = 1
    inputs: int = 0
    lags: int = 24
    longest: int = 1024
    periods: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_int("variables", self.variables, minimum=1, maximum=2**24)
        check_int("leads", self.leads, minimum=1, maximum=4096)
        check_int("inputs", self.inputs, minimum=0, maximum=64)
        check_int("lags", self.lags, minimum=2, maximum=256)
        check_int("longest", self.longest, minimum=0, maximum=2**20)
        if self.longest == 1 or (self.longest and self.periods):
            expected = "0 with periods, else at least 2"
            raise SettingError(argument="longest", got=self.longest, expected=expected)
        if len(self.periods) > 8:
            raise SettingError(argument="periods", got=self.periods, expected="at most 8")
        for period in self.periods:
            check_int("periods", period, minimum=2, maximum=2**20)
        if len(self.levels) > 16:
            raise SettingError(argument="levels", got=self.levels, expected="at most 16")
        for level in self.levels:
            if not 0 < check_number("levels", level) < 1:
                raise SettingError(argument="levels", got=level, expected="above 0 and below 1")

    @property
    def n_outputs(self) -> int:
        """Number of forecasts of a row."""
        return self.variables * self.leads

    @property
    def n_periods(self) -> int:
        """Number of periods in use: those given, or the two best that are found."""
        return 2 if self.longest else len(self.periods)

    @property
    def n_fits(self) -> int:
        """Number of rules of least squares."""
        return 3 if self.inputs else 1

    @property
    def n_rules(self) -> int:
        """Number of rules for each output."""
        return 3 + self.n_fits + 2 * self.n_periods

    @property
    def n_features(self) -> int:
        """Number of inputs that the net gets from the rules."""
        return self.variables * (self.n_rules + 1) + self.n_outputs

    @property
    def n_seen(self) -> int:
        """Inputs that least squares use: of the row and, unless they are many, the one before."""
        return self.inputs if self.inputs > 32 else 2 * self.inputs

    def n_regressors(self, fit: int) -> int:
        """Return the number of weights of a rule of least squares."""
        seen = self.n_seen
        return 1 + seen if fit == 2 else self.lags - 1 + self.n_periods + 2 + (seen if fit else 0)


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
        experts: whether probabilities are mixed with those of simple rules: counts in contexts of
            recent symbols, frequencies and successions of classes, and the nearest labelled rows.
            For a softmax head, or a logistic one with one output; not with ``delay``.
        rules: expert rules that the net adds to; None: it forecasts alone. Inputs of the network
            are then those of a row, followed by ``rules.n_features`` features of the rules.
        delay: how many rows of a stream may follow a row before its target comes. The rows wait in
            memory, and a second state of each stream, which learns, follows behind.
        by_key: whether inputs and targets of each stream are standardised by a scale of its own. A
            stream that starts takes over that of all streams together.
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
    experts: bool = False
    rules: Rules | None = None
    delay: int = 0
    by_key: bool = False

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
        if self.experts and (self.head == "linear" or self.delay):
            raise SettingError(
                f"experts is True, but head is {self.head!r} and delay {self.delay}, expected "
                "probabilities and no delay",
                argument="experts",
                got=True,
                fix="set {experts}=False",
            )
        check_int("delay", self.delay, minimum=0, maximum=2**20)
        if self.rules is not None and (self.head != "linear" or self.symbols or self.scale_targets):
            raise SettingError(
                "rules need inputs that are numbers, a linear head, and {scale_targets}=False",
                argument="rules",
                got=self.rules,
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
        if self.rules is not None:
            return self.rules.variables
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

    def learn(
        self, stream: int, target: Annotated[Floats, "V"], weight: float = 1.0, back: int = 0
    ) -> None:
        """Learn a target.

        Args:
            stream: the stream.
            target: numbers ``[O]``, the class ``[1]``, or with rules ``[variables]``; NaN where
                there is none.
            weight: factor of the errors.
            back: how many rows of the stream are younger than that of the target; above 0 only
                with ``streaming.delay``.
        """
        ...

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
        """Process ``N`` rows in order; return the outputs before each row's target is learned.

        Args:
            streams: the stream of each row.
            x: inputs, one row each.
            targets: targets, one row each; NaN: missing. None: no targets.
            targets_first: whether a row's target belongs to the previous outputs of its stream, and
                is learned before the row is processed (next-symbol prediction). Without previous
                outputs since the last reset, it is ignored.
            weights: factor of the errors of each target; None: 1.
            owners, backs: the stream of each target, which is learned before the row, and its
                ``back`` as in :meth:`learn`; -1: no stream. None: targets are those of the rows.
            bounds: receives lower and upper bounds of the intervals of ``rules.levels``.

        Raises:
            RowError, DivergedError: ``error.row`` is the row that failed; ``error.outputs`` are
                those of the rows before it, which have been learned.
        """
        ...

    def recall(
        self, stream: int
    ) -> tuple[Annotated[Floats, "O"], Annotated[Floats, "O 2 levels"]] | None:
        """Return the outputs of a stream's last step and the bounds of its intervals again.

        None: the stream has had no step, or there are no rules.
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
    def rule_errors(self) -> Annotated[Floats, "O 2"]:
        """Sum of absolute errors and number of targets of each output; with rules only."""
        ...

    @property
    def n_observed(self) -> Annotated[Floats, "V"] | None:
        """Number of values of each target so far, known to the rules or to the scales of targets.

        None: neither rules nor scales count them.
        """
        ...

    @property
    def n_updates(self) -> int:
        """Number of changes of the weights."""
        ...

    @property
    def lost(self) -> int:
        """Number of targets that came after their row had been dropped."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of weights, running means, states and traces."""
        ...
