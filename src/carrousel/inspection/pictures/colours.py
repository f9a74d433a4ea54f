"""Colours of images: errors on a logarithmic scale, and values of either sign."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.shapes import Floats

_HEAT = ("0d1128", "1a2a66", "2350a3", "2b7fba", "3fadb4", "82d09a", "d9e98a", "fff8c4")
_NEGATIVE, _POSITIVE = "2f6fce", "dd7a1c"
DECADES = 6
"""Powers of ten that the scale of errors covers."""
LEVELS = 120
"""Steps of a scale of colours: few enough for small images, too many to be seen."""


def heat(shares: Annotated[Floats, "..."]) -> Annotated[Floats, "... 4"]:
    """Return colours from dark to light for shares of 0 to 1; NaN is transparent."""
    anchors = np.array([_rgb(one) for one in _HEAT])
    given = np.asarray(shares, np.float64)
    places = np.linspace(0.0, 1.0, len(anchors))
    filled = np.round(np.clip(np.nan_to_num(given, nan=0.0), 0.0, 1.0) * LEVELS) / LEVELS
    colours = [np.interp(filled, places, anchors[:, channel]) for channel in range(3)]
    return np.stack([*colours, (~np.isnan(given)).astype(np.float64)], axis=-1)


def signed(shares: Annotated[Floats, "..."]) -> Annotated[Floats, "... 4"]:
    """Return blue for -1 and orange for 1, fading to transparent at 0 and for NaN."""
    given = np.clip(np.nan_to_num(np.asarray(shares, np.float64), nan=0.0), -1.0, 1.0)
    given = np.round(given * LEVELS) / LEVELS
    found = np.where((given < 0)[..., None], _rgb(_NEGATIVE), _rgb(_POSITIVE))
    return np.concatenate([found, np.abs(given)[..., None]], axis=-1)


def decades(values: Annotated[Floats, "..."], largest: float) -> Annotated[Floats, "..."]:
    """Return the place of positive values on the scale of errors, 1 for the largest.

    >>> decades(np.array([1.0, 0.001, 0.0]), 1.0).round(6).tolist()
    [1.0, 0.5, 0.0]
    """
    if not largest > 0:
        return np.zeros(np.shape(values))
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        logs = np.log10(np.asarray(values, np.float64)) - np.log10(largest)
    return np.clip(1.0 + logs / DECADES, 0.0, 1.0)


def _rgb(code: str) -> tuple[float, ...]:
    return tuple(int(code[at : at + 2], 16) / 255 for at in (0, 2, 4))
