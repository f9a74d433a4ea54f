"""Many small nets that learn side by side: ours beside JAX and PyTorch, verified, then timed.

    python -m benchmarks.lanes [--quick] [--only NAME] [--json] [--save FILE] [--markdown FILE]
    python -m benchmarks.lanes --profile NAME --seconds N
    python -m benchmarks.lanes --from FILE [--markdown FILE]

See ``benchmarks/README.md`` for what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import machine
from benchmarks.contenders.native import Native
from benchmarks.lanes.cases import NAMES, find_case
from benchmarks.lanes.lineup import QUICK, Plan, Report, work
from benchmarks.lanes.page import markdown
from benchmarks.lanes.results import collect
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
            results = json.loads(Path(options.source).read_text(encoding="utf-8"))
        else:
            plan, names = _plan(options), options.only or _cases(options)
            results = collect(plan, measure(plan, names, _counts(options)))
    except CarrouselError as error:
        print(error, file=sys.stderr)
        return 2
    for path, text in (
        (options.save, json.dumps(results, indent=1) + "\n"),
        (options.markdown, markdown(results)),
    ):
        if path:
            write(Path(path), text)
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        print_tables(results)
    return 1 if any(not row["parity"]["holds"] for row in results["parity"]) else 0


def measure(plan: Plan, names: list[str], counts: list[int]) -> Iterator[tuple[str, list[Report]]]:
    """Measure cases on one process, then on several at once.

    Args:
        plan: how much is measured.
        names: cases.
        counts: numbers of processes, each on a core of its own. What a program does on several
            cores is measured in this way for all contenders, since our runner works in this way.

    Yields:
        the name of a case, and a report from each of the processes that ran at the same time.
    """
    for case in [find_case(name) for name in names]:  # wrong names are found out at once
        tuning: Any = None
        for count in counts:
            say(f"{case.name}: {count} process{'es' if count > 1 else ''}")
            reports = together(case.name, plan, count, tuning)
            tuning = reports[0].tuning
            yield case.name, reports


def together(name: str, plan: Plan, count: int, tuning: Any) -> list[Report]:
    """Measure one case in several processes that keep in step."""
    machine.one_thread_each()
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(count, mp_context=context) as pool:
        barrier = manager.Barrier(count, timeout=BARRIER_SECONDS)
        waiting = [pool.submit(work, name, plan, place, tuning, barrier) for place in range(count)]
        return [each.result() for each in waiting]


def profile(name: str, seconds: float) -> int:
    """Learn one case with our kernel alone for a while, so that a profiler can look at it."""
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


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, or not at all."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(file.name, 0o644)
    Path(file.name).replace(path)


def say(text: str) -> None:
    """Progress goes to standard error."""
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
        prog="lanes.py",
        description="Time many small nets that learn side by side, ours beside JAX and PyTorch.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one case, few repeats: does it run at all?")
    add("--only", action="append", metavar="NAME", help=f"a case, of {', '.join(NAMES)}; may recur")
    add("--processes", action="append", type=int, metavar="N", help="each on a core; may recur")
    add("--repeats", type=int, metavar="N", help="stretches of each contender")
    add("--json", action="store_true", help="print results as JSON instead of tables")
    add("--save", metavar="FILE", help="write results as JSON")
    add("--markdown", metavar="FILE", help="write results as a page of Markdown")
    add("--from", dest="source", metavar="FILE", help="read results from JSON, measure nothing")
    add("--profile", metavar="NAME", help="only learn this case with our kernel, for a profiler")
    add("--seconds", type=float, default=10.0, metavar="N", help="how long --profile learns")
    return parser


if __name__ == "__main__":
    sys.exit(main())
