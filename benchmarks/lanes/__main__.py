"""Benchmark of many small nets that learn side by side: our kernel, JAX and PyTorch.

    python -m benchmarks.lanes [--quick] [--only NAME] [--json] [--save FILE]
    python -m benchmarks.lanes --profile NAME --seconds N
    python -m benchmarks.lanes --from FILE

``benchmarks/README.md`` describes what is measured and how. ``python -m tools.pages`` makes
``docs/speed.md`` from ``benchmarks/results/speed.json``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import machine, results
from benchmarks.contenders.native import Native
from benchmarks.lanes.cases import NAMES, find_case
from benchmarks.lanes.collect import collect
from benchmarks.lanes.lineup import QUICK, Plan, Report, work
from benchmarks.lanes.tables import print_tables

from carrousel.errors import CarrouselError
from carrousel.kernels import instruction_set

BARRIER_SECONDS = 900.0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.profile:
            return profile(options.profile, options.seconds)
        if options.source:
            found = json.loads(Path(options.source).read_text(encoding="utf-8"))
        else:
            plan, names = _plan(options), options.only or _cases(options)
            found = collect(plan, measure(plan, names, _counts(options)))
        if options.save:
            results.save(options.save, found)
    except CarrouselError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print_tables(found)
    return 1 if any(not row["parity"]["holds"] for row in found["parity"]) else 0


def measure(plan: Plan, names: list[str], counts: list[int]) -> Iterator[tuple[str, list[Report]]]:
    """Measure cases in one process, then in several processes at once.

    Args:
        plan: how much to measure.
        names: names of cases.
        counts: numbers of processes, each on its own core. All contenders use several cores in this
            way, because our runner does.

    Yields:
        The name of a case, and a report from each of the processes that ran at the same time.
    """
    for case in [find_case(name) for name in names]:  # check all names first
        tuning: Any = None
        for count in counts:
            say(f"{case.name}: {count} process{'es' if count > 1 else ''}")
            reports = together(case.name, plan, count, tuning)
            tuning = reports[0].tuning
            yield case.name, reports


def together(name: str, plan: Plan, count: int, tuning: Any) -> list[Report]:
    """Measure one case in several processes, synchronised by a barrier."""
    machine.one_thread_each()
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(count, mp_context=context) as pool:
        barrier = manager.Barrier(count, timeout=BARRIER_SECONDS)
        waiting = [pool.submit(work, name, plan, place, tuning, barrier) for place in range(count)]
        return [each.result() for each in waiting]


def profile(name: str, seconds: float) -> int:
    """Run only our kernel on one case for some seconds, for use under a profiler."""
    contender = Native(find_case(name), instruction_set())
    contender.start(contender.case.weights(contender.n_lanes))
    parts = contender.draw(contender.case.rng())
    packed, steps, learned = contender.pack(parts), sum(part.n_steps for part in parts), 0
    say(f"{name} on {contender.detail}: process {os.getpid()}, {seconds:g} s")
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        contender.learn(packed)
        learned += steps
    say(f"{1e9 * passed / max(learned, 1):.2f} ns per trial and step")
    return 0


def say(text: str) -> None:
    """Print a message about progress to standard error."""
    print(text, file=sys.stderr, flush=True)


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    return replace(plan, repeats=options.repeats) if options.repeats else plan


def _cases(options: argparse.Namespace) -> list[str]:
    return ["4-1"] if options.quick else list(NAMES)


def _counts(options: argparse.Namespace) -> list[int]:
    if options.processes:
        return options.processes
    return [1] if options.quick or machine.cores() == 1 else [1, 2]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lanes",
        description="Time many small nets that learn side by side: our kernel, JAX and PyTorch.",
        epilog="Exit codes: 0 done, 1 a contender computed wrong results, 2 wrong call.",
    )
    add = parser.add_argument
    several = "repeat the option for several"
    add("--quick", action="store_true", help="one case and few repeats, to check that it runs")
    add("--only", action="append", metavar="NAME", help=f"one of {', '.join(NAMES)}; {several}")
    add("--processes", action="append", type=int, metavar="N", help=f"processes; {several}")
    add("--repeats", type=int, metavar="N", help="stretches of each contender")
    add("--json", action="store_true", help="print results as JSON instead of tables")
    add("--save", metavar="FILE", help="write results as JSON")
    add("--from", dest="source", metavar="FILE", help="show saved results; measure nothing")
    add("--profile", metavar="NAME", help="run only our kernel on this case, for a profiler")
    add("--seconds", type=float, default=10.0, metavar="N", help="duration of --profile (10)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
