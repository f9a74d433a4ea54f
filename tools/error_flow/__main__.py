"""Measures where errors flow, for ``docs/error_flow.md`` and the picture of the README.

    python -m tools.error_flow [NAME...] [--save FILE]

NAME is a section of the page, such as ``simple``; without one, all are measured, which takes about
two minutes. Results are in ``benchmarks/results/error_flow.json`` by default.
``python -m tools.pages`` draws the figures and writes the page from this file.
"""

from __future__ import annotations

import sys

from tools.error_flow.abuse import abuse
from tools.error_flow.adding import adding
from tools.error_flow.cells import cells
from tools.error_flow.conflicts import conflicts
from tools.error_flow.drift import drift
from tools.error_flow.simple import simple
from tools.sections import Sections, measure

SECTIONS: Sections = {
    "simple": simple,
    "cells": cells,
    "conflicts": conflicts,
    "abuse": abuse,
    "drift": drift,
    "adding": adding,
}
"""Measurements by section of the page; ``adding`` is the picture of the README."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    return measure(__doc__ or "", "error_flow", SECTIONS, arguments)


if __name__ == "__main__":
    sys.exit(main())
