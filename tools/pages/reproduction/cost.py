"""Two parts of ``docs/reproduction/README.md``: the cost of a full run, and very long lags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.figures import Entries, seconds_a_trial, solved_and_sequences

from carrousel import words
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.beyond.far import FAR_ROWS
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.paper.rivals import RIVAL_ROWS
from carrousel.experiments.report.markdown import table

WORKERS = 2
MEBI = 2**20


def cost(entries: Entries, machine: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Estimate what all rows take with the paper's number of trials; None without trials."""
    rows, totals, missing = [], {"lstm": 0.0, "rivals": 0.0}, []
    for name in (*LSTM_ROWS, *RIVAL_ROWS):
        wanted = EXPERIMENTS[name].published.trials
        each = seconds_a_trial(entries[name].trials) if name in entries else None
        if each is None:
            missing.append(name)
            continue
        totals["lstm" if name in LSTM_ROWS else "rivals"] += each * wanted
        rows.append([name, f"{each:.3g}", str(wanted), words.duration(each * wanted)])
    if not rows:
        return None
    return {
        **{name: words.duration(each / WORKERS) for name, each in totals.items()},
        "workers": WORKERS,
        "machine": f" ({machine['processor']}, {machine['instruction_set']})" if machine else "",
        "missing": ", ".join(missing),
        "table": table(["row", "seconds a trial", "trials", "in all"], rows),
    }


def far(entries: Entries, memory: Mapping[str, Any] | None) -> str:
    """Table of the rows with lags beyond the paper, and the memory that they need.

    Args:
        entries: of the rows that have trials.
        memory: results of ``benchmarks/learn/far.py``, by row.
    """
    rows = []
    for name, row in FAR_ROWS.items():
        each = seconds_a_trial(entries[name].trials) if name in entries else None
        held = (memory or {}).get(name)
        sizes = [held["after"], held["state"]] if held else [None, None]
        rows.append(
            [
                name,
                row.title,
                *solved_and_sequences(entries, name),
                words.ABSENT if each is None else f"{each:,.3g}",
                *(words.ABSENT if size is None else f"{size / MEBI:,.2f}" for size in sizes),
            ]
        )
    heads = ["row", "task and system", "solved", "sequences", "seconds a trial"]
    heads += ["peak memory, MiB", "kept between steps, MiB"]
    return table(heads, rows, "llr")
