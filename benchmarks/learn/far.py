"""Memory of one net that learns a few sequences with lags beyond the paper, for each system.

    python -m benchmarks.learn.far [--save FILE] [--json] [NAME...]

Each figure is measured in a fresh process. The process imports everything, records its peak memory,
learns and is tested like a trial of that row, and records its peak again. The memory that a learner
keeps between time steps is shown separately. The rest is mostly the data of a sequence and a test.
``--save benchmarks/results/far.json`` updates the table of ``docs/reproduction/README.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.results import save
from benchmarks.lanes.memory import MEBI, Figure, alone, peak
from rich.console import Console
from rich.table import Table

from carrousel.experiments.beyond.far import FAR_ROWS
from carrousel.experiments.run.seeds import generator
from carrousel.learners import learner_named

SEQUENCES = 3
TESTED = 16
"""Sequences in the first part of a test; see ``carrousel.experiments.stopping``."""


def of_row(place: int) -> Figure:
    """Learn a few sequences of one row, and run the first part of a test."""
    row = list(FAR_ROWS.values())[place]
    learner = learner_named(row.learner)(row.network, row.training, 1)
    learner.begin(0, generator(0, row.name, 0, "weights"))
    rng, steps, held = generator(0, row.name, 0, "training"), 0, 0
    before = peak()
    for _ in range(SEQUENCES):
        data = row.task.sample(rng, 1)
        learner.learn([data])
        steps, held = steps + data.n_steps, max(held, data.nbytes)
        del data
    if row.stop.every:
        test = row.task.test(rng, TESTED)
        held = max(held, test.nbytes)
        learner.predict([test])
    return Figure(row.name, steps, held, learner.nbytes, before, peak())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Measure the memory of learning long lags.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows (default: all)")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write results as JSON")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(FAR_ROWS)
    if unknown:
        parser.error(f"unknown row {', '.join(sorted(unknown))}; rows are {', '.join(FAR_ROWS)}")
    chosen = [n for n, name in enumerate(FAR_ROWS) if name in options.names or not options.names]
    figures = [alone(of_row, place) for place in chosen]
    found: dict[str, Any] = {one.what: one._asdict() | {"grown": one.grown} for one in figures}
    if options.save:
        save(options.save, found)
    if options.json:
        print(json.dumps(found))
        return 0
    table = Table(title="one net: memory in MiB")
    for name in ("row", "peak of the process", "growth", "data", "kept between steps"):
        table.add_column(name, justify="left" if name == "row" else "right")
    for one in figures:
        sizes = (one.after, one.grown, one.data, one.state)
        table.add_row(one.what, *(f"{size / MEBI:.2f}" for size in sizes))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
