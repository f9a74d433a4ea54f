"""Planted faults and sound nets against verdicts: the confusion table."""

from __future__ import annotations

import torch

from carrousel.inspection import Report, inspect
from inspection.verdicts.faulty import FAULTY
from inspection.verdicts.nets import Given
from inspection.verdicts.sound import SOUND

SEEDS = (0, 1, 2)


def report(build: object, seed: int) -> Report:
    """Inspect the net of a builder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        given: Given = build()  # type: ignore[operator]
        return inspect(given.module, given.inputs, given.loss, **given.arguments)


def confusion(seeds: tuple[int, ...] = SEEDS) -> dict[str, dict[str, int]]:
    """Return how often each verdict was given, by planted fault; ``"sound"`` counts all sound nets.

    Each row has the number of nets under ``"nets"``. Nets without a verdict count as ``"sound"``.
    """
    found: dict[str, dict[str, int]] = {}
    cases = [(key.split(":")[0], build) for key, build in FAULTY.items()]
    cases += [("sound", build) for build in SOUND.values()]
    for planted, build in cases:
        row = found.setdefault(planted, {"nets": 0})
        for seed in seeds:
            row["nets"] += 1
            names = {fault.name for fault in report(build, seed).faults} or {"sound"}
            for name in sorted(names):
                row[name] = row.get(name, 0) + 1
    return found


def table(seeds: tuple[int, ...] = SEEDS) -> str:
    """Return the confusion table in Markdown: planted faults in rows, verdicts in cells."""
    lines = ["| planted | nets | named | further verdicts |", "|---|---|---|---|"]
    for planted, row in confusion(seeds).items():
        others = ", ".join(
            f"{name} {n}" for name, n in row.items() if name not in ("nets", planted)
        )
        lines.append(f"| {planted} | {row['nets']} | {row.get(planted, 0)} | {others or 'none'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
