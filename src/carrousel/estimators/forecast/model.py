"""Forecasting model: trained nets, the layout of their inputs, and the corrected quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch

from carrousel.estimators.data.series import Series
from carrousel.estimators.forecast.conformal import stretched
from carrousel.estimators.forecast.inputs import Layout, Prepared, Segments, prepare
from carrousel.estimators.forecast.simple import names
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.quantiles import QuantileGoal
from carrousel.shapes import Array, Floats, Ints


@dataclass(eq=False)
class ForecastModel:
    """Quantiles of the next steps from trained nets.

    Args:
        layout: roles of channels.
        ensemble: nets whose goal is a :class:`QuantileGoal`.
        factors: ``[quantiles]``, stretches of :func:`stretches`; ones without correction.
    """

    layout: Layout
    ensemble: Ensemble
    factors: Annotated[Floats, "quantiles"]

    @property
    def goal(self) -> QuantileGoal:
        """The objective of the nets, with the quantiles and their positions."""
        assert isinstance(self.ensemble.goal, QuantileGoal)
        return self.ensemble.goal

    def quantiles(
        self,
        series: Series,
        future: list[Annotated[Floats, "horizon known"]] | None = None,
        at: Literal["end", "every step"] = "end",
    ) -> Annotated[Floats, "N or steps horizon J quantiles"]:
        """Return the quantiles after the last step of each series, or after every step.

        A series with a target that was never seen has NaN.

        Args:
            series: checked series, channels as in training.
            future: values of the known channels after the end of each series.
            at: ``"end"`` or ``"every step"`` (in the order of ``series.values``).
        """
        prepared = prepare(series, self.layout, future)
        pieces = Segments.of(prepared.series, only_last=at == "end")
        cut, steps = pieces.cut(prepared.series)
        outputs = self.ensemble.outputs(cut, at)
        if at == "end":
            rows, steps = np.arange(len(cut)), steps[cut.offsets[1:] - 1]
        else:
            firsts = np.repeat(pieces.answers, cut.lengths)
            rows = np.flatnonzero(steps >= firsts)
            steps = steps[rows]
        scaled = scaled_forecasts(self.goal, outputs[rows], prepared.simple[steps]).mean(axis=1)
        corrected = stretched(scaled, self.factors, self.goal.median)
        return in_units(corrected, prepared, steps)

    def skill(
        self,
        series: Series,
        truth: Annotated[Floats, "N horizon J"],
        future: list[Annotated[Floats, "horizon known"]] | None = None,
    ) -> float:
        """Return 1 less the ratio of absolute errors: of the medians, and of the naive forecast.

        Errors are in units of the running scale of each series. A perfect naive forecast gives 1
        if the medians are perfect too, else 0.
        """
        naive = names(self.layout.season).index(
            "last" if self.layout.season is None else "seasonal"
        )
        prepared, end = prepare(series, self.layout, future), series.offsets[1:] - 1
        scale = prepared.scale[end, None]
        found = self.quantiles(series, future)[..., self.goal.median]
        simple = prepared.last[end, None] + scale * prepared.simple[end, ..., naive]
        ours, theirs = (np.nansum(np.abs(truth - each) / scale) for each in (found, simple))
        return float(1.0 - ours / theirs) if theirs > 0.0 else float(ours == 0.0)


def scaled_forecasts(
    goal: QuantileGoal,
    outputs: Annotated[Floats, "rows members O"],
    simple: Annotated[Floats, "rows horizon J K"],
) -> Annotated[Floats, "rows members horizon J quantiles"]:
    """Return the quantiles of each member, relative to the last value in units of the scale."""
    with torch.no_grad():
        found = goal.forecast(torch.from_numpy(outputs), torch.from_numpy(simple)[:, None])
    return found.numpy().astype(np.float64)


def in_units(
    scaled: Annotated[Floats, "rows horizon J quantiles"],
    prepared: Prepared,
    steps: Annotated[Ints, "rows"],
) -> Array:
    """Convert forecasts made at ``steps`` to the units of the user; NaN before the first value."""
    found = scaled * prepared.scale[steps, None, :, None] + prepared.last[steps, None, :, None]
    found[~prepared.usable[steps]] = np.nan
    return found
