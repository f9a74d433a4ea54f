"""The page ``docs/forecasts.md``: forecasts of real series next to simple methods and boosting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.render import render

from carrousel.experiments.report.markdown import table

OURS = "Ours"
LABELS: Mapping[str, str] = {
    "Naive": "naive",
    "Drift": "drift",
    "Boosting": "boosting",
    OURS: "LSTMForecaster",
}
"""Methods of ``benchmarks/estimators/forecasts.py`` and their names on the page."""


def forecasts_page(measured: Mapping[str, Any]) -> str:
    """Write the page from the results of ``benchmarks/estimators/forecasts.py``."""
    sets: dict[str, dict[str, Any]] = {}
    for row in measured["rows"]:
        sets.setdefault(row["set"], {})[row["method"]] = row
    return render(
        "forecasts.md",
        count=len(sets),
        data=_data(sets),
        pinball=_errors(sets, "pinball"),
        mase=_errors(sets, "mase"),
        coverage=_figures(sets, "coverage", "{:.2f}"),
        seconds=_figures(sets, "fit_s", "{:.1f}"),
        best=_firsts(sets),
        behind=_behind(sets),
        processor=measured["machine"]["processor"],
    )


def _data(sets: Mapping[str, Mapping[str, Any]]) -> str:
    heads = ["data", "series", "steps", "horizon", "season", "forecasts in the test"]
    rows = []
    for name, methods in sets.items():
        row = methods[OURS]
        season = "none" if row["season"] is None else str(row["season"])
        numbers = [f"{row[key]:,}" for key in ("series", "steps", "horizon")]
        rows.append([name, *numbers, season, f"{row['forecasts']:,}"])
    return table(heads, rows)


def _errors(sets: Mapping[str, Mapping[str, Any]], figure: str) -> str:
    """Return a table whose least value of each row is bold."""
    rows = []
    for name, methods in sets.items():
        least = min(row[figure] for row in methods.values())
        texts = [f"{methods[key][figure]:.3f}" for key in LABELS]
        best = f"{least:.3f}"
        rows.append([name, *(f"**{text}**" if text == best else text for text in texts)])
    return table(["data", *LABELS.values()], rows)


def _figures(sets: Mapping[str, Mapping[str, Any]], figure: str, form: str) -> str:
    rows = [
        [name, *(form.format(methods[key][figure]) for key in LABELS)]
        for name, methods in sets.items()
    ]
    return table(["data", *LABELS.values()], rows)


def _firsts(sets: Mapping[str, Mapping[str, Any]]) -> int:
    """Return on how many sets our pinball loss is the least."""
    return sum(
        methods[OURS]["pinball"] <= min(row["pinball"] for row in methods.values())
        for methods in sets.values()
    )


def _behind(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the sets where the naive forecast or the drift has a smaller pinball loss than ours."""
    found = [
        name
        for name, methods in sets.items()
        if methods[OURS]["pinball"] > min(methods[key]["pinball"] for key in ("Naive", "Drift"))
    ]
    return ", ".join(found)
