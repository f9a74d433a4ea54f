"""The page ``docs/vowels.md``: how the settings of ``vowels`` were chosen, and the test result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.render import render

from carrousel.experiments.beyond.vowels import VOWELS
from carrousel.experiments.report.markdown import table


def vowels_page(measured: Mapping[str, Any]) -> str:
    """Write the page from the results of ``benchmarks/learn/select_vowels.py``."""
    best, test = measured["best"], measured["test"]
    others = VOWELS.published.others.items()
    return render(
        "vowels.md",
        centre=measured["centre"],
        marks=", ".join(map(str, measured["marks"])),
        wide=_table(measured, "wide"),
        near=_table(measured, "near"),
        count=len(measured["wide"]) + len(measured["near"]),
        best=best["changes"],
        score=f"{best['score']:.1f}",
        by_part=_percentages(best["by_part"]),
        sequences=f"{test['sequences']:,}",
        weights=f"{test['weights']:,}",
        mean=f"{test['mean']:.2f}",
        low=min(test["accuracy"]),
        high=max(test["accuracy"]),
        each=_percentages(test["accuracy"]),
        seconds=test["seconds"],
        others=", ".join(
            f"{name.removeprefix('accuracy of ')} {100 * v:.1f} %" for name, v in others
        ),
    )


def _table(measured: Mapping[str, Any], group: str) -> str:
    heads = ["differs in", *map(str, measured["marks"]), "score", "squared error", "s"]
    rows = [
        [
            one["changes"],
            *(f"{accuracy:.1f}" for accuracy in one["accuracy"]),
            f"{one['score']:.2f} ± {one['spread']:.2f}",
            f"{one['squared_error']:.4f}",
            str(one["seconds"]),
        ]
        for one in measured[group]
    ]
    return table(heads, rows)


def _percentages(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)
