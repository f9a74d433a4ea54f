"""Correction of quantiles on forecasts of values that the nets did not learn."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.shapes import Floats


def stretches(
    forecasts: Annotated[Floats, "rows horizon J quantiles"],
    truths: Annotated[Floats, "rows horizon J"],
    quantiles: tuple[float, ...],
    balanced: bool = False,
) -> Annotated[Floats, "quantiles"]:
    """Return a factor for the distance between each quantile and the median.

    With factor ``c``, a quantile becomes ``median + c * (quantile - median)``, and the share of
    held-out values below it is its probability. The factor is an order statistic of the ratios
    ``(truth - median) / (quantile - median)``, as in split conformal prediction (Romano, Patterson
    and Candès, "Conformalized quantile regression", NeurIPS 2019), which uses differences. Ratios
    suit all steps ahead at once. Values of one forecast depend on each other and count as
    one: the probability is moved away from the median by a factor of ``1 + 1 / forecasts``.

    Args:
        forecasts: forecasts that hold out ``truths``.
        truths: true values, NaN where there is none.
        quantiles: probabilities, with 0.5.
        balanced: whether errors of both signs count for both sides, without that move. So
            few forecasts, whose errors tend to have one sign, give intervals of both sides.

    >>> rng = np.random.default_rng(0)
    >>> wide = np.tile([-2.0, 0.0, 2.0], (10_000, 1, 1, 1))
    >>> stretches(wide, rng.uniform(-2.0, 2.0, (10_000, 1, 1)), (0.25, 0.5, 0.75)).round(1).tolist()
    [0.5, 1.0, 0.5]
    """
    median = forecasts[..., quantiles.index(0.5)]
    known = np.isfinite(truths)
    found = np.ones(len(quantiles))
    count = known.sum() / truths.shape[1]
    if not known.any():
        return found
    error = (truths - median)[known]
    for k, level in enumerate(quantiles):
        if level == 0.5:
            continue
        distance = (forecasts[..., k] - median)[known]
        tiny = np.finfo(np.float64).tiny
        ratios = error / np.where(distance == 0.0, np.copysign(tiny, level - 0.5), distance)
        ratios = np.abs(ratios) if balanced else ratios
        outer = max(level, 1.0 - level)  # a ratio is large on the side of the quantile
        wanted = 2.0 * outer - 1.0 if balanced else min(1.0, outer * (1.0 + 1.0 / count))
        found[k] = max(0.0, float(np.quantile(ratios, wanted, method="higher")))
    return found


def stretched(
    forecasts: Annotated[Floats, "... quantiles"],
    factors: Annotated[Floats, "quantiles"],
    median: int,
) -> Annotated[Floats, "... quantiles"]:
    """Multiply the distances to the median by ``factors``; quantiles still do not cross."""
    middle = forecasts[..., median : median + 1]
    found = middle + factors * (forecasts - middle)
    found[..., median:] = np.maximum.accumulate(found[..., median:], axis=-1)
    below = found[..., median::-1]
    found[..., median::-1] = np.minimum.accumulate(below, axis=-1)
    return found
