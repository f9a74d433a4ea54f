"""Live series: nets of an ensemble that read one series row by row, in compiled code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from carrousel import _native
from carrousel.errors import SettingError

Live: TypeAlias = _native.Live


def open_live(
    features: Mapping[str, Any], nets: Iterable[Mapping[str, Any]], *, temperature: float
) -> Live:
    """Create a live series; ``native/step/live.h`` describes what it computes.

    Args:
        features: ``symbols`` (size of the alphabet, 0 for values), ``channels``, ``mean`` and
            ``scale`` (float64 ``[channels]``), ``timed``, ``unit``.
        nets: for each net ``step`` (a step kernel of one sequence in float32, which the net alone
            uses), ``width`` (of its inputs, or of its embedding), ``window`` (0: no convolution),
            ``outputs``; and in float32 ``embedding`` ``[symbols + 1, width]`` (for symbols),
            ``filters`` ``[inner, window * width]``, ``bias``, ``gain``, ``shift`` ``[inner]`` and
            the number ``epsilon`` (with a window), ``readout`` ``[outputs, 2 * states + inner]``,
            ``readout_bias`` ``[outputs]``. Filters and bias are centred over ``inner``. All are
            copied.
        temperature: of the softmax whose mean is the answer; 0: the mean of the outputs.

    Raises:
        SettingError: an array or a number is rejected, which the message names.
    """
    try:
        return _native.Live(dict(features), [dict(net) for net in nets], temperature)
    except ValueError as error:
        raise SettingError(f"live series: {error}") from error
