"""Labels: classes as numbers, and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np

from carrousel.checks import suggestion
from carrousel.columns import is_missing
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.shapes import Array, Bools, Floats, Ints

ClassWeight = Mapping[Any, float] | Literal["balanced"] | None


def known_labels(
    steps: Annotated[Array, "steps"],
) -> tuple[Annotated[Array, "steps"], Annotated[Bools, "steps"]]:
    """Return labels of steps, and which of them are labels: not None, NaN, nor -1 among integers.

    Labels in an array of objects, or of floats that are whole numbers, become an array of their
    common type.

    Raises:
        ShapeError: a step has several labels.

    >>> labels, known = known_labels(np.array(["a", None, "b"], object))
    >>> labels[known].tolist(), known.tolist()
    (['a', 'b'], [True, False, True])
    """
    if steps.ndim != 1:
        raise ShapeError(
            f"y has {steps.shape[1:]} labels for each step, expected one",
            argument="y",
            fix="set {task=values} for values",
        )
    if steps.dtype == object:
        known = np.array([not is_missing(each) for each in steps], bool)
        plain = np.array(steps[known].tolist())
        if len(plain) and plain.dtype.kind in "iufb":
            found = np.full(len(steps), -1, plain.dtype)
            found[known] = plain
            return found, known & (found != -1)
        return steps, known
    if steps.dtype.kind == "f":
        return steps, np.isfinite(steps)
    if steps.dtype.kind == "i":
        return steps, steps != -1
    return steps, np.ones(len(steps), bool)


def declared_classes(classes: Any) -> Annotated[Array, "K"]:
    """Return the labels given as ``classes`` to ``partial_fit``, sorted, each once.

    Raises:
        DataError: a label is missing, labels cannot be compared, or there are none.

    >>> declared_classes(["b", "a", "b"]).tolist()
    ['a', 'b']
    """
    given = list(classes) if isinstance(classes, list | tuple | set | frozenset) else classes
    try:
        labels = np.asarray(given)
    except ValueError:  # nested lists of unequal lengths
        labels = np.empty((0, 0))
    if labels.ndim != 1 or not labels.size:
        raise DataError(argument="classes", got=classes, expected="a list of labels")
    if labels.dtype.kind in "fO" and any(is_missing(label) for label in labels.tolist()):
        raise DataError(
            f"classes contain a missing label: {labels.tolist()!r:.200}",
            argument="classes",
            got=classes,
            fix="leave it out",
        )
    try:
        return np.unique(labels)
    except TypeError as error:
        raise DataError(argument="classes", got=classes, expected="labels of one type") from error


def encode(labels: Array, classes: Array | None = None) -> tuple[Array, Ints]:
    """Return the classes, sorted, and the number of each label's class.

    Args:
        labels: ``[N]``.
        classes: known classes, which the labels must be among; None: the labels that occur.

    Raises:
        DataError: a label is not among the known classes, or labels cannot be compared.

    >>> classes, codes = encode(np.array(["b", "a", "b"]))
    >>> classes.tolist(), codes.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    try:
        found, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        kinds = " and ".join(sorted({type(label).__name__ for label in labels.tolist()}))
        raise DataError(
            f"y mixes labels of types {kinds}", argument="y", fix="convert all labels to one type"
        ) from error
    if classes is None:
        return found, codes.astype(np.int64)
    known = {label: number for number, label in enumerate(classes.tolist())}
    new = [label for label in found.tolist() if label not in known]
    if new:
        raise DataError(
            f"y contains the label {new[0]!r}, which is not among the classes",
            argument="y",
            fix=f"{suggestion(str(new[0]), map(str, known))} (new classes need a new fit)",
        )
    numbers = np.array([known[label] for label in found.tolist()], np.int64)
    return classes, numbers[codes]


def weights_of_classes(
    class_weight: ClassWeight,
    classes: Annotated[Array, "K"],
    codes: Annotated[Ints, "N"],
    weights: Annotated[Floats, "N"],
) -> Annotated[Floats, "K"]:
    """Return the factor by which examples of each class count more.

    Args:
        class_weight: None: 1. ``"balanced"``: the total weight of the examples over that of a
            class and the number of classes. A mapping: weights by label, 1 for labels left out.
        classes: ``[K]``, labels.
        codes: ``[N]``, numbers of the examples' classes.
        weights: ``[N]``, weights of the examples.

    Raises:
        SettingError: ``class_weight`` is none of these, names an unknown label, or a weight is
            negative or not finite.

    >>> weights_of_classes("balanced", np.array(["a", "b"]), np.array([0, 0, 0, 1]), np.ones(4))
    array([0.66666667, 2.        ])
    """
    factors = np.ones(len(classes))
    if class_weight is None:
        return factors
    if isinstance(class_weight, str) and class_weight == "balanced":
        totals = np.bincount(codes, weights, minlength=len(classes))
        present = totals > 0
        factors[present] = totals.sum() / (present.sum() * totals[present])
        return factors
    if not isinstance(class_weight, Mapping):
        raise SettingError(
            argument="class_weight",
            got=class_weight,
            expected="None, 'balanced' or a mapping from labels to weights",
        )
    known = {label: number for number, label in enumerate(classes.tolist())}
    for label, weight in class_weight.items():
        if label not in known:
            raise SettingError(
                f"class_weight names {label!r}, which is not among the classes",
                argument="class_weight",
                got=class_weight,
                fix=suggestion(str(label), map(str, known)),
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise SettingError(
                f"class_weight of {label!r} is {weight!r}, expected a finite number of at least 0",
                argument="class_weight",
                got=class_weight,
            )
        factors[known[label]] = weight
    return factors
