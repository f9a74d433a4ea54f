"""Every exception of the package."""

from __future__ import annotations

import numpy as np


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
