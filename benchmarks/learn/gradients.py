"""Direction, memory and time of every gradient, on a net of memory cells and one of simple units.

    python -m benchmarks.learn.gradients [--quick] [--json] [--save FILE]

:func:`carrousel.inspection.cosines_by_lag` computes the cosines. Times are those of native lanes on
one core with sixteen nets, and of JAX in reverse and forward mode. JAX's gradient is verified
against ours before it is timed. ``--save benchmarks/results/gradients.json`` updates
``docs/rivals.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from benchmarks.common import machine, timing
from benchmarks.common.results import save

from carrousel.contracts import Network, Training
from carrousel.contracts.initial import initial_weights
from carrousel.experiments.beyond.gradients import GRADIENTS, NETS
from carrousel.experiments.paper.signals import ADDING
from carrousel.inspection import cosines_by_lag
from carrousel.kernels import NativeKernel
from carrousel.learners import GradientLearner
from carrousel.sequences import Sequences

LANES = 16
WIDTHS = (16, 64, 256)
STEPS = 105
SEQUENCES = 20
"""Sequences of each net in one call."""
LAGS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
LEARNED = 150_000
"""Training sequences of row 4-1 after which cosines are computed again."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repeats, to check that it runs")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument("--save", metavar="FILE", help="write results as JSON")
    options = parser.parse_args(arguments)
    machine.one_thread_each()
    machine.pin(0)
    found = measure(quick=options.quick)
    if options.save:
        save(options.save, found)
    print(json.dumps(found, indent=1) if options.json else text_of(found))
    return 0


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Measure everything; returns plain data."""
    found: dict[str, Any] = {"machine": machine.describe(), "lags": LAGS, "nets": {}}
    for name, (network, training) in NETS.items():
        times = _times(network, training, quick)
        exact = times.pop("matrix product")
        rows = {
            gradient: {
                "bytes": _bytes(network, training, gradient),
                "ns": times.pop(gradient),
                "start": _cosines(network, gradient, _start(network), 4 if quick else 20),
            }
            for gradient in GRADIENTS
        }
        if name == "lstm":
            learned = _learned(network, training, 500 if quick else LEARNED)
            for gradient, row in rows.items():
                row["learned"] = _cosines(network, gradient, learned, 4 if quick else 20)
        found["nets"][name] = {
            "weights": network.n_weights,
            "rows": rows,
            "others": times,
            "peak_gflops": 1.0 / exact,
            "rtrl_gflops": rtrl_operations(network) / rows["rtrl"]["ns"],
        }
    return found


def rtrl_operations(network: Network) -> int:
    """Count the floating-point operations of one step of exact sensitivities.

    Each of ``U S`` columns is multiplied by the ``U x U`` recurrent weights. A multiply-add is two
    operations.
    """
    units = network.cell.n_units
    return 2 * units * units * units * (network.n_inputs + units + 1)


def _bytes(network: Network, training: Training, gradient: str) -> int:
    learner = GradientLearner(network, training, gradient=gradient)
    learner.learn([adding_data(1)[0]])
    return learner.nbytes


def adding_data(n: int, seed: int = 0) -> list[Sequences]:
    """Draw ``SEQUENCES`` adding sequences of 105 steps for each of ``n`` nets."""
    rng = np.random.default_rng(seed)
    drawn = ADDING[0].task.sample(rng, 3 * n * SEQUENCES)
    long = [one for one in drawn if one.n_steps >= STEPS][: n * SEQUENCES]
    return [
        Sequences.from_lists(
            [one.inputs[-STEPS:] for one in long[net::n]], [one.targets for one in long[net::n]]
        )
        for net in range(n)
    ]


def _start(network: Network) -> Callable[[int], np.ndarray]:
    return lambda seed: initial_weights(network, np.random.default_rng(seed))


def _learned(network: Network, training: Training, sequences: int) -> Callable[[int], np.ndarray]:
    """Learn sixteen nets by the truncated gradient; returns their weights by seed."""
    learner = GradientLearner(network, training, LANES)
    rngs = [np.random.default_rng(lane) for lane in range(LANES)]
    for lane, rng in enumerate(rngs):
        learner.begin(lane, rng)
    for _ in range(0, sequences, 500):
        learner.learn([ADDING[0].task.sample(rng, 500) for rng in rngs])
    return lambda seed: learner.weights[seed % LANES]


def _cosines(
    network: Network, gradient: str, weights: Callable[[int], np.ndarray], seeds: int
) -> list[float | None]:
    """Compute medians over nets and sequences of ``max(LAGS) + 1`` random pairs and markers."""
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 1])
        inputs = np.stack(
            [
                rng.uniform(-1, 1, LAGS[-1] + 1),
                rng.choice([0.0, 1.0], LAGS[-1] + 1, p=[0.98, 0.02]),
            ],
            axis=1,
        ).astype(np.float32)
        data = Sequences.from_lists([inputs], [[[rng.uniform()]]])
        rows.append(cosines_by_lag(network, weights(seed), data, gradient, LAGS, rng=rng))
    columns = np.array(rows).T
    return [None if np.isnan(c).any() else float(np.median(c)) for c in columns]


def _times(network: Network, training: Training, quick: bool) -> dict[str, float]:
    """Time in nanoseconds per net and step on the core; medians of alternating stretches."""
    entries = {"matrix product": timing.Entry(lambda: None, machine.matrix_product())}
    start = np.stack([_start(network)(lane) for lane in range(LANES)])
    slow = replace(training, rate=training.rate / 100)  # keeps learning stable for a long time
    for gradient in GRADIENTS:
        learner = GradientLearner(network, slow, LANES, NativeKernel(), gradient)
        entries[gradient] = _entry(learner, start)
    if find_spec("jax"):
        for gradient in ("bptt", "rtrl"):
            entries |= _jax(network, training, gradient, WIDTHS[:1] if quick else WIDTHS)
    samples = timing.alternate(entries, repeats=3 if quick else 11, seconds=0.03 if quick else 0.2)
    found = {
        name: timing.summarise(timing.nanoseconds([each], "processor")).median
        for name, each in samples.items()
    }
    for gradient in ("bptt", "rtrl"):
        wide = {name: ns for name, ns in found.items() if name.startswith(f"jax {gradient}")}
        for name in wide:
            del found[name]
        if wide:
            best = min(wide, key=lambda name: wide[name])
            found[best] = wide[best]
    return found


def _entry(learner: GradientLearner, start: np.ndarray) -> timing.Entry:
    data = adding_data(LANES)

    def prepare() -> None:
        learner.weights[:] = start

    def run() -> float:
        learner.learn(data)
        return float(LANES * SEQUENCES * STEPS)

    return timing.Entry(prepare, run)


def _jax(
    network: Network, training: Training, gradient: str, widths: tuple[int, ...]
) -> dict[str, timing.Entry]:
    from benchmarks.contenders.jax.paths import JaxPaths

    entries = {}
    for width in widths:
        weights = np.stack([_start(network)(lane) for lane in range(width)])
        slow, data = replace(training, rate=training.rate / 100), adding_data(width)
        contender = JaxPaths(network, slow, gradient, weights)
        packed = contender.pack(data)
        ours = GradientLearner(network, slow, width, gradient=gradient)
        ours.weights[:] = weights
        contender.learn(packed)
        ours.learn(data)
        change = np.abs(ours.weights - weights).max()
        off = np.abs(np.asarray(contender.weights) - ours.weights).max()
        if off > 1e-3 * change:
            raise SystemExit(
                f"the weight change of JAX {gradient} differs by {off:.2g} of {change:.2g}, "
                "so it is not timed"
            )

        def run(contender: JaxPaths = contender, packed: Any = packed, width: int = width) -> float:
            contender.learn(packed)
            return float(width * SEQUENCES * STEPS)

        entries[f"jax {gradient}, {width} nets"] = timing.Entry(lambda: None, run)
    return entries


def text_of(found: dict[str, Any]) -> str:
    """Format results for the terminal."""
    lines = []
    for net, part in found["nets"].items():
        lines.append(f"{net}: {part['weights']} weights; lags {found['lags']}")
        for gradient, row in part["rows"].items():
            cosines = " ".join("    -" if c is None else f"{c:5.2f}" for c in row["start"])
            lines.append(f"  {gradient:10s} {row['bytes']:8,} B {row['ns']:8.1f} ns  {cosines}")
            if "learned" in row:
                cosines = " ".join("    -" if c is None else f"{c:5.2f}" for c in row["learned"])
                lines.append(f"  {'':10s} {'after learning':>22s}  {cosines}")
        lines += [f"  {name}: {ns:.1f} ns" for name, ns in part["others"].items()]
        share = part["rtrl_gflops"] / part["peak_gflops"]
        lines.append(
            f"  rtrl: {part['rtrl_gflops']:.1f} GFLOP/s, {share:.0%} of a matrix product's rate"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
