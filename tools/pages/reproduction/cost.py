"""Two parts of the page that sums up: what a full run costs, and the lags beyond the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.pages.rivals import figures, table

from carrousel import words
from carrousel.contracts import Trial
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.beyond.far import FAR_ROWS
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.paper.rivals import RIVAL_ROWS
from carrousel.experiments.report.collect import Entry

WORKERS = 2
MEBI = 2**20

FAR = """
## The lags beyond the paper

The task of Experiment 2c with longer lags, and the adding problem with longer sequences. Three
systems: the cells of 1997 with their truncated gradient, cells with forget gates and full
back-propagation through time, and simple recurrent units with full back-propagation. All three take
Adam's steps, from gates that start as far closed (or open) as the lag asks for; these rows are the
project's own. Seconds are a worker's time for one trial. Memory is that of one net: the peak of a
process that learns a few sequences and answers a test, and what the net keeps between time steps,
which for the truncated gradient does not grow with the lag (the rest of its peak is the sequences
themselves).
"""


def cost(entries: Mapping[str, Entry], machine: Mapping[str, Any] | None) -> str:
    """What every row takes with the paper's number of trials, at the measured rate."""
    rows, totals, missing = [], {"LSTM": 0.0, "rivals": 0.0}, []
    for name in (*LSTM_ROWS, *RIVAL_ROWS):
        wanted = EXPERIMENTS[name].published.trials
        each = seconds(entries[name].trials) if name in entries else None
        if each is None:
            missing.append(name)
            continue
        totals["LSTM" if name in LSTM_ROWS else "rivals"] += each * wanted
        cells = [f"{each:.3g}", str(wanted), words.duration(each * wanted)]
        rows.append([name, *cells])
    if not rows:
        return "No row has been run yet."
    on = f" ({machine['processor']}, {machine['instruction_set']})" if machine else ""
    without = f" It is without {', '.join(missing)}, which have no trials yet." if missing else ""
    heads = ["row", "seconds a trial", "trials", "in all"]
    lstm, rivals = (words.duration(each / WORKERS) for each in totals.values())
    return (
        f"All rows as they stand, each with as many trials as the paper ran: **{lstm}** for the "
        f"LSTM rows and **{rivals}** for the rivals, on {WORKERS} cores{on}, from the time that "
        "each trial was measured to take of a worker's. Where other programs used the cores as "
        "well, or a worker had few trials to carry side by side, that is more than it need be."
        f"{without}\n\n"
        f"<details><summary>By row, one core</summary>\n\n{table(heads, rows, 1)}\n\n</details>"
    )


def far(entries: Mapping[str, Entry], memory: Mapping[str, Any] | None) -> str:
    """The rows with lags beyond the paper, and the memory that they needed.

    Args:
        entries: of the rows that have trials.
        memory: what ``benchmarks/learn/far.py`` measured, by row.
    """
    rows = []
    for name, row in FAR_ROWS.items():
        each = seconds(entries[name].trials) if name in entries else None
        held = (memory or {}).get(name)
        sizes = [held["after"], held["state"]] if held else [None, None]
        rows.append(
            [
                name,
                row.title,
                *figures(entries, name),
                words.ABSENT if each is None else f"{each:,.3g}",
                *(words.ABSENT if size is None else f"{size / MEBI:,.2f}" for size in sizes),
            ]
        )
    heads = ["row", "task and system", "solved", "sequences", "seconds a trial"]
    heads += ["peak memory, MiB", "kept between steps, MiB"]
    return f"{FAR}\n{table(heads, rows, text_columns=2)}"


def seconds(trials: Sequence[Trial]) -> float | None:
    """Seconds of a worker's time for one trial."""
    return sum(trial.seconds for trial in trials) / len(trials) if trials else None
