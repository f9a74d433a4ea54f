"""Networks that learn by gradient descent; gradient and update rule are arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, overload

import numpy as np

from carrousel.checks import check_choice, check_int
from carrousel.contracts import TRUNCATED, Batches, Errors, Gradient, Kernel, Network, Training
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError
from carrousel.kernels import default_kernel, gradient_numbers
from carrousel.learners.gradient.batch import BatchUpdates
from carrousel.learners.gradient.descent import KernelUpdates
from carrousel.learners.gradient.rules import RULES
from carrousel.learners.gradient.schedule import without_schedule
from carrousel.learners.gradient.updates import GradientLanes, Updates
from carrousel.learners.lanes import check_lane, check_parts, generator_words, restored_generator
from carrousel.memory import check_memory
from carrousel.sequences import Sequences
from carrousel.shapes import Floats


class GradientLearner:
    """Networks that learn by gradient descent, one in each lane.

    Truncated (1997, equations 19 to 28): error that reaches a gate or a cell input changes the
    weights into that unit and ends there; only inside a cell does it flow back in time. So all that
    must be kept between time steps is one trace for each weight into a cell, an input gate or a
    forget gate, and a step costs O(1) per weight. The others are exact, or estimates of the exact
    gradient; see :class:`carrousel.contracts.Gradient`.

    Plain descent runs inside the kernel, at each step, sequence or epoch. The other update rules
    receive the kernel's gradient of a batch of sequences; with :class:`Batches` so does the plain
    rule.

    Call :meth:`begin` for each lane before it learns. Without it, all weights are zero.

    Args:
        network: the net, the same for all lanes.
        training: learning rate, and when weights change; or :class:`Batches`: the size of a batch,
            and the constants of the update rule.
        n_lanes: independent copies, each with its own weights, data and state.
        kernel: runs the network; by default native lanes.
        gradient: the gradient to follow, or its name; by default that of ``training``, or
            ``"truncated"``.
        rule: update rule: ``"plain"``, ``"momentum"`` or ``"adam"``; by default that of
            ``training``, or ``"plain"``. Given a :class:`Training`, ``"momentum"`` and ``"adam"``
            change weights after each sequence, with the constants of :class:`Batches`.

    Raises:
        SettingError: ``n_lanes`` is below 1, a lane number is out of range, the gradient cannot
            drive this network or update, or would need more memory than this process may use; or
            ``gradient`` or ``rule`` contradicts ``training``.
        ShapeError: ``data`` has another number of parts than there are lanes.
        DataError: data are not finite, or symbols are outside their alphabet.

    Source: Hochreiter & Schmidhuber 1997, appendix A.1; Kingma & Ba, "Adam: a method for stochastic
    optimization", 2015.

    >>> from carrousel.contracts import Cell
    >>> network = Network(1, 1, Cell(1, 1), bias="all")
    >>> data = Sequences.from_lists([[0.5, 1.0]] * 200, [[1.0]] * 200)
    >>> for training in (Training(rate=0.5), Batches(rate=0.05, size=2)):
    ...     learner = GradientLearner(network, training)
    ...     learner.begin(0, np.random.default_rng(1))
    ...     [errors] = learner.learn([data])
    ...     print(bool(errors.max_abs[0] > 2 * errors.max_abs[-1]))
    True
    True
    """

    def __init__(
        self,
        network: Network,
        training: Training | Batches,
        n_lanes: int = 1,
        kernel: Kernel | None = None,
        gradient: Gradient | str | None = None,
        rule: str | None = None,
    ) -> None:
        self.gradient = _gradient(training, gradient)
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        settings = _settings(training, self.gradient, rule)
        taught = settings if isinstance(settings, Training) else _epoch(settings)
        check_training(network, taught, self.gradient, n_lanes)
        self.network, self.training, self._taught = network, training, taught
        self._settings, self._networks = settings, [network] * n_lanes
        self.kernel: Kernel = kernel or default_kernel(network, self.gradient)
        self._lanes = GradientLanes(network, self.gradient, self.kernel, n_lanes)
        self.weights: Annotated[Floats, "B W"] = self._lanes.weights
        self._updates: Updates = (
            KernelUpdates(self._lanes, settings)
            if isinstance(settings, Training)
            else BatchUpdates(self._lanes, settings, taught)
        )

    def assign(self, lane: int, network: Network, training: Training | Batches) -> None:
        """Give a lane its own initial weights, learning rate and schedule; then call :meth:`begin`.

        The rate and its schedule (``halves_every``, ``plateau``, ``cells_added_after``) are part of
        :meth:`state`.

        Raises:
            SettingError: something else differs, which lanes of one learner must share.
        """
        lane = check_lane(lane, self.n_lanes)
        settings = _settings(training, _gradient(training, self.gradient), None)
        for name, given, ours in (
            ("network", replace(network, init=self.network.init), self.network),
            ("training", without_schedule(settings), without_schedule(self._settings)),
        ):
            if given != ours:
                raise SettingError(
                    f"{name} of lane {lane} differs from that of the learner in more than initial "
                    f"weights, rate and schedule: {given}",
                    argument=name,
                    got=given,
                    fix="create another learner",
                )
        self._networks[lane] = network
        self._updates.assign(lane, settings)

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and reset its state."""
        network = self._networks[check_lane(lane, self.n_lanes)]
        self.weights[lane] = initial_weights(network, rng)
        self._updates.begin(lane)
        self._lanes.rngs[lane] = np.random.Generator(np.random.SFC64(rng.integers(2**63)))

    @overload
    def learn(self, data: Sequence[Sequences]) -> Sequence[Errors]: ...
    @overload
    def learn(self, data: Sequence[Sequences | None]) -> Sequence[Errors | None]: ...
    def learn(self, data: Sequence[Sequences | None]) -> Sequence[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of each sequence at the moment it was presented.
        """
        check_parts(data, self.n_lanes)
        return self._updates.learn(data)

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        check_parts(data, self.n_lanes)
        cells_from = self._updates.cells_from
        return self.kernel.predict(self.network, self._taught, self.weights, cells_from, data)

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of everything that a lane has learned."""
        lane = check_lane(lane, self.n_lanes)
        found = {"weights": self.weights[lane].copy(), **self._updates.state(lane)}
        if self.gradient.kind == "uoro":
            found["random"] = generator_words(self._lanes.rngs[lane])
        return found

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore a lane's state from what :meth:`state` returned."""
        lane = check_lane(lane, self.n_lanes)
        self.weights[lane] = state["weights"]
        self._updates.restore(lane, state)
        if self.gradient.kind == "uoro":
            self._lanes.rngs[lane] = restored_generator(state["random"])

    def measures(self, lane: int) -> Mapping[str, float]:
        """Return ``cells_added_at``, the sequences before cells joined, where a plateau decides.

        Empty before that, and where ``training`` gives the number.
        """
        return self._updates.measures(check_lane(lane, self.n_lanes))

    @property
    def nbytes(self) -> int:
        """Bytes of weights and of what is kept between time steps, all lanes together.

        Truncated: one trace for each weight into a cell, and for each cell one for every weight
        into its input gate (the ``2 C S I`` of the paper's complexity formula) and forget gate:
        O(W). RTRL: one sensitivity for each hidden weight and each activation or state: O(n W).
        BPTT: sources and activations of each stored step: O(T), with T the longest sequence so far.
        Batches add gradients, the averages of the update rule, and sequences that wait for others.
        """
        return self._lanes.nbytes + self._updates.nbytes


def check_training(network: Network, training: Training, gradient: Gradient, n_lanes: int) -> None:
    """Raise :class:`SettingError` if a gradient cannot drive this network or update."""
    if network.wiring == "sparse":
        raise SettingError(
            argument="wiring", got="sparse", expected="another wiring; only 'guess' learns it",
            fix="wire the network 'united'",
        )  # fmt: skip
    if gradient.kind == "bptt" and gradient.depth is None and training.update == "step":
        raise SettingError(
            "gradient 'bptt' goes back once a sequence, but update is 'step'",
            argument="update",
            got="step",
            expected="'sequence' or 'epoch'",
            fix="use 'bptt:h' or {update}='sequence'",
        )
    if network.united and not training.output_derivative:
        raise SettingError(
            "output_derivative is False, but outputs in united wiring are hidden units, through "
            "whose squashing function all error flows",
            argument="output_derivative",
            got=False,
            expected="True",
            fix="use True",
        )
    if network.united and (training.derivative_floor or training.derivative_offset):
        raise SettingError(
            "derivative_floor and derivative_offset are of output units, but outputs in united "
            "wiring are hidden units, through whose squashing function all error flows",
            argument="derivative_floor" if training.derivative_floor else "derivative_offset",
            got=training.derivative_floor or training.derivative_offset,
            expected="0",
        )
    training.factors.check(network)
    kept = 8 * gradient_numbers(network, gradient, longest=0)
    check_memory(
        "what it keeps between time steps",
        kept,
        argument="gradient",
        got=gradient.name,
        fix="'truncated', 'bptt', 'snap:1' and 'uoro' need less",
    )
    check_memory(
        "weights, and what the gradient keeps between time steps,",
        n_lanes * (kept + 8 * network.n_weights),
        argument="n_lanes",
        got=n_lanes,
        fix="take fewer lanes",
    )


def _gradient(training: object, gradient: Gradient | str | None) -> Gradient:
    """Choose the gradient of the arguments or of the settings, which must not differ."""
    given = Gradient.named(gradient) if isinstance(gradient, str) else gradient
    if not isinstance(training, Batches):
        return TRUNCATED if given is None else given
    own = Gradient.named(training.gradient)
    if given is not None and given != own:
        raise SettingError(
            argument="gradient", got=given.name, expected=f"{own.name!r}, as in training",
            fix=f"use Batches(gradient={given.name!r})",
        )  # fmt: skip
    return own


def _settings(training: object, gradient: Gradient, rule: str | None) -> Training | Batches:
    """Choose the update rule of the argument or of the settings, which must not differ."""
    if rule is not None:
        check_choice("rule", rule, RULES)
    if isinstance(training, Batches):
        if rule is not None and rule != training.rule:
            raise SettingError(
                argument="rule", got=rule, expected=f"{training.rule!r}, as in training",
                fix=f"use Batches(rule={rule!r})",
            )  # fmt: skip
        return training
    if not isinstance(training, Training):
        raise SettingError(
            argument="training", got=training,
            expected="a carrousel.contracts.Training or carrousel.contracts.Batches",
        )  # fmt: skip
    if rule is None or rule == "plain":
        return training
    if training.update != "sequence" or training.cells_added_after or training.plateau:
        raise SettingError(
            f"rule {rule!r} changes weights after each sequence and adds no cells, but training "
            f"is {training!r}",
            argument="rule",
            got=rule,
            fix="use update='sequence', and leave cells_added_after and plateau at 0",
        )
    plain = Training(training.rate)
    for name in ("derivative_floor", "derivative_offset", "error_tolerance", "factors"):
        if getattr(training, name) != getattr(plain, name):
            raise SettingError(
                f"rule {rule!r} has no {name}, but training is {training!r}",
                argument=name,
                got=getattr(training, name),
                fix="leave it at its default, or take {rule}='plain'",
            )
    return Batches(
        rate=training.rate,
        rule=rule,  # type: ignore[arg-type]
        gradient=gradient.name,
        output_derivative=training.output_derivative,
        initial_activation=training.initial_activation,
        halves_every=training.halves_every,
    )


def _epoch(settings: Batches) -> Training:
    """Return the part of batch settings that a kernel needs."""
    return Training(
        rate=settings.rate,
        update="epoch",
        output_derivative=settings.output_derivative,
        initial_activation=settings.initial_activation,
    )
