"""The readable kernel: learning and predicting lane by lane, by any gradient, in float64.

What moves forward through time, and what is sent back, stands in ``reference_layers``,
``reference_truncated`` and ``reference_paths``; here are outputs, errors, and when weights change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Protocol, runtime_checkable

import numpy as np

from carrousel.contracts import TRUNCATED, Cell, Errors, Gradient, Network, Training
from carrousel.errors import SettingError
from carrousel.kernels.reference.layers import Weights, logistic
from carrousel.kernels.reference.paths import BackPropagation, RankOne, Sensitivities
from carrousel.kernels.reference.truncated import Truncated
from carrousel.kernels.signs import Signs, draw_seeds
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


@runtime_checkable
class Rule(Protocol):
    """A way through a sequence that knows, sooner or later, the gradient of the errors it met."""

    def begin(self) -> None: ...

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> Annotated[Floats, "R"]: ...

    def meet(self, back: Annotated[Floats, "R"]) -> None: ...

    def due(self, w: Weights, last: bool) -> Annotated[Floats, "H S"] | None: ...


def rule_for(
    network: Network,
    training: Training,
    gradient: Gradient,
    dtype: type[np.floating],
    rng: np.random.Generator | Signs | None = None,
) -> Rule:
    """Return the rule of a gradient. For simple units, truncated is one step of BPTT (11), (20)."""
    if network.wiring == "sparse":
        raise SettingError("wiring is 'sparse'; kernels run it as 'united' with zero weights")
    if gradient.kind == "truncated" and isinstance(network.cell, Cell):
        return Truncated(network, training, dtype)
    if gradient.kind == "truncated":
        return BackPropagation(network, training, dtype, Gradient("bptt", 1))
    if gradient.kind == "bptt":
        return BackPropagation(network, training, dtype, gradient)
    if gradient.kind == "uoro":
        return RankOne(network, training, dtype, rng or np.random.default_rng(0))
    return Sensitivities(network, training, dtype, gradient)


class ReferenceKernel:
    """The readable kernel, lane by lane, in float64 (or naive float32, to measure others by).

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
        """Learn in place; see :class:`carrousel.contracts.Kernel`."""
        results: list[Errors | None] = []
        seeds = draw_seeds(gradient, rngs, data)
        for b, part in enumerate(data):
            signs = Signs(seeds[b].tolist())
            rule = rule_for(network, training, gradient, self.dtype, signs)
            walk = _Walk(network, training, rule, weights[b], self.dtype)
            with np.errstate(all="ignore"):  # errors say that weights are no numbers any more
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
        epoch = replace(training, update="epoch", halves_every=0, plateau=0)
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
        """Outputs at the steps that have a target; see :class:`carrousel.contracts.Kernel`."""
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
    """One network's way through its sequences."""

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

    def predict(self, cells_from: int, data: Sequences) -> Annotated[Floats, "M O"]:
        """Outputs at every step that has a target."""
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
                    _apply(self._network, self._into, rate, waiting)
            if self._training.update == "sequence":
                _apply(self._network, self._into, rate, waiting)
        _apply(self._network, self._into, rate, waiting)
        return errors

    def _steps(
        self, data: Sequences, n: int, cells_on: bool
    ) -> Iterator[tuple[Weights, np.ndarray, np.ndarray | None, bool]]:
        """Go through sequence ``n``: weights, what outputs see, the target if any, and the end."""
        one = data[n : n + 1]
        inputs = one.dense_inputs().astype(self._dtype)
        targets = dict(
            zip(one.target_steps.tolist(), one.dense_targets().astype(self._dtype), strict=True)
        )
        self._rule.begin()
        for t, x in enumerate(inputs):
            w = Weights.unpack(self._network, self._flat)  # anew: weights may just have changed
            read = self._rule.advance(w, x) * cells_on
            direct = x if self._network.direct else x[:0]
            seen = np.concatenate([direct, read, np.ones(1, x.dtype)])
            yield w, seen, targets.get(t), t == len(inputs) - 1

    def _outputs(self, w: Weights, seen: Annotated[Floats, "P"]) -> Annotated[Floats, "O"]:
        """Activations of the output units; in united wiring, of the last hidden units."""
        if self._network.united:
            return seen[-1 - self._network.n_outputs : -1]
        return logistic(w.output @ seen)

    def _output_gradient(
        self, w: Weights, seen: Annotated[Floats, "P"], error: Annotated[Floats, "O"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Minus the gradient by output weights, and the error at the units that are read."""
        if self._network.united:
            back = np.zeros(len(seen) - 1, error.dtype)
            back[-len(error) :] = error
            return np.zeros_like(w.output), back
        y = self._outputs(w, seen)
        e_k = error * (y * (1 - y) if self._training.output_derivative else 1)  # (19)
        return np.outer(e_k, seen), w.read(self._network).T @ e_k


def _count(errors: Errors, n: int, error: np.ndarray) -> None:
    errors.max_abs[n] = np.maximum(errors.max_abs[n], np.abs(error).max())  # keeps a NaN
    errors.sum_abs[n] += np.abs(error).sum()
    errors.sum_sq[n] += (error**2).sum()
    errors.n_values[n] += error.size


def _apply(network: Network, flat: np.ndarray, rate: float, waiting: list[Weights]) -> None:
    """Change the weights by all gradients that wait, and forget them."""
    if waiting:
        hidden = np.sum([w.hidden for w in waiting], axis=0)
        output = np.sum([w.output for w in waiting], axis=0)
        Weights(hidden, output).add_to(network, flat, rate)
        waiting.clear()
