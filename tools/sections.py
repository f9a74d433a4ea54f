"""Command line of measurements that are sections of a page, in one file of results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.mechanisms.parts import rounded

from carrousel.files import write_whole

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
Sections = Mapping[str, Callable[[], Any]]
"""Measurements by name; each returns plain data for JSON."""


def measure(about: str, page: str, sections: Sections, arguments: list[str] | None) -> int:
    """Measure the named sections, or all, and save each when it ends; return the exit code.

    Args:
        about: docstring of the command.
        page: stem of the file of results.
        sections: all measurements.
        arguments: of the command line; None: those of the process.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(sections))
    parser.add_argument("--save", type=Path, default=RESULTS / f"{page}.json", metavar="FILE")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in sections]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(sections)}")
    path = options.save
    for name in options.names or sections:
        found = rounded(sections[name]())
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        known[name] = found
        ordered = {each: known[each] for each in sections if each in known}
        write_whole(path, (json.dumps(ordered) + "\n").encode())
        print(f"measured: {name}", file=sys.stderr)
    return 0
