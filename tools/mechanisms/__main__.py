"""Measures why readings of the paper fail or work, for the pages of its experiments.

    python -m tools.mechanisms [NAME...] [--save FILE]

NAME is a page, such as ``experiment-2c``; without one, all are measured. Each part of a mechanism
takes seconds to a minute, and is saved when it ends. ``python -m tools.pages`` shows the results,
which are in ``benchmarks/results/mechanisms.json`` by default.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import track
from tools.mechanisms.drift import DRIFTS
from tools.mechanisms.parts import Parts
from tools.mechanisms.reber import REBER
from tools.mechanisms.saturation import SATURATION

from carrousel.files import write_whole

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "mechanisms.json"
MECHANISMS: Mapping[str, Parts] = {**REBER, **SATURATION, **DRIFTS}
"""Measurements by the page that shows them."""


def measure(name: str, path: Path, *, shown: bool = True) -> None:
    """Measure one mechanism; the file is replaced atomically after each part.

    Args:
        name: one of :data:`MECHANISMS`.
        path: file with the results of all mechanisms.
        shown: whether a progress bar is shown on standard error.
    """
    parts = MECHANISMS[name]
    fresh: dict[str, Any] = {}
    for part in track(parts, name, disable=not shown):
        fresh[part] = parts[part]()
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        kept = {each: value for each, value in known.get(name, {}).items() if each in parts}
        merged = {**kept, **fresh}
        known[name] = {each: merged[each] for each in parts if each in merged}
        ordered = {each: known[each] for each in MECHANISMS if each in known}
        write_whole(path, (json.dumps(ordered, indent=1) + "\n").encode())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MECHANISMS))
    parser.add_argument("--save", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in MECHANISMS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(MECHANISMS)}")
    for name in options.names or MECHANISMS:
        measure(name, options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
