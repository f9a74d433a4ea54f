"""Facts about mechanisms that the paper cites, from the measurements of ``tools/mechanisms``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carrousel import words

PICTURES = ("mechanism-2c.svg", "mechanism-1.svg")
"""Pictures of ``docs/reproduction`` that the paper shows, if they are there."""
LONG, SHORT, SUM, GRAMMAR = "2c-9", "2c-1", "4-3", ("1-1", "1-4")
"""Rows that stand for drift over long and short lags, for cell biases, and for dead outputs."""


def drift(measured: Mapping[str, Any]) -> dict[str, str] | None:
    """Return figures about states of initial nets; None if they are not all measured.

    Args:
        measured: all results of ``tools/mechanisms``, by page.
    """
    try:
        lags, sums = measured["experiment-2c"], measured["experiment-4"]
        printed, fed = (lags[f"{LONG} {name}"]["start"] for name in ("printed", "gates-only"))
        short = lags[f"{SHORT} printed"]["start"]
        biased, free = (sums[f"{SUM} {name}"]["start"] for name in ("bias-all", "bias-gates"))
        found = {
            "state": printed["state"],
            "slope": printed["slope"],
            "state_fed": fed["state"],
            "slope_fed": fed["slope"],
            "moved": printed["update"]["gates"],
            "moved_short": short["update"]["gates"],
            "moved_fed": fed["update"]["gates"],
            "biased": biased["update"]["biases"],
            "free": free["update"]["biases"],
        }
    except KeyError:
        return None
    return {"long": LONG, "short": SHORT, "sum": SUM, **_texts(found)}


def dead_outputs(measured: Mapping[str, Any]) -> dict[str, str] | None:
    """Return figures about nets of Experiment 1 with dead outputs; None if they are not measured.

    Args:
        measured: all results of ``tools/mechanisms``, by page.
    """
    try:
        found = measured["experiment-1"]
        rows = [found[f"{row} direct"] for row in GRAMMAR]
        printed = found[f"{GRAMMAR[0]} printed"]
        counts = {
            "dead": sum(row["dead"] for row in rows),
            "freed": sum(len(row["floor"]["dead"]) for row in rows),
            "alone": sum(len(row["as before"]["dead"]) for row in rows),
        }
        state, outer = printed["cells"]["state"], 100 * printed["cells"]["outer"]
    except KeyError:
        return None
    return {
        "rows": words.listed(list(GRAMMAR)),
        "printed": GRAMMAR[0],
        "outer": words.percent(outer),
        **_texts({**counts, "state": state}),
    }


def _texts(found: Mapping[str, float]) -> dict[str, str]:
    return {name: words.number(float(f"{value:.2g}")) for name, value in found.items()}
