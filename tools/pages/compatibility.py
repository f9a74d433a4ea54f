"""The page ``docs/compatibility.md``: what works in ``carrousel.nn`` and in ``torch.nn``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.render import render

from carrousel.experiments.report.markdown import table

SIGNS = {"works": "yes", "not applicable": "–", "absent": "absent", "differs": "**wrong**"}  # noqa: RUF001
LIBRARIES = ("carrousel", "torch")


def compatibility_page(measured: Mapping[str, Any]) -> str:
    """Write the page from the results of ``python -m support.nn.compatibility``."""
    modes = measured["modes"]
    return render(
        "compatibility.md",
        torch=measured["torch"],
        ours=_count(measured, "carrousel"),
        theirs=_count(measured, "torch"),
        matrix=table(["", *modes.values()], _rows(measured), "lc"),
        known=_known(measured),
        exceptions=_exceptions(measured, "torch"),
    )


def _count(measured: Mapping[str, Any], library: str) -> tuple[int, int]:
    """The cells that work, and the cells that apply."""
    outcomes = [word for row in measured["outcomes"][library].values() for word in row.values()]
    applicable = [word for word in outcomes if word != "not applicable"]
    return applicable.count("works"), len(applicable)


def _rows(measured: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for feature, title in measured["features"].items():
        cells = [
            " / ".join(
                SIGNS.get(measured["outcomes"][library][feature][mode], "no")
                for library in LIBRARIES
            )
            for mode in measured["modes"]
        ]
        rows.append([title, *("–" if cell == "– / –" else cell for cell in cells)])  # noqa: RUF001
    return rows


def _known(measured: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Known failures: feature, modes, reason."""
    modes: dict[tuple[str, str], list[str]] = {}
    for cell, reason in measured["known"].items():
        feature, _, mode = cell.partition(" ")
        key = (measured["features"][feature], reason)
        modes.setdefault(key, []).append(measured["modes"][mode])
    return [(title, "; ".join(names), reason) for (title, reason), names in modes.items()]


def _exceptions(measured: Mapping[str, Any], library: str) -> list[tuple[str, dict[str, str]]]:
    """Messages of exceptions by feature, each with the modes that raise it."""
    found = []
    for feature, row in measured["outcomes"][library].items():
        messages: dict[str, list[str]] = {}
        for mode, outcome in row.items():
            if outcome not in SIGNS:
                messages.setdefault(outcome, []).append(measured["modes"][mode])
        if messages:
            joined = {message: "; ".join(modes) for message, modes in messages.items()}
            found.append((measured["features"][feature], joined))
    return found
