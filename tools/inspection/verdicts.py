"""Planted faults and the verdicts on them, for the table of ``docs/inspection.md``."""

from __future__ import annotations

from typing import Any


def verdicts() -> dict[str, Any]:
    """Count the verdicts on planted faults and on sound nets, and quote one of each kind.

    The nets are those of ``tests/inspection/verdicts``, so ``tests`` must be on the path.
    """
    from inspection.verdicts.confusion import confusion, report
    from inspection.verdicts.faulty import FAULTY

    counts, first = confusion(), {}
    for key, build in FAULTY.items():
        first.setdefault(key.split(":")[0], build)
    rows = {}
    for name, build in first.items():
        found = {fault.name: str(fault) for fault in report(build, 0).faults}
        rows[name] = {"counts": counts[name], "text": found.get(name, "")}
    return {"faults": rows, "sound": counts["sound"]}
