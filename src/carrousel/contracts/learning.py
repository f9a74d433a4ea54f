"""Settings of learning: gradient algorithms, and when and how weights change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from carrousel.checks import check_choice, check_int, check_number, suggestion
from carrousel.contracts.cells import later
from carrousel.contracts.factors import EQUAL_RATES, RateFactors
from carrousel.errors import SettingError, UnknownNameError

Update = Literal["step", "sequence", "epoch"]


@dataclass(frozen=True)
class Training:
    """Settings of gradient descent: when weights change, and by how much (A.1, eqs. 17-19).

    Args:
        rate: learning rate ``alpha``.
        update: when weights change: at each ``"step"`` that has a target, at the end of each
            ``"sequence"``, or once per ``"epoch"`` (one call of ``learn``).
        output_derivative: whether the output error is ``f'(net) (t - y)`` (eq. 19), with
            ``f' = y (1 - y)``, or ``t - y``.
        cells_added_after: number of sequences after which cells and gates join the network; until
            then only direct connections are trained ("sequential network construction", section 4).
        initial_activation: activation of hidden units before the first step of a sequence.
        halves_every: number of sequences after which the rate is halved, each time; 0: never.
        plateau: cells and gates join when the error stops decreasing: after ``m * plateau``
            sequences, for the least ``m >= 2`` at which the last ``plateau`` of them have a mean
            absolute error above 0.98 times that of the ``plateau`` before. 0: ``cells_added_after``
            decides.
        derivative_floor: least ``f'`` of the output error. With a floor, outputs that are near 0 or
            1 and wrong still learn.
        derivative_offset: added to ``f'`` of the output error (Fahlman 1988 adds 0.1).
        error_tolerance: errors with ``|t - y|`` below this are not learned; measured errors include
            them.
        factors: factors of the rate by group of weights, such as ``factors.recurrent``.

    Raises:
        SettingError: a number is out of range, or two settings contradict each other.
        UnknownNameError: ``update`` is none of these.

    >>> Training(rate=0.5, derivative_floor=0.02, factors=RateFactors(recurrent=0.1)).update
    'sequence'
    """

    rate: float
    update: Update = "sequence"
    output_derivative: bool = True
    cells_added_after: int = 0
    initial_activation: float = 0.0
    halves_every: int = later(0)
    plateau: int = later(0)
    derivative_floor: float = later(0.0)
    derivative_offset: float = later(0.0)
    error_tolerance: float = later(0.0)
    factors: RateFactors = later(EQUAL_RATES)  # noqa: RUF009 (it is frozen)

    def __post_init__(self) -> None:
        check_number("rate", self.rate, least=0.0)
        check_choice("update", self.update, get_args(Update))
        check_int("cells_added_after", self.cells_added_after, minimum=0)
        check_number("initial_activation", self.initial_activation)
        check_int("halves_every", self.halves_every, minimum=0)
        check_int("plateau", self.plateau, minimum=0)
        shape = {name: getattr(self, name) for name in ("derivative_floor", "derivative_offset")}
        for name, value in (shape | {"error_tolerance": self.error_tolerance}).items():
            check_number(name, value, least=0.0)
        for name, value in shape.items():
            if value and not self.output_derivative:
                raise SettingError(
                    f"{name} is {value}, but output_derivative is False",
                    argument=name,
                    got=value,
                    fix=f"set {{{name}}}=0 or {{output_derivative}}=True",
                )
        if not isinstance(self.factors, RateFactors):
            raise SettingError(
                argument="factors", got=self.factors, expected="a carrousel.contracts.RateFactors"
            )
        if self.plateau and self.cells_added_after:
            raise SettingError(
                f"cells_added_after is {self.cells_added_after}, but plateau = {self.plateau} lets "
                "errors decide when cells join",
                argument="cells_added_after",
                got=self.cells_added_after,
                fix="leave one of them at 0",
            )
        if (self.plateau or self.halves_every) and self.update == "epoch":
            raise SettingError(
                "update is 'epoch', but halves_every and plateau count sequences, not calls",
                argument="update",
                got=self.update,
                fix="set {update}='sequence' or 'step', or leave {halves_every} and {plateau} at 0",
            )


Kind = Literal["truncated", "immediate", "bptt", "rtrl", "sparse", "snap", "uoro"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_FORMS = (*_KINDS[:4], "bptt:h", "bptt:h:k", "sparse:k", "snap:n", "uoro")
_NUMBERED = {"snap": "snap:1", "sparse": "sparse:4"}
"""Kinds that need a number, and an example of each."""


@dataclass(frozen=True)
class Gradient:
    """Gradient algorithm for the weights into hidden units.

    Weights into outputs always get their exact gradient; no time lag is involved there.

    Args:
        kind: the algorithm.

            ``"truncated"``: that of 1997. An error inside a cell flows back over any number of
            steps. An error at the net input of a gate, cell or simple unit flows no further back.
            ``"immediate"``: the derivative through the present step alone, which is ``bptt:1``. An
            error inside a cell is cut as well: it does not pass the forget gate to earlier steps.
            ``"bptt"``: exact, backwards over stored activations.
            ``"rtrl"``: exact while weights are constant, forwards by sensitivities.
            ``"sparse"``: RTRL along ``depth`` of the recurrent connections of each unit, drawn once
            (see ``carrousel.kernels.reference.paths.recurrent_paths``), and along the inner path of
            each cell. With all connections it is RTRL.
            ``"snap"``: RTRL with only those sensitivities that a weight can influence within
            ``depth`` steps.
            ``"uoro"``: RTRL with an unbiased rank-one estimate of the sensitivities.
        depth: number of steps that ``"bptt"`` goes back (None: to the first step), the ``k`` of
            ``"sparse"``, or the ``n`` of ``"snap"``.
        stride: number of steps between two backward passes of ``"bptt"`` with a depth.

    Raises:
        SettingError: a number is out of range or does not belong to this kind.
        UnknownNameError: ``kind`` is none of these.

    Sources: Hochreiter & Schmidhuber 1997, appendix A.1; Williams & Zipser 1989; Williams & Peng
    1990; Menick et al. 2021 (SnAp); Tallec & Ollivier 2018 (UORO); Shalev-Merin 2026,
    arXiv 2603.28750 (immediate derivatives) and arXiv 2603.15195 (sparse RTRL).

    >>> Gradient.named("bptt:20:5")
    Gradient(kind='bptt', depth=20, stride=5)
    >>> Gradient("snap", 1).name
    'snap:1'
    """

    kind: Kind
    depth: int | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        check_choice("gradient", self.kind, _KINDS)
        if self.kind in _NUMBERED and self.depth is None:
            raise SettingError(
                f"gradient {self.kind!r} needs a number",
                argument="gradient",
                got=self.kind,
                fix=f"use {_NUMBERED[self.kind]!r}",
            )
        if self.kind not in (*_NUMBERED, "bptt") and self.depth is not None:
            raise SettingError(
                f"gradient {self.kind!r} has no number",
                argument="gradient",
                got=self.kind,
                fix="leave the number out",
            )
        if self.depth is not None:
            check_int("depth", self.depth, minimum=1)
        check_int("stride", self.stride, minimum=1)
        if self.stride > 1 and (self.kind != "bptt" or self.depth is None):
            raise SettingError(
                f"gradient {self.kind!r} of this depth has no stride", argument="gradient"
            )
        if self.depth is not None and self.kind == "bptt" and self.stride > self.depth:
            raise SettingError(
                f"gradient {self.name!r} would skip errors; expected bptt:h:k with k at most h",
                argument="gradient",
                got=self.name,
                expected="bptt:h:k with k at most h",
            )

    @staticmethod
    def named(name: str) -> Gradient:
        """Parse a name.

        Names are ``truncated``, ``immediate``, ``bptt``, ``bptt:h``, ``bptt:h:k``, ``rtrl``,
        ``sparse:k``, ``snap:n`` and ``uoro``.

        Raises:
            UnknownNameError: the name is none of these.
        """
        kind, *numbers = name.split(":")
        if (
            kind not in _KINDS
            or len(numbers) > 2
            or not all(n.isdecimal() and len(n) < 10 for n in numbers)
        ):
            raise UnknownNameError(
                f"gradient {name!r} is unknown",
                argument="gradient",
                got=name,
                fix=suggestion(name, _FORMS),
            )
        return Gradient(kind, *(int(number) for number in numbers))

    @property
    def name(self) -> str:
        """The name that :meth:`named` parses."""
        numbers = [] if self.depth is None else [self.depth]
        numbers += [self.stride] if self.stride > 1 else []
        return ":".join([self.kind, *map(str, numbers)])


TRUNCATED = Gradient("truncated")


@dataclass(frozen=True)
class Batches:
    """Updates by the gradient of several sequences, and the constants of their update rule.

    The gradient of an update is the sum, not the mean, over its ``size`` sequences.

    Args:
        rate: learning rate ``alpha``.
        size: number of sequences per update of the weights.
        rule: update rule: ``"adam"`` (Kingma & Ba 2015, algorithm 1), ``"momentum"`` (with
            ``v <- momentum v + gradient``, a change of ``rate v``), or ``"plain"``.
        gradient: gradient algorithm, by a name that :meth:`Gradient.named` parses.
        output_derivative: whether the output error is ``f'(net) (t - y)`` (eq. 19) or ``t - y``,
            the gradient of the cross-entropy.
        initial_activation: activation of hidden units before the first step of a sequence.
        momentum: decay rate of the mean gradient; ``beta_1`` of Adam.
        second: decay rate of the mean squared gradient; ``beta_2`` of Adam.
        epsilon: added to the root of the mean square by Adam.
        clip: the gradient of an update is scaled down to this Euclidean norm; None: no limit.
        halves_every: number of sequences after which the rate is halved, each time; 0: never. An
            update has the rate of the last of its sequences.

    Raises:
        SettingError: a number is out of range.
        UnknownNameError: ``rule`` or ``gradient`` is unknown.

    >>> Batches(rate=0.01, size=10).rule
    'adam'
    """

    rate: float
    size: int = 1
    rule: Literal["adam", "momentum", "plain"] = "adam"
    gradient: str = "bptt"
    output_derivative: bool = False
    initial_activation: float = 0.0
    momentum: float = 0.9
    second: float = 0.999
    epsilon: float = 1e-8
    clip: float | None = None
    halves_every: int = 0

    def __post_init__(self) -> None:
        check_number("rate", self.rate, least=0.0)
        check_int("size", self.size, minimum=1)
        check_choice("rule", self.rule, ("adam", "momentum", "plain"))
        if not isinstance(self.gradient, str):
            raise SettingError(
                argument="gradient", got=self.gradient, expected="a name, such as 'bptt'"
            )
        Gradient.named(self.gradient)
        check_number("initial_activation", self.initial_activation)
        for name, kept in (("momentum", self.momentum), ("second", self.second)):
            if not check_number(name, kept, least=0.0) < 1.0:
                raise SettingError(argument=name, got=kept, expected="a number from 0 to below 1")
        check_number("epsilon", self.epsilon, above=0.0)
        if self.clip is not None:
            check_number("clip", self.clip, above=0.0)
        check_int("halves_every", self.halves_every, minimum=0)
