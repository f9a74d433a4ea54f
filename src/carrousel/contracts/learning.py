"""Descriptions of learning: its settings, and the interfaces of kernels, learners and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from carrousel.checks import check_choice, check_int, check_number, suggestion
from carrousel.contracts.cells import later
from carrousel.contracts.network import Network
from carrousel.errors import SettingError, UnknownNameError
from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats, Ints

Update = Literal["step", "sequence", "epoch"]


@dataclass(frozen=True)
class Training:
    """When a gradient changes weights, and by how much (appendix A.1, eqs. 17-19).

    Args:
        rate: learning rate ``alpha``.
        update: when weights change: at each ``"step"`` that has a target, at the end of each
            ``"sequence"``, or once per ``"epoch"`` (one call of ``learn``).
        output_derivative: whether the output error is ``f'(net) (t - y)`` (eq. 19) or ``t - y``.
        cells_added_after: number of sequences after which cells and gates join the network; until
            then only direct connections learn ("sequential network construction", section 4).
        initial_activation: activation of hidden units before the first step of a sequence.
        halves_every: the rate halves after each so many sequences; 0: never.
        plateau: cells and gates join once error has stopped decreasing: after the first ``m *
            plateau`` sequences, ``m >= 2``, of which the last ``plateau`` have a mean absolute
            error above 0.98 times that of the ``plateau`` before; 0: ``cells_added_after`` says.
    """

    rate: float
    update: Update = "sequence"
    output_derivative: bool = True
    cells_added_after: int = 0
    initial_activation: float = 0.0
    halves_every: int = later(0)
    plateau: int = later(0)

    def __post_init__(self) -> None:
        check_number("rate", self.rate, least=0.0)
        check_choice("update", self.update, ("step", "sequence", "epoch"))
        check_int("cells_added_after", self.cells_added_after, minimum=0)
        check_number("initial_activation", self.initial_activation)
        check_int("halves_every", self.halves_every, minimum=0)
        check_int("plateau", self.plateau, minimum=0)
        if self.plateau and self.cells_added_after:
            raise SettingError(
                f"cells_added_after is {self.cells_added_after}, but plateau = {self.plateau} lets "
                "errors decide when cells join; leave one of them at 0"
            )
        if (self.plateau or self.halves_every) and self.update == "epoch":
            raise SettingError(
                "update is 'epoch', but halves_every and plateau count sequences, not calls; "
                "say 'sequence' or 'step', or leave them at 0"
            )


Kind = Literal["truncated", "bptt", "rtrl", "snap", "uoro"]

_KINDS: tuple[Kind, ...] = ("truncated", "bptt", "rtrl", "snap", "uoro")
_FORMS = (*_KINDS[:3], "bptt:h", "bptt:h:k", "snap:n", "uoro")


@dataclass(frozen=True)
class Gradient:
    """Which gradient of the error by the hidden layer's weights a learner follows.

    Output weights always get their exact gradient, which no time lag enters.

    Args:
        kind: ``"truncated"``, that of 1997: error inside a cell flows back for ever, and ends at
            the weights into gates, cell inputs and simple units. ``"bptt"``: exact, backwards over
            stored activations. ``"rtrl"``: exact while weights stand still, forwards by
            sensitivities. ``"snap"``: sensitivities restricted to those entries that a weight can
            influence within ``depth`` steps. ``"uoro"``: an unbiased rank-one estimate of them.
        depth: steps that ``"bptt"`` goes back (None: to the first), or the ``n`` of ``"snap"``.
        stride: ``"bptt"`` of bounded depth goes back at each ``stride``-th step, for all errors met
            since it last did.

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
        if self.kind == "snap" and self.depth is None:
            raise SettingError("gradient 'snap' needs a depth; say 'snap:1'")
        if self.kind not in ("snap", "bptt") and self.depth is not None:
            raise SettingError(f"gradient {self.kind!r} has no depth; leave the number out")
        if self.depth is not None:
            check_int("depth", self.depth, minimum=1)
        check_int("stride", self.stride, minimum=1)
        if self.stride > 1 and (self.kind != "bptt" or self.depth is None):
            raise SettingError(f"gradient {self.kind!r} of this depth has no stride")
        if self.depth is not None and self.kind == "bptt" and self.stride > self.depth:
            raise SettingError(
                f"gradient {self.name!r} would skip errors; expected bptt:h:k with k at most h"
            )

    @staticmethod
    def named(name: str) -> Gradient:
        """Read ``truncated``, ``bptt``, ``bptt:h``, ``bptt:h:k``, ``rtrl``, ``snap:n``, ``uoro``.

        Raises:
            UnknownNameError: it is none of these.
        """
        kind, *numbers = name.split(":")
        if kind not in _KINDS or len(numbers) > 2 or not all(n.isdecimal() for n in numbers):
            raise UnknownNameError(f"gradient {name!r} is unknown; {suggestion(name, _FORMS)}")
        return Gradient(kind, *(int(number) for number in numbers))

    @property
    def name(self) -> str:
        """The name that :meth:`named` reads."""
        numbers = [] if self.depth is None else [self.depth]
        numbers += [self.stride] if self.stride > 1 else []
        return ":".join([self.kind, *map(str, numbers)])


TRUNCATED = Gradient("truncated")


