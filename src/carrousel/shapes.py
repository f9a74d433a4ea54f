"""Letters, array types, checks and every exception: the leaf that all modules may import.

Letters used in shapes throughout the package:

=====  ==========================================================================
``T``  time steps of one sequence
``B``  sequences of one batch, or lanes (independent trials) where a kernel says so
``I``  inputs, or symbols of an input alphabet
``H``  hidden units: gates and cells together
``C``  memory cells
``G``  gates of one block
``O``  outputs
``W``  weights of one network
``N``  sequences of a ragged container
``M``  steps that carry a target
=====  ==========================================================================

Gates and cells are always stored in the order of :data:`GATE_ORDER`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool as Bool
    from jaxtyping import Float as Float
    from jaxtyping import Int as Int
else:  # shapes are enforced while testing only, so jaxtyping stays out of the core's dependencies
    try:
        from jaxtyping import Bool, Float, Int
    except ImportError:

        class _Unchecked:
            def __class_getitem__(cls, item: Any) -> type[np.ndarray]:
                return np.ndarray

        Bool = Float = Int = _Unchecked

GATE_ORDER = ("input", "forget", "cell", "output")
"""The order of gate and cell units in every weight matrix (the order of ``torch.nn.LSTM``)."""


class CarrouselError(Exception):
    """Root of every exception the package raises on purpose."""


class ShapeError(CarrouselError, ValueError):
    """An array has the wrong shape or data type."""


class DataError(CarrouselError, ValueError):
    """Data hold what no network can learn: NaN, an empty sequence, a symbol off the alphabet."""


class RowError(DataError):
    """A row of a stream cannot be learned from; nothing has been changed by it.

    Attributes:
        row: its number in the call, from 0 on.
        outputs: of the rows before it, ``[row, O]``, which have been taken.
    """

    def __init__(self, message: str, row: int = 0, outputs: np.ndarray | None = None) -> None:
        super().__init__(message)
        self.row, self.outputs = row, outputs


class DivergedError(CarrouselError, ArithmeticError):
    """Weights or states are no longer finite; learning has stopped before it changed more.

    Attributes:
        row: the row of the call that found it, from 0 on.
        outputs: of the rows before it, ``[row, O]``, which have been taken.
    """

    def __init__(self, message: str, row: int = 0, outputs: np.ndarray | None = None) -> None:
        super().__init__(message)
        self.row, self.outputs = row, outputs


class SettingError(CarrouselError, ValueError):
    """A setting is outside its range, or two settings contradict each other."""


class UnknownNameError(CarrouselError, LookupError):
    """A name is not in its registry; the message offers the nearest names."""


class StoreError(CarrouselError, OSError):
    """A store of trials cannot be read or written."""


class ClusterError(CarrouselError, ConnectionError):
    """A cluster cannot be used: nobody answers, it has no workers, or they cannot do this work."""


class ClusterFailedError(CarrouselError, ConnectionError):
    """A cluster failed in the middle of a run: its scheduler is gone, or its workers die."""


class MissingExtraError(CarrouselError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def check_int(name: str, value: object, *, minimum: int, maximum: int = 2**63 - 1) -> int:
    """Return ``value`` as an int, or raise :class:`SettingError`.

    >>> check_int("trials", 3, minimum=1)
    3
    >>> check_int("trials", 0, minimum=1)
    Traceback (most recent call last):
        ...
    carrousel.shapes.SettingError: trials is 0, expected a whole number of at least 1
    """
    wanted = f"a whole number of at least {minimum}"
    if maximum < 2**63 - 1:
        wanted = f"a whole number from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SettingError(f"{name} is {value!r}, expected {wanted}")
    if not minimum <= value <= maximum:
        raise SettingError(f"{name} is {value}, expected {wanted}")
    return int(value)


def check_number(
    name: str, value: object, *, above: float | None = None, least: float | None = None
) -> float:
    """Return ``value`` as a finite float within a bound, or raise :class:`SettingError`.

    >>> check_number("rate", 0.5, above=0.0)
    0.5
    >>> check_number("rate", float("nan"), above=0.0)
    Traceback (most recent call last):
        ...
    carrousel.shapes.SettingError: rate is nan, expected a finite number above 0.0
    """
    bound = f" above {above}" if above is not None else ""
    bound = f" of at least {least}" if least is not None else bound
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not number or not np.isfinite(value):
        raise SettingError(f"{name} is {value!r}, expected a finite number{bound}")
    if (above is not None and not value > above) or (least is not None and not value >= least):
        raise SettingError(f"{name} is {value}, expected a finite number{bound}")
    return float(value)


def check_choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``allowed``, or raise :class:`UnknownNameError`.

    >>> check_choice("update", "sequence", ("step", "sequence"))
    'sequence'
    >>> check_choice("update", "sequenc", ("step", "sequence"))
    Traceback (most recent call last):
        ...
    carrousel.shapes.UnknownNameError: update 'sequenc' is unknown; did you mean 'sequence'?
    """
    names = list(allowed)
    if isinstance(value, str) and value in names:
        return value
    raise UnknownNameError(f"{name} {value!r} is unknown; {suggestion(str(value), names)}")


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """Say which of ``names`` a wrong name most likely meant.

    >>> suggestion("4_1", ["4-1", "4-2", "6a"])
    "did you mean '4-1'?"
    """
    names = list(names)
    near = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "expected one of " + ", ".join(repr(name) for name in names)
