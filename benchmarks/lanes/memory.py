"""Peak memory of learning, which must not depend on the length or the number of sequences.

    python -m benchmarks.lanes.memory [--json]

Each figure is measured in a fresh process. The process imports everything, records its peak memory,
learns, and records its peak again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.run.runner import run
from carrousel.experiments.run.seeds import generator
from carrousel.experiments.stopping import RecentTraining
from carrousel.learners import GradientLearner
from carrousel.tasks import Adding

ROW = LSTM_ROWS["4-1"]
LANES = 16
STEPS = 100_000
"""Time steps of each lane in one call, whatever the length of its sequences."""

MEBI = 2**20


class Figure(NamedTuple):
    """Measurements of one process; sizes are in bytes."""

    what: str
    steps: int  # learned, all lanes together
    data: int  # most data in memory at a time, all lanes together
    state: int  # weights and traces, all lanes together
    before: int  # peak of the process before learning
    after: int  # peak at the end

    @property
    def grown(self) -> int:
        """Growth of the peak during learning, data included."""
        return self.after - self.before


def by_length(length: int, rounds: int = 5) -> Figure:
    """Learn adding problems of one length, always with the same number of time steps."""
    learner = GradientLearner(ROW.network, ROW.training, LANES)
    task, rng, steps, held = Adding(length), generator(0, "memory", 0, "training"), 0, 0
    for lane in range(LANES):
        learner.begin(lane, generator(0, "memory", lane, "weights"))
    before = peak()
    for _ in range(rounds):
        data = [task.sample(rng, max(1, STEPS // length)) for _ in range(LANES)]
        learner.learn(data)
        steps += sum(part.n_steps for part in data)
        held = max(held, sum(part.nbytes for part in data))
        del data  # do not keep two rounds in memory
    return Figure(f"T = {length:,}", steps, held, learner.nbytes, before, peak())


def by_count(sequences: int) -> Figure:
    """Run 16 trials of the adding problem with this number of training sequences in all."""
    never = RecentTraining(mean_below=1e-30)
    row = replace(ROW, stop=never, budget=-(-sequences // LANES), test_size=0)
    state = GradientLearner(row.network, row.training, LANES).nbytes
    before = peak()
    trials = run(row, trials=LANES)
    seen = sum(trial.sequences for trial in trials)
    steps = sum(trial.steps for trial in trials)
    return Figure(f"{seen:,} sequences", steps, 0, state, before, peak())


FIGURES: tuple[tuple[Callable[[int], Figure], int], ...] = (
    (by_length, 100),
    (by_length, 1_000),
    (by_length, 10_000),
    (by_length, 100_000),
    (by_count, 1_000),
    (by_count, 100_000),
    (by_count, 1_000_000),
)


def peak() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def alone(measure: Callable[[int], Figure], size: int) -> Figure:
    """Call ``measure`` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, size).result()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Measure the peak memory of learning.")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    options = parser.parse_args(arguments)
    figures = [alone(measure, size) for measure, size in FIGURES]
    if options.json:
        print(json.dumps([figure._asdict() | {"grown": figure.grown} for figure in figures]))
        return 0
    table = Table(title=f"adding problem, {LANES} lanes: resident memory in MiB")
    for name in ("", "steps learned", "peak", "growth", "data", "weights and traces"):
        table.add_column(name, justify="right" if name else "left")
    for one in figures:
        sizes = (one.after, one.grown, one.data, one.state)
        cells = (f"{size / MEBI:.2f}" if size else "" for size in sizes)
        table.add_row(one.what, f"{one.steps:,}", *cells)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
