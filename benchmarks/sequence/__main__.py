"""Benchmark of whole layers over whole batches: carrousel.nn, torch's layers, and loops over time.

    python -m benchmarks.sequence [--sections NAME,...] [--quick] [--json FILE]
    python -m benchmarks.sequence --from FILE

Sections: ``plain`` (the LSTM and torch.nn.LSTM), ``variants`` (every option and the plain cell),
``stored`` (inference with weights in fewer bits), ``loops`` (every option and a loop over time),
``compiled`` (such loops under torch.compile) and ``memory`` (100,000 steps). The results of a
contender are verified before it is timed.
``docs/sequence.md`` describes the method and shows the results. ``python -m tools.pages`` makes it
from ``benchmarks/results/sequence.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import machine
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

SECTIONS = ("plain", "variants", "stored", "loops", "compiled", "memory")
THREADS = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    chosen = options.sections.split(",") if options.sections else _default(options.quick)
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        parser.error(f"--sections names {unknown[0]!r}, expected some of {', '.join(SECTIONS)}")
    if options.threads < 1 or (options.repeats is not None and options.repeats < 1):
        parser.error("--threads and --repeats must be 1 or more")
    source = options.source or (options.json if options.json not in (None, "-") else None)
    if options.source and not Path(options.source).is_file():
        parser.error(f"--from is {options.source}, expected a file")
    # Imported here, because processes that measure memory import this module too.
    from benchmarks.common.results import load, save
    from benchmarks.sequence.tables import report

    results = load(Path(source)) if source else {}
    if not options.source:
        for _ in measure(chosen, options, results):  # save after each row
            if options.json not in (None, "-"):
                save(options.json, results)
    if options.json == "-":
        print(json.dumps(results, indent=1))
    else:
        print(report({name: results[name] for name in chosen if name in results}))
    return 0 if all(verified(results[name]) for name in chosen if name in results) else 1


def measure(
    chosen: list[str], options: argparse.Namespace, results: dict[str, Any]
) -> Iterator[None]:
    """Run sections one after the other; each new row replaces the same row in ``results``."""
    import torch
    from benchmarks.sequence.timing import Plan

    torch.set_num_threads(options.threads)
    plan = Plan(3, 0.002, 1, wait=0.0) if options.quick else Plan(wait=options.wait)
    if options.repeats:
        plan = plan._replace(repeats=options.repeats)
    about = {**machine.describe(), "threads": torch.get_num_threads()}
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        for name in chosen:
            had = results.get(name, {"rows": []})
            rows = had["rows"] if had.get("machine") == about and not options.quick else []
            results[name] = {"machine": about, "plan": plan._asdict(), "rows": rows}
            for row in _rows(name, plan, options, progress):
                rows[:] = sorted([*(one for one in rows if _key(one) != _key(row)), row], key=_key)
                yield


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    """Identify a row; keys sort in the order in which rows are shown."""
    from benchmarks.sequence.alone import TRAINED
    from benchmarks.sequence.cases import (
        COMPILED_SIZE,
        FAR,
        GRID,
        LOOP_SIZES,
        PLAIN,
        QUICK_SIZE,
        VARIANTS,
        Size,
    )
    from benchmarks.sequence.stored import CONTENDERS, STORED_SIZES

    sizes = [*GRID, *STORED_SIZES, *LOOP_SIZES, COMPILED_SIZE, FAR, QUICK_SIZE]
    names = [PLAIN.name, *(one.name for one in VARIANTS), *TRAINED, *CONTENDERS]
    name = row.get("variant", row.get("contender", PLAIN.name))
    size = Size(*row["size"])
    return (sizes.index(size) if size in sizes else len(sizes), names.index(name), size)


def _rows(section: str, plan: Any, options: argparse.Namespace, progress: Progress) -> Iterator:
    from benchmarks.sequence import alone as sequence_alone
    from benchmarks.sequence import sections as sequence_sections

    quick = options.quick
    if section in sequence_sections.TIMED:
        every: list[Any] = list(sequence_sections.sizes_of(section, quick))
    else:
        every = list(sequence_alone.names(section, quick))
    if options.only:
        every = [one for one in every if str(one).replace(" ", "") in options.only]
    task = progress.add_task(section, total=len(every))
    for one in every:
        progress.update(task, description=f"{section}: {one}")
        if section in sequence_sections.TIMED:
            yield from sequence_sections.TIMED[section](one, plan, quick)
        elif section == "compiled":
            yield sequence_alone.compiled(one, plan, options.threads, quick)
        else:
            yield sequence_alone.memory(one, options.threads, quick)
        progress.advance(task)
    progress.update(task, description=section)


def verified(section: dict[str, Any]) -> bool:
    """Whether the results of every row of a section were right."""
    checks = ("parity", "torch_parity")
    return all(row[name]["holds"] for row in section["rows"] for name in checks if name in row)


def _default(quick: bool) -> list[str]:
    """All sections; a quick run skips the compiler."""
    return [name for name in SECTIONS if not quick or name != "compiled"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sequence",
        description="Time whole layers over whole batches: ours, torch's layers, and loops.",
        epilog="Exit codes: 0 done, 1 a contender computed wrong results, 2 wrong call.",
    )
    add = parser.add_argument
    words = f"some of {', '.join(SECTIONS)} (default: all; with --quick all but compiled)"
    add("--sections", metavar="NAME,...", help=words)
    add("--quick", action="store_true", help="one small size and few repeats, as a check")
    add("--repeats", type=int, metavar="N", help="undisturbed stretches of each contender")
    add("--only", action="append", metavar="T,B,I,H", help="a size; repeat for several")
    add("--wait", type=float, default=1.0, metavar="S", help="seconds to wait for idle cores (1)")
    add("--threads", type=int, default=THREADS, metavar="N", help=f"threads ({THREADS})")
    add("--json", metavar="FILE", help="merge results into FILE; '-' prints them instead")
    add("--from", dest="source", metavar="FILE", help="show saved results; measure nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