@dataclass(frozen=True)
class Batches:
    """Updates by the gradient of several sequences, and the constants of their update rule.

    The gradient of a change is the sum, not the mean, over its ``size`` sequences.

    Args:
        rate: learning rate ``alpha``.
        size: sequences whose gradient makes one change of the weights.
        rule: how: ``"adam"`` (Kingma & Ba 2015, algorithm 1), ``"momentum"`` (with
            ``v <- momentum v + gradient``, a change of ``rate v``), or ``"plain"``.
        gradient: which gradient, by a name that :meth:`Gradient.named` reads.
        output_derivative: whether the output error is ``f'(net) (t - y)`` (eq. 19) or ``t - y``,
            the gradient of the cross-entropy.
        initial_activation: activation of hidden units before the first step of a sequence.
        momentum: how much of the mean gradient stays with each change; ``beta_1`` of Adam.
        second: how much of the mean squared gradient stays; ``beta_2`` of Adam.
        epsilon: added to the root of the mean square by Adam.
        clip: the largest Euclidean norm of a change's gradient, which is scaled down to it.
        halves_every: the rate halves after each so many sequences; 0: never. A change has the rate
            of the last of its sequences.

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
            raise SettingError(f"gradient is {self.gradient!r}, expected a name, such as 'bptt'")
        Gradient.named(self.gradient)
        check_number("initial_activation", self.initial_activation)
        for name, kept in (("momentum", self.momentum), ("second", self.second)):
            if not check_number(name, kept, least=0.0) < 1.0:
                raise SettingError(f"{name} is {kept}, expected a number from 0 to below 1")
        check_number("epsilon", self.epsilon, above=0.0)
        if self.clip is not None:
            check_number("clip", self.clip, above=0.0)
        check_int("halves_every", self.halves_every, minimum=0)


class Errors(NamedTuple):
    """What a lane's network got wrong while it learned, one entry per sequence.

    Every entry is over all targets and outputs of the sequence, at the moment each was presented.
    """

    max_abs: Annotated[Floats, "N"]
    sum_abs: Annotated[Floats, "N"]
    sum_sq: Annotated[Floats, "N"]
    n_values: Annotated[Ints, "N"]

    @property
    def mean_abs(self) -> Annotated[Floats, "N"]:
        """Mean absolute error of each sequence."""
        return self.sum_abs / np.maximum(self.n_values, 1)

    def __getitem__(self, part: Any) -> Any:  # a run of sequences keeps the names
        if isinstance(part, slice):
            columns: list[Any] = [column[part] for column in tuple(self)]
            return Errors(*columns)
        return tuple(self)[part]


@runtime_checkable
class Kernel(Protocol):
    """Forward and learning passes over lanes: independent copies of one network.

    ``weights [B, W]`` is changed in place by ``learn``. Lane ``b`` learns ``data[b]``, its
    sequences in order, with rate ``rates[b]``; ``None`` leaves a lane alone. Its cells and gates
    take part from sequence ``cells_from[b]`` on. A lane's result does not depend on its neighbours.
    A gradient that draws random numbers takes them from ``rngs[b]``.
    """

    name: str
    dtype: type[np.floating]

    def learn(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        rates: Annotated[Floats, "B"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
        gradient: Gradient = TRUNCATED,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Errors | None]:
        """Learn in place; return the errors of each lane."""
        ...

    def gradient(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
        gradient: Gradient = TRUNCATED,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> tuple[Annotated[Floats, "B W"], list[Errors | None]]:
        """Compute the gradient of all sequences of each lane; weights do not change.

        ``training.rate`` and ``training.update`` do not matter: weights are constant throughout.

        Returns:
            the direction of descent ``[B, W]``, minus the derivative of the error summed over the
            lane's sequences (rows of idle lanes are zero), and the errors of each lane. Adding
            ``rates[:, None]`` times the direction to the weights is what :meth:`learn` does with
            ``update="epoch"``, apart from rounding.
        """
        ...

    def predict(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
    ) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs at every step that has a target, for each lane."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A network that learns, in one or many lanes; every lane is a trial of its own."""

    n_lanes: int

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and forget what it knew."""
        ...

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone."""
        ...

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        ...

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of all that a lane has learned."""
        ...

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        ...

    def measures(self, lane: int) -> Mapping[str, float]:
        """Further figures of a lane by name, such as the units that a network has grown."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of weights and of everything kept between time steps, all lanes together."""
        ...


@runtime_checkable
class Task(Protocol):
    """What must be learned. A task knows no learner."""

    @property
    def n_inputs(self) -> int:
        """``I``, input units or symbols."""
        ...

    @property
    def n_outputs(self) -> int:
        """``O``, output units or classes."""
        ...

    def draw(self, rng: np.random.Generator) -> Task:
        """Fix what is drawn once (a training set); a task that makes data afresh returns itself."""
        ...

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` training sequences."""
        ...

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` test sequences, with the targets that success is judged by."""
        ...

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Which sequences of ``data`` the outputs got right, by the task's own rule."""
        ...

    @property
    def tolerance(self) -> float:
        """A sequence counts as right in training while every absolute error stays below this."""
        ...

    @property
    def mean_length(self) -> float:
        """Expected time steps of a sequence; chunks of data are planned by it."""
        ...


LearnerFactory = Callable[[Network, Any, int], Learner]
"""Makes a learner with a number of lanes: ``factory(network, training, n_lanes)``.

``training`` is a frozen dataclass of this learner's settings. A learner by gradient takes
:class:`Training` (the kernel changes weights while it runs) or :class:`Batches` (an update rule
receives the kernel's gradient).
"""
