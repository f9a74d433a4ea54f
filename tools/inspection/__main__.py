"""Measures what ``docs/inspection.md`` shows: three memories, a report, the table of verdicts.

    PYTHONPATH=tests python -m tools.inspection [NAME...] [--save FILE]

NAME is ``memories`` or ``verdicts``; without one, both are measured, which takes about a minute.
The planted faults of ``verdicts`` are those of the tests. Results are in
``benchmarks/results/inspection.json`` by default. ``python -m tools.pages`` draws the figures and
writes the page from this file.
"""

from __future__ import annotations

import sys

from tools.inspection.memories import memories
from tools.inspection.verdicts import verdicts
from tools.sections import Sections, measure

SECTIONS: Sections = {"memories": memories, "verdicts": verdicts}
"""Measurements by section of the page."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    return measure(__doc__ or "", "inspection", SECTIONS, arguments)


if __name__ == "__main__":
    sys.exit(main())
