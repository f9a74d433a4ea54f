"""Networks that learn by a gradient of one's choice, with plain gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import TRUNCATED, Errors, Gradient, Kernel, Network, Training
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError
from carrousel.kernels import default_kernel, gradient_numbers
from carrousel.learners.gradient.schedule import Run, Schedule
from carrousel.learners.lanes import check_lane, check_parts, generator_of, words_of
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

MOST_BYTES = 2**36
"""Memory that all lanes of a learner may ask for between time steps: 64 GiB."""


class GradientLearner:
    """Networks that learn by gradient descent, one in each lane; the gradient is an argument.

    Truncated (1997, equations 19 to 28): error that reaches a gate or a cell input changes the
    weights into that unit and ends there; only inside a cell does it flow back in time. So all that
    must be kept between time steps is one trace for each weight into a cell, an input gate or a
    forget gate, and a step costs O(1) per weight. The others are exact, or estimates of the exact
    gradient; see :class:`carrousel.contracts.Gradient`.

    Args:
        network: the net, the same for all lanes.
        training: learning rate, and when weights change.
        n_lanes: independent copies, each with its own weights, data and state.
        kernel: where the arithmetic is done; by default native lanes, and the NumPy reference for
            ``snap:n`` with n above 1.
        gradient: which gradient is followed, or its name.

    Raises:
        SettingError: ``n_lanes`` is below 1, a lane number is out of range, the gradient cannot
            drive this network or update, or would need more than 64 GiB.
        ShapeError: ``data`` has another number of parts than there are lanes.
        DataError: data are not finite, or symbols are outside their alphabet.

    >>> from carrousel.contracts import Cell
    >>> network = Network(1, 1, Cell(1, 1), bias="all")
    >>> learner = GradientLearner(network, Training(rate=0.5), gradient="truncated")
    >>> learner.begin(0, np.random.default_rng(1))
    >>> data = Sequences.from_lists([[0.5, 1.0]] * 200, [[1.0]] * 200)
    >>> [errors] = learner.learn([data])
    >>> bool(errors.max_abs[0] > 2 * errors.max_abs[-1])
    True
    """

    def __init__(
        self,
        network: Network,
        training: Training,
        n_lanes: int = 1,
        kernel: Kernel | None = None,
        gradient: Gradient | str = TRUNCATED,
    ) -> None:
        self.gradient = Gradient.named(gradient) if isinstance(gradient, str) else gradient
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        check_training(network, training, self.gradient, n_lanes)
        self.network, self.training = network, training
        self.kernel: Kernel = default_kernel(self.gradient) if kernel is None else kernel
        self.weights: Annotated[Floats, "B W"] = np.zeros(
            (n_lanes, network.n_weights), self.kernel.dtype
        )
        self._schedule = Schedule(training, n_lanes, self.kernel.dtype)
        self._longest = 0
        self._rngs = [np.random.Generator(np.random.SFC64(0)) for _ in range(n_lanes)]

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and forget what it knew."""
        self.weights[self._lane(lane)] = initial_weights(self.network, rng)
        self._schedule.begin(lane)
        self._rngs[lane] = np.random.Generator(np.random.SFC64(rng.integers(2**63)))

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of each sequence at the moment it was presented.
        """
        self._check(data)
        if not self._schedule.cuts:
            return self._teach(data)
        runs = [Run(part) for part in data]
        while True:
            pieces = [run.piece(self._schedule.room(lane)) for lane, run in enumerate(runs)]
            if not any(pieces):
                return [run.errors() for run in runs]
            for run, found in zip(runs, self._teach(pieces), strict=True):
                run.note(found)

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        self._check(data)
        return self.kernel.predict(
            self.network, self.training, self.weights, self._schedule.cells_from, data
        )

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of all that a lane has learned."""
        lane = self._lane(lane)
        found = {"weights": self.weights[lane].copy(), **self._schedule.state(lane)}
        if self.gradient.kind == "uoro":
            found["random"] = words_of(self._rngs[lane])
        return found

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        lane = self._lane(lane)
        self.weights[lane] = state["weights"]
        self._schedule.restore(lane, state)
        if self.gradient.kind == "uoro":
            self._rngs[lane] = generator_of(state["random"])

    def measures(self, lane: int) -> Mapping[str, float]:
        """Return ``cells_added_at``, the sequences before cells joined, where a plateau decides.

        It is left out until then, and where ``training`` says when.
        """
        return self._schedule.measures(self._lane(lane))

    @property
    def nbytes(self) -> int:
        """Bytes of weights and of what is kept between time steps, all lanes together.

        Truncated: one trace for each weight into a cell, and for each cell one for every weight
        into its input gate (the ``2 C S I`` of the paper's complexity formula) and forget gate:
        O(W). RTRL: one sensitivity for each hidden weight and each activation or state: O(n W).
        BPTT: sources and activations of each stored step: O(T), with T the longest sequence so far.
        """
        kept = gradient_numbers(self.network, self.gradient, self._longest)
        return self.n_lanes * (self.network.n_weights + kept) * self.weights.itemsize

    def _teach(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn at one rate for each lane."""
        errors = self.kernel.learn(
            self.network,
            self.training,
            self.weights,
            self._schedule.rates,
            self._schedule.cells_from,
            data,
            self.gradient,
            self._rngs,
        )
        for lane, (part, found) in enumerate(zip(data, errors, strict=True)):
            if part is not None and found is not None:
                self._schedule.note(lane, found)
                self._longest = max(self._longest, int(part.lengths.max(initial=0)))
        return errors

    def _lane(self, lane: int) -> int:
        return check_lane(lane, self.n_lanes)

    def _check(self, data: Sequence[Sequences | None]) -> None:
        check_parts(data, self.n_lanes)


def check_training(network: Network, training: Training, gradient: Gradient, n_lanes: int) -> None:
    """Refuse what cannot be done, and say what can."""
    if not isinstance(training, Training):
        raise SettingError(f"training is {training!r}, expected a carrousel.contracts.Training")
    if network.wiring == "sparse":
        raise SettingError("sparse wiring is driven by 'guess' alone; wire the net 'united'")
    if gradient.kind == "bptt" and gradient.depth is None and training.update == "step":
        raise SettingError(
            "gradient 'bptt' goes back once a sequence, but update is 'step'; "
            "say 'bptt:h' or update='sequence'"
        )
    if network.united and not training.output_derivative:
        raise SettingError(
            "output_derivative is False, but in united wiring outputs are hidden units, through "
            "whose squashing all error flows; say True"
        )
    kept = gradient_numbers(network, gradient, longest=0)
    wanted = 8 * n_lanes * kept
    if wanted > MOST_BYTES:
        raise SettingError(
            f"gradient {gradient.name!r} would keep {wanted:,} bytes between time steps "
            f"({wanted / 2**30:,.0f} GiB, at most 64 are allowed); 'truncated', 'bptt', 'snap:1' "
            "and 'uoro' need less"
        )
