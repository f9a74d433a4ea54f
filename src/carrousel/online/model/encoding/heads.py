"""Heads of a model: they encode targets, and decode a kernel's outputs as predictions.

Like encoders of rows, heads never change: :meth:`Head.extended` returns one with a new class.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.encoding.values import LARGEST, index_of, listed, number_of, to_python
from carrousel.shapes import Floats

Kind = Literal["linear", "logistic", "softmax"]


@runtime_checkable
class Head(Protocol):
    """Meaning of a network's outputs."""

    kind: Kind
    n_outputs: int
    n_targets: int
    """Numbers of a target."""
    codes: dict[Any, Any]
    """Code of each known class in a target."""

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """Classes in the order of the columns of :meth:`probabilities`."""
        ...

    def encode(self, y: Any) -> Annotated[Floats, "target"] | None:
        """Encode a target; None if :meth:`extended` is needed first.

        Raises:
            DataError, ShapeError: the target cannot be learned.
        """
        ...

    def extended(self, y: Any) -> Head:
        """Return a head that knows the class of a target."""
        ...

    def predict(self, outputs: Annotated[Floats, "O"]) -> Any:
        """Decode one prediction: a number, numbers, or a class (None: no class is known)."""
        ...

    def predict_rows(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        """Decode the predictions of several rows."""
        ...

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N classes"]:
        """Return a column for each of :attr:`classes`; rows sum to 1."""
        ...


class RegressionHead:
    """Targets are numbers: one, a vector, or several by name.

    Entries of vectors and mappings that are None or NaN, and names that are left out, are NaN in
    the encoded target: these outputs have no target in this row.

    Args:
        n: how many; None: one, given and returned as a number and not as an array.
        names: of the targets, given and returned as a mapping; None: they have no names.
        ahead: number of targets that a row forecasts: its own, and those of later rows.

    >>> head = RegressionHead.of({"heat": 3.0, "wind": None})
    >>> head.encode({"wind": 2}).tolist(), head.predict(np.array([1.0, 2.0]))
    ([nan, 2.0], {'heat': 1.0, 'wind': 2.0})
    """

    kind: Kind = "linear"

    def __init__(
        self, n: int | None, names: Sequence[Hashable] | None = None, ahead: int = 1
    ) -> None:
        self.n_targets = n or 1
        self.n_outputs = self.n_targets * ahead
        self.n, self.names = n, None if names is None else tuple(names)
        self.ahead = ahead
        self.codes: dict[Any, Any] = {}

    @classmethod
    def of(cls, y: Any, ahead: int = 1) -> RegressionHead:
        """Create the head for a first target, which determines the shape of all."""
        if isinstance(y, Mapping):
            if not y:
                expected = "at least one name"
                problem = f"target y is an empty mapping, expected {expected}"
                raise DataError(problem, argument="y", got=y, expected=expected)
            return cls(len(y), [to_python(name) for name in y], ahead)
        return cls(None if y is None or np.ndim(y) == 0 else len(y), None, ahead)

    def encode(self, y: Any) -> Annotated[Floats, "target"]:
        if self.names is not None:
            return self._encode_named(y, self.names)
        if self.n is None:
            if type(y) is not float or not -LARGEST <= y <= LARGEST:
                y = _target_number(self._single(y), "target y")
            return np.array((y,))
        shape = np.shape(np.asarray(y))
        if shape != (self.n,):
            raise ShapeError(
                f"target y has shape {shape}, expected ({self.n},), the shape of the first target",
                argument="y",
                got=shape,
                expected=f"({self.n},)",
            )
        return np.array([_entry(value, f"target y[{i}]") for i, value in enumerate(y)])

    def _encode_named(self, y: Any, names: tuple[Hashable, ...]) -> Annotated[Floats, "target"]:
        expected = f"a mapping with names among {listed(names)}"
        if not isinstance(y, Mapping):
            problem = f"target y is {to_python(y)!r}, expected {expected}, like the first target"
            raise DataError(problem, argument="y", got=y, expected=expected)
        if not y.keys() <= set(names):
            name = next(name for name in y if name not in names)
            raise DataError(
                f"target y has the name {name!r}, expected {expected}",
                argument="y",
                got=name,
                expected=expected,
                fix="create a new model, and give all names in the first target, None where there "
                "is no value",
            )
        return np.array([_entry(y.get(name), f"target {name!r}") for name in names])

    def _single(self, y: Any) -> Any:
        if isinstance(y, Mapping):
            expected = "one number like the first target"
            raise ShapeError(
                f"target y is a {type(y).__name__}, expected {expected}",
                argument="y",
                got=y,
                expected=expected,
                fix="create a new model, and give all names in the first target",
            )
        if isinstance(y, np.ndarray | Sequence) and not isinstance(y, str):
            if np.shape(y) not in ((), (1,)):
                raise ShapeError(
                    f"target y has shape {np.shape(y)}, expected one number like the first target",
                    argument="y",
                    got=np.shape(y),
                    expected="one number",
                    fix="create a new model, and give all numbers in the first target",
                )
            return np.ravel(y)[0]
        return y

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return ()

    def extended(self, y: Any) -> RegressionHead:
        self.encode(y)
        return self

    def predict(self, outputs: Annotated[Floats, "O"]) -> Any:
        if self.n is None and self.ahead == 1:
            return float(outputs[0])
        found = self.predict_rows(outputs[None])[0]
        if self.names is not None:
            return dict(zip(self.names, found.T.tolist(), strict=True))
        return found

    def predict_rows(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        """Return ``[N]``, ``[N, n]``, ``[N, ahead]`` or ``[N, ahead, n]``."""
        leads = self.leads(outputs)
        found = leads if self.ahead > 1 else leads[:, 0]
        return found[..., 0] if self.n is None else found

    def leads(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N ahead n"]:
        """Return outputs by lead and target."""
        return outputs.reshape(len(outputs), self.n_targets, self.ahead).swapaxes(1, 2)

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N classes"]:
        return np.empty((len(outputs), 0))


class BinaryHead:
    """Targets are one of two classes; the output is the probability of the positive class.

    The positive class is True, or 1, or else the second one that occurs. Before any class is known,
    the classes are False and True.

    Args:
        negative, positive: each empty or one class.
    """

    kind: Kind = "logistic"
    n_outputs = n_targets = 1

    def __init__(self, negative: tuple[Hashable, ...], positive: tuple[Hashable, ...]) -> None:
        self.sides = (negative, positive)
        self.known = negative + positive
        self.codes = {c: i for i, side in enumerate(self.sides) for c in side}
        if not self.known:
            self.sides = ((False,), (True,))

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return self.known or (False, True)

    def encode(self, y: Any) -> Annotated[Floats, "target"] | None:
        index = index_of("y", y, self.codes)
        if index is None:
            self.extended(y)
            return None
        return np.array((index,), np.float64)

    def extended(self, y: Any) -> BinaryHead:
        if index_of("y", y, self.codes) is not None:
            return self
        if len(self.known) == 2:
            expected = f"{self.known[0]!r} or {self.known[1]!r}"
            raise DataError(
                f"target y is {y!r}, expected {expected}",
                argument="y",
                got=y,
                expected=expected,
                fix="set {task=multiclass} for more classes",
            )
        label = to_python(y)
        if not self.known:
            if isinstance(label, bool):
                return BinaryHead((False,), (True,))
            return BinaryHead((), (label,)) if label == 1 else BinaryHead((label,), ())
        negative, positive = self.sides
        return BinaryHead(negative or (label,), positive or (label,))

    def predict(self, outputs: Annotated[Floats, "O"]) -> Any:
        side = self.sides[int(outputs[0] > 0.5)] or self.known
        return side[0]

    def predict_rows(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        first, second = (side or self.known for side in self.sides)
        return as_array([first[0], second[0]])[(outputs[:, 0] > 0.5).astype(int)]

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N classes"]:
        positive = outputs[:, 0].astype(np.float64)
        if len(self.classes) == 1:
            return np.ones((len(outputs), 1))
        return np.column_stack([1 - positive, positive])


class MulticlassHead:
    """Targets are classes, with one output for each.

    Args:
        classes: those known; an int: 0, 1, ..., n - 1.
        grow: whether new classes are accepted.
    """

    kind: Kind = "softmax"
    n_targets = 1

    def __init__(self, classes: Iterable[Hashable] | int, grow: bool) -> None:
        whole = isinstance(classes, int)
        self.known: Sequence[Hashable] = range(classes) if whole else tuple(classes)
        self.codes = {} if whole else {c: i for i, c in enumerate(self.known)}
        self.n_outputs = max(1, len(self.known))
        self._grow = grow

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return tuple(self.known)

    def encode(self, y: Any) -> Annotated[Floats, "target"] | None:
        index = index_of("y", y, self.codes or self.known)
        if index is None:
            self._check_new(y)
            return None
        return np.array((index,), np.float64)

    def extended(self, y: Any) -> MulticlassHead:
        if index_of("y", y, self.codes or self.known) is not None:
            return self
        self._check_new(y)
        return MulticlassHead((*self.known, to_python(y)), self._grow)

    def _check_new(self, y: Any) -> None:
        if not self._grow:
            expected = f"one of the declared classes {listed(self.known)}"
            raise DataError(
                f"target y is {y!r}, expected {expected}",
                argument="y",
                got=y,
                expected=expected,
                fix="set {unseen=grow}",
            )

    def predict(self, outputs: Annotated[Floats, "O"]) -> Any:
        known = len(self.known)
        return self.known[int(outputs[:known].argmax())] if known else None

    def predict_rows(self, outputs: Annotated[Floats, "N O"]) -> np.ndarray:
        known = len(self.known)
        if not known:
            return np.full(len(outputs), None, object)
        best = outputs[:, :known].argmax(axis=1)
        return best if isinstance(self.known, range) else as_array(self.known)[best]

    def probabilities(self, outputs: Annotated[Floats, "N O"]) -> Annotated[Floats, "N classes"]:
        mass = outputs[:, : len(self.known)].astype(np.float64)
        return mass / mass.sum(axis=1, keepdims=True) if len(self.known) else mass


def by_name(head: Head, predictions: np.ndarray) -> Any:
    """Return predictions of rows: a mapping of columns where targets have names."""
    if isinstance(head, RegressionHead) and head.names is not None:
        return {name: predictions[..., k] for k, name in enumerate(head.names)}
    return predictions


def by_class(head: Head, outputs: Annotated[Floats, "O"]) -> dict[Hashable, float]:
    """Return the probability of each class."""
    return dict(zip(head.classes, head.probabilities(outputs[None])[0].tolist(), strict=True))


def blank(target: Annotated[Floats, "target"]) -> bool:
    """Return whether an encoded target has no entry that can be learned."""
    return target[0] != target[0] and bool(np.isnan(target).all())


def _entry(value: Any, what: str) -> float:
    return number_of(value, what, missing=True, argument="y")


def _target_number(value: Any, what: str) -> float:
    return number_of(value, what, fix="give None where there is no target", argument="y")


def as_array(classes: Sequence[Hashable]) -> np.ndarray:
    """Return classes as an array: of one basic type if all have it, else of objects.

    >>> as_array(["b", "a"]).tolist(), as_array([1, "a"]).dtype
    (['b', 'a'], dtype('O'))
    """
    if len({type(c) for c in classes}) == 1 and isinstance(classes[0], bool | int | float | str):
        return np.array(classes)
    array = np.empty(len(classes), object)
    array[:] = classes
    return array
