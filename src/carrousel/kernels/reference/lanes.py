"""Reference kernel: learns and predicts lane by lane, with any gradient, in float64.

Hidden layers are in ``layers.py``, gradients in ``truncated.py`` and ``paths.py``. This file has
outputs, errors and the times at which weights change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Protocol, runtime_checkable

import numpy as np

from carrousel.contracts import (
    EQUAL_RATES,
    TRUNCATED,
    Cell,
    Errors,
    Gradient,
    Network,
    Training,
)
from carrousel.errors import SettingError
from carrousel.kernels.reference.layers import Weights, logistic
from carrousel.kernels.reference.paths import BackPropagation, RankOne, Sensitivities
from carrousel.kernels.reference.truncated import Truncated
from carrousel.kernels.signs import Signs, draw_seeds
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


@runtime_checkable
class Rule(Protocol):
    """A gradient algorithm that processes a sequence step by step.

    :meth:`begin` starts a sequence. :meth:`advance` processes a step and returns the activations of
    the units that outputs read. :meth:`meet` receives an error at these units. :meth:`due` returns
    minus the gradient of the errors received, once it is known, else None.
    """

    def begin(self) -> None: ...

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> Annotated[Floats, "C"]: ...

    def meet(self, back: Annotated[Floats, "C"]) -> None: ...

    def due(self, w: Weights, last: bool) -> Annotated[Floats, "U S"] | None: ...


def rule_for(
    network: Network,
    training: Training,
    gradient: Gradient,
    dtype: type[np.floating],
    rng: np.random.Generator | Signs | None = None,
    seed: int = 0,
    bound: float = np.inf,
) -> Rule:
    """Return the algorithm of a gradient; for simple units, truncated is BPTT(1) (11), (20).

    Args:
        network, training, gradient, dtype: of the algorithm.
        rng: source of random signs.
        seed: seed of the connections of sparse RTRL.
        bound: largest size of sensitivities, see :func:`carrousel.kernels.reference.paths.shrink`.

    Raises:
        SettingError: the wiring is ``"sparse"``.
    """
    if network.wiring == "sparse":
        raise SettingError(
            "wiring is 'sparse'; kernels run it as 'united' with zero weights",
            argument="wiring",
            got=network.wiring,
        )
    if gradient.kind == "truncated" and isinstance(network.cell, Cell):
        return Truncated(network, training, dtype)
    if gradient.kind == "truncated":
        return BackPropagation(network, training, dtype, Gradient("bptt", 1))
    if gradient.kind == "bptt":
        return BackPropagation(network, training, dtype, gradient)
    if gradient.kind == "uoro":
        return RankOne(network, training, dtype, rng or np.random.default_rng(0), bound)
    return Sensitivities(network, training, dtype, gradient, seed, bound)


class ReferenceKernel:
    """Reference kernel; see :class:`carrousel.contracts.Kernel`.

    Args:
        dtype: np.float64, or np.float32 to estimate the rounding errors of a plain program.

    >>> from carrousel.contracts import Cell
    >>> net = Network(1, 1, Cell(1, 1))
    >>> data = Sequences.from_lists([[0.5, 1.0]], [[1.0]])
    >>> kernel, weights = ReferenceKernel(), np.full((1, net.n_weights), 0.1)
    >>> args = np.array([0.5]), np.array([0])
    >>> errors = kernel.learn(net, Training(rate=0.5), weights, *args, [data])[0]
    >>> round(float(errors.max_abs[0]), 3)
    0.499
    """

    name = "reference"

    def __init__(self, dtype: type[np.floating] = np.float64) -> None:
        self.dtype = dtype

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
        """Change ``weights`` in place; see :class:`carrousel.contracts.Kernel`."""
        results: list[Errors | None] = []
        seeds = draw_seeds(gradient, rngs, data)
        for b, part in enumerate(data):
            signs = Signs(seeds[b].tolist())
            rule = rule_for(network, training, gradient, self.dtype, signs)
            walk = _Walk(network, training, rule, weights[b], self.dtype)
            with np.errstate(all="ignore"):  # diverged weights appear as NaN in the errors
                results.append(
                    None if part is None else walk.learn(float(rates[b]), int(cells_from[b]), part)
                )
        return results

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
        """Compute the descent direction; see :class:`carrousel.contracts.Kernel`."""
        found = np.zeros((len(data), network.n_weights), self.dtype)
        epoch = replace(training, update="epoch", halves_every=0, plateau=0, factors=EQUAL_RATES)
        results: list[Errors | None] = []
        seeds = draw_seeds(gradient, rngs, data)
        for b, part in enumerate(data):
            rule = rule_for(network, epoch, gradient, self.dtype, Signs(seeds[b].tolist()))
            walk = _Walk(network, epoch, rule, weights[b], self.dtype, into=found[b])
            with np.errstate(all="ignore"):
                results.append(None if part is None else walk.learn(1.0, int(cells_from[b]), part))
        return found, results

    def predict(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
    ) -> list[Annotated[Floats, "M O"] | None]:
        """Return outputs at the steps with a target; see :class:`carrousel.contracts.Kernel`."""
        results: list[Annotated[Floats, "M O"] | None] = []
        for b, part in enumerate(data):
            if part is None:
                results.append(None)
                continue
            rule = rule_for(network, training, TRUNCATED, self.dtype)
            walk = _Walk(network, training, rule, weights[b], self.dtype)
            with np.errstate(all="ignore"):
                results.append(walk.predict(int(cells_from[b]), part))
        return results


class _Walk:
    """One network that processes the sequences of a lane."""

    def __init__(
        self,
        network: Network,
        training: Training,
        rule: Rule,
        flat: Annotated[Floats, "W"],
        dtype: type[np.floating],
        into: Annotated[Floats, "W"] | None = None,
    ) -> None:
        self._network, self._training, self._rule = network, training, rule
        self._flat, self._dtype = flat, dtype
        self._into = flat if into is None else into  # what gradients are added to
        self._factors = training.factors.by_weight(network).astype(dtype)

    def predict(self, cells_from: int, data: Sequences) -> Annotated[Floats, "M O"]:
        """Return the outputs ``[M, O]`` at all steps with a target."""
        rows = [
            self._outputs(w, seen)
            for n in range(len(data))
            for w, seen, target, _ in self._steps(data, n, n >= cells_from)
            if target is not None
        ]
        return np.array(rows, self._dtype).reshape(-1, self._network.n_outputs)

    def learn(self, rate: float, cells_from: int, data: Sequences) -> Errors:
        """Change the weights in place; return the errors of each sequence."""
        errors = Errors(
            max_abs=np.zeros(len(data), self._dtype),
            sum_abs=np.zeros(len(data), self._dtype),
            sum_sq=np.zeros(len(data), self._dtype),
            n_values=np.zeros(len(data), np.int64),
        )
        waiting: list[Weights] = []
        for n in range(len(data)):
            on = n >= cells_from
            for w, seen, target, last in self._steps(data, n, on):
                found = Weights(np.zeros_like(w.hidden), np.zeros_like(w.output))
                if target is not None:
                    error = target - self._outputs(w, seen)
                    _count(errors, n, error)
                    found.output, back = self._output_gradient(w, seen, error)
                    self._rule.meet(back * on)
                due = self._rule.due(w, last)
                found.hidden = found.hidden if due is None else due
                if target is not None or due is not None:
                    waiting.append(found)
                if self._training.update == "step" and due is not None:
                    self._apply(rate, waiting)
            if self._training.update == "sequence":
                self._apply(rate, waiting)
        self._apply(rate, waiting)
        return errors

    def _apply(self, rate: float, waiting: list[Weights]) -> None:
        """Change the weights by all waiting gradients, and clear these."""
        if waiting:
            hidden = np.sum([w.hidden for w in waiting], axis=0)
            output = np.sum([w.output for w in waiting], axis=0)
            change = np.zeros_like(self._into)
            Weights(hidden, output).add_to(self._network, change, 1.0)
            changing = self._factors != 0.0  # others keep their bits, whatever the gradient
            self._into[changing] += ((rate * self._factors) * change)[changing]
            waiting.clear()

    def _steps(
        self, data: Sequences, n: int, cells_on: bool
    ) -> Iterator[tuple[Weights, np.ndarray, np.ndarray | None, bool]]:
        """Process sequence ``n``; yield weights, sources of outputs, the target, whether last."""
        one = data[n : n + 1]
        inputs = one.dense_inputs().astype(self._dtype)
        targets = dict(
            zip(one.target_steps.tolist(), one.dense_targets().astype(self._dtype), strict=True)
        )
        self._rule.begin()
        for t, x in enumerate(inputs):
            w = Weights.unpack(self._network, self._flat)  # weights may have changed
            read = self._rule.advance(w, x) * cells_on
            direct = x if self._network.direct else x[:0]
            seen = np.concatenate([direct, read, np.ones(1, x.dtype)])
            yield w, seen, targets.get(t), t == len(inputs) - 1

    def _outputs(self, w: Weights, seen: Annotated[Floats, "sources"]) -> Annotated[Floats, "O"]:
        """Return the activations of outputs; in united wiring, of the last hidden units."""
        if self._network.united:
            return seen[-1 - self._network.n_outputs : -1]
        return logistic(w.output @ seen)

    def _output_gradient(
        self, w: Weights, seen: Annotated[Floats, "sources"], error: Annotated[Floats, "O"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return minus the gradient by output weights, and the error at the units read."""
        if self._network.united:
            back = np.zeros(len(seen) - 1, error.dtype)
            back[-len(error) :] = learned_error(self._training, error)
            return np.zeros_like(w.output), back
        e_k = output_error(self._training, self._outputs(w, seen), error)
        return np.outer(e_k, seen), w.read(self._network).T @ e_k


def output_error(
    training: Training, y: Annotated[Floats, "O"], error: Annotated[Floats, "O"]
) -> Annotated[Floats, "O"]:
    """Return the errors ``e_k`` of logistic outputs ``y`` whose targets are off by ``error``.

    Equation (19), ``f' (t - y)`` with ``f' = y (1 - y)``, or as the settings change it.
    """
    met = learned_error(training, error)
    if not training.output_derivative:
        return met
    slope = np.maximum(y * (1 - y), training.derivative_floor)
    return met * (slope + training.derivative_offset)


def learned_error(training: Training, error: Annotated[Floats, "O"]) -> Annotated[Floats, "O"]:
    """Return errors, 0 in place of those within the tolerance."""
    return np.where(np.abs(error) < training.error_tolerance, np.zeros_like(error), error)


def _count(errors: Errors, n: int, error: np.ndarray) -> None:
    errors.max_abs[n] = np.maximum(errors.max_abs[n], np.abs(error).max())  # keeps a NaN
    errors.sum_abs[n] += np.abs(error).sum()
    errors.sum_sq[n] += (error**2).sum()
    errors.n_values[n] += error.size
