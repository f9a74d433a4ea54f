"""Reference of experts for classes and symbols, and of their mixture with a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.contracts import Network, Streaming
from carrousel.errors import SettingError
from carrousel.kernels.reference.contexts import ReferenceContexts
from carrousel.shapes import Floats

_FORGET, _UNSEEN, _PRIOR, _VOTE = 1e-3, 0.5, 2.0, 1.0
_OFFSET, _MOST_FOLLOWED = 0.1, 512
_SHARE, _LEAST, _TINY = 5e-4, 1e-6, 1e-300
_LEAST_EXPONENT, _MOST_EXPONENT = -1.0, 2.0


class ReferenceNeighbours:
    """The nearest of the last ``rows`` labelled rows, by float32 distances.

    Args:
        inputs: numbers of a row.
        rows: rows that are kept.
        k: nearest rows that count. Neighbour ``i`` has weight ``1 / (d_i / d_k + 0.1)``.

    >>> near = ReferenceNeighbours(inputs=1, rows=3, k=2)
    >>> for x, y in [(0.0, 5.0), (1.0, 6.0), (4.0, 7.0), (5.0, 8.0)]:  # the first is replaced
    ...     near.learn(np.array([x]), np.array([y]))
    >>> targets, weights = near.look(np.array([4.0]))
    >>> targets.ravel().tolist(), weights.round(2).tolist()
    ([7.0, 8.0], [10.0, 0.91])
    """

    def __init__(self, inputs: int, rows: int, k: int) -> None:
        self.rows, self.k, self.learned = rows, k, 0
        self._x = np.zeros((rows, inputs), np.float32)
        self._targets: list[np.ndarray] = [np.zeros(1)] * rows

    def look(
        self, x: Annotated[Floats, "I"]
    ) -> tuple[Annotated[Floats, "k V"], Annotated[Floats, "k"]]:
        """Return the targets of the nearest rows, and their weights."""
        rows = min(self.learned, self.rows)
        squared = np.zeros(rows, np.float32)
        for column, z in zip(self._x[:rows].T, x.astype(np.float32), strict=True):
            squared += (column - z) * (column - z)
        nearest = np.argsort(squared, kind="stable")[: self.k]
        apart = squared[nearest].astype(np.float64)
        if not rows:
            return np.zeros((0, 1)), apart
        relative = np.sqrt(apart / apart[-1]) if apart[-1] > 0 else 0 * apart
        return np.array([self._targets[i] for i in nearest]), 1 / (_OFFSET + relative)

    def learn(self, x: Annotated[Floats, "I"], target: Annotated[Floats, "V"]) -> None:
        """Keep a row in place of the oldest."""
        at = self.learned % self.rows
        self._x[at], self._targets[at] = x, target
        self.learned += 1


@dataclass
class _Kept:
    """The step of a stream whose target is learned next."""

    p: Annotated[Floats, "E+1 O"]
    means: Annotated[Floats, "E"]
    context: int
    x: Annotated[Floats, "I"] | None


class ReferenceClassExperts:
    """Experts for classes and symbols, mixed with a network; see ``native/stream/class_experts.h``.

    The experts are the network; counts in contexts by ``novel`` and by ``all``, or the frequencies
    of classes; classes that followed the last class of the stream; and the nearest labelled rows.
    :class:`ReferenceClassExperts` mixes them with their normalised product, whose exponents are
    learned (Mattern 2012), by weights with a fixed share (Herbster & Warmuth 1998).

    Args:
        classes, inputs, streams: numbers of classes, inputs and streams.
        order, places: of contexts, see :class:`ReferenceContexts`; order 0: no contexts.
        rows, neighbours: rows that are kept, and how many of them count; 0 rows: none.
        last: whether the last class of the stream predicts the next.

    >>> experts = ReferenceClassExperts(classes=2, inputs=1, streams=1, last=True)
    >>> for n in range(200):
    ...     mixed = experts.look(0, 0, np.zeros(1), np.full(2, 0.5))
    ...     experts.keep(0)
    ...     experts.learn(0, n % 2)
    >>> bool(mixed[1] > 0.9)
    True
    """

    def __init__(
        self,
        classes: int,
        inputs: int,
        streams: int,
        order: int = 0,
        places: int = 0,
        rows: int = 0,
        neighbours: int = 0,
        last: bool = False,
    ) -> None:
        self.classes = classes
        self.contexts = ReferenceContexts(classes, streams, order, places) if order else None
        self.neighbours = ReferenceNeighbours(inputs, rows, neighbours) if rows else None
        n_experts = 2 + bool(order) + last + bool(rows)
        sets = 4 * (order + 1) if order else 1
        self.weights = np.full(n_experts + 1, 1 / (n_experts + 1))
        self.exponents, self.steps = np.full((sets, n_experts), 1 / n_experts), np.zeros(sets)
        self.counts = np.zeros(classes)
        followed = min(classes, _MOST_FOLLOWED)
        self.after = np.zeros((followed, followed)) if last else None
        self.last: list[int | None] = [None] * streams
        self._first_rate, self._least_rate = (0.02, 0.003) if order else (0.1, 0.02)
        self._kept: list[_Kept | None] = [None] * streams
        self._next: tuple[_Kept, int] | None = None

    def mixed(
        self,
        stream: int,
        symbol: int,
        x: Annotated[Floats, "I"],
        net: Annotated[Floats, "O"],
        softmax: bool,
    ) -> Annotated[Floats, "O"]:
        """Mix the outputs of a network, and keep the row.

        Args:
            stream, symbol, x: see :meth:`look`.
            net: outputs; one of softmax is a class, and another one may come.
            softmax: whether they are of softmax; else one is the probability of the second class.
        """
        if len(net) > 1:
            both = net
        else:
            both = np.array([net[0], 0.0]) if softmax else np.array([1 - net[0], net[0]])
        found = self.look(stream, symbol, x, both)
        self.keep(stream)
        if len(net) > 1:
            return found
        return found[:1] if softmax else found[1:]

    def look(
        self,
        stream: int,
        symbol: int,
        x: Annotated[Floats, "I"] | None,
        net: Annotated[Floats, "O"],
    ) -> Annotated[Floats, "O"]:
        """Return the mixed probabilities at a row; changes nothing but the row to keep."""
        context = 0
        prior = (self.counts + _UNSEEN) / (self.counts + _UNSEEN).sum()
        experts = [net]
        if self.contexts:
            novel, both, context = self.contexts.look(stream, symbol)
            experts += [novel, both]
        else:
            experts.append(prior)
        if self.after is not None:
            last, row = self.last[stream], np.zeros(self.classes)
            if last is not None and last < len(self.after):
                row[: len(self.after)] = self.after[last]
            experts.append((row + _PRIOR * prior) / (row.sum() + _PRIOR))
        if self.neighbours:
            assert x is not None
            targets, weights = self.neighbours.look(x)
            votes = _VOTE * prior
            np.add.at(votes, targets[:, 0].astype(int), weights)
            experts.append(votes / (weights.sum() + _VOTE))
        p = np.array(experts)
        logs = np.log(np.maximum(p, _LEAST))
        product = np.exp(self.exponents[context] @ logs)
        product /= product.sum()
        p = np.vstack([p, product])
        self._next = _Kept(p, logs @ product, context, x), symbol
        return self.weights @ p

    def keep(self, stream: int) -> None:
        """Advance a stream by the step of the last look."""
        assert self._next is not None
        self._kept[stream], symbol = self._next
        if self.contexts:
            self.contexts.keep(stream, symbol)

    def learn(self, stream: int, target: int, weight: float = 1.0) -> None:
        """Learn the class of a stream's kept step, with a weight; 0 changes nothing."""
        kept = self._kept[stream]
        assert kept is not None
        if weight == 0:
            return
        likely = np.maximum(kept.p[:, target], _TINY) ** weight
        posterior = self.weights * likely / (self.weights @ likely)
        self.weights = (1 - _SHARE) * posterior + _SHARE / len(posterior)
        set_ = kept.context
        rate = max(self._least_rate, self._first_rate / np.sqrt(1 + self.steps[set_] / 100))
        slope = np.log(np.maximum(kept.p[:-1, target], _LEAST)) - kept.means
        moved = self.exponents[set_] + weight * rate * slope
        self.exponents[set_] = np.clip(moved, _LEAST_EXPONENT, _MOST_EXPONENT)
        self.steps[set_] += 1
        if not self.contexts or self.after is not None or self.neighbours:
            _count(self.counts, target, weight)
        if self.contexts:
            self.contexts.learn(stream, target)
        if self.after is not None:
            last = self.last[stream]
            if last is not None and max(last, target) < len(self.after):
                _count(self.after[last], target, weight)
            self.last[stream] = target
        if self.neighbours:
            assert kept.x is not None
            self.neighbours.learn(kept.x, np.array([float(target)]))

    def reset(self, stream: int) -> None:
        """Discard the state of a stream."""
        self._kept[stream] = self.last[stream] = None
        if self.contexts:
            self.contexts.reset(stream)


def _count(counts: Annotated[Floats, "O"], target: int, weight: float) -> None:
    counts *= 1 - _FORGET
    counts[target] += weight


def class_experts(network: Network, how: Streaming, n_streams: int) -> ReferenceClassExperts:
    """Create the experts of a kernel for streams.

    Raises:
        SettingError: the network has several outputs, which are not probabilities of classes.
    """
    classes = max(network.n_outputs, 2)
    if how.head != "softmax" and network.n_outputs > 1:
        raise SettingError(
            "experts are for classes, expected a softmax head, or a logistic one with 1 output",
            argument="experts",
            got=True,
        )
    if how.symbols:
        return ReferenceClassExperts(classes, network.n_inputs, n_streams, order=6, places=2**16)
    rows = 64 if network.n_inputs > 4096 else 1024
    return ReferenceClassExperts(
        classes, network.n_inputs, n_streams, rows=rows, neighbours=16, last=True
    )
