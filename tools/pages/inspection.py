"""The page ``docs/inspection.md`` with its figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tools.pages.plot import panels, svg
from tools.pages.render import render

from carrousel import words
from carrousel.experiments.report.markdown import escaped, table
from carrousel.experiments.study.survival_plot import COLOURS

Measured = Mapping[str, Any]
"""``benchmarks/results/inspection.json``, from ``python -m tools.inspection``."""

TITLES = {
    "fresh": "Fresh LSTM",
    "forget biases": "Forget biases of 4",
    "trained": "The same, trained",
}


def inspection_page(measured: Measured) -> dict[str, str]:
    """Write the page and its figure, by file name."""
    memories, verdicts = measured["memories"], measured.get("verdicts")
    page = render(
        "inspection.md",
        memories=memories,
        verdicts=verdicts and verdict_table(verdicts),
        planted=verdicts and sum(row["counts"]["nets"] for row in verdicts["faults"].values()),
        named=verdicts and sum(row["counts"].get(n, 0) for n, row in verdicts["faults"].items()),
        sound=verdicts and {"nets": 0, "sound": 0, **verdicts["sound"]},
    )
    return {"inspection.md": page, "inspection-memories.svg": memories_picture(memories)}


def verdict_table(verdicts: Measured) -> str:
    """Faults with the verdict on one net, how many planted ones were named, and other verdicts."""
    rows = []
    for name, found in verdicts["faults"].items():
        counts = found["counts"]
        others = [f"`{k}` {n}" for k, n in counts.items() if k not in ("nets", name)]
        named = f"{counts.get(name, 0)} of {counts['nets']}"
        rows.append([f"`{name}`", escaped(found["text"]), named, ", ".join(others) or words.ABSENT])
    return table(["fault", "verdict on one of the nets", "named", "other verdicts"], rows, "ll")


def memories_picture(memories: Measured) -> str:
    """Draw the three memories of three nets by lag."""
    with panels(1, 3, 3.6, sharey=True) as (figure, found):
        for axes, (name, title) in zip(found, TITLES.items(), strict=True):
            one = memories[name]
            for values, lags, label, colour in (
                (one["reach"], np.arange(len(one["reach"])), "trainable reach", COLOURS[0]),
                (one["state"], np.arange(len(one["state"])), "memory of states", COLOURS[2]),
                (
                    np.abs(one["rise"]),
                    np.array(one["lags"]),
                    "used memory: change of the loss",
                    COLOURS[1],
                ),
            ):
                shown = np.maximum(values, 1e-13)
                marker = "o" if "loss" in label else None
                axes.semilogy(lags, shown, color=colour, label=label, marker=marker, ms=3)
            axes.axvline(50, color="#333333", lw=0.8, ls=":")
            axes.set_ylim(1e-9, 1e3)
            axes.set_title(title, fontsize=10, loc="left")
            axes.set_xlabel("lag")
            axes.grid(color="#e3e3e3", lw=0.7)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        figure.legend(
            *found[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=3,
            frameon=False,
            fontsize=9,
        )
        return svg(figure)
