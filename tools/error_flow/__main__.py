"""Measures where errors flow, for ``docs/error_flow.md`` and the picture of the README.

    python -m tools.error_flow [NAME...] [--save FILE]

NAME is a section of the page, such as ``simple``; without one, all are measured, which takes about
two minutes. Results are in ``benchmarks/results/error_flow.json`` by default.
``python -m tools.pages`` draws the figures and writes the page from this file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.error_flow.abuse import abuse
from tools.error_flow.adding import adding
from tools.error_flow.cells import cells
from tools.error_flow.conflicts import conflicts
from tools.error_flow.drift import drift
from tools.error_flow.simple import simple
from tools.mechanisms.parts import rounded

from carrousel.files import write_whole

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "error_flow.json"
SECTIONS: Mapping[str, Callable[[], Any]] = {
    "simple": simple,
    "cells": cells,
    "conflicts": conflicts,
    "abuse": abuse,
    "drift": drift,
    "adding": adding,
}
"""Measurements by section of the page; ``adding`` is the picture of the README."""


def main(arguments: list[str] | None = None) -> int:
    """Measure sections and save each when it ends; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--save", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(SECTIONS)}")
    path = options.save
    for name in options.names or SECTIONS:
        found = rounded(SECTIONS[name]())
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        known[name] = found
        ordered = {each: known[each] for each in SECTIONS if each in known}
        write_whole(path, (json.dumps(ordered) + "\n").encode())
        print(f"measured: {name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
