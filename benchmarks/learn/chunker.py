"""Time of the neural sequence chunker, compiled and in NumPy, on the rows of Experiment 2.

    python -m benchmarks.learn.chunker [--quick] [--json]

Sixteen trials learn side by side on one core, from weights that have already learned for a while.
Figures are nanoseconds per trial and time step. The compiled chunker is verified against the NumPy
reference before it is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.common import machine, timing

from carrousel.experiments.paper.rivals import RIVAL_ROWS
from carrousel.kernels import NativeChunker, instruction_sets
from carrousel.learners.chunker.learner import ChunkerLearner, PairKernel
from carrousel.learners.chunker.reference import ReferenceChunker
from carrousel.sequences import Sequences

ROWS = ("2a/chunker", "2b/chunker")
LANES = 16
SEQUENCES = 20
"""Sequences of each trial in one call."""
LEARNED = 300
"""Sequences that each trial has learned before it is timed."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repeats, to check that it runs")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    options = parser.parse_args(arguments)
    machine.one_thread_each()
    machine.pin(0)
    found = {row: measure(row, quick=options.quick) for row in ROWS}
    print(json.dumps(found, indent=1) if options.json else text_of(found))
    return 0


def kernels() -> dict[str, Callable[..., PairKernel]]:
    """Return what creates each pair of nets that is timed, by name."""

    def compiled(name: str) -> Callable[..., PairKernel]:
        return lambda *nets, **settings: NativeChunker(*nets, **settings, instruction_set=name)

    return {name: compiled(name) for name in instruction_sets()} | {"NumPy": ReferenceChunker}


def measure(row: str, *, quick: bool = False) -> dict[str, float]:
    """Return nanoseconds per trial and step, the best of all repeats.

    Raises:
        SystemExit: a compiled chunker changes weights in another way than the reference.
    """
    experiment = RIVAL_ROWS[row]
    rngs = [np.random.default_rng(lane) for lane in range(LANES)]
    start = ChunkerLearner(experiment.network, experiment.training, LANES)
    for lane, rng in enumerate(rngs):
        start.begin(lane, rng)
    start.learn([experiment.task.sample(rng, 50 if quick else LEARNED) for rng in rngs])
    data = [experiment.task.sample(rng, 2 if quick else SEQUENCES) for rng in rngs]
    learners = {
        name: ChunkerLearner(experiment.network, experiment.training, LANES, kernel)
        for name, kernel in kernels().items()
    }
    verify(learners, start, [part[:1] for part in data])
    entries = {name: _entry(learner, start, data) for name, learner in learners.items()}
    samples = timing.alternate(entries, repeats=3 if quick else 11, seconds=0.02 if quick else 0.3)
    return {
        name: timing.summarise(timing.nanoseconds([each], "processor")).least
        for name, each in samples.items()
    }


def verify(
    learners: dict[str, ChunkerLearner], start: ChunkerLearner, data: list[Sequences]
) -> None:
    """Compare the weights after one sequence with those of the reference, part by part."""
    for learner in learners.values():
        _restore(learner, start)
        learner.learn(data)
    for lane in range(LANES):
        before, wanted = start.state(lane), learners["NumPy"].state(lane)
        for name, learner in learners.items():
            found = learner.state(lane)
            for net, network in (("automatizer", start.automatizer), ("chunker", start.chunker)):
                old, new, got = (network.views(state[net]) for state in (before, wanted, found))
                for part, ours in got.items():
                    change = np.abs(new[part] - old[part]).max()
                    off = np.abs(ours - new[part]).max()
                    # A hundred changes, each rounded like weights of about 1.
                    if not off <= 1e-3 * change + 1e-5:
                        raise SystemExit(
                            f"{name}: {part} of the {net} differs by {off:.2g} of {change:.2g}"
                        )


def _restore(learner: ChunkerLearner, start: ChunkerLearner) -> None:
    for lane in range(LANES):
        learner.restore(lane, start.state(lane))


def _entry(learner: ChunkerLearner, start: ChunkerLearner, data: list[Sequences]) -> timing.Entry:
    steps = float(sum(part.n_steps for part in data))

    def run() -> float:
        learner.learn(data)
        return steps

    return timing.Entry(lambda: _restore(learner, start), run)


def text_of(found: dict[str, Any]) -> str:
    """Format results for the terminal."""
    return "\n".join(
        f"{row:12s} {name:8s} {ns:10.1f} ns per trial and step"
        for row, times in found.items()
        for name, ns in times.items()
    )


if __name__ == "__main__":
    sys.exit(main())
