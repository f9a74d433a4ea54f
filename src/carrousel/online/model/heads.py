"""Targets of a stream as numbers, and a kernel's numbers as predictions.

Like readers of rows, heads never change: :meth:`wider` makes one that knows a new class.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.values import LARGEST, Unseen, index_of, number_of, plain
from carrousel.shapes import Floats

Kind = Literal["linear", "logistic", "softmax"]


@runtime_checkable
class Head(Protocol):
    """What a network's outputs mean."""

    kind: Kind
    n_outputs: int
    places: dict[Any, Any]
    """The number of each class in a target."""

    @property
    def named(self) -> tuple[Hashable, ...]:
        """The classes that :meth:`probabilities` speaks of, in its order."""
        ...

    def read(self, y: Any) -> Annotated[Floats, "Y"]:
        """A target's numbers; raises Unseen where :meth:`wider` would help, or DataError."""
        ...

    def wider(self, y: Any) -> Head:
        """A head that knows what is new in a target."""
        ...

    def answer(self, outputs: Annotated[Floats, "O"]) -> Any:
        """A prediction: a number or numbers, or a class (None: no class is known)."""
        ...

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N K"]:
        """A column for each of :attr:`named`; rows sum to 1."""
        ...

    def answers(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        """Predictions, one for each row."""
        ...


class Values:
    """Targets are numbers, one or several.

    Args:
        n: how many; None: one, which is given and returned as a number, not as an array.
    """

    kind: Kind = "linear"

    def __init__(self, n: int | None) -> None:
        self.n_outputs = n or 1
        self.n = n
        self.places: dict[Any, Any] = {}

    def read(self, y: Any) -> Annotated[Floats, "Y"]:
        if self.n is None:
            if type(y) is not float or not -LARGEST <= y <= LARGEST:
                y = number_of("target y", self._single(y), missing=False)
            return np.array((y,))
        values = np.asarray(y)
        if values.shape != (self.n,):
            raise ShapeError(
                f"target y has shape {values.shape}, expected ({self.n},): as many numbers as the "
                "first target had"
            )
        return np.array([number_of(f"target y[{i}]", v, False) for i, v in enumerate(y)])

    def _single(self, y: Any) -> Any:
        if isinstance(y, np.ndarray | Sequence) and not isinstance(y, str):
            if np.shape(y) not in ((), (1,)):
                raise ShapeError(
                    f"target y has shape {np.shape(y)}, expected one number: the model was begun "
                    "with one; give all numbers in the first row that is learned"
                )
            return np.ravel(y)[0]
        return y

    @property
    def named(self) -> tuple[Hashable, ...]:
        return ()

    def wider(self, y: Any) -> Values:
        self.read(y)
        return self

    def answer(self, outputs: Annotated[Floats, "O"]) -> Any:
        return float(outputs[0]) if self.n is None else outputs

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N K"]:
        return np.empty((len(outputs), 0))

    def answers(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        return outputs[:, 0] if self.n is None else outputs


class Labels:
    """Targets are one of two classes; the output is the probability of the second.

    The second is True, or 1, or else the one that was met later. Before any was met, they are
    False and True.
    """

    kind: Kind = "logistic"
    n_outputs = 1

    def __init__(self, negative: tuple[Hashable, ...], positive: tuple[Hashable, ...]) -> None:
        self.sides = (negative, positive)  # each empty or of one class
        self.classes = negative + positive
        self.places = {c: i for i, side in enumerate(self.sides) for c in side}
        if not self.classes:
            self.sides = ((False,), (True,))

    @property
    def named(self) -> tuple[Hashable, ...]:
        return self.classes or (False, True)

    def read(self, y: Any) -> Annotated[Floats, "Y"]:
        index = index_of("target y", y, self.places)
        if index is None:
            self.wider(y)
            raise Unseen
        return np.array((index,), np.float64)

    def wider(self, y: Any) -> Labels:
        if index_of("target y", y, self.places) is not None:
            return self
        if len(self.classes) == 2:
            raise DataError(
                f"target y is {y!r}, expected {self.classes[0]!r} or {self.classes[1]!r}; for more "
                "classes say task='multiclass'"
            )
        label = plain(y)
        if not self.classes:
            if isinstance(label, bool):
                return Labels((False,), (True,))
            return Labels((), (label,)) if label == 1 else Labels((label,), ())
        negative, positive = self.sides
        return Labels(negative or (label,), positive or (label,))

    def answer(self, outputs: Annotated[Floats, "O"]) -> Any:
        side = self.sides[int(outputs[0] > 0.5)] or self.classes
        return side[0]

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N K"]:
        positive = outputs[:, 0].astype(np.float64)
        if len(self.named) == 1:
            return np.ones((len(outputs), 1))
        return np.column_stack([1 - positive, positive])

    def answers(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        first, second = (side or self.classes for side in self.sides)
        return as_array([first[0], second[0]])[(outputs[:, 0] > 0.5).astype(int)]


class Classes:
    """Targets are classes, one output for each.

    Args:
        classes: those known; an int: 0, 1, ..., n - 1.
        grow: whether others may come.
    """

    kind: Kind = "softmax"

    def __init__(self, classes: Iterable[Hashable] | int, grow: bool) -> None:
        whole = isinstance(classes, int)
        self.known: Sequence[Hashable] = range(classes) if whole else tuple(classes)
        self.places = {} if whole else {c: i for i, c in enumerate(self.known)}
        self.n_outputs = max(1, len(self.known))
        self._grow = grow

    @property
    def named(self) -> tuple[Hashable, ...]:
        return tuple(self.known)

    def read(self, y: Any) -> Annotated[Floats, "Y"]:
        index = index_of("target y", y, self.places or self.known)
        if index is None:
            self._check_new(y)
            raise Unseen
        return np.array((index,), np.float64)

    def wider(self, y: Any) -> Classes:
        if index_of("target y", y, self.places or self.known) is not None:
            return self
        self._check_new(y)
        return Classes((*self.known, plain(y)), self._grow)

    def _check_new(self, y: Any) -> None:
        if not self._grow:
            known = ", ".join(map(repr, self.known[:8])) + ", ..." * (len(self.known) > 8)
            raise DataError(
                f"target y is {y!r}, a class never declared; expected one of {known}, or say "
                "unseen='grow'"
            )

    def answer(self, outputs: Annotated[Floats, "O"]) -> Any:
        known = len(self.known)
        return self.known[int(outputs[:known].argmax())] if known else None

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N K"]:
        mass = outputs[:, : len(self.known)].astype(np.float64)
        return mass / mass.sum(axis=1, keepdims=True) if len(self.known) else mass

    def answers(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        known = len(self.known)
        if not known:
            return np.full(len(outputs), None, object)
        best = outputs[:, :known].argmax(axis=1)
        return best if isinstance(self.known, range) else as_array(self.known)[best]


def as_array(classes: Sequence[Hashable]) -> np.ndarray:
    """Classes in an array: of one plain type if they are of one, else of objects.

    >>> as_array(["b", "a"]).tolist(), as_array([1, "a"]).dtype
    (['b', 'a'], dtype('O'))
    """
    if len({type(c) for c in classes}) == 1 and isinstance(classes[0], bool | int | float | str):
        return np.array(classes)
    array = np.empty(len(classes), object)
    array[:] = classes
    return array
