"""Sections on forecasts: errors by lead, coverage of quantiles, examples."""

from __future__ import annotations

import numpy as np

from carrousel.estimators.report.measures import last_values, within
from carrousel.estimators.report.parts import (
    Figure,
    Section,
    Table,
    figure_of,
    name_of,
    plain,
    share_of,
)
from carrousel.estimators.report.predictions import Forecasts

EXAMPLES = 6
STEPS_BEFORE = 60
"""Steps before a forecast that an example shows at most."""
MOST_LEADS = 24
"""Leads that a table lists at most."""


def lead_section(found: Forecasts) -> Section:
    """Return the mean absolute error at each lead, next to that of the last value seen."""
    errors = _by_lead(np.abs(found.medians - found.truth))
    naive = _by_lead(np.abs(last_values(found) - found.truth))
    leads = list(range(1, len(errors) + 1))
    data = {
        "lines": [
            {
                "name": "last value",
                "x": leads,
                "y": plain(naive),
                "dash": "dash",
                "colour": "--paper",
            },
            {"name": "this model", "x": leads, "y": plain(errors), "colour": "--ours"},
        ],
        "x": {"title": "steps ahead"},
        "y": {"title": "mean absolute error", "zero": True},
    }
    if len(leads) == 1:
        for line in data["lines"]:
            line["mode"] = "markers"
    text = "Errors of the median by number of steps ahead, next to repeating the last value seen."
    inside = _by_lead(within(found))
    rows = tuple(
        (str(lead), figure_of(errors[k]), figure_of(naive[k]), share_of(inside[k]))
        for k, lead in enumerate(leads[:MOST_LEADS])
    )
    heads = ("steps ahead", "this model", "last value", "within the outer quantiles")
    return Section(
        "leads", "Errors by lead", text, (Figure("lines", data, text),), (Table(heads, rows, 0),)
    )


def coverage_section(found: Forecasts) -> Section | None:
    """Return how often the truth lies below each quantile; None for the median alone."""
    if len(found.levels) < 2:
        return None
    below = found.truth[:, :, None] <= found.quantiles
    known = np.isfinite(found.truth)[:, :, None]
    shares = [
        float(np.where(known[:, :, 0], below[:, :, k], 0).sum() / max(known.sum(), 1))
        for k in range(len(found.levels))
    ]
    rows = tuple(
        (share_of(level), share_of(share))
        for level, share in zip(found.levels, shares, strict=True)
    )
    data = {
        "lines": [
            {"name": "perfect", "x": [0, 1], "y": [0, 1], "dash": "dash", "colour": "--paper"},
            {
                **{"name": "this model", "x": list(found.levels), "y": plain(shares)},
                **{"mode": "lines+markers", "colour": "--ours"},
            },
        ],
        "x": {"title": "level of the quantile", "percent": True, "range": [0, 1]},
        "y": {"title": "share of true values below it", "percent": True, "range": [0, 1.02]},
    }
    text = "A quantile of level p should lie above a share p of the true values."
    heads = ("level", "true values below it")
    return Section(
        "coverage", "Coverage", text, (Figure("lines", data, text),), (Table(heads, rows, 0),)
    )


def examples_section(found: Forecasts) -> Section:
    """Return forecasts of the first target for some series, the hardest among them."""
    errors = np.nanmean(
        np.where(np.isfinite(found.truth), np.abs(found.medians - found.truth), np.nan)[..., 0],
        axis=1,
    )
    order = np.argsort(-np.nan_to_num(errors), kind="stable")
    half = EXAMPLES // 2
    chosen = list(dict.fromkeys([*order[:half], *order[len(order) // 2 :][:half]]))
    figures = tuple(_example(found, int(n)) for n in chosen)
    text = (
        f"The forecasts of {name_of(found.targets[0])} with the largest errors, and those in the "
        "middle. The shaded band lies between the outer quantiles."
    )
    return Section("examples", "Forecasts", text, figures)


def _example(found: Forecasts, n: int) -> Figure:
    one = found.series[n]
    column = found.series.channels.index(found.targets[0])
    past = one.values[-STEPS_BEFORE:, column]
    horizon = found.truth.shape[1]
    before, after = list(range(1 - len(past), 1)), list(range(1, horizon + 1))
    name = name_of(n if found.series.ids is None else found.series.ids[n])
    lines = [
        {"name": "seen", "x": before, "y": plain(past), "colour": "--soft"},
        {"name": "true", "x": after, "y": plain(found.truth[n, :, 0]), "colour": "--ink"},
        {"name": "forecast", "x": after, "y": plain(found.medians[n, :, 0]), "colour": "--ours"},
    ]
    for line in lines[1:]:
        line["mode"] = "lines+markers" if horizon < 30 else "lines"
    band = None
    if len(found.levels) > 1:
        low, high = (found.quantiles[n, :, k, 0] for k in (0, -1))
        band = {"x": after, "low": plain(low), "high": plain(high), "colour": "--ours"}
    data = {
        **{"lines": lines, "band": band, "title": f"series {name}", "small": True},
        **{"x": {"title": "steps from the last one seen"}, "y": {"title": ""}},
    }
    return Figure("lines", data, f"Forecast of series {name} next to its true values.")


def _by_lead(errors: np.ndarray) -> np.ndarray:
    known = np.isfinite(errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, errors, 0.0).sum(axis=(0, 2)) / known.sum(axis=(0, 2))
