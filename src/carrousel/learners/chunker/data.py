"""Ragged batches by rounds: the n-th sequence of every lane, padded to equal length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.contracts import Errors, Network
from carrousel.errors import DataError, ShapeError
from carrousel.learners.chunker.nets import Lanes
from carrousel.learners.lanes import check_parts
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


@dataclass
class Round:
    """One sequence in each of ``lanes``, padded to the longest, ``[T, B, ...]``.

    ``here[t]`` are the lanes that have a step ``t``, and ``aimed[t]`` is the mask of those with a
    target there; ``None`` stands for all. Targets are in ``classes`` or ``goals``, inputs in
    ``symbols`` or ``values``.
    """

    symbols: Annotated[Ints, "T B"]
    values: Annotated[Floats, "T B I"] | None
    classes: Annotated[Ints, "T B"]
    goals: Annotated[Floats, "T B O"] | None
    here: list[np.ndarray | None]
    aimed: list[np.ndarray | None]

    def __post_init__(self) -> None:
        self._rows: dict[int, np.ndarray] = {}  # by the number of inputs of a net
        self._lanes = np.arange(self.symbols.shape[1])

    @property
    def n_aimed(self) -> Annotated[Ints, "B"]:
        """Targets of each lane."""
        count = np.zeros(self.symbols.shape[1], np.int64)
        for each in self.aimed:
            count += 1 if each is None else each
        return count

    @property
    def n_steps(self) -> int:
        """``T``, steps of the longest sequence."""
        return len(self.symbols)

    def inputs(self, t: int, lanes: Lanes, width: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows of the input weights and values for ``lanes``, as :class:`LaneNets` take them."""
        if width not in self._rows:
            self._rows[width] = np.arange(self.symbols.shape[1]) * width + self.symbols
        rows = self._rows[width][t]
        values = None if self.values is None else self.values[t]
        if lanes is None:
            return rows, values
        return rows[lanes], None if values is None else values[lanes]

    def miss(self, t: int, lanes: Lanes, outputs: Annotated[Floats, "n O"]) -> None:
        """Subtract the targets of step ``t`` from ``outputs``, in place."""
        if self.goals is not None:
            outputs -= self.goals[t] if lanes is None else self.goals[t, lanes]
            return
        classes = self.classes[t] if lanes is None else self.classes[t, lanes]
        outputs[self._lanes[: len(outputs)], classes] -= 1.0

    def errors(self, outputs: Annotated[Floats, "T B O"]) -> Annotated[Floats, "T B O"]:
        """Outputs minus targets, in place; zero where there is no target."""
        for t, error in enumerate(outputs):
            self.miss(t, None, error)
            aimed = self.aimed[t]
            if aimed is not None:
                error[~aimed] = 0.0
        return outputs


def check_data(network: Network, n_lanes: int, data: Sequence[Sequences | None]) -> bool:
    """Check that the nets can learn the data; return whether inputs are symbols.

    Raises:
        ShapeError: the number of parts is not that of the lanes, or a part has another width.
        DataError: contents are not finite or outside the alphabet, or kinds are mixed.
    """
    check_parts(data, n_lanes)
    kinds = set()
    for lane, part in enumerate(data):
        if part is None:
            continue
        for name, got, wanted in (
            ("inputs", part.n_inputs, network.n_inputs),
            ("outputs", part.n_outputs, network.n_outputs),
        ):
            if got != wanted:
                raise ShapeError(
                    f"data[{lane}] has {got} {name}, but the network has {wanted}", argument="data"
                )
        try:
            part.check_contents()
        except DataError as error:
            raise DataError(f"data[{lane}]: {error}") from None
        kinds.add((part.symbolic, part.targets.ndim == 1))
    if len(kinds) > 1:
        raise DataError(
            "some parts hold symbols or classes and others values",
            argument="data",
            fix="make them one kind",
        )
    return all(symbolic for symbolic, _ in kinds)


def rounds(data: Sequence[Sequences | None]) -> Iterator[Round]:
    """Yield the first sequences of all lanes, then the second ones, and so on."""
    lengths = [np.zeros(0, np.int64) if part is None else part.lengths for part in data]
    for n in range(max((len(each) for each in lengths), default=0)):
        yield _round(data, [int(each[n]) if n < len(each) else 0 for each in lengths], n)


def _round(data: Sequence[Sequences | None], lengths: list[int], n: int) -> Round:
    T, B = max(lengths), len(data)
    one = next(part for part in data if part is not None)
    symbols, classes = np.zeros((T, B), np.int64), np.zeros((T, B), np.int64)
    values = None if one.symbolic else np.zeros((T, B, one.n_inputs), np.float32)
    goals = None if one.targets.ndim == 1 else np.zeros((T, B, one.n_outputs), np.float32)
    inputs, targets = symbols if values is None else values, classes if goals is None else goals
    aimed = np.zeros((T, B), bool)
    for b, (part, length) in enumerate(zip(data, lengths, strict=True)):
        if part is None or not length:
            continue
        first = int(part.offsets[n])
        inputs[:length, b] = part.inputs[first : first + length]
        low, high = part.target_offsets[n : n + 2].tolist()
        steps = part.target_steps[low:high] - first
        targets[steps, b] = part.targets[low:high]
        aimed[steps, b] = True
    here: list[Lanes] = [None] * T
    if min(lengths) < T:
        longest = np.array(lengths)
        here[min(lengths) :] = [np.flatnonzero(longest > t) for t in range(min(lengths), T)]
    some = [None if each.all() else each for each in aimed]
    return Round(symbols, values, classes, goals, here, some)


class Tally:
    """Collects the errors of each sequence of every lane."""

    def __init__(self, n_lanes: int) -> None:
        self._found: list[list[tuple[float, float, float, int]]] = [[] for _ in range(n_lanes)]

    def note(self, errors: Annotated[Floats, "T B O"], round_: Round) -> None:
        """Add one round; errors are zero where there is no target."""
        _, B, O = errors.shape  # noqa: E741
        # Sums run over the last axis of [B, T], so that they equal those of a single lane.
        magnitudes = np.abs(errors)
        absolute = np.ascontiguousarray(magnitudes.sum(-1).T).astype(np.float64).sum(-1)
        squares = np.ascontiguousarray(np.einsum("tbo,tbo->tb", errors, errors).T)
        squared = squares.astype(np.float64).sum(-1)
        largest = magnitudes.max(axis=(0, 2))
        aimed = round_.n_aimed
        lanes = range(B) if round_.here[0] is None else round_.here[0].tolist()
        for b in lanes:
            self._found[b].append(
                (float(largest[b]), float(absolute[b]), float(squared[b]), int(aimed[b]) * O)
            )

    def errors(self, lane: int) -> Errors:
        """Return the errors of a lane."""
        found = np.array(self._found[lane], np.float64).reshape(-1, 4)
        return Errors(found[:, 0], found[:, 1], found[:, 2], found[:, 3].astype(np.int64))
