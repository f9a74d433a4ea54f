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
            uses), ``width`` (of its inputs, or of its embedding), ``window`` (taps; 0: no
            convolution), ``dilation``, ``outputs``. In float32 ``readout`` ``[outputs, 2 * states +
            inner]`` and ``readout_bias`` ``[outputs]``; for symbols ``embedding`` ``[symbols + 1,
            width]``; with a window ``filters`` ``[filters, window * width]``, ``bias``, ``gain``,
            ``shift`` ``[filters]`` and the number ``epsilon``. The ``inner`` inputs of the step are
            the filters, then the inputs of the net. Weights and bias of the filters are centred
            over the filters. All are copied.
        temperature: of the softmax whose mean is the answer; 0: the mean of the outputs.

    Raises:
        SettingError: an array or a number is rejected, which the message names.
    """
    try:
        return _native.Live(dict(features), [dict(net) for net in nets], temperature)
    except ValueError as error:
        raise SettingError(f"live series: {error}") from error
